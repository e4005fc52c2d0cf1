/* Replicates that are refits, beside effects that cross the clusters: against literally resampled rows,
 * against the same effects as columns, and themselves: ways to solve, threads, instruction sets. */
#include "kernels/multinomial.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/rep/clusterstat.h"
#include "src/rep/jackknife.h"
#include "src/rep/pairs.h"
#include "src/rep/refit.h"
#include "tests/est/iv_panel.h"
#include "tests/est/resample.h"
#include "tests/faults.h"

enum { REPS = 21, TERMS = 2 };
static const char *const terms[TERMS] = {"x2", "x0"};

static pfx_clusterstat *statistics(const pfx_design *d, bool absorb, int nth, pfx_isa isa)
{
    pfx_err err = {0};
    pfx_clusterstat *s = NULL;
    const pfx_clusterstat_options o = {.n_terms = TERMS,
                                       .terms = terms,
                                       .tol = 1e-12,
                                       .maxiter = 10000,
                                       .nth = nth,
                                       .isa = isa,
                                       .absorb = absorb};
    assert_ok(pfx_clusterstat_create(d, &o, &s, &err));
    return s;
}

typedef struct kept {
    double out[PFX_DRAW_FIELDS][REPS * TERMS];
} kept;

static pfx_status keep_put(void *ctx, pfx_idx first, pfx_idx n, const double *const *field, pfx_err *err)
{
    kept *k = ctx;
    (void)err;
    for (int f = 0; f < PFX_DRAW_FIELDS; f++)
        memcpy(k->out[f] + first * TERMS, field[f], (size_t)(n * TERMS) * sizeof(double));
    return PFX_OK;
}

static kept run(const pfx_clusterstat *s, pfx_pairs_options o, pfx_idx last)
{
    pfx_err err = {0};
    pfx_pairs *p = NULL;
    kept k;
    const pfx_draw_sink sink = {.ctx = &k, .put = keep_put};
    pfx_rep_run r = {.seed = 5, .last = last, .nth = o.nth, .n_sinks = 1, .sinks = &sink};
    o.std_error = true;
    assert_ok(pfx_pairs_create(s, &o, &p, &err));
    assert_int_equal(pfx_pairs_refit(p) != NULL, s->absorber != NULL);
    assert_ok(pfx_rep_run_method(pfx_pairs_method(p), &r, &err));
    pfx_pairs_free(p);
    return k;
}

