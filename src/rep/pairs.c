#include "src/rep/pairs.h"

#include <math.h>
#include <string.h>
#include "kernels/exponential.h"
#include "kernels/multinomial.h"
#include "kernels/replicate.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/rep/clusterstat.h"
#include "src/rep/identify.h"
#include "src/rep/iv_lanes.h"
#include "src/rep/patterns.h"
#include "src/rep/refit.h"

/* A batch is eight panels of 24 replicates: a block of statistics is read once for all eight. */
enum { LANES = PFX_REP_LANES, PANELS = 8, WIDTH = PANELS * LANES };
/* Refits are worth looking up from more often: eight of a panel's lanes. */
enum { REFITS = 8 };
/* Bytes of a block of statistics: with the panel's own arrays it stays in a second-level cache. */
enum { BLOCK_BYTES = 192 * 1024 };
/* In whitened columns a dependent one leaves a pivot of rounding noise, about 1e-16 of its diagonal. */
static const double DEPENDENT = 1e-11;

/* A draw of few distinct clusters may fit them without error: what is then left of the standard error, less
 * than this share of the full sample's, is rounding. */
static const double ZERO_SE = 1e-10;

struct pfx_pairs {
    const pfx_clusterstat *s;
    double *floor; /* [n_terms] standard errors at or below it are none: NaN, and so is t */
    pfx_pairs_options o;
    pfx_rep_method method;
    int k, n_terms;
    pfx_idx ldc;     /* clusters in whole cache lines */
    pfx_idx block;   /* clusters in a block of M, a multiple of 8 */
    pfx_idx n_stats; /* statistics of a cluster that are used: all but the residual's square */
    pfx_patterns pattern;
    pfx_idx lead;       /* of them, the first that the cluster's pattern gives, else 0 */
    double *functional; /* [n_terms x n_terms] row j: the functional of term j on the tested columns */
    double factor;      /* G / (G - 1), G the clusters of a replicate */
    pfx_idx iv_room;    /* of two-stage least squares, for a panel; else 0 */
    pfx_refit *refit;   /* where effects cross the clusters, else NULL */
    int width;          /* replicates of a batch */
};

/* Weights of the clusters in a batch: counts, or those of the Bayesian bootstrap, drawn where they are used.
 */
typedef struct draw {
    const uint8_t *count; /* [WIDTH x ldc], or NULL */
    uint64_t seed;
    pfx_idx first; /* replicate of the batch's first lane */
} draw;

/* Where things lie in a thread's scratch. */
typedef struct work {
    int panels;     /* that are computed */
    double *W;      /* [block x LANES] */
    double *C;      /* [PANELS][ld x LANES] products, then L */
    double *d;      /* [PANELS][k x LANES] */
    double *x;      /* [PANELS][k x LANES] delta in whitened columns */
    double *h;      /* [k x LANES] */
    double *Q;      /* [PANELS][ld x LANES] */
    double *P;      /* [PANELS][patterns x LANES] weights, then scores, of patterns */
    double *v;      /* [PANELS][LANES] */
    double *total;  /* [PANELS][LANES] sums of exponential weights */
    double *term;   /* [2 n_terms + k], or as iv_lanes.h says */
    double *iv;     /* [PANELS][iv_room] */
    uint8_t *count; /* [WIDTH x ldc] */
    uint8_t *all;   /* [o.all.n] counts of the clusters that all specifications have */
    double *weight; /* [REFITS][rows] of each replicate, */
    void *refit;    /* and what its refit needs */
    pfx_idx bytes;
} work;

