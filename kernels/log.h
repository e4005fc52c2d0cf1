/* The logarithm of eight lanes. Included by kernel bodies, once for each ISA. */
#ifndef PFX_KERNELS_LOG_H
#define PFX_KERNELS_LOG_H

#include "kernels/philox.h"

#if defined(__AVX512F__)
PFX_INLINE u8x u8x_add(u8x a, u8x b)
{
    return _mm512_add_epi64(a, b);
}
PFX_INLINE u8x u8x_sub(u8x a, u8x b)
{
    return _mm512_sub_epi64(a, b);
}
PFX_INLINE u8x u8x_right(u8x a, int n)
{
    return _mm512_srli_epi64(a, (unsigned)n);
}
PFX_INLINE u8x u8x_left(u8x a, int n)
{
    return _mm512_slli_epi64(a, (unsigned)n);
}
PFX_INLINE v8 u8x_as_v8(u8x a)
{
    return _mm512_castsi512_pd(a);
}
PFX_INLINE u8x v8_as_u8x(v8 a)
{
    return _mm512_castpd_si512(a);
}

#elif defined(__AVX2__)
PFX_INLINE u8x u8x_add(u8x a, u8x b)
{
    return (u8x){_mm256_add_epi64(a.lo, b.lo), _mm256_add_epi64(a.hi, b.hi)};
}
PFX_INLINE u8x u8x_sub(u8x a, u8x b)
{
    return (u8x){_mm256_sub_epi64(a.lo, b.lo), _mm256_sub_epi64(a.hi, b.hi)};
}
PFX_INLINE u8x u8x_right(u8x a, int n)
{
    return U8X_BOTH(_mm256_srli_epi64, n);
}
PFX_INLINE u8x u8x_left(u8x a, int n)
{
    return U8X_BOTH(_mm256_slli_epi64, n);
}
PFX_INLINE v8 u8x_as_v8(u8x a)
{
    return (v8){_mm256_castsi256_pd(a.lo), _mm256_castsi256_pd(a.hi)};
}
PFX_INLINE u8x v8_as_u8x(v8 a)
{
    return (u8x){_mm256_castpd_si256(a.lo), _mm256_castpd_si256(a.hi)};
}

#else
#include <string.h>
PFX_INLINE u8x u8x_add(u8x a, u8x b)
{
    U8X_EACH(a.l[i] + b.l[i]);
}
PFX_INLINE u8x u8x_sub(u8x a, u8x b)
{
    U8X_EACH(a.l[i] - b.l[i]);
}
PFX_INLINE u8x u8x_right(u8x a, int n)
{
    U8X_EACH(a.l[i] >> n);
}
PFX_INLINE u8x u8x_left(u8x a, int n)
{
    U8X_EACH(a.l[i] << n);
}
PFX_INLINE v8 u8x_as_v8(u8x a)
{
    v8 o;
    memcpy(&o, &a, sizeof o);
    return o;
}
PFX_INLINE u8x v8_as_u8x(v8 a)
{
    u8x o;
    memcpy(&o, &a, sizeof o);
    return o;
}
#endif

/* log(x) of normal positive numbers, to about 1e-16 of it. x = 2^e m with m in [sqrt(1/2), sqrt(2)), and
 * log(m) = 2 atanh(s), s = (m - 1)/(m + 1), by the series in s^2 <= 0.0295, ten terms of which are enough. */
PFX_INLINE v8 v8_log(v8 x)
{
    static const double ln2_high = 0x1.62e42fefa3800p-1, ln2_low = 0x1.ef35793c76730p-45;
    static const double odd[9] = {1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11,
                                  1.0 / 9,  1.0 / 7,  1.0 / 5,  1.0 / 3};
    const uint64_t one = UINT64_C(0x3ff0000000000000), root_half = UINT64_C(0x3fe6a09e667f3bcd);
    const u8x bits = v8_as_u8x(x), biased = u8x_right(u8x_add(bits, u8x_set1(one - root_half)), 52);
    const v8 m = u8x_as_v8(u8x_sub(bits, u8x_left(u8x_sub(biased, u8x_set1(1023)), 52)));
    /* A small whole number in the last places of 2^52. */
    const v8 e =
        v8_sub(u8x_as_v8(u8x_add(biased, u8x_set1(UINT64_C(0x4330000000000000)))), v8_set1(0x1p52 + 1023));
    const v8 f = v8_sub(m, v8_set1(1.0)), s = v8_div(f, v8_add(m, v8_set1(1.0))), z = v8_mul(s, s);
    v8 p = v8_set1(1.0 / 21);
    PFX_UNROLL_LONG
    for (int i = 0; i < 9; i++) p = v8_fma(p, z, v8_set1(odd[i]));
    /* 2s = f - s f, so log(m) = f - s (f - 2 z p). */
    const v8 rest = v8_fnma(v8_mul(v8_set1(2.0), z), p, f);
    const v8 low = v8_fma(e, v8_set1(ln2_low), v8_fnma(s, rest, v8_zero()));
    return v8_fma(e, v8_set1(ln2_high), v8_add(f, low));
}

#endif
