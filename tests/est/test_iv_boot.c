/* Replications of two-stage least squares against literal refits: resampled rows, rebuilt outcomes and
 * endogenous variables; and the same bits over threads, ranges and instruction sets. */
#include "kernels/multinomial.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/est/fit.h"
#include "src/rep/clusterstat.h"
#include "src/rep/jackknife.h"
#include "src/rep/pairs.h"
#include "src/rep/wild.h"
#include "tests/est/made_panel.h"
#include "tests/est/resample.h"

enum { EXOG = 2, MOST = 4096 };
static const char *const both[] = {"x2", "x1"}; /* an endogenous variable, an exogenous one */

/* x0, x1 exogenous, then n endogenous, l instruments that move them. */
static made_panel iv_panel(pfx_idx firms, int n, int l)
{
    made_panel a = made_panel_new(firms, EXOG + n + l);
    for (pfx_idx i = 0; i < a.n; i++) {
        double *z = a.Z + i * a.p;
        for (int e = 0; e < n; e++)
            for (int j = 0; j < l; j++) z[EXOG + e] += (0.9 - 0.5 * ((e + j) % 3)) * z[EXOG + n + j];
    }
    return a;
}

static void set_roles(pfx_design *d, int n, int l)
{
    for (int j = 0; j < n; j++) d->role[EXOG + j] = PFX_ENDOGENOUS;
    for (int j = 0; j < l; j++) d->role[EXOG + n + j] = PFX_INSTRUMENT;
}

static pfx_design *iv_design(const made_panel *a, int effects, int cluster, pfx_weights_kind kind, int n,
                             int l)
{
    pfx_design *d = made_design(a, effects, cluster, kind);
    set_roles(d, n, l);
    return d;
}

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

