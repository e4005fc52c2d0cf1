#include "kernels/moments.h"

#define PFX_K_SUFFIX _portable
#include "kernels/moments_body.h"

double pfx_k_moments(pfx_isa isa, pfx_idx n, int p, pfx_idx ld, const double *X, const double *w, const double *origin,
                     double *mean, double *m2)
{
    static pfx_k_moments_fn *const variant[] = PFX_VARIANTS(pfx_k_moments);
    return variant[isa](n, p, ld, X, w, origin, mean, m2);
}
