#include "kernels/demean.h"

#define PFX_K_SUFFIX _portable
#include "kernels/demean_body.h"

void pfx_k_demean(pfx_isa isa, pfx_idx n_levels, const pfx_idx *start, int p, pfx_idx ld, const double *X,
                  const double *w, int n_tables, const pfx_k_table *table, pfx_idx ldo, double *out, double *mean)
{
    static pfx_k_demean_fn *const variant[] = {[PFX_ISA_PORTABLE] = pfx_k_demean_portable,
                                               [PFX_ISA_V3] = pfx_k_demean_v3,
                                               [PFX_ISA_V4] = pfx_k_demean_v4};
    variant[isa](n_levels, start, p, ld, X, w, n_tables, table, ldo, out, mean);
}

void pfx_k_shift(pfx_isa isa, pfx_idx n, int p, pfx_idx ld, const double *X, const double *ref, const double *m,
                 int n_tables, const pfx_k_table *table, pfx_idx ldo, double *out)
{
    static pfx_k_shift_fn *const variant[] = {
        [PFX_ISA_PORTABLE] = pfx_k_shift_portable, [PFX_ISA_V3] = pfx_k_shift_v3, [PFX_ISA_V4] = pfx_k_shift_v4};
    variant[isa](n, p, ld, X, ref, m, n_tables, table, ldo, out);
}
