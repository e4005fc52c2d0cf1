/* Reports of Callaway and Sant'Anna's estimator. */
#include <math.h>
#include <stdio.h>
#include "src/est/event_cs.h"
#include "src/report/event_private.h"
#include "src/report/json_values.h"

const char *const pfx_event_aggregate_names[] = {"event", "cohort", "period", "cell", NULL};

/* ---- JSON ---- */

static json_t *list(const pfx_cs_average *a, const char *key, bool *failed)
{
    json_t *out = json_array();
    for (int i = 0; i < a->n; i++) {
        json_t *o = json_object();
        pfx_json_set(o, key, pfx_json_real(a->effect[i].at), failed);
        event_set_effect(o, &a->effect[i], failed);
        pfx_json_set(o, "reference", json_boolean(a->effect[i].reference), failed);
        pfx_json_append(out, o, failed);
    }
    return out;
}

static json_t *one(const pfx_event_effect *e, bool *failed)
{
    json_t *o = json_object();
    event_set_effect(o, e, failed);
    return o;
}

static json_t *cells(const pfx_event_report *r, bool *failed)
{
    json_t *out = json_array();
    for (int i = 0; i < r->cs->n_att; i++) {
        const pfx_cs_att *a = &r->cs->att[i];
        json_t *o = json_object();
        pfx_json_set(o, "cohort", pfx_json_real(r->timing->cohorts[a->cohort]), failed);
        pfx_json_set(o, "period", pfx_json_real(a->time), failed);
        pfx_json_set(o, "base", pfx_json_real(a->base), failed);
        pfx_json_set(o, "event_time", pfx_json_real(a->e.at), failed);
        event_set_effect(o, &a->e, failed);
        pfx_json_set(o, "reference", json_boolean(a->e.reference), failed);
        pfx_json_set(o, "n_control", json_integer(a->n_control), failed);
        pfx_json_append(out, o, failed);
    }
    return out;
}

static void set_averages(const pfx_cs_result *s, json_t *root, bool *failed)
{
    json_t *all = json_object(), *group = json_object(), *calendar = json_object();
    pfx_json_set(root, "event_study", list(&s->dynamic, "event_time", failed), failed);
    pfx_json_set(root, "vcov_matrix", event_matrix(s->dynamic.n, s->V_dynamic, failed), failed);
    pfx_json_set(root, "overall", one(&s->dynamic.overall, failed), failed);
    pfx_json_set(all, "simple", one(&s->simple, failed), failed);
    pfx_json_set(all, "dynamic", one(&s->dynamic.overall, failed), failed);
    pfx_json_set(group, "overall", one(&s->group.overall, failed), failed);
    pfx_json_set(group, "effects", list(&s->group, "cohort", failed), failed);
    pfx_json_set(all, "group", group, failed);
    pfx_json_set(calendar, "overall", one(&s->calendar.overall, failed), failed);
    pfx_json_set(calendar, "effects", list(&s->calendar, "period", failed), failed);
    pfx_json_set(all, "calendar", calendar, failed);
    pfx_json_set(root, "aggregations", all, failed);
}

static pfx_status render_json(const pfx_event_report *r, pfx_str *out, pfx_err *err)
{
    const pfx_cs_result *s = r->cs;
    const pfx_cs_options *o = r->cs_options;
    bool failed = false;
    json_t *root = json_object(), *pre = json_null();
    event_set_head(r, "cs", root, &failed);
    pfx_json_set(root, "control", json_string(pfx_cs_control_names[o->control]), &failed);
    pfx_json_set(root, "base", json_string(pfx_cs_base_names[o->base]), &failed);
    pfx_json_set(root, "score", json_string(pfx_cs_score_names[o->score]), &failed);
    pfx_json_set(
        root, "unbalanced",
        json_string(o->balanced ? "units seen in every period" : "units seen in both periods of each effect"),
        &failed);
    pfx_json_set(root, "n_obs", json_integer(r->n_obs), &failed);
    pfx_json_set(root, "n_missing", json_integer(r->n_missing), &failed);
    pfx_json_set(root, "n_units", json_integer(s->n_units), &failed);
    pfx_json_set(root, "n_units_unbalanced", json_integer(s->n_unbalanced), &failed);
    pfx_json_set(root, "n_clusters", json_integer(s->n_clusters), &failed);
    pfx_json_set(root, "cluster", r->cluster ? json_string(r->cluster) : json_null(), &failed);
    pfx_json_set(root, "n_trimmed", json_integer(s->n_trimmed), &failed);
    pfx_json_set(root, "n_cells_skipped", json_integer(s->n_skipped), &failed);
    event_set_timing(r->timing, root, &failed);
    pfx_json_set(root, "level", pfx_json_real(r->level), &failed);
    set_averages(s, root, &failed);
    pfx_json_set(root, "att_gt", cells(r, &failed), &failed);
    pfx_json_set(root, "att_gt_vcov", event_matrix(s->n_att, s->V, &failed), &failed);
    if (s->pre.df1 > 0) {
        pre = json_object();
        pfx_json_set(pre, "chi2", pfx_json_real(s->pre.statistic * s->pre.df1), &failed);
        pfx_json_set(pre, "df", pfx_json_real(s->pre.df1), &failed);
        pfx_json_set(pre, "p_value", pfx_json_real(s->pre.p_value), &failed);
    }
    pfx_json_set(root, "pre_trend", pre, &failed);
    event_set_sensitivity(r, root, &failed);
    event_set_run(r, root, &failed);
    return pfx_json_dump(root, failed, "event", out, err);
}

