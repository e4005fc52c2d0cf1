/* The pairs bootstrap against literally resampled rows, an enumerated reference, and itself: threads, ranges,
 * instruction sets. */
#include "kernels/multinomial.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/rep/clusterstat.h"
#include "src/rep/pairs.h"
#include "src/rep/patterns.h"
#include "tests/est/made_panel.h"
#include "tests/est/resample.h"
#include "tests/faults.h"

static pfx_clusterstat *statistics(const pfx_design *d, int n_terms, const char *const *terms, int nth,
                                   pfx_isa isa)
{
    pfx_err err = {0};
    pfx_clusterstat *s = NULL;
    const pfx_clusterstat_options o = {
        .n_terms = n_terms, .terms = terms, .tol = 1e-12, .maxiter = 10000, .nth = nth, .isa = isa};
    assert_ok(pfx_clusterstat_create(d, &o, &s, &err));
    return s;
}

/* Draws [first, last) into out[3][n x terms], through a sink. */
typedef struct kept {
    int n_terms;
    pfx_idx first;
    double *out[PFX_DRAW_FIELDS];
} kept;

static pfx_status keep_put(void *ctx, pfx_idx first, pfx_idx n, const double *const *field, pfx_err *err)
{
    kept *k = ctx;
    (void)err;
    for (int f = 0; f < PFX_DRAW_FIELDS; f++)
        memcpy(k->out[f] + (first - k->first) * k->n_terms, field[f],
               (size_t)(n * k->n_terms) * sizeof(double));
    return PFX_OK;
}

static kept run(const pfx_clusterstat *s, bool se, uint64_t seed, pfx_idx first, pfx_idx last, int nth,
                pfx_isa isa)
{
    pfx_err err = {0};
    pfx_pairs *p = NULL;
    kept k = {.n_terms = s->n_terms, .first = first};
    for (int f = 0; f < PFX_DRAW_FIELDS; f++)
        k.out[f] = calloc((size_t)((last - first) * s->n_terms), sizeof(double));
    const pfx_draw_sink sink = {.ctx = &k, .put = keep_put};
    pfx_rep_run r = {.seed = seed, .first = first, .last = last, .nth = nth, .n_sinks = 1, .sinks = &sink};
    assert_ok(pfx_pairs_create(s, &(pfx_pairs_options){.std_error = se, .isa = isa}, &p, &err));
    assert_ok(pfx_rep_run_method(pfx_pairs_method(p), &r, &err));
    assert_int_equal(r.done, last - first);
    pfx_pairs_free(p);
    return k;
}

static void free_kept(kept *k)
{
    for (int f = 0; f < PFX_DRAW_FIELDS; f++) free(k->out[f]);
}

/* Word by word, as the declaration of pfx_k_multinomial says. */
static void slow_draws(uint64_t seed, uint64_t replicate, pfx_idx G, pfx_idx draws, uint8_t *count)
{
    pfx_rng r;
    pfx_rng_start(&r, seed, PFX_RNG_PAIRS, replicate);
    memset(count, 0, (size_t)G);
    for (pfx_idx left = draws; left > 0;) {
        uint64_t x = (uint64_t)pfx_rng_u32(&r) * (uint64_t)G, y = (uint32_t)x * (uint64_t)G;
        if (G >= 65536) {
            if ((uint32_t)x < (UINT64_C(1) << 32) % (uint64_t)G) continue;
            count[x >> 32]++;
            left--;
            continue;
        }
        if ((uint32_t)y < (UINT64_C(1) << 32) % ((uint64_t)G * (uint64_t)G)) continue;
        count[x >> 32]++;
        if (--left == 0) break;
        count[y >> 32]++;
        left--;
    }
}

static void slow_counts(uint64_t seed, uint64_t replicate, pfx_idx G, uint8_t *count)
{
    slow_draws(seed, replicate, G, G, count);
}

