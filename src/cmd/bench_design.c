/* Made-up designs, in memory: the panels of the fit cases without a file. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/cmd/bench_private.h"

enum { P = BENCH_COLUMNS, PART = 4096 /* units that a thread takes at once */ };

typedef struct maker {
    bench_kind kind;
    int years, effects;
    double move;
    pfx_idx units, firms;
    pfx_idx *start; /* [units + 1] */
    unsigned *mask; /* [units] years in which a unit is seen */
    int32_t *code[3];
    pfx_design *d;
} maker;

/* SplitMix64 (Steele, Lea, Flood 2014): the next number of a unit's stream, uniform in (-1, 1). */
static inline double draw(uint64_t *s)
{
    uint64_t z = (*s += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return (double)((int64_t)(z ^ (z >> 31)) >> 11) * 0x1p-52;
}

static inline pfx_idx pick(uint64_t *s, pfx_idx n)
{
    return (pfx_idx)((0.5 * draw(s) + 0.5) * (double)n);
}

static bool is_workers(bench_kind kind)
{
    return kind == BENCH_WORKERS || kind == BENCH_LOCAL;
}

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

/* Another firm for a worker: any, or one of ten neighbours. */
static pfx_idx next_firm(bench_kind kind, uint64_t *s, pfx_idx firm, pfx_idx firms)
{
    if (kind == BENCH_WORKERS) return pick(s, firms);
    pfx_idx step = 1 + pick(s, 5);
    return (firm + (draw(s) < 0 ? step : firms - step)) % firms;
}

static void fill_unit(const maker *m, pfx_idx g)
{
    uint64_t s = (uint64_t)g * 0xD1B54A32D192ED03ull + 99;
    double unit[P];
    bool workers = is_workers(m->kind);
    pfx_idx r = m->start[g], firm = pick(&s, workers ? m->firms : 500), region = pick(&s, 20);
    for (int k = 0; k < P; k++) unit[k] = draw(&s);
    for (int t = 0; t < m->years; t++) {
        if (workers && t && draw(&s) < 2 * m->move - 1) firm = next_firm(m->kind, &s, firm, m->firms);
        if (m->kind == BENCH_INDUSTRY && draw(&s) < -0.96) firm = pick(&s, 500);
        if (!(m->mask[g] >> t & 1)) continue;
        pfx_idx other = workers ? firm : m->kind == BENCH_INDUSTRY ? firm * m->years + t : t;
        m->d->clusters[0].code[r] = (int32_t)g;
        for (int e = 0; e < m->effects; e++)
            m->code[e][r] = (int32_t)(e == 0 ? g : e == 1 ? other : region * m->years + t);
        if (m->d->w) m->d->w[r] = 1.5 + draw(&s);
        fill_row(&s, unit, m->effects > 1 ? sin((double)other) : 0, m->d->Z + r * P);
        r++;
    }
}

static void fill_part(void *ctx, pfx_idx part, int thread)
{
    const maker *m = ctx;
    (void)thread;
    for (pfx_idx g = part * PART; g < (part + 1) * PART && g < m->units; g++) fill_unit(m, g);
}

/* Which rows there are. */
static pfx_status set_rows(maker *m, double share, pfx_err *err)
{
    m->start = pfx_mem_alloc(m->units + 1, sizeof *m->start, err);
    m->mask = pfx_mem_alloc(m->units, sizeof *m->mask, err);
    if (!m->start || !m->mask) return PFX_ENOMEM;
    m->start[0] = 0;
    for (pfx_idx g = 0; g < m->units; g++) {
        uint64_t s = (uint64_t)g * 977 + 5;
        m->mask[g] = is_workers(m->kind) ? (1u << m->years) - 1 : presence(&s, m->years, share);
        m->start[g + 1] = m->start[g] + __builtin_popcount(m->mask[g]);
    }
    return PFX_OK;
}

static pfx_status name_columns(pfx_design *d, pfx_err *err)
{
    d->name = pfx_mem_calloc(P, sizeof *d->name, err);
    d->role = pfx_mem_calloc(P, sizeof *d->role, err);
    if (!d->name || !d->role) return PFX_ENOMEM;
    for (int k = 0; k < P; k++) {
        char name[8];
        snprintf(name, sizeof name, "x%d", k);
        d->role[k] = k == P - 1 ? PFX_OUTCOME : PFX_REGRESSOR;
        if (!(d->name[k] = pfx_mem_strdup(k == P - 1 ? "y" : name, err))) return PFX_ENOMEM;
    }
    return PFX_OK;
}

static pfx_status allocate(maker *m, bool weights, pfx_err *err)
{
    static const char *const names[] = {"unit", "second", "third"};
    pfx_design *d = m->d;
    d->n = m->start[m->units];
    d->p = P;
    d->intercept = m->effects == 0;
    if (!(d->Z = pfx_mem_alloc(d->n * P, sizeof *d->Z, err))) return PFX_ENOMEM;
    if (weights) {
        d->weights_kind = PFX_W_ANALYTIC;
        if (!(d->w = pfx_mem_alloc(d->n, sizeof *d->w, err))) return PFX_ENOMEM;
    }
    if (!(d->absorbed = pfx_mem_calloc(m->effects, sizeof *d->absorbed, err))) return PFX_ENOMEM;
    for (int e = 0; e < m->effects && e < 3; e++) {
        pfx_absorbed *a = &d->absorbed[d->n_absorbed++];
        a->intercept = true;
        a->factor.name = pfx_mem_strdup(names[e], err);
        a->factor.code = m->code[e] = pfx_mem_alloc(d->n, sizeof *a->factor.code, err);
        if (!a->factor.name || !a->factor.code) return PFX_ENOMEM;
    }
    if (!(d->clusters = pfx_mem_calloc(1, sizeof *d->clusters, err))) return PFX_ENOMEM;
    d->n_clusters = 1;
    d->clusters[0].n_levels = m->units;
    d->clusters[0].name = pfx_mem_strdup("unit", err);
    d->clusters[0].code = pfx_mem_alloc(d->n, sizeof *d->clusters[0].code, err);
    return d->clusters[0].name && d->clusters[0].code ? name_columns(d, err) : PFX_ENOMEM;
}

/* Levels that occur, numbered anew in the order of their first row. */
static pfx_status compact(pfx_idx n, pfx_factor *f, pfx_idx levels, pfx_err *err)
{
    int32_t *to = pfx_mem_calloc(levels, sizeof *to, err), used = 0;
    if (!to) return PFX_ENOMEM;
    for (pfx_idx i = 0; i < n; i++) {
        if (!to[f->code[i]]) to[f->code[i]] = ++used;
        f->code[i] = to[f->code[i]] - 1;
    }
    pfx_mem_free(to);
    f->n_levels = used;
    return PFX_OK;
}

pfx_status bench_design(bench_kind kind, pfx_idx n, double move, bool weights, int nth, pfx_design **out,
                        pfx_err *err)
{
    const bool plain = kind <= BENCH_TWO_WAY;
    const double share = is_workers(kind) ? 1.0 : plain ? 0.714 : 0.757;
    maker m = {.kind = kind,
               .years = plain ? 10 : 7,
               .effects = kind == BENCH_NONE       ? 0
                          : kind == BENCH_ONE_WAY  ? 1
                          : kind == BENCH_INDUSTRY ? 3
                                                   : 2,
               .move = move};
    m.units = (pfx_idx)((double)n / (share * m.years)) + 2;
    m.firms = m.units / 7 + 11;
    pfx_status st = (m.d = pfx_mem_calloc(1, sizeof *m.d, err)) ? PFX_OK : PFX_ENOMEM;
    if (st == PFX_OK) st = set_rows(&m, share, err);
    if (st == PFX_OK) st = allocate(&m, weights, err);
    if (st == PFX_OK) pfx_par_for((m.units + PART - 1) / PART, nth, fill_part, &m);
    const pfx_idx levels[] = {m.units,
                              is_workers(kind)         ? m.firms
                              : kind == BENCH_INDUSTRY ? 500 * m.years
                                                       : m.years,
                              20 * m.years};
    for (int e = 0; e < m.effects && e < 3 && st == PFX_OK; e++)
        st = compact(m.d->n, &m.d->absorbed[e].factor, levels[e], err);
    pfx_mem_free(m.start);
    pfx_mem_free(m.mask);
    if (st == PFX_OK)
        *out = m.d;
    else
        pfx_design_free(m.d);
    return st;
}
