/* Bodies of the conjugate-gradient kernels, compiled once for each ISA. */
#include "kernels/blockcg.h"
#include "kernels/lanes.h"

#define MAX_GROUPS 4    /* columns held in registers at once: 32 */

PFX_INLINE void spmm_groups(pfx_idx i0, pfx_idx i1, const pfx_idx *ptr, const int32_t *col, const double *val,
                            const int ng, pfx_idx ld, const double *P, double *Y, double *pq)
{
    v8 dot[MAX_GROUPS], y[MAX_GROUPS];

    PFX_UNROLL
    for (int v = 0; v < ng; v++) dot[v] = v8_zero();
    for (pfx_idx i = i0; i < i1; i++) {
        PFX_UNROLL
        for (int v = 0; v < ng; v++) y[v] = v8_zero();
        for (pfx_idx e = ptr[i]; e < ptr[i + 1]; e++) {
            const double *x = P + col[e] * ld;
            v8 a = v8_set1(val[e]);
            PFX_UNROLL
            for (int v = 0; v < ng; v++) y[v] = v8_fma(a, v8_load(x + 8 * v), y[v]);
        }
        PFX_UNROLL
        for (int v = 0; v < ng; v++) {
            v8_store(Y + i * ld + 8 * v, y[v]);
            dot[v] = v8_fma(y[v], v8_load(P + i * ld + 8 * v), dot[v]);
        }
    }
    PFX_UNROLL
    for (int v = 0; v < ng; v++) v8_store(pq + 8 * v, dot[v]);
}

void PFX_K(pfx_k_spmm)(pfx_idx i0, pfx_idx i1, const pfx_idx *ptr, const int32_t *col, const double *val, pfx_idx ld,
                       const double *P, double *Y, double *pq)
{
    for (pfx_idx c = 0; c < ld; c += PFX_LANES * MAX_GROUPS) {
        switch (ld - c < PFX_LANES * MAX_GROUPS ? (int)(ld - c) / PFX_LANES : MAX_GROUPS) {
        case 1: spmm_groups(i0, i1, ptr, col, val, 1, ld, P + c, Y + c, pq + c); break;
        case 2: spmm_groups(i0, i1, ptr, col, val, 2, ld, P + c, Y + c, pq + c); break;
        case 3: spmm_groups(i0, i1, ptr, col, val, 3, ld, P + c, Y + c, pq + c); break;
        default: spmm_groups(i0, i1, ptr, col, val, 4, ld, P + c, Y + c, pq + c); break;
        }
    }
}

void PFX_K(pfx_k_cg_step)(pfx_idx i0, pfx_idx i1, pfx_idx ld, const double *alpha, const double *P, const double *Y,
                          const double *inv, double *X, double *R, double *rr)
{
    for (pfx_idx c = 0; c < ld; c += PFX_LANES) v8_store(rr + c, v8_zero());
    for (pfx_idx i = i0; i < i1; i++) {
        v8 m = v8_set1(inv[i]);
        for (pfx_idx c = 0; c < ld; c += PFX_LANES) {
            pfx_idx at = i * ld + c;
            v8 a = v8_load(alpha + c), r = v8_fnma(v8_load(Y + at), a, v8_load(R + at));
            v8_store(X + at, v8_fma(v8_load(P + at), a, v8_load(X + at)));
            v8_store(R + at, r);
            v8_store(rr + c, v8_fma(v8_mul(r, m), r, v8_load(rr + c)));
        }
    }
}

void PFX_K(pfx_k_cg_turn)(pfx_idx i0, pfx_idx i1, pfx_idx ld, const double *beta, const double *R, const double *inv, double *P)
{
    for (pfx_idx i = i0; i < i1; i++) {
        v8 m = v8_set1(inv[i]);
        for (pfx_idx c = 0; c < ld; c += PFX_LANES) {
            pfx_idx at = i * ld + c;
            v8 h = v8_mul(v8_load(R + at), m);
            v8_store(P + at, v8_fma(v8_load(P + at), v8_load(beta + c), h));
        }
    }
}
