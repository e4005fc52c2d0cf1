/* CRV3, CV3J, CR2, Newey-West and Driscoll-Kraay: against references, refits, explicit matrices and double
 * sums. */
#include <jansson.h>

#include "src/base/mem.h"
#include "src/est/iv.h"
#include "src/rep/cluster_vcov.h"
#include "tests/est/dense_vcov.h"
#include "tests/est/iv_panel.h"
#include "tests/est/resample.h"

static const double TOL = 1e-9;

static pfx_fit_options options(pfx_vcov_type type)
{
    pfx_fit_options o = ref_options(type, PFX_SSC_FIXEST);
    o.cluster_vcov = pfx_cluster_vcov;
    return o;
}

static bool has_instruments(const pfx_design *d)
{
    bool any = false;
    for (int j = 0; j < d->p; j++) any |= d->role[j] == PFX_INSTRUMENT;
    return any;
}

/* Where the twin's coefficients, in the order of the columns, stand among those of the fit. */
static void find_coefficients(const pfx_design *d, const pfx_fit *f, int *at)
{
    int n = 0;
    for (int j = d->intercept ? -1 : 0; j < d->p - 1; j++) {
        const char *name = j < 0 ? "(Intercept)" : d->name[j];
        if (j >= 0 && d->role[j] == PFX_INSTRUMENT) continue;
        for (at[n] = 0; strcmp(f->coef[at[n]].term, name);) assert_true(++at[n] < f->k);
        n++;
    }
    assert_int_equal(n, f->k);
}

/* ---- the jackknife ---- */

static void check_reference(const char *csv, const char *json, const char *block, const ref_spec *spec)
{
    static const pfx_vcov_type type[] = {PFX_VCOV_CRV3, PFX_VCOV_CV3J};
    json_error_t why;
    ref_table *t = ref_read(csv);
    json_t *file = json_load_file(json, 0, &why), *v;
    const char *term;
    assert_non_null(file);
    json_t *ref = json_object_get(json_object_get(file, block), "jackknife");
    for (int i = 0; i < 2; i++) {
        json_t *se = json_object_get(ref, i ? "CV3J" : "CV3");
        assert_true(json_object_size(se) > 0);
        pfx_fit *f = ref_fit(t, spec, options(type[i]));
        json_object_foreach(se, term, v) assert_rel(ref_coef(f, term)->std_error, json_number_value(v), TOL);
        assert_true(f->df_t == json_number_value(json_object_get(ref, "G")) - 1);
        assert_true(f->coef[0].df == f->df_t);
        assert_int_equal(f->n_singular, 0);
        pfx_fit_free(f);
    }
    json_decref(file);
    ref_free(t);
}

static void jackknife_references(void **state)
{
    static const struct {
        const char *set, *block;
        ref_spec spec;
    } shared[] = {
        {"usairlines",
         "firm_fe",
         {.y = "lcost", .x = "lout lprice load", .effects = "firm", .clusters = "firm"}},
        {"usairlines",
         "twoway",
         {.y = "lcost", .x = "lout lprice load", .effects = "firm year", .clusters = "firm"}},
        {"cigar",
         "twoway",
         {.y = "Sales", .x = "Price NDI Pimin", .effects = "State Year", .clusters = "State"}},
        {"base_did", "did", {.y = "y", .x = "x1 did", .effects = "id period", .clusters = "id"}},
        {"castle", "twfe", {.y = "l_homicide", .x = "post", .effects = "sid year", .clusters = "sid"}},
        {"regm",
         "twfe",
         {.y = "coll", .x = "merit male black asian", .effects = "state year", .clusters = "state"}},
        {"collapsed", "ols", {.y = "hasinsurance", .x = "selfemployed post post_self", .clusters = "year"}},
    };
    (void)state;
    const char *own[] = {"grunfeld.csv", "grunfeld.ref.json"};
    const ref_spec firm = {.y = "inv", .x = "value capital", .effects = "firm", .clusters = "firm"};
    const ref_spec both = {.y = "inv", .x = "value capital", .effects = "firm year", .clusters = "firm"};
    char path[2][4096];
    for (int i = 0; i < 2; i++) snprintf(path[i], sizeof path[i], "%s", ref_own(own[i]));
    check_reference(path[0], path[1], "firm_fe", &firm);
    check_reference(path[0], path[1], "twoway", &both);
    SKIP_WITHOUT("regm.csv");
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        const char *folder = getenv("PANELFX_REFDATA");
        snprintf(path[0], sizeof path[0], "%s/%s.csv", folder && *folder ? folder : "../shared/data",
                 shared[i].set);
        snprintf(path[1], sizeof path[1], "%s/%s.ref.json", folder && *folder ? folder : "../shared/data",
                 shared[i].set);
        check_reference(path[0], path[1], shared[i].block, &shared[i].spec);
    }
}

