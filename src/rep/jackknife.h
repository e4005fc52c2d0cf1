/* Cluster jackknife: coefficients without each cluster in turn, CV3 and CV3J variances, and how much each
 * cluster weighs. Source: methods.md section 5; MacKinnon, Nielsen and Webb (2023); Carter, Schnepel and
 * Steigerwald (2017). */
#ifndef PFX_REP_JACKKNIFE_H
#define PFX_REP_JACKKNIFE_H

#include "src/base/cpu.h"
#include "src/base/status.h"

struct pfx_clusterstat;

typedef struct pfx_jackknife {
    pfx_idx G;
    int n_terms;
    double *b;        /* [G x n_terms] without cluster g; NaN where the term is not identified without it */
    double *leverage; /* [G] trace of the cluster's block of the hat matrix of the whitened columns */
    double *partial;  /* [G x n_terms] share of the term's own variation; sums to 1 */
    pfx_idx *n_lost;  /* [n_terms] clusters without which the term is not identified */
    pfx_idx *first_lost; /* [n_terms] the first of them, -1: none */
    double *cv3, *cv3j;  /* [n_terms] standard errors, about the full sample and about the mean of the rest; a
                          * cluster without which the term is not identified is left out of both, G reduced */
    double *acceleration; /* [n_terms] of BCa intervals */
    double *effective;    /* [n_terms] effective number of clusters, rho = 0 */
} pfx_jackknife;

/* Of two-stage least squares leverage, partial and effective are NaN. Where the statistics absorbed effects
 * that cross the clusters, each cluster takes a refit (refit.h), and leverage is of the regressors beside all
 * effects; what was not solved counts as not identified. Fixed groups of clusters: the same bits at any nth
 * and on every ISA. NOMEM; USAGE as pfx_refit_create. */
pfx_status pfx_jackknife_run(const struct pfx_clusterstat *s, int nth, pfx_isa isa, pfx_jackknife **out,
                             pfx_err *err) PFX_MUST;
void pfx_jackknife_free(pfx_jackknife *j);

#endif
