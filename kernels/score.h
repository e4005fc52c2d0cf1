/* Sums of rows times a factor of each row: scores of clusters, right-hand sides of effects. The meat of sandwich
 * variances is pfx_k_gram of the scores. */
#ifndef PFX_KERNELS_SCORE_H
#define PFX_KERNELS_SCORE_H

#include "src/base/cpu.h"
#include "src/base/status.h"

/* Contiguous levels: S[g] = sum over the rows r of level g of X[r] e[r] w[r].
 * n_levels  levels, >= 0
 * start     [n_levels + 1] first row of each level, ascending; X, e, w begin at row start[0]
 * p         columns, >= 1
 * ld        distance of rows of X, >= p; columns p..ld-1 are not read
 * X         [rows x ld] row-major
 * e         [rows] or NULL for ones
 * w         [rows] or NULL for ones
 * lds       distance of rows of S, >= p
 * S         [n_levels x lds] columns 0..p-1 overwritten, no overlap
 * Rows in order, fused, factor e[r] * w[r] rounded first: the same bits on every ISA. Threads: any. */
void pfx_k_score(pfx_isa isa, pfx_idx n_levels, const pfx_idx *start, int p, pfx_idx ld, const double *X,
                 const double *e, const double *w, pfx_idx lds, double *S);

/* Scattered levels: S[code[r]] += X[r] e[r] w[r] for r = 0..n-1 in order.
 * code  [n] 0 <= code < rows of S; lds and S as above, S added to
 * Threads: any, with an S each. */
void pfx_k_scatter(pfx_isa isa, pfx_idx n, int p, pfx_idx ld, const double *X, const double *e, const double *w,
                   const int32_t *code, pfx_idx lds, double *S);

typedef void pfx_k_score_fn(pfx_idx n_levels, const pfx_idx *start, int p, pfx_idx ld, const double *X,
                            const double *e, const double *w, pfx_idx lds, double *S);
typedef void pfx_k_scatter_fn(pfx_idx n, int p, pfx_idx ld, const double *X, const double *e, const double *w,
                              const int32_t *code, pfx_idx lds, double *S);
pfx_k_score_fn pfx_k_score_portable, pfx_k_score_v3, pfx_k_score_v4;
pfx_k_scatter_fn pfx_k_scatter_portable, pfx_k_scatter_v3, pfx_k_scatter_v4;

#endif
