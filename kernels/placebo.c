#include "kernels/placebo.h"

#define PFX_K_SUFFIX _portable
#include "kernels/placebo_body.h"

void pfx_k_placebo_slots(pfx_idx n_strata, const pfx_k_stratum *stratum, uint32_t *left, uint32_t *place)
{
    for (pfx_idx i = 0; i < n_strata; i++)
        for (uint32_t j = 0; j < stratum[i].m; j++) {
            *left++ = stratum[i].n - j;
            *place++ = stratum[i].first + j;
        }
}

void pfx_k_placebo_draw(pfx_isa isa, uint64_t seed, uint32_t purpose, uint64_t index, pfx_idx n_strata,
                        const pfx_k_stratum *stratum, const pfx_k_slots *slots, uint32_t *order,
                        uint32_t *taken, uint32_t *unit, uint32_t *pick)
{
    static pfx_k_placebo_draw_fn *const variant[] = PFX_VARIANTS(pfx_k_placebo_draw);
    variant[isa](seed, purpose, index, n_strata, stratum, slots, order, taken, unit, pick);
}

void pfx_k_placebo_sum(pfx_isa isa, pfx_idx n, const uint32_t *at, pfx_idx ld, const double *T, double *sum)
{
    static pfx_k_placebo_sum_fn *const variant[] = PFX_VARIANTS(pfx_k_placebo_sum);
    variant[isa](n, at, ld, T, sum);
}

void pfx_k_placebo_dot(pfx_isa isa, pfx_idx n, const uint32_t *at, pfx_idx ld, const double *T,
                       const double *c, double *out)
{
    static pfx_k_placebo_dot_fn *const variant[] = PFX_VARIANTS(pfx_k_placebo_dot);
    variant[isa](n, at, ld, T, c, out);
}
