/* p-values of a family: hand-made examples, a twin that follows the definitions, and draws of several
 * specifications against literal refits of the same resampled clusters. */
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/rep/clusterstat.h"
#include "src/rep/family.h"
#include "src/rep/keep.h"
#include "src/rep/pairs.h"
#include "src/rep/wild.h"
#include "tests/est/made_panel.h"
#include "tests/est/resample.h"
#include "tests/est/wild_twin.h"

/* ---- adjusted p-values ---- */

/* Nine draws of three tests, t = 3, 2.5, 1, counted with the sample.
 * Romano-Wolf: the largest of all three reaches 3 in draws 1 and 2: 3/10. Without test 1, the largest of
 * tests 2 and 3 reaches 2.5 in draws 2, 3, 4: 4/10. Test 3 alone reaches 1 in draws 2, 3, 5, 6: 5/10.
 * Single-step would have compared all three with 2.5 (1, 2, 3, 4, 7: 6/10) and 1 (10/10). */
static const double hand[9][3] = {{3.5, 0.2, 0.3},  {-0.1, 3.2, -1.1}, {0.4, -0.5, 2.6},
                                  {0.2, 2.5, 0.9},  {0.3, 0.1, 1.2},   {1.1, 0.3, -1},
                                  {-2.9, 0.7, 0.8}, {1.2, 1.1, 0.1},   {0.6, 0.8, 0.2}};

static void test_by_hand(void **state)
{
    const double t[3] = {-3, 2.5, 1};
    double rw[3], wy[3];
    pfx_err err = {0};
    pfx_family_in in = {
        .reps = 9, .n_tests = 3, .stride = 3, .t = hand[0], .statistic = t, .rule = {false, true}};
    (void)state;
    assert_ok(pfx_family_adjust(&in, rw, wy, &err));
    assert_rel(rw[0], 0.3, 1e-15);
    assert_rel(rw[1], 0.4, 1e-15);
    assert_rel(rw[2], 0.5, 1e-15);
    /* Own p-values: 2/10 (3.5; tie counts), 3/10 (3.2, 2.5), 5/10. Ranks with the sample among ten, test 1:
     * draw 1 has 1/10, the others 3/10 and more; test 2: draw 2 1/10, draw 4 3/10; test 3: draw 3 1/10, draw
     * 5 2/10, draw 2 3/10. Test 1: 2/10 is reached by draws 1 (1/10), 2 (1/10 of test 2), 3 and 5 (of test
     * 3): 5/10. Test 2: 3/10 by draws 2, 4 and of test 3 2, 3, 5: 5/10. Test 3: 5/10. */
    assert_rel(wy[0], 0.5, 1e-15);
    assert_rel(wy[1], 0.5, 1e-15);
    assert_rel(wy[2], 0.5, 1e-15);
    /* Ties not counted, nor the sample: 2/9, then draws 2 and 3 alone reach 2.5, the draw that is 1 no
     * longer. */
    in.rule = (pfx_family_rule){.strict = true};
    assert_ok(pfx_family_adjust(&in, rw, wy, &err));
    assert_rel(rw[0], 2 / 9.0, 1e-15);
    assert_rel(rw[1], 2 / 9.0, 1e-15);
    assert_rel(rw[2], 3 / 9.0, 1e-15);
}

static bool slow_extreme(const pfx_family_in *in, double x, double t)
{
    return in->rule.strict ? fabs(x) > fabs(t) * (1 + 1e-9) : fabs(x) >= fabs(t) * (1 - 1e-9);
}

/* p-value of the value x of test k, among its draws. */
static double slow_p(const pfx_family_in *in, int k, double x, bool sample)
{
    pfx_idx n = 0, count = 0;
    for (pfx_idx r = 0; r < in->reps; r++) {
        double y = in->t[r * in->stride + k];
        n += !isnan(y);
        count += !isnan(y) && slow_extreme(in, y, x);
    }
    if (in->rule.with_own) count += sample || slow_extreme(in, in->statistic[k], x);
    return (double)count / (double)(n + in->rule.with_own);
}

