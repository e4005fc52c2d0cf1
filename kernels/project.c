#include "kernels/project.h"

#define PFX_K_SUFFIX _portable
#include "kernels/project_body.h"

void pfx_k_project(pfx_isa isa, pfx_idx n_levels, const pfx_idx *start, int p, pfx_idx ld, double *Z, const double *q,
                   const double *w)
{
    static pfx_k_project_fn *const variant[] = PFX_VARIANTS(pfx_k_project);
    variant[isa](n_levels, start, p, ld, Z, q, w);
}
