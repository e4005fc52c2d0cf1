/* Eight lanes of doubles: one AVX-512 register, two AVX2 registers, or plain C, whichever the file is compiled for.
 * A kernel is written once over them (NAME_body.h) and compiled three times (NAME.c, NAME_v3.c, NAME_v4.c), so that
 * all three add in the same order with the same fused operations: their results agree bit for bit. */
#ifndef PFX_KERNELS_LANES_H
#define PFX_KERNELS_LANES_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include "src/base/status.h"

#define PFX_LANES 8

/* The name of a kernel's variant: PFX_K(pfx_k_gram) is pfx_k_gram_v4 where PFX_K_SUFFIX is _v4. */
#define PFX_K_PASTE2(a, b) a##b
#define PFX_K_PASTE(a, b) PFX_K_PASTE2(a, b)
#define PFX_K(name) PFX_K_PASTE(name, PFX_K_SUFFIX)

/* A kernel's variants in the order of pfx_isa, for its dispatch. */
#if defined(PFX_NO_X86)
#define PFX_VARIANTS(name) {PFX_K_PASTE(name, _portable), PFX_K_PASTE(name, _portable), PFX_K_PASTE(name, _portable)}
#else
#define PFX_VARIANTS(name) {PFX_K_PASTE(name, _portable), PFX_K_PASTE(name, _v3), PFX_K_PASTE(name, _v4)}
#endif

#define PFX_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define PFX_UNROLL _Pragma("clang loop unroll(full)")
#define PFX_UNROLL_LONG PFX_UNROLL
#else
#define PFX_UNROLL _Pragma("GCC unroll 8")
#define PFX_UNROLL_LONG _Pragma("GCC unroll 32")
#endif

#if defined(__AVX512F__)
#include <immintrin.h>
#define PFX_LANES_WIDE 1    /* 32 registers of 8 lanes: large register tiles pay */

typedef __m512d v8;
PFX_INLINE __mmask8 v8_mask(int k) { return (__mmask8)((1u << k) - 1u); }
PFX_INLINE v8 v8_zero(void) { return _mm512_setzero_pd(); }
PFX_INLINE v8 v8_set1(double a) { return _mm512_set1_pd(a); }
/* a in the first lane, zeros in the others. */
PFX_INLINE v8 v8_first(double a) { return _mm512_zextpd128_pd512(_mm_set_sd(a)); }
PFX_INLINE v8 v8_load(const double *p) { return _mm512_loadu_pd(p); }
PFX_INLINE v8 v8_loadk(const double *p, int k) { return _mm512_maskz_loadu_pd(v8_mask(k), p); }
/* The first k lanes, zeros in the others. */
PFX_INLINE v8 v8_keep(v8 a, int k) { return _mm512_maskz_mov_pd(v8_mask(k), a); }
/* k of at most four lanes: half a register does not reach into the next line of the cache. */
PFX_INLINE v8 v8_loadk_half(const double *p, int k)
{
    return _mm512_zextpd256_pd512(_mm256_maskz_loadu_pd(v8_mask(k), p));
}
/* Eight bytes as doubles. */
PFX_INLINE v8 v8_from_u8(const uint8_t *p)
{
    return _mm512_cvtepi32_pd(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}
PFX_INLINE void v8_store(double *p, v8 a) { _mm512_storeu_pd(p, a); }
PFX_INLINE void v8_storek(double *p, v8 a, int k) { _mm512_mask_storeu_pd(p, v8_mask(k), a); }
PFX_INLINE v8 v8_add(v8 a, v8 b) { return _mm512_add_pd(a, b); }
PFX_INLINE v8 v8_sub(v8 a, v8 b) { return _mm512_sub_pd(a, b); }
PFX_INLINE v8 v8_mul(v8 a, v8 b) { return _mm512_mul_pd(a, b); }
PFX_INLINE v8 v8_fma(v8 a, v8 b, v8 c) { return _mm512_fmadd_pd(a, b, c); }
PFX_INLINE v8 v8_fnma(v8 a, v8 b, v8 c) { return _mm512_fnmadd_pd(a, b, c); }
PFX_INLINE v8 v8_div(v8 a, v8 b) { return _mm512_div_pd(a, b); }
PFX_INLINE v8 v8_sqrt(v8 a) { return _mm512_sqrt_pd(a); }
/* x where a > b, else 0. */
PFX_INLINE v8 v8_where_gt(v8 a, v8 b, v8 x)
{
    return _mm512_maskz_mov_pd(_mm512_cmp_pd_mask(a, b, _CMP_GT_OQ), x);
}
PFX_INLINE double v8_sum(v8 a)
{
    __m256d q = _mm256_add_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd(a, 1));
    __m128d d = _mm_add_pd(_mm256_castpd256_pd128(q), _mm256_extractf128_pd(q, 1));
    return _mm_cvtsd_f64(_mm_add_sd(d, _mm_unpackhi_pd(d, d)));
}

