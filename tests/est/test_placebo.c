/* Placebo replicates against literally reassigned treatments and refits, enumerations against all assignments
 * by brute force, and themselves: threads, ranges, instruction sets. */
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/rep/placebo.h"
#include "tests/est/made_panel.h"

enum { YEARS = 7, MAX_UNITS = 400 };

/* How the treatment is made: 0/1 that stays on; that switches on and off; numbers; numbers constant in units.
 */
typedef enum making { STAYS, ON_OFF, NUMBERS, CONSTANT } making;

typedef struct setting {
    pfx_idx firms;
    int effects, cluster, unit; /* unit: FIRM or TOWN */
    pfx_weights_kind kind;
    making making;
    pfx_placebo_scheme scheme;
    int n_drawn;
    double max_bytes; /* 0: none; below 0: that many times the bytes of the products */
    pfx_idx reps;
} setting;

typedef struct world {
    made_panel a;
    setting s;
    double *treatment, *factor; /* [n]; [2][n] */
    int32_t *unit;
    pfx_idx n_units;
    pfx_assign_in in;
    pfx_design *d;
    pfx_fit *fit;
    pfx_assign *assign;
    pfx_placebo *p;
} world;

static double made_value(making m, pfx_idx u, int t)
{
    if (m == CONSTANT) return u % 3 == 0 ? test_uniform(80, (uint64_t)u) : 0;
    if (u % 3) return 0;
    if (m == STAYS) return t >= (u % 21 == 0 ? 0 : 1 + (int)(u / 3 % 5));
    if (m == ON_OFF) return test_uniform(81, (uint64_t)(u * 7 + t)) < 0.5;
    return 5 + test_uniform(82, (uint64_t)(u * 7 + t));
}

/* Regressors that are made of the treatment, into the rows of Z. */
static void rebuild(const world *w, const double *treatment, double *Z)
{
    for (pfx_idx i = 0; i < w->a.n; i++)
        for (int j = 0; j < w->s.n_drawn; j++) Z[i * w->a.p + j] = treatment[i] * w->factor[j * w->a.n + i];
}

static double ssc(const pfx_fit *f)
{
    double G = (double)f->clusters[0].levels, n = (double)f->n_obs;
    return G / (G - 1) * (n - 1) / (n - f->k_adj);
}

static pfx_placebo *prepare(const world *w, int nth, pfx_isa isa)
{
    static const char *const drawn[] = {"x0", "x1"};
    pfx_err err = {0};
    pfx_placebo *p = NULL;
    double k = 20, bytes = w->s.max_bytes;
    if (bytes < 0) bytes *= -8.0 * (double)w->d->clusters[0].n_levels * k * k / 2;
    const pfx_placebo_in in = {.d = w->d,
                               .assign = &w->in,
                               .n_drawn = w->s.n_drawn,
                               .drawn = drawn,
                               .factor = w->factor,
                               .tested = w->s.n_drawn - 1,
                               .tol = 1e-12,
                               .maxiter = 10000,
                               .nth = nth,
                               .isa = isa,
                               .std_error = true,
                               .ssc = ssc(w->fit),
                               .max_bytes = bytes};
    assert_ok(pfx_placebo_create(&in, w->assign, &p, &err));
    return p;
}

static world make(setting s)
{
    world w = {.a = made_panel_new(s.firms, 5), .s = s};
    pfx_err err = {0};
    made_panel *a = &w.a;
    w.treatment = malloc((size_t)a->n * sizeof *w.treatment);
    w.factor = malloc((size_t)(2 * a->n) * sizeof *w.factor);
    w.unit = s.unit == TOWN ? a->town : a->firm;
    w.n_units = s.unit == TOWN ? a->n_towns : a->n_firms;
    for (pfx_idx i = 0; i < a->n; i++) {
        w.treatment[i] = made_value(s.making, w.unit[i], a->year[i]);
        w.factor[i] = 1;
        w.factor[a->n + i] = 1 + test_uniform(83, (uint64_t)i);
    }
    rebuild(&w, w.treatment, a->Z);
    for (pfx_idx i = 0; i < a->n; i++) a->Z[i * a->p + a->k] += 0.7 * w.treatment[i];
    w.d = made_design(a, s.effects, s.cluster, s.kind);
    w.fit =
        made_fit(made_design(a, s.effects, s.cluster, s.kind), ref_options(PFX_VCOV_CLUSTER, PFX_SSC_FIXEST));
    w.in = (pfx_assign_in){.scheme = s.scheme,
                           .n = a->n,
                           .treatment = w.treatment,
                           .n_units = w.n_units,
                           .unit = w.unit,
                           .n_periods = YEARS,
                           .period = a->year,
                           .unit_name = "unit",
                           .treatment_name = "D"};
    assert_ok(pfx_assign_create(&w.in, &w.assign, &err));
    w.p = prepare(&w, 1, pfx_cpu_best());
    return w;
}