/* scratch NULL: the bytes alone. */
static work lay_out(const pfx_pairs *p, int panels, void *scratch)
{
    pfx_idx ld = p->s->ld, k = p->k, at = 0;
    work w = {.panels = panels};
#define TAKE(field, n) w.field = scratch ? (double *)scratch + at : NULL, at += ((n) + 7) / 8 * 8
    TAKE(W, p->block * LANES);
    TAKE(C, panels * ld * LANES);
    TAKE(d, panels * k * LANES);
    TAKE(x, panels * k * LANES);
    TAKE(h, k * LANES);
    TAKE(Q, p->o.std_error ? panels * ld * LANES : 0);
    TAKE(P, panels * p->pattern.rows * LANES);
    TAKE(v, panels * LANES);
    TAKE(total, panels * LANES);
    TAKE(term, p->s->iv ? pfx_iv_lanes_work(p->s) : 2 * p->n_terms + k);
    TAKE(iv, panels * p->iv_room);
#undef TAKE
    w.count = scratch ? (uint8_t *)((double *)scratch + at) : NULL;
    w.bytes = at * (pfx_idx)sizeof(double) + panels * LANES * p->ldc;
    w.all = scratch ? w.count + panels * LANES * p->ldc : NULL;
    w.bytes += (p->o.all.n + 63) / 64 * 64;
    if (!p->refit) return w;
    w.weight = scratch ? (double *)((char *)scratch + w.bytes) : NULL;
    w.bytes += REFITS * (p->s->rows + 7) / 8 * 64;
    w.refit = scratch ? (char *)scratch + w.bytes : NULL;
    w.bytes += pfx_refit_scratch(p->refit);
    return w;
}

static pfx_idx block_size(const pfx_pairs *p, pfx_idx g)
{
    return p->s->rows - g < p->block ? p->s->rows - g : p->block;
}

/* Of the block after that of cluster g, the share to ask for while panel i works on this one. */
static pfx_k_ahead ask_ahead(const pfx_pairs *p, pfx_idx g, int i)
{
    pfx_idx next = g + p->block, lines = next < p->s->rows ? block_size(p, next) * p->s->ld / 8 : 0;
    pfx_idx from = lines * i / PANELS;
    if (lines == 0) return (pfx_k_ahead){0};
    return (pfx_k_ahead){p->s->M + next * p->s->ld + from * 8, lines * (i + 1) / PANELS - from};
}

void pfx_pairs_exponentials(pfx_isa isa, uint64_t seed, uint64_t replicate, const int32_t *of, pfx_idx first,
                            pfx_idx n, pfx_idx stride, double *out)
{
    double e[PFX_EXPONENTIALS];
    pfx_idx have = -1;
    for (pfx_idx i = 0, at = first; i < n && !of;) {
        pfx_idx skip = at % PFX_EXPONENTIALS,
                m = PFX_EXPONENTIALS - skip < n - i ? PFX_EXPONENTIALS - skip : n - i;
        pfx_k_exponentials(isa, seed, PFX_RNG_BAYES, replicate, at / PFX_EXPONENTIALS, e);
        for (pfx_idx j = 0; j < m; j++) out[(i + j) * stride] = e[skip + j];
        i += m;
        at += m;
    }
    for (pfx_idx i = 0; i < n && of; i++, out += stride) {
        pfx_idx g = of[first + i];
        if (g / PFX_EXPONENTIALS != have) {
            have = g / PFX_EXPONENTIALS;
            pfx_k_exponentials(isa, seed, PFX_RNG_BAYES, replicate, have, e);
        }
        *out = e[g % PFX_EXPONENTIALS];
    }
}

/* Exponential weights of clusters g .. g + n - 1 in the replicates of a panel: W [n x LANES]. */
static void fill_exponentials(const pfx_pairs *p, const draw *d, int panel, pfx_idx g, pfx_idx n, double *W)
{
    pfx_idx own = g + n < p->s->G ? n : p->s->G - g;
    memset(W + own * LANES, 0, (size_t)((n - own) * LANES) * sizeof *W);
    for (int l = 0; l < LANES; l++)
        pfx_pairs_exponentials(p->o.isa, d->seed, (uint64_t)(d->first + (pfx_idx)panel * LANES + l),
                               p->o.all.of, g, own, LANES, W + l);
}

