#include "kernels/codes.h"

#define PFX_K_SUFFIX _portable
#include "kernels/codes_body.h"

int pfx_k_codes(pfx_isa isa, pfx_idx r0, pfx_idx r1, const int32_t *f, const int32_t *g, pfx_idx n_levels,
                pfx_idx *start)
{
    static pfx_k_codes_fn *const variant[] = PFX_VARIANTS(pfx_k_codes);
    return variant[isa](r0, r1, f, g, n_levels, start);
}
