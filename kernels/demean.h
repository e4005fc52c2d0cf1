/* Weighted means of levels removed from the rows of a row-major block, after tables of other effects. */
#ifndef PFX_KERNELS_DEMEAN_H
#define PFX_KERNELS_DEMEAN_H

#include <stdbool.h>
#include "src/base/cpu.h"
#include "src/base/status.h"

/* A table whose row code[r], times value[r], is subtracted from row r. */
typedef struct pfx_k_table {
    const int32_t *code;    /* [rows] */
    const double *value;    /* [rows] or NULL for ones */
    pfx_idx ld;             /* distance of rows of G, a multiple of 8, >= p */
    const double *G;        /* [levels x ld], columns p..ld-1 readable */
    bool wide;              /* G is larger than the first-level cache: its rows are asked for ahead */
} pfx_k_table;

/* Sums of the results over the levels of another effect: row code[r] of C += w[r] Out[r]. */
typedef struct pfx_k_sums {
    const int32_t *code;    /* [rows] */
    pfx_idx ld;             /* distance of rows of C, a multiple of 8, >= p */
    double *C;              /* [levels x ld], columns p..ld-1 added to as well */
    bool wide;              /* as of a table */
} pfx_k_sums;

/* Out[r] = d[r] - m[g], g the level of row r, d[r] = (X[r] - X[first row of g]) - sum over tables of value[r] G[code[r]],
 * m[g] the weighted mean of d over the level. Subtracting the first row makes the differences exact for columns
 * with a large mean, and leaves the result unchanged otherwise.
 * n_levels  levels, >= 0, each with at least one row
 * start     [n_levels + 1] first row of each level, ascending; X, w, codes and values begin at row start[0]
 * p         columns, >= 1
 * ld        distance of rows of X, >= p
 * X         [rows x ld] row-major
 * w         [rows] > 0, or NULL for ones
 * n_tables  tables, >= 0
 * ldo       distance of rows of out, >= p; a multiple of 8 is faster
 * out       [rows x ldo] columns 0..p-1 overwritten, no overlap; and, where ldo has room for them, those up to the
 *           next multiple of 8, with what the tables hold there
 * sums      added to, or NULL
 * origin    [p] what means are measured from, near X, so that they keep their digits; NULL with mean NULL
 * mean      [n_levels x ldo] means of X (less tables) over the levels, less origin; or NULL
 * Rows in order, fused with the weight: the same bits on every ISA. Reads ahead of X by prefetch only.
 * Threads: any. */
void pfx_k_demean(pfx_isa isa, pfx_idx n_levels, const pfx_idx *start, int p, pfx_idx ld, const double *X,
                  const double *w, int n_tables, const pfx_k_table *table, pfx_idx ldo, double *out, const pfx_k_sums *sums,
                  const double *origin, double *mean);

/* Out[r] = (X[r] - ref) - sum over tables - m: the same with one known reference row and mean for all rows.
 * ref, m [p], or NULL for zeros. */
void pfx_k_shift(pfx_isa isa, pfx_idx n, int p, pfx_idx ld, const double *X, const double *ref, const double *m,
                 int n_tables, const pfx_k_table *table, pfx_idx ldo, double *out);

typedef void pfx_k_demean_fn(pfx_idx n_levels, const pfx_idx *start, int p, pfx_idx ld, const double *X,
                             const double *w, int n_tables, const pfx_k_table *table, pfx_idx ldo, double *out,
                             const pfx_k_sums *sums, const double *origin, double *mean);
typedef void pfx_k_shift_fn(pfx_idx n, int p, pfx_idx ld, const double *X, const double *ref, const double *m,
                            int n_tables, const pfx_k_table *table, pfx_idx ldo, double *out);
pfx_k_demean_fn pfx_k_demean_portable, pfx_k_demean_v3, pfx_k_demean_v4;
pfx_k_shift_fn pfx_k_shift_portable, pfx_k_shift_v3, pfx_k_shift_v4;

#endif