static void test_counts(void **state)
{
    static const pfx_idx sizes[] = {1, 2, 3, 10, 63, 64, 65, 1000, 3500, 65535, 65536, 100000};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pfx_idx G = sizes[i];
        uint8_t *slow = malloc((size_t)G), *fast = malloc((size_t)G);
        for (uint64_t rep = 0; rep < (G > 5000 ? 3 : 100); rep++) {
            pfx_idx draws = rep % 2 ? G : (G + 2) / 3;
            slow_draws(17, rep << 33 | rep, G, draws, slow);
            for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
                if (!pfx_cpu_has(isa)) continue;
                pfx_k_multinomial(isa, 17, PFX_RNG_PAIRS, rep << 33 | rep, G, draws, fast);
                assert_memory_equal(slow, fast, (size_t)G);
            }
        }
        free(slow);
        free(fast);
    }
}

/* Every coefficient and its standard error in some replicates, against a refit of the resampled rows. */
static void compare_refits(pfx_idx firms, int effects, int cluster, pfx_weights_kind kind, pfx_idx reps)
{
    static const char *const terms[] = {"x2", "x0"};
    made_panel a = made_panel_new(firms, 4);
    pfx_design *d = made_design(&a, effects, cluster, kind);
    pfx_clusterstat *s = statistics(d, 2, terms, 1, pfx_cpu_best());
    kept k = run(s, true, 5, 0, reps, 2, pfx_cpu_best());
    pfx_fit *full =
        made_fit(made_design(&a, effects, cluster, kind), ref_options(PFX_VCOV_CLUSTER, PFX_SSC_NONE));
    uint8_t *count = malloc((size_t)s->G);
    for (int t = 0; t < 2; t++) assert_rel(s->b[t], ref_coef(full, terms[t])->estimate, 1e-12);
    for (pfx_idx r = 0; r < reps; r += 1 + reps / 9) {
        slow_counts(5, (uint64_t)r, s->G, count);
        pfx_fit *f = made_fit(resample_design(d, count), ref_options(PFX_VCOV_CLUSTER, PFX_SSC_NONE));
        for (int t = 0; t < 2; t++) {
            const pfx_coef *c = ref_coef(f, terms[t]);
            double factor = sqrt((double)s->G / (double)(s->G - 1));
            assert_rel(k.out[PFX_DRAW_ESTIMATE][r * 2 + t], c->estimate, 1e-11);
            assert_rel(k.out[PFX_DRAW_STD_ERROR][r * 2 + t], c->std_error * factor, 1e-10);
            assert_rel(k.out[PFX_DRAW_STATISTIC][r * 2 + t],
                       (c->estimate - s->b[t]) / (c->std_error * factor), 1e-9);
        }
        pfx_fit_free(f);
    }
    pfx_fit_free(full);
    free(count);
    free_kept(&k);
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

static void test_refits(void **state)
{
    (void)state;
    compare_refits(100, FIRM | YEAR, FIRM, PFX_W_NONE, 200);
    compare_refits(1000, FIRM | YEAR, FIRM, PFX_W_NONE, 20); /* years repeat: patterns */
    compare_refits(100, FIRM | YEAR, FIRM, PFX_W_ANALYTIC, 20);
    compare_refits(200, FIRM | YEAR, TOWN, PFX_W_NONE, 20);
    compare_refits(200, FIRM | YEAR, TOWN, PFX_W_ANALYTIC, 20);
    compare_refits(100, FIRM | YEAR | INDUSTRY, FIRM, PFX_W_NONE, 20);
    compare_refits(100, YEAR, FIRM, PFX_W_NONE, 20);
    compare_refits(100, 0, FIRM, PFX_W_NONE, 20);
    compare_refits(150, FIRM | GROUP | YEAR, FIRM, PFX_W_NONE, 20);
    compare_refits(100, FIRM, FIRM, PFX_W_ANALYTIC, 20);
    compare_refits(100, FIRM | YEAR, GROUP, PFX_W_NONE, 4); /* firms become columns: clusters cross them */
}

static void test_same_bits(void **state)
{
    static const char *const terms[] = {"x0", "x3"};
    static const struct {
        pfx_idx first, last;
    } ranges[] = {{0, 500}, {0, 1}, {191, 193}, {192, 384}, {100, 499}};
    (void)state;
    made_panel a = made_panel_new(1003, 4);
    pfx_design *d = made_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE);
    pfx_clusterstat *s = statistics(d, 2, terms, 1, PFX_ISA_PORTABLE);
    kept whole = run(s, true, 9, 0, 500, 1, PFX_ISA_PORTABLE);
    for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
        if (!pfx_cpu_has(isa)) continue;
        for (int nth = 1; nth <= 7; nth += nth < 3 ? 1 : 4) {
            pfx_clusterstat *other = statistics(d, 2, terms, nth, isa);
            assert_same_bits(s->M, other->M, s->rows * s->ld);
            for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
                pfx_idx first = ranges[i].first, last = ranges[i].last;
                kept part = run(other, true, 9, first, last, nth, isa);
                for (int f = 0; f < PFX_DRAW_FIELDS; f++)
                    assert_same_bits(part.out[f], whole.out[f] + first * 2, (last - first) * 2);
                free_kept(&part);
            }
            pfx_clusterstat_free(other);
        }
    }
    kept bare = run(s, false, 9, 0, 500, 2, PFX_ISA_PORTABLE);
    assert_same_bits(bare.out[PFX_DRAW_ESTIMATE], whole.out[PFX_DRAW_ESTIMATE], 1000);
    assert_true(isnan(bare.out[PFX_DRAW_STD_ERROR][0]));
    kept seed = run(s, false, 10, 0, 500, 2, PFX_ISA_PORTABLE);
    assert_true(seed.out[PFX_DRAW_ESTIMATE][0] != whole.out[PFX_DRAW_ESTIMATE][0]);
    free_kept(&bare);
    free_kept(&seed);
    free_kept(&whole);
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

