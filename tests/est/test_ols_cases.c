/* OLS where something is special: collinear columns, a variance to be floored, saved values, bad input,
 * memory. */
#include "src/base/mem.h"
#include "src/est/vcov.h"
#include "tests/est/refcase.h"
#include "tests/faults.h"

enum { N = 240, FIRMS = 40, YEARS = 6 };

static double value(uint64_t stream, pfx_idx i)
{
    return test_uniform(stream, (uint64_t)i) - 0.5;
}

/* A balanced panel of N rows with p columns; x0 .. y filled with noise. */
static pfx_design *noise(int p, bool intercept, bool firm, bool year)
{
    double *Z = calloc((size_t)(N * p), sizeof *Z);
    int32_t code[2][N];
    for (pfx_idx i = 0; i < N; i++) {
        code[0][i] = (int32_t)(i / YEARS);
        code[1][i] = (int32_t)(i % YEARS);
        for (int j = 0; j < p; j++) Z[i * p + j] = value((uint64_t)j + 1, i) + value(99, i / YEARS);
    }
    pfx_design *d = ref_design_new(N, p, Z, intercept);
    if (firm) ref_add_effect(d, "firm", FIRMS, code[0]);
    if (year) ref_add_effect(d, "year", YEARS, code[1]);
    ref_add_cluster(d, "firm", FIRMS, code[0]);
    ref_add_cluster(d, "year", YEARS, code[1]);
    free(Z);
    return d;
}

static double *at(pfx_design *d, pfx_idx i, int j)
{
    return &d->Z[i * d->p + j];
}

static pfx_fit *fit(pfx_design *d, pfx_vcov_type vcov)
{
    pfx_err err = {0};
    pfx_fit *f = NULL;
    pfx_fit_options o = ref_options(vcov, PFX_SSC_FIXEST);
    o.save = true;
    assert_ok(pfx_fit_ols(d, &o, &f, &err));
    return f;
}

static void collinear_is(const pfx_fit *f, int n, const char *const *names)
{
    assert_int_equal(f->n_collinear, n);
    for (int i = 0; i < n; i++) assert_string_equal(f->collinear[i], names[i]);
}

static void later_column_goes(void **state)
{
    (void)state;
    static const char *const dropped[] = {"x2", "x4"}, *const kept[] = {"x0", "x1", "x3"};
    for (int effects = 0; effects < 4; effects++) {
        pfx_design *d = noise(6, effects == 0, effects & 1, effects & 2);
        for (pfx_idx i = 0; i < N; i++) {
            *at(d, i, 2) = 3 * *at(d, i, 0) - 1e3 * *at(d, i, 1) + 7; /* of x0, x1 */
            *at(d, i, 4) = effects == 0   ? 0.1
                           : effects == 1 ? 1e8 * (double)(i / YEARS)
                                          : (double)(i % YEARS);
        }
        pfx_fit *f = fit(d, PFX_VCOV_CLUSTER);
        collinear_is(f, 2, dropped);
        assert_int_equal(f->k, 3 + (effects == 0));
        for (int i = 0; i < 3; i++) {
            assert_string_equal(f->coef[i + (effects == 0)].term, kept[i]);
            assert_true(isfinite(f->coef[i + (effects == 0)].std_error));
        }
        pfx_fit_free(f);
        ref_design_free(d);
    }
}

/* Dropping changes nothing for what stays. */
static void dropping_is_leaving_out(void **state)
{
    (void)state;
    pfx_design *d = noise(5, false, true, true), *e = noise(4, false, true, true);
    for (pfx_idx i = 0; i < N; i++) {
        double x[5] = {value(1, i), value(2, i), 0, value(3, i), value(4, i)};
        x[2] = x[0] + x[1];
        for (int j = 0; j < 5; j++) *at(d, i, j) = x[j];
        for (int j = 0, c = 0; j < 5; j++)
            if (j != 2) *at(e, i, c++) = x[j];
    }
    pfx_fit *f = fit(d, PFX_VCOV_TWOWAY), *g = fit(e, PFX_VCOV_TWOWAY);
    for (int i = 0; i < 3; i++) {
        assert_rel(f->coef[i].estimate, g->coef[i].estimate, 1e-12);
        assert_rel(f->coef[i].std_error, g->coef[i].std_error, 1e-11);
    }
    pfx_fit_free(f);
    pfx_fit_free(g);
    ref_design_free(d);
    ref_design_free(e);
}

