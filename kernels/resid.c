#include "kernels/resid.h"

#define PFX_K_SUFFIX _portable
#include "kernels/resid_body.h"

void pfx_k_resid(pfx_isa isa, pfx_idx n, int p, pfx_idx ld, const double *X, const double *c, double *e)
{
    static pfx_k_resid_fn *const variant[] = PFX_VARIANTS(pfx_k_resid);
    variant[isa](n, p, ld, X, c, e);
}
