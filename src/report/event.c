#include "src/report/event.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/version.h"
#include "src/est/event.h"
#include "src/est/staggered.h"
#include "src/report/event_private.h"
#include "src/report/json_values.h"

/* Behind an event time, for the test of no effect before treatment to be worth something. */
enum { FEW_ROWS = 10 };
static const char *const titles[] = {
    "two-way fixed effects",
    "Sun and Abraham (2021): cells of cohort and event time, averaged by their shares of the treated rows"};

/* ---- JSON ---- */

void event_set_effect(json_t *o, const pfx_event_effect *e, bool *failed)
{
    bool none = e->reference;
    pfx_json_set(o, "estimate", pfx_json_real(e->estimate), failed);
    pfx_json_set(o, "std_error", none ? json_null() : pfx_json_real(e->std_error), failed);
    pfx_json_set(o, "statistic", none ? json_null() : pfx_json_real(e->statistic), failed);
    pfx_json_set(o, "p_value", none ? json_null() : pfx_json_real(e->p_value), failed);
    pfx_json_set(o, "conf_low", none ? json_real(0) : pfx_json_real(e->conf_low), failed);
    pfx_json_set(o, "conf_high", none ? json_real(0) : pfx_json_real(e->conf_high), failed);
    pfx_json_set(o, "n", json_integer(e->n), failed);
}

static json_t *effects(const pfx_event_result *r, bool *failed)
{
    json_t *a = json_array();
    for (int i = 0; i < r->n; i++) {
        json_t *o = json_object();
        pfx_json_set(o, "event_time", json_integer((json_int_t)r->effect[i].at), failed);
        event_set_effect(o, &r->effect[i], failed);
        pfx_json_set(o, "reference", json_boolean(r->effect[i].reference), failed);
        pfx_json_append(a, o, failed);
    }
    return a;
}

static json_t *cells(const pfx_event_result *r, bool *failed)
{
    json_t *a = json_array();
    for (int i = 0; i < r->n_cells; i++) {
        const pfx_coef *c = &r->fit->coef[r->part[i].coef];
        json_t *o = json_object();
        int e, g;
        pfx_event_of_cell(r->plan, r->part[i].cell, &e, &g);
        if (g >= 0) pfx_json_set(o, "cohort", pfx_json_real(r->plan->timing->cohorts[g]), failed);
        pfx_json_set(o, "event_time", json_integer(e), failed);
        pfx_json_set(o, "estimate", pfx_json_real(c->estimate), failed);
        pfx_json_set(o, "std_error", pfx_json_real(c->std_error), failed);
        pfx_json_set(o, "n", json_integer(r->part[i].n), failed);
        pfx_json_append(a, o, failed);
    }
    return a;
}

json_t *event_matrix(int n, const double *V, bool *failed)
{
    json_t *a = json_array();
    for (int i = 0; i < n; i++) {
        json_t *row = json_array();
        for (int j = 0; j < n; j++) pfx_json_append(row, pfx_json_real(V[i * n + j]), failed);
        pfx_json_append(a, row, failed);
    }
    return a;
}

json_t *event_wald(const pfx_wald *w, bool *failed)
{
    if (!(w->df1 > 0)) return json_null();
    json_t *o = json_object();
    pfx_json_set(o, "statistic", pfx_json_real(w->statistic), failed);
    pfx_json_set(o, "df1", pfx_json_real(w->df1), failed);
    pfx_json_set(o, "df2", pfx_json_real(w->df2), failed);
    pfx_json_set(o, "p_value", pfx_json_real(w->p_value), failed);
    return o;
}

static json_t *others(const pfx_event_result *r, bool *failed)
{
    json_t *a = json_array();
    for (int i = 0; i < r->fit->k; i++) {
        bool cell = false;
        for (int j = 0; j < r->n_cells; j++) cell |= r->part[j].coef == i;
        if (cell) continue;
        const pfx_coef *c = &r->fit->coef[i];
        json_t *o = json_object();
        pfx_json_set(o, "term", json_string(c->term), failed);
        pfx_json_set(o, "estimate", pfx_json_real(c->estimate), failed);
        pfx_json_set(o, "std_error", pfx_json_real(c->std_error), failed);
        pfx_json_set(o, "statistic", pfx_json_real(c->statistic), failed);
        pfx_json_set(o, "p_value", pfx_json_real(c->p_value), failed);
        pfx_json_set(o, "conf_low", pfx_json_real(c->conf_low), failed);
        pfx_json_set(o, "conf_high", pfx_json_real(c->conf_high), failed);
        pfx_json_append(a, o, failed);
    }
    return a;
}