/* All weights of the first n replicates, for refits. */
static void replicate_weights(const pfx_pairs *p, const draw *d, int n, work *w)
{
    for (int r = 0; r < n; r++) {
        double *out = w->weight + r * p->s->rows;
        memset(out, 0, (size_t)p->s->rows * sizeof *out);
        for (pfx_idx g = 0; g < p->s->G && d->count; g++) out[g] = d->count[r * p->ldc + g];
        if (!d->count)
            pfx_pairs_exponentials(p->o.isa, d->seed, (uint64_t)(d->first + r), p->o.all.of, 0, p->s->G, 1,
                                   out);
        for (pfx_idx g = 0; g < p->s->G; g++) w->total[r] += out[g];
    }
}

/* Weights of a block of clusters in a panel of refits. */
static void spread_weights(const pfx_pairs *p, const work *w, int reps, pfx_idx g, pfx_idx n)
{
    memset(w->W, 0, (size_t)(n * LANES) * sizeof *w->W);
    for (int r = 0; r < reps; r++)
        for (pfx_idx i = 0; i < n; i++) w->W[i * LANES + r] = w->weight[r * p->s->rows + g + i];
}

/* Weights of a block of clusters in a panel. */
static void fill_weights(const pfx_pairs *p, const draw *d, int panel, pfx_idx g, pfx_idx n, double *W)
{
    if (d->count)
        pfx_k_rep_pack(p->o.isa, n, p->ldc, d->count + panel * LANES * p->ldc + g, W);
    else
        fill_exponentials(p, d, panel, g, n, W);
}

/* Sums of the statistics over the clusters, in all replicates. */
static void sum_products(const pfx_pairs *p, const draw *d, int reps, work *w)
{
    const pfx_clusterstat *s = p->s;
    const pfx_patterns *t = &p->pattern;
    pfx_idx table = t->rows * LANES;
    memset(w->total, 0, (size_t)(w->panels * LANES) * sizeof *w->total);
    if (p->refit) replicate_weights(p, d, reps, w);
    memset(w->C, 0, (size_t)(w->panels * s->ld * LANES) * sizeof *w->C);
    if (p->refit && !pfx_refit_nested(p->refit)) return; /* only the rows have them */
    memset(w->P, 0, (size_t)(w->panels * table) * sizeof *w->P);
    for (pfx_idx g = 0; g < s->rows; g += p->block)
        for (int i = 0; i < w->panels; i++) {
            pfx_idx n = block_size(p, g);
            if (p->refit)
                spread_weights(p, w, reps, g, n);
            else
                fill_weights(p, d, i, g, n, w->W);
            for (pfx_idx c = 0; c < n && !d->count && !p->refit; c++)
                for (int l = 0; l < LANES; l++) w->total[i * LANES + l] += w->W[c * LANES + l];
            if (p->lead) pfx_k_rep_tally(p->o.isa, n, w->W, t->pattern + g, w->P + i * table);
            pfx_k_rep_sums(p->o.isa, n, w->W, p->n_stats - p->lead, s->ld, s->M + g * s->ld + p->lead,
                           ask_ahead(p, g, i), w->C + (i * s->ld + p->lead) * LANES);
        }
    for (int i = 0; i < w->panels && p->lead; i++)
        pfx_k_rep_sums(p->o.isa, t->n, w->P + i * table, p->lead, p->lead, t->M, (pfx_k_ahead){0},
                       w->C + i * s->ld * LANES);
}

static pfx_iv_lanes iv_panel(const pfx_pairs *p, const work *w, pfx_idx panel)
{
    return pfx_iv_lanes_at(p->s, w->C + panel * p->s->ld * LANES, w->iv + panel * p->iv_room);
}