static void nearly_collinear_stays(void **state)
{
    (void)state;
    /* Pivot ratios 1e4 .. 1e8 are kept and solved by QR; x1 = x0 + u / ratio, y = x1 - x0 + x2: b = -1, 1, 1.
     */
    for (double ratio = 1e3; ratio < 2e8; ratio *= 10) {
        pfx_design *d = noise(4, false, true, true);
        for (pfx_idx i = 0; i < N; i++) {
            double u = value(5, i);
            *at(d, i, 1) = *at(d, i, 0) + u / ratio;
            *at(d, i, 3) = u + *at(d, i, 2);
        }
        pfx_fit *f = fit(d, PFX_VCOV_HC1);
        assert_int_equal(f->n_collinear, 0);
        assert_string_equal(f->solver, f->condition > 1e4 ? "qr" : "cholesky");
        assert_true(f->condition > ratio / 2 && f->condition < ratio * 5);
        assert_rel(f->coef[0].estimate, -ratio, 4e-16 * ratio * ratio + 1e-12);
        assert_rel(f->coef[2].estimate, 1, 1e-15 * ratio + 1e-13);
        pfx_fit_free(f);
        ref_design_free(d);
    }
}

/* A QR of weighted rows against one of repeated rows. */
static void weights_in_qr(void **state)
{
    (void)state;
    pfx_design *d = noise(4, true, false, false);
    double Z[3 * N * 4];
    pfx_idx n = 0;
    d->w = pfx_mem_alloc(N, sizeof *d->w, NULL);
    d->weights_kind = PFX_W_FREQUENCY;
    for (pfx_idx i = 0; i < N; i++) {
        *at(d, i, 1) = *at(d, i, 0) + 3e-6 * value(5, i);
        d->w[i] = (double)(1 + i % 3);
        for (int r = 0; r < 1 + i % 3; r++, n++) memcpy(Z + 4 * n, at(d, i, 0), 4 * sizeof *Z);
    }
    pfx_design *e = ref_design_new(n, 4, Z, true);
    pfx_fit *f = fit(d, PFX_VCOV_IID), *g = fit(e, PFX_VCOV_IID);
    assert_string_equal(f->solver, "qr");
    assert_rel(f->condition, g->condition, 1e-8);
    for (int i = 0; i < 4; i++) {
        assert_rel(f->coef[i].estimate, g->coef[i].estimate, 1e-8);
        assert_rel(f->coef[i].std_error, g->coef[i].std_error, 1e-8);
    }
    pfx_fit_free(f);
    pfx_fit_free(g);
    ref_design_free(d);
    ref_design_free(e);
}

/* Beyond a pivot ratio of 1e10 a column is collinear, though it is not yet rounding noise. */
static void too_collinear_goes(void **state)
{
    (void)state;
    static const char *const dropped[] = {"x1"};
    pfx_design *d = noise(4, true, false, false);
    for (pfx_idx i = 0; i < N; i++) *at(d, i, 1) = *at(d, i, 0) + 1e-11 * value(5, i);
    pfx_fit *f = fit(d, PFX_VCOV_HC1);
    collinear_is(f, 1, dropped);
    pfx_fit_free(f);
    ref_design_free(d);
}

static void everything_collinear(void **state)
{
    (void)state;
    pfx_err err = {0};
    pfx_fit *f = NULL;
    pfx_fit_options o = ref_options(PFX_VCOV_CLUSTER, PFX_SSC_FIXEST);
    pfx_design *d = noise(3, false, true, true);
    for (pfx_idx i = 0; i < N; i++) {
        *at(d, i, 0) = 1;
        *at(d, i, 1) = 3.3 + (double)(i / YEARS) + 0.7 * (double)(i % YEARS);
    }
    assert_fails(pfx_fit_ols(d, &o, &f, &err), PFX_EIDENT, "x0 (constant), x1 (absorbed by the effects)");
    ref_design_free(d);
    d = noise(2, true, false, false);
    for (int ulp = 0; ulp < 2; ulp++) { /* a constant, also with rounding noise on it */
        for (pfx_idx i = 0; i < N; i++) *at(d, i, 0) = ulp && i % 3 == 0 ? nextafter(0.1, 1) : 0.1;
        assert_fails(pfx_fit_ols(d, &o, &f, &err), PFX_EIDENT, "no regressor is left: x0 (constant)");
    }
    /* Without an intercept the same column is a regressor. */
    d->intercept = false;
    assert_ok(pfx_fit_ols(d, &o, &f, &err));
    assert_int_equal(f->n_collinear, 0);
    pfx_fit_free(f);
    for (pfx_idx i = 0; i < N; i++) *at(d, i, 0) = 0;
    assert_fails(pfx_fit_ols(d, &o, &f, &err), PFX_EIDENT, "x0 (constant)");
    ref_design_free(d);
}

