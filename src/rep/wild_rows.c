/* The wild bootstrap beside effects that cross the clusters, by replicates: where the matrix of clusters by
 * bootstrap clusters does not fit, or there are fewer replicates than clusters. The residuals of a replicate,
 * weighted, are one column, which is projected off effects and regressors; scores are sums over its rows. */
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "kernels/wild.h"
#include "src/est/absorb.h"
#include "src/model/design.h"
#include "src/rep/clusterstat.h"
#include "src/rep/wild_dense.h"

enum { LANES = PFX_REP_LANES, MAX_M = 2 * PFX_WILD_MAX_TERMS, MAX_SQ = MAX_M * (MAX_M + 1) / 2 };

/* The absorber has a scratch of its own: one projection at a time, by all its threads. */
static pthread_mutex_t projecting = PTHREAD_MUTEX_INITIALIZER;

typedef struct work {
    double *W;         /* [rows x 24] weights of the bootstrap clusters */
    double *X, *P;     /* [n x sets 24] columns of the replicates, projected */
    double *T;         /* [sets k x 24] X~'W X */
    double *S;         /* [n_errors m x 24] scores */
    double *num;       /* [m x 24] */
    double *V, *scale; /* [n_sq x 24] */
    uint8_t *code;     /* [24 x PFX_WILD_SIGNS] */
    pfx_idx bytes;
} work;

/* scratch NULL: the bytes alone. */
static work lay_out(const pfx_wild *w, void *scratch)
{
    const wild_test *t = w->test; /* all have as many of everything */
    const pfx_idx n = w->s->n_rows;
    work o = {0};
    pfx_idx at = 0;
#define TAKE(field, size)                                                                                    \
    o.field = scratch ? (void *)((double *)scratch + at) : NULL, at += ((size) + 7) / 8 * 8
    TAKE(W, w->rows * LANES);
    TAKE(X, n * t->sets * LANES);
    TAKE(P, n * t->sets * LANES);
    TAKE(T, (pfx_idx)t->sets * w->k * LANES);
    TAKE(S, t->dense->n_errors * t->m * LANES);
    TAKE(num, (pfx_idx)t->m * LANES);
    TAKE(V, MAX_SQ * LANES);
    TAKE(scale, MAX_SQ * LANES);
    TAKE(code, LANES * PFX_WILD_SIGNS / (pfx_idx)sizeof(double));
#undef TAKE
    o.bytes = at * (pfx_idx)sizeof(double);
    return o;
}

pfx_idx pfx_wild_rows_scratch(const pfx_wild *w)
{
    return lay_out(w, NULL).bytes;
}

static void fill_columns(const pfx_wild *w, const wild_test *t, const work *o)
{
    const int32_t *cell = w->s->design->clusters[0].code;
    for (pfx_idx r = 0; r < w->s->n_rows; r++) {
        const double *v = o->W + (pfx_idx)w->own_boot[cell[r]] * LANES;
        double *X = o->X + r * t->sets * LANES;
        for (int s = 0; s < t->sets; s++)
            for (int l = 0; l < LANES; l++) X[s * LANES + l] = v[l] * t->dense->u[r * t->sets + s];
    }
}

/* Scores of every cluster, but for the regressors' part. */
static void sum_scores(const pfx_wild *w, const wild_test *t, const work *o)
{
    const struct wild_dense *d = t->dense;
    const int q = t->q, sets = t->sets;
    const int32_t *cell = w->s->design->clusters[0].code;
    memset(o->S, 0, (size_t)(d->n_errors * t->m * LANES) * sizeof *o->S);
    for (pfx_idx r = 0; r < w->s->n_rows; r++)
        for (int c = 0; c < w->o.n_errors; c++) {
            const double *P = o->P + r * sets * LANES, *X = o->X + r * sets * LANES;
            double *S = o->S + pfx_wild_dense_cluster(w, d, c, cell[r]) * t->m * LANES;
            for (int i = 0; i < q; i++, S += sets * LANES) {
                const double x = d->wd[r * q + i], left = d->wleft ? d->wleft[r * q + i] : 0;
                for (int l = 0; l < sets * LANES; l++) S[l] += x * P[l];
                for (int l = 0; l < sets * LANES && left != 0; l++) S[l] += left * X[l];
            }
        }
}

static void less_regressors(const pfx_wild *w, const wild_test *t, const work *o)
{
    const struct wild_dense *d = t->dense;
    const int k = w->k, sets = t->sets;
    double *S = o->S;
    for (pfx_idx g = 0; g < d->n_errors * t->q; g++)
        for (int s = 0; s < sets; s++, S += LANES)
            for (int j = 0; j < k; j++) {
                const double b = d->B[g * k + j], *T = o->T + ((pfx_idx)s * k + j) * LANES;
                for (int l = 0; l < LANES; l++) S[l] -= b * T[l];
            }
}

static void no_draws(const pfx_wild *w, int t, double *const *field)
{
    for (int f = 0; f < PFX_DRAW_FIELDS + w->method.n_extra; f++)
        for (int l = 0; l < LANES; l++) field[f][l * w->n_tests + t] = NAN;
}

static void one_test(const pfx_wild *w, int t, const work *o, double *const *field)
{
    const wild_test *x = &w->test[t];
    const struct wild_dense *d = x->dense;
    pfx_err err = {0};
    fill_columns(w, x, o);
    pthread_mutex_lock(&projecting);
    pfx_status st = pfx_absorber_project(w->s->absorber, x->sets * LANES, o->X, o->P, &err);
    pthread_mutex_unlock(&projecting);
    if (st != PFX_OK) { /* a replicate whose fit does not converge is none */
        no_draws(w, t, field);
        return;
    }
    const pfx_idx n_T = (pfx_idx)x->sets * w->k;
    memset(o->T, 0, (size_t)(n_T * LANES) * sizeof *o->T);
    pfx_k_rep_sums(w->o.isa, w->rows, o->W, n_T, n_T, d->K, (pfx_k_ahead){0}, o->T);
    memset(o->num, 0, (size_t)(x->m * LANES) * sizeof *o->num);
    pfx_k_rep_sums(w->o.isa, w->rows, o->W, x->m, d->ld_num, d->num, (pfx_k_ahead){0}, o->num);
    sum_scores(w, x, o);
    less_regressors(w, x, o);
    memset(o->V, 0, (size_t)(x->n_sq * LANES) * sizeof *o->V);
    pfx_wild_dense_squares(d->n_errors, x->m, d->weight, o->S, o->V);
    for (int q = 0; q < x->n_sq; q++)
        for (int l = 0; l < LANES; l++) o->scale[q * LANES + l] = d->scale[q];
    pfx_wild_finish(w, t, 0, o->num, o->V, o->scale, field);
}

void pfx_wild_rows_batch(const void *ctx, uint64_t seed, pfx_idx first, void *scratch, double *const *field)
{
    const pfx_wild *w = ctx;
    const work o = lay_out(w, scratch);
    enum { CHUNK = 512 };
    for (pfx_idx g = 0; g < w->rows; g += CHUNK)
        pfx_wild_fill(w, seed, first, g, w->rows - g < CHUNK ? w->rows - g : CHUNK, o.code, o.W + g * LANES);
    for (int t = 0; t < w->n_tests; t++) one_test(w, t, &o, field);
}
