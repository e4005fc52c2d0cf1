/* Tails and quantiles of the t, F and chi-squared distributions, as tests and intervals use them. */
#ifndef PFX_EST_DIST_H
#define PFX_EST_DIST_H

/* P(|T| >= |t|), T with df > 0 degrees of freedom, normal where infinite. Keeps its relative accuracy in the far tail, down to the
 * smallest normal double. NaN for a NaN statistic or df <= 0; 0 for an infinite one. */
double pfx_dist_t_p(double t, double df);

/* The t with P(|T| > t) = 1 - level, level in (0, 1); of the normal where df is infinite. NaN for df <= 0. */
double pfx_dist_t_critical(double level, double df);

/* P(F >= f); df2 infinite: of chi-squared / df1. NaN for a NaN statistic or degrees of freedom <= 0. */
double pfx_dist_f_p(double f, double df1, double df2);

/* P(X >= x) of chi-squared, and the F with P(F > f) = 1 - level. NaN as above. */
double pfx_dist_chi2_p(double x, double df);
double pfx_dist_f_critical(double level, double df1, double df2);

/* The x with P(X > x) = 1 - level, X noncentral chi-squared of df > 0, not necessarily whole, and noncentrality
 * lambda >= 0: a mixture of central ones with Poisson weights. NaN as above, and where the root is not found. */
double pfx_dist_noncentral_chi2_critical(double level, double df, double lambda);

#endif