/* Coefficients of a panel in whitened columns, and what scores are solved with. */
static void solve(const pfx_pairs *p, work *w, pfx_idx panel)
{
    pfx_idx ld = p->s->ld, k = p->k;
    double *C = w->C + panel * ld * LANES, *x = w->x + panel * k * LANES, *d = w->d + panel * k * LANES;
    if (p->s->iv) {
        const pfx_iv_lanes v = iv_panel(p, w, panel);
        pfx_iv_lanes_solve(p->o.isa, p->s, &v);
        return;
    }
    memcpy(x, C + k * (k + 1) / 2 * LANES, (size_t)(k * LANES) * sizeof *x);
    pfx_k_rep_factor(p->o.isa, p->k, DEPENDENT, C, d);
    pfx_k_rep_solve(p->o.isa, p->k, C, d, 0, x);
}

/* h and b with which the score of term t in a cluster is h'M_g c, c = (-b, 1). Returns b. */
static const double *score_form(const pfx_pairs *p, int t, work *w, pfx_idx panel)
{
    pfx_idx k = p->k;
    int first = p->k - p->n_terms;
    double *x = w->x + panel * k * LANES;
    if (p->s->iv) {
        const pfx_iv_lanes v = iv_panel(p, w, panel);
        pfx_iv_lanes_scores(p->o.isa, p->s, &v, t, w->h, x);
        return x;
    }
    memset(w->h, 0, (size_t)(k * LANES) * sizeof *w->h);
    for (int j = 0; j < p->n_terms; j++)
        for (int l = 0; l < LANES; l++) w->h[(first + j) * LANES + l] = p->functional[t * p->n_terms + j];
    pfx_k_rep_solve(p->o.isa, p->k, w->C + panel * p->s->ld * LANES, w->d + panel * k * LANES, first, w->h);
    return x;
}

/* The form of term t whose values are the clusters' scores, and the part of it that patterns give. */
static void prepare_scores(const pfx_pairs *p, int t, work *w)
{
    pfx_idx ld = p->s->ld;
    for (int i = 0; i < w->panels; i++) {
        const double *b = score_form(p, t, w, i);
        pfx_k_rep_form(p->o.isa, p->k, w->h, b, w->Q + i * ld * LANES);
        if (p->lead)
            pfx_k_rep_scores(p->o.isa, p->pattern.rows, p->lead, p->lead, p->pattern.M, w->Q + i * ld * LANES,
                             w->P + i * p->pattern.rows * LANES);
    }
}

/* Sums of squared scores of term t, into v. */
static void sum_squares(const pfx_pairs *p, const draw *d, int t, work *w)
{
    const pfx_clusterstat *s = p->s;
    prepare_scores(p, t, w);
    memset(w->v, 0, (size_t)(w->panels * LANES) * sizeof *w->v);
    for (pfx_idx g = 0; g < s->rows; g += p->block)
        for (int i = 0; i < w->panels; i++) {
            pfx_idx n = block_size(p, g);
            fill_weights(p, d, i, g, n, w->W);
            pfx_k_rep_squares(p->o.isa, n, w->W, p->n_stats - p->lead, s->ld, s->M + g * s->ld + p->lead,
                              w->Q + (i * s->ld + p->lead) * LANES, p->lead ? p->pattern.pattern + g : NULL,
                              p->lead ? w->P + i * p->pattern.rows * LANES : NULL, ask_ahead(p, g, i),
                              w->v + i * LANES);
        }
}

static void refit_squares(const pfx_pairs *p, int t, int n, work *w)
{
    const double *b = score_form(p, t, w, 0);
    for (int r = 0; r < n; r++)
        w->v[r] =
            pfx_refit_squares(p->refit, r, w->weight + r * p->s->rows, LANES, w->h + r, b + r, w->refit);
}

/* Coefficients of one replicate, NaN where not identified. */
static void coefficients(const pfx_pairs *p, const work *w, int rep, double *out)
{
    int lane = rep % LANES;
    pfx_idx panel = rep / LANES, kl = (pfx_idx)p->k * LANES;
    if (p->s->iv) {
        const pfx_iv_lanes v = iv_panel(p, w, panel);
        pfx_iv_lanes_estimate(p->s, &v, lane, w->term, out);
        return;
    }
    pfx_identify(p->s, w->C + panel * p->s->ld * LANES + lane, w->d + panel * kl + lane,
                 w->x + panel * kl + lane, w->term, out);
}

