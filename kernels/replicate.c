#include "kernels/replicate.h"

#define PFX_K_SUFFIX _portable
#include "kernels/replicate_body.h"

void pfx_k_rep_pack(pfx_isa isa, pfx_idx n, pfx_idx ld, const uint8_t *count, double *W)
{
    static pfx_k_rep_pack_fn *const variant[] = PFX_VARIANTS(pfx_k_rep_pack);
    variant[isa](n, ld, count, W);
}

void pfx_k_rep_tally(pfx_isa isa, pfx_idx n, const double *W, const int32_t *pattern, double *P)
{
    static pfx_k_rep_tally_fn *const variant[] = PFX_VARIANTS(pfx_k_rep_tally);
    variant[isa](n, W, pattern, P);
}

void pfx_k_rep_sums(pfx_isa isa, pfx_idx n, const double *W, pfx_idx n_stats, pfx_idx ld, const double *M,
                    pfx_k_ahead ahead, double *C)
{
    static pfx_k_rep_sums_fn *const variant[] = PFX_VARIANTS(pfx_k_rep_sums);
    variant[isa](n, W, n_stats, ld, M, ahead, C);
}

void pfx_k_rep_scores(pfx_isa isa, pfx_idx n, pfx_idx n_stats, pfx_idx ld, const double *M, const double *Q,
                      double *out)
{
    static pfx_k_rep_scores_fn *const variant[] = PFX_VARIANTS(pfx_k_rep_scores);
    variant[isa](n, n_stats, ld, M, Q, out);
}

void pfx_k_rep_squares(pfx_isa isa, pfx_idx n, const double *W, pfx_idx n_stats, pfx_idx ld, const double *M,
                       const double *Q, const int32_t *pattern, const double *S, pfx_k_ahead ahead,
                       double *out)
{
    static pfx_k_rep_squares_fn *const variant[] = PFX_VARIANTS(pfx_k_rep_squares);
    variant[isa](n, W, n_stats, ld, M, Q, pattern, S, ahead, out);
}

void pfx_k_rep_factor(pfx_isa isa, int k, double tol, double *A, double *d)
{
    static pfx_k_rep_factor_fn *const variant[] = PFX_VARIANTS(pfx_k_rep_factor);
    variant[isa](k, tol, A, d);
}

void pfx_k_rep_solve(pfx_isa isa, int k, const double *L, const double *d, int first, double *x)
{
    static pfx_k_rep_solve_fn *const variant[] = PFX_VARIANTS(pfx_k_rep_solve);
    variant[isa](k, L, d, first, x);
}

void pfx_k_rep_form(pfx_isa isa, int k, const double *h, const double *b, double *Q)
{
    static pfx_k_rep_form_fn *const variant[] = PFX_VARIANTS(pfx_k_rep_form);
    variant[isa](k, h, b, Q);
}
