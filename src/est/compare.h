/* Equality of coefficients over groups of rows that were fitted apart: the groups' designs, one below the
 * other with columns and effects of their own, are one regression with the same estimates, whose variance
 * joins the groups (a cluster may span them). */
#ifndef PFX_EST_COMPARE_H
#define PFX_EST_COMPARE_H

#include <stdint.h>
#include "src/est/fit.h"

struct pfx_design;

typedef struct pfx_compared {
    char *term;    /* NULL: all of them together */
    pfx_wald wald; /* by the variance and small-sample rule of the fits, of the joint regression */
    double chi2, chi2_df, chi2_p; /* SUEST: the same by G/(G-1) times the joint covariance of the scores
                                   * (n/(n-1) without clusters), as Stata's suest */
    double difference,
        std_error; /* two groups: second less first, and its standard error as wald's; else NaN */
    double
        spread; /* what is permuted: the difference, or for more groups the sum of squares about their mean */
    pfx_idx valid, extreme; /* draws with it; those at least as far from zero */
    double permutation_p;   /* (extreme + 1) / (valid + 1), Phipson and Smyth (2010); NaN: none */
} pfx_compared;

typedef struct pfx_comparison {
    char *formula, *outcome, *by_name;
    int n_groups;
    char **group; /* [n_groups] levels of --by */
    pfx_idx n_obs;
    int n_terms;        /* regressors that every group has an estimate of */
    pfx_compared *term; /* [n_terms] */
    pfx_compared joint;
    pfx_idx reps;  /* permutations of the groups over the clusters; 0: none, */
    char *why_not; /* and why, or NULL where none were asked for */
    uint64_t seed;
    char *cluster; /* what changed hands */
} pfx_comparison;

/* Designs of the groups [n >= 2], unchanged, with cluster_origin, and their fits by least squares. o: options
 * of those fits. max_bytes for the joint design, 0: no bound. USAGE: two-stage least squares. IDENT: no
 * common regressor. NOMEM. Others as pfx_fit_ols. Source: Weesie (1999), Stata Technical Bulletin 52; White
 * (1982). */
pfx_status pfx_compare(int n, const struct pfx_design *const *d, const pfx_fit *const *fits,
                       const pfx_fit_options *o, pfx_comparison **out, pfx_err *err) PFX_MUST;

/* All groups' rows as one design with common columns and effects, and the group of each of its first cluster
 * variable's clusters, *group [levels]. The designs have effect_origin and cluster_origin. *why: said where
 * it cannot be had, then *out is NULL: no clusters, clusters that lie in several groups, columns that differ.
 * NOMEM. */
pfx_status pfx_compare_pool(int n, const struct pfx_design *const *d, struct pfx_design **out,
                            int32_t **group, const char **why, pfx_err *err) PFX_MUST;
void pfx_comparison_free(pfx_comparison *c);

#endif
