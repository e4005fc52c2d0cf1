/* Callaway and Sant'Anna (2021): effects of each cohort in each period, and averages of them, with standard
 * errors from influence functions. The scores are those of Sant'Anna and Zhao (2020), for panels. */
#ifndef PFX_EST_EVENT_CS_H
#define PFX_EST_EVENT_CS_H

#include "src/est/event.h"

typedef enum pfx_cs_score { PFX_CS_DR, PFX_CS_REG, PFX_CS_IPW } pfx_cs_score;
typedef enum pfx_cs_control { PFX_CS_NEVER, PFX_CS_NOTYET } pfx_cs_control;
typedef enum pfx_cs_base { PFX_CS_VARYING, PFX_CS_UNIVERSAL } pfx_cs_base;
extern const char *const pfx_cs_score_names[];   /* "dr", "reg", "ipw", NULL */
extern const char *const pfx_cs_control_names[]; /* "never", "notyet", NULL */
extern const char *const pfx_cs_base_names[];    /* "varying", "universal", NULL */

typedef struct pfx_cs_options {
    pfx_cs_score score;
    pfx_cs_control control;
    pfx_cs_base base;
    bool balanced; /* only units seen in every period; else each effect takes the units seen in both its
                      periods */
    bool windowed; /* event times from low to high alone enter the averages by event time */
    int low, high;
    double level; /* of the intervals, in (0, 1) */
    int nth;
    pfx_isa isa;
} pfx_cs_options;

/* The effect on cohort g in a period, against the base period. */
typedef struct pfx_cs_att {
    int cohort;        /* of the timing's */
    double time, base; /* periods */
    pfx_idx n_treated, n_control;
    pfx_event_effect e; /* at: event time; n: treated units; reference: the base period itself */
} pfx_cs_att;

/* An average of them: its parts, and the average over these. */
typedef struct pfx_cs_average {
    int n;
    pfx_event_effect *effect; /* [n] at: event time, cohort or period */
    pfx_event_effect overall; /* n: cells of cohort and period in it */
} pfx_cs_average;

typedef struct pfx_cs_result {
    pfx_idx n_units, n_unbalanced; /* used; left out since not seen in every period (with balanced) */
    pfx_idx n_clusters;
    pfx_idx n_trimmed; /* controls whose propensity score is 0.995 or more, over all cells: weight 0 */
    int n_periods, n_covariates;
    int n_skipped; /* cells without treated units or controls seen in both periods */
    int n_att;
    pfx_cs_att *att; /* [n_att] by cohort, then period */
    double *V;       /* [n_att x n_att] */
    pfx_event_effect simple;
    pfx_cs_average dynamic, group, calendar; /* dynamic: overall from event time 0 on */
    double *V_dynamic;                       /* [dynamic.n x dynamic.n] */
    pfx_wald pre; /* chi-squared / df1 of all effects before treatment; df1 0: there are none; df2 infinite */
} pfx_cs_result;

/* d: outcome and covariates, an intercept, no effects, no weights, rows and times asked for, at most one
 * cluster variable (none: by unit), units whose cohort is NaN left out. Covariates are those of the earlier
 * of the two periods. varying: an effect before treatment is against the period before it, one after against
 * the last period before treatment; universal: all against the latter. Controls not yet treated are those
 * that are treated later than both periods. Averages weigh cohorts by their numbers of units, and their
 * variance counts that these are estimated; no small-sample factor; intervals are normal and pointwise: as
 * did's aggte with analytical standard errors. DATA: nobody never treated where control asks for it; no cell
 * is left; a cluster that varies within a unit. IDENT: covariates collinear among the controls of a cell.
 * NOCONV: separation, naming the cell. NOMEM. */
pfx_status pfx_cs_fit(const pfx_event_timing *t, const struct pfx_design *d, const pfx_cs_options *o,
                      pfx_cs_result *out, pfx_err *err) PFX_MUST;
void pfx_cs_result_clear(pfx_cs_result *r);

#endif
