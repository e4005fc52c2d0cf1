/* Passes over all rows: blocks are projected into a buffer that stays in cache, kernels take sums from it, sums are
 * kept for fixed groups of blocks, a wave of groups at a time, and added in their order. */
#include <string.h>
#include "kernels/demean.h"
#include "kernels/gram.h"
#include "kernels/moments.h"
#include "kernels/project.h"
#include "kernels/score.h"
#include "kernels/within.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/est/absorb_internal.h"
#include "src/est/absorb_scatter.h"
#include "src/model/design.h"

#define ADD_CHUNK 4096      /* elements of the groups' sums that one thread adds up at a time */
/* Groups of a wave: enough for any number of threads, as many as fit SUM_BYTES. Results do not depend on it. */
#define MAX_WAVE 512
#define MIN_WAVE 8
#define SUM_BYTES (32 << 20)
#define LARGE_SHARE 4       /* tables of large effects: less of it */

static const double *weights_from(const pfx_absorber *a, pfx_idx row) { return a->d->w ? a->d->w + row : NULL; }

static const double *rows_of(const pfx_absorber *a, const pfx_absorb_view *v) { return v->X ? v->X + a->row0 * v->p : a->d->Z; }

/* Doubles in whole lines of the cache. */
static pfx_idx whole_lines(pfx_idx n) { return (n + 7) / 8 * 8; }

static pfx_idx block_rows(const pfx_absorber *a, pfx_idx b) { return a->block_row[b + 1] - a->block_row[b]; }

/* Levels of a block of whole levels. */
static pfx_idx block_levels(const pfx_absorber *a, pfx_idx b)
{
    return a->n_levels > 0 ? a->block_level[b + 1] - a->block_level[b] : 0;
}

/* What differences of a long level are taken from: its first row. */
static const double *long_reference(const pfx_absorber *a, const pfx_absorb_view *v, pfx_idx b)
{
    return a->constant ? v->origin : rows_of(a, v) + a->start[a->block_level[b]] * v->p;
}

/* Tables of the other effects from row on. */
static int tables_from(const pfx_absorber *a, const pfx_absorb_view *v, pfx_idx row, pfx_k_table *t)
{
    if (!v->gamma) return 0;
    for (int e = 0; e < a->n_rest; e++) {
        const pfx_schur_block *r = &a->rest[e];
        t[e] = (pfx_k_table){r->code + row, r->value ? r->value + row : NULL, v->ld, v->gamma + r->col0 * v->ld, false};
    }
    return a->n_rest;
}

