/* p-values of several tests at once, from draws that the tests share: replicate r of every test comes from
 * the same weights on clusters, or the same assignment, so that the draws know how the tests hang together.
 *
 * Both control the probability of even one false rejection in the family. With |t| sorted, largest first:
 * Romano-Wolf (2005, 2016) compares |t_(j)| with the largest |t*| of the tests j, j + 1, ... in each
 * replicate: the step-down maxT. Westfall-Young (1993, algorithm 2.8; Ge, Dudoit and Speed 2003) does the
 * same with p-values, the smallest of which is looked at, sorted by the tests' own p-values; a replicate's
 * p-value is from its rank among the draws of its test. It is the step-down minP, which gives each test the
 * same share of the error where the tails of the statistics differ. In both no p-value is below that of a
 * test before it. */
#ifndef PFX_REP_FAMILY_H
#define PFX_REP_FAMILY_H

#include <stdbool.h>
#include "src/base/status.h"

/* How a method counts: when a draw is as extreme as the sample, and whether the sample counts among the
 * draws. */
typedef struct pfx_family_rule {
    bool strict;   /* |t*| > |t| (1 + 1e-9), ties not counted; else |t*| >= |t| (1 - 1e-9) */
    bool with_own; /* (count + 1) / (draws + 1), else count / draws */
} pfx_family_rule;

typedef struct pfx_family_in {
    pfx_idx reps;
    int n_tests, stride;     /* distance of one draw's values to the next, >= n_tests */
    const double *t;         /* [reps x stride] statistics of the draws under the null; NaN: not identified */
    const double *statistic; /* [n_tests] of the sample, finite */
    pfx_family_rule rule;
} pfx_family_in;

/* p_rw, p_wy [n_tests]; neither is below the test's own p-value by the same rule. A replicate in which test j
 * is not identified does not count for j; among the others the extreme is over the tests that are. NaN for a
 * test without a valid draw. Memory: two arrays as long as the draws. NOMEM. */
pfx_status pfx_family_adjust(const pfx_family_in *in, double *p_rw, double *p_wy, pfx_err *err) PFX_MUST;

#endif
