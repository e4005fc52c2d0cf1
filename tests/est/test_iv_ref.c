/* 2SLS against the reference results of shared/data (base-R QR on all dummies, checked against Stata), every
 * key of each case, and against Stata's ivregress as far as its log prints. */
#include <jansson.h>

#include "src/est/iv.h"
#include "tests/est/refcase.h"

static const double TOL = 1e-9;

typedef struct ref_case {
    const char *set, *key;
    ref_spec s;
    double tol; /* 0: TOL */
} ref_case;

#define LW .y = "lw", .x = "expr tenure rns smsa", .clusters = "age"
#define CARD .y = "lwage", .endogenous = "educ"
#define REGION "reg661^reg662^reg663^reg664^reg665^reg666^reg667^reg668^reg669"
#define CIGAR .y = "Sales", .endogenous = "Price"

static const ref_case cases[] = {
    {"griliches76",
     "full_year_fe",
     {LW, .effects = "year", .endogenous = "s iq", .instruments = "med kww age mrt"},
     0},
    {"griliches76", "no_year", {LW, .endogenous = "s iq", .instruments = "med kww age mrt"}, 0},
    {"griliches76", "iq_by_age", {LW, .effects = "year", .endogenous = "iq", .instruments = "age"}, 0},
    {"griliches76", "iq_three", {LW, .effects = "year", .endogenous = "iq", .instruments = "med kww mrt"}, 0},
    {"card", "just", {CARD, .x = "exper expersq black south", .instruments = "nearc4"}, 0},
    {"card", "over", {CARD, .x = "exper expersq black south", .instruments = "nearc4 nearc2"}, 0},
    {"card",
     "cluster_region",
     {CARD, .x = "exper expersq black south smsa", .instruments = "nearc4 nearc2", .effects = REGION,
      .clusters = REGION},
     0},
    {"cigar", "iv_pooled", {CIGAR, .instruments = "Pimin", .clusters = "State"}, 0},
    {"cigar", "iv_cpi", {CIGAR, .x = "CPI", .instruments = "Pimin", .clusters = "State Year"}, 0},
    {"cigar", "iv_over", {CIGAR, .instruments = "Pimin CPI", .clusters = "State Year"}, 0},
    {"cigar", "iv_over_1way", {CIGAR, .instruments = "Pimin CPI", .clusters = "State"}, 0},
    {"cigar",
     "iv_state_fe",
     {CIGAR, .x = "NDI", .instruments = "Pimin", .effects = "State", .clusters = "State"},
     0},
    {"cigar", "iv_state_fe_nox", {CIGAR, .instruments = "Pimin", .effects = "State", .clusters = "State"}, 0},
    {"cigar",
     "iv_twoway_fe",
     {CIGAR, .x = "NDI", .instruments = "Pimin", .effects = "State Year", .clusters = "State Year"},
     0},
    {"fem_ftest", "iv", {.y = "Y", .endogenous = "X1 X2", .instruments = "Z1 Z2", .effects = "id"}, 0},
};

static int compared;

static void same(const ref_case *c, const json_t *ref, const char *key, double got)
{
    const json_t *v = json_object_get(ref, key);
    if (!json_is_number(v)) return;
    double want = json_number_value(v);
    compared++;
    if (test_rel_equal(got, want, c->tol > 0 ? c->tol : TOL)) return;
    print_error("%s %s: %s: %.15g, reference %.15g\n", c->set, c->key, key, got, want);
    fail();
}

static void same_terms(const ref_case *c, const json_t *ref, const pfx_fit *f, bool errors)
{
    const char *term;
    json_t *v;
    json_object_foreach((json_t *)ref, term, v)
    {
        const pfx_coef *x = ref_coef(f, term);
        same(c, ref, term, errors ? x->std_error : x->estimate);
    }
}

static pfx_fit *fit(const ref_case *c, const ref_table *t, pfx_vcov_type vcov, pfx_ssc ssc)
{
    return ref_fit(t, &c->s, ref_options(vcov, ssc));
}

