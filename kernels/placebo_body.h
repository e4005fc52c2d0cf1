/* Bodies of the placebo kernels, compiled once for each ISA. */
#include <string.h>
#include "kernels/philox.h"
#include "kernels/placebo.h"

#if PFX_LANES_WIDE
#define TILE 24 /* accumulators that fit 32 registers */
#else
#define TILE 6
#endif
/* Rows of a table ahead of the one that is worked on: far enough for a second-level cache. */
enum { AHEAD = 6 };

/* ---- the stream of words, 32 at a time ---- */

enum { WORDS = 32, GROUP = 8 };

typedef struct stream {
    uint64_t seed, index;
    uint32_t purpose, block;
    int at; /* next word of out, WORDS: none left */
    uint32_t out[WORDS];
} stream;

static void refill(stream *s)
{
    u8x u[4];
    uint64_t pairs[WORDS / 2];
    pfx_philox8(s->seed, s->purpose, s->index, s->block, u);
    pfx_philox_in_order(u, pairs);
    memcpy(s->out, pairs, sizeof pairs); /* x86-64 is little-endian, as wild_body.h says */
    s->block += 8;
    s->at = 0;
}

/* As pfx_rng_below, n <= 2^32: multiply, refuse the low halves under 2^32 mod n. */
PFX_INLINE uint32_t below(stream *s, uint32_t n)
{
    for (;;) {
        if (s->at == WORDS) refill(s);
        uint64_t m = (uint64_t)s->out[s->at++] * n;
        if ((uint32_t)m >= n || (uint32_t)m >= (0u - n) % n) return (uint32_t)(m >> 32);
    }
}

/* The unit of a slot: that of place k, whose place the one passed over takes. */
PFX_INLINE void take(uint32_t place, uint32_t k, uint32_t *order, uint32_t *unit, uint32_t *taken)
{
    *unit = order[k];
    *taken = k;
    order[k] = order[place];
}

/* Eight slots at a time where none of their words can be refused. */
static void draw_slots(stream *s, pfx_idx n, const pfx_k_slots *slots, uint32_t *order, uint32_t *taken,
                       uint32_t *unit)
{
    pfx_idx at = 0;
    while (at < n) {
        if (s->at == WORDS) refill(s);
        if (n - at >= GROUP && s->at + GROUP <= WORDS) {
            u8x left = u8x_load32(slots->left + at), m = u8x_mul(u8x_load32(s->out + s->at), left);
            if (!u8x_less(u8x_low(m), left)) {
                uint64_t k[GROUP];
                u8x_store(k, u8x_high(m));
                PFX_UNROLL
                for (int i = 0; i < GROUP; i++) {
                    uint32_t place = slots->place[at + i];
                    take(place, place + (uint32_t)k[i], order, unit + at + i, taken + at + i);
                }
                at += GROUP;
                s->at += GROUP;
                continue;
            }
        }
        uint32_t place = slots->place[at];
        take(place, place + below(s, slots->left[at]), order, unit + at, taken + at);
        at++;
    }
}

void PFX_K(pfx_k_placebo_draw)(uint64_t seed, uint32_t purpose, uint64_t index, pfx_idx n_strata,
                               const pfx_k_stratum *stratum, const pfx_k_slots *slots, uint32_t *order,
                               uint32_t *taken, uint32_t *unit, uint32_t *pick)
{
    stream s = {.seed = seed, .index = index, .purpose = purpose, .at = WORDS};
    pfx_idx n = 0;
    for (pfx_idx i = 0; i < n_strata; i++) {
        uint32_t m = stratum[i].m;
        for (uint32_t j = 0; j < m && pick; j++) {
            uint32_t place = slots->place[n + j];
            take(place, place + below(&s, slots->left[n + j]), order, unit + n + j, taken + n + j);
            pick[n + j] = below(&s, m);
        }
        n += m;
    }
    if (!pick) draw_slots(&s, n, slots, order, taken, unit);
    for (pfx_idx i = 0; i < n; i++) order[taken[i]] = slots->order[taken[i]];
}

