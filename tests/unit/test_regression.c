#include "tests/faults.h"
#include <jansson.h>
#include "src/base/mem.h"
#include "src/est/fit.h"
#include "src/report/json.h"
#include "src/report/regression.h"

/* Two models made by hand: nothing here is estimated. Real fits are looked at by the tests of the command. */
typedef struct models {
    pfx_coef c1[2], c2[2];
    pfx_fit_effect e2[2];
    pfx_fit_cluster k1[1], k2[1];
    pfx_wald w2[1];
    char *dropped[2];
    double V1[4], V2[4];
    pfx_fit f1, f2;
    pfx_fit *fits[2];
} models;

static void make_models(models *m)
{
    *m = (models){
        .c1 = {{"(Intercept)", 5.5146, 0.1457, 37.84, 0.0, 5.2, 5.8},
               {"IDC", 0.3175, 0.0902, 3.5183, 0.0004, 0.1, 0.5}},
        .c2 = {{"IDC", 0.3061, 0.0910, 3.3629, 0.02, 0.13, 0.48},
               {"算力_x", -0.00001234, NAN, NAN, NAN, NAN, NAN}},
        .e2 = {{"firm", 3500, 0, true}, {"year", 7, 1, false}},
        .k1 = {{"firm", 3500}},
        .k2 = {{"firm", 3499}},
        .w2 = {{"IDC = 0", 0.3061, 0.091, 11.309, 1, 3498, 0.0008}},
        .dropped = {"x2", "x3"},
        .V1 = {1, 2, 2, 3},
        .V2 = {0.1, NAN, NAN, 0.1 + 0.2},
    };
    m->f1 = (pfx_fit){.formula = "EXPY ~ IDC",
                      .outcome = "EXPY",
                      .method = "ols",
                      .n_obs = 18599,
                      .n_clusters = 1,
                      .clusters = m->k1,
                      .vcov = PFX_VCOV_CLUSTER,
                      .ssc = PFX_SSC_FIXEST,
                      .k = 2,
                      .coef = m->c1,
                      .V = m->V1,
                      .df_t = 3499,
                      .r2 = 0.5862,
                      .adj_r2 = 0.5858,
                      .within_r2 = NAN,
                      .rmse = 0.7,
                      .f = 12.5,
                      .f_df1 = 1,
                      .f_df2 = 3499,
                      .f_p = 0.0004,
                      .rank_absorbed = -1,
                      .route = "none",
                      .solver = "cholesky",
                      .converged = true};
    m->f2 = (pfx_fit){.formula = "EXPY ~ IDC + x | firm + year",
                      .outcome = "EXPY",
                      .method = "ols",
                      .n_obs = 18590,
                      .n_missing = 5,
                      .n_singletons = 4,
                      .n_collinear = 2,
                      .collinear = m->dropped,
                      .n_effects = 2,
                      .effects = m->e2,
                      .n_clusters = 1,
                      .clusters = m->k2,
                      .vcov = PFX_VCOV_CLUSTER,
                      .ssc = PFX_SSC_FIXEST,
                      .k = 2,
                      .coef = m->c2,
                      .V = m->V2,
                      .df_t = 3498,
                      .r2 = 0.9,
                      .adj_r2 = 0.8,
                      .within_r2 = 0.0123,
                      .rmse = 0.3,
                      .f = 11.3,
                      .n_tests = 1,
                      .tests = m->w2,
                      .rank_absorbed = 3506,
                      .route = "two-way",
                      .solver = "qr",
                      .converged = true};
    m->fits[0] = &m->f1;
    m->fits[1] = &m->f2;
}

static char *rendered(int n, pfx_fit *const *fits, pfx_format format, pfx_brackets brackets, pfx_str *out)
{
    static const char *const notes[] = {"Synthetic panel."};
    const pfx_regression_options o = {
        .brackets = brackets, .digits = 4, .title = "Baseline", .n_notes = 1, .notes = notes};
    pfx_err err = {0};
    *out = (pfx_str){0};
    assert_ok(pfx_regression_render(n, fits, &o, format, out, &err));
    return out->s;
}

