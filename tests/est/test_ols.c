/* OLS by identities: what must not change the result, and what must give the same one. */
#include "src/base/cpu.h"
#include "src/base/mem.h"
#include "tests/est/made_panel.h"

/* Coefficients, variance and statistics agree to tol. */
static void same_fit(const pfx_fit *f, const pfx_fit *g, double tol)
{
    assert_int_equal(f->k, g->k);
    for (int i = 0; i < f->k; i++) {
        assert_string_equal(f->coef[i].term, g->coef[i].term);
        assert_rel(f->coef[i].estimate, g->coef[i].estimate, tol);
        for (int j = 0; j < f->k; j++)
            assert_abs(f->V[i * f->k + j], g->V[i * f->k + j],
                       tol * sqrt(f->V[i * f->k + i] * f->V[j * f->k + j]));
    }
    assert_rel(f->ssr, g->ssr, tol);
    assert_rel(f->tss, g->tss, tol);
    assert_rel(f->r2, g->r2, tol);
    assert_rel(f->adj_r2, g->adj_r2, tol);
    assert_rel(f->f, g->f, 10 * tol);
    assert_rel(f->log_likelihood, g->log_likelihood, tol);
    assert_true(f->df_residual == g->df_residual && f->df_t == g->df_t);
}

static void dummies_or_absorbed(void **state)
{
    (void)state;
    made_panel a = made_panel_new(40, 2);
    int extra = (int)a.n_years - 1, p = a.p + extra;
    double *Z = calloc((size_t)(a.n * p), sizeof *Z);
    for (pfx_idx i = 0; i < a.n; i++) {
        for (int j = 0; j < a.k; j++) Z[i * p + j] = a.Z[i * a.p + j];
        if (a.year[i]) Z[i * p + a.k + a.year[i] - 1] = 1;
        Z[i * p + p - 1] = a.Z[i * a.p + a.k];
    }
    /* Two-way only where the larger variance, with the dummies in it, is not floored. */
    const int clusters[] = {0, FIRM, YEAR, FIRM | GROUP};
    for (int c = 0; c < 4; c++) {
        pfx_fit_options o = ref_options(made_vcov(clusters[c]), PFX_SSC_STATA);
        pfx_design *d = ref_design_new(a.n, p, Z, false);
        made_add_factors(d, &a, FIRM, ref_add_effect);
        made_add_factors(d, &a, clusters[c], ref_add_cluster);
        pfx_fit *f = made_fit(d, o), *g = made_fit(made_design(&a, FIRM | YEAR, clusters[c], PFX_W_NONE), o);
        assert_false(f->v_floored || g->v_floored);
        for (int i = 0; i < a.k; i++) {
            assert_rel(f->coef[i].estimate, g->coef[i].estimate, 1e-11);
            assert_rel(f->coef[i].std_error, g->coef[i].std_error, 1e-11);
            assert_rel(f->coef[i].p_value, g->coef[i].p_value, 1e-9);
        }
        assert_rel(f->adj_r2, g->adj_r2, 1e-12);
        assert_true(f->df_residual == g->df_residual);
        pfx_fit_free(f);
        pfx_fit_free(g);
    }
    free(Z);
    made_panel_free(&a);
}

/* The same panel with rows in another order; codes renumbered. */
static pfx_design *permuted(const made_panel *a, int effects, int clusters)
{
    pfx_design *d = made_design(a, effects, clusters, PFX_W_ANALYTIC);
    pfx_idx n = a->n, step = 1009; /* coprime to n: a permutation */
    while (n % step == 0) step += 2;
    for (pfx_idx i = 0; i < n; i++) {
        pfx_idx from = (i * step + 7) % n;
        memcpy(d->Z + i * a->p, a->Z + from * a->p, (size_t)a->p * sizeof(double));
        d->w[i] = a->w[from];
        d->row[i] = from;
        const int32_t *codes[] = {a->firm, a->industry, a->town, a->group, a->year};
        for (int pass = 0; pass < 2; pass++) {
            int which = pass ? clusters : effects, at = 0;
            for (int c = 0; c < 5; c++)
                if (which & (const int[]){FIRM, INDUSTRY, TOWN, GROUP, YEAR}[c])
                    (pass ? d->clusters[at++].code : d->absorbed[at++].factor.code)[i] = codes[c][from];
        }
    }
    return d;
}

