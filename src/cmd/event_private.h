/* What the files of the event command share. */
#ifndef PFX_CMD_EVENT_PRIVATE_H
#define PFX_CMD_EVENT_PRIVATE_H

#include "hdf5_io/panel.h"
#include "src/base/text.h"
#include "src/cmd/fit_private.h"
#include "src/est/event.h"
#include "src/est/event_bacon.h"
#include "src/est/event_cs.h"
#include "src/est/event_impute.h"
#include "src/est/staggered.h"
#include "src/report/event.h"

typedef struct event_options {
    fit_options fit; /* begins with the common options */
    const char *treatment, *cohort, *window, *plot, *bounds, *effect;
    pfx_idx ref;
    int method, score, control, base, aggregate, sensitivity;
    bool allow_reversal, balanced, leave_out;
} event_options;

extern const pfx_opt event_table[];

typedef struct event_run {
    event_options o;
    bool windowed;
    pfx_idx low, high;
    fit_vcov vcov;
    pfx_panel *panel;
    pfx_str formula_text, where;
    pfx_formula *formula;
    pfx_event_timing timing;
    pfx_event_plan plan;
    pfx_dataset *data;
    pfx_event_result result;
    pfx_twfe_weights weights; /* TWFE without weights of the rows */
    pfx_cs_options cs_options;
    pfx_cs_result cs;
    pfx_impute_result impute;
    pfx_bacon_result bacon;
    pfx_event_sensitivity sensitivity; /* n 0: none */
    pfx_idx n_obs, n_missing, n_singletons;
    double read_s, compute_s;
} event_run;

/* event_options.c: ranges and combinations, and the outputs' places. USAGE. */
pfx_status event_check_options(event_run *r, const char *panel, pfx_err *err) PFX_MUST;
/* event_formula.c: the user's formula, checked, as the method needs it, and which rows are in. USAGE. */
pfx_status event_make_formula(event_run *r, const char *text, pfx_err *err) PFX_MUST;
/* event_sensitivity.c: intervals under restrictions on trends, where --sensitivity asks for them. The
 * options: USAGE. DATA: event times that do not allow it. */
enum { EVENT_NO_SENSITIVITY, EVENT_RELATIVE, EVENT_SMOOTH };
extern const char *const event_sensitivity_names[]; /* "none", "rm", "sd", NULL */
pfx_status event_check_sensitivity(const event_run *r, pfx_err *err) PFX_MUST;
pfx_status event_find_sensitivity(event_run *r, pfx_err *err) PFX_MUST;
/* event_plot.c: the effects as a figure, where --plot asks for one. */
pfx_status event_plot(const event_run *r, pfx_err *err) PFX_MUST;

#endif