/* Firms with the same years share a pattern, whose statistics are theirs; weights leave none. */
static void test_patterns(void **state)
{
    static const char *const terms[] = {"x1"};
    (void)state;
    for (int weighted = 0; weighted < 2; weighted++) {
        pfx_err err = {0};
        pfx_patterns t;
        made_panel a = made_panel_new(1003, 3);
        pfx_design *d = made_design(&a, FIRM | YEAR, FIRM, weighted ? PFX_W_ANALYTIC : PFX_W_NONE);
        pfx_clusterstat *s = statistics(d, 1, terms, 1, pfx_cpu_best());
        assert_int_equal(s->n_effect, 6);
        assert_ok(pfx_patterns_find(s, &t, &err));
        if (weighted) {
            assert_int_equal(t.n, 0);
        } else {
            assert_in_range(t.n, 20, 127);
            assert_int_equal(t.n_stats, 21);
            for (pfx_idx g = 0; g < s->G; g++)
                assert_same_bits(t.M + t.pattern[g] * 21, s->M + g * s->ld, 21);
            for (pfx_idx g = 0; g < s->G; g++)
                for (pfx_idx h = 0; h < g; h += 1 + g / 20)
                    assert_int_equal(t.pattern[g] == t.pattern[h],
                                     memcmp(s->M + g * s->ld, s->M + h * s->ld, 21 * sizeof(double)) == 0);
        }
        pfx_patterns_free(&t);
        pfx_clusterstat_free(s);
        ref_design_free(d);
        made_panel_free(&a);
    }
}

/* All multisets of G clusters, each with its multinomial probability, through the method's own batch. */
typedef struct enumeration {
    const pfx_pairs *p;
    const pfx_clusterstat *s;
    uint8_t *count;
    double *prob, *field[PFX_DRAW_FIELDS], *scratch;
    int n, width;
    pfx_idx sets;
    double valid, lost, sum[2], sum2[2];
} enumeration;

static void flush(enumeration *e)
{
    pfx_pairs_batch(e->p, e->count, e->scratch, e->field);
    for (int i = 0; i < e->n; i++) {
        const double *b = e->field[PFX_DRAW_ESTIMATE] + 2 * i;
        if (isnan(b[0]) || isnan(b[1])) {
            e->lost += e->prob[i];
            continue;
        }
        e->valid += e->prob[i];
        for (int t = 0; t < 2; t++) {
            double z = b[t] - e->s->b[t];
            e->sum[t] += e->prob[i] * z;
            e->sum2[t] += e->prob[i] * z * z;
        }
    }
    e->n = 0;
}

