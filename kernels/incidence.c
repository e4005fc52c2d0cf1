#include "kernels/incidence.h"

#define PFX_K_SUFFIX _portable
#include "kernels/incidence_body.h"

void pfx_k_incidence_add(pfx_isa isa, pfx_idx n, const uint32_t *list, const uint64_t *cells,
                         pfx_k_incidence_target *t)
{
    static pfx_k_incidence_add_fn *const variant[] = PFX_VARIANTS(pfx_k_incidence_add);
    variant[isa](n, list, cells, t);
}