typedef struct kept {
    int n_terms;
    pfx_idx first;
    double out[PFX_DRAW_FIELDS][MOST];
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

static void draw(const pfx_rep_method *m, pfx_idx first, pfx_idx last, int nth, kept *k)
{
    pfx_err err = {0};
    k->n_terms = m->n_terms;
    k->first = first;
    assert_true((last - first) * m->n_terms <= MOST);
    const pfx_draw_sink sink = {.ctx = k, .put = keep_put};
    pfx_rep_run r = {.seed = 5, .first = first, .last = last, .nth = nth, .n_sinks = 1, .sinks = &sink};
    assert_ok(pfx_rep_run_method(m, &r, &err));
}

static void draw_pairs(const pfx_clusterstat *s, pfx_idx first, pfx_idx last, int nth, pfx_isa isa, kept *k)
{
    pfx_err err = {0};
    pfx_pairs *p = NULL;
    assert_ok(pfx_pairs_create(s, &(pfx_pairs_options){.std_error = true, .isa = isa}, &p, &err));
    draw(pfx_pairs_method(p), first, last, nth, k);
    pfx_pairs_free(p);
}

static void counts(pfx_idx replicate, pfx_idx G, uint8_t *count)
{
    pfx_k_multinomial(PFX_ISA_PORTABLE, 5, PFX_RNG_PAIRS, (uint64_t)replicate, G, count);
}

/* Every coefficient, standard error and t in some replicates; and the full sample's. */
static void compare_pairs(pfx_idx firms, int effects, int cluster, pfx_weights_kind kind, int n, int l)
{
    made_panel a = iv_panel(firms, n, l);
    pfx_design *d = iv_design(&a, effects, cluster, kind, n, l);
    pfx_clusterstat *s = statistics(d, 2, both, 1, pfx_cpu_best());
    static kept k;
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
    made_panel a = iv_panel(333, 1, 2);
    pfx_design *d = iv_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE, 1, 2);
    pfx_clusterstat *s = statistics(d, 2, both, 1, PFX_ISA_PORTABLE);
    static kept whole, part;
    draw_pairs(s, 0, 500, 1, PFX_ISA_PORTABLE, &whole);
    for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
        if (!pfx_cpu_has(isa)) continue;
        for (int nth = 1; nth <= 7; nth += nth < 3 ? 1 : 4) {
            pfx_clusterstat *other = statistics(d, 2, both, nth, isa);
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

/* Residuals e [n] in the order of rows of column y on `m` columns of d (its roles and outcome aside), with
 * its effects; the coefficient of the last of them. */
static double residuals(const pfx_design *d, int m, const double *const *x, const double *y, double *e)
{
    pfx_err err = {0};
    pfx_fit *f = NULL;
    pfx_fit_options o = ref_options(PFX_VCOV_IID, PFX_SSC_NONE);
    double *Z = malloc((size_t)(d->n * (m + 1)) * sizeof *Z), b;
    for (pfx_idx i = 0; i < d->n; i++) {
        for (int j = 0; j < m; j++) Z[i * (m + 1) + j] = x[j][i];
        Z[i * (m + 1) + m] = y[i];
    }
    pfx_design *own = ref_design_new(d->n, m + 1, Z, d->intercept);
    for (int a = 0; a < d->n_absorbed; a++)
        ref_add_effect(own, d->absorbed[a].factor.name, d->absorbed[a].factor.n_levels,
                       d->absorbed[a].factor.code);
    own->row = pfx_mem_alloc(d->n, sizeof *own->row, NULL);
    for (pfx_idx i = 0; i < d->n; i++) own->row[i] = i;
    if (d->w) {
        own->w = pfx_mem_alloc(d->n, sizeof *own->w, NULL);
        own->weights_kind = d->weights_kind;
        memcpy(own->w, d->w, (size_t)d->n * sizeof *d->w);
    }
    o.save = true;
    assert_ok(pfx_fit_ols(own, &o, &f, &err));
    memcpy(e, f->resid, (size_t)d->n * sizeof *e);
    b = f->coef[f->k - 1].estimate;
    pfx_fit_free(f);
    ref_design_free(own);
    free(Z);
    return b;
}

/* The literal bootstrap: y* and x* of every row, and a refit by 2SLS. One endogenous variable, l instruments.
 */
typedef struct wre {
    pfx_design *d;
    double null, *u, *v;
} wre;

static wre wre_new(pfx_design *d, int l, double null)
{
    wre t = {.d = d, .null = null};
    const double *x[16];
    double *column = malloc((size_t)(d->n * d->p) * sizeof *column), *y = malloc((size_t)d->n * sizeof *y);
    t.u = malloc((size_t)d->n * sizeof *t.u);
    t.v = malloc((size_t)d->n * sizeof *t.v);
    for (int j = 0; j < d->p; j++)
        for (pfx_idx i = 0; i < d->n; i++) column[j * d->n + i] = d->Z[i * d->p + j];
    const double *endogenous = column + EXOG * d->n, *outcome = column + (d->p - 1) * d->n;
    for (pfx_idx i = 0; i < d->n; i++) y[i] = outcome[i] - null * endogenous[i];
    for (int j = 0; j < EXOG; j++) x[j] = column + j * d->n;
    residuals(d, EXOG, x, y, t.u);
    for (int j = 0; j < l; j++) x[EXOG + j] = column + (EXOG + 1 + j) * d->n;
    x[EXOG + l] = t.u;
    double phi = residuals(d, EXOG + l + 1, x, endogenous, t.v);
    for (pfx_idx i = 0; i < d->n; i++) t.v[i] += phi * t.u[i];
    free(column);
    free(y);
    return t;
}

static pfx_fit *wre_refit(const wre *t, pfx_design *again, const double *weight)
{
    const pfx_design *d = t->d;
    for (pfx_idx i = 0; i < d->n; i++) {
        const double *z = d->Z + i * d->p;
        double w = weight[d->clusters[0].code[i]], *to = again->Z + i * d->p;
        to[EXOG] = z[EXOG] - t->v[i] + w * t->v[i];
        to[d->p - 1] = z[d->p - 1] - t->null * z[EXOG] - t->u[i] + t->null * to[EXOG] + w * t->u[i];
    }
    pfx_err err = {0};
    pfx_fit *f = NULL;
    const pfx_fit_options o = ref_options(PFX_VCOV_CLUSTER, PFX_SSC_FIXEST);
    assert_ok(pfx_fit_model(again, &o, &f, &err));
    ref_design_free(again);
    return f;
}

static pfx_wild *wild(const pfx_clusterstat *s, double factor, double *null, pfx_wild_weights kind, bool full,
                      pfx_idx reps, pfx_isa isa)
{
    pfx_err err = {0};
    pfx_wild *w = NULL;
    const pfx_wild_options o = {.type = 11,
                                .unrestricted = full,
                                .null = null,
                                .weights = kind,
                                .reps = reps,
                                .n_errors = 1,
                                .errors = {{.n = s->G, .weight = factor}},
                                .nth = 1,
                                .isa = isa};
    assert_ok(pfx_wild_create(s, &o, &w, &err));
    return w;
}

static void compare_wre(pfx_idx firms, int effects, int cluster, pfx_weights_kind kind, int l,
                        pfx_wild_weights weights, bool unrestricted)
{
    made_panel a = iv_panel(firms, 1, l);
    pfx_design *d = iv_design(&a, effects, cluster, kind, 1, l);
    pfx_clusterstat *s = statistics(d, 1, both, 1, pfx_cpu_best());
    pfx_err err = {0};
    pfx_fit *full = NULL;
    pfx_design *again = iv_design(&a, effects, cluster, kind, 1, l);
    const pfx_fit_options o = ref_options(PFX_VCOV_CLUSTER, PFX_SSC_FIXEST);
    assert_ok(pfx_fit_model(again, &o, &full, &err));
    ref_design_free(again);
    const pfx_coef *c = ref_coef(full, "x2");
    double null = c->estimate + 1.3 * c->std_error, center = unrestricted ? c->estimate : null;
    wre t = wre_new(d, l, center);
    pfx_wild *w = wild(s, full->factor[0], &null, weights, unrestricted, 300, pfx_cpu_best());
    static kept k;
    draw(pfx_wild_method(w), 0, 300, 2, &k);
    assert_rel(pfx_wild_describe(w)->std_error[0], c->std_error, 1e-10);
    assert_rel(pfx_wild_describe(w)->statistic[0], -1.3, 1e-10);
    double *v = malloc((size_t)s->G * sizeof *v);
    for (pfx_idx r = 0; r < 300; r += 37) {
        pfx_wild_draw(w, 5, r, v);
        pfx_fit *f = wre_refit(&t, iv_design(&a, effects, cluster, kind, 1, l), v);
        const pfx_coef *b = ref_coef(f, "x2");
        assert_rel(k.out[PFX_DRAW_ESTIMATE][r], b->estimate, 1e-10);
        assert_rel(k.out[PFX_DRAW_STD_ERROR][r], b->std_error, 1e-10);
        assert_true(fabs(k.out[PFX_DRAW_STATISTIC][r] - (b->estimate - center) / b->std_error) < 1e-9);
        pfx_fit_free(f);
    }
    free(v);
    free(t.u);
    free(t.v);
    pfx_wild_free(w);
    pfx_fit_free(full);
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

static void test_wre_refits(void **state)
{
    (void)state;
    compare_wre(100, FIRM | YEAR, FIRM, PFX_W_NONE, 1, PFX_WILD_RADEMACHER, false);
    compare_wre(100, FIRM | YEAR, FIRM, PFX_W_NONE, 3, PFX_WILD_WEBB, false);
    compare_wre(100, FIRM | YEAR, FIRM, PFX_W_ANALYTIC, 2, PFX_WILD_RADEMACHER, false);
    compare_wre(200, FIRM | YEAR, TOWN, PFX_W_ANALYTIC, 2, PFX_WILD_MAMMEN, false);
    compare_wre(100, FIRM | YEAR | INDUSTRY, FIRM, PFX_W_NONE, 2, PFX_WILD_NORMAL, false);
    compare_wre(100, YEAR, FIRM, PFX_W_NONE, 1, PFX_WILD_GAMMA, false);
    compare_wre(100, 0, FIRM, PFX_W_NONE, 2, PFX_WILD_RADEMACHER, false);
    compare_wre(100, FIRM | YEAR, FIRM, PFX_W_NONE, 2, PFX_WILD_RADEMACHER, true);
    compare_wre(60, FIRM | YEAR, TOWN, PFX_W_NONE, 2, PFX_WILD_RADEMACHER, false); /* enumerated */
}

static void test_wre_same_bits(void **state)
{
    static const pfx_wild_weights kinds[] = {PFX_WILD_RADEMACHER, PFX_WILD_WEBB};
    static const pfx_idx ranges[][2] = {{0, 3000}, {0, 1}, {2039, 2041}, {191, 2500}};
    (void)state;
    made_panel a = iv_panel(333, 1, 2);
    pfx_design *d = iv_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE, 1, 2);
    static kept whole, part;
    double null = 0;
    for (int i = 0; i < 2; i++) {
        pfx_clusterstat *s = statistics(d, 1, both, 1, PFX_ISA_PORTABLE);
        pfx_wild *w = wild(s, 1, &null, kinds[i], false, 3000, PFX_ISA_PORTABLE);
        draw(pfx_wild_method(w), 0, 3000, 1, &whole);
        pfx_wild_free(w);
        for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
            if (!pfx_cpu_has(isa)) continue;
            w = wild(s, 1, &null, kinds[i], false, 3000, isa);
            for (int nth = 1; nth <= 7; nth += 3)
                for (size_t j = 0; j < sizeof ranges / sizeof *ranges; j++) {
                    draw(pfx_wild_method(w), ranges[j][0], ranges[j][1], nth, &part);
                    for (int f = 0; f < PFX_DRAW_FIELDS; f++)
                        assert_same_bits(part.out[f], whole.out[f] + ranges[j][0],
                                         ranges[j][1] - ranges[j][0]);
                }
            pfx_wild_free(w);
        }
        pfx_clusterstat_free(s);
    }
    ref_design_free(d);
    made_panel_free(&a);
}

/* An instrument that moves in a few firms alone: NaN exactly where none of them is drawn, for every term. */
static void test_lost_identification(void **state)
{
    (void)state;
    made_panel a = iv_panel(20, 1, 1);
    for (pfx_idx i = 0; i < a.n; i++)
        if (a.firm[i] != 4 && a.firm[i] != 9) a.Z[i * a.p + EXOG + 1] = 0.1;
    pfx_design *d = iv_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE, 1, 1);
    pfx_clusterstat *s = statistics(d, 2, both, 1, pfx_cpu_best());
    static kept k;
    int lost = 0;
    draw_pairs(s, 0, 300, 1, pfx_cpu_best(), &k);
    for (pfx_idx r = 0; r < 300; r++) {
        uint8_t count[20];
        counts(r, 20, count);
        bool none = count[4] + count[9] == 0;
        lost += none;
        for (int t = 0; t < 2; t++) {
            assert_int_equal(isnan(k.out[PFX_DRAW_ESTIMATE][2 * r + t]), none);
            assert_int_equal(isnan(k.out[PFX_DRAW_STD_ERROR][2 * r + t]), none);
        }
        if (r % 20) continue;
        pfx_fit *f = refit(resample_design(d, count));
        assert_int_equal(f == NULL, none);
        if (f) assert_rel(k.out[PFX_DRAW_ESTIMATE][2 * r], ref_coef(f, "x2")->estimate, 1e-9);
        pfx_fit_free(f);
    }
    assert_in_range(lost, 20, 80);
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

/* Without each firm in turn, refitted. */
static void test_jackknife(void **state)
{
    (void)state;
    made_panel a = iv_panel(30, 1, 2);
    pfx_design *d = iv_design(&a, FIRM | YEAR, FIRM, PFX_W_ANALYTIC, 1, 2);
    pfx_clusterstat *s = statistics(d, 2, both, 1, pfx_cpu_best());
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
    made_panel a = iv_panel(40, 1, 1);
    pfx_design *d = iv_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE, 1, 1);
    pfx_clusterstat_options o = {.n_terms = 1, .terms = instrument, .tol = 1e-10, .maxiter = 100, .nth = 1};
    assert_fails(pfx_clusterstat_create(d, &o, &s, &err), PFX_EUSAGE, "x3 is an instrument");
    o.terms = unknown;
    assert_fails(pfx_clusterstat_create(d, &o, &s, &err), PFX_EUSAGE, "x9 is no regressor");
    o.terms = fine, o.n_collinear = 1, o.collinear = fine;
    assert_fails(pfx_clusterstat_create(d, &o, &s, &err), PFX_EUSAGE, "left out as collinear");
    o.collinear = instrument;
    assert_fails(pfx_clusterstat_create(d, &o, &s, &err), PFX_EIDENT, "0 instruments");
    pfx_design *two = iv_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE, 1, 1);
    s = statistics(two, 2, both, 1, PFX_ISA_PORTABLE);
    pfx_wild *w = NULL;
    pfx_wild_options wo = {.type = 11, .reps = 9, .n_errors = 1, .nth = 1};
    assert_fails(pfx_wild_create(s, &wo, &w, &err), PFX_EUSAGE, "the only endogenous variable");
    pfx_clusterstat_free(s);
    s = statistics(two, 1, both, 1, PFX_ISA_PORTABLE);
    wo.type = 31;
    assert_fails(pfx_wild_create(s, &wo, &w, &err), PFX_EUSAGE, "type 11");
    pfx_clusterstat_free(s);
    ref_design_free(two);
    ref_design_free(d);
    made_panel_free(&a);
}