static void enumerate(enumeration *e, uint8_t *now, int g, int left, double prob)
{
    pfx_idx G = e->s->G;
    if (g == G - 1) {
        uint8_t *to = e->count + e->n * pfx_pairs_ld(e->p);
        now[g] = (uint8_t)left;
        for (int i = 1; i <= left; i++) prob /= i;
        memcpy(to, now, (size_t)G);
        e->prob[e->n++] = prob;
        e->sets++;
        if (e->n == e->width) flush(e);
        return;
    }
    for (int c = 0; c <= left; c++) {
        if (c > 0) prob /= c;
        now[g] = (uint8_t)c;
        enumerate(e, now, g + 1, left - c, prob);
    }
}

static void check_enumeration(const char *csv, const ref_spec *spec, const char *const *terms, pfx_idx sets,
                              double lost, const double *mean, const double *sd)
{
    ref_table *t = ref_read(csv);
    pfx_design *d = ref_design(t, spec);
    pfx_clusterstat *s = statistics(d, 2, terms, 1, pfx_cpu_best());
    pfx_pairs *p = NULL;
    pfx_err err = {0};
    assert_ok(pfx_pairs_create(s, &(pfx_pairs_options){.isa = pfx_cpu_best()}, &p, &err));
    const pfx_rep_method *m = pfx_pairs_method(p);
    enumeration e = {.p = p, .s = s, .width = m->width};
    e.count = calloc((size_t)(m->width * pfx_pairs_ld(p)), 1);
    e.prob = calloc((size_t)m->width, sizeof *e.prob);
    e.scratch = pfx_mem_alloc(m->scratch, 1, &err);
    for (int f = 0; f < PFX_DRAW_FIELDS; f++) e.field[f] = calloc((size_t)m->width * 2, sizeof(double));
    uint8_t now[64];
    double all = 1;
    for (int i = 1; i <= s->G; i++) all *= (double)i / (double)s->G;
    enumerate(&e, now, 0, (int)s->G, all);
    flush(&e);
    assert_int_equal(e.sets, sets);
    assert_rel(e.lost, lost, 1e-6);
    assert_rel(e.valid + e.lost, 1.0, 1e-12);
    for (int i = 0; i < 2; i++) {
        double z = e.sum[i] / e.valid;
        assert_rel(s->b[i] + z, mean[i], 1e-9);
        assert_rel(sqrt(e.sum2[i] / e.valid - z * z), sd[i], 1e-9);
    }
    for (int f = 0; f < PFX_DRAW_FIELDS; f++) free(e.field[f]);
    free(e.count);
    free(e.prob);
    pfx_mem_free(e.scratch);
    pfx_pairs_free(p);
    pfx_clusterstat_free(s);
    ref_design_free(d);
    ref_free(t);
}

static void test_enumerated_grunfeld(void **state)
{
    static const char *const terms[] = {"value", "capital"};
    static const double mean[] = {0.1013885531023, 0.276107445793831},
                        sd[] = {0.0316298321602234, 0.137162651292133};
    const ref_spec spec = {.y = "inv", .x = "value capital", .effects = "firm year", .clusters = "firm"};
    (void)state;
    check_enumeration(ref_own("grunfeld.csv"), &spec, terms, 92378, 1e-9, mean, sd);
}

static void test_enumerated_airlines(void **state)
{
    static const char *const terms[] = {"lout", "lprice"};
    static const double mean[] = {0.824909342040543, 0.192006499482966},
                        sd[] = {0.0884318571598334, 0.218709255070664};
    const ref_spec spec = {.y = "lcost", .x = "lout lprice load", .effects = "firm year", .clusters = "firm"};
    (void)state;
    SKIP_WITHOUT("usairlines.csv");
    check_enumeration(test_refdata("usairlines.csv"), &spec, terms, 462, 0.000128600823045267, mean, sd);
}

/* A regressor that one cluster alone identifies: NaN exactly where it is not drawn, and the other term
 * stands. */
