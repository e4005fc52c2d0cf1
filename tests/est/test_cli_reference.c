/* The same references through the program: import a CSV, fit, read the JSON back. */
#include <jansson.h>

#include "tests/test.h"

static const double TOL = 1e-9;

static const char *program(void)
{
    const char *p = getenv("PANELFX");
    return p && *p ? p : "./panelfx";
}

/* Run the program; its standard error goes to a file that a failure shows. */
static void run(const char *arguments)
{
    char command[8192];
    snprintf(command, sizeof command, "%s %s 2>%s", program(), arguments, test_tmp("stderr"));
    if (system(command) == 0) return;
    FILE *f = fopen(test_tmp("stderr"), "r");
    char line[1200];
    while (f && fgets(line, sizeof line, f)) print_error("%s", line);
    if (f) fclose(f);
    fail_msg("%s", command);
}

static void import(const char *csv, const char *name, const char *options)
{
    char arguments[8192];
    snprintf(arguments, sizeof arguments, "import %s -o %s %s --force", csv, test_tmp(name), options);
    run(arguments);
}

/* The one model of a fit. */
static json_t *fit(const char *panel, const char *formula, const char *options)
{
    char arguments[9000];
    json_error_t why;
    snprintf(arguments, sizeof arguments, "fit %s '%s' %s --format json -o %s --force", test_tmp(panel),
             formula, options, test_tmp("fit.json"));
    run(arguments);
    json_t *all = json_load_file(test_tmp("fit.json"), 0, &why);
    if (!all) fail_msg("%s: %s", arguments, why.text);
    json_t *models = json_object_get(all, "models");
    assert_int_equal(json_array_size(models), 1);
    json_t *m = json_incref(json_array_get(models, 0));
    json_decref(all);
    return m;
}

static double number(const json_t *o, const char *key)
{
    json_t *v = json_object_get(o, key);
    if (!json_is_number(v)) fail_msg("no number %s", key);
    return json_number_value(v);
}

static double term_value(const json_t *m, const char *term, const char *key)
{
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(m, "coefficients"), i,
                       c) if (strcmp(json_string_value(json_object_get(c, "term")), term) ==
                              0) return number(c, key);
    fail_msg("no term %s", term);
    return NAN;
}

/* Estimates, standard errors under a key of "se", and statistics of a block. */
static void same(const json_t *m, const json_t *ref, const char *se)
{
    const char *term;
    json_t *v;
    double n = number(ref, "n");
    assert_true(number(m, "n_obs") == n);
    json_object_foreach(json_object_get(ref, "coef"), term, v)
        assert_rel(term_value(m, term, "estimate"), json_number_value(v), TOL);
    json_object_foreach(json_object_get(json_object_get(ref, "se"), se), term, v)
        assert_rel(term_value(m, term, "std_error"), json_number_value(v), TOL);
    assert_rel(number(m, "r2"), number(ref, "r2"), TOL);
    assert_rel(number(m, "adj_r2"), number(ref, "adj_r2"), TOL);
    assert_rel(number(m, "rmse"), sqrt(number(ref, "rss") / n), TOL);
    assert_true(number(m, "df_residual") == number(ref, "df_resid"));
}

typedef struct line {
    const char *block, *formula, *options, *se, *f;
} line;

static void check(const char *panel, const char *ref_path, int n, const line *lines)
{
    json_t *file = json_load_file(ref_path, 0, NULL);
    assert_non_null(file);
    for (int i = 0; i < n; i++) {
        json_t *m = fit(panel, lines[i].formula, lines[i].options),
               *ref = json_object_get(file, lines[i].block);
        same(m, ref, lines[i].se);
        if (lines[i].f)
            assert_rel(number(json_object_get(m, "f"), "statistic"), number(ref, lines[i].f), TOL);
        json_decref(m);
    }
    json_decref(file);
}

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
#define NEED_PROGRAM()                                                                                       \
    do {                                                                                                     \
        if (access(program(), X_OK) != 0) {                                                                  \
            printf("SKIP %s: no program %s\n", __func__, program());                                         \
            fflush(stdout);                                                                                  \
            skip();                                                                                          \
        }                                                                                                    \
    } while (0)

static void petersen(void **state)
{
    (void)state;
    NEED_PROGRAM();
    static const line lines[] = {
        {"ols", "y ~ x", "--vcov iid", "iid", "F_iid"},
        {"ols", "y ~ x", "--vcov hetero", "HC1", NULL},
        {"ols", "y ~ x", "", "CL1_nested", "F_CL1_nested"}, /* the default: by the panel's unit */
        {"ols", "y ~ x", "--cluster year", "CL1b_stata", NULL},
        {"ols", "y ~ x", "--cluster firm+year", "CL2_min_nested", "F_CL2_min_nested"},
        {"ols", "y ~ x", "--cluster firm+year --ssc stata", "CL2_cgm_stata", NULL},
        {"firm_fe", "y ~ x | firm", "--cluster firm", "CL1_nested", "F_CL1_nested"},
        {"firm_fe", "y ~ x | firm", "--cluster firm --ssc stata", "CL1_stata", "F_CL1_stata"},
        {"year_fe", "y ~ x | year", "--cluster firm --ssc none", "CL1_raw", NULL},
        {"twoway", "y ~ x | firm + year", "--cluster firm", "CL1_nested", "F_CL1_nested"},
        {"twoway", "y ~ x | firm + year", "--cluster firm --ssc reghdfe", "CL1_nested", "F_CL1_nested"},
        {"twoway", "y ~ x | firm + year", "--cluster firm+year", "CL2_min_nested", "F_CL2_min_nested"},
        {"twoway", "y ~ x | firm + year", "--vcov iid", "iid", "F_iid"},
    };
    import("tests/data/petersen.csv", "petersen.h5", "--unit firm --time year");
    check("petersen.h5", "tests/data/petersen.ref.json", COUNT(lines), lines);
}

