/* Passes over all rows: blocks are projected into a buffer that stays in cache, kernels take sums from it, sums are
 * kept for fixed groups of blocks and added in their order. */
#include <string.h>
#include "kernels/demean.h"
#include "kernels/gram.h"
#include "kernels/moments.h"
#include "kernels/project.h"
#include "kernels/score.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/est/absorb_internal.h"
#include "src/model/design.h"

#define ADD_CHUNK 4096      /* elements of the groups' sums that one thread adds up at a time */

static const double *weights_from(const pfx_absorber *a, pfx_idx row) { return a->d->w ? a->d->w + row : NULL; }

static pfx_idx block_rows(const pfx_absorber *a, pfx_idx b) { return a->block_row[b + 1] - a->block_row[b]; }

/* Levels of a block of whole levels. */
static pfx_idx block_levels(const pfx_absorber *a, pfx_idx b)
{
    if (a->n_levels == 0) return 0;
    pfx_idx end = b + 1 < a->n_blocks ? a->block_level[b + 1] : a->n_levels;
    return end - a->block_level[b];
}

/* Tables of the other effects from row on. */
static int tables_from(const pfx_absorber *a, const pfx_absorb_view *v, pfx_idx row, pfx_k_table *t)
{
    if (!v->gamma) return 0;
    for (int e = 0; e < a->n_rest; e++) {
        const pfx_schur_block *r = &a->rest[e];
        t[e] = (pfx_k_table){r->code + row, r->value ? r->value + row : NULL, v->ld, v->gamma + r->col0 * v->ld};
    }
    return a->n_rest;
}

void pfx_absorb_fill(const pfx_absorber *a, const pfx_absorb_view *v, pfx_idx b, pfx_idx ldo, double *out, double *mean)
{
    pfx_idx row = a->block_row[b], n = block_rows(a, b);
    const double *X = v->X + row * v->p, *w = weights_from(a, row);
    pfx_k_table t[PFX_ABSORB_MAX_REST];
    int nt = tables_from(a, v, row, t);
    const pfx_idx *start = a->n_levels > 0 ? a->start + a->block_level[b] : NULL;

    if (a->block_long[b] >= 0) {
        const double *first = v->X + start[0] * v->p;
        pfx_k_shift(a->opt.isa, n, v->p, v->p, X, first, v->long_mean + a->block_long[b] * v->ld, nt, t, ldo, out);
    } else if (a->mean)
        pfx_k_demean(a->opt.isa, block_levels(a, b), start, v->p, v->p, X, w, nt, t, ldo, out, v->X, mean);
    else pfx_k_shift(a->opt.isa, n, v->p, v->p, X, NULL, NULL, nt, t, ldo, out);

    for (int pass = 0; pass < 2; pass++)    /* twice is enough (Giraud et al. 2005) */
        for (int k = 0; k < a->n_basis; k++)
            pfx_k_project(a->opt.isa, block_levels(a, b), start, v->p, ldo, out, a->basis[k] + row, w);
}

/* --- means of long levels --- */

typedef struct long_pass {
    const pfx_absorber *a;
    const pfx_absorb_view *v;
    double **buf;           /* [nth][max_rows x ld] */
    double *sum;            /* [n_blocks x (ld + 1)] sums and weight of each piece */
} long_pass;

static void long_block(void *ctx, pfx_idx b, int thread)
{
    long_pass *c = ctx;
    const pfx_absorber *a = c->a;
    const pfx_absorb_view *v = c->v;
    if (a->block_long[b] < 0) return;

    pfx_idx row = a->block_row[b], n = block_rows(a, b), span[2] = {0, n};
    const double *w = weights_from(a, row), *first = v->X + a->start[a->block_level[b]] * v->p;
    double *sum = c->sum + b * (v->ld + 1), weight = 0.0;
    pfx_k_table t[PFX_ABSORB_MAX_REST];
    int nt = tables_from(a, v, row, t);

    pfx_k_shift(a->opt.isa, n, v->p, v->p, v->X + row * v->p, first, NULL, nt, t, v->ld, c->buf[thread]);
    pfx_k_score(a->opt.isa, 1, span, v->p, v->ld, c->buf[thread], NULL, w, v->ld, sum);
    for (pfx_idx r = 0; r < n; r++) weight += w ? w[r] : 1.0;
    sum[v->ld] = weight;
}

static void free_buffers(int nth, double **buf)
{
    for (int t = 0; buf && t < nth; t++) pfx_mem_free(buf[t]);
    pfx_mem_free(buf);
}

