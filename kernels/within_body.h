/* Body of pfx_k_within, compiled once for each ISA. */
#include "kernels/gram.h"
#include "kernels/lanes.h"
#include "kernels/within.h"

/* The codes of a level's rows as a set, 0 where one repeats. */
PFX_INLINE uint64_t mask_of(pfx_idx n, const int32_t *code)
{
    uint64_t mask = 0;
    bool repeats = false;
    for (pfx_idx r = 0; r < n; r++) {
        uint64_t bit = 1ull << code[r];
        repeats |= (mask & bit) != 0;
        mask |= bit;
    }
    return repeats ? 0 : mask;
}

/* Any number of columns, weights: rows by way of memory. */
static void in_two_steps(const pfx_k_within_args *a)
{
    const pfx_idx row0 = a->start[0], n = a->start[a->n_levels] - row0;

    PFX_K(pfx_k_demean)
    (a->n_levels, a->start, a->p, a->ld, a->X, a->w, 0, NULL, a->ldb, a->buf, a->sums, a->origin, a->mean);
    PFX_K(pfx_k_gram)(n, a->p, a->ldb, a->buf, a->w, a->A);
    for (pfx_idx g = 0; a->mask && g < a->n_levels; g++)
        a->mask[g] = mask_of(a->start[g + 1] - a->start[g], a->sums->code + a->start[g] - row0);
}

#if PFX_LANES_WIDE
/* Up to 16 columns are four blocks of four, two to a register. A product of two blocks takes four fused
 * multiplications, one for each column of the first, repeated over its half; two products share a register,
 * so that the upper triangle of blocks needs little more than its entries: 12 multiplications for 12 columns
 * where whole registers take 20. All operands come from registers: rows that were stored only to be broadcast
 * again cost a third of the time. */
#define BLOCK 4
#define MAX_PAIRS 5

/* Columns: lo [0..7]; hi the others: of one block, in both halves; of two, one in each. */
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

/* Column i of each half over that half. */
PFX_INLINE v8 repeat(v8 x, const int i)
{
    return i == 0   ? _mm512_permutex_pd(x, 0x00)
           : i == 1 ? _mm512_permutex_pd(x, 0x55)
           : i == 2 ? _mm512_permutex_pd(x, 0xAA)
                    : _mm512_permutex_pd(x, 0xFF);
}

/* Which product of blocks a half of a pair of accumulators holds, by the number of blocks; first <= second,
 * 4: none. */
static const struct {
    signed char first[2], second[2];
} pairs[5][MAX_PAIRS] = {
    {{{0}, {0}}},
    {{{0, 4}, {0, 4}}},
    {{{0, 1}, {0, 1}}, {{0, 4}, {1, 4}}},
    {{{0, 1}, {0, 1}}, {{0, 1}, {1, 2}}, {{0, 2}, {2, 2}}},
    {{{0, 1}, {0, 1}}, {{2, 3}, {2, 3}}, {{0, 1}, {2, 3}}, {{0, 1}, {3, 2}}, {{0, 2}, {1, 3}}},
};

PFX_INLINE int n_pairs(const int p)
{
    return p <= 4 ? 1 : p <= 8 ? 2 : p <= 12 ? 3 : 5;
}

PFX_INLINE void multiply(v8 acc[BLOCK], v8 first, v8 second)
{
    PFX_UNROLL
    for (int i = 0; i < BLOCK; i++) acc[i] = v8_fma(repeat(first, i), second, acc[i]);
}

/* The products of a row, in the order of the table. */
PFX_INLINE void add_products(v8 acc[MAX_PAIRS][BLOCK], row x, const int p)
{
    multiply(acc[0], x.lo, x.lo);
    if (p <= 4) return;
    if (p <= 8) {
        multiply(acc[1], x.lo, _mm512_shuffle_f64x2(x.lo, x.lo, 0x4E));
        return;
    }
    if (p <= 12) {
        multiply(acc[1], x.lo, _mm512_shuffle_f64x2(x.lo, x.hi, 0x4E));
        multiply(acc[2], _mm512_shuffle_f64x2(x.lo, x.hi, 0x44), x.hi);
        return;
    }
    multiply(acc[1], x.hi, x.hi);
    multiply(acc[2], x.lo, x.hi);
    multiply(acc[3], x.lo, _mm512_shuffle_f64x2(x.hi, x.hi, 0x4E));
    multiply(acc[4], _mm512_shuffle_f64x2(x.lo, x.hi, 0x44), _mm512_shuffle_f64x2(x.lo, x.hi, 0xEE));
}

