#include "kernels/demean.h"

#define PFX_K_SUFFIX _portable
#include "kernels/demean_body.h"

void pfx_k_demean(pfx_isa isa, pfx_idx n_levels, const pfx_idx *start, int p, pfx_idx ld, const double *X,
                  const double *w, int n_tables, const pfx_k_table *table, pfx_idx ldo, double *out, const pfx_k_sums *sums,
                  const double *origin, double *mean)
{
    static pfx_k_demean_fn *const variant[] = PFX_VARIANTS(pfx_k_demean);
    variant[isa](n_levels, start, p, ld, X, w, n_tables, table, ldo, out, sums, origin, mean);
}

void pfx_k_shift(pfx_isa isa, pfx_idx n, int p, pfx_idx ld, const double *X, const double *ref, const double *m,
                 int n_tables, const pfx_k_table *table, pfx_idx ldo, double *out)
{
    static pfx_k_shift_fn *const variant[] = PFX_VARIANTS(pfx_k_shift);
    variant[isa](n, p, ld, X, ref, m, n_tables, table, ldo, out);
}
