/* Bodies of the kernels of the wild bootstrap, compiled once for each ISA. */
#include <string.h>
#include "kernels/log.h"
#include "kernels/replicate.h"
#include "kernels/turn.h"
#include "kernels/wild.h"
#include "src/base/rng.h"

#define N PFX_REP_LANES
/* Vectors of a table's row that are summed in registers at once. */
#if PFX_LANES_WIDE
#define SLICE 12
#else
#define SLICE 5
#endif

void PFX_K(pfx_k_wild_signs)(uint64_t seed, uint32_t purpose, uint64_t replicate, pfx_idx c, uint64_t *out)
{
    u8x w[4];
    pfx_philox8(seed, purpose, replicate, (uint32_t)(8 * c), w);
    pfx_philox_in_order(w, out);
}

enum { SIX8 = 6 * 6 * 6 * 6 * 6 * 6 * 6 * 6, UNFAIR = (UINT64_C(1) << 32) % SIX8 };

/* The digits of one word, lowest byte first. */
PFX_INLINE u8x digits_of(u8x u, uint32_t *refused)
{
    const u8x six = u8x_set1(6);
    u8x x = u8x_mul(u, six), d = u8x_high(x);
    PFX_UNROLL
    for (int i = 1; i < 8; i++) {
        x = u8x_mul(x, six); /* of the low half alone */
        d = u8x_xor(d, u8x_left(u8x_high(x), 8 * i));
    }
    *refused = u8x_less(u8x_low(x), u8x_set1(UNFAIR));
    return d;
}

static void draw_again(uint64_t seed, uint32_t purpose, uint64_t replicate, uint32_t word, uint8_t *out)
{
    for (uint32_t n = 0;; n++) {
        uint32_t u[4];
        pfx_rng_block(seed, purpose, replicate, (UINT32_C(1) << 31) + (n << 24) + word / 4, u);
        uint64_t x = u[word % 4];
        for (int i = 0; i < 8; i++) {
            x = (uint32_t)x * UINT64_C(6);
            out[i] = (uint8_t)(x >> 32);
        }
        if ((uint32_t)x >= UNFAIR) return;
    }
}

void PFX_K(pfx_k_wild_digits)(uint64_t seed, uint32_t purpose, uint64_t replicate, pfx_idx c, uint8_t *out)
{
    u8x w[4];
    uint32_t refused[4], any = 0;
    uint64_t eight[4][8];
    pfx_philox8(seed, purpose, replicate, (uint32_t)(8 * c), w);
    PFX_UNROLL
    for (int i = 0; i < 4; i++) {
        u8x_store(eight[i], digits_of(w[i], &refused[i]));
        any |= refused[i];
    }
    for (int l = 0; l < 8; l++)
        for (int i = 0; i < 4; i++)
            memcpy(out + 8 * (4 * l + i), &eight[i][l],
                   8); /* x86-64 is little-endian, and so is every machine that this builds on */
    if (!any) return;
    for (int i = 0; i < 4; i++)
        for (int l = 0; l < 8; l++)
            if (refused[i] >> l & 1)
                draw_again(seed, purpose, replicate, (uint32_t)(32 * c + 4 * l + i), out + 8 * (4 * l + i));
}

void PFX_K(pfx_k_wild_tables)(pfx_idx n, pfx_idx ld, const double *S, double *T)
{
    for (pfx_idx t = 0; t < n; t++, S += 8 * ld, T += PFX_WILD_TABLE * ld) {
        for (pfx_idx s = 0; s < ld; s += PFX_LANES) {
            v8 x = v8_zero();
            for (int i = 0; i < 8; i++) x = v8_sub(x, v8_load(S + i * ld + s));
            v8_store(T + s, x);
        }
        for (int c = 1; c < PFX_WILD_TABLE; c++) {
            const double *row = S + __builtin_ctz((unsigned)c) * ld, *from = T + (c & (c - 1)) * ld;
            for (pfx_idx s = 0; s < ld; s += PFX_LANES)
                v8_store(T + c * ld + s, v8_fma(v8_set1(2.0), v8_load(row + s), v8_load(from + s)));
        }
    }
}