/* Every allocation failing in turn leaves nothing behind. */
static void test_allocations(void **state)
{
    (void)state;
    made_panel a = iv_panel(20, 1, 2);
    pfx_design *d = iv_design(&a, FIRM | YEAR, FIRM, PFX_W_ANALYTIC, 1, 2);
    const pfx_clusterstat_options o = {.n_terms = 2, .terms = both, .tol = 1e-10, .maxiter = 100, .nth = 1};
    size_t before = pfx_mem_now();
    for (pfx_idx k = 1;; k++) {
        pfx_err err = {0};
        pfx_clusterstat *s = NULL;
        pfx_pairs *p = NULL;
        pfx_jackknife *j = NULL;
        pfx_mem_fail_at(k);
        pfx_status st = pfx_clusterstat_create(d, &o, &s, &err);
        if (st == PFX_OK) st = pfx_pairs_create(s, &(pfx_pairs_options){.std_error = true}, &p, &err);
        if (st == PFX_OK) st = pfx_jackknife_run(s, 1, PFX_ISA_PORTABLE, &j, &err);
        pfx_mem_fail_at(0);
        pfx_jackknife_free(j);
        pfx_pairs_free(p);
        pfx_clusterstat_free(s);
        assert_int_equal(pfx_mem_now(), before);
        if (st == PFX_OK) break;
        assert_int_equal(st, PFX_ENOMEM);
    }
    ref_design_free(d);
    made_panel_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wre_refits),
        cmocka_unit_test(test_wre_same_bits),
        cmocka_unit_test(test_pairs_refits),
        cmocka_unit_test(test_pairs_same_bits),
        cmocka_unit_test(test_lost_identification),
        cmocka_unit_test(test_jackknife),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