/* Lane i is v8_sum(s[i]), by the same additions. */
PFX_INLINE v8 v8_sum8(const v8 s[8])
{
    v8 q[4], d[2];
    PFX_UNROLL
    for (int i = 0; i < 4; i++)
        q[i] = _mm512_add_pd(_mm512_shuffle_f64x2(s[2 * i], s[2 * i + 1], 0x44),
                             _mm512_shuffle_f64x2(s[2 * i], s[2 * i + 1], 0xEE));
    PFX_UNROLL
    for (int i = 0; i < 2; i++)
        d[i] = _mm512_add_pd(_mm512_shuffle_f64x2(q[2 * i], q[2 * i + 1], 0x88),
                             _mm512_shuffle_f64x2(q[2 * i], q[2 * i + 1], 0xDD));
    return _mm512_permutexvar_pd(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7),
                                 _mm512_add_pd(_mm512_unpacklo_pd(d[0], d[1]), _mm512_unpackhi_pd(d[0], d[1])));
}

#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define PFX_LANES_WIDE 0

typedef struct v8 { __m256d lo, hi; } v8;
PFX_INLINE __m256i v8_mask(int k)
{
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(k), _mm256_setr_epi64x(0, 1, 2, 3));
}
PFX_INLINE v8 v8_zero(void) { return (v8){_mm256_setzero_pd(), _mm256_setzero_pd()}; }
PFX_INLINE v8 v8_set1(double a) { return (v8){_mm256_set1_pd(a), _mm256_set1_pd(a)}; }
PFX_INLINE v8 v8_first(double a) { return (v8){_mm256_zextpd128_pd256(_mm_set_sd(a)), _mm256_setzero_pd()}; }
PFX_INLINE v8 v8_load(const double *p) { return (v8){_mm256_loadu_pd(p), _mm256_loadu_pd(p + 4)}; }
PFX_INLINE v8 v8_loadk(const double *p, int k)
{
    return (v8){_mm256_maskload_pd(p, v8_mask(k)), _mm256_maskload_pd(p + 4, v8_mask(k - 4))};
}
PFX_INLINE v8 v8_keep(v8 a, int k)
{
    return (v8){_mm256_and_pd(a.lo, _mm256_castsi256_pd(v8_mask(k))), _mm256_and_pd(a.hi, _mm256_castsi256_pd(v8_mask(k - 4)))};
}
PFX_INLINE v8 v8_loadk_half(const double *p, int k)
{
    return (v8){_mm256_maskload_pd(p, v8_mask(k)), _mm256_setzero_pd()};
}
PFX_INLINE v8 v8_from_u8(const uint8_t *p)
{
    __m128i b = _mm_loadl_epi64((const __m128i *)(const void *)p);
    return (v8){_mm256_cvtepi32_pd(_mm_cvtepu8_epi32(b)), _mm256_cvtepi32_pd(_mm_cvtepu8_epi32(_mm_srli_epi64(b, 32)))};
}
PFX_INLINE void v8_store(double *p, v8 a) { _mm256_storeu_pd(p, a.lo), _mm256_storeu_pd(p + 4, a.hi); }
/* Masked stores are slow on some processors: a half register and single lanes instead. */
PFX_INLINE void v8_storek(double *p, v8 a, int k)
{
    if (k >= 8) {
        v8_store(p, a);
        return;
    }
    __m256d part = a.lo;
    int i = 0;
    if (k >= 4) _mm256_storeu_pd(p, a.lo), part = a.hi, i = 4;
    __m128d pair = _mm256_castpd256_pd128(part);
    if (k - i >= 2) _mm_storeu_pd(p + i, pair), pair = _mm256_extractf128_pd(part, 1), i += 2;
    if (k - i >= 1) _mm_store_sd(p + i, pair);
}
PFX_INLINE v8 v8_add(v8 a, v8 b) { return (v8){_mm256_add_pd(a.lo, b.lo), _mm256_add_pd(a.hi, b.hi)}; }
PFX_INLINE v8 v8_sub(v8 a, v8 b) { return (v8){_mm256_sub_pd(a.lo, b.lo), _mm256_sub_pd(a.hi, b.hi)}; }
PFX_INLINE v8 v8_mul(v8 a, v8 b) { return (v8){_mm256_mul_pd(a.lo, b.lo), _mm256_mul_pd(a.hi, b.hi)}; }
PFX_INLINE v8 v8_fma(v8 a, v8 b, v8 c)
{
    return (v8){_mm256_fmadd_pd(a.lo, b.lo, c.lo), _mm256_fmadd_pd(a.hi, b.hi, c.hi)};
}
PFX_INLINE v8 v8_fnma(v8 a, v8 b, v8 c)
{
    return (v8){_mm256_fnmadd_pd(a.lo, b.lo, c.lo), _mm256_fnmadd_pd(a.hi, b.hi, c.hi)};
}
PFX_INLINE v8 v8_div(v8 a, v8 b) { return (v8){_mm256_div_pd(a.lo, b.lo), _mm256_div_pd(a.hi, b.hi)}; }
PFX_INLINE v8 v8_sqrt(v8 a) { return (v8){_mm256_sqrt_pd(a.lo), _mm256_sqrt_pd(a.hi)}; }
PFX_INLINE v8 v8_where_gt(v8 a, v8 b, v8 x)
{
    return (v8){_mm256_and_pd(_mm256_cmp_pd(a.lo, b.lo, _CMP_GT_OQ), x.lo),
                _mm256_and_pd(_mm256_cmp_pd(a.hi, b.hi, _CMP_GT_OQ), x.hi)};
}
PFX_INLINE double v8_sum(v8 a)
{
    __m256d q = _mm256_add_pd(a.lo, a.hi);
    __m128d d = _mm_add_pd(_mm256_castpd256_pd128(q), _mm256_extractf128_pd(q, 1));
    return _mm_cvtsd_f64(_mm_add_sd(d, _mm_unpackhi_pd(d, d)));
}

