/* Tails and quantiles of the t and F distributions, as tests and intervals use them. */
#ifndef PFX_EST_DIST_H
#define PFX_EST_DIST_H

/* P(|T| >= |t|), T with df > 0 degrees of freedom. Keeps its relative accuracy in the far tail, down to the
 * smallest normal double. NaN for a NaN statistic or df <= 0; 0 for an infinite one. */
double pfx_dist_t_p(double t, double df);

/* The t with P(|T| > t) = 1 - level, level in (0, 1). NaN for df <= 0. */
double pfx_dist_t_critical(double level, double df);

/* P(F >= f). NaN for a NaN statistic or degrees of freedom <= 0. */
double pfx_dist_f_p(double f, double df1, double df2);

#endif
