/* Placebo replicates against literally reassigned treatments and refits, enumerations against all assignments
 * by brute force, and themselves: threads, ranges, instruction sets. */
#include "src/base/mem.h"
#include "tests/est/placebo_world.h"
#include "tests/faults.h"

static void compare_refits(setting s)
{
    world w = placebo_world_new(s);
    kept k = placebo_run(w.p, 5, 0, s.reps, 2);
    double own[PFX_PLACEBO_FIELDS], *treatment = malloc((size_t)w.a.n * sizeof *treatment);
    pfx_err err = {0};
    assert_ok(pfx_placebo_own(w.p, own, &err));
    placebo_check_draw(&w, w.treatment, own[PFX_DRAW_ESTIMATE], own[PFX_DRAW_STD_ERROR],
                       own[PFX_PLACEBO_SLOPE]);
    for (pfx_idx r = 0; r < s.reps; r += 1 + s.reps / 5) {
        pfx_rng rng;
        pfx_rng_start(&rng, 5, PFX_RNG_PLACEBO, (uint64_t)r);
        if (s.scheme == PFX_PLACEBO_WITHIN)
            placebo_draw_rows(&w, &rng, treatment);
        else
            placebo_draw_units(&w, &rng, treatment);
        placebo_check_draw(&w, treatment, k.out[PFX_DRAW_ESTIMATE][r], k.out[PFX_DRAW_STD_ERROR][r],
                           k.out[PFX_PLACEBO_SLOPE][r]);
        assert_rel(k.out[PFX_DRAW_STATISTIC][r], k.out[PFX_DRAW_ESTIMATE][r] / k.out[PFX_DRAW_STD_ERROR][r],
                   1e-15);
    }
    free(treatment);
    placebo_free_kept(&k);
    placebo_world_free(&w);
}

static void test_refits(void **state)
{
    static const setting all[] = {
        {200, FIRM | YEAR, FIRM, FIRM, PFX_W_NONE, STAYS, PFX_PLACEBO_PERMUTE, 1, 0, 300, false},
        {200, FIRM | YEAR, FIRM, FIRM, PFX_W_ANALYTIC, STAYS, PFX_PLACEBO_PERMUTE, 1, 0, 30, false},
        {200, FIRM | YEAR, FIRM, FIRM, PFX_W_ANALYTIC, STAYS, PFX_PLACEBO_RANDOM_DATE, 2, 0, 30, false},
        {300, FIRM | YEAR, TOWN, TOWN, PFX_W_ANALYTIC, STAYS, PFX_PLACEBO_PERMUTE, 1, 0, 30, false},
        {300, FIRM | YEAR, FIRM, TOWN, PFX_W_NONE, STAYS, PFX_PLACEBO_PERMUTE, 2, 0, 30, false},
        {300, FIRM | YEAR, TOWN, FIRM, PFX_W_NONE, STAYS, PFX_PLACEBO_PERMUTE, 1, 0, 30, false},
        {200, FIRM | YEAR | INDUSTRY, FIRM, FIRM, PFX_W_NONE, ON_OFF, PFX_PLACEBO_PERMUTE, 1, 0, 30, false},
        {200, FIRM | GROUP | YEAR, FIRM, FIRM, PFX_W_ANALYTIC, STAYS, PFX_PLACEBO_PERMUTE, 2, 0, 30, false},
        {200, YEAR, FIRM, FIRM, PFX_W_NONE, STAYS, PFX_PLACEBO_PERMUTE, 1, 0, 30, false},
        {200, 0, FIRM, FIRM, PFX_W_NONE, CONSTANT, PFX_PLACEBO_PERMUTE, 1, 0, 30, false},
        {200, FIRM, FIRM, FIRM, PFX_W_ANALYTIC, NUMBERS, PFX_PLACEBO_PERMUTE, 2, 0, 30, false},
        {200, FIRM | YEAR, FIRM, FIRM, PFX_W_NONE, NUMBERS, PFX_PLACEBO_PERMUTE, 1, -3, 30, false},
        {200, FIRM | YEAR, FIRM, FIRM, PFX_W_ANALYTIC, ON_OFF, PFX_PLACEBO_PERMUTE, 2, 1000, 30, false},
        {200, FIRM | YEAR, FIRM, FIRM, PFX_W_ANALYTIC, NUMBERS, PFX_PLACEBO_WITHIN, 1, 0, 30, false},
        {200, FIRM | YEAR, TOWN, FIRM, PFX_W_NONE, STAYS, PFX_PLACEBO_WITHIN, 2, 0, 30, false},
        {200, INDUSTRY | YEAR, INDUSTRY, FIRM, PFX_W_ANALYTIC, STAYS, PFX_PLACEBO_PERMUTE, 1, 0, 30, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) compare_refits(all[i]);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        setting s = all[i];
        s.cross = s.effects != 0;
        s.max_bytes = 0;
        compare_refits(s);
    }
    /* Effects that cross the clusters wholly, and two nested effects of which neither is the finest. */
    compare_refits((setting){200, FIRM | YEAR, GROUP, FIRM, PFX_W_ANALYTIC, STAYS, PFX_PLACEBO_PERMUTE, 2, 0,
                             30, false});
    compare_refits((setting){200, GROUP | INDUSTRY | YEAR, FIRM, FIRM, PFX_W_NONE, NUMBERS,
                             PFX_PLACEBO_PERMUTE, 1, 0, 30, true});
}

