/* Bayesian and m-out-of-n draws of the pairs bootstrap against literal refits: rows weighted by their
 * cluster, rows of M drawn clusters; the weights themselves; the same bits over threads, ranges and
 * instruction sets. */
#include "kernels/multinomial.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/est/fit.h"
#include "src/rep/clusterstat.h"
#include "src/rep/keep.h"
#include "src/rep/pairs.h"
#include "tests/est/iv_panel.h"
#include "tests/est/resample.h"

static const char *const both[] = {"x2", "x1"};
enum { SEED = 5, TERMS = 2 };

static pfx_draw_keep draw(const pfx_clusterstat *s, pfx_pairs_options o, pfx_idx first, pfx_idx last, int nth)
{
    pfx_err err = {0};
    pfx_pairs *p = NULL;
    pfx_draw_keep k;
    assert_ok(pfx_draw_keep_init(&k, TERMS, 7, first, last - first, &err));
    const pfx_draw_sink sink = pfx_draw_keep_sink(&k);
    pfx_rep_run r = {.seed = SEED, .first = first, .last = last, .nth = nth, .n_sinks = 1, .sinks = &sink};
    assert_ok(pfx_pairs_create(s, &o, &p, &err));
    assert_ok(pfx_rep_run_method(pfx_pairs_method(p), &r, &err));
    pfx_pairs_free(p);
    return k;
}

/* One weight after the other. */
static void slow_weights(uint64_t replicate, pfx_idx n, double *w)
{
    pfx_rng r;
    double sum = 0;
    pfx_rng_start(&r, SEED, PFX_RNG_BAYES, replicate);
    for (pfx_idx g = 0; g < n; g++) sum += w[g] = -log(pfx_rng_uniform(&r));
    for (pfx_idx g = 0; g < n; g++) w[g] *= (double)n / sum;
}

/* d with each row's weight times its cluster's. */
static pfx_design *weigh(pfx_design *d, const double *w)
{
    if (!d->w) {
        d->w = pfx_mem_alloc(d->n, sizeof *d->w, NULL);
        d->weights_kind = PFX_W_ANALYTIC;
        for (pfx_idx i = 0; i < d->n; i++) d->w[i] = 1;
    }
    for (pfx_idx i = 0; i < d->n; i++) d->w[i] *= w[d->clusters[0].code[i]];
    return d;
}

static void compare(const pfx_draw_keep *k, pfx_idx r, const pfx_clusterstat *s, double clusters,
                    pfx_design *d)
{
    const pfx_fit_options o = ref_options(PFX_VCOV_CLUSTER, PFX_SSC_NONE);
    pfx_err err = {0};
    pfx_fit *f = NULL;
    assert_ok(pfx_fit_model(d, &o, &f, &err));
    ref_design_free(d);
    double factor = sqrt(clusters / (clusters - 1));
    for (int t = 0; t < TERMS; t++) {
        const pfx_coef *c = ref_coef(f, both[t]);
        assert_rel(k->field[PFX_DRAW_ESTIMATE][r * TERMS + t], c->estimate, 1e-10);
        assert_rel(k->field[PFX_DRAW_STD_ERROR][r * TERMS + t], c->std_error * factor, 1e-10);
        assert_rel(k->field[PFX_DRAW_STATISTIC][r * TERMS + t],
                   (c->estimate - s->b[t]) / (c->std_error * factor), 1e-9);
    }
    pfx_fit_free(f);
}

/* iv: endogenous variables of two-stage least squares, with two instruments each; 0: least squares. */
static pfx_design *design(const made_panel *a, int effects, int cluster, pfx_weights_kind kind, int iv)
{
    return iv ? iv_design(a, effects, cluster, kind, iv, 2 * iv) : made_design(a, effects, cluster, kind);
}

/* Standard errors where a cluster of weight w counts as w clusters: the score of each cluster comes from a
 * fit whose variance has that cluster and the rest as its two clusters; as scores sum to zero, the variance
 * is twice its square. */
