/* Replicates as matrix products: 24 replicates lie side by side in lanes, every array of theirs is [.. x 24].
 */
#ifndef PFX_KERNELS_REPLICATE_H
#define PFX_KERNELS_REPLICATE_H

#include "src/base/cpu.h"
#include "src/base/status.h"

#define PFX_REP_LANES 24

/* W[g][l] = count[l * ld + g].
 * n      clusters, a multiple of 8
 * ld     distance of the replicates in count, >= n
 * count  [24 x ld]
 * W      [n x 24] overwritten. Threads: any. */
void pfx_k_rep_pack(pfx_idx n, pfx_idx ld, const uint8_t *count, double *W);

/* C[s][l] += sum over g of W[g][l] M[g][s], g in order.
 * n   clusters, >= 0
 * W   [n x 24]
 * ld  statistics of a cluster, a multiple of 8
 * M   [n x ld]
 * C   [ld x 24]
 * One chain of fused multiply-adds for each entry: the same bits on every ISA. Threads: any. */
void pfx_k_rep_sums(pfx_isa isa, pfx_idx n, const double *W, pfx_idx ld, const double *M, double *C);

/* out[l] += sum over g of W[g][l] (sum over s < n_stats of Q[s][l] M[g][s])^2, g and s in order.
 * n        clusters, a multiple of 8
 * n_stats  <= ld
 * Q        [n_stats x 24]
 * out      [24]; the rest as above. */
void pfx_k_rep_squares(pfx_isa isa, pfx_idx n, const double *W, pfx_idx n_stats, pfx_idx ld, const double *M,
                       const double *Q, double *out);

/* Cholesky A = LL' of 24 matrices, in place. Entry (i, j), j <= i, at row i(i+1)/2 + j of A.
 * k     rows of each, >= 0
 * tol   a pivot at or below tol times its diagonal entry is a column that depends on those before it: it is
 * left out, its column of L and its d are zero, and so is its coefficient in solutions A     [k(k+1)/2 x 24]
 * -> the part of L below the diagonal; the diagonal keeps A's d     [k x 24] out: 1 / L_jj, or 0 The same
 * bits on every ISA. Threads: any. */
void pfx_k_rep_factor(pfx_isa isa, int k, double tol, double *A, double *d);

/* x <- (LL')^-1 x for 24 right-hand sides, [k x 24] in place; `first` rows of x are known to be zero. */
void pfx_k_rep_solve(pfx_isa isa, int k, const double *L, const double *d, int first, double *x);

/* Q with sum_s Q[s] M_g[s] = h'M_g c, c = (-b, 1), over packed M_g of k + 1 columns without its last entry.
 * h, b  [k x 24]
 * Q     [k(k+1)/2 + k x 24] */
void pfx_k_rep_form(pfx_isa isa, int k, const double *h, const double *b, double *Q);

typedef void pfx_k_rep_sums_fn(pfx_idx n, const double *W, pfx_idx ld, const double *M, double *C);
typedef void pfx_k_rep_squares_fn(pfx_idx n, const double *W, pfx_idx n_stats, pfx_idx ld, const double *M,
                                  const double *Q, double *out);
typedef void pfx_k_rep_factor_fn(int k, double tol, double *A, double *d);
typedef void pfx_k_rep_solve_fn(int k, const double *L, const double *d, int first, double *x);
typedef void pfx_k_rep_form_fn(int k, const double *h, const double *b, double *Q);
pfx_k_rep_sums_fn pfx_k_rep_sums_portable, pfx_k_rep_sums_v3, pfx_k_rep_sums_v4;
pfx_k_rep_squares_fn pfx_k_rep_squares_portable, pfx_k_rep_squares_v3, pfx_k_rep_squares_v4;
pfx_k_rep_factor_fn pfx_k_rep_factor_portable, pfx_k_rep_factor_v3, pfx_k_rep_factor_v4;
pfx_k_rep_solve_fn pfx_k_rep_solve_portable, pfx_k_rep_solve_v3, pfx_k_rep_solve_v4;
pfx_k_rep_form_fn pfx_k_rep_form_portable, pfx_k_rep_form_v3, pfx_k_rep_form_v4;

#endif
