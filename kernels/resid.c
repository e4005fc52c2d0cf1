#include "kernels/resid.h"

#define PFX_K_SUFFIX _portable
#include "kernels/resid_body.h"

void pfx_k_resid(pfx_isa isa, pfx_idx n, int p, pfx_idx ld, const double *X, const double *c, double *e)
{
    static pfx_k_resid_fn *const variant[] = {
        [PFX_ISA_PORTABLE] = pfx_k_resid_portable, [PFX_ISA_V3] = pfx_k_resid_v3, [PFX_ISA_V4] = pfx_k_resid_v4};
    variant[isa](n, p, ld, X, c, e);
}