/* ---- the same bits ---- */

static void compare_bits(setting s)
{
    static const struct {
        pfx_idx first, last;
    } ranges[] = {{0, 400}, {0, 1}, {23, 25}, {191, 193}, {100, 399}};
    world w = placebo_world_new(s);
    pfx_placebo_free(w.p);
    w.p = placebo_prepare_world(&w, 1, PFX_ISA_PORTABLE);
    kept whole = placebo_run(w.p, 9, 0, 400, 1);
    for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
        if (!pfx_cpu_has(isa)) continue;
        for (int nth = 1; nth <= 7; nth += nth < 3 ? 1 : 4) {
            pfx_placebo *p = placebo_prepare_world(&w, nth, isa);
            for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
                pfx_idx first = ranges[i].first, n = ranges[i].last - first;
                kept part = placebo_run(p, 9, first, first + n, nth);
                for (int f = 0; f < PFX_PLACEBO_FIELDS; f++)
                    assert_same_bits(part.out[f], whole.out[f] + first, n);
                placebo_free_kept(&part);
            }
            pfx_placebo_free(p);
        }
    }
    placebo_free_kept(&whole);
    placebo_world_free(&w);
}

static void test_same_bits(void **state)
{
    static const setting all[] = {
        {300, FIRM | YEAR, FIRM, FIRM, PFX_W_NONE, STAYS, PFX_PLACEBO_PERMUTE, 1, 0, 0, false},
        {300, FIRM | YEAR, FIRM, TOWN, PFX_W_ANALYTIC, STAYS, PFX_PLACEBO_RANDOM_DATE, 2, 0, 0, false},
        {100, FIRM | YEAR, FIRM, FIRM, PFX_W_NONE, NUMBERS, PFX_PLACEBO_WITHIN, 1, 1000, 0, false},
        {100, FIRM | GROUP | YEAR, FIRM, FIRM, PFX_W_ANALYTIC, STAYS, PFX_PLACEBO_PERMUTE, 2, 0, 0, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) compare_bits(all[i]);
}

/* A kernel's rows of any width, against plain sums. */
static void test_kernels(void **state)
{
    (void)state;
    enum { N = 37, ROWS = 50 };
    for (pfx_idx ld = 8; ld <= 8 * 60; ld += 8) {
        double *T = malloc((size_t)(ROWS * ld) * sizeof *T), *sum = calloc((size_t)(2 * ld), sizeof *sum),
               dot[N];
        uint32_t at[N];
        for (pfx_idx i = 0; i < ROWS * ld; i++) T[i] = test_uniform(90, (uint64_t)i) - 0.5;
        for (int j = 0; j < N; j++) at[j] = (uint32_t)(test_uniform(91, (uint64_t)j) * ROWS);
        for (int j = 0; j < N; j++)
            for (pfx_idx l = 0; l < ld; l++) sum[l] += T[at[j] * ld + l];
        for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
            if (!pfx_cpu_has(isa)) continue;
            memset(sum + ld, 0, (size_t)ld * sizeof *sum);
            pfx_k_placebo_sum(isa, N, at, ld, T, sum + ld);
            pfx_k_placebo_dot(isa, N, at, ld, T, T, dot);
            assert_same_bits(sum + ld, sum, ld);
            for (int j = 0; j < N; j++) {
                double want = 0;
                for (pfx_idx l = 0; l < ld; l++) want += T[at[j] * ld + l] * T[l];
                assert_abs(dot[j], want, 1e-13);
            }
        }
        free(T);
        free(sum);
    }
}

