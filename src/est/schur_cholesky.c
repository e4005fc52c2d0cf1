/* The only file that knows CHOLMOD: a sparse Cholesky factor of S, nudged off singularity, as a preconditioner. */
#include <math.h>
#include <string.h>
#include <cholmod.h>
#include "src/base/mem.h"
#include "src/est/schur_internal.h"

/* S is singular (levels are counted twice across effects). A relative nudge of the diagonal makes the factor exist;
 * iteration outside takes its effect away. It stands well above rounding (1e-16 times the growth of a pivot's sum)
 * and well below any pivot of a connected graph of 1e5 levels. */
#define NUDGE 1e-12
/* Pivots beside their diagonal: nudged null directions lie near NUDGE x levels, real ones far above. Between the two
 * bounds the rank is left unsaid. */
#define PIVOT_NULL 1e-7
#define PIVOT_REAL 1e-5

/* What the choice weighs, in multiply-adds. Columns that plain iteration has not finished in its first steps take on
 * the order of a thousand more; the factor is used three times, reading each entry twice a column. Its own operations
 * run in dense blocks, about eight times as fast as the sparse ones. */
#define PLAIN_STEPS 1000.0
#define FACTOR_STEPS 3.0
#define DENSE_SPEED 8.0
#define STEP_VECTORS 5.0        /* a step of plain iteration also walks its vectors: so many entries' work a row */
#define FULL 0.25
#define MAX_ENTRIES 2.5e8       /* 2 GB of factor */

struct pfx_schur_factor {
    cholmod_common common;
    cholmod_factor *L;
    cholmod_dense *B, *X, *Y, *E;       /* right-hand side, and workspace that solves reuse */
    bool started;
};

/* Lower triangle of S (columns of S are its rows), diagonal nudged, spanned columns replaced by the identity. */
static cholmod_sparse *copy_lower(const pfx_schur_csr *S, cholmod_common *cc)
{
    pfx_idx nnz = 0;
    for (pfx_idx i = 0; i < S->n; i++)
        for (pfx_idx k = S->ptr[i]; k < S->ptr[i + 1]; k++) nnz += S->col[k] >= i;
    if (nnz > INT32_MAX || S->n > INT32_MAX) return NULL;
    cholmod_sparse *A = cholmod_allocate_sparse((size_t)S->n, (size_t)S->n, (size_t)nnz, 1, 1, -1, CHOLMOD_REAL, cc);
    if (!A) return NULL;
    int *p = A->p, *i = A->i, at = 0;
    double *x = A->x;
    for (pfx_idx j = 0; j < S->n; j++) {
        p[j] = at;
        for (pfx_idx k = S->ptr[j]; k < S->ptr[j + 1]; k++) {
            pfx_idx c = S->col[k];
            if (c < j || (c > j && (S->inv[j] == 0.0 || S->inv[c] == 0.0))) continue;
            i[at] = (int)c;
            x[at++] = c > j ? S->val[k] : S->inv[j] == 0.0 ? 1.0 : S->val[k] * (1.0 + NUDGE);
        }
    }
    p[S->n] = at;
    return A;
}

/* Squared pivots over their diagonals, in the factor's order. */
static pfx_idx count_rank(const pfx_schur_csr *S, const cholmod_factor *L)
{
    pfx_idx rank = 0;
    const int *perm = L->Perm;
    const double *x = L->x;

    for (size_t s = 0; s < (L->is_super ? L->nsuper : L->n); s++) {
        const int *super = L->super, *pi = L->pi, *px = L->px, *p = L->p;
        int first = L->is_super ? super[s] : (int)s, last = L->is_super ? super[s + 1] : (int)s + 1;
        for (int j = first; j < last; j++) {
            int rows = L->is_super ? pi[s + 1] - pi[s] : 0;
            double d = L->is_super ? x[px[s] + (j - first) + (pfx_idx)(j - first) * rows] : x[p[j]];
            double inv = S->inv[perm[j]], ratio = (L->is_ll ? d * d : d) * inv;
            if (inv == 0.0 || ratio < PIVOT_NULL) continue;
            if (ratio < PIVOT_REAL) return -1;
            rank++;
        }
    }
    return rank;
}

