/* Inference from placebo draws. */
#include <math.h>
#include <string.h>

#include "src/cmd/inference_private.h"
#include "src/cmd/placebo.h"

static const rep_method *placebo_find(const pfx_draw_spec *s)
{
    for (int i = 0; i < PFX_PLACEBO_SCHEMES; i++)
        if (strcmp(s->command, "placebo") == 0 && strcmp(s->method, placebo_methods[i].name) == 0)
            return &placebo_methods[i];
    return NULL;
}

static bool no_std_errors(const inference_run *r, int t)
{
    return json_is_true(json_object_get(inference_full(r, t), "no_std_errors"));
}

/* PLACEBO_T or PLACEBO_B: as placebo chooses it. */
static int chosen_stat(const inference_run *r)
{
    if (r->o->stat != PLACEBO_DEFAULT) return r->o->stat;
    return no_std_errors(r, 0) ? PLACEBO_B : PLACEBO_T;
}

static pfx_status placebo_choose(inference_run *r, pfx_err *err)
{
    if (inference_field(r, "slope") != PFX_PLACEBO_SLOPE ||
        inference_field(r, "switchers") != PFX_PLACEBO_SWITCHERS || r->spec->n_terms < 1 ||
        !isfinite(inference_number(inference_full(r, 0), "df_t")))
        return pfx_fail(err, PFX_EFORMAT, "%s: does not say what the draws are of; run placebo again",
                        pfx_draws_path(r->file));
    if (r->o->stat == PLACEBO_T && no_std_errors(r, 0))
        return pfx_fail(err, PFX_EUSAGE,
                        "%s: the draws have no standard errors (placebo --no-se): use --stat b",
                        pfx_draws_path(r->file));
    return placebo_check_null(r->null, chosen_stat(r), (pfx_placebo_scheme)(r->shown - placebo_methods), err);
}

static pfx_status placebo_infer(const inference_run *r, int t, pfx_rep_report *p, pfx_rep_term *out,
                                pfx_err *err)
{
    const json_t *full = inference_full(r, t);
    double assignments = inference_number(full, "assignments");
    const placebo_about a = {.scheme = (pfx_placebo_scheme)(r->shown - placebo_methods),
                             .treatment = inference_text(full, "treatment"),
                             .kind = inference_text(full, "treatment_kind"),
                             .assigned_by = inference_text(full, "assigned_by"),
                             .strata = inference_text(full, "strata"),
                             .n_units = inference_count(full, "n_units"),
                             .n_treated = inference_count(full, "n_treated"),
                             .n_always = inference_count(full, "n_always_treated"),
                             .n_switch = inference_count(full, "n_switchers"),
                             .n_strata = inference_count(full, "n_strata"),
                             .n_idle = inference_count(full, "n_strata_without_variation"),
                             .assignments = isnan(assignments) ? INFINITY : assignments,
                             .enumerated = json_is_true(json_object_get(full, "enumerated"))};
    const placebo_test test = {.estimate = inference_number(full, "estimate"),
                               .std_error = inference_number(full, "std_error"),
                               .statistic = inference_number(full, "statistic"),
                               .df_t = inference_number(full, "df_t"),
                               .null = r->null,
                               .level = r->o->rep.level,
                               .by_t = chosen_stat(r) == PLACEBO_T,
                               .no_se = no_std_errors(r, t)};
    const double *field[PFX_PLACEBO_FIELDS];
    for (int f = 0; f < PFX_PLACEBO_FIELDS; f++) field[f] = r->field[f] ? r->field[f] + t : NULL;
    if (out == p->term) placebo_head(&a, p); /* the same for all terms */
    return placebo_term(r->spec->terms[t], &a, &test, r->spec->reps, r->spec->n_terms, field, &p->note, out,
                        err);
}

static pfx_family_rule placebo_rule(const inference_run *r)
{
    return placebo_family_rule(json_is_true(json_object_get(inference_full(r, 0), "enumerated")));
}

const inference_method inference_placebo = {placebo_find, placebo_choose, placebo_infer, NULL, placebo_rule};