static void intercept_alone(void **state)
{
    (void)state;
    pfx_design *d = noise(1, true, false, false);
    pfx_fit *f = fit(d, PFX_VCOV_IID);
    double mean = 0, ss = 0;
    for (pfx_idx i = 0; i < N; i++) mean += *at(d, i, 0) / N;
    for (pfx_idx i = 0; i < N; i++) ss += pow(*at(d, i, 0) - mean, 2);
    assert_int_equal(f->k, 1);
    assert_rel(f->coef[0].estimate, mean, 1e-12);
    assert_rel(f->coef[0].std_error, sqrt(ss / (N - 1) / N), 1e-12);
    assert_true(isnan(f->f) && f->f_df1 == 0);
    assert_abs(f->r2, 0, 1e-15);
    pfx_fit_free(f);
    ref_design_free(d);
    /* Effects alone. */
    d = noise(1, false, true, true);
    f = fit(d, PFX_VCOV_CLUSTER);
    assert_int_equal(f->k, 0);
    assert_true(f->r2 > 0 && f->r2 < 1);
    assert_abs(f->within_r2, 0, 1e-14);
    pfx_fit_free(f);
    ref_design_free(d);
}

static void without_intercept(void **state)
{
    (void)state;
    pfx_design *d = noise(2, false, false, false);
    pfx_fit *f = fit(d, PFX_VCOV_IID);
    double xx = 0, xy = 0, yy = 0;
    for (pfx_idx i = 0; i < N; i++) {
        double x = *at(d, i, 0), y = *at(d, i, 1);
        xx += x * x;
        xy += x * y;
        yy += y * y;
    }
    double ssr = yy - xy * xy / xx;
    assert_int_equal(f->k, 1);
    assert_rel(f->coef[0].estimate, xy / xx, 1e-12);
    assert_rel(f->coef[0].std_error, sqrt(ssr / (N - 1) / xx), 1e-11);
    assert_rel(f->r2, 1 - ssr / yy, 1e-11);
    assert_rel(f->adj_r2, 1 - ssr / (N - 1) / (yy / N), 1e-11);
    assert_rel(f->f, pow(f->coef[0].statistic, 2), 1e-12);
    pfx_fit_free(f);
    ref_design_free(d);
}

static void outcome_without_variation(void **state)
{
    (void)state;
    pfx_design *d = noise(2, false, true, false);
    for (pfx_idx i = 0; i < N; i++) *at(d, i, 1) = 0.3;
    pfx_fit *f = fit(d, PFX_VCOV_CLUSTER);
    assert_true(isnan(f->r2) && isnan(f->adj_r2) && isnan(f->within_r2));
    assert_abs(f->coef[0].estimate, 0, 1e-15);
    pfx_fit_free(f);
    for (pfx_idx i = 0; i < N; i++) *at(d, i, 1) = 1e3 + sqrt((double)(i / YEARS));
    f = fit(d, PFX_VCOV_CLUSTER);
    assert_rel(f->r2, 1, 1e-13);
    assert_true(isnan(f->within_r2) && isnan(f->adj_within_r2));
    pfx_fit_free(f);
    ref_design_free(d);
}

static void floored_variance(void **state)
{
    (void)state;
    bool seen = false;
    for (int p = 4; p < 12 && !seen; p++) { /* many regressors, six years: indefinite soon */
        pfx_design *d = noise(p, true, false, false);
        pfx_fit *f = fit(d, PFX_VCOV_TWOWAY);
        if (f->v_floored) {
            seen = true;
            /* No direction has a negative variance. */
            for (int t = 0; t < 200; t++) {
                double v = 0, norm = 0;
                for (int i = 0; i < f->k; i++)
                    for (int j = 0; j < f->k; j++) {
                        double term =
                            value(50 + (uint64_t)t, i) * value(50 + (uint64_t)t, j) * f->V[i * f->k + j];
                        v += term;
                        norm += fabs(term);
                    }
                assert_true(v >= -1e-13 * norm);
            }
        }
        pfx_fit_free(f);
        ref_design_free(d);
    }
    assert_true(seen);

    /* By hand: eigenvalues 3 and -1 become 3 and 0: V = 1.5 [[1, 1], [1, 1]]. */
    pfx_err err = {0};
    bool floored;
    double V[4] = {1, 2, 2, 1};
    assert_ok(pfx_vcov_floor(2, V, &floored, &err));
    assert_true(floored);
    for (int i = 0; i < 4; i++) assert_rel(V[i], 1.5, 1e-14);
    double W[4] = {2, 1, 1, 2};
    assert_ok(pfx_vcov_floor(2, W, &floored, &err));
    assert_false(floored);
    assert_true(W[0] == 2 && W[1] == 1);
}

