/* Rambachan and Roth (2023): intervals of an effect after treatment that allow for differences in trends,
 * bounded by what is seen before treatment. */
#ifndef PFX_EST_EVENT_HONEST_H
#define PFX_EST_EVENT_HONEST_H

#include "src/est/event.h"

typedef struct pfx_honest_in {
    int n_pre, n_post; /* event times -1 - n_pre .. -2 and 0 .. n_post - 1, each >= 1; -1 is the reference */
    const double *b;   /* [n_pre + n_post] effects, in order of event time */
    const double *V;   /* [.. x ..] their covariance, positive definite */
    const double *l;   /* [n_post] the effect of interest is l'(effects after treatment) */
    double level;      /* of the intervals, in (0.5, 1) */
    int nth;
} pfx_honest_in;

typedef struct pfx_honest_interval {
    double bound; /* M, or Mbar */
    double low, high;
    double estimate; /* the middle of a fixed-length interval; else NaN */
} pfx_honest_interval;

/* Smoothness: the slope of the difference in trends changes by at most M between periods. The shortest
 * interval of fixed length about an estimate that is affine in b, from the quantile of the folded normal
 * distribution at its largest bias (section 4.1; M = 0: the trend before treatment, extrapolated linearly by
 * weighted least squares). Normal. NOMEM; IDENT: V is not positive definite. */
pfx_status pfx_honest_smooth(const pfx_honest_in *in, double M, pfx_honest_interval *out,
                             pfx_err *err) PFX_MUST;

/* Relative magnitudes: the difference in trends changes from period to period after treatment by at most Mbar
 * times its largest change before. The values that the conditional / least-favourable hybrid test of Andrews,
 * Roth and Pakes (2023) does not reject (level of its first stage a tenth of 1 - level; moments that involve
 * no period after treatment are not used), between the lowest and the highest; for each of the 2 n_pre
 * changes that may be the largest in turn. The critical value of the first stage is from pfx_honest_draws
 * draws of a fixed stream, PFX_HONEST_TAIL of them beyond it: the same at any nth. Ends are found to a thousandth of the effect's standard
 * error; infinite where they lie beyond any reason. Errors as above. */
enum { PFX_HONEST_TAIL = 50 };
pfx_idx pfx_honest_draws(double level);
pfx_status pfx_honest_relative(const pfx_honest_in *in, double Mbar, pfx_honest_interval *out,
                               pfx_err *err) PFX_MUST;
/* The same by the conditional test alone, as a check against other software. */
pfx_status pfx_honest_conditional(const pfx_honest_in *in, double Mbar, pfx_honest_interval *out,
                                  pfx_err *err) PFX_MUST;

/* The smallest bound whose interval holds 0, up to a hundredth of itself; 0: the one at bound 0 does. Where no
 * interval up to 2^20 times `unit` (> 0, where the search begins) holds it, that bound, and *above. */
typedef pfx_status pfx_honest_fn(const pfx_honest_in *in, double bound, bool *holds_zero, pfx_err *err);
pfx_status pfx_honest_smooth_zero(const pfx_honest_in *in, double M, bool *holds_zero, pfx_err *err) PFX_MUST;
pfx_status pfx_honest_relative_zero(const pfx_honest_in *in, double Mbar, bool *holds_zero,
                                    pfx_err *err) PFX_MUST;
pfx_status pfx_honest_breakdown(const pfx_honest_in *in, pfx_honest_fn *fn, double unit, double *out,
                                bool *above, pfx_err *err) PFX_MUST;

/* The quantile of |N(t, 1)| at level p in (0, 1), t >= 0. */
double pfx_honest_folded_quantile(double t, double p);

#endif
