/* OLS with effects against the reference results of shared/data: coefficients, variances under each rule, fit
 * statistics, counts. Every key of issue 2's part, to 1e-9 relative. */
#include <jansson.h>

#include "tests/est/refcase.h"

static const double TOL = 1e-9;

/* Compare `got` with a number of the reference, where it has one. Returns true if compared. */
static bool same(const json_t *ref, const char *key, double got)
{
    json_t *v = json_object_get(ref, key);
    if (!json_is_number(v)) return false;
    double want = json_number_value(v);
    if (!test_rel_equal(got, want, TOL)) {
        print_error("%s: %.15g, reference %.15g\n", key, got, want);
        fail();
    }
    return true;
}

/* Standard errors under a key of "se", times a factor. */
static bool same_se(const json_t *ref, const char *key, const pfx_fit *f, double factor)
{
    json_t *se = json_object_get(json_object_get(ref, "se"), key), *v;
    const char *term;
    if (!se) return false;
    json_object_foreach(se, term, v)
    {
        double got = factor * ref_coef(f, term)->std_error, want = json_number_value(v);
        if (test_rel_equal(got, want, TOL)) continue;
        print_error("se %s %s: %.15g, reference %.15g\n", key, term, got, want);
        fail();
    }
    return true;
}

static void same_matrix(const json_t *ref, const char *key, const pfx_fit *f)
{
    json_t *V = json_object_get(json_object_get(ref, "vcov"), key);
    if (!V) return;
    assert_int_equal(json_array_size(V), f->k);
    for (int i = 0; i < f->k; i++)
        for (int j = 0; j < f->k; j++) {
            double want = json_number_value(json_array_get(json_array_get(V, (size_t)i), (size_t)j));
            /* relative to the scale of the entry, not to an entry that cancelled */
            assert_abs(f->V[i * f->k + j], want, TOL * sqrt(f->V[i * f->k + i] * f->V[j * f->k + j]));
        }
}

static void check_fit_statistics(const json_t *ref, const pfx_fit *f)
{
    json_t *b = json_object_get(ref, "coef"), *v;
    const char *term;
    assert_int_equal(json_object_size(b), f->k);
    json_object_foreach(b, term, v)
    {
        double want = json_number_value(v), got = ref_coef(f, term)->estimate;
        if (!test_rel_equal(got, want, TOL)) {
            print_error("%s: %.15g, reference %.15g\n", term, got, want);
            fail();
        }
    }
    bool intercept = strcmp(f->coef[0].term, "(Intercept)") == 0;
    assert_true(same(ref, "n", (double)f->n_obs));
    assert_true(same(ref, "rss", f->ssr));
    assert_true(same(ref, "tss", f->tss));
    assert_true(same(ref, "r2", f->r2));
    assert_true(same(ref, "adj_r2", f->adj_r2));
    assert_true(same(ref, "r2_within", f->within_r2));
    assert_true(same(ref, "adj_r2_within", f->adj_within_r2));
    assert_true(same(ref, "rmse", f->rmse_df));
    assert_true(same(ref, "loglik", f->log_likelihood));
    assert_true(same(ref, "df_resid", f->df_residual));
    assert_true(same(ref, "k_total", (double)f->n_obs - f->df_residual));
    assert_true(same(ref, "k_fe", (double)f->df_absorbed + intercept));
    json_object_foreach(json_object_get(ref, "fe_levels"), term, v)
    {
        bool found = false;
        for (int e = 0; e < f->n_effects; e++)
            if (strcmp(f->effects[e].name, term) == 0) {
                found = true;
                assert_int_equal(f->effects[e].levels, json_integer_value(v));
            }
        assert_true(found);
    }
}

static void check_unclustered(const ref_table *t, const ref_spec *s, const json_t *ref)
{
    pfx_fit *f = ref_fit(t, s, ref_options(PFX_VCOV_IID, PFX_SSC_FIXEST));
    check_fit_statistics(ref, f);
    assert_true(same_se(ref, "iid", f, 1));
    assert_true(same(ref, "F_iid", f->f));
    assert_true(f->f_df2 == json_number_value(json_array_get(json_object_get(ref, "F_iid_df"), 1)));
    pfx_fit_free(f);
    f = ref_fit(t, s, ref_options(PFX_VCOV_HC1, PFX_SSC_FIXEST));
    assert_true(same_se(ref, "HC1", f, 1));
    pfx_fit_free(f);
    f = ref_fit(t, s, ref_options(PFX_VCOV_HC1, PFX_SSC_NONE));
    assert_true(same_se(ref, "HC0", f, 1));
    pfx_fit_free(f);
}

