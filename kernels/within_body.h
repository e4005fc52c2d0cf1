/* Body of pfx_k_within, compiled once for each ISA. */
#include "kernels/gram.h"
#include "kernels/lanes.h"
#include "kernels/products.h"
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
/* A level: its first row, and the mean of its rows less that. */
typedef struct level {
    row ref, mean;
} level;

PFX_INLINE level read_level(const pfx_k_within_args *a, pfx_idx g, const int p, const bool with_sums)
{
    const pfx_idx ld = a->ld, r0 = a->start[g] - a->start[0], n = a->start[g + 1] - a->start[g];
    const double *x0 = a->X + r0 * ld;
    level l = {load_row(x0, p), {v8_zero(), v8_zero()}};

    for (const double *x = x0; x < x0 + n * ld; x += ld) {
        v8_prefetch_row(x, ld, p);
        l.mean = add_rows(l.mean, sub_rows(load_row(x, p), l.ref, p), p);
    }
    for (pfx_idx r = r0; with_sums && a->sums->wide && r < r0 + n; r++)
        v8_prefetch_lines(a->sums->C + a->sums->code[r] * a->sums->ld, p);
    v8 inv = v8_set1(1.0 / (double)n);
    l.mean.lo = v8_mul(l.mean.lo, inv);
    if (p > 8) l.mean.hi = v8_mul(l.mean.hi, inv);
    if (a->mean)
        store_row(a->mean + g * a->ldm, add_rows(sub_rows(l.ref, load_row(a->origin, p), p), l.mean, p), p);
    return l;
}

PFX_INLINE void add_row(double *c, row z, const int p)
{
    v8_store(c, v8_add(v8_load(c), z.lo));
    if (p > 12)
        v8_store(c + 8, v8_add(v8_load(c + 8), z.hi));
    else if (p > 8)
        _mm256_storeu_pd(c + 8, _mm256_add_pd(_mm256_loadu_pd(c + 8), _mm512_castpd512_pd256(z.hi)));
}

/* Means are found one level ahead: nothing then waits for them, and the processor works on both levels at
 * once. */
PFX_INLINE void in_registers(const pfx_k_within_args *a, const int p, const bool with_sums)
{
    const pfx_idx ld = a->ld, lds = with_sums ? a->sums->ld : 0;
    const int32_t *code = with_sums ? a->sums->code : NULL;
    double *C = with_sums ? a->sums->C : NULL;
    v8 acc[MAX_PRODUCTS][BLOCK];

    clear_products(acc);
    if (a->n_levels == 0) return;
    level next = read_level(a, 0, p, with_sums);
    const double *x = a->X;
    for (pfx_idx g = 0; g < a->n_levels; g++) {
        const pfx_idx n = a->start[g + 1] - a->start[g];
        const level l = next;
        uint64_t mask = 0;

        if (g + 1 < a->n_levels) next = read_level(a, g + 1, p, with_sums);
        for (const double *x1 = x + n * ld; x < x1; x += ld) {
            const row z = sub_rows(sub_rows(load_row(x, p), l.ref, p), l.mean, p);
            if (with_sums) {
                mask |= 1ull << (*code & 63);
                add_row(C + *code++ * lds, z, p);
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
