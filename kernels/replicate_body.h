/* Bodies of the replicate kernels, compiled once for each ISA. */
#include "kernels/replicate.h"
#include "kernels/lanes.h"

#define N PFX_REP_LANES
#define VECTORS (N / PFX_LANES)
#if PFX_LANES_WIDE
#define TILE_V 3 /* 8 x 3 accumulators, 3 vectors and a broadcast fit 32 registers */
#define TILE_J 8
#else
#define TILE_V 1 /* 4 x 8 lanes are 8 of 16 AVX2 registers */
#define TILE_J 4
#endif

/* acc[j][v] += sum over k of W[k][v] B[k * step_k + j * step_j]. */
PFX_INLINE void tile(pfx_idx n, const double *W, const double *B, pfx_idx step_k, pfx_idx step_j,
                     v8 acc[TILE_J][TILE_V])
{
    for (pfx_idx k = 0; k < n; k++, W += N, B += step_k) {
        v8 w[TILE_V];
        PFX_UNROLL
        for (int v = 0; v < TILE_V; v++) w[v] = v8_load(W + PFX_LANES * v);
        PFX_UNROLL
        for (int j = 0; j < TILE_J; j++) {
            v8 b = v8_set1(B[j * step_j]);
            PFX_UNROLL
            for (int v = 0; v < TILE_V; v++) acc[j][v] = v8_fma(w[v], b, acc[j][v]);
        }
    }
}

void PFX_K(pfx_k_rep_sums)(pfx_idx n, const double *W, pfx_idx ld, const double *M, double *C)
{
    for (pfx_idx s = 0; s < ld; s += TILE_J)
        for (int v0 = 0; v0 < VECTORS; v0 += TILE_V) {
            v8 acc[TILE_J][TILE_V];
            double *c = C + s * N + PFX_LANES * v0;
            PFX_UNROLL
            for (int j = 0; j < TILE_J; j++) {
                PFX_UNROLL
                for (int v = 0; v < TILE_V; v++) acc[j][v] = v8_load(c + j * N + PFX_LANES * v);
            }
            tile(n, W + PFX_LANES * v0, M + s, ld, 1, acc);
            PFX_UNROLL
            for (int j = 0; j < TILE_J; j++) {
                PFX_UNROLL
                for (int v = 0; v < TILE_V; v++) v8_store(c + j * N + PFX_LANES * v, acc[j][v]);
            }
        }
}

void PFX_K(pfx_k_rep_squares)(pfx_idx n, const double *W, pfx_idx n_stats, pfx_idx ld, const double *M,
                              const double *Q, double *out)
{
    for (int v0 = 0; v0 < VECTORS; v0 += TILE_V) {
        v8 sum[TILE_V];
        PFX_UNROLL
        for (int v = 0; v < TILE_V; v++) sum[v] = v8_load(out + PFX_LANES * (v0 + v));
        for (pfx_idx g = 0; g < n; g += TILE_J) {
            v8 acc[TILE_J][TILE_V];
            const double *w = W + g * N + PFX_LANES * v0;
            PFX_UNROLL
            for (int j = 0; j < TILE_J; j++) {
                PFX_UNROLL
                for (int v = 0; v < TILE_V; v++) acc[j][v] = v8_zero();
            }
            tile(n_stats, Q + PFX_LANES * v0, M + g * ld, 1, ld, acc);
            PFX_UNROLL
            for (int j = 0; j < TILE_J; j++) {
                PFX_UNROLL
                for (int v = 0; v < TILE_V; v++)
                    sum[v] = v8_fma(v8_mul(acc[j][v], acc[j][v]), v8_load(w + j * N + PFX_LANES * v), sum[v]);
            }
        }
        PFX_UNROLL
        for (int v = 0; v < TILE_V; v++) v8_store(out + PFX_LANES * (v0 + v), sum[v]);
    }
}

/* a less the sum over l < n of x[l] y[l], lanes in steps of N. */
PFX_INLINE v8 less_dot(int n, v8 a, const double *x, const double *y)
{
    for (int l = 0; l < n; l++) a = v8_fnma(v8_load(x + l * N), v8_load(y + l * N), a);
    return a;
}

#define ROW(i) ((pfx_idx)(i) * ((i) + 1) / 2 * N)

void PFX_K(pfx_k_rep_factor)(int k, double tol, double *A, double *d)
{
    for (int v = 0; v < N; v += PFX_LANES)
        for (int i = 0; i < k; i++) {
            double *row = A + ROW(i) + v;
            for (int j = 0; j < i; j++)
                v8_store(row + j * N, v8_mul(less_dot(j, v8_load(row + j * N), row, A + ROW(j) + v),
                                             v8_load(d + j * N + v)));
            v8 diag = v8_load(row + i * N), pivot = less_dot(i, diag, row, row);
            v8 inv = v8_div(v8_set1(1.0), v8_sqrt(pivot));
            v8_store(d + i * N + v, v8_where_gt(pivot, v8_mul(v8_set1(tol), diag), inv));
        }
}

void PFX_K(pfx_k_rep_solve)(int k, const double *L, const double *d, int first, double *x)
{
    for (int v = 0; v < N; v += PFX_LANES) {
        for (int i = first; i < k; i++) {
            v8 s = less_dot(i - first, v8_load(x + i * N + v), L + ROW(i) + first * N + v, x + first * N + v);
            v8_store(x + i * N + v, v8_mul(s, v8_load(d + i * N + v)));
        }
        for (int i = k - 1; i >= 0; i--) {
            v8 s = v8_load(x + i * N + v);
            for (int l = i + 1; l < k; l++)
                s = v8_fnma(v8_load(L + ROW(l) + i * N + v), v8_load(x + l * N + v), s);
            v8_store(x + i * N + v, v8_mul(s, v8_load(d + i * N + v)));
        }
    }
}

void PFX_K(pfx_k_rep_form)(int k, const double *h, const double *b, double *Q)
{
    for (int v = 0; v < N; v += PFX_LANES) {
        for (int i = 0; i < k; i++) {
            v8 hi = v8_load(h + i * N + v), bi = v8_load(b + i * N + v);
            double *q = Q + ROW(i) + v;
            for (int j = 0; j < i; j++) {
                v8 s = v8_fnma(v8_load(h + j * N + v), bi, v8_zero());
                v8_store(q + j * N, v8_fnma(hi, v8_load(b + j * N + v), s));
            }
            v8_store(q + i * N, v8_fnma(hi, bi, v8_zero()));
            v8_store(Q + ROW(k) + i * N + v, hi);
        }
    }
}
