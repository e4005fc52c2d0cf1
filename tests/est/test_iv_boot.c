/* The pairs bootstrap and the jackknife of two-stage least squares against refits of resampled rows; the same
 * bits over threads, ranges and instruction sets. */
#include "kernels/multinomial.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/est/fit.h"
#include "src/rep/clusterstat.h"
#include "src/rep/jackknife.h"
#include "src/rep/pairs.h"
#include "tests/est/iv_panel.h"
#include "tests/est/resample.h"
#include "tests/faults.h"

static const char *const both[] = {"x2", "x1"}; /* an endogenous variable, an exogenous one */

/* Fit and free; NULL where not identified. */
static pfx_fit *refit(pfx_design *d)
{
    pfx_err err = {0};
    pfx_fit *f = NULL;
    const pfx_fit_options o = ref_options(PFX_VCOV_CLUSTER, PFX_SSC_NONE);
    pfx_status st = pfx_fit_model(d, &o, &f, &err);
    if (st != PFX_EIDENT) assert_ok(st);
    ref_design_free(d);
    return f;
}

static void draw_pairs(const pfx_clusterstat *s, pfx_idx first, pfx_idx last, int nth, pfx_isa isa,
                       iv_kept *k)
{
    pfx_err err = {0};
    pfx_pairs *p = NULL;
    assert_ok(pfx_pairs_create(s, &(pfx_pairs_options){.std_error = true, .isa = isa}, &p, &err));
    iv_draw(pfx_pairs_method(p), first, last, nth, k);
    pfx_pairs_free(p);
}

static void counts(pfx_idx replicate, pfx_idx G, uint8_t *count)
{
    pfx_k_multinomial(PFX_ISA_PORTABLE, 5, PFX_RNG_PAIRS, (uint64_t)replicate, G, G, count);
}

