#include "src/est/sparse.h"

#include <math.h>
#include <string.h>
#include <cholmod.h>
#include "src/base/mem.h"

/* A matrix with more of its places taken has nothing to gain from an ordering. */
static const double FULL = 0.25;

pfx_status pfx_sparse_order(const pfx_sparse *S, int32_t *place, pfx_err *err)
{
    pfx_idx n = S->n, lower = (S->ptr[n] - n) / 2 + n;
    cholmod_common cc;
    for (pfx_idx i = 0; i < n; i++) place[i] = (int32_t)i;
    if (n < 2 || (double)S->ptr[n] > FULL * (double)n * (double)n || lower > INT32_MAX) return PFX_OK;
    cholmod_start(&cc);
    cc.print = 0;
    cc.error_handler = NULL;
    cholmod_sparse *A =
        cholmod_allocate_sparse((size_t)n, (size_t)n, (size_t)lower, 1, 1, -1, CHOLMOD_PATTERN, &cc);
    int *perm = pfx_mem_alloc(n, sizeof *perm, err);
    bool ok = A && perm;
    if (ok) {
        int *p = A->p, *i = A->i, at = 0;
        for (pfx_idx j = 0; j < n; j++) {
            p[j] = at;
            for (pfx_idx k = S->ptr[j]; k < S->ptr[j + 1]; k++)
                if (S->col[k] >= j) i[at++] = S->col[k];
        }
        p[n] = at;
        ok = cholmod_amd(A, NULL, 0, perm, &cc);
    }
    for (pfx_idx i = 0; ok && i < n; i++) place[perm[i]] = (int32_t)i;
    pfx_mem_free(perm);
    cholmod_free_sparse(&A, &cc);
    cholmod_finish(&cc);
    return ok ? PFX_OK : pfx_fail(err, PFX_ENOMEM, "out of memory for the order of the absorbed effects");
}

/* Columns of row i of L, in no order, to list: what is met on the way up the elimination tree from the
 * entries of the row of S. parent [n] is made on the way; seen [n] is i where a column was met. Returns how
 * many. */
static pfx_idx row_of(const pfx_sparse *S, pfx_idx i, int32_t *parent, int32_t *seen, int32_t *list)
{
    pfx_idx n = 0;
    parent[i] = -1;
    seen[i] = (int32_t)i;
    for (pfx_idx k = S->ptr[i]; k < S->ptr[i + 1] && S->col[k] < i; k++)
        for (int32_t j = S->col[k]; seen[j] != i; j = parent[j]) {
            if (parent[j] < 0) parent[j] = (int32_t)i;
            seen[j] = (int32_t)i;
            list[n++] = j;
        }
    return n;
}

/* Rows from columns: the columns of each row come out ascending. */
static void turn(pfx_sparse_factor *f)
{
    for (pfx_idx j = 0; j < f->n; j++)
        for (pfx_idx k = f->col_ptr[j]; k < f->col_ptr[j + 1]; k++)
            f->row_col[f->row_ptr[f->col_row[k]]++] = (int32_t)j;
    memmove(f->row_ptr + 1, f->row_ptr, (size_t)f->n * sizeof *f->row_ptr);
    f->row_ptr[0] = 0;
}

typedef struct symbolic {
    int32_t *parent, *seen, *list; /* [n] */
    pfx_idx *at;                   /* [n] entries of each column so far */
} symbolic;

static bool count(const pfx_sparse *S, symbolic *w, pfx_idx max_entries, pfx_sparse_factor *f)
{
    for (pfx_idx i = 0; i < S->n; i++) {
        pfx_idx n = row_of(S, i, w->parent, w->seen, w->list);
        f->row_ptr[i + 1] = f->row_ptr[i] + n;
        for (pfx_idx k = 0; k < n; k++) w->at[w->list[k]]++;
        if (f->row_ptr[i + 1] > max_entries) return false;
    }
    f->entries = f->row_ptr[S->n];
    for (pfx_idx j = 0; j < S->n; j++) {
        f->col_ptr[j + 1] = f->col_ptr[j] + w->at[j];
        f->flops += (double)w->at[j] * (double)(w->at[j] + 1);
        w->at[j] = f->col_ptr[j];
    }
    return true;
}

