/* Reports of the Goodman-Bacon decomposition. */
#include <math.h>
#include <stdio.h>
#include "src/est/event_bacon.h"
#include "src/report/event_private.h"
#include "src/report/json_values.h"

static json_t *group(double first)
{
    return isinf(first) ? json_string(first > 0 ? "never" : "always") : pfx_json_real(first);
}

static json_t *pairs(const pfx_bacon_result *s, bool *failed)
{
    json_t *a = json_array();
    for (int i = 0; i < s->n; i++) {
        const pfx_bacon_pair *p = &s->pair[i];
        json_t *o = json_object();
        pfx_json_set(o, "type", json_string(pfx_bacon_type_names[p->type]), failed);
        pfx_json_set(o, "treated", group(p->treated), failed);
        pfx_json_set(o, "control", group(p->control), failed);
        pfx_json_set(o, "n_treated", json_integer(p->n_treated), failed);
        pfx_json_set(o, "n_control", json_integer(p->n_control), failed);
        pfx_json_set(o, "weight", pfx_json_real(p->weight), failed);
        pfx_json_set(o, "estimate", pfx_json_real(p->estimate), failed);
        pfx_json_append(a, o, failed);
    }
    return a;
}

static json_t *totals(const pfx_bacon_result *s, bool *failed)
{
    json_t *a = json_array();
    for (int type = 0; type < PFX_BACON_TYPES; type++) {
        if (!(s->total[type].weight > 0)) continue;
        json_t *o = json_object();
        pfx_json_set(o, "type", json_string(pfx_bacon_type_names[type]), failed);
        pfx_json_set(o, "weight", pfx_json_real(s->total[type].weight), failed);
        pfx_json_set(o, "estimate", pfx_json_real(s->total[type].estimate), failed);
        pfx_json_append(a, o, failed);
    }
    return a;
}

static pfx_status render_json(const pfx_event_report *r, pfx_str *out, pfx_err *err)
{
    const pfx_bacon_result *s = r->bacon;
    const pfx_coef *c = &s->fit->coef[0];
    bool failed = false;
    json_t *root = json_object(), *twfe = json_object();
    event_set_head(r, "bacon", root, &failed);
    pfx_json_set(root, "n_obs", json_integer(s->fit->n_rows), &failed);
    pfx_json_set(root, "n_missing", json_integer(r->n_missing), &failed);
    pfx_json_set(root, "n_units", json_integer(s->n_units), &failed);
    pfx_json_set(root, "n_units_unbalanced", json_integer(s->n_dropped), &failed);
    pfx_json_set(root, "n_periods", json_integer(s->n_periods), &failed);
    event_set_timing(r->timing, root, &failed);
    pfx_json_set(twfe, "estimate", pfx_json_real(c->estimate), &failed);
    pfx_json_set(twfe, "std_error", pfx_json_real(c->std_error), &failed);
    pfx_json_set(twfe, "statistic", pfx_json_real(c->statistic), &failed);
    pfx_json_set(twfe, "p_value", pfx_json_real(c->p_value), &failed);
    pfx_json_set(twfe, "conf_low", pfx_json_real(c->conf_low), &failed);
    pfx_json_set(twfe, "conf_high", pfx_json_real(c->conf_high), &failed);
    pfx_json_set(root, "twfe", twfe, &failed);
    pfx_json_set(root, "weighted_sum", pfx_json_real(s->sum), &failed);
    pfx_json_set(root, "types", totals(s, &failed), &failed);
    pfx_json_set(root, "comparisons", pairs(s, &failed), &failed);
    event_set_run(r, root, &failed);
    return pfx_json_dump(root, failed, "event", out, err);
}

static void group_cell(pfx_table *t, double first)
{
    char text[32];
    snprintf(text, sizeof text, "%.15g", first);
    pfx_table_text(t, isinf(first) ? (first > 0 ? "never" : "always") : text);
}

static void rows(const pfx_bacon_result *s, pfx_table *t)
{
    for (int i = 0; i < s->n; i++) {
        const pfx_bacon_pair *p = &s->pair[i];
        pfx_table_row(t);
        pfx_table_text(t, pfx_bacon_type_names[p->type]);
        group_cell(t, p->treated);
        group_cell(t, p->control);
        pfx_table_int(t, p->n_treated);
        pfx_table_int(t, p->n_control);
        pfx_table_num(t, p->weight, 4);
        pfx_table_num(t, p->estimate, 4);
    }
}

static void total_row(pfx_table *t, const char *name, double weight, double estimate)
{
    pfx_table_row(t);
    pfx_table_text(t, name);
    for (int c = 0; c < 4; c++) pfx_table_text(t, "");
    pfx_table_num(t, weight, 4);
    pfx_table_num(t, estimate, 4);
}

static void notes(const pfx_event_report *r, pfx_table *t)
{
    const pfx_bacon_result *s = r->bacon;
    const pfx_coef *c = &s->fit->coef[0];
    pfx_table_note(
        t,
        "Outcome %s; Goodman-Bacon (2021): the two-way fixed-effects coefficient is the sum of weights times "
        "differences in differences of means.",
        r->outcome);
    pfx_table_note(t, "Coefficient %.4f, standard error %.4f (%s%s%s), p = %.4f.", c->estimate, c->std_error,
                   pfx_vcov_name(s->fit->vcov), s->fit->n_clusters ? " by " : "",
                   s->fit->n_clusters ? s->fit->clusters[0].name : "", c->p_value);
    if (s->total[PFX_BACON_LATER].weight > 0)
        pfx_table_note(
            t,
            "Later against earlier treated: the controls are treated all along, so that their effects, where "
            "they change, are taken for a trend.");
    event_timing_notes(r, r->timing, t);
    pfx_table_note(t, "%lld units in all of %d periods, %lld rows; %lld left out as missing.",
                   (long long)s->n_units, s->n_periods, (long long)s->fit->n_rows, (long long)r->n_missing);
    if (s->n_dropped)
        pfx_table_note(t, "Left out: %lld units that are not seen in every period.", (long long)s->n_dropped);
    if (r->synthetic) pfx_table_note(t, "Synthetic panel: the data were simulated, not observed.");
}

pfx_status event_bacon_render(const pfx_event_report *r, pfx_format format, int width, pfx_str *out,
                              pfx_err *err)
{
    static const char *const human[] = {"Comparison", "Treated", "Control", "Units",
                                        "Controls",   "Weight",  "Estimate"};
    static const char *const machine[] = {"type",      "treated", "control", "n_treated",
                                          "n_control", "weight",  "estimate"};
    const pfx_bacon_result *s = r->bacon;
    bool csv = format == PFX_FORMAT_CSV;
    if (format == PFX_FORMAT_JSON) return render_json(r, out, err);
    pfx_table *t = pfx_table_create(7, err);
    if (!t) return PFX_ENOMEM;
    pfx_table_heading(t);
    for (int c = 0; c < 7; c++) pfx_table_text(t, csv ? machine[c] : human[c]);
    rows(s, t);
    if (!csv) {
        pfx_table_rule(t);
        for (int type = 0; type < PFX_BACON_TYPES; type++)
            if (s->total[type].weight > 0)
                total_row(t, pfx_bacon_type_names[type], s->total[type].weight, s->total[type].estimate);
        total_row(t, "all", 1, s->sum);
        notes(r, t);
    }
    pfx_status st = pfx_table_render(t, format, width, out, err);
    pfx_table_free(t);
    return st;
}
