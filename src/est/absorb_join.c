/* Where the mean of all rows alone is taken off, one reading of them gives it and the products about it: each block's
 * rows about their own mean, then blocks, and groups of blocks, joined in their order.
 * Chan, Golub, LeVeque (1983), for matrices. */
#include "kernels/gram.h"
#include "kernels/within.h"
#include "src/est/absorb_internal.h"
#include "src/model/design.h"

bool pfx_absorb_joins(const pfx_absorber *a) { return a->constant && a->n_rest == 0 && a->n_basis == 0; }

double pfx_absorb_join_means(int p, double *weight, double *mean, double w1, double *mean1)
{
    double w0 = *weight, w = w0 + w1;
    for (int k = 0; k < p; k++) {
        mean1[k] -= mean[k];
        mean[k] += mean1[k] * (w1 / w);
    }
    *weight = w;
    return w0 * w1 / w;
}

void pfx_absorb_add_between(pfx_isa isa, int p, pfx_idx ld, double factor, const double *difference, double *gram)
{
    if (factor > 0) pfx_k_gram(isa, 1, p, ld, difference, &factor, gram);
}

void pfx_absorb_join_rows(pfx_isa isa, pfx_idx n, const pfx_absorb_view *v, const double *X, const double *w, double *buf,
                          double *mean1, double *gram, double *mom)
{
    const pfx_idx span[2] = {0, n};
    const pfx_k_within_args k = {.n_levels = 1, .start = span, .p = v->p, .ld = v->p, .X = X, .w = w,
                                 .origin = v->origin, .ldm = v->ld, .mean = mean1, .ldb = v->ld, .buf = buf, .A = gram};
    double weight = w ? 0.0 : (double)n;

    for (pfx_idx r = 0; w && r < n; r++) weight += w[r];
    pfx_k_within(isa, &k);
    double factor = pfx_absorb_join_means(v->p, mom, mom + 1, weight, mean1);
    pfx_absorb_add_between(isa, v->p, v->ld, factor, mean1, gram);
}