static void check_stages(const ref_case *c, const json_t *ref, const pfx_fit *f, const char *key)
{
    const json_t *list = json_object_get(ref, "first_stage");
    assert_int_equal(json_array_size(list), f->iv->n_endogenous);
    for (int j = 0; j < f->iv->n_endogenous; j++)
        same(c, json_array_get(list, (size_t)j), key, f->iv->stage[j].excluded.statistic);
}

static void check_iid(const ref_case *c, const json_t *ref, const ref_table *t)
{
    const json_t *se = json_object_get(ref, "se");
    pfx_fit *f = fit(c, t, PFX_VCOV_IID, PFX_SSC_STATA), *large = fit(c, t, PFX_VCOV_IID, PFX_SSC_NONE);
    same(c, ref, "n", (double)f->n_obs);
    same(c, ref, "rss", f->ssr);
    same(c, ref, "rmse_large", f->rmse);
    same(c, ref, "rmse_small", f->rmse_df);
    same(c, ref, "r2", f->r2);
    same_terms(c, json_object_get(ref, "coef"), f, false);
    same_terms(c, json_object_get(se, "iid_small"), f, true);
    same_terms(c, json_object_get(se, "iid_large"), large, true);
    same(c, ref, "anderson_lm", f->iv->kp_lm.statistic);
    same(c, ref, "id_df", f->iv->kp_lm.df1);
    same(c, ref, "cragg_donald_F", f->iv->cd_f);
    same(c, ref, "sargan", f->iv->j.statistic);
    if (f->iv->n_endogenous == 1) same(c, ref, "first_stage_r2_partial", f->iv->stage[0].partial_r2);
    check_stages(c, ref, f, "F_iid");
    pfx_fit_free(f);
    pfx_fit_free(large);
}

static void check_robust(const ref_case *c, const json_t *ref, const ref_table *t)
{
    const json_t *se = json_object_get(ref, "se");
    pfx_fit *f = fit(c, t, PFX_VCOV_HC1, PFX_SSC_STATA), *large = fit(c, t, PFX_VCOV_HC1, PFX_SSC_NONE);
    same_terms(c, json_object_get(se, "HC0"), large, true);
    same_terms(c, json_object_get(se, "HC1"), f, true);
    same(c, ref, "KP_rk_LM_robust", f->iv->kp_lm.statistic);
    same(c, ref, "KP_rk_LM_robust_p", f->iv->kp_lm.p_value);
    same(c, ref, "KP_rk_Wald_F_robust", f->iv->kp_f);
    same(c, ref, "hansen_J_robust", f->iv->j.statistic);
    check_stages(c, ref, f, "F_HC1");
    pfx_fit_free(f);
    pfx_fit_free(large);
}

static void check_clustered(const ref_case *c, const json_t *ref, const ref_table *t)
{
    const json_t *se = json_object_get(ref, "se");
    if (!c->s.clusters || !json_object_get(ref, "G")) return;
    pfx_vcov_type vcov = strchr(c->s.clusters, ' ') ? PFX_VCOV_TWOWAY : PFX_VCOV_CLUSTER;
    pfx_fit *f = fit(c, t, vcov, PFX_SSC_STATA), *large = fit(c, t, vcov, PFX_SSC_NONE),
            *nested = fit(c, t, vcov, PFX_SSC_FIXEST);
    /* stata's two-way rule scales each component by its own clusters; the reference takes the smaller number
     * for all */
    if (vcov == PFX_VCOV_CLUSTER) same_terms(c, json_object_get(se, "CL_small"), f, true);
    same_terms(c, json_object_get(se, "CL_nested"), nested, true);
    same_terms(c, json_object_get(se, "CL_raw"), large, true);
    same(c, ref, "KP_rk_LM_cluster", f->iv->kp_lm.statistic);
    same(c, ref, "KP_rk_LM_cluster_p", f->iv->kp_lm.p_value);
    same(c, ref, "KP_rk_Wald_F_cluster", f->iv->kp_f);
    same(c, ref, "hansen_J_cluster", f->iv->j.statistic);
    check_stages(c, ref, f, "F_CL");
    pfx_fit_free(f);
    pfx_fit_free(large);
    pfx_fit_free(nested);
}