static void grunfeld(void **state)
{
    (void)state;
    NEED_PROGRAM();
    static const line lines[] = {
        {"firm_fe", "inv ~ value + capital | firm", "", "CL1_nested", "F_CL1_nested"},
        {"twoway", "inv ~ value + capital | firm + year", "--vcov HC1", "HC1", NULL},
        {"twoway", "inv ~ value + capital | firm + year", "--cluster firm+year", "CL2_min_nested",
         "F_CL2_min_nested"},
    };
    import("tests/data/grunfeld.csv", "grunfeld.h5", "--unit firm --time year");
    check("grunfeld.h5", "tests/data/grunfeld.ref.json", COUNT(lines), lines);
}

static void cigar(void **state)
{
    (void)state;
    NEED_PROGRAM();
    SKIP_WITHOUT("cigar.csv");
    static const line lines[] = {
        {"pooled", "Sales ~ Price", "--cluster State", "CL1_nested", "F_CL1_nested"},
        {"state_fe_cl_year", "Sales ~ Price | State", "--cluster Year", "CL1_nested", "F_CL1_nested"},
        {"twoway", "Sales ~ Price + NDI + Pimin | State + Year", "--cluster State+Year", "CL2_min_nested",
         "F_CL2_min_nested"},
    };
    import(test_refdata("cigar.csv"), "cigar.h5", "--unit State --time Year");
    check("cigar.h5", test_refdata("cigar.ref.json"), COUNT(lines), lines);
}

static void four_effects_without_a_panel(void **state)
{
    (void)state;
    NEED_PROGRAM();
    SKIP_WITHOUT("trade.csv");
    static const line lines[] = {
        {"fe4", "leuros ~ ldist | origin + destination + product + year", "--cluster origin", "CL1_nested",
         "F_CL1_nested"},
        {"fe4", "leuros ~ ldist | origin + destination + product + year", "--cluster origin+destination",
         "CL2_min_nested", NULL},
        {"fe4_cl1", "log(euros) ~ log(dist_km) | origin + destination + product + year",
         "--cluster origin^destination", "CL1_nested", NULL},
    };
    import(test_refdata("trade.csv"), "trade.h5", "");
    json_t *m = fit("trade.h5", lines[2].formula, lines[2].options);
    json_t *file = json_load_file(test_refdata("trade.ref.json"), 0, NULL),
           *ref = json_object_get(file, "fe4_cl1");
    assert_rel(term_value(m, "log(dist_km)", "estimate"), number(json_object_get(ref, "coef"), "ldist"), TOL);
    assert_rel(term_value(m, "log(dist_km)", "std_error"),
               number(json_object_get(json_object_get(ref, "se"), "CL1_nested"), "ldist"), TOL);
    json_decref(file);
    json_decref(m);
    check("trade.h5", test_refdata("trade.ref.json"), 2, lines);
}

static void event_study(void **state)
{
    (void)state;
    NEED_PROGRAM();
    SKIP_WITHOUT("base_did.csv");
    static const line lines[] = {
        {"did", "y ~ x1 + did | id + period", "", "CL1_nested", "F_CL1_nested"},
        {"event", "y ~ x1 + tp1 + tp2 + tp3 + tp4 + tp6 + tp7 + tp8 + tp9 + tp10 | id + period", "",
         "CL1_nested", "F_CL1_nested"},
    };
    import(test_refdata("base_did.csv"), "did.h5", "--unit id --time period");
    check("did.h5", test_refdata("base_did.ref.json"), COUNT(lines), lines);
}

/* Stata 13: regress and xtreg, fe [aw = w], clustered by firm, on the columns with many missing values. */
static void weights_and_missing_rows(void **state)
{
    (void)state;
    NEED_PROGRAM();
    SKIP_WITHOUT("stata_simpanel.csv");
    static const char x[] = "x1_heavy + x2_heavy + x3_heavy + x4_heavy + x5_heavy";
    char formula[256];
    import(test_refdata("stata_simpanel.csv"), "simpanel.h5", "--unit firm --time time");
    snprintf(formula, sizeof formula, "y_heavy ~ %s", x);
    json_t *m = fit("simpanel.h5", formula, "--weights w --cluster firm");
    assert_true(number(m, "n_obs") == 891 && number(m, "n_missing") == 2109 && number(m, "df_t") == 638);
    assert_rel(term_value(m, "x1_heavy", "estimate"), .27851477022, 1e-10);
    assert_rel(term_value(m, "x5_heavy", "statistic"), 12.786398482, 1e-10);
    assert_rel(term_value(m, "(Intercept)", "p_value"), .04816872087, 1e-9);
    assert_rel(number(m, "adj_r2"), .35105944988, 1e-10);
    json_decref(m);
    snprintf(formula, sizeof formula, "y_heavy ~ %s | firm", x);
    m = fit("simpanel.h5", formula, "--weights w --cluster firm --keep-singletons");
    assert_rel(term_value(m, "x1_heavy", "estimate"), .37547028924, 1e-10);
    assert_rel(term_value(m, "x1_heavy", "statistic"), 3.6610058146, 1e-10);
    assert_rel(term_value(m, "x3_heavy", "p_value"), 4.794971e-08, 1e-6);
    json_decref(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(petersen),    cmocka_unit_test(grunfeld),
        cmocka_unit_test(cigar),       cmocka_unit_test(four_effects_without_a_panel),
        cmocka_unit_test(event_study), cmocka_unit_test(weights_and_missing_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