/* The first `reps` replicates of so many panels. */
static void compute(const pfx_pairs *p, const draw *d, int panels, int reps, void *scratch,
                    double *const *field)
{
    work w = lay_out(p, panels, scratch);
    int n = p->n_terms;
    sum_products(p, d, reps, &w);
    for (int r = 0; r < reps && p->refit; r++)
        pfx_refit_products(p->refit, r, w.weight + r * p->s->rows, w.refit, LANES, w.C + r);
    for (int i = 0; i < panels; i++) solve(p, &w, i);
    for (int r = 0; r < reps; r++) coefficients(p, &w, r, field[PFX_DRAW_ESTIMATE] + (pfx_idx)r * n);
    for (int t = 0; t < n; t++) {
        if (p->o.std_error && p->refit)
            refit_squares(p, t, reps, &w);
        else if (p->o.std_error)
            sum_squares(p, d, t, &w);
        for (int r = 0; r < reps; r++) {
            pfx_idx at = (pfx_idx)r * n + t;
            double b = field[PFX_DRAW_ESTIMATE][at];
            double v = d->count ? w.v[r] : w.v[r] * (w.total[r] / (double)p->s->G); /* weights to sum G */
            double se = p->o.std_error && !isnan(b) ? sqrt(p->factor * v) : NAN;
            if (se <= p->floor[t]) se = NAN;
            field[PFX_DRAW_STD_ERROR][at] = se;
            field[PFX_DRAW_STATISTIC][at] = (b - p->s->b[t]) / se;
        }
    }
}

static int panels_of(const pfx_pairs *p)
{
    return p->refit ? 1 : PANELS;
}

void pfx_pairs_batch(const pfx_pairs *p, const uint8_t *count, void *scratch, double *const *field)
{
    compute(p, &(draw){.count = count}, panels_of(p), p->width, scratch, field);
}

static void draw_batch(const void *ctx, uint64_t seed, pfx_idx first, void *scratch, double *const *field)
{
    const pfx_pairs *p = ctx;
    work w = lay_out(p, panels_of(p), scratch);
    if (p->o.bayes) {
        compute(p, &(draw){.seed = seed, .first = first}, panels_of(p), p->width, scratch, field);
        return;
    }
    for (int r = 0; r < p->width; r++) {
        uint8_t *count = w.count + r * p->ldc;
        const pfx_union *all = &p->o.all;
        pfx_idx units = all->n ? all->n : p->s->G;
        pfx_k_multinomial(p->o.isa, seed, PFX_RNG_PAIRS, (uint64_t)(first + r), units,
                          p->o.draws ? p->o.draws : units, all->n ? w.all : count);
        for (pfx_idx g = 0; all->n && g < p->s->G; g++) count[g] = w.all[all->of ? all->of[g] : g];
        memset(count + p->s->G, 0, (size_t)(p->ldc - p->s->G));
    }
    pfx_pairs_batch(p, w.count, scratch, field);
}

static pfx_status make_refit(pfx_pairs *p, pfx_err *err)
{
    const pfx_clusterstat *s = p->s;
    const pfx_refit_in in = {.d = s->design,
                             .p = s->k + 1,
                             .Q = s->Q,
                             .slots = REFITS,
                             .maxiter = s->maxiter,
                             .isa = p->o.isa,
                             .max_bytes = s->max_bytes,
                             .nth = p->o.nth,
                             .way = p->o.way};
    return pfx_refit_create(&in, &p->refit, err);
}