static void permuted_rows(void **state)
{
    (void)state;
    made_panel a = made_panel_new(300, 3);
    assert_true(a.n > 1009);
    const int effects[] = {0, FIRM, FIRM | YEAR}, clusters[] = {0, FIRM, INDUSTRY, FIRM | YEAR};
    for (int e = 0; e < 3; e++)
        for (int c = 0; c < 4; c++) {
            pfx_fit_options o = ref_options(made_vcov(clusters[c]), PFX_SSC_FIXEST);
            o.save = true;
            pfx_fit *f = made_fit(made_design(&a, effects[e], clusters[c], PFX_W_ANALYTIC), o);
            pfx_fit *g = made_fit(permuted(&a, effects[e], clusters[c]), o);
            same_fit(f, g, 1e-11);
            for (pfx_idx i = 0; i < a.n; i++) {
                assert_int_equal(f->row[i], i);
                assert_int_equal(g->row[i], i);
                assert_abs(f->resid[i], g->resid[i], 1e-11);
            }
            pfx_fit_free(f);
            pfx_fit_free(g);
        }
    made_panel_free(&a);
}

static void scaled_columns(void **state)
{
    (void)state;
    made_panel a = made_panel_new(50, 3);
    const double by[] = {1e9, 1e-7, 3}, shift[] = {0, 0, 1e5};
    const int clusters[] = {0, FIRM, FIRM | YEAR};
    for (int c = 0; c < 3; c++)
        for (int effects = 0; effects <= FIRM; effects += FIRM) {
            pfx_fit_options o = ref_options(made_vcov(clusters[c]), PFX_SSC_FIXEST);
            pfx_fit *f = made_fit(made_design(&a, effects, clusters[c], PFX_W_NONE), o);
            pfx_design *d = made_design(&a, effects, clusters[c], PFX_W_NONE);
            for (pfx_idx i = 0; i < a.n; i++)
                for (int j = 0; j < 3; j++) d->Z[i * a.p + j] = by[j] * d->Z[i * a.p + j] + shift[j];
            pfx_fit *g = made_fit(d, o);
            for (int j = 0; j < 3; j++) {
                int i = j + (effects == 0);
                assert_rel(f->coef[i].estimate, by[j] * g->coef[i].estimate, 1e-9);
                assert_rel(f->coef[i].statistic, g->coef[i].statistic, 1e-9);
            }
            assert_rel(f->r2, g->r2, 1e-10);
            pfx_fit_free(f);
            pfx_fit_free(g);
        }
    made_panel_free(&a);
}

static void weights(void **state)
{
    (void)state;
    made_panel a = made_panel_new(50, 2), unit = made_panel_new(50, 2), twice;
    for (pfx_idx i = 0; i < unit.n; i++) unit.w[i] = 1;
    twice = a;
    twice.w = calloc((size_t)a.n, sizeof *twice.w);
    for (pfx_idx i = 0; i < a.n; i++) twice.w[i] = 0.037 * a.w[i];
    const int clusters[] = {0, FIRM, GROUP, FIRM | YEAR};
    for (int c = 0; c < 4; c++)
        for (int effects = 0; effects < 4; effects++) {
            pfx_fit_options o = ref_options(made_vcov(clusters[c]), PFX_SSC_FIXEST);
            for (int kind = PFX_W_ANALYTIC; kind <= PFX_W_PROBABILITY; kind++) {
                pfx_fit *f = made_fit(made_design(&unit, effects, clusters[c], PFX_W_NONE), o);
                pfx_fit *g = made_fit(made_design(&unit, effects, clusters[c], (pfx_weights_kind)kind), o);
                same_fit(f, g, 1e-11);
                pfx_fit_free(f);
                pfx_fit_free(g);
            }
            /* The scale of analytic weights has no meaning. */
            pfx_fit *f = made_fit(made_design(&a, effects, clusters[c], PFX_W_ANALYTIC), o);
            pfx_fit *g = made_fit(made_design(&twice, effects, clusters[c], PFX_W_ANALYTIC), o);
            same_fit(f, g, 1e-11);
            pfx_fit_free(f);
            pfx_fit_free(g);
        }
    free(twice.w);
    made_panel_free(&a);
    made_panel_free(&unit);
}

