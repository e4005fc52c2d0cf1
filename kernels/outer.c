#include "kernels/outer.h"

#define PFX_K_SUFFIX _portable
#include "kernels/outer_body.h"

void pfx_k_outer(pfx_isa isa, int32_t n, const int32_t *row, const double *f, int32_t n_tiles,
                 double *const *base, const pfx_idx *stride, pfx_idx step, const double *x)
{
    static pfx_k_outer_fn *const variant[] = PFX_VARIANTS(pfx_k_outer);
    variant[isa](n, row, f, n_tiles, base, stride, step, x);
}
