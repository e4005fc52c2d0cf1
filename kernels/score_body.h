/* Bodies of pfx_k_score and pfx_k_scatter, compiled once for each ISA. */
#include "kernels/score.h"
#include "kernels/lanes.h"

#define MAX_GROUPS 4    /* columns held in registers at once: 32 */

PFX_INLINE double factor(const double *e, const double *w, pfx_idx r)
{
    return e ? (w ? e[r] * w[r] : e[r]) : (w ? w[r] : 1.0);
}

PFX_INLINE v8 load_group(const double *row, const int g, const int ng, int k)
{
    return g == ng - 1 ? v8_loadk(row + 8 * g, k) : v8_load(row + 8 * g);
}

/* ng groups of columns, k live lanes in the last. */
PFX_INLINE void score_groups(pfx_idx n_levels, const pfx_idx *start, const int ng, int k, pfx_idx ld,
                             const double *X, const double *e, const double *w, pfx_idx lds, double *S)
{
    for (pfx_idx g = 0; g < n_levels; g++) {
        v8 s[MAX_GROUPS];
        PFX_UNROLL
        for (int v = 0; v < ng; v++) s[v] = v8_zero();
        for (pfx_idx r = start[g] - start[0]; r < start[g + 1] - start[0]; r++) {
            v8 f = v8_set1(factor(e, w, r));
            PFX_UNROLL
            for (int v = 0; v < ng; v++) s[v] = v8_fma(f, load_group(X + r * ld, v, ng, k), s[v]);
        }
        PFX_UNROLL
        for (int v = 0; v < ng; v++) v8_storek(S + g * lds + 8 * v, s[v], v == ng - 1 ? k : PFX_LANES);
    }
}

PFX_INLINE void scatter_groups(pfx_idx n, const int ng, int k, pfx_idx ld, const double *X, const double *e,
                               const double *w, const int32_t *code, pfx_idx lds, double *S)
{
    for (pfx_idx r = 0; r < n; r++) {
        v8 f = v8_set1(factor(e, w, r));
        double *s = S + code[r] * lds;
        PFX_UNROLL
        for (int v = 0; v < ng; v++) {
            int live = v == ng - 1 ? k : PFX_LANES;
            v8_storek(s + 8 * v, v8_fma(f, load_group(X + r * ld, v, ng, k), v8_loadk(s + 8 * v, live)), live);
        }
    }
}

void PFX_K(pfx_k_score)(pfx_idx n_levels, const pfx_idx *start, int p, pfx_idx ld, const double *X, const double *e,
                        const double *w, pfx_idx lds, double *S)
{
    int groups = v8_groups(p);

    for (int g = 0; g < groups; g += MAX_GROUPS) {
        int ng = groups - g < MAX_GROUPS ? groups - g : MAX_GROUPS, k = v8_live(p, g + ng - 1);
        const double *x = X + PFX_LANES * g;
        double *s = S + PFX_LANES * g;
        switch (ng) {
        case 1: score_groups(n_levels, start, 1, k, ld, x, e, w, lds, s); break;
        case 2: score_groups(n_levels, start, 2, k, ld, x, e, w, lds, s); break;
        case 3: score_groups(n_levels, start, 3, k, ld, x, e, w, lds, s); break;
        default: score_groups(n_levels, start, 4, k, ld, x, e, w, lds, s); break;
        }
    }
}

void PFX_K(pfx_k_scatter)(pfx_idx n, int p, pfx_idx ld, const double *X, const double *e, const double *w,
                          const int32_t *code, pfx_idx lds, double *S)
{
    int groups = v8_groups(p);

    for (int g = 0; g < groups; g += MAX_GROUPS) {
        int ng = groups - g < MAX_GROUPS ? groups - g : MAX_GROUPS, k = v8_live(p, g + ng - 1);
        const double *x = X + PFX_LANES * g;
        double *s = S + PFX_LANES * g;
        switch (ng) {
        case 1: scatter_groups(n, 1, k, ld, x, e, w, code, lds, s); break;
        case 2: scatter_groups(n, 2, k, ld, x, e, w, code, lds, s); break;
        case 3: scatter_groups(n, 3, k, ld, x, e, w, code, lds, s); break;
        default: scatter_groups(n, 4, k, ld, x, e, w, code, lds, s); break;
        }
    }
}
