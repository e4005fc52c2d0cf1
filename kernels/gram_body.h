/* Body of pfx_k_gram, compiled once for each ISA by gram.c, gram_v3.c and gram_v4.c. */
#include "kernels/gram.h"
#include "kernels/lanes.h"
#include "kernels/products.h"

#define MAX_VECTORS 3   /* 8 x 3 accumulators, 3 vectors and a broadcast fit 32 registers */

/* Columns xj[0..nj-1], one at a time, against nv groups of eight from xi, of which the last has k live lanes. */
PFX_INLINE void tile(pfx_idx n, pfx_idx ld, const double *X, const double *w, int j0, const int nj, int i0,
                     const int nv, int k, int p, double *A)
{
    v8 acc[PFX_LANES][MAX_VECTORS], x[MAX_VECTORS];

    PFX_UNROLL
    for (int j = 0; j < nj; j++) {
        PFX_UNROLL
        for (int v = 0; v < nv; v++) acc[j][v] = v8_zero();
    }
    for (pfx_idx r = 0; r < n; r++) {
        const double *row = X + r * ld;
        PFX_UNROLL
        for (int v = 0; v < nv; v++) {
            x[v] = v == nv - 1 ? v8_loadk(row + i0 + 8 * v, k) : v8_load(row + i0 + 8 * v);
            if (w) x[v] = v8_mul(x[v], v8_set1(w[r]));
        }
        PFX_UNROLL
        for (int j = 0; j < nj; j++) {
            v8 b = v8_set1(row[j0 + j]);
            PFX_UNROLL
            for (int v = 0; v < nv; v++) acc[j][v] = v8_fma(b, x[v], acc[j][v]);
        }
    }
    PFX_UNROLL
    for (int j = 0; j < nj; j++) {
        double *a = A + (pfx_idx)(j0 + j) * p + i0;
        PFX_UNROLL
        for (int v = 0; v < nv; v++) {
            int live = v == nv - 1 ? k : PFX_LANES;
            v8_storek(a + 8 * v, v8_add(v8_loadk(a + 8 * v, live), acc[j][v]), live);
        }
    }
}

#if PFX_LANES_WIDE
/* Up to 16 columns, the common case, in one sweep, with little more than the upper triangle. */
PFX_INLINE void one_sweep(pfx_idx n, const int p, pfx_idx ld, const double *X, double *A)
{
    v8 acc[MAX_PRODUCTS][BLOCK];

    clear_products(acc);
    for (pfx_idx r = 0; r < n; r++) add_products(acc, load_row(X + r * ld, p), p);
    give_products(acc, p, A);
}

/* Nine to sixteen columns with weights, in one sweep: 16 + n2 accumulators, n2 = columns beyond eight. */
PFX_INLINE void two_groups(pfx_idx n, pfx_idx ld, const double *X, const double *w, const int n2, double *A)
{
    v8 acc[PFX_LANES][2], tail[PFX_LANES];
    int p = PFX_LANES + n2;

    PFX_UNROLL
    for (int j = 0; j < PFX_LANES; j++) acc[j][0] = acc[j][1] = tail[j] = v8_zero();
    for (pfx_idx r = 0; r < n; r++) {
        const double *row = X + r * ld;
        v8 x0 = v8_load(row), x1 = v8_loadk(row + 8, n2);
        x0 = v8_mul(x0, v8_set1(w[r])), x1 = v8_mul(x1, v8_set1(w[r]));
        PFX_UNROLL
        for (int j = 0; j < PFX_LANES; j++) {
            v8 b = v8_set1(row[j]);
            acc[j][0] = v8_fma(b, x0, acc[j][0]);
            acc[j][1] = v8_fma(b, x1, acc[j][1]);
        }
        PFX_UNROLL
        for (int j = 0; j < n2; j++) tail[j] = v8_fma(v8_set1(row[8 + j]), x1, tail[j]);
    }
    PFX_UNROLL
    for (int j = 0; j < PFX_LANES; j++) {
        double *a = A + j * p;
        v8_store(a, v8_add(v8_load(a), acc[j][0]));
        v8_storek(a + 8, v8_add(v8_loadk(a + 8, n2), acc[j][1]), n2);
    }
    PFX_UNROLL
    for (int j = 0; j < n2; j++) {
        double *a = A + (8 + j) * p + 8;
        v8_storek(a, v8_add(v8_loadk(a, n2), tail[j]), n2);
    }
}
#define TILE_J 8
#define TILE_V MAX_VECTORS
#else
#define TILE_J 4        /* 4 x 8 lanes: 8 of 16 AVX2 registers */
#define TILE_V 1
#endif

/* Constant tile sizes, so that accumulators stay in registers. */
static void tile_any(pfx_idx n, pfx_idx ld, const double *X, const double *w, int j0, int nj, int i0, int nv, int k,
                     int p, double *A)
{
#define T(J, V) (w ? tile(n, ld, X, w, j0, J, i0, V, k, p, A) : tile(n, ld, X, NULL, j0, J, i0, V, k, p, A))
#if PFX_LANES_WIDE
    if (nv == 3) { T(8, 3); return; }
    if (nv == 2) { T(8, 2); return; }
    switch (nj) {
    case 8: T(8, 1); return;
    case 7: T(7, 1); return;
    case 6: T(6, 1); return;
    case 5: T(5, 1); return;
    default: break;
    }
#endif
    (void)nv;
    switch (nj) {
    case 4: T(4, 1); break;
    case 3: T(3, 1); break;
    case 2: T(2, 1); break;
    default: T(1, 1); break;
    }
#undef T
}

void PFX_K(pfx_k_gram)(pfx_idx n, int p, pfx_idx ld, const double *X, const double *w, double *A)
{
    int groups = v8_groups(p);
#if PFX_LANES_WIDE
#define TWO(N2) (w ? two_groups(n, ld, X, w, N2, A) : one_sweep(n, 8 + N2, ld, X, A))
    switch (p) {
    case 9: TWO(1); return;
    case 10: TWO(2); return;
    case 11: TWO(3); return;
    case 12: TWO(4); return;
    case 13: TWO(5); return;
    case 14: TWO(6); return;
    case 15: TWO(7); return;
    case 16: TWO(8); return;
    default: break;
    }
#undef TWO
#endif
    for (int j0 = 0; j0 < p; j0 += TILE_J) {
        int nj = p - j0 < TILE_J ? p - j0 : TILE_J;
        for (int g = j0 / PFX_LANES; g < groups; g += TILE_V) {
            int nv = groups - g < TILE_V ? groups - g : TILE_V;
            tile_any(n, ld, X, w, j0, nj, PFX_LANES * g, nv, v8_live(p, g + nv - 1), p, A);
        }
    }
}
