/* Drawing assignments: at random, one after the other, or from the user's list. */
#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/rep/placebo_assign.h"
#include "src/rep/placebo_paths.h"

typedef struct scratch {
    uint32_t *order; /* [n_places] */
    uint32_t *taken; /* [n_drawn] */
    uint32_t *pick;  /* [n_drawn] */
    uint32_t *left;  /* [n_drawn] as pfx_k_slots */
    uint32_t *place; /* [n_drawn] */
    uint32_t *count; /* [n_paths + 1] units of a stratum yet to get each path; last: none */
    pfx_idx bytes;
} scratch;

static scratch lay_out(const pfx_assign *a, void *at)
{
    pfx_idx n = a->n_places, m = a->n_drawn;
    uint32_t *p = at;
    if (!p) return (scratch){.bytes = (n + 4 * m + a->n_paths + 1) * (pfx_idx)sizeof *p};
    return (scratch){.order = p,
                     .taken = p + n,
                     .pick = p + n + m,
                     .left = p + n + 2 * m,
                     .place = p + n + 3 * m,
                     .count = p + n + 4 * m};
}

pfx_idx pfx_assign_scratch(const pfx_assign *a)
{
    return lay_out(a, NULL).bytes;
}

void pfx_assign_begin(const pfx_assign *a, void *at)
{
    const scratch s = lay_out(a, at);
    memcpy(s.order, a->order, (size_t)a->n_places * sizeof *a->order);
    pfx_k_placebo_slots(a->n_strata, a->stratum, s.left, s.place);
}

/* Assignment number `index`, strata as digits, the last fastest: within a stratum its units in turn take a
 * path, and of the arrangements of the n that are left a share count/n gives the next one each path. */
static pfx_idx unrank(const pfx_assign *a, double index, scratch *s, uint32_t *unit, uint32_t *path)
{
    pfx_idx n_out = 0, none = a->n_paths;
    double rest = a->assignments;
    const uint32_t *pool = a->pool;
    for (pfx_idx i = 0; i < a->n_strata; pool += a->stratum[i++].m) {
        uint32_t n = a->stratum[i].n, m = a->stratum[i].m;
        double left = a->arrangements[i];
        memset(s->count, 0, (size_t)(a->n_paths + 1) * sizeof *s->count);
        for (uint32_t j = 0; j < m; j++) s->count[pool[j]]++;
        s->count[none] = n - m;
        rest /= left;
        double digit = floor(index / rest);
        index -= digit * rest;
        for (uint32_t j = 0; j < n; j++) {
            pfx_idx p = none;
            double share = left * s->count[p] / (n - j);
            for (; digit >= share && p > 0; share = left * s->count[--p] / (n - j)) digit -= share;
            left = share;
            s->count[p]--;
            if (p == none) continue;
            unit[n_out] = a->order[a->stratum[i].first + j];
            path[n_out++] = (uint32_t)p;
        }
    }
    return n_out;
}

pfx_idx pfx_assign_draw(const pfx_assign *a, pfx_isa isa, uint64_t seed, pfx_idx replicate, void *at,
                        uint32_t *unit, uint32_t *path)
{
    scratch s = lay_out(a, at);
    if (a->n_file > 0) {
        /* A last batch may ask for more than there are. */
        pfx_idx r = replicate < a->n_file ? replicate : a->n_file - 1, first = a->file_start[r];
        pfx_idx n = a->file_start[r + 1] - first;
        memcpy(unit, a->file_unit + first, (size_t)n * sizeof *unit);
        memcpy(path, a->file_path + first, (size_t)n * sizeof *path);
        return n;
    }
    if (a->enumerate) {
        double last = a->assignments - 1;
        return unrank(a, (double)replicate < last ? (double)replicate : last, &s, unit, path);
    }
    bool dates = a->scheme == PFX_PLACEBO_RANDOM_DATE;
    const pfx_k_slots slots = {.left = s.left, .place = s.place, .order = a->order};
    pfx_k_placebo_draw(isa, seed, PFX_RNG_PLACEBO, (uint64_t)replicate, a->n_strata, a->stratum, &slots,
                       s.order, s.taken, unit, dates ? s.pick : NULL);
    if (!dates) {
        memcpy(path, a->pool, (size_t)a->n_drawn * sizeof *path);
        return a->n_drawn;
    }
    pfx_idx first = 0, j = 0;
    for (pfx_idx i = 0; i < a->n_strata; first += a->stratum[i++].m)
        for (uint32_t k = 0; k < a->stratum[i].m; k++, j++) path[j] = a->pool[first + s.pick[j]];
    return a->n_drawn;
}

pfx_idx pfx_assign_own(const pfx_assign *a, uint32_t *unit, uint32_t *path)
{
    bool all = a->n_file > 0;
    pfx_idx n = 0, places = all ? a->n_units : a->n_places;
    for (pfx_idx i = 0; i < places; i++) {
        uint32_t u = all ? (uint32_t)i : a->order[i];
        if (a->own[u] < 0) continue;
        unit[n] = u;
        path[n++] = (uint32_t)a->own[u];
    }
    return n;
}

pfx_status pfx_assign_file(pfx_assign *a, pfx_idx n_draws, const pfx_idx *start, const uint32_t *unit,
                           const double *values, pfx_err *err)
{
    pfx_paths p = {0};
    pfx_status st = pfx_paths_init(&p, a->n_periods, err);
    pfx_idx n = start[n_draws], kept = 0;
    double *v = pfx_mem_alloc(a->n_periods, sizeof *v, err);
    a->file_start = pfx_mem_alloc(n_draws + 1, sizeof *a->file_start, err);
    a->file_unit = pfx_mem_alloc(n, sizeof *a->file_unit, err);
    a->file_path = pfx_mem_alloc(n, sizeof *a->file_path, err);
    if (!v || !a->file_start || !a->file_unit || !a->file_path) st = PFX_ENOMEM;
    /* The data's paths keep their numbers. */
    for (pfx_idx i = 0; i < a->n_paths && st == PFX_OK; i++) {
        int32_t id;
        st = pfx_paths_add(&p, a->path + i * a->n_periods, &id, err);
    }
    a->most = 0;
    for (pfx_idx r = 0; r < n_draws && st == PFX_OK; r++) {
        a->file_start[r] = kept;
        for (pfx_idx i = start[r]; i < start[r + 1] && st == PFX_OK; i++) {
            int32_t id;
            memcpy(v, values + i * a->n_periods, (size_t)a->n_periods * sizeof *v);
            pfx_paths_carry(a->n_periods, v);
            st = pfx_paths_add(&p, v, &id, err);
            if (id < 0) continue;
            a->file_unit[kept] = unit[i];
            a->file_path[kept++] = (uint32_t)id;
        }
        if (kept - a->file_start[r] > a->most) a->most = kept - a->file_start[r];
    }
    if (st == PFX_OK) {
        a->file_start[n_draws] = kept;
        a->n_file = n_draws;
        a->n_fixed = 0; /* the user's draws say it all */
        pfx_mem_free(a->path);
        a->path = p.path;
        a->n_paths = p.n;
        p.path = NULL;
        a->assignments = INFINITY;
    }
    pfx_mem_free(v);
    pfx_paths_free(&p);
    return st;
}
