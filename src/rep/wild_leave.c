/* Clusters left out beside effects that cross them. With P the projection on effects and regressors and P_gg
 * its rows and columns of cluster g, the residuals of g from a fit without it are (I - P_gg)^-1 e_g, and the
 * coefficient without it is b less c_g'W (I - P_gg)^-1 e_g: a refit of each cluster is the solution of a
 * system of its rows, which is well conditioned but for clusters that carry a coefficient nearly alone.
 * Conjugate residuals (Stiefel 1955) solve it for many clusters at once, a projected column each in a step;
 * an effect of g alone is in the null space on both sides and does not matter. Where a coefficient is not
 * identified without g the right-hand side has a part in that space: what is left of it, which stands for the
 * pseudo-inverse of the refit's normal equations. Source: Cook and Weisberg (1982), section 3.6, for the
 * formula; methods.md section 4. */
#include <math.h>
#include <string.h>

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/est/absorb.h"
#include "src/est/solve_factor.h"
#include "src/model/design.h"
#include "src/rep/clusterstat.h"
#include "src/rep/wild_leave.h"

enum { COLUMNS = 32 /* projected at a time */, STEPS = 1000 };
/* Solved: the residual below this share of the right-hand side. In the null space: what is applied to it is
 * below this share of it; beyond, steps would be made of rounding. Not rounding: a share of the right-hand
 * side above this. */
static const double SOLVED = 1e-13, NOTHING = 1e-8, SEEN = 1e-6;
/* More seconds than this are told of. */
static const double TELL_S = 2;

/* Clusters first .. first + n - 1, m columns each. */
typedef struct batch {
    const pfx_wild_leave *l;
    int m, columns; /* n m */
    pfx_idx first, n;
    double *X, *out;             /* [rows x columns] */
    double *T, *U;               /* [columns x k], [columns x q] */
    double *r, *p, *Ar, *Ap, *z; /* [rows x m], of the rows of these clusters */
    double *rAr, *bb;            /* [columns] */
    double *rr, *AA, *factor;    /* [columns] */
    bool *active;                /* [columns] */
} batch;

/* Number of the row's cluster among those of the batch, or -1. */
static pfx_idx place(const batch *b, pfx_idx row)
{
    const int32_t cell = b->l->s->design->clusters[0].code[row];
    pfx_idx g = (b->l->cluster ? b->l->cluster[cell] : cell) - b->first;
    return g >= 0 && g < b->n ? g : -1;
}

static double weight(const batch *b, pfx_idx row)
{
    return b->l->s->design->w ? b->l->s->design->w[row] : 1;
}

/* out = (I - P_gg) v. */
static pfx_status apply(batch *b, const double *v, double *out, pfx_err *err)
{
    const pfx_wild_leave *l = b->l;
    const pfx_clusterstat *s = l->s;
    const int k = s->k, m = b->m, q = l->q;
    memset(b->X, 0, (size_t)(s->n_rows * b->columns) * sizeof *b->X);
    memset(b->T, 0, (size_t)b->columns * (size_t)k * sizeof *b->T);
    memset(b->U, 0, (size_t)b->columns * (size_t)q * sizeof *b->U);
    for (pfx_idx row = 0; row < s->n_rows; row++) {
        pfx_idx g = place(b, row);
        if (g < 0) continue;
        memcpy(b->X + row * b->columns + g * m, v + row * m, (size_t)m * sizeof *v);
        const double *Q = s->Q + row * (k + 1), w = weight(b, row);
        for (int j = 0; j < m; j++) {
            double x = w * v[row * m + j], *T = b->T + (g * m + j) * k, *U = b->U + (g * m + j) * q;
            for (int i = 0; i < k; i++) T[i] += x * Q[i];
            for (int i = 0; i < q; i++) U[i] += x * l->c[row * q + i];
        }
    }
    pfx_status st = pfx_absorber_project(s->absorber, b->columns, b->X, b->out, err);
    if (st != PFX_OK) return st;
    for (int j = 0; j < b->columns; j++) {
        pfx_factor_forward(k, k, l->R, b->T + (pfx_idx)j * k);
        pfx_factor_backward(k, k, l->R, b->T + (pfx_idx)j * k);
        if (q == 0) continue;
        pfx_factor_forward(q, q, l->CC, b->U + (pfx_idx)j * q);
        pfx_factor_backward(q, q, l->CC, b->U + (pfx_idx)j * q);
    }
    for (pfx_idx row = 0; row < s->n_rows; row++) {
        pfx_idx g = place(b, row);
        if (g < 0) continue;
        const double *Q = s->Q + row * (k + 1);
        for (int j = 0; j < m; j++) {
            const double *T = b->T + (g * m + j) * k, *U = b->U + (g * m + j) * q;
            double x = b->out[row * b->columns + g * m + j];
            for (int i = 0; i < k; i++) x -= T[i] * Q[i];
            for (int i = 0; i < q; i++) x += U[i] * l->c[row * q + i];
            out[row * m + j] = x;
        }
    }
    return PFX_OK;
}

