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
pfx_status event_run_case(event_data *d, const event_case *c, event_run *out, pfx_err *err);
void event_run_clear(event_run *r);
const pfx_event_effect *event_at(const pfx_event_result *r, double at);

#endif