/* For each test all that are not before it are looked at anew; quadratic in tests and draws. */
static void slow_adjust(const pfx_family_in *in, bool by_p, double *p)
{
    int m = in->n_tests;
    for (int j = 0; j < m; j++) {
        double own = slow_p(in, j, in->statistic[j], true);
        pfx_idx n = 0, count = 0;
        for (pfx_idx r = 0; r < in->reps; r++) {
            bool hit = false;
            if (isnan(in->t[r * in->stride + j])) continue;
            for (int k = 0; k < m; k++) {
                double x = in->t[r * in->stride + k];
                double key_k = by_p ? slow_p(in, k, in->statistic[k], true) : -fabs(in->statistic[k]);
                double key_j = by_p ? own : -fabs(in->statistic[j]);
                if (isnan(x) || key_k < key_j || (key_k == key_j && k < j)) continue;
                if (!by_p) hit |= slow_extreme(in, x, in->statistic[j]);
                if (by_p) {
                    double q = slow_p(in, k, x, false);
                    hit |= in->rule.strict ? q < own : q <= own;
                }
            }
            n++;
            count += hit;
        }
        p[j] = (double)(count + in->rule.with_own) / (double)(n + in->rule.with_own);
    }
    double raised[16];
    for (int j = 0; j < m; j++) { /* none below one that stands before it */
        raised[j] = p[j];
        for (int k = 0; k < m; k++) {
            double key_k = by_p ? slow_p(in, k, in->statistic[k], true) : -fabs(in->statistic[k]);
            double key_j = by_p ? slow_p(in, j, in->statistic[j], true) : -fabs(in->statistic[j]);
            if ((key_k < key_j || (key_k == key_j && k < j)) && p[k] > raised[j]) raised[j] = p[k];
        }
    }
    memcpy(p, raised, (size_t)m * sizeof *p);
}

static void test_twin(void **state)
{
    enum { REPS = 120, STRIDE = 9 };
    static double t[REPS * STRIDE];
    (void)state;
    for (uint64_t seed = 0; seed < 24; seed++) {
        double statistic[8], rw[8], wy[8], slow[8];
        int m = 1 + (int)(seed % 8);
        pfx_err err = {0};
        pfx_family_in in = {.reps = REPS, .n_tests = m, .stride = STRIDE, .t = t, .statistic = statistic};
        in.rule = (pfx_family_rule){.strict = seed % 2, .with_own = seed % 3 == 0};
        for (int r = 0; r < REPS; r++)
            for (int k = 0; k < STRIDE; k++) {
                uint64_t at = (uint64_t)(r * STRIDE + k);
                double x = pfx_normal_quantile(0.001 + 0.998 * test_uniform(900 + seed, at)) * (1 + 0.2 * k);
                if (seed % 5 == 1) x = round(2 * x) / 2; /* ties */
                t[at] = seed % 4 == 2 && test_uniform(950 + seed, at) < 0.1 ? NAN : x;
            }
        for (int k = 0; k < m; k++) statistic[k] = round(8 * test_uniform(970 + seed, (uint64_t)k)) / 2 - 2;
        assert_ok(pfx_family_adjust(&in, rw, wy, &err));
        slow_adjust(&in, false, slow);
        assert_same_bits(rw, slow, m);
        slow_adjust(&in, true, slow);
        assert_same_bits(wy, slow, m);
        for (int k = 0; k < m; k++) {
            double own = slow_p(&in, k, statistic[k], true);
            assert_true(rw[k] >= own && wy[k] >= own);
            if (m == 1) assert_true(rw[k] == own && wy[k] == own);
            for (int j = 0; j < m; j++)
                if (fabs(statistic[j]) > fabs(statistic[k])) assert_true(rw[j] <= rw[k]);
        }
    }
}

/* ---- draws of several specifications ---- */

enum { SPECS = 3, TERMS = 2 };
static const char *const terms[TERMS] = {"x2", "x0"};

/* Specification i leaves some firms out, and a column; of[g] is the firm of its cluster g among those that
 * any has. */
typedef struct sample {
    pfx_design *d;
    pfx_clusterstat *s;
    pfx_pairs *p;
    int32_t *of;
} sample;