static void test_lost_identification(void **state)
{
    static const char *const terms[] = {"x1", "x0"};
    (void)state;
    made_panel a = made_panel_new(12, 3);
    for (pfx_idx i = 0; i < a.n; i++) a.Z[i * a.p + 1] = a.firm[i] == 4 ? a.Z[i * a.p + 1] : 0;
    pfx_design *d = made_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE);
    pfx_clusterstat *s = statistics(d, 2, terms, 1, pfx_cpu_best());
    kept k = run(s, true, 3, 0, 300, 1, pfx_cpu_best());
    int lost = 0;
    for (pfx_idx r = 0; r < 300; r++) {
        uint8_t count[12];
        slow_counts(3, (uint64_t)r, 12, count);
        const double *b = k.out[PFX_DRAW_ESTIMATE] + 2 * r;
        assert_int_equal(isnan(b[0]), count[4] == 0);
        assert_int_equal(isnan(k.out[PFX_DRAW_STD_ERROR][2 * r]), count[4] == 0);
        assert_false(isnan(b[1]));
        lost += isnan(b[0]);
        if (r % 50 || count[4]) continue;
        pfx_fit *f = made_fit(resample_design(d, count), ref_options(PFX_VCOV_CLUSTER, PFX_SSC_NONE));
        assert_rel(b[1], ref_coef(f, "x0")->estimate, 1e-10);
        pfx_fit_free(f);
    }
    assert_in_range(lost, 60, 150);
    free_kept(&k);
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

static void test_refusals(void **state)
{
    static const char *const unknown[] = {"x9"}, *const twice[] = {"x0", "x0"}, *const nested[] = {"x1"};
    (void)state;
    pfx_err err = {0};
    pfx_clusterstat *s = NULL;
    made_panel a = made_panel_new(40, 3);
    pfx_design *d = made_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE);
    pfx_clusterstat_options o = {.n_terms = 1, .terms = unknown, .tol = 1e-10, .maxiter = 100, .nth = 1};
    assert_fails(pfx_clusterstat_create(d, &o, &s, &err), PFX_EUSAGE, "x9 is no regressor");
    o.n_terms = 2, o.terms = twice;
    assert_fails(pfx_clusterstat_create(d, &o, &s, &err), PFX_EUSAGE, "named twice");
    for (pfx_idx i = 0; i < a.n; i++) d->Z[i * a.p + 1] = a.firm[i];
    o.n_terms = 1, o.terms = nested;
    assert_fails(pfx_clusterstat_create(d, &o, &s, &err), PFX_ENOCONV, "x1 is not identified");
    o.n_collinear = 1, o.collinear = nested;
    assert_fails(pfx_clusterstat_create(d, &o, &s, &err), PFX_EIDENT, "left out as collinear");
    o = (pfx_clusterstat_options){
        .n_terms = 1, .terms = twice, .tol = 1e-10, .maxiter = 100, .nth = 1, .max_bytes = 100};
    assert_fails(pfx_clusterstat_create(d, &o, &s, &err), PFX_ENOMEM, "40 clusters");
    ref_design_free(d);
    made_panel_free(&a);
    a = made_panel_new(600, 2);
    d = made_design(&a, FIRM, YEAR, PFX_W_NONE);
    o.max_bytes = 0;
    assert_fails(pfx_clusterstat_create(d, &o, &s, &err), PFX_EUSAGE, "not nested in the clusters (year)");
    ref_design_free(d);
    made_panel_free(&a);
}

/* Every allocation failing in turn leaves nothing behind. */
static void test_allocations(void **state)
{
    static const char *const terms[] = {"x0"};
    (void)state;
    made_panel a = made_panel_new(20, 2);
    pfx_design *d = made_design(&a, FIRM | YEAR, FIRM, PFX_W_ANALYTIC);
    const pfx_clusterstat_options o = {.n_terms = 1, .terms = terms, .tol = 1e-10, .maxiter = 100, .nth = 1};
    test_faults f = {0};
    while (test_faults_next(&f)) {
        pfx_err err = {0};
        pfx_clusterstat *s = NULL;
        pfx_pairs *p = NULL;
        pfx_status st = pfx_clusterstat_create(d, &o, &s, &err);
        if (st == PFX_OK) st = pfx_pairs_create(s, &(pfx_pairs_options){.std_error = true}, &p, &err);
        pfx_rep_run r = {.seed = 1, .last = 10, .nth = 1};
        if (st == PFX_OK) st = pfx_rep_run_method(pfx_pairs_method(p), &r, &err);
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
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_refits),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_enumerated_grunfeld),
        cmocka_unit_test(test_enumerated_airlines),
        cmocka_unit_test(test_lost_identification),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