static void destroy(world *w)
{
    pfx_placebo_free(w->p);
    pfx_assign_free(w->assign);
    pfx_fit_free(w->fit);
    ref_design_free(w->d);
    free(w->treatment);
    free(w->factor);
    made_panel_free(&w->a);
}

/* ---- the twin: assignments as the declarations define them ---- */

typedef struct grid {
    double v[MAX_UNITS][YEARS]; /* carried on */
    int first[MAX_UNITS], last[MAX_UNITS];
    bool excluded[MAX_UNITS];
} grid;

static void fill_grid(const world *w, grid *g)
{
    bool stays = true;
    for (pfx_idx u = 0; u < w->n_units; u++) {
        g->first[u] = YEARS, g->last[u] = -1;
        for (int t = 0; t < YEARS; t++) g->v[u][t] = NAN;
    }
    for (pfx_idx i = 0; i < w->a.n; i++) {
        int u = w->unit[i], t = w->a.year[i];
        g->v[u][t] = w->treatment[i];
        if (t < g->first[u]) g->first[u] = t;
        if (t > g->last[u]) g->last[u] = t;
    }
    for (pfx_idx u = 0; u < w->n_units; u++) {
        for (int t = 0; t < g->first[u]; t++) g->v[u][t] = g->v[u][g->first[u]];
        for (int t = 1; t < YEARS; t++)
            if (isnan(g->v[u][t])) g->v[u][t] = g->v[u][t - 1];
        for (int t = 1; t < YEARS; t++) stays &= g->v[u][t] >= g->v[u][t - 1];
        for (int t = 0; t < YEARS; t++) stays &= g->v[u][t] == 0 || g->v[u][t] == 1;
    }
    for (pfx_idx u = 0; u < w->n_units; u++) g->excluded[u] = stays && g->v[u][0] == 1;
}

static bool is_zero(const double *v)
{
    for (int t = 0; t < YEARS; t++)
        if (v[t] != 0) return false;
    return true;
}

/* Units of one stratum that may exchange. Returns how many, 0 without variation. */
static int stratum_units(const world *w, const grid *g, int first, int last, int *out)
{
    int n = 0;
    bool varies = false;
    for (int u = 0; u < w->n_units; u++)
        if (g->first[u] == first && g->last[u] == last && !g->excluded[u]) out[n++] = u;
    for (int i = 1; i < n; i++) varies |= memcmp(g->v[out[0]], g->v[out[i]], sizeof g->v[0]) != 0;
    return varies ? n : 0;
}

static void draw_units(const world *w, pfx_rng *rng, double *out)
{
    grid *g = malloc(sizeof *g), *new = malloc(sizeof *new);
    fill_grid(w, g);
    *new = *g;
    for (int first = 0; first < YEARS; first++)
        for (int last = first; last < YEARS; last++) {
            int o[MAX_UNITS], treated[MAX_UNITS], n = stratum_units(w, g, first, last, o), m = 0;
            for (int i = 0; i < n; i++)
                if (!is_zero(g->v[o[i]])) treated[m++] = o[i];
            for (int i = 0; i < n; i++) memset(new->v[o[i]], 0, sizeof new->v[0]);
            for (int j = 0; j < m; j++) {
                int k = j + (int)pfx_rng_below(rng, n - j), u = o[k], donor = treated[j];
                o[k] = o[j], o[j] = u;
                if (w->s.scheme == PFX_PLACEBO_RANDOM_DATE) donor = treated[pfx_rng_below(rng, m)];
                memcpy(new->v[u], g->v[donor], sizeof g->v[0]);
            }
        }
    for (pfx_idx i = 0; i < w->a.n; i++) out[i] = new->v[w->unit[i]][w->a.year[i]];
    free(g);
    free(new);
}