static double **make_buffers(int nth, pfx_idx n, pfx_err *err)
{
    double **buf = pfx_mem_calloc(nth, sizeof *buf, err);
    for (int t = 0; buf && t < nth; t++)
        if (!(buf[t] = pfx_mem_calloc(n, sizeof **buf, err))) {
            free_buffers(nth, buf);
            return NULL;
        }
    return buf;
}

pfx_status pfx_absorb_long_means(const pfx_absorber *a, const pfx_absorb_view *v, pfx_err *err)
{
    if (a->n_long == 0) return PFX_OK;
    pfx_idx ld = v->ld;
    long_pass c = {.a = a, .v = v};
    pfx_status st = PFX_ENOMEM;
    double *weight = pfx_mem_calloc(a->n_long, sizeof *weight, err);

    if (!weight || !(c.sum = pfx_mem_calloc(a->n_blocks * (ld + 1), sizeof *c.sum, err)) ||
        !(c.buf = make_buffers(a->opt.nth, a->max_rows * ld, err)))
        goto done;
    pfx_par_for(a->n_blocks, a->opt.nth, long_block, &c);
    memset(v->long_mean, 0, (size_t)(a->n_long * ld) * sizeof *v->long_mean);
    for (pfx_idx b = 0; b < a->n_blocks; b++) {
        if (a->block_long[b] < 0) continue;
        for (int k = 0; k < v->p; k++) v->long_mean[a->block_long[b] * ld + k] += c.sum[b * (ld + 1) + k];
        weight[a->block_long[b]] += c.sum[b * (ld + 1) + ld];
    }
    for (pfx_idx l = 0; l < a->n_long; l++)
        for (int k = 0; k < v->p; k++) v->long_mean[l * ld + k] /= weight[l];
    st = PFX_OK;
done:
    free_buffers(a->opt.nth, c.buf);
    pfx_mem_free(weight), pfx_mem_free(c.sum);
    return st;
}

/* --- cross-products --- */

typedef struct sum_pass {
    const pfx_absorber *a;
    const pfx_absorb_view *v;
    bool want_C, want_moments;
    pfx_idx stride;         /* doubles of one group: gram, C, weight, mean, centred */
    double *part;           /* [n_groups x stride] */
    double **buf, **mean;   /* [nth] a block's rows; its level means, then their weights */
} sum_pass;

/* Means are measured from the first row of all, so that a large common level costs no digits.
 * Mean and sum of squares about it of one more piece (weight, mean, m2) joined to what is there.
 * Chan, Golub, LeVeque (1983). */
static void join_moments(int p, double *weight, double *mean, double *m2, double w1, const double *mean1,
                         const double *m21)
{
    double w0 = *weight, w = w0 + w1;
    for (int k = 0; k < p; k++) {
        double d = mean1[k] - mean[k];
        mean[k] += d * (w1 / w);
        m2[k] += m21[k] + d * d * (w0 * w1 / w);
    }
    *weight = w;
}

/* Where every block holds whole levels and their means are known anyway, moments are taken between the levels; what
 * varies within them is the diagonal of the Gram matrix. */
static bool moments_between(const pfx_absorber *a) { return a->mean && a->n_basis == 0 && a->n_long == 0; }

/* Total weight of each level of a block. */
static void level_weights(const pfx_absorber *a, pfx_idx b, double *out)
{
    const pfx_idx *start = a->start + a->block_level[b];
    for (pfx_idx g = 0; g < block_levels(a, b); g++) {
        out[g] = a->d->w ? 0.0 : (double)(start[g + 1] - start[g]);
        for (pfx_idx r = start[g]; a->d->w && r < start[g + 1]; r++) out[g] += a->d->w[r];
    }
}

/* Join a block's moments: of its level means lm [levels x ld], or, NULL, of its rows. */
static void add_moments(const pfx_absorber *a, const pfx_absorb_view *v, pfx_idx b, const double *lm, double *wl,
                        double *mom)
{
    pfx_idx row = a->block_row[b];
    double mean[v->ld], m2[v->ld], total;

    if (lm) {
        level_weights(a, b, wl);
        total = pfx_k_moments(a->opt.isa, block_levels(a, b), v->p, v->ld, lm, wl, NULL, mean, m2);
    } else
        total = pfx_k_moments(a->opt.isa, block_rows(a, b), v->p, v->p, v->X + row * v->p, weights_from(a, row), v->X,
                              mean, m2);
    join_moments(v->p, mom, mom + 1, mom + 1 + v->ld, total, mean, m2);
}

