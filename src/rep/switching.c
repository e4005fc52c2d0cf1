#include "src/rep/switching.h"

#include <string.h>
#include "src/base/mem.h"
#include "src/est/vcov.h"
#include "src/model/design.h"

/* The nested effect of most levels: variation within it is what is left for the coefficient. -1: none. */
static pfx_status finest_nested(const pfx_design *d, int *best, pfx_err *err)
{
    *best = -1;
    for (int a = 0; a < d->n_absorbed; a++) {
        const pfx_factor *f = &d->absorbed[a].factor;
        bool nested = false;
        pfx_status st = pfx_factor_nested(d->n, f, &d->clusters[0], 1, &nested, err);
        if (st != PFX_OK) return st;
        if (!nested || !d->absorbed[a].intercept) continue;
        if (*best < 0 || f->n_levels > d->absorbed[*best].factor.n_levels) *best = a;
    }
    return PFX_OK;
}

pfx_status pfx_switching_clusters(const pfx_design *d, const char *term, pfx_idx *n, pfx_err *err)
{
    int col = 0, a = -1;
    *n = -1;
    while (col < d->p - 1 && strcmp(d->name[col], term)) col++;
    if (col == d->p - 1 || d->n_clusters == 0) return PFX_OK;
    pfx_status st = finest_nested(d, &a, err);
    if (st != PFX_OK || a < 0) return st;
    const pfx_factor *f = &d->absorbed[a].factor, *g = &d->clusters[0];
    pfx_idx *first = pfx_mem_alloc(f->n_levels, sizeof *first, err);
    char *switches = pfx_mem_calloc(g->n_levels, 1, err);
    if (!first || !switches) {
        st = PFX_ENOMEM;
        goto done;
    }
    for (pfx_idx l = 0; l < f->n_levels; l++) first[l] = -1;
    *n = 0;
    for (pfx_idx i = 0; i < d->n; i++) {
        pfx_idx *at = &first[f->code[i]];
        if (*at < 0) *at = i;
        if (switches[g->code[i]] || d->Z[*at * d->p + col] == d->Z[i * d->p + col]) continue;
        switches[g->code[i]] = 1;
        ++*n;
    }
done:
    pfx_mem_free(first);
    pfx_mem_free(switches);
    return st;
}
