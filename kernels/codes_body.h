/* Body of pfx_k_codes, compiled once for each ISA. */
#include <stdbool.h>
#include "kernels/codes.h"
#include "kernels/lanes.h"

/* The row before row 0 is any other level: what the loops compare begins at row 1. */
static int scan_rows(pfx_idx r0, pfx_idx r1, const int32_t *f, const int32_t *g, pfx_idx n_levels,
                     pfx_idx *start)
{
    int falls = 0, skips = 0, g_falls = 0, splits = 0;
    const pfx_idx from = r0 > 0 ? r0 : 1;

    for (pfx_idx r = from; r < r1; r++) {
        falls |= f[r] < f[r - 1];
        skips |= f[r] > f[r - 1] + 1;
    }
    for (pfx_idx r = from; g && r < r1; r++) {
        g_falls |= g[r] < g[r - 1];
        splits |= (f[r] == f[r - 1]) & (g[r] != g[r - 1]);
    }
    if (start && !falls && !skips) {
        /* From the last row down, so that a level's first row is written last; one that began before r0 is
         * not ours. */
        pfx_idx own = r0;
        while (own > 0 && own < r1 && f[own] == f[own - 1]) own++;
        for (pfx_idx r = r1; r-- > own;) start[f[r]] = r;
    }
    (void)n_levels;
    return (falls || (start && skips) ? PFX_K_CODES_FALL : 0) | (g_falls ? PFX_K_CODES_G_FALL : 0) |
           (splits ? PFX_K_CODES_SPLIT : 0);
}

#if PFX_LANES_WIDE
/* Sixteen rows at a time; the rows that begin a level are packed and appended to the starts: as codes ascend
 * one by one, the next place is the next level's. */
int PFX_K(pfx_k_codes)(pfx_idx r0, pfx_idx r1, const int32_t *f, const int32_t *g, pfx_idx n_levels,
                       pfx_idx *start)
{
    pfx_idx head = r0 > 0 ? r0 : 1 < r1 ? 1 : r1, r = head;
    int flags = r0 < head ? scan_rows(r0, head, f, g, n_levels, start) : 0;
    __mmask16 falls = 0, g_falls = 0, splits = 0;
    pfx_idx next = head < r1 ? (pfx_idx)f[head - 1] + 1 : 0;
    const __m512i iota = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);

    for (; r + 16 <= r1; r += 16) {
        __m512i a = _mm512_loadu_si512(f + r), b = _mm512_loadu_si512(f + r - 1);
        __mmask16 new = _mm512_cmpneq_epi32_mask(a, b);
        falls |= _mm512_cmplt_epi32_mask(a, b);
        if (g) {
            __m512i c = _mm512_loadu_si512(g + r), d = _mm512_loadu_si512(g + r - 1);
            g_falls |= _mm512_cmplt_epi32_mask(c, d);
            splits |= (__mmask16)(~new &_mm512_cmpneq_epi32_mask(c, d));
        }
        if (!start) continue;
        int n0 = __builtin_popcount(new & 0xFF), n1 = __builtin_popcount(new >> 8);
        if (falls || next + n0 + n1 > n_levels) return flags | PFX_K_CODES_FALL;
        __m512i at = _mm512_add_epi64(_mm512_set1_epi64(r), iota);
        _mm512_mask_storeu_epi64(start + next, v8_mask(n0), _mm512_maskz_compress_epi64((__mmask8) new, at));
        next += n0;
        at = _mm512_add_epi64(at, _mm512_set1_epi64(8));
        _mm512_mask_storeu_epi64(start + next, v8_mask(n1),
                                 _mm512_maskz_compress_epi64((__mmask8)(new >> 8), at));
        next += n1;
    }
    if (start && r > head && next != (pfx_idx)f[r - 1] + 1)
        flags |= PFX_K_CODES_FALL; /* a level was skipped */
    flags |= (falls ? PFX_K_CODES_FALL : 0) | (g_falls ? PFX_K_CODES_G_FALL : 0) |
             (splits ? PFX_K_CODES_SPLIT : 0);
    return r < r1 ? flags | scan_rows(r, r1, f, g, n_levels, start) : flags;
}
#else
int PFX_K(pfx_k_codes)(pfx_idx r0, pfx_idx r1, const int32_t *f, const int32_t *g, pfx_idx n_levels,
                       pfx_idx *start)
{
    return scan_rows(r0, r1, f, g, n_levels, start);
}
#endif
