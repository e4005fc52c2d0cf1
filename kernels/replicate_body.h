/* Bodies of the replicate kernels, compiled once for each ISA. */
#include "kernels/replicate.h"
#include "kernels/turn.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#include "kernels/lanes.h"

#define N PFX_REP_LANES
#if PFX_LANES_WIDE
#define TILE_V 3 /* 8 x 3 accumulators, 3 vectors and a broadcast fit 32 registers */
#define TILE_J 8
#else
#define TILE_V 1 /* 4 x 8 lanes are 8 of 16 AVX2 registers */
#define TILE_J 4
#endif

/* acc[j][v] += sum over k of W[k][v] B[k * step_k + j * step_j], j < J, a constant where it is called. */
PFX_INLINE void tile(int J, pfx_idx n, const double *W, const double *B, pfx_idx step_k, pfx_idx step_j,
                     v8 acc[TILE_J][TILE_V])
{
    for (pfx_idx k = 0; k < n; k++, W += N, B += step_k) {
        v8 w[TILE_V];
        PFX_UNROLL
        for (int v = 0; v < TILE_V; v++) w[v] = v8_load(W + PFX_LANES * v);
        PFX_UNROLL
        for (int j = 0; j < J; j++) {
            v8 b = v8_set1(B[j * step_j]);
            PFX_UNROLL
            for (int v = 0; v < TILE_V; v++) acc[j][v] = v8_fma(w[v], b, acc[j][v]);
        }
    }
}

PFX_INLINE void load_tile(int J, const double *c, v8 acc[TILE_J][TILE_V])
{
    PFX_UNROLL
    for (int j = 0; j < J; j++) {
        PFX_UNROLL
        for (int v = 0; v < TILE_V; v++) acc[j][v] = v8_load(c + j * N + PFX_LANES * v);
    }
}

PFX_INLINE void store_tile(int J, v8 acc[TILE_J][TILE_V], double *c)
{
    PFX_UNROLL
    for (int j = 0; j < J; j++) {
        PFX_UNROLL
        for (int v = 0; v < TILE_V; v++) v8_store(c + j * N + PFX_LANES * v, acc[j][v]);
    }
}

/* Ask for part i of n of what comes next, spread over the work: asked for at once, it would stand in line. */
PFX_INLINE void ask(const pfx_k_ahead *a, pfx_idx i, pfx_idx n)
{
    for (pfx_idx l = a->lines * i / n; l < a->lines * (i + 1) / n; l++)
        __builtin_prefetch(a->from + l * PFX_LANES, 0, 2);
}

PFX_INLINE void sums_tile(int J, pfx_idx n, const double *W, pfx_idx ld, const double *M, double *C)
{
    for (int v = 0; v < N; v += PFX_LANES * TILE_V) {
        v8 acc[TILE_J][TILE_V];
        load_tile(J, C + v, acc);
        tile(J, n, W + v, M, ld, 1, acc);
        store_tile(J, acc, C + v);
    }
}

void PFX_K(pfx_k_rep_sums)(pfx_idx n, const double *W, pfx_idx n_stats, pfx_idx ld, const double *M,
                           pfx_k_ahead ahead, double *C)
{
    pfx_idx s = 0;
    for (; s + TILE_J <= n_stats; s += TILE_J) {
        ask(&ahead, s / TILE_J, n_stats / TILE_J);
        sums_tile(TILE_J, n, W, ld, M + s, C + s * N);
    }
    switch (n_stats - s) { /* the tile's size is known to the compiler: it stays in registers */
#if PFX_LANES_WIDE
    case 7:
        sums_tile(7, n, W, ld, M + s, C + s * N);
        break;
    case 6:
        sums_tile(6, n, W, ld, M + s, C + s * N);
        break;
    case 5:
        sums_tile(5, n, W, ld, M + s, C + s * N);
        break;
    case 4:
        sums_tile(4, n, W, ld, M + s, C + s * N);
        break;
#endif
    case 3:
        sums_tile(3, n, W, ld, M + s, C + s * N);
        break;
    case 2:
        sums_tile(2, n, W, ld, M + s, C + s * N);
        break;
    case 1:
        sums_tile(1, n, W, ld, M + s, C + s * N);
        break;
    default:
        break;
    }
}