static void compare_bayes(const pfx_draw_keep *k, pfx_idx r, const pfx_clusterstat *s, const double *w,
                          const made_panel *a, int effects, int cluster, pfx_weights_kind kind, int iv)
{
    pfx_idx G = s->G;
    double sum[TERMS] = {0}, b[TERMS];
    for (pfx_idx g = 0; g < G; g++) {
        pfx_design *d = weigh(design(a, effects, cluster, kind, iv), w),
                   *two = design(a, effects, 0, kind, iv);
        int32_t *code = malloc((size_t)d->n * sizeof *code);
        for (pfx_idx i = 0; i < d->n; i++)
            code[i] = (d->clusters[0].code[i] == g) != (d->clusters[0].code[0] == g);
        ref_add_cluster(two, "one", 2, code);
        if (!two->w) two->w = pfx_mem_alloc(d->n, sizeof *two->w, NULL);
        two->weights_kind = d->weights_kind;
        memcpy(two->w, d->w, (size_t)d->n * sizeof *d->w);
        const pfx_fit_options o = ref_options(PFX_VCOV_CLUSTER, PFX_SSC_NONE);
        pfx_err err = {0};
        pfx_fit *f = NULL;
        assert_ok(pfx_fit_model(two, &o, &f, &err));
        for (int t = 0; t < TERMS; t++) {
            double score = ref_coef(f, both[t])->std_error / sqrt(2) / w[g];
            sum[t] += w[g] * score * score;
            b[t] = ref_coef(f, both[t])->estimate;
        }
        pfx_fit_free(f);
        ref_design_free(two);
        ref_design_free(d);
        free(code);
    }
    for (int t = 0; t < TERMS; t++) {
        double se = sqrt(sum[t] * (double)G / (double)(G - 1));
        assert_rel(k->field[PFX_DRAW_ESTIMATE][r * TERMS + t], b[t], 1e-10);
        assert_rel(k->field[PFX_DRAW_STD_ERROR][r * TERMS + t], se, 1e-9);
        assert_rel(k->field[PFX_DRAW_STATISTIC][r * TERMS + t], (b[t] - s->b[t]) / se, 1e-8);
    }
}

static void refits(pfx_idx firms, int effects, int cluster, pfx_weights_kind kind, int iv)
{
    pfx_isa isa = pfx_cpu_best();
    made_panel a = iv ? iv_panel_new(firms, iv, 2 * iv) : made_panel_new(firms, 4);
    pfx_design *d = design(&a, effects, cluster, kind, iv);
    pfx_clusterstat *s = iv_statistics(d, TERMS, both, 1, isa);
    pfx_idx G = s->G, M = (2 * G + 2) / 3;
    double *w = malloc((size_t)G * sizeof *w);
    uint8_t *count = malloc((size_t)G);
    pfx_draw_keep bayes =
        draw(s, (pfx_pairs_options){.std_error = true, .isa = isa, .bayes = true}, 0, 30, 2);
    pfx_draw_keep part = draw(s, (pfx_pairs_options){.std_error = true, .isa = isa, .draws = M}, 0, 30, 2);
    for (pfx_idx r = 0; r < 30; r += 7) {
        slow_weights((uint64_t)r, G, w);
        if (r < 14) compare_bayes(&bayes, r, s, w, &a, effects, cluster, kind, iv);
        pfx_idx drawn = 0;
        pfx_k_multinomial(PFX_ISA_PORTABLE, SEED, PFX_RNG_PAIRS, (uint64_t)r, G, M, count);
        for (pfx_idx g = 0; g < G; g++) drawn += count[g];
        assert_int_equal(drawn, M);
        compare(&part, r, s, (double)M, resample_design(d, count));
    }
    pfx_draw_keep_free(&bayes);
    pfx_draw_keep_free(&part);
    free(w);
    free(count);
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

static void test_refits(void **state)
{
    (void)state;
    refits(41, FIRM | YEAR, FIRM, PFX_W_NONE, 0);
    refits(300, FIRM | YEAR, FIRM, PFX_W_NONE, 0); /* years repeat: patterns */
    refits(40, FIRM | YEAR, FIRM, PFX_W_ANALYTIC, 0);
    refits(200, FIRM | YEAR, TOWN, PFX_W_ANALYTIC, 0);
    refits(60, FIRM | GROUP | YEAR, FIRM, PFX_W_NONE, 0);
    refits(40, YEAR, FIRM, PFX_W_NONE, 0);
    refits(40, FIRM | YEAR, FIRM, PFX_W_NONE, 1);
    refits(40, FIRM | YEAR, FIRM, PFX_W_ANALYTIC, 1);
}

/* Mean 1, variance 1, third moment about the mean 2: the exponential; a part of a row is the row's. */
static void test_weights(void **state)
{
    enum { N = 200, REPS = 1000 };
    double w[N], part[N], mean = 0, square = 0, cube = 0;
    (void)state;
    for (uint64_t r = 0; r < REPS; r++) {
        pfx_rng u;
        pfx_pairs_exponentials(pfx_cpu_best(), 3, r, NULL, 0, N, 1, w);
        pfx_rng_start(&u, 3, PFX_RNG_BAYES, r);
        for (int i = 0; i < N; i++) {
            assert_rel(w[i], -log(pfx_rng_uniform(&u)), 4e-16);
            mean += w[i];
            square += (w[i] - 1) * (w[i] - 1);
            cube += (w[i] - 1) * (w[i] - 1) * (w[i] - 1);
        }
        pfx_idx first = (pfx_idx)(r % N);
        pfx_pairs_exponentials(pfx_cpu_best(), 3, r, NULL, first, N - first, 1, part);
        assert_same_bits(part, w + first, N - first);
        int32_t of[N];
        for (int i = 0; i < N; i++) of[i] = (i * 7 + 3) % N;
        for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
            double apart[2 * N];
            if (!pfx_cpu_has(isa)) continue;
            pfx_pairs_exponentials(isa, 3, r, of, 0, N, 2, apart);
            for (int i = 0; i < N; i++) assert_same_bits(apart + 2 * i, w + of[i], 1);
        }
    }
    /* four standard errors of each, over 200,000 */
    assert_true(fabs(mean / (N * REPS) - 1) < 0.009);
    assert_true(fabs(square / (N * REPS) - 1) < 0.026);
    assert_true(fabs(cube / (N * REPS) - 2) < 0.15);
}

