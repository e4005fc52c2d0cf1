/* Cross-products of rows of up to 16 columns in registers of eight lanes, for kernels that sum them row by
 * row. Only where PFX_LANES_WIDE. */
#ifndef PFX_KERNELS_PRODUCTS_H
#define PFX_KERNELS_PRODUCTS_H

#include "kernels/lanes.h"

#if PFX_LANES_WIDE
/* Up to 16 columns are eight blocks of two, four to a register. A product of two blocks takes two fused
 * multiplications, one for each column of the first, repeated over its 128 bits; four products share a
 * register, so that the upper triangle of blocks needs little more than its entries: 12 multiplications for
 * 12 columns where whole registers take 20. Repeating within 128 bits is free beside the multiplications,
 * where moving blocks between them takes their place: it is done three times a row. */
#define BLOCK 2
#define LANES_OF_BLOCKS 4
#define MAX_PRODUCTS 9

/* Columns: lo [0..7]; hi the others: up to four, twice; more, once. */
typedef struct row {
    v8 lo, hi;
} row;

PFX_INLINE row load_row(const double *x, const int p)
{
    row r = {p >= 8 ? v8_load(x) : v8_loadk(x, p), v8_zero()};
    if (p == 12)
        r.hi = _mm512_broadcast_f64x4(_mm256_loadu_pd(x + 8));
    else if (p > 8 && p < 12)
        r.hi = _mm512_broadcast_f64x4(_mm256_maskz_loadu_pd(v8_mask(p - 8), x + 8));
    else if (p > 12)
        r.hi = v8_loadk(x + 8, p - 8);
    return r;
}

PFX_INLINE void store_row(double *to, row r, const int p)
{
    v8_store(to, r.lo);
    if (p > 12)
        v8_store(to + 8, r.hi);
    else if (p > 8)
        _mm256_storeu_pd(to + 8, _mm512_castpd512_pd256(r.hi));
}

PFX_INLINE row sub_rows(row a, row b, const int p)
{
    return (row){v8_sub(a.lo, b.lo), p > 8 ? v8_sub(a.hi, b.hi) : a.hi};
}
PFX_INLINE row add_rows(row a, row b, const int p)
{
    return (row){v8_add(a.lo, b.lo), p > 8 ? v8_add(a.hi, b.hi) : a.hi};
}

/* Which product of blocks each quarter of a pair of accumulators holds, by columns in fours; 8: none. */
typedef struct product {
    signed char first[LANES_OF_BLOCKS], second[LANES_OF_BLOCKS];
} product;
static const product products[4][MAX_PRODUCTS] = {
    {{{0, 1, 0, 8}, {0, 1, 1, 8}}},
    {{{0, 1, 2, 3}, {0, 1, 2, 3}}, {{0, 1, 2, 3}, {1, 2, 3, 0}}, {{0, 1, 8, 8}, {2, 3, 8, 8}}},
    {{{0, 1, 2, 3}, {0, 1, 2, 3}},
     {{0, 1, 2, 3}, {1, 2, 3, 0}},
     {{0, 1, 2, 3}, {4, 5, 4, 5}},
     {{0, 1, 2, 3}, {5, 4, 5, 4}},
     {{0, 1, 4, 5}, {2, 3, 4, 5}},
     {{4, 8, 8, 8}, {5, 8, 8, 8}}},
    {{{0, 1, 2, 3}, {0, 1, 2, 3}},
     {{0, 1, 2, 3}, {1, 2, 3, 0}},
     {{4, 5, 6, 7}, {4, 5, 6, 7}},
     {{4, 5, 6, 7}, {5, 6, 7, 4}},
     {{0, 1, 4, 5}, {2, 3, 6, 7}},
     {{0, 1, 2, 3}, {4, 5, 6, 7}},
     {{0, 1, 2, 3}, {5, 6, 7, 4}},
     {{0, 1, 2, 3}, {6, 7, 4, 5}},
     {{0, 1, 2, 3}, {7, 4, 5, 6}}},
};

PFX_INLINE int fours(const int p)
{
    return p <= 4 ? 0 : p <= 8 ? 1 : p <= 12 ? 2 : 3;
}
PFX_INLINE int n_products(const int p)
{
    return p <= 4 ? 1 : p <= 8 ? 3 : p <= 12 ? 6 : 9;
}

/* Blocks a, b of x, then c, d of y. */
#define BLOCKS(x, y, a, b, c, d) _mm512_shuffle_f64x2(x, y, (a) | (b) << 2 | (c) << 4 | (d) << 6)