static void frequencies_or_repeated_rows(void **state)
{
    (void)state;
    made_panel a = made_panel_new(50, 2), b = made_panel_new(150, 2); /* room for three times the rows */
    b.n = 0;
    for (pfx_idx i = 0; i < a.n; i++)
        for (int r = 0; r < (int)a.w[i]; r++, b.n++) {
            memcpy(b.Z + b.n * b.p, a.Z + i * a.p, (size_t)a.p * sizeof *a.Z);
            b.firm[b.n] = a.firm[i], b.year[b.n] = a.year[i], b.group[b.n] = a.group[i];
        }
    b.n_firms = a.n_firms;
    const int clusters[] = {0, FIRM, GROUP, FIRM | YEAR};
    const pfx_ssc rules[] = {PFX_SSC_FIXEST, PFX_SSC_REGHDFE, PFX_SSC_STATA, PFX_SSC_NONE};
    for (int c = 0; c < 4; c++)
        for (int effects = 0; effects < 4; effects++)
            for (int r = 0; r < 4; r++) {
                pfx_fit_options o = ref_options(made_vcov(clusters[c]), rules[r]);
                if (c == 0 && r % 2) o.vcov = PFX_VCOV_IID;
                pfx_fit *f = made_fit(made_design(&a, effects, clusters[c], PFX_W_FREQUENCY), o);
                pfx_fit *g = made_fit(made_design(&b, effects, clusters[c], PFX_W_NONE), o);
                assert_int_equal(f->n_obs, g->n_obs);
                assert_int_equal(f->n_rows, a.n);
                same_fit(f, g, 1e-11);
                pfx_fit_free(f);
                pfx_fit_free(g);
            }
    made_panel_free(&a);
    made_panel_free(&b);
}

static void constant_effect_or_intercept(void **state)
{
    (void)state;
    made_panel a = made_panel_new(50, 2);
    int32_t *zero = calloc((size_t)a.n, sizeof *zero);
    const int clusters[] = {0, FIRM, FIRM | YEAR};
    for (int c = 0; c < 3; c++) {
        pfx_fit_options o = ref_options(made_vcov(clusters[c]), PFX_SSC_STATA);
        pfx_design *d = ref_design_new(a.n, a.p, a.Z, false);
        ref_add_effect(d, "one", 1, zero);
        made_add_factors(d, &a, clusters[c], ref_add_cluster);
        pfx_fit *f = made_fit(d, o), *g = made_fit(made_design(&a, 0, clusters[c], PFX_W_NONE), o);
        assert_int_equal(g->k, f->k + 1);
        for (int i = 0; i < f->k; i++) {
            assert_rel(f->coef[i].estimate, g->coef[i + 1].estimate, 1e-12);
            assert_rel(f->coef[i].std_error, g->coef[i + 1].std_error, 1e-12);
        }
        assert_rel(f->f, g->f, 1e-11);
        assert_true(f->df_residual == g->df_residual);
        pfx_fit_free(f);
        pfx_fit_free(g);
    }
    free(zero);
    made_panel_free(&a);
}