void pfx_absorb_fill(const pfx_absorber *a, const pfx_absorb_view *v, pfx_idx b, pfx_idx ldo, double *out, double *mean)
{
    pfx_idx row = a->block_row[b], n = block_rows(a, b);
    const double *X = rows_of(a, v) + row * v->p, *w = weights_from(a, row);
    pfx_k_table t[PFX_ABSORB_MAX_REST];
    int nt = tables_from(a, v, row, t);
    const pfx_idx *start = a->n_levels > 0 ? a->start + a->block_level[b] : NULL;

    if (a->block_long[b] >= 0) {
        const double *first = long_reference(a, v, b);
        pfx_k_shift(a->opt.isa, n, v->p, v->p, X, first, v->long_mean + a->block_long[b] * v->ld, nt, t, ldo, out);
    } else if (a->mean)
        pfx_k_demean(a->opt.isa, block_levels(a, b), start, v->p, v->p, X, w, nt, t, ldo, out, NULL, v->origin, mean);
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
    const double *w = weights_from(a, row), *first = long_reference(a, v, b);
    double *sum = c->sum + b * (v->ld + 1), weight = 0.0;
    pfx_k_table t[PFX_ABSORB_MAX_REST];
    int nt = tables_from(a, v, row, t);

    pfx_k_shift(a->opt.isa, n, v->p, v->p, rows_of(a, v) + row * v->p, first, NULL, nt, t, v->ld, c->buf[thread]);
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

/* The pieces of one window, in order. */
static pfx_status add_long_window(long_pass *c, double *weight, pfx_err *err)
{
    const pfx_absorber *a = c->a;
    const pfx_absorb_view *v = c->v;
    pfx_idx ld = v->ld;
    pfx_status st = PFX_ENOMEM;

    if (!(c->sum = pfx_mem_calloc(a->n_blocks * (ld + 1), sizeof *c->sum, err)) ||
        !(c->buf = make_buffers(a->opt.nth, a->max_rows * ld, err)))
        goto done;
    pfx_par_for(a->n_blocks, a->opt.nth, long_block, c);
    for (pfx_idx b = 0; b < a->n_blocks; b++) {
        if (a->block_long[b] < 0) continue;
        for (int k = 0; k < v->p; k++) v->long_mean[a->block_long[b] * ld + k] += c->sum[b * (ld + 1) + k];
        weight[a->block_long[b]] += c->sum[b * (ld + 1) + ld];
    }
    st = PFX_OK;
done:
    free_buffers(a->opt.nth, c->buf);
    pfx_mem_free(c->sum);
    return st;
}

pfx_status pfx_absorb_long_means(pfx_absorber *a, const pfx_absorb_view *v, pfx_err *err)
{
    const pfx_idx n_long = a->n_long;
    bool more = true;

    if (n_long == 0) return PFX_OK;
    double *weight = pfx_mem_calloc(n_long, sizeof *weight, err);
    if (!weight) return PFX_ENOMEM;
    memset(v->long_mean, 0, (size_t)(n_long * v->ld) * sizeof *v->long_mean);
    pfx_status st = pfx_absorber_rewind(a, err);
    while (st == PFX_OK && (st = pfx_absorber_next(a, &more, err)) == PFX_OK && more) {
        long_pass c = {.a = a, .v = v};
        st = add_long_window(&c, weight, err);
    }
    for (pfx_idx l = 0; st == PFX_OK && l < n_long; l++)
        for (int k = 0; k < v->p; k++) v->long_mean[l * v->ld + k] /= weight[l];
    pfx_mem_free(weight);
    return st;
}

/* --- cross-products --- */

typedef struct sum_pass {
    const pfx_absorber *a;
    const pfx_absorb_view *v;
    bool want_C, want_moments, one_sweep;
    bool join;              /* the mean of all rows is found on the way */
    bool large;             /* C has many columns: groups keep tables of those that they meet */
    pfx_absorb_scatter *scatter;    /* these tables, */
    pfx_idx scatter_groups;         /* of so many groups */
    double *C;              /* [q x ld] their total */
    pfx_idx at_C;           /* where C begins after gram: on a line of the cache, as its rows do */
    pfx_idx n, stride;      /* doubles of gram and a C that is not large; and of weight, mean, centred with them */
    double *total;          /* [stride] */
    pfx_idx cap_wave, wave, group0; /* groups of a wave: at most, now, and the first */
    double *part;           /* [cap_wave x stride] */
    pfx_idx cap_rows;       /* of the buffers */
    double **buf, **mean;   /* [nth] a block's rows; its level means, then their weights */
    pfx_schur *count;       /* is told the levels' sets of columns on the way, or NULL */
    uint64_t *mask;         /* [nth x cap_rows] those of a block */
    bool *left;             /* [n_groups] groups with levels that it did not take */
} sum_pass;

/* Means are measured from the first row of all, so that a large common level costs no digits.
 * Mean and sum of squares about it of one more piece (weight, mean, m2) joined to what is there; mean1 becomes the
 * difference of the means. Chan, Golub, LeVeque (1983). */
static void join_moments(int p, double *weight, double *mean, double *m2, double w1, double *mean1, const double *m21)
{
    double f = pfx_absorb_join_means(p, weight, mean, w1, mean1);
    for (int k = 0; k < p; k++) m2[k] += m21[k] + mean1[k] * mean1[k] * f;
}

/* Every block holds whole levels, and their means are all that is taken off within them. */
static bool level_means_alone(const pfx_absorber *a) { return a->mean && a->n_basis == 0 && a->n_long == 0; }

/* Then the means are known anyway and moments are taken between the levels; what varies within them is the diagonal of
 * the Gram matrix. */
static bool moments_between(const pfx_absorber *a) { return level_means_alone(a); }

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
        total = pfx_k_moments(a->opt.isa, block_rows(a, b), v->p, v->p, rows_of(a, v) + row * v->p, weights_from(a, row), v->origin,
                              mean, m2);
    join_moments(v->p, mom, mom + 1, mom + 1 + v->ld, total, mean, m2);
}