static bool has(int i, int32_t firm)
{
    return i == 0 ? firm % 3 > 0 : i == 1 ? firm % 4 != 1 : firm % 3 == 1;
}

static pfx_design *part_of(const made_panel *a, int i, const int32_t *number, int32_t *of)
{
    made_panel b = *a;
    int32_t *code[] = {b.firm, b.year, b.industry, b.town, b.group}, last = -1;
    b.Z = calloc((size_t)(a->n * a->p), sizeof *b.Z);
    b.w = calloc((size_t)a->n, sizeof *b.w);
    for (int c = 0; c < 5; c++) {
        int32_t *all = code[c];
        code[c] = calloc((size_t)a->n, sizeof **code);
        b.n = 0;
        for (pfx_idx r = 0; r < a->n; r++)
            if (has(i, a->firm[r])) code[c][b.n++] = all[r];
    }
    b.firm = code[0], b.year = code[1], b.industry = code[2], b.town = code[3], b.group = code[4];
    b.n = b.n_firms = 0;
    for (pfx_idx r = 0; r < a->n; r++) {
        if (!has(i, a->firm[r])) continue;
        memcpy(b.Z + b.n * a->p, a->Z + r * a->p, (size_t)a->p * sizeof *b.Z);
        b.Z[b.n * a->p + a->k] += i * a->Z[r * a->p + 1]; /* another outcome */
        if (a->firm[r] != last) of[b.n_firms++] = number[last = a->firm[r]];
        b.w[b.n] = a->w[r];
        b.firm[b.n++] = (int32_t)b.n_firms - 1;
    }
    pfx_design *d = made_design(&b, FIRM | YEAR, FIRM, i == 1 ? PFX_W_ANALYTIC : PFX_W_NONE);
    made_panel_free(&b);
    return d;
}

/* The union in the order of firms. Returns its size. */
static pfx_idx make_samples(const made_panel *a, sample *x, int nth, pfx_isa isa)
{
    pfx_err err = {0};
    pfx_idx all = 0;
    int32_t *number = calloc((size_t)a->n_firms, sizeof *number);
    for (int32_t f = 0; f < a->n_firms; f++) {
        bool any = false;
        for (int i = 0; i < SPECS; i++) any |= has(i, f);
        number[f] = any ? (int32_t)all++ : -1;
    }
    for (int i = 0; i < SPECS; i++) {
        x[i] = (sample){.of = calloc((size_t)a->n_firms, sizeof *x[i].of)};
        x[i].d = part_of(a, i, number, x[i].of);
        const pfx_clusterstat_options o = {
            .n_terms = TERMS, .terms = terms, .tol = 1e-12, .maxiter = 10000, .nth = nth, .isa = isa};
        assert_ok(pfx_clusterstat_create(x[i].d, &o, &x[i].s, &err));
        const pfx_pairs_options po = {.std_error = true, .isa = isa, .all = {.n = all, .of = x[i].of}};
        assert_ok(pfx_pairs_create(x[i].s, &po, &x[i].p, &err));
    }
    free(number);
    return all;
}

static void free_samples(sample *x)
{
    for (int i = 0; i < SPECS; i++) {
        pfx_pairs_free(x[i].p);
        pfx_clusterstat_free(x[i].s);
        ref_design_free(x[i].d);
        free(x[i].of);
    }
}

static pfx_draw_keep draw(int n, const pfx_rep_method *const *m, pfx_idx first, pfx_idx last, int nth)
{
    pfx_err err = {0};
    pfx_together *both = NULL;
    pfx_draw_keep k;
    assert_ok(pfx_together_create(n, m, &both, &err));
    const pfx_rep_method *all = pfx_together_method(both);
    assert_ok(pfx_draw_keep_init(&k, all->n_terms, 7, first, last - first, &err));
    const pfx_draw_sink sink = pfx_draw_keep_sink(&k);
    pfx_rep_run r = {.seed = 5, .first = first, .last = last, .nth = nth, .n_sinks = 1, .sinks = &sink};
    assert_ok(pfx_rep_run_method(all, &r, &err));
    pfx_together_free(both);
    return k;
}

