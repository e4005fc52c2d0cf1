#include "kernels/replicate.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define PFX_K_SUFFIX _portable
#include "kernels/replicate_body.h"

/* Eight clusters of eight replicates, turned from rows of replicates to rows of clusters. */
static void turn(pfx_idx ld, const uint8_t *count, uint8_t out[8][8])
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

void pfx_k_rep_pack(pfx_idx n, pfx_idx ld, const uint8_t *count, double *W)
{
    for (pfx_idx g = 0; g < n; g += 8)
        for (int l = 0; l < PFX_REP_LANES; l += 8) {
            uint8_t t[8][8];
            turn(ld, count + l * ld + g, t);
            for (int i = 0; i < 8; i++)
                for (int r = 0; r < 8; r++) W[(g + i) * PFX_REP_LANES + l + r] = t[i][r];
        }
}

void pfx_k_rep_sums(pfx_isa isa, pfx_idx n, const double *W, pfx_idx ld, const double *M, double *C)
{
    static pfx_k_rep_sums_fn *const variant[] = PFX_VARIANTS(pfx_k_rep_sums);
    variant[isa](n, W, ld, M, C);
}

void pfx_k_rep_squares(pfx_isa isa, pfx_idx n, const double *W, pfx_idx n_stats, pfx_idx ld, const double *M,
                       const double *Q, double *out)
{
    static pfx_k_rep_squares_fn *const variant[] = PFX_VARIANTS(pfx_k_rep_squares);
    variant[isa](n, W, n_stats, ld, M, Q, out);
}

void pfx_k_rep_factor(pfx_isa isa, int k, double tol, double *A, double *d)
{
    static pfx_k_rep_factor_fn *const variant[] = PFX_VARIANTS(pfx_k_rep_factor);
    variant[isa](k, tol, A, d);
}

void pfx_k_rep_solve(pfx_isa isa, int k, const double *L, const double *d, int first, double *x)
{
    static pfx_k_rep_solve_fn *const variant[] = PFX_VARIANTS(pfx_k_rep_solve);
    variant[isa](k, L, d, first, x);
}

void pfx_k_rep_form(pfx_isa isa, int k, const double *h, const double *b, double *Q)
{
    static pfx_k_rep_form_fn *const variant[] = PFX_VARIANTS(pfx_k_rep_form);
    variant[isa](k, h, b, Q);
}