pfx_status pfx_sparse_symbolic(const pfx_sparse *S, pfx_idx max_entries, pfx_sparse_factor **out,
                               pfx_err *err)
{
    pfx_status st = PFX_ENOMEM;
    symbolic w = {0};
    pfx_sparse_factor *f = pfx_mem_calloc(1, sizeof *f, err);
    *out = NULL;
    if (!f) return PFX_ENOMEM;
    f->n = S->n;
    f->row_ptr = pfx_mem_calloc(S->n + 1, sizeof *f->row_ptr, err);
    f->col_ptr = pfx_mem_calloc(S->n + 1, sizeof *f->col_ptr, err);
    w.parent = pfx_mem_alloc(S->n, sizeof *w.parent, err);
    w.seen = pfx_mem_alloc(S->n, sizeof *w.seen, err);
    w.list = pfx_mem_alloc(S->n, sizeof *w.list, err);
    w.at = pfx_mem_calloc(S->n, sizeof *w.at, err);
    if (!f->row_ptr || !f->col_ptr || !w.parent || !w.seen || !w.list || !w.at) goto done;
    for (pfx_idx i = 0; i < S->n; i++) w.seen[i] = -1;
    if (!count(S, &w, max_entries, f)) {
        st = PFX_OK;
        goto done;
    }
    f->row_col = pfx_mem_alloc(f->entries, sizeof *f->row_col, err);
    f->col_row = pfx_mem_alloc(f->entries, sizeof *f->col_row, err);
    if (!f->row_col || !f->col_row) goto done;
    for (pfx_idx i = 0; i < S->n; i++) w.seen[i] = -1;
    for (pfx_idx i = 0; i < S->n; i++) {
        pfx_idx n = row_of(S, i, w.parent, w.seen, w.list);
        for (pfx_idx k = 0; k < n; k++) f->col_row[w.at[w.list[k]]++] = (int32_t)i;
    }
    turn(f);
    *out = f;
    f = NULL;
    st = PFX_OK;
done:
    pfx_mem_free(w.parent);
    pfx_mem_free(w.seen);
    pfx_mem_free(w.list);
    pfx_mem_free(w.at);
    pfx_sparse_factor_free(f);
    return st;
}

void pfx_sparse_factor_free(pfx_sparse_factor *f)
{
    if (!f) return;
    pfx_mem_free(f->row_ptr);
    pfx_mem_free(f->row_col);
    pfx_mem_free(f->col_ptr);
    pfx_mem_free(f->col_row);
    pfx_mem_free(f);
}

/* Row by row: x = row of S, less what the columns before have of it. */
void pfx_sparse_numeric(const pfx_sparse *S, const pfx_sparse_factor *f, const double *floor,
                        const double *val, double *L, double *inv, double *work, pfx_idx *next)
{
    memcpy(next, f->col_ptr, (size_t)f->n * sizeof *next);
    for (pfx_idx i = 0; i < f->n; i++) {
        pfx_idx k = S->ptr[i];
        for (; S->col[k] < i; k++) work[S->col[k]] = val[k];
        double pivot = val[k];
        for (pfx_idx c = f->row_ptr[i]; c < f->row_ptr[i + 1]; c++) {
            int32_t j = f->row_col[c];
            double x = work[j] * inv[j];
            work[j] = 0;
            if (x != 0)
                for (pfx_idx a = f->col_ptr[j]; a < next[j]; a++) work[f->col_row[a]] -= L[a] * x;
            L[next[j]++] = x;
            pivot -= x * x;
        }
        inv[i] = pivot > floor[i] ? 1 / sqrt(pivot) : 0;
    }
}

void pfx_sparse_solve(const pfx_sparse_factor *f, const double *L, const double *inv, pfx_idx ld, double *X)
{
    for (pfx_idx j = 0; j < f->n; j++) {
        double *x = X + j * ld;
        for (pfx_idx c = 0; c < ld; c++) x[c] *= inv[j];
        for (pfx_idx a = f->col_ptr[j]; a < f->col_ptr[j + 1]; a++) {
            double *y = X + f->col_row[a] * ld, l = L[a];
            for (pfx_idx c = 0; c < ld; c++) y[c] -= l * x[c];
        }
    }
    for (pfx_idx j = f->n - 1; j >= 0; j--) {
        double *x = X + j * ld;
        for (pfx_idx a = f->col_ptr[j]; a < f->col_ptr[j + 1]; a++) {
            const double *y = X + f->col_row[a] * ld;
            double l = L[a];
            for (pfx_idx c = 0; c < ld; c++) x[c] -= l * y[c];
        }
        for (pfx_idx c = 0; c < ld; c++) x[c] *= inv[j];
    }
}
