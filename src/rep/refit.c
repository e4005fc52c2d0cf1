#include "src/rep/refit.h"

#include <string.h>

#include "kernels/gram.h"
#include "src/base/mem.h"
#include "src/model/design.h"
#include "src/rep/refit_private.h"

enum { ROWS = PFX_REFIT_ROWS };
/* Steps that plain iteration, and iteration with the full sample's factor, take: what the choice of the way
 * weighs. */
static const double PLAIN_STEPS = 200, ONCE_STEPS = 20;
/* Entries of a factor beyond which it is not made: 0.8 GB. */
static const double MAX_ENTRIES = 1e8;

pfx_refit_work pfx_refit_lay_out(const pfx_refit *f, void *scratch)
{
    pfx_refit_work w = {0};
    pfx_idx at = 0, q = f->q, block = q * f->ld, p = f->p, most = p > f->in.columns ? p : f->in.columns;
    pfx_idx rows = ROWS + f->max_rows,
            entries = f->factor && f->way == PFX_REFIT_ANEW && !f->in.columns ? f->factor->entries : 0;
    bool iterates = f->way != PFX_REFIT_ANEW;
#define TAKE(field, n) w.field = scratch ? (void *)((char *)scratch + at) : NULL, at += ((n) + 7) / 8 * 64
    TAKE(v, f->n);
    TAKE(u, f->n_entries);
    TAKE(total, f->n_levels);
    TAKE(val, f->S.ptr[q]);
    TAKE(L, entries);
    TAKE(inv, q);
    TAKE(floor, q);
    TAKE(row, q);
    TAKE(mark, q);
    TAKE(next, q);
    TAKE(C, block);
    TAKE(R, block);
    TAKE(P, iterates ? block : 0);
    TAKE(Y, iterates ? block : 0);
    TAKE(G, (f->in.slots > 0 ? f->in.slots : 1) * block);
    TAKE(a, q);
    TAKE(e, q);
    TAKE(buf, rows * p);
    TAKE(bufw, rows);
    TAKE(x, f->max_rows);
    TAKE(y, f->max_rows);
    TAKE(score, f->G);
    TAKE(gram, p * p);
    TAKE(mean, most);
    TAKE(cg, 6 * f->ld);
#undef TAKE
    w.bytes = at;
    return w;
}

pfx_idx pfx_refit_scratch(const pfx_refit *f)
{
    return pfx_refit_lay_out(f, NULL).bytes;
}

/* The way that takes least: a factor in each replicate, the full sample's factor, or none. They differ in
 * last bits, so the choice is by the panel alone, never by memory or threads. */
static pfx_status choose_way(pfx_refit *f, pfx_err *err)
{
    double rhs = (double)f->ld, nnz = (double)f->S.ptr[f->q];
    pfx_status st = pfx_sparse_symbolic(&f->S, (pfx_idx)MAX_ENTRIES, &f->factor, err);
    f->way = PFX_REFIT_PLAIN;
    if (st != PFX_OK || !f->factor) return st;
    double solve = 2 * (double)f->factor->entries * rhs, anew = f->factor->flops + solve;
    double once = ONCE_STEPS * (nnz * rhs + solve), plain = PLAIN_STEPS * nnz * rhs;
    f->way = anew <= once && anew <= plain ? PFX_REFIT_ANEW
             : once <= plain               ? PFX_REFIT_ONCE
                                           : PFX_REFIT_PLAIN;
    if (f->in.way) f->way = (pfx_refit_way)(f->in.way - 1);
    if (f->way != PFX_REFIT_PLAIN) return PFX_OK;
    pfx_sparse_factor_free(f->factor);
    f->factor = NULL;
    return PFX_OK;
}