/* Level means alone, and no more than the sums over one effect beside the products: one sweep over the rows as they
 * are. */
static bool in_one_sweep(const pfx_absorber *a, const pfx_absorb_view *v, bool want_C)
{
    return level_means_alone(a) && !v->gamma && (!want_C || (a->n_rest == 1 && !a->rest[0].value));
}

static void sweep_block(const sum_pass *c, pfx_idx b, int thread, pfx_idx group, double *part)
{
    const pfx_absorber *a = c->a;
    const pfx_absorb_view *v = c->v;
    pfx_idx row = a->block_row[b], ld = v->ld;
    double *lm = c->mean[thread];
    uint64_t *mask = c->mask + thread * c->cap_rows;
    const pfx_k_sums sums = {c->want_C ? a->rest[0].code + row : NULL, ld, part + c->at_C, a->q * ld > PFX_ABSORB_WIDE};
    const pfx_k_within_args k = {
        .n_levels = block_levels(a, b), .start = a->start + a->block_level[b], .p = v->p, .ld = v->p,
        .X = rows_of(a, v) + row * v->p, .w = weights_from(a, row), .sums = c->want_C ? &sums : NULL,
        .mask = c->count ? mask : NULL, .origin = c->want_moments ? v->origin : NULL, .ldm = ld,
        .mean = c->want_moments ? lm : NULL, .ldb = ld, .buf = c->buf[thread], .A = part};

    pfx_k_within(a->opt.isa, &k);
    if (c->want_moments) add_moments(a, v, b, lm, lm + c->cap_rows * ld, part + c->n);
    if (c->count && !pfx_schur_count(c->count, thread, k.n_levels, mask)) c->left[group] = true;
}

/* Rows of one block to the tables of a group. A level that lies in one column of an effect adds nothing to it: its
 * demeaned rows sum to zero. */
static void scatter_block(const sum_pass *c, pfx_idx g, int thread, pfx_idx b, int e, const double *buf)
{
    const pfx_absorber *a = c->a;
    const pfx_schur_block *x = &a->rest[e];
    pfx_idx row = a->block_row[b], r0 = row, end = row + block_rows(a, b);
    bool skip = a->mean && !x->value && a->block_long[b] < 0;

    for (pfx_idx l = a->n_levels > 0 ? a->block_level[b] : 0; r0 < end;) {
        pfx_idx r1 = end, next = end;
        for (; skip && l < a->block_level[b + 1]; l++) {
            pfx_idx r = a->start[l] + 1;
            while (r < a->start[l + 1] && x->code[r] == x->code[r - 1]) r++;
            if (r < a->start[l + 1]) continue;
            r1 = a->start[l], next = a->start[++l];
            break;
        }
        if (r1 > r0)
            pfx_absorb_scatter_add(c->scatter, g, thread, r1 - r0, x->code + r0, x->col0, x->value ? x->value + r0 : NULL,
                                   a->d->w ? a->d->w + r0 : NULL, buf + (r0 - row) * c->v->ld);
        r0 = next;
    }
}