/* Every coefficient, standard error and t in some replicates; and the full sample's. */
static void compare_pairs(pfx_idx firms, int effects, int cluster, pfx_weights_kind kind, int n, int l)
{
    made_panel a = iv_panel_new(firms, n, l);
    pfx_design *d = iv_design(&a, effects, cluster, kind, n, l);
    pfx_clusterstat *s = iv_statistics(d, 2, both, 1, pfx_cpu_best());
    static iv_kept k;
    pfx_err err = {0};
    pfx_pairs *p = NULL;
    double full[2], factor = sqrt((double)s->G / (double)(s->G - 1));
    draw_pairs(s, 0, 30, 2, pfx_cpu_best(), &k);
    assert_ok(pfx_pairs_create(s, &(pfx_pairs_options){.isa = pfx_cpu_best()}, &p, &err));
    assert_ok(pfx_pairs_full(p, full, &err));
    pfx_fit *f = refit(iv_design(&a, effects, cluster, kind, n, l));
    for (int t = 0; t < 2; t++) {
        assert_rel(s->b[t], ref_coef(f, both[t])->estimate, 1e-11);
        assert_rel(full[t], ref_coef(f, both[t])->std_error * factor, 1e-10);
    }
    pfx_fit_free(f);
    uint8_t *count = malloc((size_t)s->G);
    for (pfx_idx r = 0; r < 30; r += 4) {
        counts(r, s->G, count);
        f = refit(resample_design(d, count));
        for (int t = 0; t < 2; t++) {
            const pfx_coef *c = ref_coef(f, both[t]);
            assert_rel(k.out[PFX_DRAW_ESTIMATE][r * 2 + t], c->estimate, 1e-10);
            assert_rel(k.out[PFX_DRAW_STD_ERROR][r * 2 + t], c->std_error * factor, 1e-10);
            assert_rel(k.out[PFX_DRAW_STATISTIC][r * 2 + t],
                       (c->estimate - s->b[t]) / (c->std_error * factor), 1e-9);
        }
        pfx_fit_free(f);
    }
    free(count);
    pfx_pairs_free(p);
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

static void test_pairs_refits(void **state)
{
    (void)state;
    compare_pairs(100, FIRM | YEAR, FIRM, PFX_W_NONE, 1, 1);
    compare_pairs(100, FIRM | YEAR, FIRM, PFX_W_ANALYTIC, 1, 3);
    compare_pairs(100, FIRM | YEAR, FIRM, PFX_W_NONE, 2, 4);
    compare_pairs(200, FIRM | YEAR, TOWN, PFX_W_ANALYTIC, 2, 2);
    compare_pairs(100, FIRM | YEAR | INDUSTRY, FIRM, PFX_W_NONE, 1, 2);
    compare_pairs(100, YEAR, FIRM, PFX_W_NONE, 1, 2);
    compare_pairs(100, 0, FIRM, PFX_W_NONE, 1, 2);
    compare_pairs(150, FIRM | GROUP | YEAR, FIRM, PFX_W_NONE, 3, 4);
}

static void test_pairs_same_bits(void **state)
{
    static const pfx_idx ranges[][2] = {{0, 500}, {0, 1}, {191, 193}, {192, 384}, {100, 499}};
    (void)state;
    made_panel a = iv_panel_new(333, 1, 2);
    pfx_design *d = iv_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE, 1, 2);
    pfx_clusterstat *s = iv_statistics(d, 2, both, 1, PFX_ISA_PORTABLE);
    static iv_kept whole, part;
    draw_pairs(s, 0, 500, 1, PFX_ISA_PORTABLE, &whole);
    for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
        if (!pfx_cpu_has(isa)) continue;
        for (int nth = 1; nth <= 7; nth += nth < 3 ? 1 : 4) {
            pfx_clusterstat *other = iv_statistics(d, 2, both, nth, isa);
            assert_same_bits(s->M, other->M, s->rows * s->ld);
            assert_same_bits(s->b, other->b, 2);
            for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
                pfx_idx first = ranges[i][0], last = ranges[i][1];
                draw_pairs(other, first, last, nth, isa, &part);
                for (int f = 0; f < PFX_DRAW_FIELDS; f++)
                    assert_same_bits(part.out[f], whole.out[f] + first * 2, (last - first) * 2);
            }
            pfx_clusterstat_free(other);
        }
    }
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

