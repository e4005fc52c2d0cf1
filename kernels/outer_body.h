/* Body of the products of sparse vectors, compiled once for each ISA. */
#include "kernels/lanes.h"
#include "kernels/outer.h"

void PFX_K(pfx_k_outer)(int32_t n, const int32_t *row, const double *f, int32_t n_tiles, double *const *base,
                        const pfx_idx *stride, pfx_idx step, const double *x)
{
    for (int32_t t = 0; t < n_tiles; t++) {
        v8 v = v8_load(x + t * step);
        for (int32_t i = 0; i < n; i++) {
            double *to = base[t] + row[i] * stride[t];
            v8_store(to, v8_fnma(v8_set1(f[i]), v, v8_load(to)));
        }
    }
}
