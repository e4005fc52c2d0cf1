/* Variances from the statistics of whole clusters: the jackknife CV3 and CV3J, and the bias-reduced CR2 with
 * Satterthwaite degrees of freedom. What src/est/fit.h asks its caller for. */
#ifndef PFX_REP_CLUSTER_VCOV_H
#define PFX_REP_CLUSTER_VCOV_H

#include "src/est/fit.h"

/* A pfx_cluster_vcov_fn. The clusters are the first cluster variable of d, which is not changed; effects that
 * are not nested in them become columns (clusterstat.h), or, of the jackknife and beyond
 * PFX_CLUSTERSTAT_REFIT, each cluster takes a refit.
 *
 * CRV3, CV3J: sum over g of (b_g - c)(b_g - c)', times (G-1)/G, b_g the estimates without cluster g, c the
 * estimate or the mean of the b_g. A cluster without which a coefficient is not identified is left out of
 * that coefficient's sums and of its G. df: that G - 1. MacKinnon, Nielsen and Webb (2023).
 *
 * CR2: (I - H_gg)^(-1/2) times the residuals of each cluster, H the hat matrix, errors taken as independent
 * with variance 1 / weight. A function of the k x k products Q_g'Q_g of the whitened rows alone: Q'f(QQ') =
 * f(Q'Q)Q', so that clusters may be of any size; where I - H_gg is singular the pseudo-inverse (that
 * direction has no residual). df as Bell and McCaffrey (2002), Pustejovsky and Tipton (2018), whose theorem 2
 * lets the nested effects be absorbed.
 *
 * Of two-stage least squares: the jackknife leaves clusters out of both stages; CR2 is that of the projected
 * regressors with the structural residuals, as clubSandwich's for ivreg.
 *
 * Warns of singular clusters, and names what is not identified without them. USAGE: CR2 with frequency or
 * probability weights. Others as pfx_clusterstat_create. The same bits at any nth. */
pfx_status pfx_cluster_vcov(const struct pfx_design *d, const pfx_cluster_vcov_in *in,
                            pfx_cluster_vcov_out *out, pfx_err *err) PFX_MUST;

#endif