static pfx_status check_bytes(const pfx_refit *f, pfx_err *err)
{
    double bytes = (double)pfx_refit_scratch(f) * f->in.nth + (double)f->n * 8 * (f->p + 3) +
                   (double)f->S.ptr[f->q] * 12 + (f->factor ? 16.0 * (double)f->factor->entries : 0);
    if (f->in.max_bytes <= 0 || bytes <= f->in.max_bytes) return PFX_OK;
    return pfx_fail(
        err, PFX_ENOMEM,
        "effects cross the clusters: refits of %lld rows and %lld levels on %d threads need %.0f MiB, more "
        "than --memory leaves (%.0f); give more, or fewer --threads",
        (long long)f->n, (long long)f->q, f->in.nth, bytes / 0x1p20, f->in.max_bytes / 0x1p20);
}

pfx_status pfx_refit_create(const pfx_refit_in *in, pfx_refit **out, pfx_err *err)
{
    int most = in->p > in->columns ? in->p : in->columns;
    pfx_refit *f = pfx_mem_calloc(1, sizeof *f, err);
    *out = NULL;
    if (!f) return PFX_ENOMEM;
    f->in = *in;
    f->p = in->p;
    f->ld = (most + 7) / 8 * 8;
    pfx_status st = pfx_refit_rows(f, err);
    if (st == PFX_OK) st = choose_way(f, err);
    if (st == PFX_OK) st = check_bytes(f, err);
    if (st == PFX_OK && (in->columns || f->way == PFX_REFIT_ONCE)) st = pfx_refit_full(f, err);
    if (st == PFX_OK)
        *out = f;
    else
        pfx_refit_free(f);
    return st;
}

void pfx_refit_free(pfx_refit *f)
{
    if (!f) return;
    void *const part[] = {f->row,      f->level,     f->cluster,     f->w,         f->Q,
                          f->entry,    f->entry_col, f->entry_level, f->row_entry, f->col_entry,
                          f->of_entry, f->col_row,   f->of_row,      f->of_rest,   f->S.ptr,
                          f->S.col,    f->L0,        f->inv0,        f->val0,      f->diag0};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) pfx_mem_free(part[i]);
    for (int e = 0; e < f->n_rest; e++) {
        pfx_mem_free(f->col[e]);
        pfx_mem_free(f->value[e]);
    }
    pfx_sparse_factor_free(f->factor);
    pfx_mem_free(f);
}

const char *pfx_refit_route(const pfx_refit *f)
{
    static const char *const names[] = {"cholesky", "pcg-cholesky", "pcg"};
    return names[f->way];
}

bool pfx_refit_nested(const pfx_refit *f)
{
    return f->nested;
}

pfx_idx pfx_refit_columns(const pfx_refit *f)
{
    return f->q;
}

const pfx_idx *pfx_refit_row(const pfx_refit *f)
{
    return f->row;
}

/* ---- one replicate ---- */

/* Rows of one level less its weighted means, to `to`. Where it is nested they have none. */
static const double *centre(const pfx_refit *f, const pfx_refit_work *w, pfx_idx l, double *to)
{
    int p = f->p;
    pfx_idx r0 = f->level[l], n = f->level[l + 1] - r0;
    if (f->nested) return f->Q + r0 * p;
    memcpy(to, f->Q + r0 * p, (size_t)(n * p) * sizeof *to);
    memset(w->mean, 0, (size_t)p * sizeof *w->mean);
    for (pfx_idx i = 0; i < n; i++)
        for (int j = 0; j < p; j++) w->mean[j] += w->v[r0 + i] * to[i * p + j];
    for (int j = 0; j < p; j++) w->mean[j] /= w->total[l];
    for (pfx_idx i = 0; i < n; i++)
        for (int j = 0; j < p; j++) to[i * p + j] -= w->mean[j];
    return to;
}