static void check_nested_flags(const json_t *ref, const pfx_fit *f)
{
    json_t *v;
    const char *term;
    json_object_foreach(json_object_get(ref, "fe_nested_in_cl1"), term,
                        v) for (int e = 0; e < f->n_effects; e++) if (strcmp(f->effects[e].name, term) == 0)
        assert_int_equal(f->effects[e].nested_in_cluster, json_is_true(v));
}

static void check_cluster(const ref_table *t, const ref_spec *s, const json_t *ref)
{
    pfx_fit *f = ref_fit(t, s, ref_options(PFX_VCOV_CLUSTER, PFX_SSC_NONE));
    double G = (double)f->clusters[0].levels;
    assert_true(same(ref, "G1", G));
    assert_true(same_se(ref, "CL1_raw", f, 1));
    assert_true(same_se(ref, "CL1_cadj", f, sqrt(G / (G - 1))));
    assert_true(f->df_t == G - 1);
    pfx_fit_free(f);
    f = ref_fit(t, s, ref_options(PFX_VCOV_CLUSTER, PFX_SSC_STATA));
    assert_true(same_se(ref, "CL1_stata", f, 1));
    assert_true(same(ref, "F_CL1_stata", f->f));
    pfx_fit_free(f);
    const pfx_ssc nested[] = {PFX_SSC_FIXEST, PFX_SSC_REGHDFE};
    for (int i = 0; i < 2; i++) {
        f = ref_fit(t, s, ref_options(PFX_VCOV_CLUSTER, nested[i]));
        assert_true(same_se(ref, "CL1_nested", f, 1));
        assert_true(same(ref, "F_CL1_nested", f->f));
        assert_true(same(ref, "k_nested_adj", f->k_adj));
        same_matrix(ref, "CL1_nested", f);
        check_nested_flags(ref, f);
        pfx_fit_free(f);
    }
}

static void check_twoway(const ref_table *t, const ref_spec *s, const json_t *ref)
{
    pfx_fit *f = ref_fit(t, s, ref_options(PFX_VCOV_TWOWAY, PFX_SSC_NONE));
    double G1 = (double)f->clusters[0].levels, G2 = (double)f->clusters[1].levels, G = fmin(G1, G2);
    double n = (double)f->n_obs, K = n - f->df_residual;
    assert_true(same(ref, "G2", G2));
    assert_true(same_se(ref, "CL2_raw", f, 1));
    assert_true(same_se(ref, "CL2_min", f, sqrt(G / (G - 1))));
    assert_true(same_se(ref, "CL2_min_stata", f, sqrt(G / (G - 1) * (n - 1) / (n - K))));
    assert_true(f->df_t == G - 1);
    assert_false(f->v_floored);
    pfx_fit_free(f);
    f = ref_fit(t, s, ref_options(PFX_VCOV_TWOWAY, PFX_SSC_STATA));
    assert_true(same_se(ref, "CL2_cgm_stata", f, 1));
    assert_true(same_se(ref, "CL2_cgm", f, sqrt((n - K) / (n - 1))));
    pfx_fit_free(f);
    const pfx_ssc nested[] = {PFX_SSC_FIXEST, PFX_SSC_REGHDFE};
    for (int i = 0; i < 2; i++) {
        f = ref_fit(t, s, ref_options(PFX_VCOV_TWOWAY, nested[i]));
        assert_true(same_se(ref, "CL2_min_nested", f, 1));
        assert_true(same(ref, "F_CL2_min_nested", f->f));
        assert_true(same(ref, "k_nested_adj2", f->k_adj));
        pfx_fit_free(f);
    }
}

/* One block of a reference file; clusters: the second for two-way keys, where it has them. */
static void check_block(const ref_table *t, const json_t *file, const char *block, const ref_spec *s)
{
    json_t *ref = json_object_get(file, block);
    assert_non_null(ref);
    check_unclustered(t, s, ref);
    check_cluster(t, s, ref);
    char *blank = strchr(s->clusters, ' ');
    assert_int_equal(blank != NULL, json_object_get(ref, "G2") != NULL);
    if (!blank) return;
    check_twoway(t, s, ref);
    ref_spec second = *s;
    second.clusters = blank + 1;
    pfx_fit *f = ref_fit(t, &second, ref_options(PFX_VCOV_CLUSTER, PFX_SSC_STATA));
    assert_true(same_se(ref, "CL1b_stata", f, 1));
    pfx_fit_free(f);
}

