/* Names, levels, redundant levels and rank of the absorbed effects. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/est/absorb_internal.h"
#include "src/est/components.h"
#include "src/model/design.h"

/* The block of the Schur complement that holds the levels of entry e, or -1. */
static int rest_of(const pfx_absorber *a, int e)
{
    for (int b = 0; b < a->n_rest; b++)
        if (a->rest_entry[b] == e && a->rest_slope[b] < 0) return b;
    return -1;
}

/* Connected components of the levels of entries e and f. */
static pfx_status pair_components(const pfx_absorber *a, int e, int f, pfx_idx *out, pfx_err *err)
{
    const pfx_factor *x = &a->d->absorbed[e].factor, *y = &a->d->absorbed[f].factor;
    bool ex = a->mean && a->in_first[e], fx = a->mean && a->in_first[f];

    if (ex && fx) {
        *out = x->n_levels;
        return PFX_OK;
    }
    /* The Schur complement of the eliminated effect links two levels of another where a unit has both. */
    if (ex || fx) {
        *out = pfx_schur_components(a->schur, rest_of(a, ex ? f : e));
        return PFX_OK;
    }
    pfx_idx *root = pfx_mem_alloc(x->n_levels + y->n_levels, sizeof *root, err);
    if (!root) return PFX_ENOMEM;
    *out = pfx_components_of_pair(a->d->n, x->code, x->n_levels, y->code, y->n_levels, a->opt.nth, root);
    pfx_mem_free(root);
    return PFX_OK;
}

/* Levels where a slope does not vary (or, without level means, is zero throughout). */
static pfx_status flat_levels(const pfx_absorber *a, int e, int slope, pfx_idx *out, pfx_err *err)
{
    const pfx_absorbed *x = &a->d->absorbed[e];
    const double *v = x->slope[slope];
    bool *varies = pfx_mem_calloc(x->factor.n_levels, sizeof *varies, err);
    double *first = pfx_mem_calloc(x->factor.n_levels, sizeof *first, err);
    bool *seen = pfx_mem_calloc(x->factor.n_levels, sizeof *seen, err);
    bool ok = varies && first && seen;

    for (pfx_idx r = 0; ok && r < a->n; r++) {
        int32_t c = x->factor.code[r];
        if (!seen[c]) seen[c] = true, first[c] = x->intercept ? v[r] : 0.0;
        varies[c] |= v[r] != first[c];
    }
    *out = 0;
    for (pfx_idx g = 0; ok && g < x->factor.n_levels; g++) *out += !varies[g];
    pfx_mem_free(varies), pfx_mem_free(first), pfx_mem_free(seen);
    return ok ? PFX_OK : PFX_ENOMEM;
}

static pfx_status add_entry(pfx_absorber *a, int e, int *basis, pfx_err *err)
{
    const pfx_absorbed *x = &a->d->absorbed[e];
    pfx_absorb_info *info = &a->info;
    pfx_status st = PFX_OK;

    if (x->intercept) {
        pfx_idx best = 0, n;
        for (int f = 0; f < e && st == PFX_OK; f++) {
            if (!a->d->absorbed[f].intercept) continue;
            if ((st = pair_components(a, e, f, &n, err)) == PFX_OK && n > best) best = n;
        }
        if (st != PFX_OK) return st;
        a->info_levels[info->n_effects] = x->factor.n_levels;
        a->info_redundant[info->n_effects] = best;
        if (!(a->info_name[info->n_effects] = pfx_mem_strdup(x->factor.name, err))) return PFX_ENOMEM;
        info->n_effects++;
    }
    for (int k = 0; k < x->n_slopes; k++) {
        size_t len = strlen(x->factor.name) + strlen(x->slope_name[k]) + 3;
        char *name = pfx_mem_alloc((pfx_idx)len, 1, err);
        if (!name) return PFX_ENOMEM;
        snprintf(name, len, "%s[%s]", x->factor.name, x->slope_name[k]);
        a->info_name[info->n_effects] = name;
        a->info_levels[info->n_effects] = x->factor.n_levels;
        if (a->n_basis > 0 && a->in_first[e]) a->info_redundant[info->n_effects] = a->basis_lost[(*basis)++];
        else if ((st = flat_levels(a, e, k, &a->info_redundant[info->n_effects], err)) != PFX_OK) return st;
        info->n_effects++;
    }
    return PFX_OK;
}

pfx_status pfx_absorb_fill_info(pfx_absorber *a, pfx_err *err)
{
    const pfx_design *d = a->d;
    pfx_absorb_info *info = &a->info;
    pfx_status st = PFX_OK;
    int n = 0, basis = 0;

    for (int e = 0; e < d->n_absorbed; e++) n += d->absorbed[e].intercept + d->absorbed[e].n_slopes;
    if (!(a->info_name = pfx_mem_calloc(n, sizeof *a->info_name, err)) ||
        !(a->info_levels = pfx_mem_calloc(n, sizeof *a->info_levels, err)) ||
        !(a->info_redundant = pfx_mem_calloc(n, sizeof *a->info_redundant, err)))
        return PFX_ENOMEM;
    if (d->stream && d->stream->whole) st = pfx_absorber_rewind(a, err);    /* codes of all rows */
    for (int e = 0; e < d->n_absorbed && st == PFX_OK; e++) st = add_entry(a, e, &basis, err);
    info->name = (const char *const *)a->info_name;
    info->levels = a->info_levels;
    info->redundant = a->info_redundant;
    info->converged = true;
    info->route = a->schur ? pfx_schur_route(a->schur) : d->n_absorbed > 0 ? "one-way" : "none";
    info->rank = a->rank_first;
    if (a->schur) {
        pfx_idx rank = pfx_schur_rank(a->schur);
        info->rank = rank < 0 ? -1 : a->rank_first + rank;
    }
    return st;
}
