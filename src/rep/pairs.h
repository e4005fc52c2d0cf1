/* Pairs cluster bootstrap: whole clusters drawn with replacement, as weights on cluster statistics. Equal to
 * resampling rows with fresh identifiers for each copy and fitting again; of the Bayesian bootstrap, to
 * fitting with each row's weight times that of its cluster. Source: methods.md section 3; Cameron, Gelbach
 * and Miller (2008); Rubin (1981); Bickel, Goetze and van Zwet (1997). */
#ifndef PFX_REP_PAIRS_H
#define PFX_REP_PAIRS_H

#include <stdbool.h>
#include "src/base/cpu.h"
#include "src/rep/driver.h"
#include "src/rep/together.h"

struct pfx_clusterstat;
struct pfx_refit;

typedef struct pfx_pairs pfx_pairs;

typedef struct pfx_pairs_options {
    bool std_error; /* standard error and t of each draw; without, they are NaN and the draw costs half */
    pfx_isa isa;
    bool bayes;    /* independent exponential(1) weights of the clusters in place of counts, to the sum G:
                      Dirichlet.    The standard error is the sample's in the weighted sample: squared scores
                      times    weights, as    with counts. (Squared weights, as in a weighted fit's sandwich,
                      have    mean 2 and    would halve    t's variance.) */
    pfx_idx draws; /* clusters in a replicate, 2 .. G, without bayes and all; 0: as many as there are. The
                      factor of the standard error is then draws/(draws-1) */
    pfx_union all; /* clusters are drawn from these; n 0: from the statistics' own. Must outlive the method. A
                      replicate then has as many of its own as fall to it, on average G. */
    /* Where the statistics absorbed effects that cross the clusters, and each replicate is a refit (refit.h):
     */
    int nth; /* that draw, for what memory allows */
    int way; /* pfx_refit_in's, for tests */
} pfx_pairs_options;

/* A draw is, for each tested term, the coefficient b_r; its cluster-robust standard error with the factor
 * G/(G-1) alone, G the clusters of a replicate; and (b_r - b) over it. A nuisance column that vanishes or
 * turns collinear in a replicate is left out of it, as a refit would; a term that is not identified in a
 * replicate is NaN; all of them are where a refit's equations are not solved in s->maxiter steps. s must
 * outlive the method. NOMEM, also beyond s->max_bytes; USAGE as pfx_refit_create. */
pfx_status pfx_pairs_create(const struct pfx_clusterstat *s, const pfx_pairs_options *o, pfx_pairs **out,
                            pfx_err *err) PFX_MUST;
void pfx_pairs_free(pfx_pairs *p);
const pfx_rep_method *pfx_pairs_method(const pfx_pairs *p);
/* NULL: replicates are products of the statistics. */
const struct pfx_refit *pfx_pairs_refit(const pfx_pairs *p);

/* One batch for given counts: count [width x ld], ld = pfx_pairs_ld, how often each replicate takes each
 * cluster, zero beyond the clusters; scratch and field as the method's batch. For enumerations and tests. */
pfx_idx pfx_pairs_ld(const pfx_pairs *p);
void pfx_pairs_batch(const pfx_pairs *p, const uint8_t *count, void *scratch, double *const *field);

/* Weights of clusters first .. first + n - 1 in a replicate of the Bayesian bootstrap, n values that are
 * `stride` apart: of cluster number g (of[g] where `of` is not NULL) number g of pfx_k_exponentials on the
 * stream (seed, PFX_RNG_BAYES, replicate). */
void pfx_pairs_exponentials(pfx_isa isa, uint64_t seed, uint64_t replicate, const int32_t *of, pfx_idx first,
                            pfx_idx n, pfx_idx stride, double *out);

/* The full sample's standard error of each term by the rule of the draws, se [n_terms]. NOMEM. */
pfx_status pfx_pairs_full(const pfx_pairs *p, double *se, pfx_err *err) PFX_MUST;

#endif
