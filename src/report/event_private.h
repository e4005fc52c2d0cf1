/* What the reports of event studies share. */
#ifndef PFX_REPORT_EVENT_PRIVATE_H
#define PFX_REPORT_EVENT_PRIVATE_H

#include <jansson.h>
#include "src/est/event.h"
#include "src/report/event.h"

/* Estimate, error, test, interval and rows of an effect, into an object or as five cells. */
void event_set_effect(json_t *o, const pfx_event_effect *e, bool *failed);
void event_effect_cells(pfx_table *t, const pfx_event_effect *e, bool csv);
json_t *event_matrix(int n, const double *V, bool *failed);
/* The test of no effect before treatment: null where there is none. */
json_t *event_wald(const pfx_wald *w, bool *failed);
/* Names of the five cells of an effect; the last one's is given. */
void event_heading(pfx_table *t, const char *last, double level, bool csv);
/* What was run; who is treated when; times, threads, memory, warnings. */
void event_set_head(const pfx_event_report *r, const char *method, json_t *root, bool *failed);
void event_set_timing(const pfx_event_timing *t, json_t *root, bool *failed);
void event_set_run(const pfx_event_report *r, json_t *root, bool *failed);
/* Instead of a test of n effects whose covariance is singular. */
void event_no_test_note(pfx_table *t, double n);
/* The test of no effect before treatment, and how few rows stand behind the event times of e [n] before it;
 * in reference: behind what they are compared with, 0: it is one of e. */
void event_pre_note(pfx_table *t, const pfx_wald *pre, int n, const pfx_event_effect *e, pfx_idx reference);
void event_timing_notes(const pfx_event_report *r, const pfx_event_timing *g, pfx_table *t);

/* Where there is a sensitivity. */
void event_set_sensitivity(const pfx_event_report *r, json_t *root, bool *failed);
void event_sensitivity_notes(const pfx_event_report *r, pfx_table *t);

pfx_status event_cs_render(const pfx_event_report *r, pfx_format format, int width, pfx_str *out,
                           pfx_err *err) PFX_MUST;

pfx_status event_impute_render(const pfx_event_report *r, pfx_format format, int width, pfx_str *out,
                               pfx_err *err) PFX_MUST;
pfx_status event_bacon_render(const pfx_event_report *r, pfx_format format, int width, pfx_str *out,
                              pfx_err *err) PFX_MUST;

#endif