static void draw_rows(const world *w, pfx_rng *rng, double *out)
{
    pfx_idx *o = malloc((size_t)w->a.n * sizeof *o), *treated = malloc((size_t)w->a.n * sizeof *o);
    memset(out, 0, (size_t)w->a.n * sizeof *out);
    for (int t = 0; t < YEARS; t++) {
        pfx_idx n = 0, m = 0;
        for (pfx_idx i = 0; i < w->a.n; i++) {
            if (w->a.year[i] != t) continue;
            o[n++] = i;
            if (w->treatment[i] != 0) treated[m++] = i;
        }
        for (pfx_idx j = 0; j < m && m < n; j++) {
            pfx_idx k = j + pfx_rng_below(rng, n - j), u = o[k];
            o[k] = o[j], o[j] = u;
            out[u] = w->treatment[treated[j]];
        }
        for (pfx_idx j = 0; j < m && m == n; j++) out[treated[j]] = w->treatment[treated[j]];
    }
    free(o);
    free(treated);
}

/* A literal refit under a treatment; outcome NULL: as it is. */
static pfx_fit *refit(const world *w, const double *treatment, const double *outcome)
{
    made_panel a = w->a;
    a.Z = malloc((size_t)(a.n * a.p) * sizeof *a.Z);
    memcpy(a.Z, w->a.Z, (size_t)(a.n * a.p) * sizeof *a.Z);
    rebuild(w, treatment, a.Z);
    for (pfx_idx i = 0; outcome && i < a.n; i++) a.Z[i * a.p + a.k] = outcome[i];
    pfx_fit *f = made_fit(made_design(&a, w->s.effects, w->s.cluster, w->s.kind),
                          ref_options(PFX_VCOV_CLUSTER, PFX_SSC_FIXEST));
    free(a.Z);
    return f;
}

/* ---- the program's draws ---- */

typedef struct kept {
    pfx_idx first;
    double *out[PFX_PLACEBO_FIELDS];
} kept;

static pfx_status keep_put(void *ctx, pfx_idx first, pfx_idx n, const double *const *field, pfx_err *err)
{
    kept *k = ctx;
    (void)err;
    for (int f = 0; f < PFX_PLACEBO_FIELDS; f++)
        memcpy(k->out[f] + first - k->first, field[f], (size_t)n * sizeof(double));
    return PFX_OK;
}

static kept run(const pfx_placebo *p, uint64_t seed, pfx_idx first, pfx_idx last, int nth)
{
    pfx_err err = {0};
    kept k = {.first = first};
    for (int f = 0; f < PFX_PLACEBO_FIELDS; f++) k.out[f] = calloc((size_t)(last - first), sizeof(double));
    const pfx_draw_sink sink = {.ctx = &k, .put = keep_put};
    pfx_rep_run r = {.seed = seed, .first = first, .last = last, .nth = nth, .n_sinks = 1, .sinks = &sink};
    assert_ok(pfx_rep_run_method(pfx_placebo_method(p), &r, &err));
    return k;
}

static void free_kept(kept *k)
{
    for (int f = 0; f < PFX_PLACEBO_FIELDS; f++) free(k->out[f]);
}

static void check_draw(const world *w, const double *treatment, double b, double se, double slope)
{
    const char *term = w->s.n_drawn == 2 ? "x1" : "x0";
    double *truth = malloc((size_t)w->a.n * sizeof *truth);
    for (pfx_idx i = 0; i < w->a.n; i++)
        truth[i] = w->treatment[i] * w->factor[(w->s.n_drawn - 1) * w->a.n + i];
    bool own = treatment == w->treatment; /* the truth on itself would be a perfect fit */
    pfx_fit *f = refit(w, treatment, NULL), *s = own ? NULL : refit(w, treatment, truth);
    const pfx_coef *c = ref_coef(f, term);
    assert_rel(b, c->estimate, 1e-10);
    assert_rel(se, c->std_error, 1e-10);
    assert_abs(slope, own ? 1 : ref_coef(s, term)->estimate, 1e-11);
    pfx_fit_free(f);
    pfx_fit_free(s);
    free(truth);
}

