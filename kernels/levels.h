/* Residuals and scores of whole levels from the rows as they are, without demeaned rows being written anywhere. */
#ifndef PFX_KERNELS_LEVELS_H
#define PFX_KERNELS_LEVELS_H

#include "kernels/demean.h"
#include "src/base/cpu.h"
#include "src/base/status.h"

/* With d[r] = (X[r] - X[first row of its level]) - sum over tables of value[r] G[code[r]]:
 *   e[r] = d[r]'c less its weighted mean over the level,
 *   S[g] = sum over the level's rows of w[r] e[r] d[r],
 * which is the level's score: w e sums to zero within it, so that d need not be demeaned. Source: methods.md section 1.
 * n_levels  levels, >= 0, each with at least one row
 * start     [n_levels + 1] first row of each level, ascending; X, w, codes and values begin at row start[0]
 * p         columns, >= 1; ld distance of rows of X, >= p
 * w         [rows] > 0, or NULL for ones
 * c         [p]
 * table     [n_tables], as in pfx_k_demean
 * e         [rows] overwritten
 * lds       distance of rows of S, a multiple of 8, >= p
 * S         [n_levels x lds] columns 0 to the next multiple of 8 overwritten, beyond p with what the tables hold there
 * Returns sum w e^2. Rows in order: the same bits on every ISA. Reads ahead of X by prefetch only. Threads: any. */
double pfx_k_level_scores(pfx_isa isa, pfx_idx n_levels, const pfx_idx *start, int p, pfx_idx ld, const double *X,
                          const double *w, const double *c, int n_tables, const pfx_k_table *table, double *e,
                          pfx_idx lds, double *S);

typedef double pfx_k_level_scores_fn(pfx_idx n_levels, const pfx_idx *start, int p, pfx_idx ld, const double *X,
                                     const double *w, const double *c, int n_tables, const pfx_k_table *table,
                                     double *e, pfx_idx lds, double *S);
pfx_k_level_scores_fn pfx_k_level_scores_portable, pfx_k_level_scores_v3, pfx_k_level_scores_v4;

#endif
