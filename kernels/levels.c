#include "kernels/levels.h"

#define PFX_K_SUFFIX _portable
#include "kernels/levels_body.h"

double pfx_k_level_scores(pfx_isa isa, pfx_idx n_levels, const pfx_idx *start, int p, pfx_idx ld, const double *X,
                          const double *w, const double *c, int n_tables, const pfx_k_table *table,
                          double *e, pfx_idx lds, double *S)
{
    static pfx_k_level_scores_fn *const variant[] = PFX_VARIANTS(pfx_k_level_scores);
    return variant[isa](n_levels, start, p, ld, X, w, c, n_tables, table, e, lds, S);
}