/* Draws against Fisher and Yates by the generator's own numbers; among two million some words are refused. */
static void test_draws(void **state)
{
    enum { STRATA = 4, PLACES = 2000000 + 5 + 40 + 9, M = 3000 + 5 + 17 + 1 };
    static const pfx_k_stratum strata[STRATA] = {
        {0, 2000000, 3000}, {2000000, 5, 5}, {2000005, 40, 17}, {2000045, 9, 1}};
    uint32_t left[M], place[M], taken[M], unit[M], pick[M], *order = malloc(PLACES * sizeof *order),
                                                            *copy = malloc(PLACES * sizeof *copy);
    (void)state;
    for (uint32_t i = 0; i < PLACES; i++) order[i] = copy[i] = i ^ 1;
    pfx_k_placebo_slots(STRATA, strata, left, place);
    const pfx_k_slots slots = {left, place, order};
    for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++)
        for (uint64_t index = 0; index < 20 && pfx_cpu_has(isa); index++) {
            bool picks = index % 2;
            pfx_rng r;
            pfx_rng_start(&r, 3, PFX_RNG_PLACEBO, index);
            pfx_k_placebo_draw(isa, 3, PFX_RNG_PLACEBO, index, STRATA, strata, &slots, copy, taken, unit,
                               picks ? pick : NULL);
            for (int s = 0, at = 0; s < STRATA; s++) {
                uint32_t *o = malloc(strata[s].n * sizeof *o);
                memcpy(o, order + strata[s].first, strata[s].n * sizeof *o);
                for (uint32_t j = 0; j < strata[s].m; j++, at++) {
                    uint32_t k = j + (uint32_t)pfx_rng_below(&r, strata[s].n - j), u = o[k];
                    o[k] = o[j];
                    o[j] = u;
                    assert_int_equal(unit[at], u);
                    if (picks) assert_int_equal(pick[at], pfx_rng_below(&r, strata[s].m));
                }
                free(o);
            }
            assert_memory_equal(copy, order, PLACES * sizeof *copy);
        }
    free(order);
    free(copy);
}

/* ---- enumeration ---- */

/* All 0/1 choices and dates by hand: `date` of each unit of a small panel, every arrangement of the data's,
 * refitted. */
typedef struct hand {
    const world *w;
    int units[MAX_UNITS], n;
    int donor[MAX_UNITS]; /* of each unit, -1: never */
    const grid *g;
    double *b;
    pfx_idx n_b;
} hand;

static void hand_refit(hand *h)
{
    const world *w = h->w;
    double *treatment = malloc((size_t)w->a.n * sizeof *treatment);
    for (pfx_idx i = 0; i < w->a.n; i++) {
        treatment[i] = w->treatment[i];
        for (int k = 0; k < h->n; k++)
            if (h->units[k] == w->unit[i])
                treatment[i] = h->donor[k] < 0 ? 0 : h->g->v[h->donor[k]][w->a.year[i]];
    }
    pfx_fit *f = placebo_refit(w, treatment, NULL);
    h->b[h->n_b++] = ref_coef(f, "x0")->estimate;
    pfx_fit_free(f);
    free(treatment);
}

/* Distinct arrangements of paths[0 .. n): each next unit takes one that differs from those already tried
 * there. */