/* Five hundred firm effects beside clusters of years: they become columns. */
static void jackknife_petersen(void **state)
{
    (void)state;
    const ref_spec spec = {.y = "y", .x = "x", .effects = "firm year", .clusters = "year"};
    char csv[4096];
    snprintf(csv, sizeof csv, "%s", ref_own("petersen.csv"));
    check_reference(csv, ref_own("petersen.ref.json"), "twoway", &spec);
}

/* V from fits that literally leave a cluster out; a coefficient that is lost there counts as left out. */
static void check_refits(const pfx_design *d, pfx_vcov_type type, pfx_idx want_singular)
{
    pfx_err err = {0};
    pfx_fit *f = NULL;
    pfx_idx G = d->clusters[0].n_levels, singular = 0;
    uint8_t *count = malloc((size_t)G);
    memset(count, 1, (size_t)G);
    pfx_fit_options o = options(type);
    pfx_design *all = resample_design(d, count);
    assert_ok(pfx_fit_model(all, &o, &f, &err));
    int k = f->k;
    double *b = calloc((size_t)(G * k), sizeof *b), mean[8] = {0}, n[8] = {0};
    for (pfx_idx g = 0; g < G; g++) {
        pfx_fit *rest = NULL;
        pfx_fit_options plain = ref_options(PFX_VCOV_IID, PFX_SSC_NONE);
        count[g] = 0;
        pfx_design *left = resample_design(d, count);
        assert_ok(pfx_fit_model(left, &plain, &rest, &err));
        singular += rest->k < k;
        for (int j = 0; j < k; j++) {
            b[g * k + j] = NAN;
            for (int i = 0; i < rest->k; i++)
                if (!strcmp(rest->coef[i].term, f->coef[j].term)) b[g * k + j] = rest->coef[i].estimate;
            if (isnan(b[g * k + j])) continue;
            mean[j] += b[g * k + j];
            n[j]++;
        }
        pfx_fit_free(rest);
        ref_design_free(left);
        count[g] = 1;
    }
    assert_int_equal(singular, want_singular);
    assert_int_equal(f->n_singular, want_singular);
    for (int i = 0; i < k; i++)
        for (int j = 0; j < k; j++) {
            double ci = type == PFX_VCOV_CRV3 ? f->coef[i].estimate : mean[i] / n[i];
            double cj = type == PFX_VCOV_CRV3 ? f->coef[j].estimate : mean[j] / n[j], v = 0;
            for (pfx_idx g = 0; g < G; g++)
                if (!isnan(b[g * k + i]) && !isnan(b[g * k + j]))
                    v += (b[g * k + i] - ci) * (b[g * k + j] - cj);
            v *= sqrt((n[i] - 1) / n[i] * (n[j] - 1) / n[j]);
            assert_abs(f->V[i * k + j], v, TOL * sqrt(f->V[i * k + i] * f->V[j * k + j]));
        }
    for (int j = 0; j < k; j++) assert_true(f->coef[j].df == n[j] - 1);
    free(b);
    free(count);
    pfx_fit_free(f);
    ref_design_free(all);
}

