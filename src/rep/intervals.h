/* What a sample of bootstrap draws says about one coefficient. Source: methods.md section 3; Efron (1987) for
 * BCa; Davison and Hinkley (1997), chapter 5. */
#ifndef PFX_REP_INTERVALS_H
#define PFX_REP_INTERVALS_H

#include "src/base/status.h"

typedef enum pfx_ci {
    PFX_CI_PERCENTILE,
    PFX_CI_BASIC,
    PFX_CI_NORMAL,
    PFX_CI_BCA,
    PFX_CI_T,
    PFX_CI_KINDS
} pfx_ci;
extern const char
    *const pfx_ci_names[PFX_CI_KINDS + 1]; /* "percentile", "basic", "normal", "bca", "t", NULL */

typedef struct pfx_boot_in {
    pfx_idx reps;
    int stride;                 /* distance of one draw's values to the next */
    const double *b, *t;        /* draws and their (b_r - estimate) / SE_r, or t NULL */
    double estimate, std_error; /* full sample; std_error by the rule of the draws */
    double null, level;
    double acceleration; /* of BCa */
    double scale; /* b_r - estimate is taken this many times: sqrt(M / G) for draws of M of G clusters; 0: 1.
                     t_r has its own scale */
} pfx_boot_in;

typedef struct pfx_boot_out {
    pfx_idx valid;        /* draws that are not NaN: the denominator of everything below */
    double std_error;     /* standard deviation of the valid draws */
    double statistic;     /* (estimate - null) / the full sample's standard error; by std_error without t */
    pfx_idx count;        /* draws at least as extreme, a relative 1e-9 counting as equal */
    double p_value;       /* (1 + count) / (1 + valid) */
    double p_low, p_high; /* exact interval of what p_value estimates, at the level; NaN as p_value */
    double low[PFX_CI_KINDS], high[PFX_CI_KINDS]; /* NaN where not defined */
} pfx_boot_out;

/* Quantiles are of type 6, position (n + 1) p between order statistics, as the definition of p-values with n
 * + 1 asks for; beyond the first and the last draw those stand. NOMEM. */
pfx_status pfx_boot_summarise(const pfx_boot_in *in, pfx_boot_out *out, pfx_err *err) PFX_MUST;

/* Exact interval at `level` of a share that x of n draws were counted for (Clopper and Pearson 1934). n >= 1.
 */
void pfx_share_interval(double x, double n, double level, double *low, double *high);

#endif
