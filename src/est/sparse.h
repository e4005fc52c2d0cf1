/* Sparse symmetric systems that are factored again and again with other values in the same places, by several
 * threads at once: the ordering and the places of the factor are found once, and what a thread needs for
 * values is its own. Source: Amestoy, Davis and Duff (1996); Davis (2006), Direct Methods for Sparse Linear
 * Systems, ch. 4. */
#ifndef PFX_EST_SPARSE_H
#define PFX_EST_SPARSE_H

#include <stdbool.h>
#include "src/base/status.h"

/* A matrix in compressed rows, both triangles, columns of a row ascending, every diagonal entry there. */
typedef struct pfx_sparse {
    pfx_idx n, *ptr; /* [n + 1] */
    int32_t *col;    /* [ptr[n]] */
} pfx_sparse;

/* Approximate minimum degree: place [n] of each row in the order that fills least. NOMEM. */
pfx_status pfx_sparse_order(const pfx_sparse *S, int32_t *place, pfx_err *err) PFX_MUST;

/* The places of L, S = LL' in the order that S has. */
typedef struct pfx_sparse_factor {
    pfx_idx n, entries; /* below the diagonal */
    double flops;       /* multiplications and additions of a factorisation */
    pfx_idx *row_ptr;   /* [n + 1] columns of L's rows, ascending */
    int32_t *row_col;   /* [entries] */
    pfx_idx *col_ptr;   /* [n + 1] rows of L's columns, ascending */
    int32_t *col_row;   /* [entries] */
} pfx_sparse_factor;

/* *out NULL: more than max_entries. NOMEM. */
pfx_status pfx_sparse_symbolic(const pfx_sparse *S, pfx_idx max_entries, pfx_sparse_factor **out,
                               pfx_err *err) PFX_MUST;
void pfx_sparse_factor_free(pfx_sparse_factor *f);

/* Values of L from those of S, val [S->ptr[n]].
 * floor [n] a pivot at or below it belongs to a column that depends on those before it, or is empty: it is
 * left out, its solutions are zero L     [entries] by columns; inv [n] reciprocals of the pivots, or 0: out
 * work  [n] zero, and zero again; next [n]
 * Threads: any. */
void pfx_sparse_numeric(const pfx_sparse *S, const pfx_sparse_factor *f, const double *floor,
                        const double *val, double *L, double *inv, double *work, pfx_idx *next);
/* X <- (LL')^-1 X in place, [n x ld]. */
void pfx_sparse_solve(const pfx_sparse_factor *f, const double *L, const double *inv, pfx_idx ld, double *X);

#endif
