/* Effects by event time: text and markup tables, CSV, JSON. */
#ifndef PFX_REPORT_EVENT_H
#define PFX_REPORT_EVENT_H

#include <stdbool.h>
#include "src/report/table.h"

struct pfx_event_result;

typedef struct pfx_event_report {
    const char *formula, *outcome, *variable; /* variable: treatment or cohort column */
    bool is_cohort;
    const struct pfx_event_result *result;
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
