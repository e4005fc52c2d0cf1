/* Goodman-Bacon (2021): the two-way fixed-effects coefficient of a treatment that begins in different periods
 * is an average of comparisons of two groups in two spans of time, with weights that are known. */
#ifndef PFX_EST_EVENT_BACON_H
#define PFX_EST_EVENT_BACON_H

#include "src/est/event.h"

typedef enum pfx_bacon_type {
    PFX_BACON_NEVER,   /* treated against never treated */
    PFX_BACON_EARLIER, /* treated earlier against treated later, before the latter's treatment */
    PFX_BACON_LATER,   /* treated later against treated earlier, which is treated all along */
    PFX_BACON_ALWAYS,  /* treated against treated in every period of the sample */
    PFX_BACON_TYPES
} pfx_bacon_type;
extern const char *const pfx_bacon_type_names[PFX_BACON_TYPES + 1]; /* "treated vs never treated", .., NULL */

typedef struct pfx_bacon_pair {
    pfx_bacon_type type;
    double treated, control;      /* first treated periods; control INFINITY: never, -INFINITY: always */
    pfx_idx n_treated, n_control; /* units */
    double weight, estimate;      /* of the difference in differences of means */
} pfx_bacon_pair;

typedef struct pfx_bacon_result {
    pfx_idx n_units, n_dropped; /* used; left out since not seen in every period */
    int n_periods;
    int n;
    pfx_bacon_pair *pair; /* [n] by type, treated group, control group; weights sum to 1 */
    struct {
        double weight, estimate; /* sum of the weights; average with them, NaN where there are none */
    } total[PFX_BACON_TYPES];
    double sum;   /* of weight times estimate: the coefficient again */
    pfx_fit *fit; /* outcome on the treatment, unit and period effects absorbed */
} pfx_bacon_result;

/* balanced: units that are not seen in every period of the sample are left out, else refused. d: one
 * regressor, the treatment (0 or 1, never back to 0), and the outcome; absorbed entry 0 the unit, entry 1 the
 * period; times asked for, no weights; rows by unit and period. Reorders rows, as a fit does. DATA: units
 * that are not seen in every period of the sample, with their number; nobody switches. As pfx_fit_ols.
 * Source: theorem 1 and equations 7 to 10 of Goodman-Bacon. */
pfx_status pfx_bacon_fit(struct pfx_design *d, bool balanced, const pfx_fit_options *o, pfx_bacon_result *out,
                         pfx_err *err) PFX_MUST;
void pfx_bacon_result_clear(pfx_bacon_result *r);

#endif