/* An instrument that moves in a few firms alone: NaN exactly where none of them is drawn, for every term. */
static void lost_identification(int effects, int n_terms)
{
    made_panel a = iv_panel_new(20, 1, 1);
    for (pfx_idx i = 0; i < a.n; i++)
        if (a.firm[i] != 4 && a.firm[i] != 9) a.Z[i * a.p + EXOG + 1] = 0.1;
    pfx_design *d = iv_design(&a, effects, FIRM, PFX_W_NONE, 1, 1);
    pfx_clusterstat *s = iv_statistics(d, n_terms, both, 1, pfx_cpu_best());
    static iv_kept k;
    int lost = 0;
    draw_pairs(s, 0, 300, 1, pfx_cpu_best(), &k);
    for (pfx_idx r = 0; r < 300; r++) {
        uint8_t count[20];
        counts(r, 20, count);
        bool none = count[4] + count[9] == 0;
        lost += none;
        for (int t = 0; t < n_terms; t++) {
            assert_int_equal(isnan(k.out[PFX_DRAW_ESTIMATE][n_terms * r + t]), none);
            assert_int_equal(isnan(k.out[PFX_DRAW_STD_ERROR][n_terms * r + t]), none);
        }
        if (r % 20) continue;
        pfx_fit *f = refit(resample_design(d, count));
        assert_int_equal(f == NULL, none);
        if (f) assert_rel(k.out[PFX_DRAW_ESTIMATE][n_terms * r], ref_coef(f, "x2")->estimate, 1e-9);
        pfx_fit_free(f);
    }
    assert_in_range(lost, 20, 80);
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

static void test_lost_identification(void **state)
{
    (void)state;
    lost_identification(FIRM | YEAR, 2);
    lost_identification(FIRM, 1);
}

/* Without each firm in turn, refitted. */
static void test_jackknife(void **state)
{
    (void)state;
    made_panel a = iv_panel_new(30, 1, 2);
    pfx_design *d = iv_design(&a, FIRM | YEAR, FIRM, PFX_W_ANALYTIC, 1, 2);
    pfx_clusterstat *s = iv_statistics(d, 2, both, 1, pfx_cpu_best());
    pfx_jackknife *j = NULL;
    pfx_err err = {0};
    double mean = 0, cube = 0, square = 0;
    assert_ok(pfx_jackknife_run(s, 2, pfx_cpu_best(), &j, &err));
    for (pfx_idx g = 0; g < 30; g++) {
        uint8_t count[30];
        memset(count, 1, sizeof count);
        count[g] = 0;
        pfx_fit *f = refit(resample_design(d, count));
        for (int t = 0; t < 2; t++) assert_rel(j->b[2 * g + t], ref_coef(f, both[t])->estimate, 1e-10);
        pfx_fit_free(f);
        mean += j->b[2 * g] / 30;
    }
    for (pfx_idx g = 0; g < 30; g++) {
        double x = mean - j->b[2 * g];
        square += x * x;
        cube += x * x * x;
    }
    assert_rel(j->acceleration[0], cube / (6 * pow(square, 1.5)), 1e-9);
    pfx_jackknife_free(j);
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

static void test_refusals(void **state)
{
    static const char *const instrument[] = {"x3"}, *const unknown[] = {"x9"}, *const fine[] = {"x2"};
    (void)state;
    pfx_err err = {0};
    pfx_clusterstat *s = NULL;
    made_panel a = iv_panel_new(40, 1, 1);
    pfx_design *d = iv_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE, 1, 1);
    pfx_clusterstat_options o = {.n_terms = 1, .terms = instrument, .tol = 1e-10, .maxiter = 100, .nth = 1};
    assert_fails(pfx_clusterstat_create(d, &o, &s, &err), PFX_EUSAGE, "x3 is an instrument");
    o.terms = unknown;
    assert_fails(pfx_clusterstat_create(d, &o, &s, &err), PFX_EUSAGE, "x9 is no regressor");
    o.terms = fine, o.n_collinear = 1, o.collinear = fine;
    assert_fails(pfx_clusterstat_create(d, &o, &s, &err), PFX_EIDENT, "left out as collinear");
    o.collinear = instrument;
    assert_fails(pfx_clusterstat_create(d, &o, &s, &err), PFX_EIDENT, "0 instruments");
    ref_design_free(d);
    made_panel_free(&a);
}

/* Every allocation failing in turn leaves nothing behind. */
static void test_allocations(void **state)
{
    (void)state;
    made_panel a = iv_panel_new(20, 1, 2);
    pfx_design *d = iv_design(&a, FIRM | YEAR, FIRM, PFX_W_ANALYTIC, 1, 2);
    const pfx_clusterstat_options o = {.n_terms = 2, .terms = both, .tol = 1e-10, .maxiter = 100, .nth = 1};
    test_faults f = {0};
    while (test_faults_next(&f)) {
        pfx_err err = {0};
        pfx_clusterstat *s = NULL;
        pfx_pairs *p = NULL;
        pfx_jackknife *j = NULL;
        pfx_status st = pfx_clusterstat_create(d, &o, &s, &err);
        if (st == PFX_OK) st = pfx_pairs_create(s, &(pfx_pairs_options){.std_error = true}, &p, &err);
        if (st == PFX_OK) st = pfx_jackknife_run(s, 1, PFX_ISA_PORTABLE, &j, &err);
        pfx_jackknife_free(j);
        pfx_pairs_free(p);
        pfx_clusterstat_free(s);
        test_faults_done(&f, st);
    }
    ref_design_free(d);
    made_panel_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs_refits),
        cmocka_unit_test(test_pairs_same_bits),
        cmocka_unit_test(test_lost_identification),
        cmocka_unit_test(test_jackknife),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