static void check_set(const char *set)
{
    char csv[64], ref[64];
    snprintf(csv, sizeof csv, "%s.csv", set);
    snprintf(ref, sizeof ref, "%s.ref.json", set);
    bool own = strcmp(set, "griliches76") == 0;
    if (!own) SKIP_WITHOUT(csv);
    ref_table *t = ref_read(own ? ref_own(csv) : test_refdata(csv));
    json_t *file = json_load_file(own ? ref_own(ref) : test_refdata(ref), 0, NULL);
    assert_non_null(file);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const ref_case *c = &cases[i];
        if (strcmp(c->set, set) != 0) continue;
        const json_t *r = json_object_get(file, c->key);
        assert_non_null(r);
        compared = 0;
        check_iid(c, r, t);
        check_robust(c, r, t);
        check_clustered(c, r, t);
        assert_true(compared > 15);
        print_message("%s %s: %d numbers\n", c->set, c->key, compared);
    }
    json_decref(file);
    ref_free(t);
}

static void test_griliches(void **state)
{
    (void)state;
    check_set("griliches76");
}
static void test_card(void **state)
{
    (void)state;
    check_set("card");
}
static void test_cigar(void **state)
{
    (void)state;
    check_set("cigar");
}
static void test_ftest(void **state)
{
    (void)state;
    check_set("fem_ftest");
}

/* ---- Stata's log ---- */

/* A printed number is right to half a unit of its last digit. */
static void same_printed(const char *section, const char *what, double got, const char *text)
{
    char *end;
    double want = strtod(text, &end);
    if (end == text) return;
    const char *e = strpbrk(text, "eE"), *dot = strchr(text, '.');
    int decimals = dot && dot < end ? (int)((e && e < end ? e : end) - dot) - 1 : 0,
        exponent = e && e < end ? atoi(e + 1) : 0;
    double unit = pow(10, exponent - decimals);
    compared++;
    if (fabs(got - want) <= 0.5001 * unit + 1e-9 * fabs(want)) return;
    print_error("%s: %s: %.15g, Stata prints %.*s\n", section, what, got, (int)(end - text), text);
    fail();
}

