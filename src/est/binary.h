/* Binary response by maximum likelihood: logit and probit, the propensity score of a match.
 * Source: McCullagh and Nelder (1989), chapter 4; separation: Albert and Anderson (1984). */
#ifndef PFX_EST_BINARY_H
#define PFX_EST_BINARY_H

#include <stdbool.h>
#include "src/base/cpu.h"
#include "src/base/status.h"

struct pfx_design;

typedef enum pfx_link { PFX_LOGIT, PFX_PROBIT } pfx_link;
extern const char *const pfx_link_names[]; /* "logit", "probit", NULL */

typedef struct pfx_binary_options {
    pfx_link link;
    int maxiter; /* Newton steps, >= 1 */
    int nth;
    pfx_isa isa;
} pfx_binary_options;

typedef struct pfx_binary {
    pfx_idx n, n1; /* rows, and those with outcome 1 */
    int k;         /* coefficients: the intercept first, where there is one, then the regressors kept */
    char **term;   /* [k] */
    double *b;     /* [k] */
    double *se;    /* [k] from the observed information */
    double *index; /* [n] x'b; with the design's rows */
    double loglik, loglik0; /* loglik0: of the shares alone (or of 1/2 without an intercept) */
    int iterations;
    int n_collinear;
    char **collinear; /* [n_collinear] regressors left out, in formula order */
} pfx_binary;

/* Fit the outcome, 0 or 1, of d on its regressors. Newton on columns of mean 0 and length 1, halving a step
 * that does not climb. d has neither effects nor weights. Sums over fixed blocks: the same bits at any nth.
 * DATA: the outcome has other values, or only one. NOCONV: perfect separation, naming the column that tells
 * most; or maxiter reached. NOMEM. */
pfx_status pfx_binary_fit(const struct pfx_design *d, const pfx_binary_options *o, pfx_binary **out,
                          pfx_err *err) PFX_MUST;
void pfx_binary_free(pfx_binary *f);

/* P(outcome = 1) at an index. */
double pfx_link_probability(pfx_link link, double index);

#endif
