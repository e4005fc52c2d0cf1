#include "src/rep/switching.h"

#include <math.h>
#include <stdint.h>
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

/* The regressor's column of Z, -1: none. */
static int column_of(const pfx_design *d, const char *term)
{
    for (int j = 0; j < d->p - 1; j++)
        if (!strcmp(d->name[j], term)) return j;
    return -1;
}

/* Clusters are counted no further than `enough`, first [levels of f] and switches [clusters] cleared. Rows
 * that lie by their level, as they do after a fit, need no table of first rows: *sorted is false where they
 * do not, and first was NULL. */
static pfx_idx count_switching(const pfx_design *d, int col, const pfx_factor *f, pfx_idx enough,
                               pfx_idx *first, char *switches, bool *sorted)
{
    const int32_t *cluster = d->clusters[0].code;
    pfx_idx n = 0, at = 0;
    *sorted = true;
    for (pfx_idx i = 0; i < d->n && n < enough; i++) {
        const int32_t level = f->code[i];
        if (first) {
            if (first[level] < 0) first[level] = i;
            at = first[level];
        } else if (i && level != f->code[i - 1]) {
            if (level < f->code[i - 1]) {
                *sorted = false;
                break;
            }
            at = i;
        }
        if (switches[cluster[i]] || d->Z[at * d->p + col] == d->Z[i * d->p + col]) continue;
        switches[cluster[i]] = 1;
        n++;
    }
    return n;
}

pfx_status pfx_switching_few(const pfx_design *d, const char *term, pfx_idx enough, pfx_idx *n, pfx_err *err)
{
    int col = column_of(d, term), a = -1;
    *n = -1;
    if (col < 0 || d->n_clusters == 0) return PFX_OK;
    pfx_status st = finest_nested(d, &a, err);
    if (st != PFX_OK || a < 0) return st;
    const pfx_factor *f = &d->absorbed[a].factor, *g = &d->clusters[0];
    pfx_idx *first = NULL;
    bool sorted = true;
    char *switches = pfx_mem_calloc(g->n_levels, 1, err);
    if (!switches) return PFX_ENOMEM;
    *n = count_switching(d, col, f, enough, NULL, switches, &sorted);
    if (!sorted) {
        st = PFX_ENOMEM;
        if (!(first = pfx_mem_alloc(f->n_levels, sizeof *first, err))) goto done;
        for (pfx_idx l = 0; l < f->n_levels; l++) first[l] = -1;
        memset(switches, 0, (size_t)g->n_levels);
        *n = count_switching(d, col, f, enough, first, switches, &sorted);
        st = PFX_OK;
    }
done:
    pfx_mem_free(first);
    pfx_mem_free(switches);
    return st;
}

pfx_status pfx_switching_clusters(const pfx_design *d, const char *term, pfx_idx *n, pfx_err *err)
{
    return pfx_switching_few(d, term, PTRDIFF_MAX, n, err);
}

pfx_status pfx_treated_count(const pfx_design *d, const char *term, pfx_treated *out, pfx_err *err)
{
    const int col = column_of(d, term);
    double low = INFINITY, high = -INFINITY;
    pfx_idx both = 0, within = -1;
    *out = (pfx_treated){0};
    if (col < 0 || d->n_clusters == 0) return PFX_OK;
    const pfx_factor *f = &d->clusters[0];
    for (pfx_idx i = 0; i < d->n; i++) {
        low = fmin(low, d->Z[i * d->p + col]);
        high = fmax(high, d->Z[i * d->p + col]);
    }
    char *seen = pfx_mem_calloc(f->n_levels, 1, err);
    if (!seen) return PFX_ENOMEM;
    out->binary = low < high;
    for (pfx_idx i = 0; i < d->n && out->binary; i++) {
        double x = d->Z[i * d->p + col];
        out->binary = x == low || x == high;
        seen[f->code[i]] |= x == high ? 2 : 1;
    }
    for (pfx_idx g = 0; g < f->n_levels && out->binary; g++) {
        both += seen[g] == 3;
        out->n_treated += seen[g] == 2;
        out->n_control += seen[g] == 1;
    }
    pfx_mem_free(seen);
    pfx_status st = out->binary ? pfx_switching_clusters(d, term, &within, err) : PFX_OK;
    out->n_switching = within >= 0 ? within : both;
    return st;
}