static void jackknife_refits(void **state)
{
    (void)state;
    made_panel a = made_panel_new(36, 3);
    const struct {
        int effects, cluster;
        pfx_weights_kind kind;
    } cases[] = {{0, TOWN, PFX_W_NONE},
                 {FIRM, FIRM, PFX_W_NONE},
                 {FIRM | YEAR, FIRM, PFX_W_ANALYTIC},
                 {FIRM | YEAR, INDUSTRY, PFX_W_FREQUENCY},
                 {YEAR, GROUP, PFX_W_NONE}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        pfx_design *d = made_design(&a, cases[c].effects, cases[c].cluster, cases[c].kind);
        check_refits(d, PFX_VCOV_CRV3, 0);
        check_refits(d, PFX_VCOV_CV3J, 0);
        ref_design_free(d);
    }
    /* x0 is a dummy of firm 3's last rows: without that firm it is nothing. */
    pfx_design *d = made_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE);
    for (pfx_idx i = 0; i < d->n; i++) d->Z[i * d->p] = a.firm[i] == 3 && a.year[i] >= 4;
    check_refits(d, PFX_VCOV_CRV3, 1);
    check_refits(d, PFX_VCOV_CV3J, 1);
    ref_design_free(d);
    made_panel_free(&a);
}

/* ---- CR2 ---- */

static void check_cr2(const pfx_design *d, pfx_idx want_singular)
{
    pfx_err err = {0};
    double V[64], df[8];
    int at[8];
    dense_ols dense = has_instruments(d) ? dense_iv_new(d) : dense_ols_new(d);
    dense_cr2(&dense, d, V, df);
    uint8_t *count = malloc((size_t)d->clusters[0].n_levels);
    memset(count, 1, (size_t)d->clusters[0].n_levels);
    pfx_design *own = resample_design(d, count);
    pfx_fit *f = NULL;
    pfx_fit_options o = options(PFX_VCOV_CR2);
    assert_ok(pfx_fit_model(own, &o, &f, &err));
    assert_int_equal(f->k, dense.k);
    assert_int_equal(f->n_singular, want_singular);
    find_coefficients(own, f, at);
    for (int i = 0; i < f->k; i++) {
        assert_rel(f->coef[at[i]].df, df[i], TOL);
        for (int j = 0; j < f->k; j++)
            assert_abs(f->V[at[i] * f->k + at[j]], V[i * f->k + j],
                       TOL * sqrt(V[i * f->k + i] * V[j * f->k + j]));
    }
    pfx_fit_free(f);
    ref_design_free(own);
    free(count);
    dense_ols_free(&dense);
}

static void cr2_dense(void **state)
{
    (void)state;
    made_panel a = made_panel_new(36, 2);
    const struct {
        int effects, cluster;
        pfx_weights_kind kind;
    } cases[] = {
        {0, FIRM, PFX_W_NONE},           {0, TOWN, PFX_W_ANALYTIC},           {FIRM, FIRM, PFX_W_NONE},
        {FIRM | YEAR, FIRM, PFX_W_NONE}, {FIRM | YEAR, TOWN, PFX_W_ANALYTIC}, {YEAR, GROUP, PFX_W_NONE}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        pfx_design *d = made_design(&a, cases[c].effects, cases[c].cluster, cases[c].kind);
        check_cr2(d, 0);
        ref_design_free(d);
    }
    pfx_design *d = made_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE);
    for (pfx_idx i = 0; i < d->n; i++) d->Z[i * d->p] = a.firm[i] == 3 && a.year[i] >= 4;
    check_cr2(d, 1);
    ref_design_free(d);
    made_panel_free(&a);
}

/* ---- Newey-West and Driscoll-Kraay ---- */

/* Years two apart, named in no order of their codes. With l instruments for n endogenous variables, or 0. */
static pfx_design *timed(const made_panel *a, int effects, pfx_vcov_type type, int n, int l, int *rank)
{
    int clusters = type == PFX_VCOV_NW ? FIRM | YEAR : YEAR;
    pfx_design *d = l ? iv_design(a, effects, clusters, PFX_W_ANALYTIC, n, l)
                      : made_design(a, effects, clusters, PFX_W_ANALYTIC);
    d->time = pfx_mem_alloc(d->n, sizeof *d->time, NULL);
    for (pfx_idx i = 0; i < d->n; i++) {
        rank[i] = (a->year[i] + 4) % 7; /* code 3 is the first year */
        d->time[i] = 2000 + 2.0 * rank[i];
    }
    return d;
}