static pfx_draw_keep draw_samples(const sample *x, pfx_idx first, pfx_idx last, int nth)
{
    const pfx_rep_method *m[SPECS];
    for (int i = 0; i < SPECS; i++) m[i] = pfx_pairs_method(x[i].p);
    return draw(SPECS, m, first, last, nth);
}

/* Multinomial counts word by word (kernels/multinomial.h). */
static void slow_counts(uint64_t replicate, pfx_idx G, uint8_t *count)
{
    pfx_rng r;
    pfx_rng_start(&r, 5, PFX_RNG_PAIRS, replicate);
    memset(count, 0, (size_t)G);
    for (pfx_idx left = G; left > 0;) {
        uint64_t x = (uint64_t)pfx_rng_u32(&r) * (uint64_t)G, y = (uint32_t)x * (uint64_t)G;
        if ((uint32_t)y < (UINT64_C(1) << 32) % ((uint64_t)G * (uint64_t)G)) continue;
        count[x >> 32]++;
        if (--left == 0) break;
        count[y >> 32]++;
        left--;
    }
}

/* The firms of the union are resampled once, and each specification is fitted to those of them that it has.
 */
static void test_refits(void **state)
{
    enum { REPS = 200 };
    sample x[SPECS];
    (void)state;
    made_panel a = made_panel_new(150, 4);
    pfx_idx all = make_samples(&a, x, 1, pfx_cpu_best());
    assert_true(all < a.n_firms && all > x[0].s->G && all > x[1].s->G);
    pfx_draw_keep k = draw_samples(x, 0, REPS, 2);
    uint8_t *count = malloc((size_t)all), *own = malloc((size_t)all);
    for (pfx_idx r = 0; r < REPS; r += 23) {
        slow_counts((uint64_t)r, all, count);
        for (int i = 0; i < SPECS; i++) {
            double factor = sqrt((double)x[i].s->G / (double)(x[i].s->G - 1));
            for (pfx_idx g = 0; g < x[i].s->G; g++) own[g] = count[x[i].of[g]];
            pfx_fit *f = made_fit(resample_design(x[i].d, own), ref_options(PFX_VCOV_CLUSTER, PFX_SSC_NONE));
            for (int t = 0; t < TERMS; t++) {
                const pfx_coef *c = ref_coef(f, terms[t]);
                pfx_idx at = r * SPECS * TERMS + i * TERMS + t;
                assert_rel(k.field[PFX_DRAW_ESTIMATE][at], c->estimate, 1e-10);
                assert_rel(k.field[PFX_DRAW_STD_ERROR][at], c->std_error * factor, 1e-10);
                assert_rel(k.field[PFX_DRAW_STATISTIC][at],
                           (c->estimate - x[i].s->b[t]) / (c->std_error * factor), 1e-9);
            }
            pfx_fit_free(f);
        }
    }
    free(count);
    free(own);
    pfx_draw_keep_free(&k);
    free_samples(x);
    made_panel_free(&a);
}