/* sum [columns] of w x y over the rows of each cluster. */
static void inner(const batch *b, const double *x, const double *y, double *sum)
{
    memset(sum, 0, (size_t)b->columns * sizeof *sum);
    for (pfx_idx row = 0; row < b->l->s->n_rows; row++) {
        pfx_idx g = place(b, row);
        if (g < 0) continue;
        double w = weight(b, row);
        for (int j = 0; j < b->m; j++) sum[g * b->m + j] += w * x[row * b->m + j] * y[row * b->m + j];
    }
}

/* y = a y + f x, f [columns]. */
static void combine(const batch *b, const double *a, double *y, const double *f, const double *x)
{
    for (pfx_idx row = 0; row < b->l->s->n_rows; row++) {
        pfx_idx g = place(b, row);
        if (g < 0) continue;
        for (int j = 0; j < b->m; j++) {
            double *to = y + row * b->m + j;
            *to = (a ? a[g * b->m + j] : 1) * *to + (f ? f[g * b->m + j] : 1) * x[row * b->m + j];
        }
    }
}

/* Which columns are not solved yet? */
static bool look(batch *b)
{
    bool any = false;
    inner(b, b->r, b->r, b->rr);
    inner(b, b->Ar, b->Ar, b->AA);
    for (int j = 0; j < b->columns; j++) {
        b->active[j] &= b->rr[j] > SOLVED * SOLVED * b->bb[j] && b->AA[j] > NOTHING * NOTHING * b->rr[j];
        any |= b->active[j];
    }
    return any;
}

/* One step of all columns that are not solved: x and r. */
static pfx_status step(batch *b, double *x, pfx_err *err)
{
    inner(b, b->Ap, b->Ap, b->AA);
    for (int j = 0; j < b->columns; j++)
        b->factor[j] = b->active[j] && b->AA[j] > 0 ? b->rAr[j] / b->AA[j] : 0;
    combine(b, NULL, x, b->factor, b->p);
    for (int j = 0; j < b->columns; j++) b->factor[j] = -b->factor[j];
    combine(b, NULL, b->r, b->factor, b->Ap);
    return apply(b, b->r, b->Ar, err);
}

/* x += (I - P_gg)^+ r; r: what is left of it. p and Ap are zero. */
static pfx_status solve(batch *b, double *x, pfx_err *err)
{
    pfx_status st;
    inner(b, b->r, b->r, b->bb);
    for (int j = 0; j < b->columns; j++) b->active[j] = b->bb[j] > 0;
    if ((st = apply(b, b->r, b->Ar, err)) != PFX_OK) return st;
    combine(b, NULL, b->p, NULL, b->r);
    combine(b, NULL, b->Ap, NULL, b->Ar);
    inner(b, b->r, b->Ar, b->rAr);
    for (int n = 0; look(b); n++) {
        if (n == STEPS)
            return pfx_fail(
                err, PFX_ENOCONV,
                "a cluster carries a coefficient nearly alone: leaving it out did not converge in "
                "%d steps; use --type 11",
                n);
        if ((st = step(b, x, err)) != PFX_OK) return st;
        inner(b, b->r, b->Ar, b->factor);
        for (int j = 0; j < b->columns; j++) {
            double now = b->factor[j];
            b->factor[j] = b->rAr[j] > 0 ? now / b->rAr[j] : 0;
            b->rAr[j] = now;
        }
        combine(b, b->factor, b->p, NULL, b->r);
        combine(b, b->factor, b->Ap, NULL, b->Ar);
    }
    return PFX_OK;
}

/* Rows of the batch's clusters, where the column is singular: to = from; elsewhere 0. */
static void pick(const batch *b, const bool *singular, const double *from, double *to)
{
    for (pfx_idx row = 0; row < b->l->s->n_rows; row++) {
        pfx_idx g = place(b, row);
        for (int j = 0; g >= 0 && j < b->m; j++)
            to[row * b->m + j] = singular[g * b->m + j] ? from[row * b->m + j] : 0;
    }
}

/* A system without a solution: what is left of it, r, is in the null space but for some share of rounding z,
 * A z = A r. That is found and solved for, too. */