static void check_hac(const made_panel *a, int effects, pfx_vcov_type type, int lag, double k_adj, int n_d,
                      int n_z)
{
    pfx_err err = {0};
    pfx_fit *f = NULL;
    double V[64];
    int *rank = calloc((size_t)a->n, sizeof *rank);
    int at[8];
    pfx_design *d = timed(a, effects, type, n_d, n_z, rank);
    dense_ols dense = n_z ? dense_iv_new(d) : dense_ols_new(d);
    dense_hac(&dense, type == PFX_VCOV_NW ? a->firm : NULL, rank, lag < 0 ? 1 : lag, V);
    pfx_fit_options o = options(type);
    o.fixed_lag = lag >= 0;
    o.lag = lag;
    assert_ok(pfx_fit_model(d, &o, &f, &err));
    assert_int_equal(f->lag, lag < 0 ? 1 : lag); /* 7^(1/4) = 1.6 */
    assert_int_equal(f->n_periods, 7);
    assert_true(f->df_t == 6);
    assert_true(f->k_adj == k_adj);
    find_coefficients(d, f, at);
    double n = (double)a->n, factor = (n - 1) / (n - k_adj) * 7 / 6;
    for (int i = 0; i < f->k; i++)
        for (int j = 0; j < f->k; j++)
            assert_abs(f->V[at[i] * f->k + at[j]], factor * V[i * f->k + j],
                       TOL * factor * sqrt(V[i * f->k + i] * V[j * f->k + j]));
    pfx_fit_free(f);
    dense_ols_free(&dense);
    ref_design_free(d);
    free(rank);
}

static void hac_double_sums(void **state)
{
    (void)state;
    made_panel a = made_panel_new(36, 2);
    for (int lag = -1; lag < 7; lag++) {
        check_hac(&a, 0, PFX_VCOV_NW, lag, 3, 0, 0);
        check_hac(&a, 0, PFX_VCOV_DK, lag, 3, 0, 0);
    }
    /* Effects nested in the unit or the period are not counted, the constant that they carry is. */
    check_hac(&a, FIRM | YEAR, PFX_VCOV_NW, 2, 2 + 1, 0, 0);
    check_hac(&a, FIRM | YEAR, PFX_VCOV_DK, 2, 2 + 36, 0, 0);
    check_hac(&a, FIRM, PFX_VCOV_DK, 3, 2 + 36, 0, 0);
    made_panel_free(&a);
}

static void hac_limits(void **state)
{
    (void)state;
    pfx_err err = {0};
    pfx_fit *f = NULL;
    made_panel a = made_panel_new(36, 2);
    int *rank = calloc((size_t)a.n, sizeof *rank);
    pfx_fit_options o = options(PFX_VCOV_NW);
    o.fixed_lag = true;
    o.lag = 7;
    pfx_design *d = timed(&a, FIRM, PFX_VCOV_NW, 0, 0, rank);
    assert_int_equal(pfx_fit_model(d, &o, &f, &err), PFX_EDATA);
    assert_non_null(strstr(err.msg, "at most 6"));
    ref_design_free(d);
    /* Two rows of one firm in one year. */
    pfx_err_clear(&err);
    o.lag = 1;
    d = timed(&a, FIRM, PFX_VCOV_NW, 0, 0, rank);
    d->clusters[1].code[1] = d->clusters[1].code[0];
    assert_int_equal(pfx_fit_model(d, &o, &f, &err), PFX_EDATA);
    assert_non_null(strstr(err.msg, "several rows"));
    ref_design_free(d);
    free(rank);
    made_panel_free(&a);
}

/* ---- two-stage least squares ---- */

static void of_two_stages(void **state)
{
    (void)state;
    static const struct {
        int effects, cluster;
        pfx_weights_kind kind;
        int n, l;
    } cases[] = {{0, TOWN, PFX_W_NONE, 1, 1},
                 {FIRM, FIRM, PFX_W_NONE, 1, 3},
                 {FIRM | YEAR, FIRM, PFX_W_ANALYTIC, 2, 3},
                 {FIRM | YEAR, INDUSTRY, PFX_W_ANALYTIC, 2, 2},
                 {YEAR, GROUP, PFX_W_NONE, 1, 2}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        int n = cases[c].n, l = cases[c].l;
        made_panel a = iv_panel_new(36, n, l);
        pfx_design *d = iv_design(&a, cases[c].effects, cases[c].cluster, cases[c].kind, n, l);
        check_refits(d, PFX_VCOV_CRV3, 0);
        check_refits(d, PFX_VCOV_CV3J, 0);
        check_cr2(d, 0);
        ref_design_free(d);
        int effects = cases[c].effects & FIRM;
        check_hac(&a, effects, PFX_VCOV_NW, (int)c, effects ? 2 + n + 1 : 3 + n, n, l);
        check_hac(&a, effects, PFX_VCOV_DK, (int)c, effects ? 2 + n + 36 : 3 + n, n, l);
        made_panel_free(&a);
    }
}

