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

/* What a full matrix N adds to a product with a symmetric matrix that holds it and its transpose: for i in i0..i1-1 with
 * row[i] >= 0, Y[i] += N[row[i]] Q and T += N[row[i]]' P[i]. N [rows x n], n a multiple of 8; Q, T [n x ld], T in/out;
 * pq[j] += twice P[i][j] times what Y[i][j] gained. */
void pfx_k_coupling(pfx_isa isa, pfx_idx i0, pfx_idx i1, const int32_t *row, pfx_idx n, const double *N, pfx_idx ld,
                    const double *P, const double *Q, double *Y, double *T, double *pq);

/* X += P diag(alpha), R -= Y diag(alpha); rr[j] = sum_i R[i][j]^2 inv[i]. */
void pfx_k_cg_step(pfx_isa isa, pfx_idx i0, pfx_idx i1, pfx_idx ld, const double *alpha, const double *P,
                   const double *Y, const double *inv, double *X, double *R, double *rr);

/* Z = M R for a block-diagonal M, row by row of its families f0..f1-1 (which share no row): family f has the rows
 * member[ptr[f] .. ptr[f+1]-1] of R and Z, in any order, and the matrix M + at[f], [size x size] row-major. Rows of no
 * family are left alone. rz[j] = sum_i R[i][j] Z[i][j] over the families' rows. R and Z do not overlap. */
void pfx_k_cg_families(pfx_isa isa, pfx_idx f0, pfx_idx f1, const pfx_idx *ptr, const int32_t *member, const pfx_idx *at,
                       const double *M, pfx_idx ld, const double *R, double *Z, double *rz);

/* P = diag(inv) R + P diag(beta); inv NULL: the identity. */
void pfx_k_cg_turn(pfx_isa isa, pfx_idx i0, pfx_idx i1, pfx_idx ld, const double *beta, const double *R, const double *inv, double *P);

typedef void pfx_k_spmm_fn(pfx_idx i0, pfx_idx i1, const pfx_idx *ptr, const int32_t *col, const double *val,
                           pfx_idx ld, const double *P, double *Y, double *pq);
typedef void pfx_k_cg_step_fn(pfx_idx i0, pfx_idx i1, pfx_idx ld, const double *alpha, const double *P,
                              const double *Y, const double *inv, double *X, double *R, double *rr);
typedef void pfx_k_cg_turn_fn(pfx_idx i0, pfx_idx i1, pfx_idx ld, const double *beta, const double *R, const double *inv, double *P);
typedef void pfx_k_coupling_fn(pfx_idx i0, pfx_idx i1, const int32_t *row, pfx_idx n, const double *N, pfx_idx ld,
                               const double *P, const double *Q, double *Y, double *T, double *pq);
pfx_k_coupling_fn pfx_k_coupling_portable, pfx_k_coupling_v3, pfx_k_coupling_v4;
typedef void pfx_k_cg_families_fn(pfx_idx f0, pfx_idx f1, const pfx_idx *ptr, const int32_t *member, const pfx_idx *at,
                                  const double *M, pfx_idx ld, const double *R, double *Z, double *rz);
pfx_k_cg_families_fn pfx_k_cg_families_portable, pfx_k_cg_families_v3, pfx_k_cg_families_v4;
pfx_k_spmm_fn pfx_k_spmm_portable, pfx_k_spmm_v3, pfx_k_spmm_v4;
pfx_k_cg_step_fn pfx_k_cg_step_portable, pfx_k_cg_step_v3, pfx_k_cg_step_v4;
pfx_k_cg_turn_fn pfx_k_cg_turn_portable, pfx_k_cg_turn_v3, pfx_k_cg_turn_v4;

#endif