/* C = B'WMQ, and, where cluster statistics do not have it, the Gram matrix of MQ. */
static void sum_rows(const pfx_refit *f, const pfx_refit_work *w)
{
    int p = f->p;
    pfx_idx held = 0, ld = f->ld;
    memset(w->C, 0, (size_t)(f->q * ld) * sizeof *w->C);
    memset(w->gram, 0, (size_t)(p * p) * sizeof *w->gram);
    for (pfx_idx l = 0; l < f->n_levels; l++) {
        pfx_idx r0 = f->level[l], n = f->level[l + 1] - r0;
        double *to = w->buf + held * p;
        if (w->total[l] > 0) {
            const double *from = centre(f, w, l, to);
            for (pfx_idx i = 0; i < n; i++)
                for (int e = 0; e < f->n_rest; e++) {
                    double x = w->v[r0 + i] * pfx_refit_value(f, e, r0 + i),
                           *c = w->C + f->col[e][r0 + i] * ld;
                    for (int j = 0; j < p; j++) c[j] += x * from[i * p + j];
                }
            memcpy(w->bufw + held, w->v + r0, (size_t)n * sizeof *w->bufw);
            if (!f->nested) held += n;
        }
        if (held >= ROWS || (l + 1 == f->n_levels && held > 0)) {
            pfx_k_gram(f->in.isa, held, p, p, w->buf, w->bufw, w->gram);
            held = 0;
        }
    }
}

/* A - C'G - G'R, entry by entry of its lower triangle. */
static void take_off(const pfx_refit *f, const pfx_refit_work *w, const double *G, pfx_idx stride, double *A)
{
    int p = f->p;
    memset(w->gram, 0, (size_t)(p * p) * sizeof *w->gram);
    for (pfx_idx t = 0; t < f->q; t++) {
        const double *c = w->C + t * f->ld, *g = G + t * f->ld, *r = w->R + t * f->ld;
        for (int i = 0; i < p; i++)
            for (int j = 0; j <= i; j++) w->gram[i * p + j] += c[i] * g[j] + g[i] * r[j];
    }
    for (int i = 0, at = 0; i < p; i++)
        for (int j = 0; j <= i; j++, at++) A[at * stride] -= w->gram[i * p + j];
}

static void clear_column(int p, int k, pfx_idx stride, double *A)
{
    for (int i = 0, at = 0; i < p; i++)
        for (int j = 0; j <= i; j++, at++)
            if (i == k || j == k) A[at * stride] = 0;
}

bool pfx_refit_products(const pfx_refit *f, int slot, const double *weight, void *scratch, pfx_idx stride,
                        double *A)
{
    const pfx_refit_work w = pfx_refit_lay_out(f, scratch);
    double *G = w.G + slot * f->q * f->ld;
    int p = f->p;
    for (pfx_idx r = 0; r < f->n; r++) w.v[r] = weight[f->cluster[r]] * (f->w ? f->w[r] : 1);
    pfx_refit_assemble(f, &w);
    sum_rows(f, &w);
    for (int i = 0, at = 0; i < p && !f->nested; i++)
        for (int j = 0; j <= i; j++, at++) A[at * stride] = w.gram[j * p + i];
    bool solved = pfx_refit_solve(f, &w, G);
    double before[p];
    for (int j = 0; j < p; j++) before[j] = A[((pfx_idx)j * (j + 1) / 2 + j) * stride];
    take_off(f, &w, G, stride, A);
    for (int j = 0; j < p - 1; j++)
        if (!(A[((pfx_idx)j * (j + 1) / 2 + j) * stride] > PFX_REFIT_LOST * before[j]) || !solved)
            clear_column(p, j, stride, A);
    return solved;
}

/* ---- squares of the scores ---- */

/* x, y of a level's rows, less its weighted means. */
static void fill_level(const pfx_refit *f, const pfx_refit_work *w, pfx_idx l, pfx_idx stride,
                       const double *h, const double *b)
{
    int p = f->p;
    pfx_idx r0 = f->level[l], n = f->level[l + 1] - r0;
    double total = 0, mx = 0, my = 0;
    for (pfx_idx i = 0; i < n; i++) {
        const double *q = f->Q + (r0 + i) * p;
        double x = 0, y = q[p - 1], v = w->v[r0 + i];
        for (int j = 0; j < p - 1; j++) {
            x += q[j] * h[j * stride];
            y -= q[j] * b[j * stride];
        }
        for (int e = 0; e < f->n_rest; e++) {
            double value = pfx_refit_value(f, e, r0 + i);
            x -= value * w->a[f->col[e][r0 + i]];
            y -= value * w->e[f->col[e][r0 + i]];
        }
        w->x[i] = x;
        w->y[i] = y;
        total += v;
        mx += v * x;
        my += v * y;
    }
    for (pfx_idx i = 0; i < n && total > 0; i++) {
        w->x[i] -= mx / total;
        w->y[i] -= my / total;
    }
}

