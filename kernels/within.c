#include "kernels/within.h"

#define PFX_K_SUFFIX _portable
#include "kernels/within_body.h"

void pfx_k_within(pfx_isa isa, const pfx_k_within_args *a)
{
    static pfx_k_within_fn *const variant[] = PFX_VARIANTS(pfx_k_within);
    variant[isa](a);
}