/* What is said of the instruments is by the clusters' scores where the coefficients' variance leaves clusters
 * out. */
static void instruments_by_scores(void **state)
{
    static const pfx_vcov_type type[] = {PFX_VCOV_CLUSTER, PFX_VCOV_CRV3, PFX_VCOV_CR2};
    (void)state;
    made_panel a = iv_panel_new(36, 1, 2);
    pfx_fit *f[3] = {NULL};
    pfx_err err = {0};
    for (int t = 0; t < 3; t++) {
        pfx_design *d = iv_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE, 1, 2);
        pfx_fit_options o = options(type[t]);
        assert_ok(pfx_fit_model(d, &o, &f[t], &err));
        assert_true(f[t]->vcov == type[t]);
        assert_true(f[t]->iv->stage[0].fit->vcov == PFX_VCOV_CLUSTER);
        assert_same_bits(&f[t]->iv->kp_f, &f[0]->iv->kp_f, 1);
        assert_same_bits(&f[t]->iv->j.statistic, &f[0]->iv->j.statistic, 1);
        assert_same_bits(&f[t]->iv->wu_hausman.statistic, &f[0]->iv->wu_hausman.statistic, 1);
        assert_same_bits(&f[t]->coef[0].estimate, &f[0]->coef[0].estimate, 1);
        ref_design_free(d);
    }
    for (int t = 0; t < 3; t++) pfx_fit_free(f[t]);
    made_panel_free(&a);
}

/* ---- any type ---- */

static void same_bits_over_threads(void **state)
{
    static const pfx_vcov_type type[] = {PFX_VCOV_CRV3, PFX_VCOV_CV3J, PFX_VCOV_CR2, PFX_VCOV_NW,
                                         PFX_VCOV_DK};
    (void)state;
    made_panel a = made_panel_new(2500, 3);
    int *rank = calloc((size_t)a.n, sizeof *rank);
    for (size_t t = 0; t < sizeof type / sizeof *type; t++) {
        double first[16];
        for (int nth = 1; nth <= 7; nth += 3) {
            bool hac = pfx_vcov_is_hac(type[t]);
            pfx_design *d = hac ? timed(&a, FIRM | YEAR, type[t], 0, 0, rank)
                                : made_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE);
            pfx_fit_options o = options(type[t]);
            o.nth = nth;
            pfx_fit *f = made_fit(d, o);
            if (nth == 1) memcpy(first, f->V, 9 * sizeof *first);
            assert_same_bits(f->V, first, 9);
            pfx_fit_free(f);
        }
    }
    free(rank);
    made_panel_free(&a);
}

/* Many columns beside the clusters: what threads do at once leaves no trace in the last bits. */
static void cr2_same_bits_of_many_columns(void **state)
{
    (void)state;
    made_panel a = made_panel_new(400, 3);
    double first[9];
    for (int again = 0; again < 6; again++) {
        pfx_fit_options o = options(PFX_VCOV_CR2);
        o.nth = 1 + again;
        pfx_fit *f = made_fit(made_design(&a, FIRM | YEAR | GROUP, TOWN, PFX_W_NONE), o);
        assert_int_equal(f->k, 3);
        if (again == 0) memcpy(first, f->V, sizeof first);
        assert_same_bits(f->V, first, 9);
        pfx_fit_free(f);
    }
    made_panel_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jackknife_references),   cmocka_unit_test(jackknife_petersen),
        cmocka_unit_test(jackknife_refits),       cmocka_unit_test(cr2_dense),
        cmocka_unit_test(hac_double_sums),        cmocka_unit_test(hac_limits),
        cmocka_unit_test(of_two_stages),          cmocka_unit_test(instruments_by_scores),
        cmocka_unit_test(same_bits_over_threads), cmocka_unit_test(cr2_same_bits_of_many_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