static void test_same_bits(void **state)
{
    static const pfx_idx ranges[][2] = {{0, 400}, {191, 193}, {100, 399}};
    (void)state;
    made_panel a = made_panel_new(333, 4);
    pfx_design *d = made_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE);
    pfx_clusterstat *s = iv_statistics(d, TERMS, both, 1, PFX_ISA_PORTABLE);
    for (int bayes = 0; bayes < 2; bayes++) {
        pfx_pairs_options o = {
            .std_error = true, .isa = PFX_ISA_PORTABLE, .bayes = bayes, .draws = bayes ? 0 : 200};
        pfx_draw_keep whole = draw(s, o, 0, 400, 1);
        double spread = 0; /* t is scaled by what it varies by: its variance is about 1 */
        for (pfx_idx r = 0; r < 400; r++) {
            double t = whole.field[PFX_DRAW_STATISTIC][r * TERMS];
            spread += t * t / 400;
        }
        assert_true(spread > 0.72 && spread < 1.4);
        for (o.isa = PFX_ISA_PORTABLE; o.isa <= PFX_ISA_V4; o.isa++) {
            if (!pfx_cpu_has(o.isa)) continue;
            for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
                pfx_idx first = ranges[i][0], last = ranges[i][1];
                pfx_draw_keep part = draw(s, o, first, last, 1 + (int)i);
                for (int f = 0; f < PFX_DRAW_FIELDS; f++)
                    assert_same_bits(part.field[f], whole.field[f] + first * TERMS, (last - first) * TERMS);
                pfx_draw_keep_free(&part);
            }
        }
        pfx_draw_keep_free(&whole);
    }
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

/* A weight belongs to the cluster's number in the union of a family. */
static void test_union(void **state)
{
    (void)state;
    made_panel a = made_panel_new(45, 4);
    pfx_design *d = made_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE);
    pfx_clusterstat *s = iv_statistics(d, TERMS, both, 1, pfx_cpu_best());
    double all[91], *w = malloc((size_t)s->G * sizeof *w);
    int32_t *of = malloc((size_t)s->G * sizeof *of);
    for (pfx_idx g = 0; g < s->G; g++) of[g] = (int32_t)(90 - 2 * g);
    const pfx_pairs_options o = {
        .std_error = true, .isa = pfx_cpu_best(), .bayes = true, .all = {.n = 91, .of = of}};
    pfx_draw_keep k = draw(s, o, 0, 10, 1);
    for (pfx_idx r = 0; r < 10; r += 3) {
        slow_weights((uint64_t)r, 91, all);
        double sum = 0;
        for (pfx_idx g = 0; g < s->G; g++) sum += w[g] = all[of[g]];
        for (pfx_idx g = 0; g < s->G; g++) w[g] *= (double)s->G / sum;
        compare_bayes(&k, r, s, w, &a, FIRM | YEAR, FIRM, PFX_W_NONE, 0);
    }
    pfx_draw_keep_free(&k);
    free(of);
    free(w);
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refits),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_union),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