typedef struct block {
    const char *name;
    ref_spec spec;
} block;

static void check_set(const char *csv, const char *ref, int n, const block *blocks)
{
    json_error_t why;
    ref_table *t = ref_read(csv);
    json_t *file = json_load_file(ref, 0, &why);
    if (!file) fail_msg("%s: %s", ref, why.text);
    for (int i = 0; i < n; i++) check_block(t, file, blocks[i].name, &blocks[i].spec);
    json_decref(file);
    ref_free(t);
}

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static void petersen(void **state)
{
    (void)state;
    static const block blocks[] = {
        {"ols", {.y = "y", .x = "x", .clusters = "firm year"}},
        {"ols_cl_year", {.y = "y", .x = "x", .clusters = "year"}},
        {"firm_fe", {.y = "y", .x = "x", .effects = "firm", .clusters = "firm year"}},
        {"year_fe", {.y = "y", .x = "x", .effects = "year", .clusters = "firm year"}},
        {"twoway", {.y = "y", .x = "x", .effects = "firm year", .clusters = "firm year"}},
    };
    check_set(ref_own("petersen.csv"), ref_own("petersen.ref.json"), COUNT(blocks), blocks);
}

static void grunfeld(void **state)
{
    (void)state;
    static const block blocks[] = {
        {"firm_fe", {.y = "inv", .x = "value capital", .effects = "firm", .clusters = "firm year"}},
        {"twoway", {.y = "inv", .x = "value capital", .effects = "firm year", .clusters = "firm year"}},
    };
    check_set(ref_own("grunfeld.csv"), ref_own("grunfeld.ref.json"), COUNT(blocks), blocks);
}

static void usairlines(void **state)
{
    (void)state;
    SKIP_WITHOUT("usairlines.csv");
    static const block blocks[] = {
        {"firm_fe", {.y = "lcost", .x = "lout lprice load", .effects = "firm", .clusters = "firm year"}},
        {"twoway", {.y = "lcost", .x = "lout lprice load", .effects = "firm year", .clusters = "firm year"}},
    };
    check_set(test_refdata("usairlines.csv"), test_refdata("usairlines.ref.json"), COUNT(blocks), blocks);
}

static void cigar(void **state)
{
    (void)state;
    SKIP_WITHOUT("cigar.csv");
    static const block blocks[] = {
        {"state_fe_cl_state", {.y = "Sales", .x = "Price", .effects = "State", .clusters = "State Year"}},
        {"state_fe_cl_year", {.y = "Sales", .x = "Price", .effects = "State", .clusters = "Year"}},
        {"twoway", {.y = "Sales", .x = "Price NDI Pimin", .effects = "State Year", .clusters = "State Year"}},
        {"pooled", {.y = "Sales", .x = "Price", .clusters = "State Year"}},
    };
    check_set(test_refdata("cigar.csv"), test_refdata("cigar.ref.json"), COUNT(blocks), blocks);
}

static void trade(void **state)
{
    (void)state;
    SKIP_WITHOUT("trade.csv");
    static const block blocks[] = {
        {"fe4",
         {.y = "leuros",
          .x = "ldist",
          .effects = "origin destination product year",
          .clusters = "origin destination"}},
        {"fe4_cl1",
         {.y = "leuros", .x = "ldist", .effects = "origin destination product year", .clusters = "od"}},
    };
    check_set(test_refdata("trade.csv"), test_refdata("trade.ref.json"), COUNT(blocks), blocks);
}

static void base_did(void **state)
{
    (void)state;
    SKIP_WITHOUT("base_did.csv");
    static const block blocks[] = {
        {"did", {.y = "y", .x = "x1 did", .effects = "id period", .clusters = "id period"}},
        {"event",
         {.y = "y",
          .x = "x1 tp1 tp2 tp3 tp4 tp6 tp7 tp8 tp9 tp10",
          .effects = "id period",
          .clusters = "id"}},
    };
    check_set(test_refdata("base_did.csv"), test_refdata("base_did.ref.json"), COUNT(blocks), blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(petersen), cmocka_unit_test(grunfeld), cmocka_unit_test(usairlines),
        cmocka_unit_test(cigar),    cmocka_unit_test(trade),    cmocka_unit_test(base_did),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
