#include "src/rep/placebo_rows.h"

#include <math.h>
#include <string.h>
#include "kernels/gram.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/est/absorb.h"
#include "src/est/solve.h"
#include "src/est/vcov.h"
#include "src/model/design.h"
#include "src/rep/clusterstat_private.h"

/* Twice is enough: what one orthogonalisation leaves of rounding, the second takes (Giraud, Langou and
 * Rozloznik 2005). */
enum { PASSES = 2, BLOCK = 4096 };

typedef struct maker {
    pfx_design *d; /* own copy; row: the caller's row */
    const pfx_placebo_rows_options *o;
    pfx_absorber *a;
    pfx_solve *s;
    pfx_placebo_rows *out;
    const double *w; /* in the caller's order */
    pfx_idx max_rows;
    double *buf;  /* [nth][max_rows x d->p] */
    double *gram; /* [blocks][stride x stride] */
    double *sum;  /* [stride x stride] */
} maker;

/* The finest of the effects that are absorbed, -1: none. *all: there is none though there are effects, or it
 * has slopes, so that means within levels are not what takes them off. */
static pfx_status find_finest(const pfx_design *d, int *at, bool *all, pfx_err *err)
{
    *at = -1;
    for (int e = 0; e < d->n_absorbed; e++) {
        bool finest = true;
        if (d->absorbed[e].n_slopes || !d->absorbed[e].intercept) *all = true;
        for (int f = 0; f < d->n_absorbed && finest; f++) {
            pfx_status st =
                pfx_factor_nested(d->n, &d->absorbed[e].factor, &d->absorbed[f].factor, 1, &finest, err);
            if (st != PFX_OK) return st;
        }
        if (finest && *at < 0) *at = e;
    }
    *all |= d->n_absorbed > 0 && *at < 0;
    return PFX_OK;
}

static pfx_status take_level(maker *m, int at, pfx_err *err)
{
    const pfx_design *d = m->d;
    if (at < 0) return PFX_OK;
    const pfx_factor *e = &d->absorbed[at].factor;
    m->out->n_levels = e->n_levels;
    m->out->level = pfx_mem_alloc(d->n, sizeof *m->out->level, err);
    m->out->weight = pfx_mem_calloc(e->n_levels, sizeof *m->out->weight, err);
    if (!m->out->level || !m->out->weight) return PFX_ENOMEM;
    for (pfx_idx i = 0; i < d->n; i++) {
        m->out->level[d->row[i]] = e->code[i];
        m->out->weight[e->code[i]] += d->w ? d->w[i] : 1;
    }
    return PFX_OK;
}

/* The design, with the effects that are nested in the clusters absorbed, or all. */
static pfx_status make_design(maker *m, const pfx_design *d, pfx_err *err)
{
    const pfx_placebo_rows_options *o = m->o;
    pfx_clusterstat_options co = {
        .n_terms = o->n_drawn, .terms = o->drawn, .n_collinear = o->n_collinear, .collinear = o->collinear};
    pfx_idx columns = 0;
    int n_effect, at = -1;
    bool all = o->cross;
    pfx_status st = pfx_clusterstat_columns(d, &co, &columns, err);
    all |= columns > PFX_CLUSTERSTAT_REFIT;
    if (st == PFX_OK && !all && (st = pfx_clusterstat_design(d, &co, &m->d, &n_effect, err)) == PFX_OK)
        st = find_finest(m->d, &at, &all, err);
    if (st != PFX_OK || !all) return st == PFX_OK ? take_level(m, at, err) : st;
    pfx_design_free(m->d);
    m->d = NULL;
    m->out->all = co.absorb = true;
    return pfx_clusterstat_design(d, &co, &m->d, &n_effect, err);
}

static void take_block(void *ctx, pfx_idx b, int thread)
{
    const maker *m = ctx;
    int p = m->d->p, k = m->out->k;
    int tested = p - 1 - m->o->n_drawn + m->o->tested;
    double *buf = m->buf + (pfx_idx)thread * m->max_rows * p;
    pfx_idx row0, n;
    pfx_absorber_block_rows(m->a, b, &row0, &n);
    pfx_absorber_block(m->a, b, buf);
    for (pfx_idx i = 0; i < n; i++) {
        double *to = m->out->Q + m->d->row[row0 + i] * m->out->stride;
        to[k] = buf[i * p + p - 1];
        to[k + 1] = buf[i * p + tested];
    }
    pfx_solve_whiten(m->s, n, buf);
    for (pfx_idx i = 0; i < n; i++)
        memcpy(m->out->Q + m->d->row[row0 + i] * m->out->stride, buf + i * p, (size_t)k * sizeof *buf);
}

static pfx_status take_rows(maker *m, pfx_err *err)
{
    bool more = true;
    int nth = m->o->nth;
    pfx_status st = pfx_absorber_rewind(m->a, err);
    if (st == PFX_OK) st = pfx_absorber_next(m->a, &more, err);
    if (st != PFX_OK) return st;
    m->max_rows = pfx_absorber_max_block_rows(m->a);
    m->buf = pfx_mem_alloc(nth * m->max_rows * m->d->p, sizeof *m->buf, err);
    m->out->Q = pfx_mem_calloc(m->d->n * m->out->stride, sizeof *m->out->Q, err);
    if (!m->buf || !m->out->Q) return PFX_ENOMEM;
    pfx_par_for(pfx_absorber_n_blocks(m->a), nth, take_block, m);
    return PFX_OK;
}