void event_set_timing(const pfx_event_timing *t, json_t *root, bool *failed)
{
    json_t *cohorts = json_array();
    pfx_json_set(root, "n_units_treated", json_integer(t->n_treated), failed);
    pfx_json_set(root, "n_units_never", json_integer(t->n_never), failed);
    pfx_json_set(root, "n_units_left_censored", json_integer(t->n_censored), failed);
    pfx_json_set(root, "n_rows_left_censored", json_integer(t->n_censored_rows), failed);
    pfx_json_set(root, "n_units_reversed", json_integer(t->n_reversed), failed);
    for (int g = 0; g < t->n_cohorts; g++) {
        json_t *o = json_object();
        pfx_json_set(o, "cohort", pfx_json_real(t->cohorts[g]), failed);
        pfx_json_set(o, "units", json_integer(t->cohort_units[g]), failed);
        pfx_json_append(cohorts, o, failed);
    }
    pfx_json_set(root, "cohorts", cohorts, failed);
}

static void set_sample(const pfx_event_result *r, json_t *root, bool *failed)
{
    const pfx_event_timing *t = r->plan->timing;
    json_t *clusters = json_array(), *vcov = json_object();
    pfx_json_set(root, "n_obs", json_integer(r->fit->n_obs), failed);
    pfx_json_set(root, "n_missing", json_integer(r->fit->n_missing), failed);
    pfx_json_set(root, "n_singletons", json_integer(r->fit->n_singletons), failed);
    event_set_timing(t, root, failed);
    pfx_json_set(root, "control",
                 json_string(r->plan->control >= 0 ? "last cohort"
                             : t->n_never          ? "never treated"
                                                   : "not yet treated"),
                 failed);
    for (int c = 0; c < r->fit->n_clusters; c++) {
        json_t *o = json_object();
        pfx_json_set(o, "name", json_string(r->fit->clusters[c].name), failed);
        pfx_json_set(o, "levels", json_integer(r->fit->clusters[c].levels), failed);
        pfx_json_append(clusters, o, failed);
    }
    pfx_json_set(root, "clusters", clusters, failed);
    pfx_json_set(vcov, "type", json_string(pfx_vcov_name(r->fit->vcov)), failed);
    pfx_json_set(vcov, "ssc", json_string(pfx_ssc_name(r->fit->ssc)), failed);
    pfx_json_set(root, "vcov", vcov, failed);
    pfx_json_set(root, "df_t", pfx_json_real(r->df_t), failed);
}

static void set_design(const pfx_event_result *r, json_t *root, bool *failed)
{
    const pfx_event_plan *p = r->plan;
    json_t *window = json_array(), *refs = json_array();
    pfx_json_append(window, json_integer(p->low), failed);
    pfx_json_append(window, json_integer(p->high), failed);
    pfx_json_set(root, "window", window, failed);
    pfx_json_set(root, "low_binned", json_boolean(p->low_binned), failed);
    pfx_json_set(root, "high_binned", json_boolean(p->high_binned), failed);
    for (int i = 0; i < p->n_refs; i++) pfx_json_append(refs, json_integer(p->ref[i]), failed);
    pfx_json_set(root, "reference", refs, failed);
}

static json_t *weights_json(const pfx_twfe_weights *w, bool *failed)
{
    json_t *o = json_object();
    pfx_json_set(o, "n_positive", json_integer(w->n_positive), failed);
    pfx_json_set(o, "n_negative", json_integer(w->n_negative), failed);
    pfx_json_set(o, "share_negative",
                 pfx_json_real((double)w->n_negative / (double)(w->n_positive + w->n_negative)), failed);
    pfx_json_set(o, "sum_negative", pfx_json_real(w->sum_negative), failed);
    return o;
}

void event_set_head(const pfx_event_report *r, const char *method, json_t *root, bool *failed)
{
    pfx_json_set(root, "panelfx", json_string(PFX_VERSION), failed);
    pfx_json_set(root, "command", json_string("event"), failed);
    pfx_json_set(root, "method", json_string(method), failed);
    pfx_json_set(root, "formula", json_string(r->formula), failed);
    pfx_json_set(root, "outcome", json_string(r->outcome), failed);
    pfx_json_set(root, r->is_cohort ? "cohort" : "treatment", json_string(r->variable), failed);
    pfx_json_set(root, "synthetic", json_boolean(r->synthetic), failed);
}