static void sum_block(const sum_pass *c, pfx_idx g, int thread, pfx_idx b, double *part)
{
    const pfx_absorber *a = c->a;
    const pfx_absorb_view *v = c->v;
    pfx_idx row = a->block_row[b], n = block_rows(a, b);
    const double *w = weights_from(a, row);
    double *C = part + c->at_C, *buf = c->buf[thread];
    double *lm = c->want_moments && moments_between(a) ? c->mean[thread] : NULL;

    pfx_absorb_fill(a, v, b, v->ld, buf, lm);
    if (c->want_moments) add_moments(a, v, b, lm, c->mean[thread] + c->cap_rows * v->ld, part + c->n);
    pfx_k_gram(a->opt.isa, n, v->p, v->ld, buf, w, part);
    for (int e = 0; c->want_C && e < a->n_rest; e++) {
        const pfx_schur_block *r = &a->rest[e];
        if (c->large) scatter_block(c, g, thread, b, e, buf);
        else pfx_k_scatter(a->opt.isa, n, v->p, v->ld, buf, r->value ? r->value + row : NULL, w, r->code + row, v->ld,
                      C + r->col0 * v->ld);
    }
}

static void join_block(const sum_pass *c, pfx_idx b, int thread, double *part)
{
    const pfx_absorber *a = c->a;
    const pfx_absorb_view *v = c->v;
    pfx_idx row = a->block_row[b];
    pfx_absorb_join_rows(a->opt.isa, block_rows(a, b), v, rows_of(a, v) + row * v->p, weights_from(a, row), c->buf[thread],
                         c->mean[thread], part, part + c->n);
}

static void sum_group(void *ctx, pfx_idx g, int thread)
{
    sum_pass *c = ctx;
    pfx_idx b0, b1, group = c->group0 + g;
    double *part = c->part + g * c->stride;

    memset(part, 0, (size_t)c->stride * sizeof *part);
    if (c->large) pfx_absorb_scatter_begin(c->scatter, g);
    pfx_absorber_group(c->a, group, &b0, &b1);
    for (pfx_idx b = b0; b < b1; b++)
        if (c->join) join_block(c, b, thread, part);
        else if (c->one_sweep) sweep_block(c, b, thread, group, part);
        else sum_block(c, g, thread, b, part);
}

/* What a group's mean differs from that of the groups before it, which stands there now, into its products. */
static void add_between(void *ctx, pfx_idx g, int thread)
{
    const sum_pass *c = ctx;
    double *part = c->part + g * c->stride, *mom = part + c->n;
    (void)thread;
    pfx_absorb_add_between(c->a->opt.isa, c->v->p, c->v->ld, mom[0], mom + 1, part);
}

/* Add the sums of the wave's groups onto the total, in order. */
static void add_chunk(void *ctx, pfx_idx chunk, int thread)
{
    sum_pass *c = ctx;
    pfx_idx i0 = chunk * ADD_CHUNK, i1 = i0 + ADD_CHUNK < c->n ? i0 + ADD_CHUNK : c->n;
    (void)thread;
    for (pfx_idx g = 0; g < c->wave; g++)
        for (pfx_idx i = i0; i < i1; i++) c->total[i] += c->part[g * c->stride + i];
}

