/* Replicates as matrix products: 24 replicates lie side by side in lanes, every array of theirs is [.. x 24].
 */
#ifndef PFX_KERNELS_REPLICATE_H
#define PFX_KERNELS_REPLICATE_H

#include "src/base/cpu.h"
#include "src/base/status.h"

#define PFX_REP_LANES 24

/* What the next call will read: it is asked for while this one computes, and changes no result. */
typedef struct pfx_k_ahead {
    const double *from;
    pfx_idx lines; /* of 64 bytes; 0: nothing */
} pfx_k_ahead;

/* W[g][l] = count[l * ld + g].
 * n      clusters, a multiple of 8
 * ld     distance of the replicates in count, >= n
 * count  [24 x ld]
 * W      [n x 24] overwritten. Threads: any. */
void pfx_k_rep_pack(pfx_isa isa, pfx_idx n, pfx_idx ld, const uint8_t *count, double *W);

/* P[pattern[g]][l] += W[g][l], g in order: weights of clusters that have statistics in common. */
void pfx_k_rep_tally(pfx_isa isa, pfx_idx n, const double *W, const int32_t *pattern, double *P);

/* C[s][l] += sum over g of W[g][l] M[g][s], s < n_stats, g in order.
 * n        clusters, >= 0
 * W        [n x 24]
 * n_stats  <= ld
 * ld       distance of the clusters in M
 * M        [n x ld]
 * C        [n_stats x 24]
 * One chain of fused multiply-adds for each entry: the same bits on every ISA. Threads: any. */
void pfx_k_rep_sums(pfx_isa isa, pfx_idx n, const double *W, pfx_idx n_stats, pfx_idx ld, const double *M,
                    pfx_k_ahead ahead, double *C);

/* out[g][l] = sum over s < n_stats of Q[s][l] M[g][s], s in order.
 * n    a multiple of 8
 * Q    [n_stats x 24]
 * out  [n x 24]; the rest as above. */
void pfx_k_rep_scores(pfx_isa isa, pfx_idx n, pfx_idx n_stats, pfx_idx ld, const double *M, const double *Q,
                      double *out);

/* out[l] += sum over g of W[g][l] (S[pattern[g]][l] + sum over s < n_stats of Q[s][l] M[g][s])^2, g and s in
 * order. n        clusters, a multiple of 8 pattern  [n], S [patterns x 24]: what clusters have in common;
 * both NULL: nothing out      [24]; the rest as above. */
void pfx_k_rep_squares(pfx_isa isa, pfx_idx n, const double *W, pfx_idx n_stats, pfx_idx ld, const double *M,
                       const double *Q, const int32_t *pattern, const double *S, pfx_k_ahead ahead,
                       double *out);

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

typedef void pfx_k_rep_pack_fn(pfx_idx n, pfx_idx ld, const uint8_t *count, double *W);
typedef void pfx_k_rep_tally_fn(pfx_idx n, const double *W, const int32_t *pattern, double *P);
typedef void pfx_k_rep_sums_fn(pfx_idx n, const double *W, pfx_idx n_stats, pfx_idx ld, const double *M,
                               pfx_k_ahead ahead, double *C);
typedef void pfx_k_rep_scores_fn(pfx_idx n, pfx_idx n_stats, pfx_idx ld, const double *M, const double *Q,
                                 double *out);
typedef void pfx_k_rep_squares_fn(pfx_idx n, const double *W, pfx_idx n_stats, pfx_idx ld, const double *M,
                                  const double *Q, const int32_t *pattern, const double *S, pfx_k_ahead ahead,
                                  double *out);
typedef void pfx_k_rep_factor_fn(int k, double tol, double *A, double *d);
typedef void pfx_k_rep_solve_fn(int k, const double *L, const double *d, int first, double *x);
typedef void pfx_k_rep_form_fn(int k, const double *h, const double *b, double *Q);
pfx_k_rep_pack_fn pfx_k_rep_pack_portable, pfx_k_rep_pack_v3, pfx_k_rep_pack_v4;
pfx_k_rep_tally_fn pfx_k_rep_tally_portable, pfx_k_rep_tally_v3, pfx_k_rep_tally_v4;
pfx_k_rep_scores_fn pfx_k_rep_scores_portable, pfx_k_rep_scores_v3, pfx_k_rep_scores_v4;
pfx_k_rep_sums_fn pfx_k_rep_sums_portable, pfx_k_rep_sums_v3, pfx_k_rep_sums_v4;
pfx_k_rep_squares_fn pfx_k_rep_squares_portable, pfx_k_rep_squares_v3, pfx_k_rep_squares_v4;
pfx_k_rep_factor_fn pfx_k_rep_factor_portable, pfx_k_rep_factor_v3, pfx_k_rep_factor_v4;
pfx_k_rep_solve_fn pfx_k_rep_solve_portable, pfx_k_rep_solve_v3, pfx_k_rep_solve_v4;
pfx_k_rep_form_fn pfx_k_rep_form_portable, pfx_k_rep_form_v3, pfx_k_rep_form_v4;

#endif
