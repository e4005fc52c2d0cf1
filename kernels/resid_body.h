/* Body of pfx_k_resid, compiled once for each ISA. */
#include "kernels/resid.h"
#include "kernels/lanes.h"

#define MAX_GROUPS 4    /* columns held in registers at once: 32 */

/* ng groups of columns from X and c, k live lanes in the last; adds to e unless first. */
PFX_INLINE void dot_groups(pfx_idx n, const int ng, int k, pfx_idx ld, const double *X, const double *c, int first,
                           double *e)
{
    v8 cv[MAX_GROUPS];

    PFX_UNROLL
    for (int g = 0; g < ng; g++) cv[g] = v8_loadk(c + 8 * g, g == ng - 1 ? k : PFX_LANES);
    for (pfx_idx r = 0; r < n; r++) {
        const double *row = X + r * ld;
        v8 s = v8_mul(ng == 1 ? v8_loadk(row, k) : v8_load(row), cv[0]);
        PFX_UNROLL
        for (int g = 1; g < ng; g++)
            s = v8_fma(g == ng - 1 ? v8_loadk(row + 8 * g, k) : v8_load(row + 8 * g), cv[g], s);
        e[r] = first ? v8_sum(s) : e[r] + v8_sum(s);
    }
}

void PFX_K(pfx_k_resid)(pfx_idx n, int p, pfx_idx ld, const double *X, const double *c, double *e)
{
    int groups = v8_groups(p);

    for (int g = 0; g < groups; g += MAX_GROUPS) {
        int ng = groups - g < MAX_GROUPS ? groups - g : MAX_GROUPS, k = v8_live(p, g + ng - 1);
        const double *x = X + PFX_LANES * g, *cg = c + PFX_LANES * g;
        switch (ng) {
        case 1: dot_groups(n, 1, k, ld, x, cg, g == 0, e); break;
        case 2: dot_groups(n, 2, k, ld, x, cg, g == 0, e); break;
        case 3: dot_groups(n, 3, k, ld, x, cg, g == 0, e); break;
        default: dot_groups(n, 4, k, ld, x, cg, g == 0, e); break;
        }
    }
}
