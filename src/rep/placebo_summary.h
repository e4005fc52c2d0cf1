/* What placebo draws say about one coefficient. Source: methods.md section 7; Phipson and Smyth (2010) for
 * the p-value; Clopper and Pearson (1934) for its interval; Rosenbaum (2002), chapter 5, for inverting the
 * test. */
#ifndef PFX_REP_PLACEBO_SUMMARY_H
#define PFX_REP_PLACEBO_SUMMARY_H

#include <stdbool.h>
#include "src/base/status.h"

typedef struct pfx_placebo_draws {
    pfx_idx reps;
    const double *b, *t, *slope, *switchers; /* [reps]; t NULL: none; NaN where a draw is not identified */
    double estimate, statistic;              /* of the data; statistic of the test that t gives */
    double null;                             /* effect that is tested: with one other than 0 by b alone */
    double level, df_t;                      /* degrees of freedom of the draws' own t tests */
    bool by_t;                               /* what p_value compares */
    bool all;                                /* the draws are all assignments, each once */
} pfx_placebo_draws;

typedef struct pfx_placebo_result {
    pfx_idx valid;
    pfx_idx count;                   /* |b_r| >= |b| (1 - 1e-9), or |t| */
    double p_value, p_left, p_right; /* (count + 1)/(valid + 1), or count/valid where all are enumerated */
    double p_low, p_high;       /* exact interval of p_value over the draws; NaN where all are enumerated */
    double conf_low, conf_high; /* effects that the test by b does not reject at 1 - level; infinite where the
                                   draws are too few or too wide to reject any */
    double significant[3];      /* share of draws whose own t test rejects at 10, 5 and 1 % */
    double switchers;           /* mean of the valid draws */
    double mean, sd;            /* of b_r */
} pfx_placebo_result;

/* The test of effect H on a draw: |b_r - H slope| against |b - H|. The interval is the hull of what is not
 * rejected. NOMEM. */
pfx_status pfx_placebo_summarise(const pfx_placebo_draws *d, pfx_placebo_result *out, pfx_err *err) PFX_MUST;

#endif