/* Scores of a tile of clusters, from those of their patterns or from zero. */
PFX_INLINE void score_tile(pfx_idx n_stats, pfx_idx ld, const double *M, const double *Q,
                           const int32_t *pattern, const double *S, v8 acc[TILE_J][TILE_V])
{
    PFX_UNROLL
    for (int j = 0; j < TILE_J; j++) {
        const double *s = S ? S + (pfx_idx)pattern[j] * N : NULL;
        PFX_UNROLL
        for (int v = 0; v < TILE_V; v++) acc[j][v] = s ? v8_load(s + PFX_LANES * v) : v8_zero();
    }
    tile(TILE_J, n_stats, Q, M, 1, ld, acc);
}

void PFX_K(pfx_k_rep_scores)(pfx_idx n, pfx_idx n_stats, pfx_idx ld, const double *M, const double *Q,
                             double *out)
{
    for (pfx_idx g = 0; g < n; g += TILE_J)
        for (int v = 0; v < N; v += PFX_LANES * TILE_V) {
            v8 acc[TILE_J][TILE_V];
            score_tile(n_stats, ld, M + g * ld, Q + v, NULL, NULL, acc);
            store_tile(TILE_J, acc, out + g * N + v);
        }
}

void PFX_K(pfx_k_rep_squares)(pfx_idx n, const double *W, pfx_idx n_stats, pfx_idx ld, const double *M,
                              const double *Q, const int32_t *pattern, const double *S, pfx_k_ahead ahead,
                              double *out)
{
    for (int v0 = 0; v0 < N; v0 += PFX_LANES * TILE_V) {
        v8 sum[TILE_V];
        PFX_UNROLL
        for (int v = 0; v < TILE_V; v++) sum[v] = v8_load(out + v0 + PFX_LANES * v);
        for (pfx_idx g = 0; g < n; g += TILE_J) {
            v8 acc[TILE_J][TILE_V];
            const double *w = W + g * N + v0;
            if (v0 == 0) ask(&ahead, g / TILE_J, n / TILE_J);
            score_tile(n_stats, ld, M + g * ld, Q + v0, pattern ? pattern + g : NULL, S ? S + v0 : NULL, acc);
            PFX_UNROLL
            for (int j = 0; j < TILE_J; j++) {
                PFX_UNROLL
                for (int v = 0; v < TILE_V; v++)
                    sum[v] = v8_fma(v8_mul(acc[j][v], acc[j][v]), v8_load(w + j * N + PFX_LANES * v), sum[v]);
            }
        }
        PFX_UNROLL
        for (int v = 0; v < TILE_V; v++) v8_store(out + v0 + PFX_LANES * v, sum[v]);
    }
}

void PFX_K(pfx_k_rep_tally)(pfx_idx n, const double *W, const int32_t *pattern, double *P)
{
    for (pfx_idx g = 0; g < n; g++, W += N) {
        double *p = P + (pfx_idx)pattern[g] * N;
        PFX_UNROLL
        for (int v = 0; v < N; v += PFX_LANES) v8_store(p + v, v8_add(v8_load(p + v), v8_load(W + v)));
    }
}

void PFX_K(pfx_k_rep_pack)(pfx_idx n, pfx_idx ld, const uint8_t *count, double *W)
{
    for (pfx_idx g = 0; g < n; g += 8)
        for (int l = 0; l < N; l += 8) {
            uint8_t t[8][8];
            pfx_k_turn8(ld, count + l * ld + g, t);
            PFX_UNROLL
            for (int i = 0; i < 8; i++) v8_store(W + (g + i) * N + l, v8_from_u8(t[i]));
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