static void compare_refits(setting s)
{
    world w = make(s);
    kept k = run(w.p, 5, 0, s.reps, 2);
    double own[PFX_PLACEBO_FIELDS], *treatment = malloc((size_t)w.a.n * sizeof *treatment);
    pfx_err err = {0};
    assert_ok(pfx_placebo_own(w.p, own, &err));
    check_draw(&w, w.treatment, own[PFX_DRAW_ESTIMATE], own[PFX_DRAW_STD_ERROR], own[PFX_PLACEBO_SLOPE]);
    for (pfx_idx r = 0; r < s.reps; r += 1 + s.reps / 5) {
        pfx_rng rng;
        pfx_rng_start(&rng, 5, PFX_RNG_PLACEBO, (uint64_t)r);
        if (s.scheme == PFX_PLACEBO_WITHIN)
            draw_rows(&w, &rng, treatment);
        else
            draw_units(&w, &rng, treatment);
        check_draw(&w, treatment, k.out[PFX_DRAW_ESTIMATE][r], k.out[PFX_DRAW_STD_ERROR][r],
                   k.out[PFX_PLACEBO_SLOPE][r]);
        assert_rel(k.out[PFX_DRAW_STATISTIC][r], k.out[PFX_DRAW_ESTIMATE][r] / k.out[PFX_DRAW_STD_ERROR][r],
                   1e-15);
    }
    free(treatment);
    free_kept(&k);
    destroy(&w);
}

static void test_refits(void **state)
{
    static const setting all[] = {
        {200, FIRM | YEAR, FIRM, FIRM, PFX_W_NONE, STAYS, PFX_PLACEBO_PERMUTE, 1, 0, 300},
        {200, FIRM | YEAR, FIRM, FIRM, PFX_W_ANALYTIC, STAYS, PFX_PLACEBO_PERMUTE, 1, 0, 30},
        {200, FIRM | YEAR, FIRM, FIRM, PFX_W_ANALYTIC, STAYS, PFX_PLACEBO_RANDOM_DATE, 2, 0, 30},
        {300, FIRM | YEAR, TOWN, TOWN, PFX_W_ANALYTIC, STAYS, PFX_PLACEBO_PERMUTE, 1, 0, 30},
        {300, FIRM | YEAR, FIRM, TOWN, PFX_W_NONE, STAYS, PFX_PLACEBO_PERMUTE, 2, 0, 30},
        {300, FIRM | YEAR, TOWN, FIRM, PFX_W_NONE, STAYS, PFX_PLACEBO_PERMUTE, 1, 0, 30},
        {200, FIRM | YEAR | INDUSTRY, FIRM, FIRM, PFX_W_NONE, ON_OFF, PFX_PLACEBO_PERMUTE, 1, 0, 30},
        {200, FIRM | GROUP | YEAR, FIRM, FIRM, PFX_W_ANALYTIC, STAYS, PFX_PLACEBO_PERMUTE, 2, 0, 30},
        {200, YEAR, FIRM, FIRM, PFX_W_NONE, STAYS, PFX_PLACEBO_PERMUTE, 1, 0, 30},
        {200, 0, FIRM, FIRM, PFX_W_NONE, CONSTANT, PFX_PLACEBO_PERMUTE, 1, 0, 30},
        {200, FIRM, FIRM, FIRM, PFX_W_ANALYTIC, NUMBERS, PFX_PLACEBO_PERMUTE, 2, 0, 30},
        {200, FIRM | YEAR, FIRM, FIRM, PFX_W_NONE, NUMBERS, PFX_PLACEBO_PERMUTE, 1, -3, 30},
        {200, FIRM | YEAR, FIRM, FIRM, PFX_W_ANALYTIC, ON_OFF, PFX_PLACEBO_PERMUTE, 2, 1000, 30},
        {200, FIRM | YEAR, FIRM, FIRM, PFX_W_ANALYTIC, NUMBERS, PFX_PLACEBO_WITHIN, 1, 0, 30},
        {200, FIRM | YEAR, TOWN, FIRM, PFX_W_NONE, STAYS, PFX_PLACEBO_WITHIN, 2, 0, 30},
        {200, INDUSTRY | YEAR, INDUSTRY, FIRM, PFX_W_ANALYTIC, STAYS, PFX_PLACEBO_PERMUTE, 1, 0, 30},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) compare_refits(all[i]);
}