static pfx_status clean(batch *b, double *x, double *left, pfx_err *err)
{
    bool any = false, singular[COLUMNS];
    for (int j = 0; j < b->columns; j++) {
        singular[j] = b->rr[j] > SEEN * SEEN * b->bb[j];
        any |= singular[j];
    }
    pick(b, singular, b->r, left);
    for (int pass = 0; pass < 2 && any; pass++) {
        pick(b, singular, pass == 0 ? b->Ar : b->z, b->r);
        for (pfx_idx i = 0; i < b->l->s->n_rows * b->m; i++) b->p[i] = b->Ap[i] = 0;
        if (pass == 0) memset(b->z, 0, (size_t)(b->l->s->n_rows * b->m) * sizeof *b->z);
        pfx_status st = solve(b, pass == 0 ? b->z : x, err);
        if (st != PFX_OK) return st;
        for (pfx_idx i = 0; i < b->l->s->n_rows * b->m && pass == 0; i++) left[i] -= b->z[i];
    }
    return PFX_OK;
}

static void count_singular(const batch *b, pfx_idx *n, pfx_idx *first)
{
    for (pfx_idx g = 0; g < b->n; g++) {
        bool singular = false;
        for (int j = 0; j < b->m; j++) singular |= b->rr[g * b->m + j] > SEEN * SEEN * b->bb[g * b->m + j];
        if (singular && (*n)++ == 0) *first = b->first + g;
    }
}

static pfx_status allocate(batch *b, pfx_err *err)
{
    const pfx_clusterstat *s = b->l->s;
    const pfx_idx n = s->n_rows, c = b->columns;
    const struct {
        double **at;
        pfx_idx size;
    } part[] = {{&b->X, n * c},    {&b->out, n * c},  {&b->T, c * s->k},  {&b->U, c * b->l->q + 1},
                {&b->r, n * b->m}, {&b->p, n * b->m}, {&b->Ar, n * b->m}, {&b->Ap, n * b->m},
                {&b->z, n * b->m}, {&b->rAr, c},      {&b->bb, c},        {&b->rr, c},
                {&b->AA, c},       {&b->factor, c}};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        if (!(*part[i].at = pfx_mem_calloc(part[i].size, sizeof(double), err))) return PFX_ENOMEM;
    return (b->active = pfx_mem_calloc(c, sizeof *b->active, err)) ? PFX_OK : PFX_ENOMEM;
}

static void release(batch *b)
{
    double *const part[] = {b->X,  b->out, b->T,   b->U,  b->r,  b->p,  b->Ar,
                            b->Ap, b->z,   b->rAr, b->bb, b->rr, b->AA, b->factor};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) pfx_mem_free(part[i]);
    pfx_mem_free(b->active);
}

double pfx_wild_leave_bytes(pfx_idx n_rows, int m)
{
    return (double)n_rows * sizeof(double) * (2.0 * COLUMNS + 5.0 * m);
}

pfx_status pfx_wild_leave_out(const pfx_wild_leave *l, int m, double *x, double *left, pfx_idx *n_singular,
                              pfx_idx *first_singular, pfx_err *err)
{
    const pfx_idx at_once = COLUMNS / m, n = l->s->n_rows;
    batch b = {.l = l, .m = m, .columns = (int)at_once * m};
    pfx_status st = allocate(&b, err);
    double t0 = pfx_wall_s();
    pfx_progress_begin("boot: clusters left out", "clusters", (double)l->n_clusters);
    for (b.first = 0; b.first < l->n_clusters && st == PFX_OK; b.first += at_once) {
        b.n = l->n_clusters - b.first < at_once ? l->n_clusters - b.first : at_once;
        b.columns = (int)b.n * m;
        memcpy(b.r, x, (size_t)(n * m) * sizeof *x);
        memset(b.p, 0, (size_t)(n * m) * sizeof *b.p);
        memset(b.Ap, 0, (size_t)(n * m) * sizeof *b.Ap);
        for (pfx_idx row = 0; row < n; row++)
            if (place(&b, row) >= 0) memset(x + row * m, 0, (size_t)m * sizeof *x);
        if ((st = solve(&b, x, err)) != PFX_OK) break;
        count_singular(&b, n_singular, first_singular);
        if (left && (st = clean(&b, x, left, err)) != PFX_OK) break;
        double left_s = (pfx_wall_s() - t0) / (double)b.n * (double)(l->n_clusters - b.n);
        if (b.first == 0 && left_s > TELL_S)
            pfx_note("effects cross the clusters: each of %lld is left out first, in about %.0f s",
                     (long long)l->n_clusters, left_s);
        pfx_progress_set((double)(b.first + b.n));
    }
    pfx_progress_end();
    release(&b);
    return st;
}
