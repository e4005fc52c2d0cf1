#include "kernels/blockcg.h"

#define PFX_K_SUFFIX _portable
#include "kernels/blockcg_body.h"

void pfx_k_spmm(pfx_isa isa, pfx_idx i0, pfx_idx i1, const pfx_idx *ptr, const int32_t *col, const double *val,
                pfx_idx ld, const double *P, double *Y, double *pq)
{
    static pfx_k_spmm_fn *const variant[] = PFX_VARIANTS(pfx_k_spmm);
    variant[isa](i0, i1, ptr, col, val, ld, P, Y, pq);
}

void pfx_k_cg_step(pfx_isa isa, pfx_idx i0, pfx_idx i1, pfx_idx ld, const double *alpha, const double *P,
                   const double *Y, const double *inv, double *X, double *R, double *rr)
{
    static pfx_k_cg_step_fn *const variant[] = PFX_VARIANTS(pfx_k_cg_step);
    variant[isa](i0, i1, ld, alpha, P, Y, inv, X, R, rr);
}

void pfx_k_coupling(pfx_isa isa, pfx_idx i0, pfx_idx i1, const int32_t *row, pfx_idx n, const double *N, pfx_idx ld,
                    const double *P, const double *Q, double *Y, double *T, double *pq)
{
    static pfx_k_coupling_fn *const variant[] = PFX_VARIANTS(pfx_k_coupling);
    variant[isa](i0, i1, row, n, N, ld, P, Q, Y, T, pq);
}

void pfx_k_cg_families(pfx_isa isa, pfx_idx f0, pfx_idx f1, const pfx_idx *ptr, const int32_t *member, const pfx_idx *at,
                       const double *M, pfx_idx ld, const double *R, double *Z, double *rz)
{
    static pfx_k_cg_families_fn *const variant[] = PFX_VARIANTS(pfx_k_cg_families);
    variant[isa](f0, f1, ptr, member, at, M, ld, R, Z, rz);
}

void pfx_k_cg_turn(pfx_isa isa, pfx_idx i0, pfx_idx i1, pfx_idx ld, const double *beta, const double *R, const double *inv, double *P)
{
    static pfx_k_cg_turn_fn *const variant[] = PFX_VARIANTS(pfx_k_cg_turn);
    variant[isa](i0, i1, ld, beta, R, inv, P);
}