/* nv vectors of each row, from T on; nv and n are constants where it is inlined. */
PFX_INLINE void look_up(int nv, pfx_idx n, pfx_idx reps, const uint64_t *code, pfx_idx ld, const double *T,
                        double *acc)
{
    static const double sign[2] = {1, -1};
    for (pfx_idx r = 0; r < reps; r++, acc += ld) {
        v8 a[SLICE];
        uint64_t c = code[r];
        PFX_UNROLL_LONG
        for (int v = 0; v < nv; v++) a[v] = v8_load(acc + PFX_LANES * v);
        PFX_UNROLL
        for (pfx_idx t = 0; t < n; t++, c >>= 8) {
            const double *row = T + (t * PFX_WILD_TABLE + (pfx_idx)(c & 0x7f)) * ld;
            v8 s = v8_set1(sign[c >> 7 & 1]);
            PFX_UNROLL_LONG
            for (int v = 0; v < nv; v++) a[v] = v8_fma(s, v8_load(row + PFX_LANES * v), a[v]);
        }
        PFX_UNROLL_LONG
        for (int v = 0; v < nv; v++) v8_store(acc + PFX_LANES * v, a[v]);
    }
}

#define LOOK_UP(nv)                                                                                          \
    case nv:                                                                                                 \
        n == 8 ? look_up(nv, 8, reps, code, ld, T + at, acc + at)                                            \
               : look_up(nv, n, reps, code, ld, T + at, acc + at);                                           \
        break

void PFX_K(pfx_k_wild_lookup)(pfx_idx n, pfx_idx reps, const uint64_t *code, pfx_idx ld, const double *T,
                              double *acc)
{
    pfx_idx vectors = ld / PFX_LANES, slices = (vectors + SLICE - 1) / SLICE, at = 0;
    for (pfx_idx i = 0; i < slices; i++) {
        int nv = (int)(vectors * (i + 1) / slices - vectors * i / slices);
        switch (nv) {
            LOOK_UP(1);
            LOOK_UP(2);
            LOOK_UP(3);
            LOOK_UP(4);
            LOOK_UP(5);
#if SLICE > 5
            LOOK_UP(6);
            LOOK_UP(7);
            LOOK_UP(8);
            LOOK_UP(9);
            LOOK_UP(10);
            LOOK_UP(11);
            LOOK_UP(12);
#endif
        }
        at += nv * PFX_LANES;
    }
}
#undef LOOK_UP

/* Eight values by eight codes. */
PFX_INLINE v8 value_of(const uint8_t code[8], const double value[8])
{
#if defined(__AVX512F__)
    __m512i i = _mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)(const void *)code));
    return _mm512_permutexvar_pd(i, _mm512_loadu_pd(value));
#else
    double v[8];
    for (int i = 0; i < 8; i++) v[i] = value[code[i]];
    return v8_load(v);
#endif
}

void PFX_K(pfx_k_wild_pack)(pfx_idx n, pfx_idx ld, const uint8_t *code, const double *value, double *W)
{
    for (pfx_idx g = 0; g < n; g += 8)
        for (int l = 0; l < N; l += 8) {
            uint8_t t[8][8];
            pfx_k_turn8(ld, code + l * ld + g, t);
            for (int i = 0; i < 8; i++) v8_store(W + (g + i) * N + l, value_of(t[i], value));
        }
}

/* Four partial sums of every lane hide the latency of the additions. */
void PFX_K(pfx_k_wild_squares)(pfx_idx n, const double *W, int m, const double *Z, double *out)
{
    enum { PARTS = 4, VECTORS = N / PFX_LANES };
    for (int q = 0; q < m; q++) {
        v8 sum[PARTS][VECTORS];
        for (int v = 0; v < VECTORS; v++) {
            sum[0][v] = v8_load(out + q * N + PFX_LANES * v);
            for (int i = 1; i < PARTS; i++) sum[i][v] = v8_zero();
        }
        for (pfx_idx g = 0; g < n; g += PARTS) {
            PFX_UNROLL
            for (int i = 0; i < PARTS; i++) {
                v8 z = v8_set1(Z[(g + i) * m + q]);
                PFX_UNROLL
                for (int v = 0; v < VECTORS; v++) {
                    v8 w = v8_load(W + (g + i) * N + PFX_LANES * v);
                    sum[i][v] = v8_fma(v8_mul(w, w), z, sum[i][v]);
                }
            }
        }
        for (int v = 0; v < VECTORS; v++)
            v8_store(out + q * N + PFX_LANES * v,
                     v8_add(v8_add(sum[0][v], sum[1][v]), v8_add(sum[2][v], sum[3][v])));
    }
}

