/* The matrix of the other effects in one replicate, and its solutions. */
#include <math.h>
#include <string.h>

#include "kernels/blockcg.h"
#include "src/base/mem.h"
#include "src/rep/refit_private.h"

/* Squared residual, in the norm of the preconditioner, relative to the right-hand side's. */
static const double TOL2 = 1e-24;

/* Weights of entries and of levels. */
static void weigh(const pfx_refit *f, const pfx_refit_work *w)
{
    memset(w->u, 0, (size_t)f->n_entries * sizeof *w->u);
    for (pfx_idx l = 0; l < f->n_levels; l++) {
        double *u = w->u + f->entry[l], total = 0;
        for (pfx_idx r = f->level[l]; r < f->level[l + 1]; r++) {
            total += w->v[r];
            for (int e = 0; e < f->n_rest; e++)
                u[f->row_entry[r * f->n_rest + e]] += w->v[r] * pfx_refit_value(f, e, r);
        }
        w->total[l] = total;
    }
}

/* Row by row: w->mark has the place of each column in the row. */
void pfx_refit_assemble(const pfx_refit *f, const pfx_refit_work *w)
{
    weigh(f, w);
    for (pfx_idx a = 0; a < f->q; a++) {
        for (pfx_idx k = f->S.ptr[a]; k < f->S.ptr[a + 1]; k++) {
            w->mark[f->S.col[k]] = k;
            w->val[k] = 0;
        }
        for (pfx_idx i = f->col_row[a]; i < f->col_row[a + 1]; i++) {
            pfx_idx r = f->of_row[i];
            if (w->v[r] == 0) continue;
            double x = w->v[r] * pfx_refit_value(f, f->of_rest[i], r);
            for (int e = 0; e < f->n_rest; e++) w->val[w->mark[f->col[e][r]]] += x * pfx_refit_value(f, e, r);
        }
        w->floor[a] = PFX_REFIT_LOST * w->val[w->mark[a]];
        for (pfx_idx i = f->col_entry[a]; i < f->col_entry[a + 1]; i++) {
            pfx_idx l = f->entry_level[f->of_entry[i]];
            double u = w->u[f->of_entry[i]];
            if (u == 0) continue;
            u /= w->total[l];
            for (pfx_idx k = f->entry[l]; k < f->entry[l + 1]; k++)
                w->val[w->mark[f->entry_col[k]]] -= u * w->u[k];
        }
    }
}

/* Reciprocals of the diagonal, for plain iteration; 0: the eliminated effect spans the column, or it is
 * empty. */
static void invert_diagonal(const pfx_refit *f, const double *val, const double *floor, double *inv)
{
    for (pfx_idx a = 0; a < f->q; a++) {
        pfx_idx k = f->S.ptr[a];
        while (f->S.col[k] != a) k++;
        inv[a] = val[k] > floor[a] ? 1 / val[k] : 0;
    }
}

/* Y <- M^-1 R, rz [ld] = columns of R'Y. */
static void precondition(const pfx_refit *f, const pfx_refit_work *w, double *rz)
{
    pfx_idx ld = f->ld;
    memcpy(w->Y, w->R, (size_t)(f->q * ld) * sizeof *w->Y);
    if (f->way == PFX_REFIT_ONCE)
        pfx_sparse_solve(f->factor, f->L0, f->inv0, ld, w->Y);
    else
        for (pfx_idx i = 0; i < f->q; i++)
            for (pfx_idx c = 0; c < ld; c++) w->Y[i * ld + c] *= w->inv[i];
    memset(rz, 0, (size_t)ld * sizeof *rz);
    for (pfx_idx i = 0; i < f->q; i++)
        for (pfx_idx c = 0; c < ld; c++) rz[c] += w->R[i * ld + c] * w->Y[i * ld + c];
}

/* Conjugate gradients for all right-hand sides, from zero: the full sample's solution is in the columns
 * already. */
