/* Small-sample rules: parameters counted, factors of the variance, degrees of freedom. The conventions of
 * fixest, reghdfe and Stata; shared/data's README, trap 1. */
#ifndef PFX_EST_SSC_H
#define PFX_EST_SSC_H

#include "src/est/fit.h"

/* What the rules look at. */
typedef struct pfx_ssc_in {
    pfx_ssc rule;
    pfx_vcov_type vcov;
    double n;                 /* observations, sum of frequency weights */
    int k;                    /* estimated coefficients, the intercept too */
    int n_effects;            /* as pfx_absorb_info: each slope is an effect of its own */
    const pfx_idx *levels;    /* [n_effects] */
    const pfx_idx *redundant; /* [n_effects] pairwise, reghdfe's convention */
    const bool *is_slope;     /* [n_effects] */
    const bool *nested;       /* [n_effects] in any cluster variable; all false without clusters */
    pfx_idx rank;             /* exact rank of the absorbed columns, or -1 */
    pfx_idx G[3];             /* clusters of the first, the second variable, and of their intersection */
} pfx_ssc_in;

typedef struct pfx_ssc_out {
    double df_absorbed; /* parameters of all effects: fixest sum(levels) - (Q-1); reghdfe pairwise; stata and
                         * none the exact rank (pairwise where it was not computed) */
    double df_residual; /* n - k - df_absorbed */
    double k_adj;       /* K of (n-1)/(n-K): effects nested in a cluster left out by fixest and reghdfe */
    double factor[3];   /* of the meat of each component: iid and HC1 [0]; two-way all three */
    double df_t;        /* n - K, or the (smaller) number of clusters less one */
} pfx_ssc_out;

void pfx_ssc_count(const pfx_ssc_in *in, pfx_ssc_out *out);

#endif
