#include "kernels/columns.h"

#define PFX_K_SUFFIX _portable
#include "kernels/columns_body.h"

bool pfx_k_interleave(pfx_isa isa, pfx_idx n, int p, const double *const *x, pfx_idx ldo, double *out)
{
    static pfx_k_interleave_fn *const variant[] = PFX_VARIANTS(pfx_k_interleave);
    return variant[isa](n, p, x, ldo, out);
}

bool pfx_k_finite(pfx_isa isa, pfx_idx n, const double *x)
{
    static pfx_k_finite_fn *const variant[] = PFX_VARIANTS(pfx_k_finite);
    return variant[isa](n, x);
}
