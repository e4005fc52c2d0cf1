/* Panels for the tests of event studies: a CSV of the reference data, or columns of numbers, sorted by unit
 * and time, and the way from there to a design with cells. */
#ifndef PFX_TESTS_EST_EVENT_DATA_H
#define PFX_TESTS_EST_EVENT_DATA_H

#include "src/est/event.h"
#include "tests/est/refcase.h"
#include "tests/frame_source.h"

typedef struct event_data {
    pfx_idx n;
    int n_cols;
    char *name[64];
    double *x[64]; /* [n] */
    frame_source source;
} event_data;

event_data *event_data_read(const char *path, const char *unit, const char *time);
/* Columns copied, already sorted. */
event_data *event_data_new(pfx_idx n, int n_cols, const char *const *names, const double *const *x,
                           const char *unit, const char *time);
void event_data_free(event_data *d);
/* A panel with staggered adoption: columns unit, time, y, x, D, g, w of 60 units in the periods 1 .. 9, rows
 * missing at random; units with event_made_cohort INFINITY, never treated, are there or not. */
enum { EVENT_MADE_UNITS = 60, EVENT_MADE_PERIODS = 9 };
double event_made_cohort(int unit);
event_data *event_data_made(bool with_never);
/* A column more, x [n] copied. */
void event_data_add(event_data *d, const char *name, const double *x);
const double *event_data_column(const event_data *d, const char *name);

typedef struct event_case {
    const char *formula; /* with i(_event_cell, ref = 0) and effects */
    const char *treatment, *cohort, *where, *cluster, *weights;
    pfx_event_method method;
    bool windowed, allow_reversal;
    int low, high, ref, nth;
    pfx_ssc ssc;
} event_case;

/* What event_run keeps alive for its result. */
typedef struct event_run {
    pfx_event_timing timing;
    pfx_event_plan plan;
    pfx_event_result result;
} event_run;
/* Dates, plan and design; out->result stays empty. The cluster may be NULL. Ends singletons, but for CS. */
pfx_status event_open(event_data *d, const event_case *c, event_run *out, pfx_design **design, pfx_err *err);
pfx_status event_run_case(event_data *d, const event_case *c, event_run *out, pfx_err *err);
void event_run_clear(event_run *r);
const pfx_event_effect *event_at(const pfx_event_result *r, double at);

#endif
