/* Body of pfx_k_project, compiled once for each ISA. */
#include "kernels/project.h"
#include "kernels/lanes.h"

void PFX_K(pfx_k_project)(pfx_idx n_levels, const pfx_idx *start, int p, pfx_idx ld, double *Z, const double *q,
                          const double *w)
{
    for (pfx_idx g = 0; g < n_levels; g++) {
        pfx_idx r0 = start[g] - start[0], r1 = start[g + 1] - start[0];
        for (int v = 0; v < v8_groups(p); v++) {
            int k = v8_live(p, v);
            double *z = Z + PFX_LANES * v;
            v8 sum = v8_zero();
            for (pfx_idx r = r0; r < r1; r++)
                sum = v8_fma(v8_set1(w ? w[r] * q[r] : q[r]), v8_loadk(z + r * ld, k), sum);
            for (pfx_idx r = r0; r < r1; r++)
                v8_storek(z + r * ld, v8_fnma(v8_set1(q[r]), sum, v8_loadk(z + r * ld, k)), k);
        }
    }
}
