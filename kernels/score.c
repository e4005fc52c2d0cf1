#include "kernels/score.h"

#define PFX_K_SUFFIX _portable
#include "kernels/score_body.h"

void pfx_k_score(pfx_isa isa, pfx_idx n_levels, const pfx_idx *start, int p, pfx_idx ld, const double *X,
                 const double *e, const double *w, pfx_idx lds, double *S)
{
    static pfx_k_score_fn *const variant[] = PFX_VARIANTS(pfx_k_score);
    variant[isa](n_levels, start, p, ld, X, e, w, lds, S);
}

void pfx_k_scatter(pfx_isa isa, pfx_idx n, int p, pfx_idx ld, const double *X, const double *e, const double *w,
                   const int32_t *code, pfx_idx lds, double *S)
{
    static pfx_k_scatter_fn *const variant[] = PFX_VARIANTS(pfx_k_scatter);
    variant[isa](n, p, ld, X, e, w, code, lds, S);
}