/* Each cluster of the union has one weight, in every specification, which is built and fitted literally. */
static void compare_wild(pfx_wild_weights weights, bool unrestricted)
{
    enum { REPS = 60 };
    static const double null[TERMS] = {0.25, 0.13};
    sample x[SPECS];
    pfx_wild *w[SPECS];
    const pfx_rep_method *m[SPECS];
    pfx_err err = {0};
    made_panel a = made_panel_new(150, 4);
    pfx_idx all = make_samples(&a, x, 1, pfx_cpu_best());
    for (int i = 0; i < SPECS; i++) {
        const pfx_wild_options o = {.type = 11,
                                    .unrestricted = unrestricted,
                                    .null = null,
                                    .weights = weights,
                                    .reps = REPS,
                                    .n_errors = 1,
                                    .errors = {{.weight = 1}},
                                    .boot = x[i].of,
                                    .n_boot = all,
                                    .nth = 2,
                                    .isa = pfx_cpu_best()};
        assert_ok(pfx_wild_create(x[i].s, &o, &w[i], &err));
        m[i] = pfx_wild_method(w[i]);
    }
    pfx_draw_keep k = draw(SPECS, m, 0, REPS, 2);
    double *v = malloc((size_t)all * sizeof *v), *first = malloc((size_t)all * sizeof *v);
    for (int i = 0; i < SPECS; i++) {
        int32_t *boot = malloc((size_t)x[i].d->n * sizeof *boot);
        for (pfx_idx r = 0; r < x[i].d->n; r++) boot[r] = x[i].of[x[i].d->clusters[0].code[r]];
        for (int t = 0; t < TERMS; t++) {
            wild_twin twin =
                wild_twin_new(x[i].d, 11, unrestricted, 1, terms + t, null + t, PFX_VCOV_CLUSTER);
            for (pfx_idx r = 0; r < REPS; r += 17) {
                double b, V;
                pfx_wild_draw(w[0], 5, r, first);
                pfx_wild_draw(w[i], 5, r, v);
                assert_same_bits(v, first, all);
                assert_true(wild_twin_refit(&twin, boot, v, &b, &V));
                pfx_idx at = r * SPECS * TERMS + i * TERMS + t;
                assert_rel(k.field[PFX_DRAW_STD_ERROR][at], sqrt(V), 1e-10);
                assert_rel(k.field[PFX_DRAW_STATISTIC][at], (b - twin.center[0]) / sqrt(V), 1e-10);
            }
            wild_twin_free(&twin);
        }
        free(boot);
    }
    free(v);
    free(first);
    pfx_draw_keep_free(&k);
    for (int i = 0; i < SPECS; i++) pfx_wild_free(w[i]);
    free_samples(x);
    made_panel_free(&a);
}

static void test_wild_refits(void **state)
{
    (void)state;
    compare_wild(PFX_WILD_RADEMACHER, false);
    compare_wild(PFX_WILD_WEBB, false);
    compare_wild(PFX_WILD_MAMMEN, true);
}

static void test_same_bits(void **state)
{
    enum { CELLS = SPECS * TERMS };
    static const pfx_idx range[][2] = {{0, 400}, {191, 193}, {100, 399}};
    sample x[SPECS], y[SPECS];
    (void)state;
    made_panel a = made_panel_new(151, 4);
    make_samples(&a, x, 1, PFX_ISA_PORTABLE);
    pfx_draw_keep whole = draw_samples(x, 0, 400, 1);
    for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
        if (!pfx_cpu_has(isa)) continue;
        make_samples(&a, y, 3, isa);
        for (size_t i = 0; i < sizeof range / sizeof *range; i++)
            for (int nth = 1; nth <= 7; nth += 3) {
                pfx_draw_keep part = draw_samples(y, range[i][0], range[i][1], nth);
                for (int f = 0; f < PFX_DRAW_FIELDS; f++)
                    assert_same_bits(part.field[f], whole.field[f] + range[i][0] * CELLS,
                                     (range[i][1] - range[i][0]) * CELLS);
                pfx_draw_keep_free(&part);
            }
        free_samples(y);
    }
    pfx_draw_keep_free(&whole);
    /* A union that is its own sample changes nothing. */
    pfx_err err = {0};
    pfx_pairs *alone = NULL, *joined = NULL;
    pfx_isa isa = pfx_cpu_best();
    assert_ok(pfx_pairs_create(x[0].s, &(pfx_pairs_options){.std_error = true, .isa = isa}, &alone, &err));
    assert_ok(pfx_pairs_create(
        x[0].s, &(pfx_pairs_options){.std_error = true, .isa = isa, .all = {.n = x[0].s->G}}, &joined, &err));
    const pfx_rep_method *m[] = {pfx_pairs_method(alone), pfx_pairs_method(joined)};
    pfx_draw_keep k = draw(1, m, 0, 300, 2), j = draw(1, m + 1, 0, 300, 2);
    for (int f = 0; f < PFX_DRAW_FIELDS; f++) assert_same_bits(k.field[f], j.field[f], 300 * TERMS);
    pfx_draw_keep_free(&k);
    pfx_draw_keep_free(&j);
    pfx_pairs_free(alone);
    pfx_pairs_free(joined);
    free_samples(x);
    made_panel_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),   cmocka_unit_test(test_twin),        cmocka_unit_test(test_refits),
        cmocka_unit_test(test_same_bits), cmocka_unit_test(test_wild_refits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
