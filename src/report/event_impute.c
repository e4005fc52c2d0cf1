/* Reports of the imputation estimator. */
#include <math.h>
#include <stdio.h>
#include "src/est/event_impute.h"
#include "src/report/event_private.h"
#include "src/report/json_values.h"

static json_t *effects(const pfx_impute_result *s, bool *failed)
{
    json_t *a = json_array();
    for (int i = 0; i < s->n; i++) {
        json_t *o = json_object();
        pfx_json_set(o, "event_time", json_integer((json_int_t)s->effect[i].at), failed);
        event_set_effect(o, &s->effect[i], failed);
        pfx_json_set(o, "reference", json_false(), failed);
        pfx_json_append(a, o, failed);
    }
    return a;
}

static void set_sample(const pfx_event_report *r, json_t *root, bool *failed)
{
    const pfx_impute_result *s = r->impute;
    json_t *lost = json_array();
    pfx_json_set(root, "n_obs", json_integer(r->n_obs), failed);
    pfx_json_set(root, "n_missing", json_integer(r->n_missing), failed);
    pfx_json_set(root, "n_singletons", json_integer(r->n_singletons), failed);
    pfx_json_set(root, "n_untreated", json_integer(s->n_untreated), failed);
    pfx_json_set(root, "n_treated", json_integer(s->n_treated), failed);
    pfx_json_set(root, "n_imputed", json_integer(s->n_imputed), failed);
    pfx_json_set(root, "n_cells", json_integer(s->n_places), failed);
    pfx_json_set(root, "n_cells_of_one_cluster", json_integer(s->n_lone), failed);
    pfx_json_set(root, "n_units_not_imputed", json_integer(s->n_lost_units), failed);
    for (int i = 0; i < s->n_lost; i++) pfx_json_append(lost, json_integer(s->lost[i]), failed);
    pfx_json_set(root, "horizons_not_imputed", lost, failed);
    event_set_timing(r->timing, root, failed);
    pfx_json_set(root, "cluster", r->cluster ? json_string(r->cluster) : json_null(), failed);
    pfx_json_set(root, "n_clusters", json_integer(s->n_clusters), failed);
    pfx_json_set(root, "leave_out", json_boolean(r->leave_out), failed);
}

static pfx_status render_json(const pfx_event_report *r, pfx_str *out, pfx_err *err)
{
    const pfx_impute_result *s = r->impute;
    bool failed = false;
    json_t *root = json_object(), *overall = json_object(), *covariates = json_array();
    event_set_head(r, "imputation", root, &failed);
    set_sample(r, root, &failed);
    pfx_json_set(root, "level", pfx_json_real(r->level), &failed);
    pfx_json_set(root, "event_study", effects(s, &failed), &failed);
    pfx_json_set(root, "vcov_matrix", event_matrix(s->n, s->V, &failed), &failed);
    event_set_effect(overall, &s->overall, &failed);
    pfx_json_set(root, "overall", overall, &failed);
    pfx_json_set(root, "pre_trend", event_wald(&s->pre, &failed), &failed);
    for (int j = 0; j < s->n_covariates; j++) pfx_json_append(covariates, pfx_json_real(s->beta[j]), &failed);
    pfx_json_set(root, "untreated_coefficients", covariates, &failed);
    event_set_run(r, root, &failed);
    return pfx_json_dump(root, failed, "event", out, err);
}

static void lost_notes(const pfx_impute_result *s, pfx_table *t)
{
    pfx_str text = {0};
    if (s->n_imputed < s->n_treated)
        pfx_table_note(
            t,
            "Not imputed, since untreated rows do not determine their effects: %lld of %lld treated rows; "
            "%lld units have none that is.",
            (long long)(s->n_treated - s->n_imputed), (long long)s->n_treated, (long long)s->n_lost_units);
    if (s->n_lost == 0) return;
    for (int i = 0; i < s->n_lost; i++) pfx_str_addf(&text, "%s%d", i ? ", " : "", s->lost[i]);
    if (!text.failed) pfx_table_note(t, "Event times without any imputed row: %s.", text.s);
    pfx_str_free(&text);
}

static void notes(const pfx_event_report *r, pfx_table *t)
{
    const pfx_impute_result *s = r->impute;
    pfx_table_note(
        t,
        "Outcome %s; Borusyak, Jaravel and Spiess (2024): outcomes without treatment imputed from %lld "
        "untreated rows.",
        r->outcome, (long long)s->n_untreated);
    pfx_table_note(t,
                   "Standard errors: clustered by %s (%lld),%s about averages over cohort and event time "
                   "%s; normal intervals, no small-sample factor.",
                   r->cluster, (long long)s->n_clusters, s->n_lone ? "" : " conservative,",
                   r->leave_out ? "of the other clusters" : "of all clusters");
    if (s->n_lone)
        pfx_table_note(t,
                       "In %d of the %d cohorts by event time one cluster alone is treated: how its effects "
                       "vary is in no standard "
                       "error, so they are too small; none is given where all cohorts are such.",
                       s->n_lone, s->n_places);
    if (s->leads && s->n > 0 && s->effect[0].at < 0)
        pfx_table_note(
            t,
            "Before treatment: leads in a regression of the untreated rows alone, against event times before "
            "%d.",
            (int)s->effect[0].at);
    event_pre_note(t, &s->pre, s->n, s->effect, s->n_reference);
    lost_notes(s, t);
    event_timing_notes(r, r->timing, t);
    pfx_table_note(
        t, "%lld rows used, %lld left out as missing, %lld singletons. * p < 0.1, ** p < 0.05, *** p < 0.01",
        (long long)r->n_obs, (long long)r->n_missing, (long long)r->n_singletons);
    if (r->synthetic) pfx_table_note(t, "Synthetic panel: the data were simulated, not observed.");
}

pfx_status event_impute_render(const pfx_event_report *r, pfx_format format, int width, pfx_str *out,
                               pfx_err *err)
{
    const pfx_impute_result *s = r->impute;
    bool csv = format == PFX_FORMAT_CSV;
    if (format == PFX_FORMAT_JSON) return render_json(r, out, err);
    pfx_table *t = pfx_table_create(6, err);
    if (!t) return PFX_ENOMEM;
    pfx_table_heading(t);
    pfx_table_text(t, csv ? "event_time" : "Event time");
    event_heading(t, "Rows", r->level, csv);
    for (int i = 0; i < s->n; i++) {
        char text[64];
        bool after = !csv && s->plan->high_binned && s->effect[i].at == s->plan->high;
        snprintf(text, sizeof text, "%.15g%s", s->effect[i].at, after ? " and after" : "");
        pfx_table_row(t);
        pfx_table_text(t, text);
        event_effect_cells(t, &s->effect[i], csv);
    }
    if (!csv) {
        pfx_table_rule(t);
        pfx_table_row(t);
        pfx_table_text(t, "After treatment, all rows");
        event_effect_cells(t, &s->overall, csv);
        notes(r, t);
    }
    pfx_status st = pfx_table_render(t, format, width, out, err);
    pfx_table_free(t);
    return st;
}