PFX_INLINE void give_products(v8 acc[MAX_PAIRS][BLOCK], const int p, double *A)
{
    const int blocks = (p + BLOCK - 1) / BLOCK;

    for (int k = 0; k < n_pairs(p); k++)
        for (int half = 0; half < 2; half++) {
            int i0 = BLOCK * pairs[blocks][k].first[half], j0 = BLOCK * pairs[blocks][k].second[half];
            if (i0 >= p) continue;
            __mmask8 live = v8_mask(p - j0 < BLOCK ? p - j0 : BLOCK);
            for (int i = 0; i < BLOCK && i0 + i < p; i++) {
                double *a = A + (i0 + i) * p + j0;
                __m256d s = half ? _mm512_extractf64x4_pd(acc[k][i], 1) : _mm512_castpd512_pd256(acc[k][i]);
                _mm256_mask_storeu_pd(a, live, _mm256_add_pd(_mm256_maskz_loadu_pd(live, a), s));
            }
        }
}

PFX_INLINE void in_registers(const pfx_k_within_args *a, const int p, const bool with_sums)
{
    const pfx_idx row0 = a->start[0], ld = a->ld, lds = with_sums ? a->sums->ld : 0;
    const int32_t *code = with_sums ? a->sums->code : NULL;
    double *C = with_sums ? a->sums->C : NULL;
    const bool wide = with_sums && a->sums->wide;
    v8 acc[MAX_PAIRS][BLOCK];

    PFX_UNROLL
    for (int k = 0; k < MAX_PAIRS; k++) {
        PFX_UNROLL
        for (int i = 0; i < BLOCK; i++) acc[k][i] = v8_zero();
    }
    for (pfx_idx g = 0; g < a->n_levels; g++) {
        const pfx_idx r0 = a->start[g] - row0, n = a->start[g + 1] - a->start[g];
        const double *x0 = a->X + r0 * ld, *x1 = x0 + n * ld;
        row ref = load_row(x0, p), mean = {v8_zero(), v8_zero()};
        uint64_t mask = 0;

        for (const double *x = x0; x < x1; x += ld) {
            v8_prefetch_row(x, ld, p);
            mean = add_rows(mean, sub_rows(load_row(x, p), ref, p), p);
        }
        for (pfx_idx r = r0; wide && r < r0 + n; r++) v8_prefetch_lines(C + code[r] * lds, p);
        v8 inv = v8_set1(1.0 / (double)n);
        mean.lo = v8_mul(mean.lo, inv);
        if (p > 8) mean.hi = v8_mul(mean.hi, inv);
        if (a->mean)
            store_row(a->mean + g * a->ldm, add_rows(sub_rows(ref, load_row(a->origin, p), p), mean, p), p);

        const int32_t *at = with_sums ? code + r0 : NULL;
        for (const double *x = x0; x < x1; x += ld) {
            row z = sub_rows(sub_rows(load_row(x, p), ref, p), mean, p);
            if (with_sums) {
                double *c = C + *at * lds;
                mask |= 1ull << (*at++ & 63);
                v8_store(c, v8_add(v8_load(c), z.lo));
                if (p > 12)
                    v8_store(c + 8, v8_add(v8_load(c + 8), z.hi));
                else if (p > 8)
                    _mm256_storeu_pd(c + 8,
                                     _mm256_add_pd(_mm256_loadu_pd(c + 8), _mm512_castpd512_pd256(z.hi)));
            }
            add_products(acc, z, p);
        }
        if (with_sums && a->mask) a->mask[g] = __builtin_popcountll(mask) == n ? mask : 0;
    }
    give_products(acc, p, a->A);
}

void PFX_K(pfx_k_within)(const pfx_k_within_args *a)
{
#define CASE(P)                                                                                              \
    case P:                                                                                                  \
        if (a->sums)                                                                                         \
            in_registers(a, P, true);                                                                        \
        else                                                                                                 \
            in_registers(a, P, false);                                                                       \
        break
    switch (a->w ? 0 : a->p) {
        CASE(1);
        CASE(2);
        CASE(3);
        CASE(4);
        CASE(5);
        CASE(6);
        CASE(7);
        CASE(8);
        CASE(9);
        CASE(10);
        CASE(11);
        CASE(12);
        CASE(13);
        CASE(14);
        CASE(15);
        CASE(16);
    default:
        in_two_steps(a);
        break;
    }
#undef CASE
}
#else
void PFX_K(pfx_k_within)(const pfx_k_within_args *a)
{
    in_two_steps(a);
}
#endif
