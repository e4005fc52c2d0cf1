/* Newey-West and Driscoll-Kraay variances with Bartlett weights. The weighted sum over lags 0..L is the mean
 * of L + 1 clustered meats, of windows of L + 1 consecutive periods that begin one period later each: rows l
 * periods apart share L + 1 - l of the windows. So it is positive semi-definite to the bit, and needs no code
 * of its own over rows. Source: Newey and West (1987); Driscoll and Kraay (1998). */
#ifndef PFX_EST_HAC_H
#define PFX_EST_HAC_H

#include "src/est/fit.h"
#include "src/est/vcov.h"

typedef struct pfx_hac {
    const struct pfx_factor *unit; /* NULL: periods are summed over units (Driscoll-Kraay) */
    const struct pfx_factor *period;
    pfx_idx n, lag, n_periods;
    int32_t *rank; /* [n_periods] place in time of each level of period */
} pfx_hac;

/* Periods are numbered in the order of the design's time, without gaps, as fixest does; the lag is `lag` or,
 * where it is negative, the integer part of T^(1/4). Clusters as pfx_vcov_type says. USAGE: the design has no
 * time, or no such clusters. DATA: a unit has two rows in one period; the lag is not below the number of
 * periods. NOMEM. */
pfx_status pfx_hac_create(const struct pfx_design *d, pfx_vcov_type type, pfx_idx lag, pfx_hac *out,
                          pfx_err *err) PFX_MUST;
void pfx_hac_clear(pfx_hac *h);

/* The meat M [q x q] of the scores that s describes (its meats are set here); work [2][q x q]. */
pfx_status pfx_hac_meat(const pfx_hac *h, pfx_scores *s, double *M, double *work, pfx_err *err) PFX_MUST;

#endif
