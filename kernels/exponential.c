#define PFX_K_SUFFIX _portable
#include "kernels/exponential_body.h"

void pfx_k_exponentials(pfx_isa isa, uint64_t seed, uint32_t purpose, uint64_t index, pfx_idx c,
                        double out[PFX_EXPONENTIALS])
{
    static pfx_k_exponentials_fn *const variant[] = PFX_VARIANTS(pfx_k_exponentials);
    variant[isa](seed, purpose, index, c, out);
}