static void saved_values(void **state)
{
    (void)state;
    for (int effects = 0; effects < 4; effects++) {
        pfx_design *d = noise(3, effects == 0, effects & 1, effects & 2);
        double y[N], x[N][2];
        for (pfx_idx i = 0; i < N; i++) {
            pfx_idx to = i * 7 % N; /* rows in another order than the panel's */
            d->row[i] = 1000 + 2 * to;
            x[to][0] = *at(d, i, 0);
            x[to][1] = *at(d, i, 1);
            y[to] = *at(d, i, 2);
        }
        int32_t *firm = NULL, *year = NULL, by_row[2][N];
        for (int e = 0; e < d->n_absorbed; e++) {
            if (strcmp(d->absorbed[e].factor.name, "firm") == 0) firm = by_row[0];
            if (strcmp(d->absorbed[e].factor.name, "year") == 0) year = by_row[1];
            for (pfx_idx i = 0; i < N; i++)
                by_row[strcmp(d->absorbed[e].factor.name, "year") == 0][i * 7 % N] =
                    d->absorbed[e].factor.code[i];
        }
        pfx_fit *f = fit(d, PFX_VCOV_CLUSTER);
        assert_int_equal(f->n_saved_effects, (effects & 1) + (effects >> 1));
        for (pfx_idx i = 0; i < N; i++) {
            assert_int_equal(f->row[i], 1000 + 2 * i);
            double explained = 0;
            for (int j = 0; j < 2; j++) explained += x[i][j] * f->coef[j + (effects == 0)].estimate;
            if (effects == 0) explained += f->coef[0].estimate;
            for (int e = 0; e < f->n_saved_effects; e++) {
                bool is_year = strcmp(f->saved[e].name, "year") == 0;
                explained += f->saved[e].alpha[(is_year ? year : firm)[i]];
            }
            assert_abs(f->fitted[i], explained, 1e-12);
            assert_abs(f->fitted[i] + f->resid[i], y[i], 1e-15);
        }
        for (int e = 0; e < f->n_saved_effects; e++) /* the first panel row of each level */
            for (pfx_idx l = 0; l < f->saved[e].n_levels; l++) {
                int32_t *code = strcmp(f->saved[e].name, "year") == 0 ? year : firm;
                pfx_idx first = 0;
                while (code[first] != l) first++;
                assert_int_equal(f->saved[e].first_row[l], 1000 + 2 * first);
            }
        pfx_fit_free(f);
        ref_design_free(d);
    }
}

static void hypotheses(void **state)
{
    (void)state;
    pfx_err err = {0};
    pfx_fit *f = NULL;
    pfx_fit_options o = ref_options(PFX_VCOV_CLUSTER, PFX_SSC_FIXEST);
    const char *tests[] = {"x0 = 0", "x0 = x1 = x2 = 0", "x0 - x1 = 0"};
    o.tests = tests;
    o.n_tests = 3;
    pfx_design *d = noise(4, true, false, false);
    assert_ok(pfx_fit_ols(d, &o, &f, &err));
    assert_int_equal(f->n_tests, 3);
    assert_rel(f->tests[0].statistic, pow(f->coef[1].statistic, 2), 1e-12);
    assert_rel(f->tests[0].p_value, f->coef[1].p_value, 1e-11);
    assert_rel(f->tests[1].statistic, f->f, 1e-12);
    assert_rel(f->tests[1].p_value, f->f_p, 1e-12);
    assert_rel(f->tests[2].estimate, f->coef[1].estimate - f->coef[2].estimate, 1e-14);
    assert_string_equal(f->tests[2].hypothesis, "x0 - x1 = 0");
    assert_true(f->tests[1].df1 == 3 && f->tests[1].df2 == FIRMS - 1);
    pfx_fit_free(f);
    tests[2] = "x7 = 0";
    assert_fails(pfx_fit_ols(d, &o, &f, &err), PFX_EUSAGE, "no term 'x7'");
    ref_design_free(d);
}

static void fewer_clusters_than_slopes(void **state)
{
    (void)state;
    pfx_design *d = noise(9, true, false, false);
    pfx_factor year = d->clusters[0];
    d->clusters[0] = d->clusters[1];
    d->clusters[1] = year;
    pfx_fit *f = fit(d, PFX_VCOV_CLUSTER);
    assert_true(isnan(f->f) && isnan(f->f_p) && f->f_df1 == 8 && f->f_df2 == YEARS - 1);
    assert_true(isfinite(f->coef[1].p_value));
    pfx_fit_free(f);
    ref_design_free(d);
}

