#define PFX_K_SUFFIX _portable
#include "kernels/wild_body.h"

void pfx_k_wild_signs(pfx_isa isa, uint64_t seed, uint32_t purpose, uint64_t replicate, pfx_idx c,
                      uint64_t out[16])
{
    static pfx_k_wild_signs_fn *const variant[] = PFX_VARIANTS(pfx_k_wild_signs);
    variant[isa](seed, purpose, replicate, c, out);
}

void pfx_k_wild_digits(pfx_isa isa, uint64_t seed, uint32_t purpose, uint64_t replicate, pfx_idx c,
                       uint8_t *out)
{
    static pfx_k_wild_digits_fn *const variant[] = PFX_VARIANTS(pfx_k_wild_digits);
    variant[isa](seed, purpose, replicate, c, out);
}

void pfx_k_wild_tables(pfx_isa isa, pfx_idx n, pfx_idx ld, const double *S, double *T)
{
    static pfx_k_wild_tables_fn *const variant[] = PFX_VARIANTS(pfx_k_wild_tables);
    variant[isa](n, ld, S, T);
}

void pfx_k_wild_lookup(pfx_isa isa, pfx_idx n, pfx_idx reps, const uint64_t *code, pfx_idx ld,
                       const double *T, double *acc)
{
    static pfx_k_wild_lookup_fn *const variant[] = PFX_VARIANTS(pfx_k_wild_lookup);
    variant[isa](n, reps, code, ld, T, acc);
}

void pfx_k_wild_pack(pfx_isa isa, pfx_idx n, pfx_idx ld, const uint8_t *code, const double value[8],
                     double *W)
{
    static pfx_k_wild_pack_fn *const variant[] = PFX_VARIANTS(pfx_k_wild_pack);
    variant[isa](n, ld, code, value, W);
}

void pfx_k_wild_squares(pfx_isa isa, pfx_idx n, const double *W, int m, const double *Z, double *out)
{
    static pfx_k_wild_squares_fn *const variant[] = PFX_VARIANTS(pfx_k_wild_squares);
    variant[isa](n, W, m, Z, out);
}

void pfx_k_wild_groups(pfx_isa isa, pfx_idx n, const pfx_idx *start, const int32_t *cell, const int32_t *boot,
                       int m, const double *a, double weight, const double *W, double *out)
{
    static pfx_k_wild_groups_fn *const variant[] = PFX_VARIANTS(pfx_k_wild_groups);
    variant[isa](n, start, cell, boot, m, a, weight, W, out);
}

void pfx_k_wild_form(pfx_isa isa, int k, const double *Q, const double *x, const double *y, const double *tx,
                     const double *ty, double *out)
{
    static pfx_k_wild_form_fn *const variant[] = PFX_VARIANTS(pfx_k_wild_form);
    variant[isa](k, Q, x, y, tx, ty, out);
}

void pfx_k_wild_dot(pfx_isa isa, int k, const double *h, const double *x, double *out)
{
    static pfx_k_wild_dot_fn *const variant[] = PFX_VARIANTS(pfx_k_wild_dot);
    variant[isa](k, h, x, out);
}

void pfx_k_wild_count(pfx_isa isa, pfx_idx n, const double *const poly[5], double x,
                      const pfx_k_wild_bounds *b, double count[4])
{
    static pfx_k_wild_count_fn *const variant[] = PFX_VARIANTS(pfx_k_wild_count);
    variant[isa](n, poly, x, b, count);
}
