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

#define TILE_ROWS 4     /* rows of N at once, with up to two groups of columns: each element serves both products */

/* Rows i[0..nr-1], ng groups of columns. */
PFX_INLINE void coupling_tile(const int nr, const int ng, const pfx_idx *i, const double *const *N, pfx_idx n, pfx_idx ld,
                              const double *P, const double *Q, double *Y, double *T, v8 *dot)
{
    v8 y[TILE_ROWS][2], p[TILE_ROWS][2];

    PFX_UNROLL
    for (int r = 0; r < nr; r++)
        PFX_UNROLL
        for (int v = 0; v < ng; v++) y[r][v] = v8_zero(), p[r][v] = v8_load(P + i[r] * ld + 8 * v);
    for (pfx_idx j = 0; j < n; j++) {
        v8 q[2], t[2];
        PFX_UNROLL
        for (int v = 0; v < ng; v++) q[v] = v8_load(Q + j * ld + 8 * v), t[v] = v8_load(T + j * ld + 8 * v);
        PFX_UNROLL
        for (int r = 0; r < nr; r++) {
            v8 a = v8_set1(N[r][j]);
            PFX_UNROLL
            for (int v = 0; v < ng; v++) {
                y[r][v] = v8_fma(a, q[v], y[r][v]);
                t[v] = v8_fma(a, p[r][v], t[v]);
            }
        }
        PFX_UNROLL
        for (int v = 0; v < ng; v++) v8_store(T + j * ld + 8 * v, t[v]);
    }
    PFX_UNROLL
    for (int r = 0; r < nr; r++)
        PFX_UNROLL
        for (int v = 0; v < ng; v++) {
            double *to = Y + i[r] * ld + 8 * v;
            v8_store(to, v8_add(v8_load(to), y[r][v]));
            dot[v] = v8_fma(p[r][v], y[r][v], dot[v]);
        }
}

PFX_INLINE void coupling_groups(const int ng, pfx_idx i0, pfx_idx i1, const int32_t *row, pfx_idx n, const double *N,
                                pfx_idx ld, const double *P, const double *Q, double *Y, double *T, double *pq)
{
    v8 dot[2] = {v8_zero(), v8_zero()};
    pfx_idx i[TILE_ROWS] = {0};
    const double *at[TILE_ROWS] = {0};
    int nr = 0;

    for (pfx_idx r = i0; r < i1; r++) {
        if (row[r] < 0) continue;
        i[nr] = r, at[nr++] = N + row[r] * n;
        if (nr < TILE_ROWS) continue;
        coupling_tile(TILE_ROWS, ng, i, at, n, ld, P, Q, Y, T, dot);
        nr = 0;
    }
    for (int r = 0; r < nr; r++) coupling_tile(1, ng, i + r, at + r, n, ld, P, Q, Y, T, dot);
    PFX_UNROLL
    for (int v = 0; v < ng; v++) v8_store(pq + 8 * v, v8_fma(v8_set1(2.0), dot[v], v8_load(pq + 8 * v)));
}

void PFX_K(pfx_k_coupling)(pfx_idx i0, pfx_idx i1, const int32_t *row, pfx_idx n, const double *N, pfx_idx ld,
                           const double *P, const double *Q, double *Y, double *T, double *pq)
{
    pfx_idx c = 0;
    for (; c + 16 <= ld; c += 16) coupling_groups(2, i0, i1, row, n, N, ld, P + c, Q + c, Y + c, T + c, pq + c);
    for (; c < ld; c += 8) coupling_groups(1, i0, i1, row, n, N, ld, P + c, Q + c, Y + c, T + c, pq + c);
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

void PFX_K(pfx_k_cg_families)(pfx_idx f0, pfx_idx f1, const pfx_idx *ptr, const int32_t *member, const pfx_idx *at,
                              const double *M, pfx_idx ld, const double *R, double *Z, double *rz)
{
    for (pfx_idx c = 0; c < ld; c += PFX_LANES) {
        v8 dot = v8_zero();
        for (pfx_idx f = f0; f < f1; f++) {
            const int32_t *row = member + ptr[f];
            pfx_idx n = ptr[f + 1] - ptr[f];
            for (pfx_idx i = 0; i < n; i++) {
                const double *m = M + at[f] + i * n;
                v8 z = v8_zero();
                for (pfx_idx j = 0; j < n; j++) z = v8_fma(v8_set1(m[j]), v8_load(R + row[j] * ld + c), z);
                v8_store(Z + row[i] * ld + c, z);
                dot = v8_fma(z, v8_load(R + row[i] * ld + c), dot);
            }
        }
        v8_store(rz + c, dot);
    }
}

void PFX_K(pfx_k_cg_turn)(pfx_idx i0, pfx_idx i1, pfx_idx ld, const double *beta, const double *R, const double *inv, double *P)
{
    for (pfx_idx i = i0; i < i1; i++) {
        v8 m = v8_set1(inv ? inv[i] : 1.0);
        for (pfx_idx c = 0; c < ld; c += PFX_LANES) {
            pfx_idx at = i * ld + c;
            v8 h = v8_mul(v8_load(R + at), m);
            v8_store(P + at, v8_fma(v8_load(P + at), v8_load(beta + c), h));
        }
    }
}