static void compare_refits(pfx_idx firms, int effects, int cluster, pfx_weights_kind kind, int way,
                           pfx_idx reps)
{
    made_panel a = made_panel_new(firms, 4);
    pfx_design *d = made_design(&a, effects, cluster, kind);
    pfx_clusterstat *s = statistics(d, true, 1, pfx_cpu_best());
    kept k = run(s, (pfx_pairs_options){.isa = pfx_cpu_best(), .nth = 2, .way = way}, reps);
    uint8_t *count = malloc((size_t)s->G);
    for (pfx_idx r = 0; r < reps; r++) {
        pfx_k_multinomial(PFX_ISA_PORTABLE, 5, PFX_RNG_PAIRS, (uint64_t)r, s->G, s->G, count);
        pfx_fit_options fo = ref_options(PFX_VCOV_CLUSTER, PFX_SSC_NONE);
        fo.tol = 1e-13;
        pfx_fit *f = made_fit(resample_design(d, count), fo);
        for (int t = 0; t < TERMS; t++) {
            const pfx_coef *c = ref_coef(f, terms[t]);
            double factor = sqrt((double)s->G / (double)(s->G - 1));
            assert_rel(k.out[PFX_DRAW_ESTIMATE][r * TERMS + t], c->estimate, 1e-10);
            assert_rel(k.out[PFX_DRAW_STD_ERROR][r * TERMS + t], c->std_error * factor, 1e-10);
            assert_rel(k.out[PFX_DRAW_STATISTIC][r * TERMS + t],
                       (c->estimate - s->b[t]) / (c->std_error * factor), 1e-9);
        }
        pfx_fit_free(f);
    }
    free(count);
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

static void test_refits(void **state)
{
    (void)state;
    for (int way = 0; way <= 3; way++) {
        compare_refits(150, FIRM | GROUP | YEAR, FIRM, PFX_W_NONE, way, 5);
        compare_refits(150, FIRM | GROUP | YEAR, FIRM, PFX_W_ANALYTIC, way, 3);
        compare_refits(200, FIRM | GROUP | YEAR | INDUSTRY, TOWN, PFX_W_NONE, way, 3);
        compare_refits(100, FIRM | YEAR, GROUP, PFX_W_ANALYTIC, way, 3); /* what is eliminated crosses, too */
        compare_refits(100, FIRM | TOWN | YEAR, GROUP, PFX_W_NONE, way, 3);
        compare_refits(100, YEAR | INDUSTRY, FIRM, PFX_W_NONE, way, 3); /* nothing is nested */
    }
}

/* The effects as columns of their own: all replicates, exponential weights, a slope, the jackknife. */
static void compare_columns(int effects, int cluster, bool slope, pfx_pairs_options o)
{
    pfx_err err = {0};
    made_panel a = made_panel_new(120, 4);
    pfx_design *d = made_design(&a, effects, cluster, PFX_W_ANALYTIC);
    if (slope) {
        pfx_absorbed *e = &d->absorbed[d->n_absorbed - 1];
        e->slope = pfx_mem_calloc(1, sizeof *e->slope, &err);
        e->slope_name = pfx_mem_calloc(1, sizeof *e->slope_name, &err);
        e->slope[0] = pfx_mem_alloc(d->n, sizeof **e->slope, &err);
        e->slope_name[0] = pfx_mem_strdup("z", &err);
        e->n_slopes = 1;
        for (pfx_idx i = 0; i < d->n; i++) e->slope[0][i] = test_uniform(77, (uint64_t)i);
    }
    pfx_clusterstat *s = statistics(d, true, 1, o.isa), *columns = statistics(d, false, 1, o.isa);
    kept k = run(s, o, REPS), c = run(columns, o, REPS);
    for (int f = 0; f < PFX_DRAW_FIELDS; f++)
        for (int i = 0; i < REPS * TERMS; i++) assert_rel(k.out[f][i], c.out[f][i], 1e-9);
    pfx_clusterstat_free(s);
    pfx_clusterstat_free(columns);
    ref_design_free(d);
    made_panel_free(&a);
}

static void test_columns(void **state)
{
    pfx_pairs_options o = {.isa = pfx_cpu_best(), .nth = 1};
    (void)state;
    compare_columns(FIRM | GROUP | YEAR, FIRM, false, o);
    compare_columns(FIRM | GROUP | YEAR, FIRM, true, o);
    compare_columns(FIRM | YEAR, GROUP, true, o);
    o.bayes = true;
    compare_columns(FIRM | GROUP | YEAR, TOWN, false, o);
    compare_columns(FIRM | YEAR, GROUP, false, o);
    o.bayes = false;
    o.draws = 13;
    compare_columns(FIRM | INDUSTRY | YEAR, GROUP, false, o);
}

static void test_same_bits(void **state)
{
    (void)state;
    made_panel a = made_panel_new(203, 4);
    for (int cluster = FIRM; cluster <= GROUP; cluster += GROUP - FIRM)
        for (int way = 1; way <= 3; way++) {
            pfx_design *d = made_design(&a, FIRM | YEAR | GROUP, cluster, PFX_W_NONE);
            pfx_clusterstat *s = statistics(d, true, 1, PFX_ISA_PORTABLE);
            kept whole = run(s, (pfx_pairs_options){.isa = PFX_ISA_PORTABLE, .nth = 1, .way = way}, REPS);
            for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
                if (!pfx_cpu_has(isa)) continue;
                for (int nth = 1; nth <= 7; nth += nth < 3 ? 1 : 4) {
                    pfx_clusterstat *other = statistics(d, true, nth, isa);
                    kept k = run(other, (pfx_pairs_options){.isa = isa, .nth = nth, .way = way}, REPS);
                    for (int f = 0; f < PFX_DRAW_FIELDS; f++)
                        assert_same_bits(k.out[f], whole.out[f], REPS * TERMS);
                    pfx_clusterstat_free(other);
                }
            }
            pfx_clusterstat_free(s);
            ref_design_free(d);
        }
    made_panel_free(&a);
}