/* ---- the same bits ---- */

static void compare_bits(setting s)
{
    static const struct {
        pfx_idx first, last;
    } ranges[] = {{0, 400}, {0, 1}, {23, 25}, {191, 193}, {100, 399}};
    world w = make(s);
    pfx_placebo_free(w.p);
    w.p = prepare(&w, 1, PFX_ISA_PORTABLE);
    kept whole = run(w.p, 9, 0, 400, 1);
    for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
        if (!pfx_cpu_has(isa)) continue;
        for (int nth = 1; nth <= 7; nth += nth < 3 ? 1 : 4) {
            pfx_placebo *p = prepare(&w, nth, isa);
            for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
                pfx_idx first = ranges[i].first, n = ranges[i].last - first;
                kept part = run(p, 9, first, first + n, nth);
                for (int f = 0; f < PFX_PLACEBO_FIELDS; f++)
                    assert_same_bits(part.out[f], whole.out[f] + first, n);
                free_kept(&part);
            }
            pfx_placebo_free(p);
        }
    }
    free_kept(&whole);
    destroy(&w);
}

static void test_same_bits(void **state)
{
    static const setting all[] = {
        {300, FIRM | YEAR, FIRM, FIRM, PFX_W_NONE, STAYS, PFX_PLACEBO_PERMUTE, 1, 0, 0},
        {300, FIRM | YEAR, FIRM, TOWN, PFX_W_ANALYTIC, STAYS, PFX_PLACEBO_RANDOM_DATE, 2, 0, 0},
        {100, FIRM | YEAR, FIRM, FIRM, PFX_W_NONE, NUMBERS, PFX_PLACEBO_WITHIN, 1, 1000, 0},
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
        double *T = malloc((size_t)(ROWS * ld) * sizeof *T), *sum = calloc((size_t)(4 * ld), sizeof *sum),
               x[N], dot[N];
        uint32_t at[N];
        for (pfx_idx i = 0; i < ROWS * ld; i++) T[i] = test_uniform(90, (uint64_t)i) - 0.5;
        for (int j = 0; j < N; j++) at[j] = (uint32_t)(test_uniform(91, (uint64_t)j) * ROWS), x[j] = j - 7.5;
        for (int j = 0; j < N; j++)
            for (pfx_idx l = 0; l < ld; l++) {
                sum[l] += T[at[j] * ld + l];
                sum[ld + l] = fma(x[j], T[at[j] * ld + l], sum[ld + l]);
            }
        for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
            if (!pfx_cpu_has(isa)) continue;
            memset(sum + 2 * ld, 0, (size_t)(2 * ld) * sizeof *sum);
            pfx_k_placebo_sum(isa, N, at, ld, T, sum + 2 * ld);
            pfx_k_placebo_combine(isa, N, at, x, ld, T, sum + 3 * ld);
            pfx_k_placebo_dot(isa, N, at, ld, T, T, dot);
            assert_same_bits(sum + 2 * ld, sum, 2 * ld);
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
    pfx_fit *f = refit(w, treatment, NULL);
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
    setting s = {60, FIRM | YEAR, FIRM, FIRM, PFX_W_NONE, STAYS, PFX_PLACEBO_PERMUTE, 1, 0, 0};
    world w = make(s);
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
    rebuild(&w, w.treatment, w.a.Z);
    for (pfx_idx i = 0; i < w.a.n; i++) w.d->Z[i * w.a.p] = w.a.Z[i * w.a.p];
    w.in.stratum = stratum;
    pfx_placebo_free(w.p);
    pfx_assign_free(w.assign);
    w.assign = NULL;
    assert_ok(pfx_assign_create(&w.in, &w.assign, &err));
    assert_rel(w.assign->assignments, 168.0, 0);
    assert_int_equal(w.assign->n_idle, 52);
    w.assign->enumerate = true;
    w.p = prepare(&w, 1, pfx_cpu_best());
    kept k = run(w.p, 1, 0, 168, 2);
    grid *g = malloc(sizeof *g);
    fill_grid(&w, g);
    hand h = {.w = &w, .n = 8, .g = g, .b = calloc(200, sizeof(double))};
    int left[8];
    for (int i = 0; i < 8; i++) {
        h.units[i] = chosen[i];
        left[i] = is_zero(g->v[chosen[i]]) ? -1 : chosen[i];
    }
    arrange_by_hand(&h, 0, left);
    assert_int_equal(h.n_b, 168);
    qsort(h.b, 168, sizeof *h.b, ascending);
    qsort(k.out[PFX_DRAW_ESTIMATE], 168, sizeof(double), ascending);
    for (int i = 0; i < 168; i++) assert_rel(k.out[PFX_DRAW_ESTIMATE][i], h.b[i], 1e-9);
    free(h.b);
    free(g);
    free_kept(&k);
    destroy(&w);
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
    setting s = {100, FIRM | YEAR, FIRM, FIRM, PFX_W_NONE, STAYS, PFX_PLACEBO_FILE, 1, 0, 0};
    world w = make(s);
    pfx_err err = {0};
    grid *g = malloc(sizeof *g);
    fill_grid(&w, g);
    pfx_idx start[3] = {0};
    uint32_t unit[MAX_UNITS];
    double *values = malloc(sizeof(double) * MAX_UNITS * YEARS), own[PFX_PLACEBO_FIELDS];
    pfx_idx n = 0;
    for (pfx_idx u = 0; u < w.n_units; u++)
        if (!is_zero(g->v[u])) {
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
    w.p = prepare(&w, 1, pfx_cpu_best());
    kept k = run(w.p, 1, 0, 2, 1);
    assert_ok(pfx_placebo_own(w.p, own, &err));
    assert_rel(own[PFX_DRAW_ESTIMATE], ref_coef(w.fit, "x0")->estimate, 1e-11);
    assert_rel(k.out[PFX_DRAW_ESTIMATE][0], own[PFX_DRAW_ESTIMATE], 1e-12);
    double *treatment = malloc((size_t)w.a.n * sizeof *treatment);
    for (pfx_idx i = 0; i < w.a.n; i++) treatment[i] = w.unit[i] >= 1 && w.unit[i] < 8 && w.a.year[i] >= 3;
    check_draw(&w, treatment, k.out[PFX_DRAW_ESTIMATE][1], k.out[PFX_DRAW_STD_ERROR][1],
               k.out[PFX_PLACEBO_SLOPE][1]);
    free(treatment);
    free(values);
    free(g);
    free_kept(&k);
    destroy(&w);
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
static void test_allocations(void **state)
{
    (void)state;
    setting s = {24, FIRM | YEAR, FIRM, FIRM, PFX_W_ANALYTIC, STAYS, PFX_PLACEBO_PERMUTE, 1, 0, 0};
    world w = make(s);
    pfx_placebo_free(w.p);
    w.p = NULL;
    size_t before = pfx_mem_now();
    for (pfx_idx k = 1;; k++) {
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
                                   .ssc = 1};
        pfx_mem_fail_at(k);
        pfx_status st = pfx_assign_create(&w.in, &a, &err);
        if (st == PFX_OK) st = pfx_placebo_create(&in, a, &p, &err);
        pfx_rep_run r = {.seed = 1, .last = 10, .nth = 1};
        if (st == PFX_OK) st = pfx_rep_run_method(pfx_placebo_method(p), &r, &err);
        pfx_mem_fail_at(0);
        pfx_placebo_free(p);
        pfx_assign_free(a);
        assert_int_equal(pfx_mem_now(), before);
        if (st == PFX_OK) break;
        assert_int_equal(st, PFX_ENOMEM);
    }
    destroy(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernels),     cmocka_unit_test(test_counts),
        cmocka_unit_test(test_refits),      cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_enumeration), cmocka_unit_test(test_file),
        cmocka_unit_test(test_all_once),    cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