/* ---- tables ---- */

static void method_notes(const pfx_event_report *r, pfx_table *t)
{
    static const char *const scores[] = {"doubly robust", "outcome regression",
                                         "inverse probability weighting"};
    const pfx_cs_result *s = r->cs;
    const pfx_cs_options *o = r->cs_options;
    pfx_table_note(t, "Outcome %s; Callaway and Sant'Anna (2021), %s; controls: units never%s treated.",
                   r->outcome,
                   r->cs->n_covariates ? scores[o->score] : "no covariates: differences of mean changes",
                   o->control == PFX_CS_NOTYET ? " or not yet" : "");
    pfx_table_note(t, "Base period: %s.",
                   o->base == PFX_CS_UNIVERSAL
                       ? "the last before treatment"
                       : "the last before treatment; before treatment, the period before");
    if (o->balanced)
        pfx_table_note(t, "Units seen in every period alone: %lld, %lld others left out.",
                       (long long)s->n_units, (long long)s->n_unbalanced);
    else
        pfx_table_note(t, "%lld units; each effect is of those seen in both its periods.",
                       (long long)s->n_units);
    pfx_table_note(
        t, "Standard errors: influence functions by %s, %lld clusters; intervals are pointwise and normal.",
        r->cluster ? r->cluster : "unit", (long long)s->n_clusters);
    if (s->pre.df1 > 0 && isnan(s->pre.statistic))
        event_no_test_note(t, s->pre.df1);
    else if (s->pre.df1 > 0)
        pfx_table_note(t, "No effect of any cohort before treatment: chi2(%.0f) = %.4f, p = %.4f.",
                       s->pre.df1, s->pre.statistic * s->pre.df1, s->pre.p_value);
    event_sensitivity_notes(r, t);
    if (s->n_skipped)
        pfx_table_note(
            t, "%d cells of cohort and period have no treated units or no controls seen in both periods.",
            s->n_skipped);
    if (s->n_trimmed)
        pfx_table_note(
            t, "Controls with a propensity score of 0.995 or more have weight zero: %lld in all cells.",
            (long long)s->n_trimmed);
    event_timing_notes(r, r->timing, t);
    pfx_table_note(t, "%lld rows used, %lld left out as missing. * p < 0.1, ** p < 0.05, *** p < 0.01",
                   (long long)r->n_obs, (long long)r->n_missing);
    if (r->synthetic) pfx_table_note(t, "Synthetic panel: the data were simulated, not observed.");
}

static void label(pfx_table *t, const pfx_event_effect *e, double value, bool csv)
{
    char text[64];
    snprintf(text, sizeof text, "%.15g%s", value, e->reference && !csv ? " (reference)" : "");
    pfx_table_text(t, text);
}

static void rows(const pfx_event_report *r, pfx_table *t, bool csv)
{
    const pfx_cs_result *s = r->cs;
    const pfx_cs_average *const averages[] = {&s->dynamic, &s->group, &s->calendar};
    if (r->aggregate == PFX_BY_CELL) {
        for (int i = 0; i < s->n_att; i++) {
            pfx_table_row(t);
            label(t, &s->att[i].e, r->timing->cohorts[s->att[i].cohort], true);
            label(t, &s->att[i].e, s->att[i].time, csv);
            event_effect_cells(t, &s->att[i].e, csv);
        }
        return;
    }
    const pfx_cs_average *a = averages[r->aggregate];
    for (int i = 0; i < a->n; i++) {
        pfx_table_row(t);
        label(t, &a->effect[i], a->effect[i].at, csv);
        event_effect_cells(t, &a->effect[i], csv);
    }
    if (csv) return;
    const struct {
        const char *name;
        const pfx_event_effect *e;
    } totals[] = {{"All treated cells", &s->simple},
                  {"Mean of event times", &s->dynamic.overall},
                  {"Mean of cohorts", &s->group.overall},
                  {"Mean of periods", &s->calendar.overall}};
    pfx_table_rule(t);
    for (int i = 0; i < 4; i++) {
        pfx_table_row(t);
        pfx_table_text(t, totals[i].name);
        event_effect_cells(t, totals[i].e, csv);
    }
}

pfx_status event_cs_render(const pfx_event_report *r, pfx_format format, int width, pfx_str *out,
                           pfx_err *err)
{
    static const char *const keys[][2] = {
        {"Event time", "event_time"}, {"Cohort", "cohort"}, {"Period", "period"}, {"Cohort", "cohort"}};
    bool csv = format == PFX_FORMAT_CSV, cell = r->aggregate == PFX_BY_CELL;
    if (format == PFX_FORMAT_JSON) return render_json(r, out, err);
    pfx_table *t = pfx_table_create(6 + cell, err);
    if (!t) return PFX_ENOMEM;
    pfx_table_heading(t);
    pfx_table_text(t, keys[r->aggregate][csv]);
    if (cell) pfx_table_text(t, csv ? "period" : "Period");
    event_heading(t, "Units", r->level, csv);
    rows(r, t, csv);
    if (!csv) method_notes(r, t);
    pfx_status st = pfx_table_render(t, format, width, out, err);
    pfx_table_free(t);
    return st;
}