void event_set_run(const pfx_event_report *r, json_t *root, bool *failed)
{
    json_t *time = json_object();
    pfx_json_set(time, "read_s", pfx_json_real(r->read_s), failed);
    pfx_json_set(time, "compute_s", pfx_json_real(r->compute_s), failed);
    pfx_json_set(time, "total_s", pfx_json_real(r->total_s), failed);
    pfx_json_set(root, "time", time, failed);
    pfx_json_set(root, "threads", json_integer(r->threads), failed);
    pfx_json_set(root, "peak_memory_bytes", json_integer(r->peak_memory_bytes), failed);
    pfx_json_set(root, "warnings", pfx_json_warnings(failed), failed);
}

static pfx_status render_json(const pfx_event_report *r, pfx_str *out, pfx_err *err)
{
    bool failed = false;
    const pfx_event_result *s = r->result;
    json_t *root = json_object(), *overall = json_object();
    event_set_head(r, pfx_event_method_names[s->plan->method], root, &failed);
    set_design(s, root, &failed);
    set_sample(s, root, &failed);
    pfx_json_set(root, "level", pfx_json_real(r->level), &failed);
    pfx_json_set(root, "event_study", effects(s, &failed), &failed);
    pfx_json_set(root, "vcov_matrix", event_matrix(s->n, s->V, &failed), &failed);
    event_set_effect(overall, &s->overall, &failed);
    pfx_json_set(root, "overall", overall, &failed);
    pfx_json_set(root, "pre_trend", event_wald(&s->pre, &failed), &failed);
    if (s->plan->method == PFX_EVENT_SUNAB) pfx_json_set(root, "cells", cells(s, &failed), &failed);
    pfx_json_set(root, "coefficients", others(s, &failed), &failed);
    if (r->weights) pfx_json_set(root, "twfe_weights", weights_json(r->weights, &failed), &failed);
    event_set_sensitivity(r, root, &failed);
    event_set_run(r, root, &failed);
    return pfx_json_dump(root, failed, "event", out, err);
}

/* ---- tables ---- */

static int stars(double p)
{
    return p < 0.01 ? 3 : p < 0.05 ? 2 : p < 0.1 ? 1 : 0;
}

void event_effect_cells(pfx_table *t, const pfx_event_effect *e, bool csv)
{
    if (csv)
        pfx_table_num(t, e->estimate, 4);
    else
        pfx_table_starred(t, e->estimate, 4, e->reference ? 0 : stars(e->p_value));
    double none = e->reference ? NAN : 0;
    pfx_table_num(t, e->std_error + none, 4);
    pfx_table_num(t, e->conf_low + none, 4);
    pfx_table_num(t, e->conf_high + none, 4);
    pfx_table_int(t, e->n);
}

void event_heading(pfx_table *t, const char *last, double level, bool csv)
{
    char low[32], high[32];
    snprintf(low, sizeof low, "%.4g %% low", 100 * level);
    snprintf(high, sizeof high, "%.4g %% high", 100 * level);
    const char *const human[] = {"Effect", "SE", low, high, last};
    static const char *const machine[] = {"estimate", "std_error", "conf_low", "conf_high", "n"};
    for (int c = 0; c < 5; c++) pfx_table_text(t, csv ? machine[c] : human[c]);
}

static void effect_label(pfx_table *t, const pfx_event_plan *p, const pfx_event_effect *e, bool csv)
{
    char text[64];
    const char *end = csv                                  ? ""
                      : e->at == p->low && p->low_binned   ? " and before"
                      : e->at == p->high && p->high_binned ? " and after"
                                                           : "";
    snprintf(text, sizeof text, "%.15g%s%s", e->at, end, e->reference && !csv ? " (reference)" : "");
    pfx_table_text(t, text);
}

void event_no_test_note(pfx_table *t, double n)
{
    pfx_table_note(t,
                   "No joint test of the %.0f effects before treatment: their covariance is singular, the "
                   "clusters are too few.",
                   n);
}

void event_pre_note(pfx_table *t, const pfx_wald *pre, int n, const pfx_event_effect *e, pfx_idx reference)
{
    int few = reference > 0 && reference < FEW_ROWS;
    if (!(pre->df1 > 0)) return;
    if (isnan(pre->statistic)) {
        event_no_test_note(t, pre->df1);
        return;
    }
    pfx_table_note(t, "No effect before treatment: F(%.0f, %.0f) = %.4f, p = %.4f.", pre->df1, pre->df2,
                   pre->statistic, pre->p_value);
    for (int i = 0; i < n; i++) few += e[i].at < 0 && e[i].n < FEW_ROWS;
    if (few)
        pfx_table_note(t,
                       "%d of the event times before treatment rest%s on fewer than %d rows: such a test "
                       "rejects far too "
                       "often; bin them with --window.",
                       few, few == 1 ? "s" : "", FEW_ROWS);
}

