/* Bytes of replicates turned to bytes of clusters. */
#ifndef PFX_KERNELS_TURN_H
#define PFX_KERNELS_TURN_H

#include "src/base/status.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Eight clusters of eight replicates, turned from rows of replicates to rows of clusters. */
static inline void pfx_k_turn8(pfx_idx ld, const uint8_t *count, uint8_t out[8][8])
{
#if defined(__SSE2__)
#define ROW_OF(r) _mm_loadl_epi64((const __m128i *)(const void *)(count + (r)*ld))
    __m128i a = _mm_unpacklo_epi8(ROW_OF(0), ROW_OF(1)), b = _mm_unpacklo_epi8(ROW_OF(2), ROW_OF(3));
    __m128i c = _mm_unpacklo_epi8(ROW_OF(4), ROW_OF(5)), d = _mm_unpacklo_epi8(ROW_OF(6), ROW_OF(7));
    __m128i e = _mm_unpacklo_epi16(a, b), f = _mm_unpackhi_epi16(a, b);
    __m128i g = _mm_unpacklo_epi16(c, d), h = _mm_unpackhi_epi16(c, d);
    __m128i *to = (__m128i *)(void *)out;
    _mm_storeu_si128(to, _mm_unpacklo_epi32(e, g));
    _mm_storeu_si128(to + 1, _mm_unpackhi_epi32(e, g));
    _mm_storeu_si128(to + 2, _mm_unpacklo_epi32(f, h));
    _mm_storeu_si128(to + 3, _mm_unpackhi_epi32(f, h));
#undef ROW_OF
#else
    for (int r = 0; r < 8; r++)
        for (int g = 0; g < 8; g++) out[g][r] = count[r * ld + g];
#endif
}

#endif