/* firm[x1]: a constant and a slope for each firm, against columns of dummies and of dummies times x1. */
static void slopes_or_columns(void **state)
{
    (void)state;
    made_panel a = made_panel_new(12, 2);
    int nf = (int)a.n_firms;
    for (int with_year = 0; with_year < 2; with_year++) {
        int p = 1 + 2 * nf + (with_year ? (int)a.n_years - 1 : 0) + 1;
        double *Z = calloc((size_t)(a.n * p), sizeof *Z), *z2 = calloc((size_t)(2 * a.n), sizeof *z2);
        for (pfx_idx i = 0; i < a.n; i++) {
            double x1 = a.Z[i * a.p + 1], *z = Z + i * p;
            z2[2 * i] = z[0] = a.Z[i * a.p];
            z[1 + a.firm[i]] = 1;
            z[1 + nf + a.firm[i]] = x1;
            if (with_year && a.year[i]) z[2 * nf + a.year[i]] = 1;
            z2[2 * i + 1] = z[p - 1] = a.Z[i * a.p + 2];
        }
        const pfx_vcov_type types[] = {PFX_VCOV_IID, PFX_VCOV_HC1, PFX_VCOV_CLUSTER};
        for (int t = 0; t < 3; t++) {
            pfx_fit_options o = ref_options(types[t], PFX_SSC_STATA);
            pfx_design *d = ref_design_new(a.n, 2, z2, false), *e = ref_design_new(a.n, p, Z, false);
            ref_add_effect(d, "firm", a.n_firms, a.firm);
            pfx_absorbed *ab = &d->absorbed[0];
            ab->n_slopes = 1;
            ab->slope = pfx_mem_calloc(1, sizeof *ab->slope, NULL);
            ab->slope_name = pfx_mem_calloc(1, sizeof *ab->slope_name, NULL);
            ab->slope[0] = pfx_mem_alloc(a.n, sizeof **ab->slope, NULL);
            ab->slope_name[0] = pfx_mem_strdup("x1", NULL);
            for (pfx_idx i = 0; i < a.n; i++) ab->slope[0][i] = a.Z[i * a.p + 1];
            if (with_year) ref_add_effect(d, "year", a.n_years, a.year);
            ref_add_cluster(d, "firm", a.n_firms, a.firm);
            ref_add_cluster(e, "firm", a.n_firms, a.firm);
            pfx_fit *f = made_fit(d, o), *g = made_fit(e, o);
            assert_int_equal(f->k, 1);
            assert_int_equal(f->n_effects, 2 + with_year);
            assert_string_equal(f->effects[1].name, "firm[x1]");
            assert_int_equal(f->effects[1].nested_in_cluster, types[t] == PFX_VCOV_CLUSTER);
            assert_int_equal(g->n_collinear, 0);
            assert_rel(f->coef[0].estimate, g->coef[0].estimate, 1e-10);
            assert_rel(f->coef[0].std_error, g->coef[0].std_error, 1e-10);
            assert_rel(f->ssr, g->ssr, 1e-10);
            assert_true(f->df_residual == g->df_residual);
            pfx_fit_free(f);
            pfx_fit_free(g);
        }
        free(Z);
        free(z2);
    }
    made_panel_free(&a);
}

/* ---- determinism ---- */

static void same_bits(const pfx_fit *f, const pfx_fit *g)
{
    assert_int_equal(f->k, g->k);
    assert_same_bits(f->V, g->V, (pfx_idx)f->k * f->k);
    for (int i = 0; i < f->k; i++) assert_same_bits(&f->coef[i].estimate, &g->coef[i].estimate, 6);
    assert_same_bits(&f->f, &g->f, 1);
    assert_same_bits(&f->r2, &g->r2, 10);
}

static void same_bits_any_threads_any_isa(void **state)
{
    (void)state;
    made_panel a = made_panel_new(4000, 11); /* more than 64 blocks of rows */
    const int effects[] = {0, FIRM, FIRM | YEAR},
              clusters[] = {0, FIRM, TOWN, INDUSTRY, FIRM | YEAR, TOWN | INDUSTRY};
    for (int e = 0; e < 3; e++)
        for (int c = 0; c < 6; c++) {
            pfx_fit_options o = ref_options(made_vcov(clusters[c]), PFX_SSC_FIXEST);
            o.nth = 1;
            pfx_fit *f =
                made_fit(made_design(&a, effects[e], clusters[c], c % 2 ? PFX_W_ANALYTIC : PFX_W_NONE), o);
            const int nth[] = {2, 3, 7};
            for (int t = 0; t < 3; t++) {
                o.nth = nth[t];
                pfx_fit *g = made_fit(
                    made_design(&a, effects[e], clusters[c], c % 2 ? PFX_W_ANALYTIC : PFX_W_NONE), o);
                same_bits(f, g);
                pfx_fit_free(g);
            }
            for (int isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
                if (!pfx_cpu_has((pfx_isa)isa)) continue;
                o.isa = (pfx_isa)isa;
                pfx_fit *g = made_fit(
                    made_design(&a, effects[e], clusters[c], c % 2 ? PFX_W_ANALYTIC : PFX_W_NONE), o);
                same_bits(f, g);
                pfx_fit_free(g);
            }
            pfx_fit_free(f);
        }
    made_panel_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dummies_or_absorbed),
        cmocka_unit_test(permuted_rows),
        cmocka_unit_test(scaled_columns),
        cmocka_unit_test(weights),
        cmocka_unit_test(frequencies_or_repeated_rows),
        cmocka_unit_test(constant_effect_or_intercept),
        cmocka_unit_test(slopes_or_columns),
        cmocka_unit_test(same_bits_any_threads_any_isa),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