void event_timing_notes(const pfx_event_report *r, const pfx_event_timing *g, pfx_table *t)
{
    pfx_table_note(t, "In the panel %lld units are treated, in %d cohort%s from %.15g to %.15g; %lld never.",
                   (long long)g->n_treated, g->n_cohorts, g->n_cohorts == 1 ? "" : "s", g->cohorts[0],
                   g->cohorts[g->n_cohorts - 1], (long long)g->n_never);
    if (g->n_censored)
        pfx_table_note(t, "Left out: %lld units (%lld rows) for which no period before treatment is seen.",
                       (long long)g->n_censored, (long long)g->n_censored_rows);
    if (g->n_reversed)
        pfx_table_note(t, "%s switches off for %lld units: counted from its first switch.", r->variable,
                       (long long)g->n_reversed);
}

/* Of the regression with one coefficient for the treatment, which these event times stand for. */
static void weights_note(const pfx_twfe_weights *w, pfx_table *t)
{
    double n = (double)(w->n_positive + w->n_negative);
    pfx_table_note(t,
                   "With one coefficient for the treatment instead, %.1f %% of the treated rows would weigh "
                   "negatively (sum "
                   "of their weights %.4f).",
                   100 * (double)w->n_negative / n, w->sum_negative);
}

static void sample_notes(const pfx_event_report *r, pfx_table *t)
{
    const pfx_event_result *s = r->result;
    const pfx_event_timing *g = s->plan->timing;
    pfx_table_note(t,
                   "%lld rows used, %lld left out as missing, %lld singletons. Standard errors: %s%s%s, %s.",
                   (long long)s->fit->n_obs, (long long)s->fit->n_missing, (long long)s->fit->n_singletons,
                   pfx_vcov_name(s->fit->vcov), s->fit->n_clusters ? " by " : "",
                   s->fit->n_clusters ? s->fit->clusters[0].name : "", pfx_ssc_name(s->fit->ssc));
    event_timing_notes(r, g, t);
    if (s->plan->control >= 0)
        pfx_table_note(t, "Controls: the units treated last; periods from %.15g on are left out.",
                       s->plan->until);
    else
        pfx_table_note(t, "Controls: %s.",
                       g->n_never ? s->plan->method == PFX_EVENT_TWFE
                                        ? "units never treated, and those not yet treated"
                                        : "units never treated"
                                  : "units not yet treated");
    if (r->weights) weights_note(r->weights, t);
    if (s->plan->method == PFX_EVENT_TWFE && g->n_cohorts > 1)
        pfx_table_note(
            t,
            "Adoption is staggered: where effects differ between cohorts these coefficients mix event times; "
            "compare --method sunab.");
}

static pfx_table *effect_table(const pfx_event_report *r, bool csv, pfx_err *err)
{
    const pfx_event_result *s = r->result;
    pfx_table *t = pfx_table_create(6, err);
    if (!t) return NULL;
    pfx_table_heading(t);
    pfx_table_text(t, csv ? "event_time" : "Event time");
    event_heading(t, "Rows", r->level, csv);
    for (int i = 0; i < s->n; i++) {
        pfx_table_row(t);
        effect_label(t, s->plan, &s->effect[i], csv);
        event_effect_cells(t, &s->effect[i], csv);
    }
    if (csv) return t;
    pfx_table_rule(t);
    pfx_table_row(t);
    pfx_table_text(t, "After treatment, all rows");
    event_effect_cells(t, &s->overall, csv);
    pfx_table_note(t, "Outcome %s; %s.", r->outcome, titles[s->plan->method]);
    event_pre_note(t, &s->pre, s->n, s->effect, 0);
    event_sensitivity_notes(r, t);
    sample_notes(r, t);
    pfx_table_note(t, "* p < 0.1, ** p < 0.05, *** p < 0.01");
    if (r->synthetic) pfx_table_note(t, "Synthetic panel: the data were simulated, not observed.");
    return t;
}

pfx_status pfx_event_render(const pfx_event_report *r, pfx_format format, int width, pfx_str *out,
                            pfx_err *err)
{
    if (r->cs) return event_cs_render(r, format, width, out, err);
    if (r->impute) return event_impute_render(r, format, width, out, err);
    if (r->bacon) return event_bacon_render(r, format, width, out, err);
    if (format == PFX_FORMAT_JSON) return render_json(r, out, err);
    pfx_table *t = effect_table(r, format == PFX_FORMAT_CSV, err);
    pfx_status st = t ? pfx_table_render(t, format, width, out, err) : PFX_ENOMEM;
    pfx_table_free(t);
    return st;
}
