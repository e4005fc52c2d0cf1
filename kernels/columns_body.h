/* Body of pfx_k_interleave and pfx_k_finite, compiled once for each ISA. Tiles of 8 rows and 8 columns are turned in
 * registers: each line of the table is written once, as long as it is. */
#include "kernels/columns.h"
#include "kernels/lanes.h"

/* In: column j of 8 rows in a[j]. Out: row r of 8 columns in a[r]. */
#if defined(__AVX512F__)
PFX_INLINE void turn(v8 a[8])
{
    v8 b[8], c[8];
    PFX_UNROLL
    for (int i = 0; i < 8; i += 2) {
        b[i] = _mm512_unpacklo_pd(a[i], a[i + 1]);     /* rows 0 2 4 6 of a pair of columns */
        b[i + 1] = _mm512_unpackhi_pd(a[i], a[i + 1]); /* rows 1 3 5 7 */
    }
    PFX_UNROLL
    for (int h = 0; h < 2; h++) { /* of four columns: rows h, h + 4; h + 2, h + 6 */
        PFX_UNROLL
        for (int f = 0; f < 8; f += 4) {
            c[f + 2 * h] = _mm512_shuffle_f64x2(b[f + h], b[f + 2 + h], 0x88);
            c[f + 2 * h + 1] = _mm512_shuffle_f64x2(b[f + h], b[f + 2 + h], 0xdd);
        }
    }
    PFX_UNROLL
    for (int h = 0; h < 2; h++) {
        a[h] = _mm512_shuffle_f64x2(c[2 * h], c[4 + 2 * h], 0x88);
        a[h + 4] = _mm512_shuffle_f64x2(c[2 * h], c[4 + 2 * h], 0xdd);
        a[h + 2] = _mm512_shuffle_f64x2(c[2 * h + 1], c[5 + 2 * h], 0x88);
        a[h + 6] = _mm512_shuffle_f64x2(c[2 * h + 1], c[5 + 2 * h], 0xdd);
    }
}
#elif defined(__AVX2__) && defined(__FMA__)
PFX_INLINE void turn4(__m256d *a, __m256d *b, __m256d *c, __m256d *d)
{
    __m256d ab0 = _mm256_unpacklo_pd(*a, *b), ab1 = _mm256_unpackhi_pd(*a, *b);
    __m256d cd0 = _mm256_unpacklo_pd(*c, *d), cd1 = _mm256_unpackhi_pd(*c, *d);
    *a = _mm256_permute2f128_pd(ab0, cd0, 0x20), *b = _mm256_permute2f128_pd(ab1, cd1, 0x20);
    *c = _mm256_permute2f128_pd(ab0, cd0, 0x31), *d = _mm256_permute2f128_pd(ab1, cd1, 0x31);
}
PFX_INLINE void turn(v8 a[8])
{
    turn4(&a[0].lo, &a[1].lo, &a[2].lo, &a[3].lo);
    turn4(&a[4].hi, &a[5].hi, &a[6].hi, &a[7].hi);
    turn4(&a[0].hi, &a[1].hi, &a[2].hi, &a[3].hi);
    turn4(&a[4].lo, &a[5].lo, &a[6].lo, &a[7].lo);
    PFX_UNROLL
    for (int i = 0; i < 4; i++) {
        __m256d t = a[i].hi; /* rows 4 .. 7 of the first columns, and rows 0 .. 3 of the last */
        a[i].hi = a[4 + i].lo;
        a[4 + i].lo = t;
    }
}
#else
PFX_INLINE void turn(v8 a[8])
{
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < i; j++) {
            double t = a[i].l[j];
            a[i].l[j] = a[j].l[i];
            a[j].l[i] = t;
        }
}
#endif

/* Columns j .. j + k - 1 of whole tiles, k <= 8. Returns the sum of 0 x: 0, or NaN. */
PFX_INLINE v8 interleave_group(pfx_idx n, const int k, const double *const *x, pfx_idx ldo, double *out)
{
    v8 sum[2] = {v8_zero(), v8_zero()};
    for (pfx_idx r = 0; r + PFX_LANES <= n; r += PFX_LANES) {
        v8 a[8];
        PFX_UNROLL
        for (int j = 0; j < 8; j++) {
            a[j] = j < k ? v8_load(x[j] + r) : v8_zero();
            if (j < k) sum[j & 1] = v8_add(v8_mul(v8_zero(), a[j]), sum[j & 1]);
        }
        turn(a);
        PFX_UNROLL
        for (int i = 0; i < 8; i++)
            if (k == PFX_LANES) v8_store(out + (r + i) * ldo, a[i]);
            else v8_storek(out + (r + i) * ldo, a[i], k);
    }
    return v8_add(sum[0], sum[1]);
}

static v8 interleave_columns(pfx_idx n, int k, const double *const *x, pfx_idx ldo, double *out)
{
    switch (k) {
    case 1: return interleave_group(n, 1, x, ldo, out);
    case 2: return interleave_group(n, 2, x, ldo, out);
    case 3: return interleave_group(n, 3, x, ldo, out);
    case 4: return interleave_group(n, 4, x, ldo, out);
    case 5: return interleave_group(n, 5, x, ldo, out);
    case 6: return interleave_group(n, 6, x, ldo, out);
    case 7: return interleave_group(n, 7, x, ldo, out);
    default: return interleave_group(n, 8, x, ldo, out);
    }
}

/* Rows that are dealt with before the next group of columns: their part of the table stays in the first-level cache. */
#define TILE_ROWS 64

bool PFX_K(pfx_k_interleave)(pfx_idx n, int p, const double *const *x, pfx_idx ldo, double *out)
{
    v8 sum = v8_zero();
    double rest = 0;
    const double *at[PFX_LANES];
    for (pfx_idx t = 0; t < n; t += TILE_ROWS) {
        pfx_idx m = n - t < TILE_ROWS ? n - t : TILE_ROWS, whole = m / PFX_LANES * PFX_LANES;
        for (int j = 0; j < p; j += PFX_LANES) {
            int k = p - j < PFX_LANES ? p - j : PFX_LANES;
            for (int i = 0; i < k; i++) at[i] = x[j + i] + t;
            sum = v8_add(sum, interleave_columns(whole, k, at, ldo, out + t * ldo + j));
            for (pfx_idx r = whole; r < m; r++)
                for (int i = 0; i < k; i++) {
                    out[(t + r) * ldo + j + i] = at[i][r];
                    rest += 0.0 * at[i][r];
                }
        }
    }
    return v8_sum(sum) + rest == 0;
}

bool PFX_K(pfx_k_finite)(pfx_idx n, const double *x)
{
    v8 sum[4] = {v8_zero(), v8_zero(), v8_zero(), v8_zero()};
    double rest = 0;
    pfx_idx i = 0;
    for (; i + 4 * PFX_LANES <= n; i += 4 * PFX_LANES)
        for (int l = 0; l < 4; l++) sum[l] = v8_add(v8_mul(v8_zero(), v8_load(x + i + l * PFX_LANES)), sum[l]);
    for (; i < n; i++) rest += 0.0 * x[i];
    return v8_sum(v8_add(v8_add(sum[0], sum[1]), v8_add(sum[2], sum[3]))) + rest == 0;
}
