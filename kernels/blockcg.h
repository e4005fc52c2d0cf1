/* Vector work of conjugate gradients for many right-hand sides at once. A block vector is [q x ld] row-major, one
 * column for each right-hand side, ld a multiple of 8, padding columns zero. Rows i0..i1-1 of the arrays are worked
 * on; sums [ld] over these rows, in order, are overwritten. The same bits on every ISA. Threads: any, over disjoint
 * rows. */
#ifndef PFX_KERNELS_BLOCKCG_H
#define PFX_KERNELS_BLOCKCG_H

#include "src/base/cpu.h"
#include "src/base/status.h"

/* Y = S P for a matrix in compressed rows (ptr [q + 1], col, val); pq[j] = sum_i P[i][j] Y[i][j]. */
void pfx_k_spmm(pfx_isa isa, pfx_idx i0, pfx_idx i1, const pfx_idx *ptr, const int32_t *col, const double *val,
                pfx_idx ld, const double *P, double *Y, double *pq);

/* X += P diag(alpha), R -= Y diag(alpha); rr[j] = sum_i R[i][j]^2 inv[i]. */
void pfx_k_cg_step(pfx_isa isa, pfx_idx i0, pfx_idx i1, pfx_idx ld, const double *alpha, const double *P,
                   const double *Y, const double *inv, double *X, double *R, double *rr);

/* P = diag(inv) R + P diag(beta). */
void pfx_k_cg_turn(pfx_isa isa, pfx_idx i0, pfx_idx i1, pfx_idx ld, const double *beta, const double *R, const double *inv, double *P);

typedef void pfx_k_spmm_fn(pfx_idx i0, pfx_idx i1, const pfx_idx *ptr, const int32_t *col, const double *val,
                           pfx_idx ld, const double *P, double *Y, double *pq);
typedef void pfx_k_cg_step_fn(pfx_idx i0, pfx_idx i1, pfx_idx ld, const double *alpha, const double *P,
                              const double *Y, const double *inv, double *X, double *R, double *rr);
typedef void pfx_k_cg_turn_fn(pfx_idx i0, pfx_idx i1, pfx_idx ld, const double *beta, const double *R, const double *inv, double *P);
pfx_k_spmm_fn pfx_k_spmm_portable, pfx_k_spmm_v3, pfx_k_spmm_v4;
pfx_k_cg_step_fn pfx_k_cg_step_portable, pfx_k_cg_step_v3, pfx_k_cg_step_v4;
pfx_k_cg_turn_fn pfx_k_cg_turn_portable, pfx_k_cg_turn_v3, pfx_k_cg_turn_v4;

#endif