static bool iterate(const pfx_refit *f, const pfx_refit_work *w, const double *val, double *G)
{
    pfx_idx ld = f->ld, size = f->q * ld;
    double *rz = w->cg, *first = rz + ld, *pq = first + ld, *alpha = pq + ld, *now = alpha + ld;
    memset(G, 0, (size_t)size * sizeof *G);
    memset(w->P, 0, (size_t)size * sizeof *w->P);
    memcpy(w->R, w->C, (size_t)size * sizeof *w->R);
    precondition(f, w, rz);
    memcpy(first, rz, (size_t)ld * sizeof *first);
    memset(now, 0, (size_t)ld * sizeof *now); /* beta */
    for (int it = 0;; it++) {
        bool done = true;
        for (pfx_idx c = 0; c < ld; c++) done &= !(rz[c] > TOL2 * first[c]);
        if (done || it == f->in.maxiter) return done;
        for (pfx_idx i = 0; i < size; i += ld)
            for (pfx_idx c = 0; c < ld; c++) w->P[i + c] = w->Y[i + c] + now[c] * w->P[i + c];
        pfx_k_spmm(f->in.isa, 0, f->q, f->S.ptr, f->S.col, val, ld, w->P, w->Y, pq);
        for (pfx_idx c = 0; c < ld; c++) alpha[c] = rz[c] > TOL2 * first[c] && pq[c] > 0 ? rz[c] / pq[c] : 0;
        for (pfx_idx i = 0; i < size; i += ld)
            for (pfx_idx c = 0; c < ld; c++) {
                G[i + c] += alpha[c] * w->P[i + c];
                w->R[i + c] -= alpha[c] * w->Y[i + c];
            }
        memcpy(now, rz, (size_t)ld * sizeof *now);
        precondition(f, w, rz);
        for (pfx_idx c = 0; c < ld; c++) now[c] = now[c] > 0 ? rz[c] / now[c] : 0;
    }
}

bool pfx_refit_solve(const pfx_refit *f, const pfx_refit_work *w, double *G)
{
    if (f->way != PFX_REFIT_ANEW) {
        if (f->way == PFX_REFIT_PLAIN) invert_diagonal(f, w->val, w->floor, w->inv);
        return iterate(f, w, w->val, G);
    }
    memset(w->row, 0, (size_t)f->q * sizeof *w->row);
    pfx_sparse_numeric(&f->S, f->factor, w->floor, w->val, w->L, w->inv, w->row, w->next);
    memcpy(G, w->C, (size_t)(f->q * f->ld) * sizeof *G);
    memset(w->R, 0, (size_t)(f->q * f->ld) * sizeof *w->R);
    pfx_sparse_solve(f->factor, w->L, w->inv, f->ld, G);
    return true;
}

bool pfx_refit_solve_full(const pfx_refit *f, const pfx_refit_work *w, double *G)
{
    if (!f->factor) {
        memcpy(w->inv, f->diag0, (size_t)f->q * sizeof *w->inv);
        return iterate(f, w, f->val0, G);
    }
    memcpy(G, w->C, (size_t)(f->q * f->ld) * sizeof *G);
    pfx_sparse_solve(f->factor, f->L0, f->inv0, f->ld, G);
    return true;
}

pfx_status pfx_refit_full(pfx_refit *f, pfx_err *err)
{
    pfx_status st = PFX_ENOMEM;
    char *scratch = pfx_mem_alloc(pfx_refit_scratch(f), 1, err);
    if (f->factor) {
        f->L0 = pfx_mem_alloc(f->factor->entries, sizeof *f->L0, err);
        f->inv0 = pfx_mem_alloc(f->q, sizeof *f->inv0, err);
    }
    f->val0 = pfx_mem_alloc(f->S.ptr[f->q], sizeof *f->val0, err);
    f->diag0 = pfx_mem_alloc(f->q, sizeof *f->diag0, err);
    if (!scratch || !f->val0 || !f->diag0 || (f->factor && (!f->L0 || !f->inv0))) goto done;
    const pfx_refit_work w = pfx_refit_lay_out(f, scratch);
    for (pfx_idx r = 0; r < f->n; r++) w.v[r] = f->w ? f->w[r] : 1;
    pfx_refit_assemble(f, &w);
    memcpy(f->val0, w.val, (size_t)f->S.ptr[f->q] * sizeof *f->val0);
    invert_diagonal(f, w.val, w.floor, f->diag0);
    memset(w.row, 0, (size_t)f->q * sizeof *w.row);
    if (f->factor) pfx_sparse_numeric(&f->S, f->factor, w.floor, w.val, f->L0, f->inv0, w.row, w.next);
    st = PFX_OK;
done:
    pfx_mem_free(scratch);
    return st;
}