pfx_status pfx_pairs_create(const pfx_clusterstat *s, const pfx_pairs_options *o, pfx_pairs **out,
                            pfx_err *err)
{
    int n = s->n_terms, k = s->k;
    pfx_idx drawn = o->draws ? o->draws : s->G;
    pfx_pairs *p = pfx_mem_calloc(1, sizeof *p, err);
    if (!p) return PFX_ENOMEM;
    p->s = s;
    p->o = *o;
    p->k = k;
    p->n_terms = n;
    p->ldc = (s->G + 63) / 64 * 64;
    p->block = BLOCK_BYTES / ((pfx_idx)sizeof(double) * s->ld) / 8 * 8;
    if (p->block < 8) p->block = 8;
    p->n_stats = (pfx_idx)k * (k + 1) / 2 + k;
    p->factor = (double)drawn / (double)(drawn - 1);
    p->functional = pfx_mem_calloc((pfx_idx)n * n, sizeof *p->functional, err);
    p->floor = pfx_mem_calloc(n, sizeof *p->floor, err);
    p->width = s->absorber ? REFITS : WIDTH;
    if (!p->functional || !p->floor || pfx_patterns_find(s, &p->pattern, err) != PFX_OK) {
        pfx_pairs_free(p);
        return PFX_ENOMEM;
    }
    p->lead = p->pattern.n ? p->pattern.n_stats : 0;
    if (s->iv) p->iv_room = (pfx_iv_lanes_size(s) + 7) / 8 * 8;
    for (int t = 0; t < n && !s->iv; t++) {
        p->functional[t * n + t] = 1;
        pfx_clusterstat_functional(s, p->functional + (pfx_idx)t * n);
    }
    if (s->absorber) {
        pfx_status st = make_refit(p, err);
        if (st != PFX_OK) {
            pfx_pairs_free(p);
            return st;
        }
    }
    if (o->std_error) {
        pfx_status st = pfx_pairs_full(p, p->floor, err);
        if (st != PFX_OK) {
            pfx_pairs_free(p);
            return st;
        }
        for (int t = 0; t < n; t++) p->floor[t] = p->floor[t] > 0 ? p->floor[t] * ZERO_SE : 0;
    }
    p->method = (pfx_rep_method){.name = "pairs",
                                 .width = p->width,
                                 .n_terms = n,
                                 .scratch = lay_out(p, panels_of(p), NULL).bytes,
                                 .ctx = p,
                                 .batch = draw_batch};
    *out = p;
    return PFX_OK;
}

void pfx_pairs_free(pfx_pairs *p)
{
    if (!p) return;
    pfx_mem_free(p->functional);
    pfx_mem_free(p->floor);
    pfx_patterns_free(&p->pattern);
    pfx_refit_free(p->refit);
    pfx_mem_free(p);
}

const pfx_rep_method *pfx_pairs_method(const pfx_pairs *p)
{
    return &p->method;
}

const pfx_refit *pfx_pairs_refit(const pfx_pairs *p)
{
    return p->refit;
}

pfx_idx pfx_pairs_ld(const pfx_pairs *p)
{
    return p->ldc;
}

pfx_status pfx_pairs_full(const pfx_pairs *p, double *se, pfx_err *err)
{
    pfx_status st = PFX_ENOMEM;
    int n = p->n_terms;
    pfx_pairs with = *p;
    with.o.std_error = true;
    with.factor = (double)p->s->G / (double)(p->s->G - 1);
    char *scratch = pfx_mem_alloc(lay_out(&with, 1, NULL).bytes, 1, err);
    uint8_t *count = pfx_mem_calloc(LANES * p->ldc, 1, err);
    double *values = pfx_mem_alloc((pfx_idx)PFX_DRAW_FIELDS * LANES * n, sizeof *values, err);
    if (!scratch || !count || !values) goto done;
    double *field[PFX_DRAW_FIELDS];
    for (int f = 0; f < PFX_DRAW_FIELDS; f++) field[f] = values + (pfx_idx)f * LANES * n;
    memset(count, 1, (size_t)p->s->G);
    compute(&with, &(draw){.count = count}, 1, 1, scratch, field);
    memcpy(se, field[PFX_DRAW_STD_ERROR], (size_t)n * sizeof *se);
    st = PFX_OK;
done:
    pfx_mem_free(scratch);
    pfx_mem_free(count);
    pfx_mem_free(values);
    return st;
}
