#include "kernels/gram.h"

#define PFX_K_SUFFIX _portable
#include "kernels/gram_body.h"

void pfx_k_gram(pfx_isa isa, pfx_idx n, int p, pfx_idx ld, const double *X, const double *w, double *A)
{
    static pfx_k_gram_fn *const variant[] = PFX_VARIANTS(pfx_k_gram);
    variant[isa](n, p, ld, X, w, A);
}

void pfx_k_mirror(int p, double *A)
{
    for (pfx_idx j = 0; j < p; j++)
        for (pfx_idx i = j + 1; i < p; i++) A[i * p + j] = A[j * p + i];
}