static void sum_block(const sum_pass *c, pfx_idx b, double *buf, double *lm, double *part)
{
    const pfx_absorber *a = c->a;
    const pfx_absorb_view *v = c->v;
    pfx_idx row = a->block_row[b], n = block_rows(a, b), gram = (pfx_idx)v->p * v->p;
    const double *w = weights_from(a, row);
    double *C = part + gram, *mom = C + (c->want_C ? a->q * v->ld : 0);
    bool between = c->want_moments && moments_between(a);

    pfx_absorb_fill(a, v, b, v->ld, buf, between ? lm : NULL);
    if (c->want_moments) add_moments(a, v, b, between ? lm : NULL, lm + a->max_rows * v->ld, mom);
    pfx_k_gram(a->opt.isa, n, v->p, v->ld, buf, w, part);
    for (int e = 0; c->want_C && e < a->n_rest; e++) {
        const pfx_schur_block *r = &a->rest[e];
        pfx_k_scatter(a->opt.isa, n, v->p, v->ld, buf, r->value ? r->value + row : NULL, w, r->code + row, v->ld,
                      C + r->col0 * v->ld);
    }
}

static void sum_group(void *ctx, pfx_idx g, int thread)
{
    sum_pass *c = ctx;
    const pfx_absorber *a = c->a;
    double *part = c->part + g * c->stride;

    memset(part, 0, (size_t)c->stride * sizeof *part);
    for (pfx_idx b = a->n_blocks * g / a->n_groups; b < a->n_blocks * (g + 1) / a->n_groups; b++)
        sum_block(c, b, c->buf[thread], c->mean[thread], part);
}

/* Add the groups' sums onto the first group's, in order. */
static void add_chunk(void *ctx, pfx_idx chunk, int thread)
{
    sum_pass *c = ctx;
    pfx_idx n = (pfx_idx)c->v->p * c->v->p + (c->want_C ? c->a->q * c->v->ld : 0);
    pfx_idx i0 = chunk * ADD_CHUNK, i1 = i0 + ADD_CHUNK < n ? i0 + ADD_CHUNK : n;
    (void)thread;
    for (pfx_idx g = 1; g < c->a->n_groups; g++)
        for (pfx_idx i = i0; i < i1; i++) c->part[i] += c->part[g * c->stride + i];
}

pfx_status pfx_absorb_pass(const pfx_absorber *a, const pfx_absorb_view *v, pfx_absorb_sums *out, pfx_err *err)
{
    pfx_status st = PFX_ENOMEM;
    pfx_idx gram = (pfx_idx)v->p * v->p, n = gram + (out->C ? a->q * v->ld : 0);
    sum_pass c = {.a = a, .v = v, .want_C = out->C, .want_moments = out->mean, .stride = n + 1 + 2 * v->ld};
    pfx_idx groups = a->n_groups > 0 ? a->n_groups : 1;

    if (!(c.part = pfx_mem_alloc(groups * c.stride, sizeof *c.part, err)) ||
        !(c.buf = make_buffers(a->opt.nth, a->max_rows * v->ld, err)) ||
        !(c.mean = make_buffers(a->opt.nth, c.want_moments ? a->max_rows * (v->ld + 1) : 0, err)))
        goto done;
    memset(c.part, 0, (size_t)c.stride * sizeof *c.part);
    pfx_par_for(a->n_groups, a->opt.nth, sum_group, &c);
    if (out->mean) {
        double *mom = c.part + n;
        for (pfx_idx g = 1; g < a->n_groups; g++) {
            const double *m = c.part + g * c.stride + n;
            join_moments(v->p, mom, mom + 1, mom + 1 + v->ld, m[0], m + 1, m + 1 + v->ld);
        }
        out->weight = mom[0];
        for (int k = 0; k < v->p; k++) out->mean[k] = v->X[k] + mom[1 + k];
        memcpy(out->centred, mom + 1 + v->ld, (size_t)v->p * sizeof *out->centred);
    }
    pfx_par_for((n + ADD_CHUNK - 1) / ADD_CHUNK, a->opt.nth, add_chunk, &c);
    memcpy(out->gram, c.part, (size_t)gram * sizeof *out->gram);
    pfx_k_mirror(v->p, out->gram);
    for (int k = 0; out->mean && moments_between(a) && k < v->p; k++) out->centred[k] += out->gram[k * v->p + k];
    if (out->C) memcpy(out->C, c.part + gram, (size_t)(a->q * v->ld) * sizeof *out->C);
    st = PFX_OK;
done:
    free_buffers(a->opt.nth, c.buf), free_buffers(a->opt.nth, c.mean);
    pfx_mem_free(c.part);
    return st;
}