static pfx_status sum_window(sum_pass *c, pfx_err *err)
{
    const pfx_absorber *a = c->a;
    const pfx_absorb_view *v = c->v;
    pfx_idx n_groups = pfx_absorber_n_groups(a), fit = SUM_BYTES / (8 * (c->stride + (c->large ? a->q * v->ld : 0)));

    if (c->large) fit /= LARGE_SHARE;
    fit = fit < MIN_WAVE ? MIN_WAVE : fit > MAX_WAVE ? MAX_WAVE : fit;
    const pfx_idx waves = (n_groups + fit - 1) / fit;   /* of the same length */
    fit = waves > 0 ? (n_groups + waves - 1) / waves : 0;
    if (fit > c->cap_wave) {
        pfx_mem_free(c->part);
        c->cap_wave = fit;
        if (!(c->part = pfx_mem_alloc(fit * c->stride, sizeof *c->part, err))) return PFX_ENOMEM;
    }
    if (c->large && fit > c->scatter_groups) {
        pfx_absorb_scatter_free(c->scatter);
        c->scatter_groups = fit;
        if (pfx_absorb_scatter_create(a->q, v->ld, fit, a->max_rows, a->opt.nth, a->opt.isa, &c->scatter, err) != PFX_OK)
            return PFX_ENOMEM;
    }
    if (a->max_rows > c->cap_rows) {
        free_buffers(a->opt.nth, c->buf), free_buffers(a->opt.nth, c->mean), pfx_mem_free(c->mask);
        c->mean = NULL, c->mask = NULL;
        c->cap_rows = a->max_rows;
        if (!(c->buf = make_buffers(a->opt.nth, a->max_rows * v->ld, err)) ||
            !(c->mean = make_buffers(a->opt.nth, c->want_moments ? a->max_rows * (v->ld + 1) : 0, err)) ||
            !(c->mask = pfx_mem_alloc(c->count ? a->opt.nth * a->max_rows : 0, sizeof *c->mask, err)))
            return PFX_ENOMEM;
    }
    pfx_mem_free(c->left);
    if (!(c->left = pfx_mem_calloc(c->count ? n_groups : 0, sizeof *c->left, err))) return PFX_ENOMEM;
    for (c->group0 = 0; c->group0 < n_groups; c->group0 += c->wave) {
        c->wave = n_groups - c->group0 < c->cap_wave ? n_groups - c->group0 : c->cap_wave;
        pfx_par_for(c->wave, a->opt.nth, sum_group, c);
        for (pfx_idx g = 0; c->want_moments && g < c->wave; g++) {
            double *mom = c->total + c->n;
            double *m = c->part + g * c->stride + c->n;
            if (c->join) m[0] = pfx_absorb_join_means(v->p, mom, mom + 1, m[0], m + 1);
            else join_moments(v->p, mom, mom + 1, mom + 1 + v->ld, m[0], m + 1, m + 1 + v->ld);
        }
        if (c->join) pfx_par_for(c->wave, a->opt.nth, add_between, c);
        pfx_par_for((c->n + ADD_CHUNK - 1) / ADD_CHUNK, a->opt.nth, add_chunk, c);
        if (c->large && pfx_absorb_scatter_flush(c->scatter, c->wave, c->C, err) != PFX_OK) return PFX_ENOMEM;
    }
    return PFX_OK;
}

/* The levels of the window that were not counted, to the Schur complement, in the same groups. */
static pfx_status add_schur(const sum_pass *c, pfx_schur *schur, pfx_err *err)
{
    const pfx_absorber *a = c->a;
    pfx_schur_spec spec = pfx_absorb_schur_spec(a);
    bool any = !c->count;

    for (pfx_idx g = 0; g < a->n_groups && !any; g++) any = c->left[g];
    if (!any) return PFX_OK;
    pfx_idx *group = pfx_mem_alloc(a->n_groups + 1, sizeof *group, err);
    if (!group) return PFX_ENOMEM;
    for (pfx_idx g = 0; g <= a->n_groups; g++) {
        pfx_idx b = g < a->n_groups ? g * a->group_blocks : a->n_blocks;
        group[g] = a->n_levels > 0 ? a->block_level[b] : a->block_row[b];
    }
    spec.n_groups = a->n_groups, spec.group = group, spec.left = c->count ? c->left : NULL;
    pfx_status st = pfx_schur_add(schur, &spec, err);
    pfx_mem_free(group);
    return st;
}

/* A sparse Schur complement is made of all rows at once: a stream shows their codes before its first window. */
static pfx_status add_whole(const pfx_absorber *a, pfx_schur *schur, pfx_err *err)
{
    pfx_schur_spec spec = pfx_absorb_schur_spec(a);
    const pfx_factor *f = &a->d->absorbed[a->first].factor;
    pfx_schur_block block[PFX_ABSORB_MAX_REST];
    pfx_idx *start = pfx_mem_alloc(f->n_levels + 1, sizeof *start, err);
    if (!start) return PFX_ENOMEM;
    for (pfx_idx r = 0, g = -1; r < a->d->n; r++)
        if (f->code[r] != g) start[g = f->code[r]] = r;
    start[f->n_levels] = a->d->n;
    for (int e = 0; e < a->n_rest; e++) {
        block[e] = a->rest[e];
        block[e].code = a->d->absorbed[a->rest_entry[e]].factor.code;
    }
    spec.n = a->d->n, spec.n_levels = f->n_levels, spec.start = start, spec.level = f->code, spec.block = block;
    pfx_status st = pfx_schur_add(schur, &spec, err);
    pfx_mem_free(start);
    return st;
}

