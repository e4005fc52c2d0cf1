/* Event studies: when each unit is first treated, cells of cohort and event time, and effects by event time
 * from cells. Event time is the period less the first treated period, in steps of the panel's time. */
#ifndef PFX_EST_EVENT_H
#define PFX_EST_EVENT_H

#include <stdbool.h>
#include "src/base/stream.h"
#include "src/est/fit.h"

struct pfx_design;

/* ---- who is treated when ---- */

typedef struct pfx_event_timing {
    pfx_idx n_rows, n_units;
    double first, last; /* periods of the panel */
    double *cohort; /* [n_units] first treated period, within the panel and after its first; INFINITY: never,
                     * or after the last period; NaN: left out, since no period before treatment is seen */
    pfx_idx *start; /* [n_units + 1] first row of each unit */
    pfx_idx n_treated, n_never;          /* units */
    pfx_idx n_censored, n_censored_rows; /* units left out, and their rows */
    pfx_idx n_reversed;                  /* units whose treatment switches off; 0 unless allowed */
    int n_cohorts;
    double *cohorts;       /* [n_cohorts] ascending */
    pfx_idx *cohort_units; /* [n_cohorts] */
} pfx_event_timing;

/* Read the column `variable`, which src holds beside the unit, from the start. A 0/1 treatment: the cohort is
 * the first period where it is 1; a unit is left out if it is 1 in its first row or after a missing value,
 * since then the date is not seen. A cohort column: the first treated period, missing (or 0 where all periods
 * are above 0) for units never treated; units treated by the panel's first period are left out. USAGE: a
 * panel without unit or time, a category. DATA: values other than 0 and 1; treatment that switches off,
 * naming units, unless allowed (then the first switch counts); a cohort that varies within a unit or is no
 * whole number; nobody is treated. NOMEM. */
pfx_status pfx_event_timing_read(pfx_row_source *src, const char *variable, bool is_cohort,
                                 bool allow_reversal, pfx_event_timing *out, pfx_err *err) PFX_MUST;
void pfx_event_timing_clear(pfx_event_timing *t);
/* The unit of a panel row, looked for from unit `from` on, which must not lie behind it. */
pfx_idx pfx_event_unit(const pfx_event_timing *t, pfx_idx row, pfx_idx from);
/* Which of the cohorts; n_cohorts: none of them. */
int pfx_event_cohort(const pfx_event_timing *t, double cohort);

/* ---- cells ---- */

/* CS, IMPUTATION and BACON have no cells of effects in a regression: a plan says which rows are in, and
 * src/est/event_cs.h, event_impute.h and event_bacon.h do the rest. */
typedef enum pfx_event_method {
    PFX_EVENT_TWFE,
    PFX_EVENT_SUNAB,
    PFX_EVENT_CS,
    PFX_EVENT_IMPUTATION,
    PFX_EVENT_BACON
} pfx_event_method;
extern const char *const pfx_event_method_names[]; /* "twfe", "sunab", "cs", "imputation", "bacon", NULL */

typedef struct pfx_event_plan {
    const pfx_event_timing *timing;
    pfx_event_method method;
    int low, high;                /* event times; the ends hold what lies beyond them */
    bool low_binned, high_binned; /* something does; IMPUTATION: what lies below low is the reference */
    int n_refs, ref[2]; /* left out: the reference period, and the lowest where nobody is never treated */
    int control;  /* cohort that serves as control (its rows from its own date on are left out), -1: units
                   * never treated, or, for TWFE, those not yet treated */
    double until; /* rows of this period and later are left out; INFINITY: none */
} pfx_event_plan;

/* windowed: bin at low and high, else every event time has its cell. ref: the reference period, within them.
 * TWFE: cells are event times. SUNAB: event times of each cohort; without units never treated the last cohort
 * is the control, and the periods from its date on are left out (Sun and Abraham 2021, section 4). IMPUTATION:
 * cells are the event times before treatment, from low on, which its test of pre-trends needs; the lowest (the
 * two lowest without units never treated) are left out. USAGE: ref outside. DATA: one cohort and no unit never
 * treated; the last cohort leaves nothing. */
pfx_status pfx_event_plan_make(const pfx_event_timing *t, pfx_event_method method, bool windowed, int low,
                               int high, int ref, pfx_event_plan *out, pfx_err *err) PFX_MUST;
/* The cell of a row, from 1; 0: reference, or control; -1: left out. */
int pfx_event_cell(const pfx_event_plan *p, double cohort, double time);
int pfx_event_n_cells(const pfx_event_plan *p);
/* Event time and cohort (index) of a cell; the cohort is -1 for TWFE. */
void pfx_event_of_cell(const pfx_event_plan *p, int cell, int *event_time, int *cohort);

/* The columns that a source gains: the cell, whether the row is in, and whether it is treated. */
#define PFX_EVENT_CELL "_event_cell"
#define PFX_EVENT_IN "_event_in"
#define PFX_EVENT_ON "_event_on"
enum { PFX_EVENT_COLS = 3 };
extern const pfx_col_spec pfx_event_cols[PFX_EVENT_COLS];

/* The rows of inner with these columns behind its own; closing it closes inner, which it takes over also
 * where it fails. plan must outlive it. NOMEM. */
pfx_status pfx_event_source(const pfx_event_plan *plan, pfx_row_source inner, pfx_row_source *out,
                            pfx_err *err) PFX_MUST;

/* ---- effects ---- */

typedef struct pfx_event_effect {
    double at;      /* event time; for an average NaN */
    bool reference; /* zero by construction: no variance */
    pfx_idx n;      /* rows of treated units that it is the average over */
    double estimate, std_error, statistic, p_value, conf_low, conf_high;
} pfx_event_effect;

typedef struct pfx_event_result {
    const pfx_event_plan *plan;
    int n;
    pfx_event_effect *effect; /* [n] ascending event time */
    double *V;                /* [n x n]; zero at a reference */
    pfx_event_effect overall; /* average over the treated rows from event time 0 on */
    pfx_wald pre;             /* all effects before treatment are zero; df1 0: there is none */
    double df_t;
    pfx_idx n_control; /* rows of units that serve as controls all along */
    pfx_fit *fit;      /* the regression on cells, its terms event::E or event::E:cohort::G */
    int n_cells;
    struct pfx_event_part {
        int cell, coef;
        pfx_idx n;
        double weight; /* sum of weights of its rows */
    } * part;          /* [n_cells] the cells that are estimated */
} pfx_event_result;

/* Fit d, made from a formula with i(_event_cell, ref = 0) before its regressors, rows and times asked for,
 * and average the cells: by event time, and over all event times from 0 on, with the cells' shares of the
 * rows (of the weights), as fixed numbers: fixest's sunab. Names of columns of d change. Errors as
 * pfx_fit_ols; DATA: no rows of controls. */
pfx_status pfx_event_fit(const pfx_event_plan *p, struct pfx_design *d, const pfx_fit_options *o,
                         pfx_event_result *out, pfx_err *err) PFX_MUST;
void pfx_event_result_clear(pfx_event_result *r);

/* All effects before treatment that are no reference are zero: F with infinite or finite df2, over e [n] and
 * their covariance V [n x n]. df1 0: there are none. NOMEM. */
pfx_status pfx_event_pre_trend(int n, const pfx_event_effect *const *e, const double *V, double df2,
                               pfx_wald *out, pfx_err *err) PFX_MUST;
/* Standard error, test and interval of an effect from its estimate and variance. */
void pfx_event_test(pfx_event_effect *e, double variance, double df_t, double level);

#endif