double pfx_schur_cost_steps(pfx_idx n, pfx_idx entries, pfx_schur_cost cost, int m)
{
    double factor = cost.flops / DENSE_SPEED + FACTOR_STEPS * 2.0 * cost.entries * m;
    return cost.entries <= MAX_ENTRIES ? factor / (((double)entries + STEP_VECTORS * (double)n) * m) : INFINITY;
}

static bool is_cheap(const pfx_schur_csr *S, const cholmod_common *cc, int m)
{
    return pfx_schur_cost_steps(S->n, S->ptr[S->n], (pfx_schur_cost){cc->lnz, cc->fl / 2.0}, m) <= PLAIN_STEPS;
}

pfx_status pfx_schur_factor_try(const pfx_schur_csr *S, int m, pfx_schur_factor **out, pfx_idx *rank, pfx_err *err)
{
    *out = NULL;
    *rank = -1;
    pfx_schur_factor *f = pfx_mem_calloc(1, sizeof *f, err);
    if (!f) return PFX_ENOMEM;

    cholmod_common *cc = &f->common;
    f->started = cholmod_start(cc) != 0;
    cc->print = 0;
    cc->error_handler = NULL;
    cc->try_catch = 1;
    cc->nmethods = 1;
    /* A matrix that is mostly full has nothing to gain from an ordering. */
    cc->method[0].ordering = (double)S->ptr[S->n] > FULL * (double)S->n * (double)S->n ? CHOLMOD_NATURAL : CHOLMOD_AMD;
    cc->postorder = 1;
    cc->final_ll = 1;
    cholmod_sparse *A = copy_lower(S, cc);
    if (A) f->L = cholmod_analyze(A, cc);
    if (f->L && is_cheap(S, cc, m) && cholmod_factorize(A, f->L, cc) && f->L->minor == f->L->n) {
        *rank = count_rank(S, f->L);
        *out = f;
    }
    bool no_memory = cc->status == CHOLMOD_OUT_OF_MEMORY;
    cholmod_free_sparse(&A, cc);
    if (*out) return PFX_OK;
    pfx_schur_factor_free(f);
    /* A factor that cannot be had is no failure: plain iteration remains. */
    (void)no_memory;
    return PFX_OK;
}

void pfx_schur_factor_free(pfx_schur_factor *f)
{
    if (!f) return;
    if (f->started) {
        cholmod_free_dense(&f->B, &f->common);
        cholmod_free_dense(&f->X, &f->common);
        cholmod_free_dense(&f->Y, &f->common);
        cholmod_free_dense(&f->E, &f->common);
        cholmod_free_factor(&f->L, &f->common);
        cholmod_finish(&f->common);
    }
    pfx_mem_free(f);
}

pfx_status pfx_schur_factor_solve(pfx_schur_factor *f, int m, pfx_idx ld, const double *R, double *Z, pfx_err *err)
{
    pfx_idx q = (pfx_idx)f->L->n;

    if (f->B && f->B->ncol != (size_t)m) cholmod_free_dense(&f->B, &f->common);
    if (!f->B) f->B = cholmod_allocate_dense((size_t)q, (size_t)m, (size_t)q, CHOLMOD_REAL, &f->common);
    if (!f->B) return pfx_fail(err, PFX_ENOMEM, "out of memory for the factor of the absorbed effects");
    double *b = f->B->x;
    for (pfx_idx i = 0; i < q; i++)
        for (int k = 0; k < m; k++) b[k * q + i] = R[i * ld + k];
    if (!cholmod_solve2(CHOLMOD_A, f->L, f->B, NULL, &f->X, NULL, &f->Y, &f->E, &f->common))
        return pfx_fail(err, PFX_ENOMEM, "out of memory for the factor of the absorbed effects");
    const double *x = f->X->x;
    for (pfx_idx i = 0; i < q; i++)
        for (int k = 0; k < m; k++) Z[i * ld + k] = x[k * q + i];
    return PFX_OK;
}
