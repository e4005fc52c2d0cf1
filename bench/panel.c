#include "bench/panel.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/log.h"
#include "src/base/mem.h"

enum { P = 12, YEARS = 10 };

static void *need(void *p)
{
    if (!p) fprintf(stderr, "bench: out of memory\n"), exit(1);
    return p;
}

/* SplitMix64: the i-th number of a unit's stream, uniform in (-1, 1). */
static inline double draw(uint64_t *s)
{
    uint64_t z = (*s += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return (double)((int64_t)(z ^ (z >> 31)) >> 11) * 0x1p-52;
}

static inline pfx_idx pick(uint64_t *s, pfx_idx n) { return (pfx_idx)((0.5 * draw(s) + 0.5) * (double)n); }

/* Years of a unit, at least two. */
static unsigned presence(uint64_t *s, int years, double share)
{
    unsigned m = 0;
    while (__builtin_popcount(m) < 2) {
        m = 0;
        for (int t = 0; t < years; t++) m |= (unsigned)(draw(s) < 2 * share - 1) << t;
    }
    return m;
}

static void fill_row(uint64_t *s, const double *unit, double other, double *z)
{
    double y = unit[P - 1] + other;
    for (int k = 0; k < P - 1; k++) {
        z[k] = unit[k] + draw(s) + 0.2 * other;
        y += 0.1 * z[k];
    }
    z[P - 1] = y + draw(s);
}

static void set_effect(pfx_absorbed *a, const char *name, int32_t *code, pfx_idx levels)
{
    memset(a, 0, sizeof *a);
    a->factor.name = need(pfx_mem_strdup(name, NULL));
    a->factor.code = code;
    a->factor.n_levels = levels;
    a->intercept = true;
}

/* Levels that occur, numbered anew; the others' numbers are given up. */
static pfx_idx compact(pfx_idx n, int32_t *code, pfx_idx levels)
{
    int32_t *to = need(pfx_mem_calloc(levels, sizeof *to, NULL)), used = 0;
    for (pfx_idx i = 0; i < n; i++) {
        if (!to[code[i]]) to[code[i]] = ++used;
        code[i] = to[code[i]] - 1;
    }
    pfx_mem_free(to);
    return used;
}

/* Another firm for a worker: any, or one of ten neighbours. */
static pfx_idx next_firm(enum bench_kind kind, uint64_t *s, pfx_idx firm, pfx_idx firms)
{
    if (kind == BENCH_WORKERS) return pick(s, firms);
    pfx_idx step = 1 + pick(s, 5);
    return (firm + (draw(s) < 0 ? step : firms - step)) % firms;
}

pfx_design *bench_design(enum bench_kind kind, pfx_idx n, double move, bool weights)
{
    int years = kind == BENCH_TWO_WAY ? YEARS : 7;
    bool workers = kind == BENCH_WORKERS || kind == BENCH_LOCAL;
    double share = workers ? 1.0 : kind == BENCH_TWO_WAY ? 0.714 : 0.757;
    pfx_idx units = (pfx_idx)((double)n / (share * years)), firms = units / 7;
    pfx_idx *start = need(pfx_mem_alloc(units + 1, sizeof *start, NULL));
    unsigned *mask = need(pfx_mem_alloc(units, sizeof *mask, NULL));

    start[0] = 0;
    for (pfx_idx g = 0; g < units; g++) {
        uint64_t s = (uint64_t)g * 977 + 5;
        mask[g] = workers ? (1u << years) - 1 : presence(&s, years, share);
        start[g + 1] = start[g] + __builtin_popcount(mask[g]);
    }
    n = start[units];
    pfx_design *d = need(pfx_mem_calloc(1, sizeof *d, NULL));
    int effects = kind == BENCH_INDUSTRY ? 3 : 2;
    int32_t *code[3];
    for (int e = 0; e < effects; e++) code[e] = need(pfx_mem_alloc(n, sizeof **code, NULL));
    d->n = n, d->p = P;
    d->Z = need(pfx_mem_alloc(n * P, sizeof *d->Z, NULL));
    d->w = weights ? need(pfx_mem_alloc(n, sizeof *d->w, NULL)) : NULL;
    d->weights_kind = weights ? PFX_W_ANALYTIC : PFX_W_NONE;
#pragma omp parallel for schedule(static)
    for (pfx_idx g = 0; g < units; g++) {
        uint64_t s = (uint64_t)g * 0xD1B54A32D192ED03ull + 99;
        double unit[P];
        pfx_idx r = start[g], firm = pick(&s, workers ? firms : 500), region = pick(&s, 20);
        for (int k = 0; k < P; k++) unit[k] = draw(&s);
        for (int t = 0; t < years; t++) {
            if (workers && t && draw(&s) < 2 * move - 1) firm = next_firm(kind, &s, firm, firms);
            if (kind == BENCH_INDUSTRY && draw(&s) < -0.96) firm = pick(&s, 500);
            if (!(mask[g] >> t & 1)) continue;
            code[0][r] = (int32_t)g;
            code[1][r] = (int32_t)(kind == BENCH_TWO_WAY ? t : workers ? firm : firm * years + t);
            if (effects == 3) code[2][r] = (int32_t)(region * years + t);
            if (d->w) d->w[r] = 1.5 + draw(&s);
            fill_row(&s, unit, sin((double)code[1][r]), d->Z + r * P);
            r++;
        }
    }
    d->n_absorbed = effects;
    d->absorbed = need(pfx_mem_calloc(effects, sizeof *d->absorbed, NULL));
    set_effect(&d->absorbed[0], "unit", code[0], units);
    set_effect(&d->absorbed[1], "second", code[1], compact(n, code[1], workers ? firms : kind == BENCH_TWO_WAY ? years : 500 * years));
    if (effects == 3) set_effect(&d->absorbed[2], "third", code[2], compact(n, code[2], 20 * years));
    d->name = need(pfx_mem_calloc(P, sizeof *d->name, NULL));
    d->role = need(pfx_mem_calloc(P, sizeof *d->role, NULL));
    for (int k = 0; k < P; k++) {
        char name[8];
        snprintf(name, sizeof name, "x%d", k);
        d->name[k] = need(pfx_mem_strdup(name, NULL));
        d->role[k] = k == P - 1 ? PFX_OUTCOME : PFX_REGRESSOR;
    }
    d->n_clusters = 1;
    d->clusters = need(pfx_mem_calloc(1, sizeof *d->clusters, NULL));
    d->clusters[0].name = need(pfx_mem_strdup("unit", NULL));
    d->clusters[0].n_levels = units;
    d->clusters[0].code = need(pfx_mem_alloc(n, sizeof **code, NULL));
    memcpy(d->clusters[0].code, code[0], (size_t)n * sizeof **code);
    pfx_mem_free(start), pfx_mem_free(mask);
    return d;
}

double bench_read_s(pfx_idx n, const double *x, int nth)
{
    double t = pfx_wall_s(), total = 0;
#pragma omp parallel for num_threads(nth) schedule(static) reduction(+ : total)
    for (pfx_idx b = 0; b < n / 4096; b++) {
        double lane[8] = {0};
        for (pfx_idx i = b * 4096; i < (b + 1) * 4096; i += 8) {
            __builtin_prefetch(x + i + 512);
            for (int l = 0; l < 8; l++) lane[l] += x[i + l];
        }
        total += lane[0] + lane[1] + lane[2] + lane[3] + lane[4] + lane[5] + lane[6] + lane[7];
    }
    volatile double keep = total;
    (void)keep;
    return pfx_wall_s() - t;
}

double bench_triad_gbs(pfx_idx n, int nth)
{
    double *a = need(pfx_mem_alloc(n, 8, NULL)), *b = need(pfx_mem_alloc(n, 8, NULL)), *c = need(pfx_mem_alloc(n, 8, NULL));
    double best = INFINITY;
#pragma omp parallel for num_threads(nth) schedule(static)
    for (pfx_idx i = 0; i < n; i++) a[i] = 0, b[i] = 1, c[i] = 2;
    for (int k = 0; k < 5; k++) {
        double t = pfx_wall_s();
#pragma omp parallel for num_threads(nth) schedule(static)
        for (pfx_idx i = 0; i < n; i++) a[i] = b[i] + 3.0 * c[i];
        best = fmin(best, pfx_wall_s() - t);
    }
    pfx_mem_free(a), pfx_mem_free(b), pfx_mem_free(c);
    return 24.0 * (double)n / best * 1e-9;
}
