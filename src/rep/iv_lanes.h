/* Two-stage least squares of 24 replicates side by side, from sums of cluster statistics. In a replicate A =
 * sum w_g M_g over [q, y~, u] (src/rep/clusterstat.h); A_qq = LL', F = L^-1 A_qy, and the second stage's
 * normal equations over [exogenous q, y~] are those of [leading columns of L', F]. Source: methods.md
 * sections 3 and 8. */
#ifndef PFX_REP_IV_LANES_H
#define PFX_REP_IV_LANES_H

#include "kernels/replicate.h"
#include "src/rep/clusterstat.h"

typedef struct pfx_iv_lanes {
    double *C; /* [ld x 24] in: the sums; out: L, and below it L^-1 times the products with y~ and u */
    double *d; /* [L x 24] reciprocals of L's pivots; 0: an instrument or regressor that is left out */
    double *F; /* [K(K+1)/2 x 24] factor of the second stage, K = n_exog + n */
    double *f; /* [K x 24] reciprocals of its pivots, 0 likewise */
    double *x; /* [K x 24] coefficients less the full sample's, of whitened columns */
} pfx_iv_lanes;

/* Doubles of all but C; and the struct over them. */
pfx_idx pfx_iv_lanes_size(const pfx_clusterstat *s);
pfx_iv_lanes pfx_iv_lanes_at(const pfx_clusterstat *s, double *C, double *room);
/* Doubles of work for pfx_iv_lanes_estimate. */
pfx_idx pfx_iv_lanes_work(const pfx_clusterstat *s);

/* Solve all lanes. Threads: any, the same bits on every ISA. */
void pfx_iv_lanes_solve(pfx_isa isa, const pfx_clusterstat *s, const pfx_iv_lanes *v);

/* Coefficients out [n_terms] of one solved lane. NaN: a tested exogenous column that the replicate does not
 * identify; all of them where it does not identify some endogenous variable's. */
void pfx_iv_lanes_estimate(const pfx_clusterstat *s, const pfx_iv_lanes *v, int lane, double *work,
                           double *out);

/* The score of term t in a cluster is h'M_g c, c = (-b, 1): h and b [k x 24] for pfx_k_rep_form. */
void pfx_iv_lanes_scores(pfx_isa isa, const pfx_clusterstat *s, const pfx_iv_lanes *v, int t, double *h,
                         double *b);

#endif
