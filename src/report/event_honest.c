/* Intervals under restrictions on differences in trends: lines below the table, and JSON. */
#include <math.h>
#include <stdio.h>
#include "src/est/event_honest.h"
#include "src/report/event_private.h"
#include "src/report/json_values.h"

static json_t *bound(double x)
{
    return isinf(x) ? json_string(x > 0 ? "inf" : "-inf") : pfx_json_real(x);
}

void event_set_sensitivity(const pfx_event_report *r, json_t *root, bool *failed)
{
    const pfx_event_sensitivity *s = r->sensitivity;
    json_t *o = json_object(), *list = json_array();
    if (!s) {
        json_decref(o);
        json_decref(list);
        return;
    }
    pfx_json_set(o, "restriction", json_string(s->relative ? "relative magnitudes" : "smoothness"), failed);
    pfx_json_set(o, "method",
                 json_string(s->relative ? "conditional least-favorable hybrid" : "fixed length"), failed);
    pfx_json_set(o, "effect", isnan(s->at) ? json_string("average") : json_integer((json_int_t)s->at),
                 failed);
    pfx_json_set(o, "periods_before", json_integer(s->n_pre), failed);
    pfx_json_set(o, "periods_after", json_integer(s->n_post), failed);
    pfx_json_set(o, "estimate", pfx_json_real(s->estimate), failed);
    pfx_json_set(o, "conf_low", pfx_json_real(s->low), failed);
    pfx_json_set(o, "conf_high", pfx_json_real(s->high), failed);
    for (int i = 0; i < s->n; i++) {
        json_t *x = json_object();
        pfx_json_set(x, s->relative ? "mbar" : "m", pfx_json_real(s->interval[i].bound), failed);
        pfx_json_set(x, "conf_low", bound(s->interval[i].low), failed);
        pfx_json_set(x, "conf_high", bound(s->interval[i].high), failed);
        pfx_json_append(list, x, failed);
    }
    pfx_json_set(o, "intervals", list, failed);
    pfx_json_set(o, s->above ? "breakdown_above" : "breakdown", pfx_json_real(s->breakdown), failed);
    pfx_json_set(root, "sensitivity", o, failed);
}

void event_sensitivity_notes(const pfx_event_report *r, pfx_table *t)
{
    const pfx_event_sensitivity *s = r->sensitivity;
    char effect[96];
    if (!s) return;
    if (isnan(s->at))
        snprintf(effect, sizeof effect, "the average effect of event times 0 to %d", s->n_post - 1);
    else
        snprintf(effect, sizeof effect, "the effect at event time %.0f", s->at);
    pfx_table_note(
        t,
        "Sensitivity of %s, %.4f [%.4f, %.4f], to differences in trends (Rambachan and Roth 2023), %.4g %%:",
        effect, s->estimate, s->low, s->high, 100 * r->level);
    for (int i = 0; i < s->n; i++)
        pfx_table_note(t, "  %s %.4g: [%.4f, %.4f]", s->relative ? "Mbar" : "M", s->interval[i].bound,
                       s->interval[i].low, s->interval[i].high);
    pfx_table_note(
        t,
        s->relative
            ? "Mbar: changes of the difference from period to period after treatment, over the largest "
              "of %d before; conditional least-favourable hybrid test."
            : "M: largest change of the difference's slope from period to period, over %d periods before "
              "treatment and those after; intervals of fixed length.",
        s->n_pre);
    if (s->breakdown == 0)
        pfx_table_note(t, "Breakdown value: 0, since the interval of %s 0 holds zero.",
                       s->relative ? "Mbar" : "M");
    else if (s->above)
        pfx_table_note(
            t,
            "Breakdown value, where the interval begins to hold zero: above %s %.3g, where the search ended.",
            s->relative ? "Mbar" : "M", s->breakdown);
    else
        pfx_table_note(t, "Breakdown value, where the interval begins to hold zero: %s %.3g.",
                       s->relative ? "Mbar" : "M", s->breakdown);
}
