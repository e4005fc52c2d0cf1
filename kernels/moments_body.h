/* Body of pfx_k_moments, compiled once for each ISA. */
#include "kernels/moments.h"
#include "kernels/lanes.h"

#define MAX_GROUPS                                                                                           \
    4 /* columns at once: 32; a chain of additions for each group, so that none waits for another */

PFX_INLINE v8 load_group(const double *row, const int v, const int ng, int k)
{
    return v == ng - 1 ? v8_loadk(row + 8 * v, k) : v8_load(row + 8 * v);
}

/* ng groups of columns, k live lanes in the last. */
PFX_INLINE void moments_groups(pfx_idx n, const int ng, int k, pfx_idx ld, const double *X, const double *w,
                               const double *origin, double inv, double *mean, double *m2)
{
    v8 o[MAX_GROUPS], m[MAX_GROUPS], sq[MAX_GROUPS];

    PFX_UNROLL
    for (int v = 0; v < ng; v++) {
        o[v] = origin ? load_group(origin, v, ng, k) : v8_zero();
        m[v] = sq[v] = v8_zero();
    }
    for (pfx_idx r = 0; r < n; r++) {
        PFX_UNROLL
        for (int v = 0; v < ng; v++) {
            v8 d = v8_sub(load_group(X + r * ld, v, ng, k), o[v]);
            m[v] = w ? v8_fma(v8_set1(w[r]), d, m[v]) : v8_add(m[v], d);
        }
    }
    PFX_UNROLL
    for (int v = 0; v < ng; v++) m[v] = v8_mul(m[v], v8_set1(inv));
    for (pfx_idx r = 0; r < n; r++) {
        PFX_UNROLL
        for (int v = 0; v < ng; v++) {
            v8 d = v8_sub(v8_sub(load_group(X + r * ld, v, ng, k), o[v]), m[v]);
            sq[v] = v8_fma(w ? v8_mul(v8_set1(w[r]), d) : d, d, sq[v]);
        }
    }
    PFX_UNROLL
    for (int v = 0; v < ng; v++) {
        v8_storek(mean + 8 * v, m[v], v == ng - 1 ? k : PFX_LANES);
        v8_storek(m2 + 8 * v, sq[v], v == ng - 1 ? k : PFX_LANES);
    }
}

double PFX_K(pfx_k_moments)(pfx_idx n, int p, pfx_idx ld, const double *X, const double *w,
                            const double *origin, double *mean, double *m2)
{
    const int groups = v8_groups(p);
    double total = w ? 0.0 : (double)n;

    for (pfx_idx r = 0; w && r < n; r++) total += w[r];
    for (int g = 0; g < groups; g += MAX_GROUPS) {
        int ng = groups - g < MAX_GROUPS ? groups - g : MAX_GROUPS, k = v8_live(p, g + ng - 1),
            c = PFX_LANES * g;
        const double *o = origin ? origin + c : NULL;
        switch (ng) {
        case 1:
            moments_groups(n, 1, k, ld, X + c, w, o, 1.0 / total, mean + c, m2 + c);
            break;
        case 2:
            moments_groups(n, 2, k, ld, X + c, w, o, 1.0 / total, mean + c, m2 + c);
            break;
        case 3:
            moments_groups(n, 3, k, ld, X + c, w, o, 1.0 / total, mean + c, m2 + c);
            break;
        default:
            moments_groups(n, 4, k, ld, X + c, w, o, 1.0 / total, mean + c, m2 + c);
            break;
        }
    }
    return total;
}
