/* Body of pfx_k_moments, compiled once for each ISA. */
#include "kernels/moments.h"
#include "kernels/lanes.h"

#define MAX_GROUPS                                                                                           \
    4 /* columns at once: 32; a chain of additions for each group, so that none waits for another */

PFX_INLINE v8 load_group(const double *row, const int v, const int ng, int k)
{
    return v == ng - 1 ? v8_loadk(row + 8 * v, k) : v8_load(row + 8 * v);
}

#define CHAINS 2 /* sums of even and of odd rows */

/* Sums over one row more, less the first. */
PFX_INLINE void add_row(const double *x, const double *w, const int ng, int k, const v8 *x0, v8 *sum, v8 *sq)
{
    PFX_UNROLL
    for (int v = 0; v < ng; v++) {
        const v8 d = v8_sub(load_group(x, v, ng, k), x0[v]);
        const v8 wd = w ? v8_mul(v8_set1(*w), d) : d;
        sum[v] = v8_add(sum[v], wd);
        sq[v] = v8_fma(wd, d, sq[v]);
    }
}

/* ng groups of columns, k live lanes in the last. In one pass: squares about the first row, which is one of
 * those that are summed, exceed squares about the mean by no more than the number of rows (total over the
 * first's weight) times them, so that few digits are lost whatever that row is. */
PFX_INLINE void moments_groups(pfx_idx n, const int ng, int k, pfx_idx ld, const double *X, const double *w,
                               const double *origin, double inv, double *mean, double *m2)
{
    v8 x0[MAX_GROUPS], sum[CHAINS][MAX_GROUPS], sq[CHAINS][MAX_GROUPS];
    pfx_idx r = 0;

    PFX_UNROLL
    for (int v = 0; v < ng; v++) {
        x0[v] = load_group(X, v, ng, k);
        sum[0][v] = sum[1][v] = sq[0][v] = sq[1][v] = v8_zero();
    }
    for (; r + CHAINS <= n; r += CHAINS) {
        add_row(X + r * ld, w ? w + r : NULL, ng, k, x0, sum[0], sq[0]);
        add_row(X + (r + 1) * ld, w ? w + r + 1 : NULL, ng, k, x0, sum[1], sq[1]);
    }
    if (r < n) add_row(X + r * ld, w ? w + r : NULL, ng, k, x0, sum[0], sq[0]);
    PFX_UNROLL
    for (int v = 0; v < ng; v++) {
        const int live = v == ng - 1 ? k : PFX_LANES;
        const v8 s = v8_add(sum[0][v], sum[1][v]), m = v8_mul(s, v8_set1(inv));
        const v8 left = v8_fnma(s, m, v8_add(sq[0][v], sq[1][v]));
        const v8 from = origin ? v8_sub(x0[v], load_group(origin, v, ng, k)) : x0[v];
        v8_storek(mean + 8 * v, v8_add(from, m), live);
        v8_storek(m2 + 8 * v, v8_where_gt(left, v8_zero(), left), live);
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
