#include "kernels/multinomial.h"

#define PFX_K_SUFFIX _portable
#include "kernels/multinomial_body.h"

void pfx_k_multinomial(pfx_isa isa, uint64_t seed, uint32_t purpose, uint64_t replicate, pfx_idx G,
                       pfx_idx draws, uint8_t *count)
{
    static pfx_k_multinomial_fn *const variant[] = PFX_VARIANTS(pfx_k_multinomial);
    variant[isa](seed, purpose, replicate, G, draws, count);
}