/* ---- sums over rows of a table ---- */

PFX_INLINE void ahead(pfx_idx j, pfx_idx n, const uint32_t *at, pfx_idx ld, const double *T, const int nv)
{
    if (j + AHEAD >= n) return;
    const double *row = T + (pfx_idx)at[j + AHEAD] * ld;
    PFX_UNROLL_LONG
    for (int v = 0; v < nv; v++) __builtin_prefetch(row + PFX_LANES * v);
}

PFX_INLINE void sum_tile(pfx_idx n, const uint32_t *at, pfx_idx ld, const double *T, double *sum,
                         const int nv)
{
    v8 acc[TILE];
    PFX_UNROLL_LONG
    for (int v = 0; v < nv; v++) acc[v] = v8_load(sum + PFX_LANES * v);
    for (pfx_idx j = 0; j < n; j++) {
        const double *row = T + (pfx_idx)at[j] * ld;
        ahead(j, n, at, ld, T, nv);
        PFX_UNROLL_LONG
        for (int v = 0; v < nv; v++) acc[v] = v8_add(acc[v], v8_load(row + PFX_LANES * v));
    }
    PFX_UNROLL_LONG
    for (int v = 0; v < nv; v++) v8_store(sum + PFX_LANES * v, acc[v]);
}

PFX_INLINE void dot_tile(pfx_idx n, const uint32_t *at, pfx_idx ld, const double *T, const double *c,
                         double *out, const int nv)
{
    v8 coef[TILE];
    PFX_UNROLL_LONG
    for (int v = 0; v < nv; v++) coef[v] = v8_load(c + PFX_LANES * v);
    for (pfx_idx j = 0; j < n; j++) {
        const double *row = T + (pfx_idx)at[j] * ld;
        ahead(j, n, at, ld, T, nv);
        v8 acc = v8_mul(v8_load(row), coef[0]);
        PFX_UNROLL_LONG
        for (int v = 1; v < nv; v++) acc = v8_fma(v8_load(row + PFX_LANES * v), coef[v], acc);
        out[j] = v8_sum(acc);
    }
}

/* Wide rows: four partial sums hide the latency of the additions. */
enum { PARTS = 4 };

PFX_INLINE double parts_sum(const v8 acc[PARTS])
{
    return v8_sum(v8_add(v8_add(acc[0], acc[1]), v8_add(acc[2], acc[3])));
}

#if PFX_LANES_WIDE
enum { WIDE = 28 }; /* vectors of coefficients, and the partial sums, that fit 32 registers */

PFX_INLINE void dot_wide(pfx_idx n, const uint32_t *at, pfx_idx ld, const double *T, const double *c,
                         double *out, const int nv)
{
    v8 coef[WIDE];
    PFX_UNROLL_LONG
    for (int v = 0; v < nv; v++) coef[v] = v8_load(c + PFX_LANES * v);
    for (pfx_idx j = 0; j < n; j++) {
        const double *row = T + (pfx_idx)at[j] * ld;
        v8 acc[PARTS] = {v8_zero(), v8_zero(), v8_zero(), v8_zero()};
        ahead(j, n, at, ld, T, nv);
        PFX_UNROLL_LONG
        for (int v = 0; v < nv; v++) {
            int part = v < nv / PARTS * PARTS ? v % PARTS : 0;
            acc[part] = v8_fma(v8_load(row + PFX_LANES * v), coef[v], acc[part]);
        }
        out[j] = parts_sum(acc);
    }
}
#endif

