/* A block-diagonal preconditioner: columns that hold fast to each other (the years of an industry beside
 * firms that seldom change it) are one family, whose block of S is inverted. Such a family's common level is
 * almost taken off by the eliminated effect, so that the diagonal alone would leave one small eigenvalue for
 * each family. */
#include "src/est/schur_families.h"

#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/est/components.h"

/* Columns are bound to each other where their coupling is this share of the strongest of both; a family's
 * most. */
#define STRONG 0.25
#define MAX_FAMILY 64
/* The blocks must cost less than S. */
#define MIN_SPARSE 2
/* Added to a block's diagonal, relative: where a family touches no other its common level is a null direction
 * of S, along which rounding must not grow. */
#define SHIFT 1e-4

typedef struct grouping {
    const pfx_schur_csr *S;
    double *scale; /* [n] 1 / sqrt of the diagonal */
    double *most;  /* [n] strongest coupling of each column, on the scale of correlations */
    pfx_idx *root; /* [n] */
    int32_t *size; /* [n] of a root's family */
} grouping;

static double coupling(const grouping *g, pfx_idx i, pfx_idx k)
{
    const pfx_schur_csr *S = g->S;
    return S->col[k] == i ? 0.0 : fabs(S->val[k]) * g->scale[i] * g->scale[S->col[k]];
}

static void unite(grouping *g)
{
    const pfx_schur_csr *S = g->S;
    for (pfx_idx i = 0; i < S->n; i++) g->scale[i] = sqrt(S->inv[i]);
    for (pfx_idx i = 0; i < S->n; i++)
        for (pfx_idx k = S->ptr[i]; k < S->ptr[i + 1]; k++) g->most[i] = fmax(g->most[i], coupling(g, i, k));
    pfx_components_init(S->n, g->root);
    for (pfx_idx i = 0; i < S->n; i++) g->size[i] = 1;
    for (pfx_idx i = 0; i < S->n; i++)
        for (pfx_idx k = S->ptr[i]; k < S->ptr[i + 1] && S->col[k] < i; k++) {
            double c = coupling(g, i, k);
            if (c == 0.0 || c < STRONG * g->most[i] || c < STRONG * g->most[S->col[k]]) continue;
            pfx_idx a = pfx_components_find(g->root, i), b = pfx_components_find(g->root, S->col[k]);
            if (a == b || g->size[a] + g->size[b] > MAX_FAMILY) continue;
            int32_t size = g->size[a] + g->size[b];
            pfx_components_join(g->root, a, b);
            g->size[a < b ? a : b] = size;
        }
}

/* Members of the families, in ascending order, families by their lowest. Spanned columns belong to none. */
static pfx_status list(grouping *g, pfx_families *f, pfx_err *err)
{
    const pfx_schur_csr *S = g->S;
    pfx_idx n = 0, at = 0;

    for (pfx_idx i = 0; i < S->n; i++) f->n += S->inv[i] != 0.0 && pfx_components_find(g->root, i) == i;
    if (!(f->ptr = pfx_mem_calloc(f->n + 1, sizeof *f->ptr, err)) ||
        !(f->at = pfx_mem_alloc(f->n + 1, sizeof *f->at, err)) ||
        !(f->member = pfx_mem_alloc(S->n, sizeof *f->member, err)))
        return PFX_ENOMEM;
    int32_t *place = g->size; /* of a root: where its next member goes */
    for (pfx_idx i = 0; i < S->n; i++) {
        if (S->inv[i] == 0.0 || g->root[i] != i) continue;
        f->ptr[n] = at, at += place[i];
        place[i] = (int32_t)f->ptr[n++];
    }
    f->ptr[n] = at;
    for (pfx_idx i = 0; i < S->n; i++)
        if (S->inv[i] != 0.0) f->member[place[pfx_components_find(g->root, i)]++] = (int32_t)i;
    for (pfx_idx i = 0; i < f->n; i++) {
        pfx_idx size = f->ptr[i + 1] - f->ptr[i];
        f->at[i] = f->entries;
        f->entries += size * size;
    }
    f->at[f->n] = f->entries;
    return PFX_OK;
}

/* A [n x n] = A^-1 by Gauss and Jordan; A is positive definite. */
static void invert(pfx_idx n, double *A)
{
    for (pfx_idx k = 0; k < n; k++) {
        double d = 1.0 / A[k * n + k];
        A[k * n + k] = 1.0;
        for (pfx_idx j = 0; j < n; j++) A[k * n + j] *= d;
        for (pfx_idx i = 0; i < n; i++) {
            if (i == k) continue;
            double a = A[i * n + k];
            A[i * n + k] = 0.0;
            for (pfx_idx j = 0; j < n; j++) A[i * n + j] -= a * A[k * n + j];
        }
    }
    for (pfx_idx i = 0; i < n; i++) /* symmetric to the bit, as conjugate gradients want it */
        for (pfx_idx j = 0; j < i; j++) A[j * n + i] = A[i * n + j];
}

static void fill(const pfx_schur_csr *S, pfx_families *f, int32_t *place)
{
    memset(place, 0xff, (size_t)S->n * sizeof *place);
    for (pfx_idx i = 0; i < f->n; i++) {
        const int32_t *m = f->member + f->ptr[i];
        pfx_idx n = f->ptr[i + 1] - f->ptr[i];
        double *A = f->M + f->at[i];
        memset(A, 0, (size_t)(n * n) * sizeof *A);
        for (pfx_idx a = 0; a < n; a++) place[m[a]] = (int32_t)a;
        for (pfx_idx a = 0; a < n; a++) {
            for (pfx_idx k = S->ptr[m[a]]; k < S->ptr[m[a] + 1]; k++)
                if (place[S->col[k]] >= 0) A[a * n + place[S->col[k]]] = S->val[k];
            A[a * n + a] += n > 1 ? SHIFT * A[a * n + a] : 0.0;
        }
        for (pfx_idx a = 0; a < n; a++) place[m[a]] = -1;
        invert(n, A);
    }
}

pfx_status pfx_families_make(const pfx_schur_csr *S, pfx_idx entries, pfx_families *f, pfx_err *err)
{
    grouping g = {.S = S};
    pfx_status st = PFX_ENOMEM;

    *f = (pfx_families){0};
    if (entries < MIN_SPARSE * 2 * S->n) return PFX_OK;
    if ((g.scale = pfx_mem_alloc(S->n, sizeof *g.scale, err)) &&
        (g.most = pfx_mem_calloc(S->n, sizeof *g.most, err)) &&
        (g.root = pfx_mem_alloc(S->n, sizeof *g.root, err)) &&
        (g.size = pfx_mem_alloc(S->n, sizeof *g.size, err))) {
        unite(&g);
        st = list(&g, f, err);
    }
    bool useful = st == PFX_OK && 2 * f->n <= S->n && MIN_SPARSE * f->entries <= entries;
    if (useful && !(f->M = pfx_mem_alloc(f->entries, sizeof *f->M, err))) st = PFX_ENOMEM;
    if (st == PFX_OK && useful) fill(S, f, g.size);
    pfx_mem_free(g.scale), pfx_mem_free(g.most), pfx_mem_free(g.root), pfx_mem_free(g.size);
    if (st != PFX_OK || !useful) pfx_families_free(f);
    return st;
}

void pfx_families_free(pfx_families *f)
{
    pfx_mem_free(f->ptr), pfx_mem_free(f->at), pfx_mem_free(f->member), pfx_mem_free(f->M);
    *f = (pfx_families){0};
}
