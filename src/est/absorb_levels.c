/* Scores of whole levels of the eliminated effect, from the rows as they are. */
#include <stddef.h>
#include "kernels/levels.h"
#include "src/est/absorb_internal.h"
#include "src/est/codes.h"
#include "src/model/design.h"

bool pfx_absorber_has_levels(const pfx_absorber *a) { return a->mean && !a->constant && a->n_basis == 0 && a->n_long == 0; }

pfx_idx pfx_absorber_n_levels(const pfx_absorber *a)
{
    return a->first < 0 ? a->constant : a->d->absorbed[a->first].factor.n_levels;
}

bool pfx_absorber_levels_within(const pfx_absorber *a, const pfx_factor *f, bool *ascending)
{
    pfx_codes_order order;
    if (a->cluster_order && f >= a->d->clusters && f < a->d->clusters + a->d->n_clusters)
        order = a->cluster_order[f - a->d->clusters];
    else
        order = pfx_codes_compare(a->n, a->level, f->code, false, a->opt.nth);
    *ascending = !order.g_falls;
    return !order.splits;
}

bool pfx_absorber_nested(const pfx_absorber *a, int entry, int cluster, bool *nested)
{
    if (!a->cluster_order || !a->in_first[entry]) return false;
    *nested = !a->cluster_order[cluster].splits;
    return true;
}

pfx_idx pfx_absorber_level_scores(const pfx_absorber *a, pfx_idx b, const double *c, double *e, pfx_idx lds, double *S,
                                  const pfx_idx **start, double *ssr)
{
    pfx_idx row = a->block_row[b], levels = a->block_level[b + 1] - a->block_level[b];
    pfx_k_table t[PFX_ABSORB_MAX_REST];

    for (int i = 0; i < a->n_rest; i++) {
        const pfx_schur_block *r = &a->rest[i];
        t[i] = (pfx_k_table){r->code + row, r->value ? r->value + row : NULL, a->ldp, a->gamma + r->col0 * a->ldp,
                             r->n_levels * a->ldp > PFX_ABSORB_WIDE};
    }
    *start = a->start + a->block_level[b];
    *ssr = pfx_k_level_scores(a->opt.isa, levels, *start, a->p, a->p, a->d->Z + row * a->p, a->d->w ? a->d->w + row : NULL,
                              c, a->n_rest, t, e, lds, S);
    return levels;
}