double pfx_refit_squares(const pfx_refit *f, int slot, const double *weight, pfx_idx stride, const double *h,
                         const double *b, void *scratch)
{
    const pfx_refit_work w = pfx_refit_lay_out(f, scratch);
    int p = f->p;
    double sum = 0;
    for (pfx_idx t = 0; t < f->q; t++) {
        const double *g = w.G + (slot * f->q + t) * f->ld;
        double x = 0, y = g[p - 1];
        for (int j = 0; j < p - 1; j++) {
            x += g[j] * h[j * stride];
            y -= g[j] * b[j * stride];
        }
        w.a[t] = x;
        w.e[t] = y;
    }
    for (pfx_idx r = 0; r < f->n; r++) w.v[r] = weight[f->cluster[r]] * (f->w ? f->w[r] : 1);
    memset(w.score, 0, (size_t)f->G * sizeof *w.score);
    for (pfx_idx l = 0; l < f->n_levels; l++) {
        pfx_idx r0 = f->level[l], n = f->level[l + 1] - r0;
        fill_level(f, &w, l, stride, h, b);
        for (pfx_idx i = 0; i < n; i++)
            if (w.v[r0 + i] != 0) w.score[f->cluster[r0 + i]] += (f->w ? f->w[r0 + i] : 1) * w.x[i] * w.y[i];
    }
    for (pfx_idx g = 0; g < f->G; g++) sum += weight[g] * w.score[g] * w.score[g];
    return sum;
}

/* ---- projections in the full sample ---- */

/* Rows less the weighted means of their levels. */
static void centre_columns(const pfx_refit *f, int m, double *X, double *mean)
{
    for (pfx_idx l = 0; l < f->n_levels; l++) {
        double total = 0;
        memset(mean, 0, (size_t)m * sizeof *mean);
        for (pfx_idx r = f->level[l]; r < f->level[l + 1]; r++) {
            double v = f->w ? f->w[r] : 1;
            total += v;
            for (int j = 0; j < m; j++) mean[j] += v * X[r * m + j];
        }
        for (int j = 0; j < m; j++) mean[j] /= total;
        for (pfx_idx r = f->level[l]; r < f->level[l + 1]; r++)
            for (int j = 0; j < m; j++) X[r * m + j] -= mean[j];
    }
}

bool pfx_refit_project(const pfx_refit *f, double *X, void *scratch)
{
    const pfx_refit_work w = pfx_refit_lay_out(f, scratch);
    int m = f->in.columns;
    pfx_idx ld = f->ld;
    centre_columns(f, m, X, w.mean);
    memset(w.C, 0, (size_t)(f->q * ld) * sizeof *w.C);
    for (pfx_idx r = 0; r < f->n; r++)
        for (int e = 0; e < f->n_rest; e++) {
            double v = (f->w ? f->w[r] : 1) * pfx_refit_value(f, e, r), *c = w.C + f->col[e][r] * ld;
            for (int j = 0; j < m; j++) c[j] += v * X[r * m + j];
        }
    bool solved = pfx_refit_solve_full(f, &w, w.G);
    for (pfx_idx r = 0; r < f->n; r++)
        for (int e = 0; e < f->n_rest; e++) {
            double v = pfx_refit_value(f, e, r);
            const double *g = w.G + f->col[e][r] * ld;
            for (int j = 0; j < m; j++) X[r * m + j] -= v * g[j];
        }
    centre_columns(f, m, X, w.mean);
    return solved;
}