static void give_sums(const sum_pass *c, pfx_absorb_sums *out)
{
    const pfx_absorber *a = c->a;
    int p = c->v->p;
    pfx_idx gram = (pfx_idx)p * p;

    memcpy(out->gram, c->total, (size_t)gram * sizeof *out->gram);
    pfx_k_mirror(p, out->gram);
    if (out->C && !c->large) memcpy(out->C, c->total + c->at_C, (size_t)(c->n - c->at_C) * sizeof *out->C);
    if (!out->mean) return;
    const double *mom = c->total + c->n;
    out->weight = mom[0];
    for (int k = 0; k < p; k++) out->mean[k] = c->v->origin[k] + mom[1 + k];
    memcpy(out->centred, mom + 1 + c->v->ld, (size_t)p * sizeof *out->centred);
    for (int k = 0; (c->join || moments_between(a)) && k < p; k++) out->centred[k] += out->gram[k * p + k];
    if (c->join) memcpy(c->v->long_mean, mom + 1, (size_t)p * sizeof *mom);
}

pfx_status pfx_absorb_pass(pfx_absorber *a, const pfx_absorb_view *v, pfx_absorb_sums *out, pfx_err *err)
{
    sum_pass c = {.a = a, .v = v, .want_C = out->C, .want_moments = out->mean};
    bool more = true;

    c.large = out->C && a->q > PFX_SCHUR_DENSE;
    if (c.large) memset(c.C = out->C, 0, (size_t)(a->q * v->ld) * sizeof *out->C);
    c.at_C = whole_lines((pfx_idx)v->p * v->p);
    c.n = c.at_C + (out->C && !c.large ? a->q * v->ld : 0);
    c.stride = whole_lines(c.n + 1 + 2 * v->ld);
    c.join = c.want_moments && pfx_absorb_joins(a);
    c.one_sweep = !c.large && in_one_sweep(a, v, c.want_C);
    const pfx_schur_spec spec = pfx_absorb_schur_spec(a);
    if (c.one_sweep && out->schur && pfx_schur_countable(&spec)) c.count = out->schur;
    c.total = pfx_mem_calloc(c.stride, sizeof *c.total, err);
    pfx_status st = c.total ? pfx_absorber_rewind(a, err) : PFX_ENOMEM;
    bool whole = st == PFX_OK && c.large && out->schur && a->d->stream;
    if (whole) st = add_whole(a, out->schur, err);
    while (st == PFX_OK && (st = pfx_absorber_next(a, &more, err)) == PFX_OK && more) {
        st = sum_window(&c, err);
        if (st != PFX_OK || !out->schur || whole) continue;
        pfx_absorb_scatter_free(c.scatter), c.scatter = NULL, c.scatter_groups = 0; /* make room */
        st = add_schur(&c, out->schur, err);
    }
    if (st == PFX_OK) give_sums(&c, out);
    free_buffers(a->opt.nth, c.buf), free_buffers(a->opt.nth, c.mean);
    pfx_absorb_scatter_free(c.scatter);
    pfx_mem_free(c.mask), pfx_mem_free(c.left), pfx_mem_free(c.part), pfx_mem_free(c.total);
    return st;
}

pfx_schur_spec pfx_absorb_schur_spec(const pfx_absorber *a)
{
    return (pfx_schur_spec){
        .n = a->n, .w = a->d->w, .n_levels = a->n_levels, .start = a->start, .level = a->level, .mean = a->mean,
        .n_basis = a->n_basis, .basis = a->basis, .n_blocks = a->n_rest, .block = a->rest, .q = a->q,
        .tol = a->opt.tol, .maxiter = a->opt.maxiter, .nth = a->opt.nth, .isa = a->opt.isa, .effects = a->effects};
}