void PFX_K(pfx_k_wild_groups)(pfx_idx n, const pfx_idx *start, const int32_t *cell, const int32_t *boot,
                              int m, const double *a, double weight, const double *W, double *out)
{
    const v8 weights = v8_set1(weight);
    for (int v = 0; v < N; v += PFX_LANES)
        for (pfx_idx j = 0; j < n; j++) {
            v8 alpha[PFX_WILD_MAX_ALPHA];
            for (int q = 0; q < m; q++) alpha[q] = v8_zero();
            for (pfx_idx i = start[j]; i < start[j + 1]; i++) {
                v8 w = v8_load(W + (pfx_idx)boot[cell[i]] * N + v);
                for (int q = 0; q < m; q++)
                    alpha[q] = v8_fma(w, v8_set1(a[(pfx_idx)cell[i] * m + q]), alpha[q]);
            }
            double *o = out + v;
            for (int q = 0; q < m; q++)
                for (int r = 0; r <= q; r++, o += N)
                    v8_store(o, v8_fma(v8_mul(alpha[q], alpha[r]), weights, v8_load(o)));
        }
}

void PFX_K(pfx_k_wild_form)(int k, const double *Q, const double *x, const double *y, const double *tx,
                            const double *ty, double *out)
{
    for (int v = 0; v < N; v += PFX_LANES) {
        v8 sum = v8_load(out + v);
        for (int i = 0; i < k; i++) {
            v8 s = v8_zero();
            for (int j = 0; j < k; j++) s = v8_fma(v8_set1(Q[i * k + j]), v8_load(y + j * N + v), s);
            s = v8_sub(s, v8_load(ty + i * N + v));
            sum = v8_fma(v8_load(x + i * N + v), s, sum);
            sum = v8_fnma(v8_load(y + i * N + v), v8_load(tx + i * N + v), sum);
        }
        v8_store(out + v, sum);
    }
}

void PFX_K(pfx_k_wild_dot)(int k, const double *h, const double *x, double *out)
{
    for (int v = 0; v < N; v += PFX_LANES) {
        v8 sum = v8_zero();
        for (int i = 0; i < k; i++) sum = v8_fma(v8_set1(h[i]), v8_load(x + i * N + v), sum);
        v8_store(out + v, sum);
    }
}

void PFX_K(pfx_k_wild_count)(pfx_idx n, const double *const *poly, double x, const pfx_k_wild_bounds *b,
                             double *count)
{
    const v8 at = v8_set1(x), one = v8_set1(1), above = v8_set1(b->above), right = v8_set1(b->right),
             left = v8_set1(b->left), zero = v8_zero();
    v8 c[4] = {zero, zero, zero, zero};
    for (pfx_idx i = 0; i < n; i += PFX_LANES) {
        int live = n - i < PFX_LANES ? (int)(n - i) : PFX_LANES;
        v8 num = v8_fma(v8_loadk(poly[1] + i, live), at, v8_loadk(poly[0] + i, live));
        v8 var = v8_fma(v8_loadk(poly[4] + i, live), at, v8_loadk(poly[3] + i, live));
        var = v8_fma(var, at, v8_loadk(poly[2] + i, live));
        v8 t = v8_div(num, v8_sqrt(var)), good = v8_where_gt(var, zero, one);
        c[0] = v8_add(c[0], v8_where_gt(v8_mul(t, t), above, good));
        c[1] = v8_add(c[1], v8_where_gt(t, right, good));
        c[2] = v8_add(c[2], v8_where_gt(left, t, good));
        c[3] = v8_add(c[3], good);
    }
    for (int j = 0; j < 4; j++) count[j] += v8_sum(c[j]); /* whole numbers: exact in any order */
}