/* Two-stage least squares, and the jackknife of both, against columns. */
static void compare_iv(int effects, int cluster, pfx_weights_kind kind, int n, int l)
{
    static const char *const both[TERMS] = {"x2", "x1"};
    made_panel a = iv_panel_new(120, n, l);
    pfx_design *d = iv_design(&a, effects, cluster, kind, n, l);
    pfx_err err = {0};
    pfx_clusterstat *s[2] = {NULL, NULL};
    kept k[2];
    for (int i = 0; i < 2; i++) {
        const pfx_clusterstat_options o = {.n_terms = TERMS,
                                           .terms = both,
                                           .tol = 1e-12,
                                           .maxiter = 10000,
                                           .nth = 1,
                                           .isa = pfx_cpu_best(),
                                           .absorb = i == 1};
        assert_ok(pfx_clusterstat_create(d, &o, &s[i], &err));
        k[i] = run(s[i], (pfx_pairs_options){.isa = pfx_cpu_best(), .nth = 1}, REPS);
    }
    for (int f = 0; f < PFX_DRAW_FIELDS; f++)
        for (int i = 0; i < REPS * TERMS; i++) assert_rel(k[0].out[f][i], k[1].out[f][i], 1e-8);
    for (int i = 0; i < 2; i++) pfx_clusterstat_free(s[i]);
    ref_design_free(d);
    made_panel_free(&a);
}

static void test_iv(void **state)
{
    (void)state;
    compare_iv(FIRM | GROUP | YEAR, FIRM, PFX_W_NONE, 1, 2);
    compare_iv(FIRM | GROUP | YEAR, TOWN, PFX_W_ANALYTIC, 2, 3);
    compare_iv(FIRM | YEAR, GROUP, PFX_W_NONE, 1, 1);
}

static void compare_jackknife(int effects, int cluster, pfx_weights_kind kind)
{
    pfx_err err = {0};
    made_panel a = made_panel_new(90, 4);
    pfx_design *d = made_design(&a, effects, cluster, kind);
    pfx_clusterstat *s = statistics(d, true, 1, pfx_cpu_best()),
                    *columns = statistics(d, false, 1, pfx_cpu_best());
    pfx_jackknife *j = NULL, *other = NULL;
    assert_ok(pfx_jackknife_run(columns, 1, pfx_cpu_best(), &other, &err));
    for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
        if (!pfx_cpu_has(isa)) continue;
        pfx_jackknife_free(j);
        assert_ok(pfx_jackknife_run(s, isa == PFX_ISA_PORTABLE ? 3 : 1, isa, &j, &err));
        for (pfx_idx i = 0; i < s->G * TERMS; i++) {
            assert_rel(j->b[i], other->b[i], 1e-10);
            assert_rel(j->partial[i], other->partial[i], 1e-9);
        }
        for (int t = 0; t < TERMS; t++) {
            assert_rel(j->cv3[t], other->cv3[t], 1e-10);
            assert_rel(j->acceleration[t], other->acceleration[t], 1e-7);
        }
    }
    pfx_jackknife_free(j);
    pfx_jackknife_free(other);
    pfx_clusterstat_free(s);
    pfx_clusterstat_free(columns);
    ref_design_free(d);
    made_panel_free(&a);
}

static void test_jackknife(void **state)
{
    (void)state;
    compare_jackknife(FIRM | GROUP | YEAR, FIRM, PFX_W_NONE);
    compare_jackknife(FIRM | GROUP | YEAR, TOWN, PFX_W_ANALYTIC);
    compare_jackknife(FIRM | YEAR, GROUP, PFX_W_NONE);
}

/* What memory and effects do not allow is said. */
static void test_refusals(void **state)
{
    (void)state;
    pfx_err err = {0};
    pfx_pairs *p = NULL;
    made_panel a = made_panel_new(90, 4);
    pfx_design *d = made_design(&a, FIRM | GROUP | YEAR, FIRM, PFX_W_NONE);
    pfx_clusterstat *s = statistics(d, true, 1, pfx_cpu_best());
    s->max_bytes = 100000;
    assert_fails(pfx_pairs_create(s, &(pfx_pairs_options){.isa = pfx_cpu_best(), .nth = 1}, &p, &err),
                 PFX_ENOMEM, "--memory");
    s->max_bytes = 0;
    test_faults f = {0};
    while (test_faults_next(&f)) {
        p = NULL;
        pfx_status st =
            pfx_pairs_create(s, &(pfx_pairs_options){.isa = pfx_cpu_best(), .nth = 1, .way = 2}, &p, &err);
        pfx_pairs_free(p);
        test_faults_done(&f, st);
    }
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_refits),    cmocka_unit_test(test_columns),
                                       cmocka_unit_test(test_same_bits), cmocka_unit_test(test_iv),
                                       cmocka_unit_test(test_jackknife), cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