static void test_text_of_two(void **state)
{
    (void)state;
    models m;
    pfx_str out;
    make_models(&m);
    assert_string_equal(rendered(2, m.fits, PFX_FORMAT_TEXT, PFX_BRACKETS_T, &out),
                        "Baseline\n"
                        "===============================================\n"
                        "                           (1)            (2)\n"
                        "                          EXPY           EXPY\n"
                        "-----------------------------------------------\n"
                        "IDC                     0.3175***      0.3061**\n"
                        "                       (3.5183)       (3.3629)\n"
                        "算力_x                             -1.234e-05\n"
                        "                                           (.)\n"
                        "(Intercept)             5.5146***\n"
                        "                      (37.8400)\n"
                        "-----------------------------------------------\n"
                        "firm effects                No            Yes\n"
                        "year effects                No            Yes\n"
                        "-----------------------------------------------\n"
                        "N                       18,599         18,590\n"
                        "R2                      0.5862         0.9000\n"
                        "Adjusted R2             0.5858         0.8000\n"
                        "Within R2                              0.0123\n"
                        "RMSE                    0.7000         0.3000\n"
                        "F                      12.5000        11.3000\n"
                        "Clusters (firm)          3,500          3,499\n"
                        "Left out: missing            0              5\n"
                        "Left out: singletons         0              4\n"
                        "===============================================\n"
                        "t statistics in brackets; * p < 0.10, ** p < 0.05, *** p < 0.01.\n"
                        "Standard errors: clustered by firm (CRV1), small-sample factor of fixest.\n"
                        "(2) Dropped as collinear: x2, x3.\n"
                        "(2) Wald test of IDC = 0: F(1, 3498) = 11.3090, p = 0.0008.\n"
                        "Synthetic panel.\n");
    pfx_str_free(&out);
}

static void test_brackets_and_rows(void **state)
{
    (void)state;
    models m;
    pfx_str out;
    make_models(&m);
    char *text = rendered(2, m.fits, PFX_FORMAT_TEXT, PFX_BRACKETS_SE, &out);
    static const char *const holds[] = {
        "(0.0902)",
        "-1.234e-05",
        "(.)",
        "firm effects",
        "year effects",
        "18,599",
        "Clusters (firm)",
        "3,499",
        "Left out: missing",
        "Left out: singletons",
        "Standard errors in brackets; * p < 0.10, ** p < 0.05, *** p < 0.01.",
        "Standard errors: clustered by firm (CRV1), small-sample factor of fixest.",
        "(2) Dropped as collinear: x2, x3.",
        "(2) Wald test of IDC = 0: F(1, 3498) = 11.3090, p = 0.0008.",
        "Synthetic panel.\n"};
    for (size_t i = 0; i < sizeof holds / sizeof holds[0]; i++)
        if (!strstr(text, holds[i])) fail_msg("no \"%s\" in\n%s", holds[i], text);
    assert_null(strstr(text, "zero weight"));
    pfx_str_free(&out);
}

static void test_one_model_has_no_number(void **state)
{
    (void)state;
    models m;
    pfx_str out;
    make_models(&m);
    assert_null(strstr(rendered(1, m.fits, PFX_FORMAT_TEXT, PFX_BRACKETS_T, &out), "(1)"));
    pfx_str_free(&out);
}

static int count_of(const char *text, const char *what)
{
    int n = 0;
    for (const char *s = strstr(text, what); s; s = strstr(s + 1, what)) n++;
    return n;
}

static void test_latex_is_balanced(void **state)
{
    (void)state;
    models m;
    pfx_str out;
    make_models(&m);
    char *text = rendered(2, m.fits, PFX_FORMAT_LATEX, PFX_BRACKETS_T, &out);
    int depth = 0, dollars = 0;
    for (char *s = text; *s; s++) {
        bool escaped = s > text && s[-1] == '\\';
        if (*s == '{' && !escaped) depth++;
        if (*s == '}' && !escaped) depth--;
        if (*s == '$' && !escaped) dollars++;
        assert_true(depth >= 0);
    }
    assert_int_equal(depth, 0);
    assert_int_equal(dollars % 2, 0);
    assert_int_equal(count_of(text, "\\begin{"), count_of(text, "\\end{"));
    assert_non_null(strstr(text, "算力\\_x"));
    pfx_str_free(&out);
}

static void test_html_is_balanced(void **state)
{
    (void)state;
    static const char *const tags[] = {"html",  "head", "body", "table", "caption", "thead",
                                       "tbody", "tr",   "td",   "th",    "p",       "sup"};
    models m;
    pfx_str out;
    make_models(&m);
    char *text = rendered(2, m.fits, PFX_FORMAT_HTML, PFX_BRACKETS_T, &out);
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        char open[16], open_class[16], close[16];
        snprintf(open, sizeof open, "<%s>", tags[i]);
        snprintf(open_class, sizeof open_class, "<%s ", tags[i]);
        snprintf(close, sizeof close, "</%s>", tags[i]);
        assert_int_equal(count_of(text, open) + count_of(text, open_class), count_of(text, close));
    }
    pfx_str_free(&out);
}

