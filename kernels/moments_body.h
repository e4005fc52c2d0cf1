/* Body of pfx_k_moments, compiled once for each ISA. */
#include "kernels/moments.h"
#include "kernels/lanes.h"

double PFX_K(pfx_k_moments)(pfx_idx n, int p, pfx_idx ld, const double *X, const double *w, const double *origin,
                            double *mean, double *m2)
{
    double total = 0.0;

    for (pfx_idx r = 0; r < n; r++) total += w ? w[r] : 1.0;
    v8 inv = v8_set1(1.0 / total);
    for (int g = 0; g < v8_groups(p); g++) {
        int k = v8_live(p, g), c = PFX_LANES * g;
        v8 o = origin ? v8_loadk(origin + c, k) : v8_zero(), sum = v8_zero(), sq = v8_zero();
        for (pfx_idx r = 0; r < n; r++) {
            v8 d = v8_sub(v8_loadk(X + r * ld + c, k), o);
            sum = w ? v8_fma(v8_set1(w[r]), d, sum) : v8_add(sum, d);
        }
        v8 m = v8_mul(sum, inv);
        for (pfx_idx r = 0; r < n; r++) {
            v8 d = v8_sub(v8_sub(v8_loadk(X + r * ld + c, k), o), m);
            sq = v8_fma(w ? v8_mul(v8_set1(w[r]), d) : d, d, sq);
        }
        v8_storek(mean + c, m, k);
        v8_storek(m2 + c, sq, k);
    }
    return total;
}