static void arrange_by_hand(hand *h, int at, int *left)
{
    if (at == h->n) {
        hand_refit(h);
        return;
    }
    for (int i = 0; i < h->n; i++) {
        bool tried = left[i] == -2;
        for (int j = 0; j < i && !tried; j++)
            tried = left[j] != -2 && (left[j] < 0) == (left[i] < 0) &&
                    (left[i] < 0 || memcmp(h->g->v[left[i]], h->g->v[left[j]], sizeof h->g->v[0]) == 0);
        if (tried) continue;
        int path = left[i];
        h->donor[at] = path;
        left[i] = -2;
        arrange_by_hand(h, at + 1, left);
        left[i] = path;
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Eight units of one stratum, three of them treated at two dates: 168 assignments. */
static void test_enumeration(void **state)
{
    (void)state;
    setting s = {60, FIRM | YEAR, FIRM, FIRM, PFX_W_NONE, STAYS, PFX_PLACEBO_PERMUTE, 1, 0, 0, false};
    world w = placebo_world_new(s);
    pfx_err err = {0};
    int32_t *stratum = calloc((size_t)w.a.n, sizeof *stratum);
    const int chosen[8] = {3, 5, 7, 9, 11, 13, 15, 18}, date[8] = {0, 0, 2, 0, 0, 2, 0, 1};
    for (pfx_idx i = 0; i < w.a.n; i++) {
        stratum[i] = 1 + w.unit[i];
        w.treatment[i] = 0;
        for (int k = 0; k < 8; k++)
            if (w.unit[i] == chosen[k]) {
                stratum[i] = 0;
                w.treatment[i] = date[k] && w.a.year[i] >= date[k];
            }
    }
    placebo_rebuild(&w, w.treatment, w.a.Z);
    for (pfx_idx i = 0; i < w.a.n; i++) w.d->Z[i * w.a.p] = w.a.Z[i * w.a.p];
    w.in.stratum = stratum;
    pfx_placebo_free(w.p);
    pfx_assign_free(w.assign);
    w.assign = NULL;
    assert_ok(pfx_assign_create(&w.in, &w.assign, &err));
    assert_rel(w.assign->assignments, 168.0, 0);
    assert_int_equal(w.assign->n_idle, 52);
    w.assign->enumerate = true;
    w.p = placebo_prepare_world(&w, 1, pfx_cpu_best());
    kept k = placebo_run(w.p, 1, 0, 168, 2);
    grid *g = malloc(sizeof *g);
    placebo_grid(&w, g);
    hand h = {.w = &w, .n = 8, .g = g, .b = calloc(200, sizeof(double))};
    int left[8];
    for (int i = 0; i < 8; i++) {
        h.units[i] = chosen[i];
        left[i] = placebo_is_zero(g->v[chosen[i]]) ? -1 : chosen[i];
    }
    arrange_by_hand(&h, 0, left);
    assert_int_equal(h.n_b, 168);
    qsort(h.b, 168, sizeof *h.b, ascending);
    qsort(k.out[PFX_DRAW_ESTIMATE], 168, sizeof(double), ascending);
    for (int i = 0; i < 168; i++) assert_rel(k.out[PFX_DRAW_ESTIMATE][i], h.b[i], 1e-9);
    free(h.b);
    free(g);
    placebo_free_kept(&k);
    placebo_world_free(&w);
    free(stratum);
}

/* Counts whose factors pass what doubles hold on the way. */
static void test_counts(void **state)
{
    (void)state;
    enum { N = 60 };
    static const struct {
        int treated;
        double want;
    } cases[] = {{59, 60}, {58, 1770}, {3, 34220}, {57, 34220}, {30, INFINITY}};
    double treatment[2 * N];
    int32_t unit[2 * N], period[2 * N];
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        pfx_err err = {0};
        pfx_assign *a = NULL;
        for (int i = 0; i < 2 * N; i++) {
            unit[i] = i / 2, period[i] = i % 2;
            treatment[i] = period[i] && unit[i] < cases[c].treated;
        }
        const pfx_assign_in in = {.n = 2 * N,
                                  .treatment = treatment,
                                  .n_units = N,
                                  .unit = unit,
                                  .n_periods = 2,
                                  .period = period,
                                  .unit_name = "u",
                                  .treatment_name = "D"};
        assert_ok(pfx_assign_create(&in, &a, &err));
        assert_true(a->assignments == cases[c].want);
        assert_int_equal(a->n_switch, cases[c].treated);
        pfx_assign_free(a);
    }
}

/* Two strata: every assignment once, none twice. */
static void test_all_once(void **state)
{
    (void)state;
    enum { N = 9 };
    double treatment[2 * N];
    int32_t unit[2 * N], period[2 * N], stratum[2 * N];
    for (int i = 0; i < 2 * N; i++) {
        unit[i] = i / 2, period[i] = i % 2, stratum[i] = unit[i] > 4;
        treatment[i] = period[i] && unit[i] % 4 == 0;
    }
    pfx_err err = {0};
    pfx_assign *a = NULL;
    const pfx_assign_in in = {.n = 2 * N,
                              .treatment = treatment,
                              .n_units = N,
                              .unit = unit,
                              .n_periods = 2,
                              .period = period,
                              .stratum = stratum,
                              .unit_name = "u",
                              .treatment_name = "D"};
    assert_ok(pfx_assign_create(&in, &a, &err));
    assert_true(a->assignments == 10 * 4);
    a->enumerate = true;
    void *scratch = malloc((size_t)pfx_assign_scratch(a));
    bool seen[1 << N] = {false};
    pfx_assign_begin(a, scratch);
    for (pfx_idx r = 0; r < 40; r++) {
        uint32_t u[N], path[N];
        int mask = 0;
        assert_int_equal(pfx_assign_draw(a, PFX_ISA_PORTABLE, 1, r, scratch, u, path), 3);
        for (int i = 0; i < 3; i++) mask |= 1 << u[i];
        assert_int_equal(__builtin_popcount((unsigned)(mask & 31)), 2);
        assert_false(seen[mask]);
        seen[mask] = true;
    }
    free(scratch);
    pfx_assign_free(a);
}

/* The user's own draws: the data's assignment among them, and one that never occurs in it. */
static void test_file(void **state)
{
    (void)state;
    setting s = {100, FIRM | YEAR, FIRM, FIRM, PFX_W_NONE, STAYS, PFX_PLACEBO_FILE, 1, 0, 0, false};
    world w = placebo_world_new(s);
    pfx_err err = {0};
    grid *g = malloc(sizeof *g);
    placebo_grid(&w, g);
    pfx_idx start[3] = {0};
    uint32_t unit[MAX_UNITS];
    double *values = malloc(sizeof(double) * MAX_UNITS * YEARS), own[PFX_PLACEBO_FIELDS];
    pfx_idx n = 0;
    for (pfx_idx u = 0; u < w.n_units; u++)
        if (!placebo_is_zero(g->v[u])) {
            unit[n] = (uint32_t)u;
            memcpy(values + n++ * YEARS, g->v[u], sizeof g->v[0]);
        }
    start[1] = n;
    for (pfx_idx u = 1; u < 8; u++, n++) {
        unit[n] = (uint32_t)u;
        for (int t = 0; t < YEARS; t++) values[n * YEARS + t] = t == 0 ? 0 : t == 3 ? 1 : NAN;
    }
    start[2] = n;
    pfx_placebo_free(w.p);
    assert_ok(pfx_assign_file(w.assign, 2, start, unit, values, &err));
    w.p = placebo_prepare_world(&w, 1, pfx_cpu_best());
    kept k = placebo_run(w.p, 1, 0, 2, 1);
    assert_ok(pfx_placebo_own(w.p, own, &err));
    assert_rel(own[PFX_DRAW_ESTIMATE], ref_coef(w.fit, "x0")->estimate, 1e-11);
    assert_rel(k.out[PFX_DRAW_ESTIMATE][0], own[PFX_DRAW_ESTIMATE], 1e-12);
    double *treatment = malloc((size_t)w.a.n * sizeof *treatment);
    for (pfx_idx i = 0; i < w.a.n; i++) treatment[i] = w.unit[i] >= 1 && w.unit[i] < 8 && w.a.year[i] >= 3;
    placebo_check_draw(&w, treatment, k.out[PFX_DRAW_ESTIMATE][1], k.out[PFX_DRAW_STD_ERROR][1],
                       k.out[PFX_PLACEBO_SLOPE][1]);
    free(treatment);
    free(values);
    free(g);
    placebo_free_kept(&k);
    placebo_world_free(&w);
}

static void test_refusals(void **state)
{
    (void)state;
    pfx_err err = {0};
    pfx_assign *a = NULL;
    double D[6] = {0};
    int32_t unit[6] = {0, 0, 1, 1, 2, 2}, period[6] = {0, 1, 0, 1, 0, 1}, same[6] = {0},
            cut[6] = {0, 1, 0, 0, 0, 0};
    pfx_assign_in in = {.n = 6,
                        .treatment = D,
                        .n_units = 3,
                        .unit = unit,
                        .n_periods = 2,
                        .period = period,
                        .unit_name = "firm",
                        .treatment_name = "D",
                        .stratum_name = "prov"};
    assert_fails(pfx_assign_create(&in, &a, &err), PFX_EDATA, "0 levels of firm are treated");
    D[0] = D[1] = 1;
    D[3] = 1;
    in.scheme = PFX_PLACEBO_RANDOM_DATE;
    D[2] = 0.5;
    assert_fails(pfx_assign_create(&in, &a, &err), PFX_EUSAGE, "has other values");
    D[2] = 1, D[3] = 0;
    assert_fails(pfx_assign_create(&in, &a, &err), PFX_EUSAGE, "switches off");
    in.scheme = PFX_PLACEBO_PERMUTE;
    in.stratum = cut;
    assert_fails(pfx_assign_create(&in, &a, &err), PFX_EDATA, "not constant within firm");
    in.stratum = same;
    D[2] = D[3] = D[4] = D[5] = 1;
    assert_fails(pfx_assign_create(&in, &a, &err), PFX_EDATA, "cannot change anything");
    in.unit = same;
    assert_fails(pfx_assign_create(&(pfx_assign_in){.n = 2,
                                                    .treatment = (double[]){0, 1},
                                                    .n_units = 1,
                                                    .unit = same,
                                                    .n_periods = 1,
                                                    .period = same,
                                                    .unit_name = "firm",
                                                    .treatment_name = "D"},
                                   &a, &err),
                 PFX_EDATA, "two values in one period");
}

/* Every allocation failing in turn leaves nothing behind. */
static void fail_allocations(bool cross)
{
    setting s = {24, FIRM | YEAR, FIRM, FIRM, PFX_W_ANALYTIC, STAYS, PFX_PLACEBO_PERMUTE, 1, 0, 0, false};
    world w = placebo_world_new(s);
    pfx_placebo_free(w.p);
    w.p = NULL;
    test_faults f = {0};
    while (test_faults_next(&f)) {
        pfx_err err = {0};
        pfx_assign *a = NULL;
        pfx_placebo *p = NULL;
        const pfx_placebo_in in = {.d = w.d,
                                   .assign = &w.in,
                                   .n_drawn = 1,
                                   .drawn = (const char *const[]){"x0"},
                                   .tol = 1e-10,
                                   .maxiter = 100,
                                   .nth = 1,
                                   .std_error = true,
                                   .ssc = 1,
                                   .cross = cross};
        pfx_status st = pfx_assign_create(&w.in, &a, &err);
        if (st == PFX_OK) st = pfx_placebo_create(&in, a, &p, &err);
        pfx_rep_run r = {.seed = 1, .last = 10, .nth = 1};
        if (st == PFX_OK) st = pfx_rep_run_method(pfx_placebo_method(p), &r, &err);
        pfx_placebo_free(p);
        pfx_assign_free(a);
        test_faults_done(&f, st);
    }
    placebo_world_free(&w);
}

static void test_allocations(void **state)
{
    (void)state;
    fail_allocations(false);
    fail_allocations(true);
    /* Projected rows take memory in each thread. */
    const setting s = {200, FIRM | GROUP | YEAR, FIRM, FIRM, PFX_W_NONE, STAYS, PFX_PLACEBO_PERMUTE, 1, 0, 0,
                       true};
    world w = placebo_world_new(s);
    for (double bytes = 1e5; bytes <= 5e8; bytes *= 5000) {
        pfx_err err = {0};
        pfx_placebo *p = NULL;
        const pfx_placebo_in in = {.d = w.d,
                                   .assign = &w.in,
                                   .n_drawn = 1,
                                   .drawn = (const char *const[]){"x0"},
                                   .factor = w.factor,
                                   .tol = 1e-10,
                                   .maxiter = 100,
                                   .nth = 1,
                                   .ssc = 1,
                                   .max_bytes = bytes,
                                   .cross = true};
        pfx_status st = pfx_placebo_create(&in, w.assign, &p, &err);
        assert_int_equal(st, bytes < 1e6 ? PFX_ENOMEM : PFX_OK);
        if (st != PFX_OK) assert_non_null(strstr(err.msg, "--memory"));
        pfx_placebo_free(p);
    }
    placebo_world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernels),   cmocka_unit_test(test_draws),
        cmocka_unit_test(test_counts),    cmocka_unit_test(test_refits),
        cmocka_unit_test(test_same_bits), cmocka_unit_test(test_enumeration),
        cmocka_unit_test(test_file),      cmocka_unit_test(test_all_once),
        cmocka_unit_test(test_refusals),  cmocka_unit_test(test_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