static pfx_idx block_rows(const maker *m, pfx_idx b)
{
    return m->d->n - b * BLOCK < BLOCK ? m->d->n - b * BLOCK : BLOCK;
}

static void gram_block(void *ctx, pfx_idx b, int thread)
{
    const maker *m = ctx;
    int p = m->out->stride;
    double *g = m->gram + b * p * p;
    (void)thread;
    memset(g, 0, (size_t)(p * p) * sizeof *g);
    pfx_k_gram(m->o->isa, block_rows(m, b), p, p, m->out->Q + b * BLOCK * p, m->w ? m->w + b * BLOCK : NULL,
               g);
}

/* Rows times the inverse of the triangular factor in sum, the last two less their projections. */
static void orthogonalise_block(void *ctx, pfx_idx b, int thread)
{
    const maker *m = ctx;
    int p = m->out->stride, k = m->out->k;
    (void)thread;
    for (pfx_idx i = 0; i < block_rows(m, b); i++) {
        double *q = m->out->Q + (b * BLOCK + i) * p;
        for (int j = 0; j < p; j++) {
            double v = q[j];
            for (int l = 0; l < (j < k ? j : k); l++) v -= m->sum[l * p + j] * q[l];
            q[j] = j < k ? v / m->sum[j * p + j] : v;
        }
    }
}

/* Upper triangle of sum <- R of its first k rows, R'R = Q'WQ: the last two columns hold their coefficients.
 */
static void factor(const maker *m)
{
    int p = m->out->stride, k = m->out->k;
    double *G = m->sum;
    for (int i = 0; i < k; i++) {
        double d = sqrt(G[i * p + i]);
        for (int j = i; j < p; j++) G[i * p + j] /= d;
        for (int l = i + 1; l < k; l++)
            for (int j = l; j < p; j++) G[l * p + j] -= G[i * p + l] * G[i * p + j];
    }
}

static pfx_status orthogonalise(maker *m, pfx_err *err)
{
    pfx_idx n_blocks = (m->d->n + BLOCK - 1) / BLOCK, size = (pfx_idx)m->out->stride * m->out->stride;
    m->gram = pfx_mem_alloc(n_blocks * size, sizeof *m->gram, err);
    m->sum = pfx_mem_alloc(size, sizeof *m->sum, err);
    if (!m->gram || !m->sum) return PFX_ENOMEM;
    for (int pass = 0; pass < PASSES && m->out->k > 0; pass++) {
        pfx_par_for(n_blocks, m->o->nth, gram_block, m);
        memset(m->sum, 0, (size_t)size * sizeof *m->sum);
        for (pfx_idx b = 0; b < n_blocks; b++)
            for (pfx_idx i = 0; i < size; i++) m->sum[i] += m->gram[b * size + i];
        factor(m);
        pfx_par_for(n_blocks, m->o->nth, orthogonalise_block, m);
    }
    return PFX_OK;
}

static pfx_status make(maker *m, pfx_err *err)
{
    const pfx_placebo_rows_options *o = m->o;
    const pfx_absorb_options ao = {.tol = o->tol, .maxiter = o->maxiter, .nth = o->nth, .isa = o->isa};
    pfx_status st = pfx_absorber_create(m->d, &ao, &m->a, err);
    if (st == PFX_OK) st = pfx_solve_create(m->d, m->a, o->nth, o->isa, &m->s, err);
    if (st == PFX_OK) st = pfx_clusterstat_check_kept(m->d, m->s, o->n_drawn, err);
    if (st != PFX_OK) return st;
    m->out->k = m->s->k - o->n_drawn;
    m->out->stride = m->out->k + 2;
    if ((st = take_rows(m, err)) == PFX_OK) st = orthogonalise(m, err);
    return st;
}

pfx_status pfx_placebo_rows_create(const pfx_design *d, const pfx_placebo_rows_options *o,
                                   pfx_placebo_rows **out, pfx_err *err)
{
    pfx_design numbered = *d; /* its rows numbered, to find them when the absorber has sorted its own */
    maker m = {.o = o, .w = d->w};
    pfx_status st = PFX_ENOMEM;
    numbered.row = pfx_mem_alloc(d->n, sizeof *numbered.row, err);
    m.out = pfx_mem_calloc(1, sizeof *m.out, err);
    if (!numbered.row || !m.out) goto done;
    for (pfx_idx i = 0; i < d->n; i++) numbered.row[i] = i;
    m.out->n = d->n;
    if ((st = make_design(&m, &numbered, err)) == PFX_OK) st = make(&m, err);
done:
    pfx_solve_free(m.s);
    pfx_absorber_free(m.a);
    pfx_design_free(m.d);
    pfx_mem_free(numbered.row);
    pfx_mem_free(m.buf);
    pfx_mem_free(m.gram);
    pfx_mem_free(m.sum);
    if (st == PFX_OK)
        *out = m.out;
    else
        pfx_placebo_rows_free(m.out);
    return st;
}

void pfx_placebo_rows_free(pfx_placebo_rows *r)
{
    if (!r) return;
    pfx_mem_free(r->Q);
    pfx_mem_free(r->level);
    pfx_mem_free(r->weight);
    pfx_mem_free(r);
}