static void probability_weights_are_robust(void **state)
{
    (void)state;
    pfx_design *d = noise(3, true, false, false);
    d->w = pfx_mem_alloc(N, sizeof *d->w, NULL);
    for (pfx_idx i = 0; i < N; i++) d->w[i] = 1.5 + value(7, i);
    d->weights_kind = PFX_W_PROBABILITY;
    pfx_fit *f = fit(d, PFX_VCOV_IID), *g = fit(d, PFX_VCOV_HC1);
    assert_int_equal(f->vcov, PFX_VCOV_HC1);
    assert_same_bits(f->V, g->V, 9);
    pfx_fit_free(f);
    pfx_fit_free(g);
    ref_design_free(d);
}

static void bad_input(void **state)
{
    (void)state;
    pfx_err err = {0};
    pfx_fit *f = NULL;
    pfx_fit_options o = ref_options(PFX_VCOV_TWOWAY, PFX_SSC_FIXEST);
    pfx_design *d = noise(3, true, false, false);
    d->n_clusters = 1;
    assert_fails(pfx_fit_ols(d, &o, &f, &err), PFX_EUSAGE, "needs 2 cluster variables, there is 1");
    d->n_clusters = 2;
    d->clusters[1].n_levels = 1;
    assert_fails(pfx_fit_ols(d, &o, &f, &err), PFX_EDATA, "cluster variable year has 1 level");
    d->clusters[1].n_levels = YEARS;
    d->role[1] = PFX_ENDOGENOUS;
    assert_fails(pfx_fit_ols(d, &o, &f, &err), PFX_EUSAGE, "x1 is endogenous");
    d->role[1] = PFX_REGRESSOR;
    d->w = pfx_mem_calloc(N, sizeof *d->w, NULL);
    d->weights_kind = PFX_W_FREQUENCY;
    for (pfx_idx i = 0; i < N; i++) d->w[i] = i == 17 ? 1.5 : 2;
    assert_fails(pfx_fit_ols(d, &o, &f, &err), PFX_EDATA, "whole numbers: 1.5 in row 18");
    ref_design_free(d);

    /* As many parameters as rows. */
    const double Z[] = {1, 2, 0.3, 2, 1, 0.7, 5, 3, 0.1};
    int32_t code[] = {0, 1, 2};
    d = ref_design_new(3, 3, Z, true);
    ref_add_cluster(d, "c", 3, code);
    o.vcov = PFX_VCOV_IID;
    assert_fails(pfx_fit_ols(d, &o, &f, &err), PFX_EDATA, "3 observations for 3 parameters");
    ref_design_free(d);
}

/* Every allocation failing in turn leaves nothing behind. */
static void every_allocation_may_fail(void **state)
{
    (void)state;
    const char *tests[] = {"x0 = x1"};
    for (int effects = 0; effects < 4; effects++) {
        pfx_design *d = noise(4, effects == 0, effects & 1, effects & 2);
        for (pfx_idx i = 0; i < N; i++) *at(d, i, 2) = *at(d, i, 0) - *at(d, i, 1); /* by QR */
        pfx_fit_options o = ref_options(PFX_VCOV_TWOWAY, PFX_SSC_FIXEST);
        o.nth = 1;
        o.save = true;
        o.tests = tests;
        o.n_tests = 1;
        test_faults faults = {0};
        while (test_faults_next(&faults)) {
            pfx_err err = {0};
            pfx_fit *f = NULL;
            pfx_status st = pfx_fit_ols(d, &o, &f, &err);
            if (st == PFX_OK) pfx_fit_free(f);
            test_faults_done(&faults, st);
        }
        ref_design_free(d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(later_column_goes),
        cmocka_unit_test(dropping_is_leaving_out),
        cmocka_unit_test(nearly_collinear_stays),
        cmocka_unit_test(weights_in_qr),
        cmocka_unit_test(too_collinear_goes),
        cmocka_unit_test(everything_collinear),
        cmocka_unit_test(intercept_alone),
        cmocka_unit_test(without_intercept),
        cmocka_unit_test(outcome_without_variation),
        cmocka_unit_test(floored_variance),
        cmocka_unit_test(saved_values),
        cmocka_unit_test(hypotheses),
        cmocka_unit_test(fewer_clusters_than_slopes),
        cmocka_unit_test(probability_weights_are_robust),
        cmocka_unit_test(bad_input),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