/* The line of the section that begins with key and a tab, from its tab; *at moves behind it. */
static const char *line_of(const char **at, const char *end, const char *key)
{
    size_t n = strlen(key);
    for (const char *p = *at; p && p < end; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
        if (strncmp(p, key, n) == 0 && p[n] == '\t') {
            *at = strchr(p, '\n') + 1;
            return p + n + 1;
        }
    return NULL;
}

static void check_section(const char *name, const char *log, const pfx_fit *f, bool small, bool constant)
{
    const char *at = strstr(log, name);
    if (!at) fail_msg("no section %s", name);
    const char *end = strstr(at, "\n\n\n"), *v, *rest = at;
    if (!end) end = at + strlen(at);
    compared = 0;
    for (int i = 0; i < f->k; i++) {
        const char *p = at, *term = strcmp(f->coef[i].term, "(Intercept)") == 0 ? "_cons" : f->coef[i].term;
        if (!(v = line_of(&p, end, term))) fail_msg("%s: no term %s", name, term);
        same_printed(name, term, f->coef[i].estimate, v);
        same_printed(name, "t", f->coef[i].statistic, p + 1); /* the next line: tab, t */
        const char *V = strstr(at, "Variance");
        V = strchr(strchr(V, '\n') + 1, '\n') +
            1; /* behind the line that says V; the terms follow in a line */
        char head[256];
        snprintf(head, sizeof head, "%.*s", (int)(strchr(V, '\n') - V), V);
        if (!(v = line_of(&V, end, term))) fail_msg("%s: no variance of %s", name, term);
        for (char *save, *col = strtok_r(head, "\t", &save); col && v; col = strtok_r(NULL, "\t", &save)) {
            pfx_idx j = ref_coef(f, strcmp(col, "_cons") == 0 ? "(Intercept)" : col) - f->coef;
            same_printed(name, "V", f->V[i * f->k + j], v);
            if ((v = strpbrk(v, "\t\n"))) v++;
        }
    }
    if ((v = line_of(&rest, end, "rss"))) same_printed(name, "rss", f->ssr, v);
    rest = at;
    if ((v = line_of(&rest, end, "rmse"))) same_printed(name, "rmse", small ? f->rmse_df : f->rmse, v);
    rest = at;
    if (constant && (v = line_of(&rest, end, "r2"))) same_printed(name, "r2", f->r2, v);
    rest = at;
    if (small && constant && (v = line_of(&rest, end, "F"))) same_printed(name, "F", f->f, v);
    assert_true(compared >= 2 + 2 * f->k + f->k * f->k);
}

static char *slurp(const char *path)
{
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    fseek(in, 0, SEEK_END);
    size_t n = (size_t)ftell(in);
    char *text = calloc(n + 1, 1);
    rewind(in);
    assert_int_equal(fread(text, 1, n, in), n);
    fclose(in);
    return text;
}

static void test_ivregress(void **state)
{
    static const struct {
        const char *vce, *y, *clusters;
        pfx_vcov_type vcov;
    } kinds[] = {{"unadjusted", "y_unadjusted", NULL, PFX_VCOV_IID},
                 {"robust", "y_robust", NULL, PFX_VCOV_HC1},
                 {"cluster cluster_id", "y_clustered", "cluster_id", PFX_VCOV_CLUSTER}};
    static const struct {
        int d, x, z;
    } shapes[] = {{1, 0, 1}, {1, 0, 2}, {2, 0, 2}, {1, 3, 1}, {1, 3, 2}, {2, 3, 2}};
    (void)state;
    SKIP_WITHOUT("stata_simiv.csv");
    ref_table *t = ref_read(test_refdata("stata_simiv.csv"));
    char *log = slurp(test_refdata("stata_simiv.stata.txt")), name[256];
    int sections = 0;
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < 6; i++)
            for (int bits = 0; bits < 8; bits++) {
                bool weighted = bits & 1, small = bits & 2, constant = !(bits & 4);
                snprintf(name, sizeof name,
                         "!2sls-num_endog_%d-num_exog_%d-num_instr_%d-weighted_%s-vce(%s)-%s%s!", shapes[i].d,
                         shapes[i].x, shapes[i].z, weighted ? "True" : "False", kinds[k].vce,
                         small ? "small" : "",
                         constant ? ""
                         : small  ? "_noconstant"
                                  : "noconstant");
                ref_spec s = {.y = kinds[k].y,
                              .x = shapes[i].x ? "x3 x4 x5" : NULL,
                              .endogenous = shapes[i].d == 2 ? "x1 x2" : "x1",
                              .instruments = shapes[i].z == 2 ? "z1 z2" : "z1",
                              .clusters = kinds[k].clusters,
                              .weights = weighted ? "weights" : NULL,
                              .no_intercept = !constant};
                pfx_fit *f =
                    ref_fit(t, &s, ref_options(kinds[k].vcov, small ? PFX_SSC_FIXEST : PFX_SSC_NONE));
                check_section(name, log, f, small, constant);
                sections++;
                pfx_fit_free(f);
            }
    print_message("ivregress: %d sections\n", sections);
    free(log);
    ref_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_griliches), cmocka_unit_test(test_card),
                                       cmocka_unit_test(test_cigar), cmocka_unit_test(test_ftest),
                                       cmocka_unit_test(test_ivregress)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
