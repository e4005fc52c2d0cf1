/* Effects by event time: text and markup tables, CSV, JSON. */
#ifndef PFX_REPORT_EVENT_H
#define PFX_REPORT_EVENT_H

#include <stdbool.h>
#include "src/report/table.h"

struct pfx_event_result;
struct pfx_twfe_weights;
struct pfx_event_timing;
struct pfx_cs_result;
struct pfx_cs_options;
struct pfx_impute_result;
struct pfx_bacon_result;

/* Tables of Callaway and Sant'Anna's estimator: by event time, by cohort, by period, each cell. */
typedef enum pfx_event_aggregate {
    PFX_BY_EVENT,
    PFX_BY_COHORT,
    PFX_BY_PERIOD,
    PFX_BY_CELL
} pfx_event_aggregate;
extern const char *const pfx_event_aggregate_names[]; /* "event", "cohort", "period", "cell", NULL */

/* Intervals of one effect under restrictions on differences in trends (est/event_honest.h). */
typedef struct pfx_event_sensitivity {
    bool relative;     /* relative magnitudes, bound Mbar; else smoothness, bound M */
    double at;         /* event time; NaN: average of all after treatment */
    int n_pre, n_post; /* periods before treatment, reference left out, and after it that were used */
    double estimate, low, high; /* of the event study */
    int n;
    struct pfx_honest_interval *interval; /* [n] */
    double breakdown;
    bool above; /* the breakdown value lies above that, where the search ended */
} pfx_event_sensitivity;

typedef struct pfx_event_report {
    const char *formula, *outcome, *variable; /* variable: treatment or cohort column */
    bool is_cohort;
    const struct pfx_event_result *result;  /* or */
    const struct pfx_twfe_weights *weights; /* of the one treatment coefficient, TWFE; or NULL */
    const struct pfx_cs_result *cs;         /* with these: */
    const struct pfx_cs_options *cs_options;
    const struct pfx_impute_result *impute; /* or this */
    bool leave_out;
    const struct pfx_bacon_result *bacon; /* or this */
    const struct pfx_event_timing *timing;
    const char *cluster;
    pfx_idx n_obs, n_missing, n_singletons;
    const pfx_event_sensitivity *sensitivity; /* or NULL */
    pfx_event_aggregate aggregate;
    double level;
    bool synthetic;
    double read_s, compute_s, total_s;
    int threads;
    pfx_idx peak_memory_bytes;
} pfx_event_report;

/* Append the report in a format: a row an event time. width as pfx_table_render. NOMEM. */
pfx_status pfx_event_render(const pfx_event_report *r, pfx_format format, int width, pfx_str *out,
                            pfx_err *err) PFX_MUST;

#endif