PFX_INLINE __m256d v4_sum4(const v8 s[4])
{
    __m256d q[4];
    PFX_UNROLL
    for (int i = 0; i < 4; i++) q[i] = _mm256_add_pd(s[i].lo, s[i].hi);
    __m256d ac = _mm256_add_pd(_mm256_permute2f128_pd(q[0], q[2], 0x20), _mm256_permute2f128_pd(q[0], q[2], 0x31));
    __m256d bd = _mm256_add_pd(_mm256_permute2f128_pd(q[1], q[3], 0x20), _mm256_permute2f128_pd(q[1], q[3], 0x31));
    return _mm256_add_pd(_mm256_unpacklo_pd(ac, bd), _mm256_unpackhi_pd(ac, bd));
}
PFX_INLINE v8 v8_sum8(const v8 s[8]) { return (v8){v4_sum4(s), v4_sum4(s + 4)}; }

#else
#define PFX_LANES_WIDE 0

typedef struct v8 { double l[PFX_LANES]; } v8;
#define V8_EACH(expr) v8 o; for (int i = 0; i < PFX_LANES; i++) o.l[i] = (expr); return o
PFX_INLINE v8 v8_zero(void) { V8_EACH(0.0); }
PFX_INLINE v8 v8_set1(double a) { V8_EACH(a); }
PFX_INLINE v8 v8_first(double a) { V8_EACH(i == 0 ? a : 0.0); }
PFX_INLINE v8 v8_load(const double *p) { V8_EACH(p[i]); }
PFX_INLINE v8 v8_loadk(const double *p, int k) { V8_EACH(i < k ? p[i] : 0.0); }
PFX_INLINE v8 v8_keep(v8 a, int k) { V8_EACH(i < k ? a.l[i] : 0.0); }
PFX_INLINE v8 v8_loadk_half(const double *p, int k) { return v8_loadk(p, k); }
PFX_INLINE v8 v8_from_u8(const uint8_t *p) { V8_EACH(p[i]); }
PFX_INLINE void v8_store(double *p, v8 a) { for (int i = 0; i < PFX_LANES; i++) p[i] = a.l[i]; }
PFX_INLINE void v8_storek(double *p, v8 a, int k) { for (int i = 0; i < k; i++) p[i] = a.l[i]; }
PFX_INLINE v8 v8_add(v8 a, v8 b) { V8_EACH(a.l[i] + b.l[i]); }
PFX_INLINE v8 v8_sub(v8 a, v8 b) { V8_EACH(a.l[i] - b.l[i]); }
PFX_INLINE v8 v8_mul(v8 a, v8 b) { V8_EACH(a.l[i] * b.l[i]); }
PFX_INLINE v8 v8_fma(v8 a, v8 b, v8 c) { V8_EACH(fma(a.l[i], b.l[i], c.l[i])); }
PFX_INLINE v8 v8_fnma(v8 a, v8 b, v8 c) { V8_EACH(fma(-a.l[i], b.l[i], c.l[i])); }
PFX_INLINE v8 v8_div(v8 a, v8 b) { V8_EACH(a.l[i] / b.l[i]); }
PFX_INLINE v8 v8_sqrt(v8 a) { V8_EACH(sqrt(a.l[i])); }
PFX_INLINE v8 v8_where_gt(v8 a, v8 b, v8 x) { V8_EACH(a.l[i] > b.l[i] ? x.l[i] : 0.0); }
PFX_INLINE double v8_sum(v8 a)
{
    return ((a.l[0] + a.l[4]) + (a.l[2] + a.l[6])) + ((a.l[1] + a.l[5]) + (a.l[3] + a.l[7]));
}
PFX_INLINE v8 v8_sum8(const v8 s[8]) { V8_EACH(v8_sum(s[i])); }
#undef V8_EACH
#endif

/* Columns in whole groups of eight lanes. */
PFX_INLINE int v8_groups(int p) { return (p + PFX_LANES - 1) / PFX_LANES; }
/* Live lanes of group g of p columns. */
PFX_INLINE int v8_live(int p, int g) { return p - PFX_LANES * g < PFX_LANES ? p - PFX_LANES * g : PFX_LANES; }

/* Rows are streamed once: ask for the lines of row `ahead` while this one is worked on. A level's rows are few
 * and short loops defeat the hardware prefetcher (methods.md section 1: 1.7x without). */
PFX_INLINE void v8_prefetch_row(const double *row, pfx_idx ld, int p)
{
    const double *f = row + 40 * ld;    /* 16 to 48 rows ahead measure the same */
    for (int j = 0; j < p; j += PFX_LANES) __builtin_prefetch(f + j);
}

/* The lines of one row of p columns that will be wanted soon. */
PFX_INLINE void v8_prefetch_lines(const double *row, int p)
{
    for (int j = 0; j < p; j += PFX_LANES) __builtin_prefetch(row + j);
}

#endif