/* The columns of the first blocks, each repeated over its block. */
typedef struct repeated {
    v8 column[BLOCK];
} repeated;

PFX_INLINE repeated repeat(v8 x)
{
    return (repeated){{_mm512_permute_pd(x, 0x00), _mm512_permute_pd(x, 0xFF)}};
}

PFX_INLINE void multiply(v8 acc[BLOCK], repeated first, v8 second)
{
    PFX_UNROLL
    for (int i = 0; i < BLOCK; i++) acc[i] = v8_fma(first.column[i], second, acc[i]);
}

/* The products of a row, in the order of the table. */
PFX_INLINE void add_products(v8 acc[MAX_PRODUCTS][BLOCK], row x, const int p)
{
    if (p <= 4) {
        multiply(acc[0], repeat(BLOCKS(x.lo, x.lo, 0, 1, 0, 0)), BLOCKS(x.lo, x.lo, 0, 1, 1, 1));
        return;
    }
    const repeated lo = repeat(x.lo);
    multiply(acc[0], lo, x.lo);
    multiply(acc[1], lo, BLOCKS(x.lo, x.lo, 1, 2, 3, 0));
    if (p <= 8) {
        multiply(acc[2], lo, BLOCKS(x.lo, x.lo, 2, 3, 0, 1));
    } else if (p <= 12) {
        const v8 turned = BLOCKS(x.hi, x.hi, 1, 0, 1, 0);
        multiply(acc[2], lo, x.hi);
        multiply(acc[3], lo, turned);
        multiply(acc[4], repeat(_mm512_mask_blend_pd(0xF0, x.lo, x.hi)), BLOCKS(x.lo, x.hi, 2, 3, 0, 1));
        multiply(acc[5], repeat(x.hi), turned);
    } else {
        const repeated hi = repeat(x.hi);
        const v8 turned = BLOCKS(x.hi, x.hi, 1, 2, 3, 0);
        multiply(acc[2], hi, x.hi);
        multiply(acc[3], hi, turned);
        multiply(acc[4], repeat(BLOCKS(x.lo, x.hi, 0, 1, 0, 1)), BLOCKS(x.lo, x.hi, 2, 3, 2, 3));
        multiply(acc[5], lo, x.hi);
        multiply(acc[6], lo, turned);
        multiply(acc[7], lo, BLOCKS(x.hi, x.hi, 2, 3, 0, 1));
        multiply(acc[8], lo, BLOCKS(x.hi, x.hi, 3, 0, 1, 2));
    }
}

PFX_INLINE void add_two(double *a, __m128d x, const int live)
{
    if (live >= 2)
        _mm_storeu_pd(a, _mm_add_pd(_mm_loadu_pd(a), x));
    else
        *a += _mm_cvtsd_f64(x);
}

/* Quarter l of a product into the upper triangle; entries below the diagonal may be added to as well. */
PFX_INLINE void give_quarter(__m128d x0, __m128d x1, int first, int second, const int p, double *A)
{
    int i = BLOCK * first, j = BLOCK * second;

    if (first > second) {
        const __m128d y0 = _mm_unpacklo_pd(x0, x1), y1 = _mm_unpackhi_pd(x0, x1);
        x0 = y0, x1 = y1;
        i = BLOCK * second, j = BLOCK * first;
    }
    if (first >= 8 || i >= p || j >= p) return;
    add_two(A + i * p + j, x0, p - j);
    if (i + 1 < p) add_two(A + (i + 1) * p + j, x1, p - j);
}

PFX_INLINE void give_products(v8 acc[MAX_PRODUCTS][BLOCK], const int p, double *A)
{
#define QUARTER(l)                                                                                           \
    give_quarter(_mm512_extractf64x2_pd(acc[k][0], l), _mm512_extractf64x2_pd(acc[k][1], l), t->first[l],    \
                 t->second[l], p, A)
    PFX_UNROLL_LONG
    for (int k = 0; k < n_products(p); k++) {
        const product *t = &products[fours(p)][k];
        QUARTER(0);
        QUARTER(1);
        QUARTER(2);
        QUARTER(3);
    }
#undef QUARTER
}

PFX_INLINE void clear_products(v8 acc[MAX_PRODUCTS][BLOCK])
{
    PFX_UNROLL_LONG
    for (int k = 0; k < MAX_PRODUCTS; k++) {
        PFX_UNROLL
        for (int i = 0; i < BLOCK; i++) acc[k][i] = v8_zero();
    }
}
#endif

#endif
