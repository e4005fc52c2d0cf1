/* Paths of a treatment: each unit's values over the periods, every distinct one kept once. */
#include "src/rep/placebo_paths.h"

#include <math.h>
#include <string.h>
#include "src/base/mem.h"

pfx_status pfx_paths_init(pfx_paths *p, int n_periods, pfx_err *err)
{
    *p = (pfx_paths){.n_periods = n_periods, .n_slots = 64};
    p->slot = pfx_mem_alloc(p->n_slots, sizeof *p->slot, err);
    if (!p->slot) return PFX_ENOMEM;
    memset(p->slot, 0xff, (size_t)p->n_slots * sizeof *p->slot);
    return PFX_OK;
}

void pfx_paths_free(pfx_paths *p)
{
    pfx_mem_free(p->slot);
    pfx_mem_free(p->path);
}

/* FNV-1a over the values' bits; a negative zero is a zero. */
static uint64_t hash(int n, const double *v)
{
    uint64_t h = 1469598103934665603u;
    for (int i = 0; i < n; i++) {
        double x = v[i] + 0.0;
        uint64_t bits;
        memcpy(&bits, &x, sizeof bits);
        h = (h ^ (bits & 0xffffffff)) * 1099511628211u;
        h = (h ^ (bits >> 32)) * 1099511628211u;
    }
    return h ^ h >> 29;
}

/* Slot of a path: the one that holds it, or the free one where it belongs. */
static pfx_idx find_slot(const pfx_paths *p, const double *v)
{
    pfx_idx at = (pfx_idx)(hash(p->n_periods, v) & (uint64_t)(p->n_slots - 1));
    for (;; at = (at + 1) & (p->n_slots - 1)) {
        if (p->slot[at] < 0) return at;
        const double *have = p->path + (pfx_idx)p->slot[at] * p->n_periods;
        int t = 0;
        while (t < p->n_periods && have[t] == v[t]) t++;
        if (t == p->n_periods) return at;
    }
}

static pfx_status grow(pfx_paths *p, pfx_err *err)
{
    pfx_idx cap = p->cap ? 2 * p->cap : 16;
    double *path = pfx_mem_realloc(p->path, cap * p->n_periods, sizeof *path, err);
    if (!path) return PFX_ENOMEM;
    p->path = path;
    p->cap = cap;
    if (4 * cap <= p->n_slots) return PFX_OK;
    int32_t *slot = pfx_mem_alloc(4 * cap, sizeof *slot, err);
    if (!slot) return PFX_ENOMEM;
    pfx_mem_free(p->slot);
    p->slot = slot;
    p->n_slots = 4 * cap;
    memset(slot, 0xff, (size_t)p->n_slots * sizeof *slot);
    for (pfx_idx i = 0; i < p->n; i++) slot[find_slot(p, path + i * p->n_periods)] = (int32_t)i;
    return PFX_OK;
}

pfx_status pfx_paths_add(pfx_paths *p, const double *v, int32_t *id, pfx_err *err)
{
    bool zero = true;
    for (int t = 0; t < p->n_periods; t++) zero &= v[t] == 0;
    *id = -1;
    if (zero) return PFX_OK;
    if (p->n == p->cap) {
        pfx_status st = grow(p, err);
        if (st != PFX_OK) return st;
    }
    pfx_idx at = find_slot(p, v);
    if (p->slot[at] < 0) {
        memcpy(p->path + p->n * p->n_periods, v, (size_t)p->n_periods * sizeof *v);
        p->slot[at] = (int32_t)p->n++;
    }
    *id = p->slot[at];
    return PFX_OK;
}

void pfx_paths_carry(int n_periods, double *v)
{
    int first = 0;
    while (first < n_periods && isnan(v[first])) first++;
    for (int t = 0; t < first && first < n_periods; t++) v[t] = v[first];
    for (int t = 1; t < n_periods; t++)
        if (isnan(v[t])) v[t] = v[t - 1];
}
