/* Eight blocks of Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011) side by side, as src/base/rng.h defines its
 * streams: lanes of 64 bits that hold 32. Included by kernel bodies, once for each ISA. */
#ifndef PFX_KERNELS_PHILOX_H
#define PFX_KERNELS_PHILOX_H

#include <stdint.h>
#include "kernels/lanes.h"

#if defined(__AVX512F__)
typedef __m512i u8x;
PFX_INLINE u8x u8x_set1(uint64_t a)
{
    return _mm512_set1_epi64((long long)a);
}
PFX_INLINE u8x u8x_load32(const uint32_t *p)
{
    return _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
PFX_INLINE u8x u8x_iota(uint32_t a)
{
    return _mm512_add_epi64(u8x_set1(a), _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7));
}
PFX_INLINE u8x u8x_mul(u8x a, u8x b)
{
    return _mm512_mul_epu32(a, b);
}
PFX_INLINE u8x u8x_high(u8x a)
{
    return _mm512_srli_epi64(a, 32);
}
PFX_INLINE u8x u8x_xor(u8x a, u8x b)
{
    return _mm512_xor_si512(a, b);
}
PFX_INLINE u8x u8x_low(u8x a)
{
    return _mm512_and_si512(a, _mm512_set1_epi64(0xffffffff));
}
PFX_INLINE u8x u8x_pair(u8x a, u8x b)
{
    return _mm512_or_si512(a, _mm512_slli_epi64(b, 32));
}
/* Bit l: a < b in lane l; both below 2^32. */
PFX_INLINE uint32_t u8x_less(u8x a, u8x b)
{
    return _mm512_cmplt_epi64_mask(a, b);
}
PFX_INLINE void u8x_store(uint64_t *p, u8x a)
{
    _mm512_storeu_si512(p, a);
}

#elif defined(__AVX2__)
typedef struct u8x {
    __m256i lo, hi;
} u8x;
#define U8X_BOTH(f, ...) ((u8x){f(a.lo, __VA_ARGS__), f(a.hi, __VA_ARGS__)})
PFX_INLINE u8x u8x_set1(uint64_t a)
{
    return (u8x){_mm256_set1_epi64x((long long)a), _mm256_set1_epi64x((long long)a)};
}
PFX_INLINE u8x u8x_load32(const uint32_t *p)
{
    return (u8x){_mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(const void *)p)),
                 _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(const void *)(p + 4)))};
}
PFX_INLINE u8x u8x_iota(uint32_t a)
{
    u8x s = u8x_set1(a);
    return (u8x){_mm256_add_epi64(s.lo, _mm256_setr_epi64x(0, 1, 2, 3)),
                 _mm256_add_epi64(s.hi, _mm256_setr_epi64x(4, 5, 6, 7))};
}
PFX_INLINE u8x u8x_mul(u8x a, u8x b)
{
    return (u8x){_mm256_mul_epu32(a.lo, b.lo), _mm256_mul_epu32(a.hi, b.hi)};
}
PFX_INLINE u8x u8x_high(u8x a)
{
    return U8X_BOTH(_mm256_srli_epi64, 32);
}
PFX_INLINE u8x u8x_xor(u8x a, u8x b)
{
    return (u8x){_mm256_xor_si256(a.lo, b.lo), _mm256_xor_si256(a.hi, b.hi)};
}
PFX_INLINE u8x u8x_low(u8x a)
{
    return U8X_BOTH(_mm256_and_si256, _mm256_set1_epi64x(0xffffffff));
}
PFX_INLINE u8x u8x_pair(u8x a, u8x b)
{
    return (u8x){_mm256_or_si256(a.lo, _mm256_slli_epi64(b.lo, 32)),
                 _mm256_or_si256(a.hi, _mm256_slli_epi64(b.hi, 32))};
}
PFX_INLINE uint32_t u8x_less(u8x a, u8x b)
{
    uint32_t lo = (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(b.lo, a.lo)));
    return lo | (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(b.hi, a.hi))) << 4;
}
PFX_INLINE void u8x_store(uint64_t *p, u8x a)
{
    _mm256_storeu_si256((__m256i *)(void *)p, a.lo);
    _mm256_storeu_si256((__m256i *)(void *)(p + 4), a.hi);
}

#else
typedef struct u8x {
    uint64_t l[8];
} u8x;
#define U8X_EACH(expr)                                                                                       \
    u8x o;                                                                                                   \
    for (int i = 0; i < 8; i++) o.l[i] = (expr);                                                             \
    return o
PFX_INLINE u8x u8x_set1(uint64_t a)
{
    U8X_EACH(a);
}
PFX_INLINE u8x u8x_load32(const uint32_t *p)
{
    U8X_EACH(p[i]);
}
PFX_INLINE u8x u8x_iota(uint32_t a)
{
    U8X_EACH((uint64_t)a + (uint64_t)i);
}
PFX_INLINE u8x u8x_mul(u8x a, u8x b)
{
    U8X_EACH((uint64_t)(uint32_t)a.l[i] * (uint32_t)b.l[i]);
}
PFX_INLINE u8x u8x_high(u8x a)
{
    U8X_EACH(a.l[i] >> 32);
}
PFX_INLINE u8x u8x_xor(u8x a, u8x b)
{
    U8X_EACH(a.l[i] ^ b.l[i]);
}
PFX_INLINE u8x u8x_low(u8x a)
{
    U8X_EACH(a.l[i] & 0xffffffff);
}
PFX_INLINE u8x u8x_pair(u8x a, u8x b)
{
    U8X_EACH(a.l[i] | b.l[i] << 32);
}
PFX_INLINE uint32_t u8x_less(u8x a, u8x b)
{
    uint32_t m = 0;
    for (int i = 0; i < 8; i++) m |= (uint32_t)(a.l[i] < b.l[i]) << i;
    return m;
}
PFX_INLINE void u8x_store(uint64_t *p, u8x a)
{
    for (int i = 0; i < 8; i++) p[i] = a.l[i];
}
#endif

/* Blocks block .. block + 7 of a stream; word w of block + l is the low half of lane l of out[w]. The high
 * halves are anything: u8x_low clears them, and u8x_mul ignores them. */
PFX_INLINE void pfx_philox8(uint64_t seed, uint32_t purpose, uint64_t index, uint32_t block, u8x out[4])
{
    const u8x m0 = u8x_set1(0xD2511F53), m1 = u8x_set1(0xCD9E8D57);
    u8x a = u8x_iota(block), b = u8x_set1((uint32_t)index), c = u8x_set1(index >> 32), d = u8x_set1(purpose);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    PFX_UNROLL_LONG
    for (int r = 0; r < 10; r++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        u8x p0 = u8x_mul(a, m0), p1 = u8x_mul(c, m1);
        a = u8x_xor(u8x_xor(u8x_high(p1), b), u8x_set1(k0));
        c = u8x_xor(u8x_xor(u8x_high(p0), d), u8x_set1(k1));
        b = p1;
        d = p0;
    }
    out[0] = a;
    out[1] = b;
    out[2] = c;
    out[3] = d;
}

/* Words of eight blocks, in the order of the stream, two to a number. */
PFX_INLINE void pfx_philox_in_order(const u8x w[4], uint64_t out[16])
{
    uint64_t a[8], b[8];
    u8x_store(a, u8x_pair(u8x_low(w[0]), w[1]));
    u8x_store(b, u8x_pair(u8x_low(w[2]), w[3]));
    PFX_UNROLL
    for (int l = 0; l < 8; l++) {
        out[2 * l] = a[l];
        out[2 * l + 1] = b[l];
    }
}

#endif