static void test_csv_has_a_row_for_each_coefficient(void **state)
{
    (void)state;
    models m;
    pfx_str out;
    make_models(&m);
    m.f2.by_name = "prov, city";
    m.f2.by_level = "An\"hui";
    assert_string_equal(
        rendered(2, m.fits, PFX_FORMAT_CSV, PFX_BRACKETS_T, &out),
        "model,formula,outcome,by,level,term,estimate,std_error,statistic,p_value,conf_low,conf_high,n_obs\n"
        "1,EXPY ~ IDC,EXPY,,,(Intercept),5.5145999999999997,0.1457,37.840000000000003,0,5.2000000000000002,"
        "5.7999999999999998,18599\n"
        "1,EXPY ~ "
        "IDC,EXPY,,,IDC,0.3175,0.090200000000000002,3.5183,0.00040000000000000002,0.10000000000000001,0.5,"
        "18599\n"
        "2,EXPY ~ IDC + x | firm + year,EXPY,\"prov, "
        "city\",\"An\"\"hui\",IDC,0.30609999999999998,0.090999999999999998,"
        "3.3628999999999998,0.02,0.13,0.47999999999999998,18590\n"
        "2,EXPY ~ IDC + x | firm + year,EXPY,\"prov, city\",\"An\"\"hui\",算力_x,-1.234e-05,,,,,,18590\n");
    pfx_str_free(&out);
}

/* Every key of the interface, at its place, with its type. */
static void test_json_keys(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "formula",     "outcome",       "method",    "n_obs",        "n_missing",   "n_singletons",
        "collinear",   "fixed_effects", "clusters",  "vcov",         "vcov_matrix", "df_residual",
        "df_absorbed", "df_t",          "f",         "coefficients", "r2",          "adj_r2",
        "within_r2",   "rmse",          "converged", "iterations"};
    static const char *const coef_keys[] = {"term",    "estimate", "std_error", "statistic",
                                            "p_value", "conf_low", "conf_high"};
    const pfx_json_run run = {.command = "fit",
                              .panel = "p.h5",
                              .read_s = 0.5,
                              .compute_s = 0.25,
                              .total_s = 1,
                              .threads = 2,
                              .peak_memory_bytes = 123};
    models m;
    pfx_str out = {0};
    pfx_err err = {0};
    json_error_t fault;
    make_models(&m);
    assert_ok(pfx_json_fits(2, m.fits, &run, &out, &err));
    json_t *root = json_loads(out.s, 0, &fault);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "command")), "fit");
    assert_true(json_real_value(json_object_get(json_object_get(root, "time"), "compute_s")) == 0.25);
    assert_int_equal(json_integer_value(json_object_get(root, "threads")), 2);
    assert_int_equal(json_integer_value(json_object_get(root, "peak_memory_bytes")), 123);
    json_t *list = json_object_get(root, "models");
    assert_int_equal(json_array_size(list), 2);
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < sizeof keys / sizeof keys[0]; j++)
            if (!json_object_get(json_array_get(list, i), keys[j]))
                fail_msg("model %zu: no key %s", i, keys[j]);
    json_t *second = json_array_get(list, 1), *coefs = json_object_get(second, "coefficients");
    for (size_t j = 0; j < sizeof coef_keys / sizeof coef_keys[0]; j++)
        assert_non_null(json_object_get(json_array_get(coefs, 0), coef_keys[j]));
    assert_true(json_is_null(json_object_get(json_array_get(coefs, 1), "std_error")));
    json_t *V = json_object_get(second, "vcov_matrix");
    assert_true(json_is_null(json_array_get(json_array_get(V, 0), 1)));
    /* 17 digits come back as the same double. */
    assert_true(json_real_value(json_array_get(json_array_get(V, 1), 1)) == 0.1 + 0.2);
    json_t *effect = json_array_get(json_object_get(second, "fixed_effects"), 0);
    assert_true(json_is_true(json_object_get(effect, "nested_in_cluster")));
    assert_int_equal(json_integer_value(json_object_get(effect, "levels")), 3500);
    json_decref(root);
    pfx_str_free(&out);
}

/* Whichever allocation fails, it is reported and nothing leaks. */
static void test_out_of_memory(void **state)
{
    (void)state;
    static const pfx_format formats[] = {PFX_FORMAT_TEXT, PFX_FORMAT_CSV, PFX_FORMAT_HTML};
    const pfx_regression_options o = {.digits = 3};
    models m;
    make_models(&m);
    for (int i = 0; i < 3; i++) {
        test_faults f = {0};
        while (test_faults_next(&f)) {
            pfx_str out = {0};
            pfx_err err = {0};
            pfx_status st = pfx_regression_render(2, m.fits, &o, formats[i], &out, &err);
            pfx_str_free(&out);
            assert_true(st == PFX_OK || err.msg[0]);
            test_faults_done(&f, st);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_of_two),
        cmocka_unit_test(test_brackets_and_rows),
        cmocka_unit_test(test_one_model_has_no_number),
        cmocka_unit_test(test_latex_is_balanced),
        cmocka_unit_test(test_html_is_balanced),
        cmocka_unit_test(test_csv_has_a_row_for_each_coefficient),
        cmocka_unit_test(test_json_keys),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