static void dot_rows(pfx_idx n, const uint32_t *at, pfx_idx ld, const double *T, const double *c, double *out)
{
    const pfx_idx step = PARTS * PFX_LANES;
    for (pfx_idx j = 0; j < n; j++) {
        const double *row = T + (pfx_idx)at[j] * ld;
        v8 acc[PARTS] = {v8_zero(), v8_zero(), v8_zero(), v8_zero()};
        pfx_idx l = 0;
        for (; l + step <= ld; l += step) {
            PFX_UNROLL
            for (int i = 0; i < PARTS; i++)
                acc[i] = v8_fma(v8_load(row + l + PFX_LANES * i), v8_load(c + l + PFX_LANES * i), acc[i]);
        }
        for (; l < ld; l += PFX_LANES) acc[0] = v8_fma(v8_load(row + l), v8_load(c + l), acc[0]);
        out[j] = parts_sum(acc);
    }
}

/* One case for each width, so that the accumulators stay in registers. */
#define CASE(nv, f, ...)                                                                                     \
    case nv:                                                                                                 \
        f(__VA_ARGS__, nv);                                                                                  \
        break;
#define CASES_6(f, ...)                                                                                      \
    CASE(1, f, __VA_ARGS__)                                                                                  \
    CASE(2, f, __VA_ARGS__)                                                                                  \
    CASE(3, f, __VA_ARGS__)                                                                                  \
    CASE(4, f, __VA_ARGS__)                                                                                  \
    CASE(5, f, __VA_ARGS__)                                                                                  \
    CASE(6, f, __VA_ARGS__)
#define CASES_7_24(f, ...)                                                                                   \
    CASE(7, f, __VA_ARGS__)                                                                                  \
    CASE(8, f, __VA_ARGS__)                                                                                  \
    CASE(9, f, __VA_ARGS__)                                                                                  \
    CASE(10, f, __VA_ARGS__)                                                                                 \
    CASE(11, f, __VA_ARGS__)                                                                                 \
    CASE(12, f, __VA_ARGS__)                                                                                 \
    CASE(13, f, __VA_ARGS__)                                                                                 \
    CASE(14, f, __VA_ARGS__)                                                                                 \
    CASE(15, f, __VA_ARGS__)                                                                                 \
    CASE(16, f, __VA_ARGS__)                                                                                 \
    CASE(17, f, __VA_ARGS__)                                                                                 \
    CASE(18, f, __VA_ARGS__)                                                                                 \
    CASE(19, f, __VA_ARGS__)                                                                                 \
    CASE(20, f, __VA_ARGS__)                                                                                 \
    CASE(21, f, __VA_ARGS__)                                                                                 \
    CASE(22, f, __VA_ARGS__)                                                                                 \
    CASE(23, f, __VA_ARGS__)                                                                                 \
    CASE(24, f, __VA_ARGS__)
#if PFX_LANES_WIDE
#define CASES(f, ...) CASES_6(f, __VA_ARGS__) CASES_7_24(f, __VA_ARGS__)
#define CASES_WIDE(f, ...)                                                                                   \
    CASES_7_24(f, __VA_ARGS__)                                                                               \
    CASE(25, f, __VA_ARGS__)                                                                                 \
    CASE(26, f, __VA_ARGS__)                                                                                 \
    CASE(27, f, __VA_ARGS__)                                                                                 \
    CASE(28, f, __VA_ARGS__)
#else
#define CASES CASES_6
#define CASES_WIDE(f, ...)
#endif

void PFX_K(pfx_k_placebo_sum)(pfx_idx n, const uint32_t *at, pfx_idx ld, const double *T, double *sum)
{
    for (pfx_idx l = 0; l < ld; l += PFX_LANES * TILE) {
        pfx_idx left = (ld - l) / PFX_LANES;
        switch (left < TILE ? left : TILE) {
            CASES(sum_tile, n, at, ld, T + l, sum + l)
        default:
            break;
        }
    }
}

void PFX_K(pfx_k_placebo_dot)(pfx_idx n, const uint32_t *at, pfx_idx ld, const double *T, const double *c,
                              double *out)
{
    switch (ld / PFX_LANES) {
        CASES_6(dot_tile, n, at, ld, T, c, out)
        CASES_WIDE(dot_wide, n, at, ld, T, c, out)
    default:
        dot_rows(n, at, ld, T, c, out);
        break;
    }
}
