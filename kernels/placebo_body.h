/* Bodies of the placebo kernels, compiled once for each ISA. */
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

enum { WORDS = 32 };

typedef struct stream {
    uint64_t seed, index;
    uint32_t purpose, block;
    int at; /* next word of out, WORDS: none left */
    uint64_t out[WORDS];
} stream;

static void refill(stream *s)
{
    u8x u[4];
    pfx_philox8(s->seed, s->purpose, s->index, s->block, u);
    for (int w = 0; w < 4; w++) u8x_store(s->out + 8 * w, u[w]);
    s->block += 8;
    s->at = 0;
}

/* As pfx_rng_below, n <= 2^32: multiply, refuse the low halves under 2^32 mod n. */
PFX_INLINE uint32_t below(stream *s, uint32_t n)
{
    for (;;) {
        if (s->at == WORDS) refill(s);
        int i = s->at++;
        uint64_t m = (uint64_t)(uint32_t)s->out[(i % 4) * 8 + i / 4] * n;
        if ((uint32_t)m >= n || (uint32_t)m >= (0u - n) % n) return (uint32_t)(m >> 32);
    }
}

void PFX_K(pfx_k_placebo_draw)(uint64_t seed, uint32_t purpose, uint64_t index, pfx_idx n_strata,
                               const pfx_k_stratum *stratum, uint32_t *order, uint32_t *undo, uint32_t *unit,
                               uint32_t *pick)
{
    stream s = {.seed = seed, .index = index, .purpose = purpose, .at = WORDS};
    pfx_idx at = 0;
    for (pfx_idx i = 0; i < n_strata; i++) {
        uint32_t *o = order + stratum[i].first, n = stratum[i].n, m = stratum[i].m;
        for (uint32_t j = 0; j < m; j++, at++) {
            uint32_t k = j + below(&s, n - j), u = o[k];
            o[k] = o[j];
            o[j] = u;
            undo[at] = k;
            unit[at] = u;
            if (pick) pick[at] = below(&s, m);
        }
    }
    for (pfx_idx i = n_strata - 1; i >= 0; i--) {
        uint32_t *o = order + stratum[i].first;
        for (uint32_t j = stratum[i].m; j-- > 0;) {
            uint32_t k = undo[--at], u = o[k];
            o[k] = o[j];
            o[j] = u;
        }
    }
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

PFX_INLINE void combine_tile(pfx_idx n, const uint32_t *at, const double *x, pfx_idx ld, const double *T,
                             double *sum, const int nv)
{
    v8 acc[TILE];
    PFX_UNROLL_LONG
    for (int v = 0; v < nv; v++) acc[v] = v8_load(sum + PFX_LANES * v);
    for (pfx_idx j = 0; j < n; j++) {
        const double *row = T + (pfx_idx)at[j] * ld;
        v8 f = v8_set1(x[j]);
        ahead(j, n, at, ld, T, nv);
        PFX_UNROLL_LONG
        for (int v = 0; v < nv; v++) acc[v] = v8_fma(f, v8_load(row + PFX_LANES * v), acc[v]);
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

static void dot_rows(pfx_idx n, const uint32_t *at, pfx_idx ld, const double *T, const double *c, double *out)
{
    for (pfx_idx j = 0; j < n; j++) {
        const double *row = T + (pfx_idx)at[j] * ld;
        v8 acc = v8_mul(v8_load(row), v8_load(c));
        for (pfx_idx l = PFX_LANES; l < ld; l += PFX_LANES)
            acc = v8_fma(v8_load(row + l), v8_load(c + l), acc);
        out[j] = v8_sum(acc);
    }
}

/* One case for each width, so that the accumulators stay in registers. */
#define CASES_6(f, ...)                                                                                      \
    case 1:                                                                                                  \
        f(__VA_ARGS__, 1);                                                                                   \
        break;                                                                                               \
    case 2:                                                                                                  \
        f(__VA_ARGS__, 2);                                                                                   \
        break;                                                                                               \
    case 3:                                                                                                  \
        f(__VA_ARGS__, 3);                                                                                   \
        break;                                                                                               \
    case 4:                                                                                                  \
        f(__VA_ARGS__, 4);                                                                                   \
        break;                                                                                               \
    case 5:                                                                                                  \
        f(__VA_ARGS__, 5);                                                                                   \
        break;                                                                                               \
    case 6:                                                                                                  \
        f(__VA_ARGS__, 6);                                                                                   \
        break;
#define CASES_24(f, ...)                                                                                     \
    CASES_6(f, __VA_ARGS__)                                                                                  \
    case 7:                                                                                                  \
        f(__VA_ARGS__, 7);                                                                                   \
        break;                                                                                               \
    case 8:                                                                                                  \
        f(__VA_ARGS__, 8);                                                                                   \
        break;                                                                                               \
    case 9:                                                                                                  \
        f(__VA_ARGS__, 9);                                                                                   \
        break;                                                                                               \
    case 10:                                                                                                 \
        f(__VA_ARGS__, 10);                                                                                  \
        break;                                                                                               \
    case 11:                                                                                                 \
        f(__VA_ARGS__, 11);                                                                                  \
        break;                                                                                               \
    case 12:                                                                                                 \
        f(__VA_ARGS__, 12);                                                                                  \
        break;                                                                                               \
    case 13:                                                                                                 \
        f(__VA_ARGS__, 13);                                                                                  \
        break;                                                                                               \
    case 14:                                                                                                 \
        f(__VA_ARGS__, 14);                                                                                  \
        break;                                                                                               \
    case 15:                                                                                                 \
        f(__VA_ARGS__, 15);                                                                                  \
        break;                                                                                               \
    case 16:                                                                                                 \
        f(__VA_ARGS__, 16);                                                                                  \
        break;                                                                                               \
    case 17:                                                                                                 \
        f(__VA_ARGS__, 17);                                                                                  \
        break;                                                                                               \
    case 18:                                                                                                 \
        f(__VA_ARGS__, 18);                                                                                  \
        break;                                                                                               \
    case 19:                                                                                                 \
        f(__VA_ARGS__, 19);                                                                                  \
        break;                                                                                               \
    case 20:                                                                                                 \
        f(__VA_ARGS__, 20);                                                                                  \
        break;                                                                                               \
    case 21:                                                                                                 \
        f(__VA_ARGS__, 21);                                                                                  \
        break;                                                                                               \
    case 22:                                                                                                 \
        f(__VA_ARGS__, 22);                                                                                  \
        break;                                                                                               \
    case 23:                                                                                                 \
        f(__VA_ARGS__, 23);                                                                                  \
        break;                                                                                               \
    case 24:                                                                                                 \
        f(__VA_ARGS__, 24);                                                                                  \
        break;
#if PFX_LANES_WIDE
#define CASES CASES_24
#else
#define CASES CASES_6
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

void PFX_K(pfx_k_placebo_combine)(pfx_idx n, const uint32_t *at, const double *x, pfx_idx ld, const double *T,
                                  double *sum)
{
    for (pfx_idx l = 0; l < ld; l += PFX_LANES * TILE) {
        pfx_idx left = (ld - l) / PFX_LANES;
        switch (left < TILE ? left : TILE) {
            CASES(combine_tile, n, at, x, ld, T + l, sum + l)
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
    default:
        dot_rows(n, at, ld, T, c, out);
        break;
    }
}
