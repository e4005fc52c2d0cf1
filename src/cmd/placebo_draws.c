/* The schemes of placebo as methods of the replication frame: from a fit and its design to draws, and from
 * draws to what they may claim. */
#include <math.h>
#include <string.h>

#include "src/base/bag.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cmd/placebo.h"
#include "src/model/design.h"
#include "src/rep/placebo_store.h"
#include "src/rep/refit.h"

/* The two ways to the full-sample coefficient differ by rounding; beyond this the draws cannot be compared
 * with it. */
static const double AGREE = 1e-6;
/* Of --memory, what the prepared tables may take. */
static const double STATE_SHARE = 0.5;

static void placebo_release(void *state)
{
    placebo_state *s = state;
    if (!s) return;
    for (int a = 0; a < s->n_drawn; a++) pfx_mem_free(s->drawn[a]);
    for (pfx_idx k = 0; s->shifted && k < s->o->periods; k++) pfx_fit_free(s->shifted[k]);
    for (pfx_idx k = 0; s->shifted_name && k < s->o->periods; k++) pfx_mem_free(s->shifted_name[k]);
    pfx_mem_free(s->shifted);
    pfx_mem_free(s->shifted_name);
    pfx_mem_free(s->treatment);
    pfx_mem_free(s->period);
    pfx_mem_free(s->time);
    pfx_mem_free(s->factor);
    pfx_mem_free(s->union_at);
    pfx_mem_free(s->union_treatment);
    pfx_mem_free(s->union_unit);
    pfx_mem_free(s->union_period);
    pfx_mem_free(s->union_stratum);
    pfx_mem_free(s->own_unit);
    pfx_placebo_free(s->p);
    pfx_assign_free(s->assign);
    pfx_mem_free(s);
}

/* The reduced form of a model: its outcome on the exogenous variables and the instruments. */
static void reduced_form(const char *text, pfx_str *out)
{
    const char *effects = NULL, *last = NULL;
    int depth = 0;
    for (const char *c = text; *c; c++) {
        depth += (*c == '(') - (*c == ')');
        if (*c != '|' || depth) continue;
        if (!effects) effects = c;
        last = c;
    }
    const char *tilde = last ? strrchr(last, '~') : NULL;
    if (!tilde) return;
    size_t left = (size_t)(effects - text), middle = (size_t)(last - effects);
    while (left > 0 && text[left - 1] == ' ') left--;
    while (middle > 0 && effects[middle - 1] == ' ') middle--;
    pfx_str_addn(out, text, left);
    pfx_str_addf(out, " +%s%s", tilde[1] == ' ' ? "" : " ", tilde + 1);
    if (middle) pfx_str_add(out, " ");
    pfx_str_addn(out, effects, middle);
}

/* Neither side of a first stage can be drawn anew: what a draw then divides by is noise. */
static pfx_status refuse_instruments(const rep_run *r, pfx_err *err)
{
    const pfx_model_spec *m = &r->formula->models[0];
    if (!m->n_endogenous) return PFX_OK;
    pfx_str form = {0};
    reduced_form(m->text, &form);
    pfx_status st = pfx_fail(
        err, PFX_EUSAGE,
        "%s: a draw of the instrument or of what it moves has no first stage, so that its 2SLS estimate is a "
        "ratio to noise; draw the instrument in the reduced form: '%s', --treatment what it is made of",
        m->text, form.s && !form.failed ? form.s : "y ~ x + z | effects");
    pfx_str_free(&form);
    return st;
}

static pfx_status check_family(const placebo_options *o, pfx_err *err)
{
    if (o->scheme == PFX_PLACEBO_WITHIN || o->scheme == PFX_PLACEBO_IN_TIME)
        return pfx_fail(err, PFX_EUSAGE,
                        "--scheme %s has no p-values that a family could adjust: use permute or random-date",
                        pfx_placebo_scheme_names[o->scheme]);
    if (o->no_se)
        return pfx_fail(err, PFX_EUSAGE,
                        "--no-se: the p-values of a family compare t, which needs standard errors");
    return PFX_OK;
}

static pfx_status placebo_open(rep_run *r, pfx_err *err)
{
    placebo_state *s = r->state = pfx_mem_calloc(1, sizeof *s, err);
    const pfx_panel_spec *panel = pfx_panel_structure(r->panel);
    if (!s) return PFX_ENOMEM;
    s->o = r->own;
    s->at_strata = -1;
    pfx_status st = refuse_instruments(r, err);
    if (st == PFX_OK && r->n_specs) st = check_family(s->o, err);
    if (st != PFX_OK) return st;
    if (r->vcov.n_clusters != 1)
        return pfx_fail(err, PFX_EUSAGE, "%s%s",
                        r->vcov.n_clusters ? "--cluster: placebo takes one cluster variable"
                                           : pfx_panel_path(r->panel),
                        r->vcov.n_clusters ? "" : " has no unit to assign by; name one with --cluster VAR");
    if (s->o->scheme != PFX_PLACEBO_PERMUTE && !*panel->time)
        return pfx_fail(err, PFX_EUSAGE, "%s has no time; without it use --scheme permute",
                        pfx_panel_path(r->panel));
    r->dataset.want_rows = true;
    r->dataset.want_time = *panel->time != '\0';
    s->unit_name = r->vcov.clusters[0];
    if (s->o->assign_by && strcmp(s->o->assign_by, s->unit_name) != 0) {
        s->unit_name = s->o->assign_by;
        s->at_unit = rep_add_factor(r, "--assign-by", s->unit_name);
    }
    if (s->o->assignments) {
        if ((st = placebo_file_digest(s->o->assignments, s->assignments, err)) != PFX_OK) return st;
    }
    if (s->o->strata) s->at_strata = rep_add_factor(r, "--strata", s->o->strata);
    r->drawn_by = s->at_unit;
    r->also_by = s->at_strata;
    return PFX_OK;
}

static void placebo_describe(const rep_run *r, pfx_str *spec)
{
    const placebo_options *o = r->own;
    pfx_str_addf(spec, "treatment=%s\n", o->treatment);
    if (o->coef) pfx_str_addf(spec, "coef=%s\n", o->coef);
    if (o->no_se) pfx_str_addf(spec, "no-se=1\n");
    if (o->rep.decided != 0) pfx_str_addf(spec, "stat=%d\n", o->stat); /* when it stops */
    if (o->strata) pfx_str_addf(spec, "strata=%s\n", o->strata);
    if (o->assign_by) pfx_str_addf(spec, "assign-by=%s\n", o->assign_by);
    if (o->assignments)
        pfx_str_addf(spec, "assignments=%s sha256=%s\n", o->assignments,
                     ((const placebo_state *)r->state)->assignments);
}

static pfx_status make_assignment(rep_run *r, const pfx_design *d, pfx_err *err)
{
    placebo_state *s = r->state;
    const pfx_factor *unit = &d->clusters[s->at_unit];
    s->in = (pfx_assign_in){.scheme = (pfx_placebo_scheme)s->o->scheme,
                            .n = d->n,
                            .treatment = s->treatment,
                            .n_units = unit->n_levels,
                            .unit = unit->code,
                            .n_periods = s->n_periods,
                            .period = s->period,
                            .stratum = s->at_strata < 0 ? NULL : d->clusters[s->at_strata].code,
                            .unit_name = s->unit_name,
                            .treatment_name = s->o->treatment,
                            .stratum_name = s->o->strata,
                            .row = d->row};
    s->own = s->in;
    pfx_status st = r->n_specs ? placebo_union(r, d, err) : PFX_OK;
    if (st == PFX_OK) st = pfx_assign_create(&s->in, &s->assign, err);
    if (st != PFX_OK) return st;
    if (s->o->scheme == PFX_PLACEBO_FILE && (st = placebo_file(r, d, err)) != PFX_OK) return st;
    const pfx_assign *a = s->assign;
    if (a->n_idle && s->o->strata && r->spec_number == 0) {
        char label[200];
        placebo_label(r->panel, s->o->strata, s->in.row[a->idle_row], sizeof label, label);
        pfx_warn("%lld of %lld strata have no variation in %s (%s = %s is one); their %lld units keep their "
                 "treatment",
                 (long long)a->n_idle, (long long)(a->n_idle + a->n_strata), s->o->treatment, s->o->strata,
                 label, (long long)a->n_idle_units);
    }
    if (a->assignments <= (double)r->reps) {
        s->assign->enumerate = true;
        r->reps = (pfx_idx)a->assignments;
    }
    if (a->n_file) r->reps = a->n_file;
    return PFX_OK;
}

/* Factor of a clustered variance: src/est/ssc.c. */
static double ssc_factor(const rep_run *r)
{
    double G = (double)r->fit->clusters[0].levels, n = (double)r->fit->n_obs;
    return r->fit->ssc == PFX_SSC_NONE ? 1 : G / (G - 1) * (n - 1) / (n - r->fit->k_adj);
}

static pfx_status make_draws(rep_run *r, const pfx_design *d, pfx_err *err)
{
    placebo_state *s = r->state;
    double own[PFX_PLACEBO_FIELDS];
    const pfx_placebo_in in = {.d = d,
                               .assign = &s->own,
                               .n_drawn = s->n_drawn,
                               .drawn = (const char *const *)s->drawn,
                               .factor = s->factor,
                               .tested = s->tested,
                               .n_collinear = r->fit->n_collinear,
                               .collinear = (const char *const *)r->fit->collinear,
                               .tol = r->o->tol,
                               .maxiter = (int)r->o->maxiter,
                               .nth = (int)r->o->common.threads,
                               .isa = (pfx_isa)r->o->common.isa,
                               .std_error = !s->o->no_se,
                               .ssc = ssc_factor(r),
                               .max_bytes =
                                   STATE_SHARE * (double)r->o->common.memory / (r->n_specs ? r->n_specs : 1)};
    pfx_status st = pfx_placebo_create(&in, s->assign, &s->p, err);
    if (st == PFX_OK) st = pfx_placebo_own(s->p, own, err);
    if (st == PFX_OK && !(fabs(own[PFX_DRAW_ESTIMATE] - s->estimate) <= AGREE * s->std_error))
        st = pfx_fail(
            err, PFX_EIDENT,
            "%s: %.10g by the fit, %.10g from the sums of the draws: too collinear for placebo draws",
            s->term[0], s->estimate, own[PFX_DRAW_ESTIMATE]);
    return st;
}

static pfx_status placebo_prepare(rep_run *r, pfx_design *design, pfx_err *err)
{
    placebo_state *s = r->state;
    pfx_status st = placebo_treatment(r, design, err);
    if (st == PFX_OK) st = make_assignment(r, design, err);
    if (st != PFX_OK) return st;
    s->term[0] = s->drawn[s->tested];
    r->n_terms = 1;
    r->terms = s->term;
    s->estimate = s->std_error = s->statistic = NAN;
    for (int i = 0; i < r->fit->k; i++)
        if (strcmp(r->fit->coef[i].term, s->term[0]) == 0) {
            s->estimate = r->fit->coef[i].estimate;
            s->std_error = r->fit->coef[i].std_error;
            s->statistic = r->fit->coef[i].statistic;
        }
    if (isnan(s->estimate))
        return pfx_fail(err, PFX_EIDENT, "%s was left out as collinear: there is nothing to test",
                        s->term[0]);
    return s->o->scheme == PFX_PLACEBO_IN_TIME ? placebo_in_time(r, design, err) : make_draws(r, design, err);
}

/* Nothing is left to do: what the draws are made of is prepared. */
static pfx_status placebo_ready(rep_run *r, pfx_err *err)
{
    (void)r, (void)err;
    return PFX_OK;
}

static pfx_status placebo_stored(rep_run *r, pfx_bag *b, pfx_err *err)
{
    placebo_state *s = r->state;
    char *term = pfx_bag_gives(b) ? NULL : s->drawn[s->tested];
    pfx_status st = pfx_bag_text(b, "term", &term, err);
    if (st == PFX_OK) st = pfx_assign_store(&s->assign, b, err);
    if (st == PFX_OK) st = pfx_placebo_store(s->assign, (pfx_isa)r->o->common.isa, &s->p, b, err);
    if (!pfx_bag_gives(b)) return st;
    if (term) s->drawn[s->n_drawn++] = term; /* the only one now */
    s->term[0] = term;
    r->n_terms = 1;
    r->terms = s->term;
    return st;
}

static const char *placebo_needs_rows(const rep_run *r)
{
    return pfx_placebo_needs_rows(((const placebo_state *)r->state)->p);
}

static const pfx_rep_method *placebo_draws(const rep_run *r)
{
    return pfx_placebo_method(((const placebo_state *)r->state)->p);
}

static unsigned placebo_keep(const rep_run *r)
{
    (void)r;
    return 1u << PFX_DRAW_ESTIMATE | 1u << PFX_DRAW_STATISTIC | 1u << PFX_PLACEBO_SLOPE |
           1u << PFX_PLACEBO_SWITCHERS;
}

static int placebo_extreme(const rep_run *r, int t, const double *const *field, pfx_idx i)
{
    const placebo_state *s = r->state;
    double b = field[PFX_DRAW_ESTIMATE][i], x = field[PFX_DRAW_STATISTIC][i], x0 = s->statistic;
    (void)t;
    if (!isfinite(b) || (s->o->stat == PLACEBO_T && !isfinite(x))) return -1;
    if (s->o->stat == PLACEBO_B) {
        x = b - (r->o->null != 0 ? r->o->null * field[PFX_PLACEBO_SLOPE][i] : 0);
        x0 = s->estimate - r->o->null;
    }
    return fabs(x) >= fabs(x0) * (1 - 1e-9);
}

static placebo_about about(const placebo_state *s)
{
    static const char *const kinds[] = {"adoption (stays on)", "constant within units", "switches on and off",
                                        "values"};
    const pfx_assign *a = s->assign;
    bool units = a->scheme != PFX_PLACEBO_WITHIN;
    return (placebo_about){.scheme = a->scheme,
                           .treatment = s->o->treatment,
                           .kind = kinds[a->kind],
                           .assigned_by = units ? s->unit_name : "row",
                           .strata = a->scheme == PFX_PLACEBO_FILE ? "of the file"
                                     : s->o->strata                ? s->o->strata
                                     : units                       ? "same first and last period"
                                                                   : "period",
                           .n_units = a->n_units,
                           .n_treated = a->n_treated,
                           .n_always = a->n_always,
                           .n_switch = a->n_switch,
                           .n_strata = a->n_strata,
                           .n_idle = a->n_idle,
                           .assignments = a->assignments,
                           .enumerated = a->enumerate};
}

static placebo_test test_of(const rep_run *r)
{
    const placebo_state *s = r->state;
    return (placebo_test){.estimate = s->estimate,
                          .std_error = s->std_error,
                          .statistic = s->statistic,
                          .df_t = r->fit->df_t,
                          .null = r->o->null,
                          .level = r->o->level,
                          .by_t = s->o->stat == PLACEBO_T,
                          .no_se = s->o->no_se};
}

static void placebo_full(const rep_run *r, int t, pfx_rep_values *v)
{
    const placebo_about a = about(r->state);
    const placebo_test test = test_of(r);
    (void)t;
    placebo_store(&a, &test, v);
}

static pfx_status placebo_summarise(rep_run *r, const pfx_draw_keep *k, pfx_rep_report *report, pfx_err *err)
{
    const placebo_state *s = r->state;
    const placebo_about a = about(s);
    const placebo_test test = test_of(r);
    if (r->spec_number == 0) placebo_head(&a, report);
    const pfx_refit *f = pfx_placebo_cross(s->p);
    pfx_status st = placebo_term(s->term[0], &a, &test, k->n, k->n_terms, (const double *const *)k->field,
                                 &report->note, &report->term[0], err);
    if (!f || st != PFX_OK) return st;
    pfx_rep_add_text(r->n_specs ? &report->term[0].more : &report->more, NULL, "projection", NULL,
                     pfx_refit_route(f));
    pfx_str_addf(&report->note,
                 "Effects cross the clusters: each draw projects the treatment of all rows off them (%lld "
                 "levels beside "
                 "the largest, %s).\n",
                 (long long)pfx_refit_columns(f), pfx_refit_route(f));
    return PFX_OK;
}

/* Where all assignments are enumerated, the data's own is among the draws. */
pfx_family_rule placebo_family_rule(bool enumerated)
{
    return (pfx_family_rule){.with_own = !enumerated};
}

static pfx_family_rule rule_now(const rep_run *r)
{
    return placebo_family_rule(((const placebo_state *)r->state)->assign->enumerate);
}

#define SCHEME(number, text, head)                                                                           \
    [(number)] = {.command = "placebo",                                                                      \
                  .name = (text),                                                                            \
                  .title = (head),                                                                           \
                  .name_key = "scheme",                                                                      \
                  .instruments = true, /* placebo_open says why not */                                       \
                  .family = true,                                                                            \
                  .family_rows = true,                                                                       \
                  .rule_now = rule_now,                                                                      \
                  .open = placebo_open,                                                                      \
                  .prepare = placebo_prepare,                                                                \
                  .ready = placebo_ready,                                                                    \
                  .store = placebo_stored,                                                                   \
                  .needs_rows = placebo_needs_rows,                                                          \
                  .release = placebo_release,                                                                \
                  .draws = placebo_draws,                                                                    \
                  .describe = placebo_describe,                                                              \
                  .full = placebo_full,                                                                      \
                  .keep = placebo_keep,                                                                      \
                  .extreme = placebo_extreme,                                                                \
                  .summarise = placebo_summarise}
const rep_method placebo_methods[PFX_PLACEBO_SCHEMES] = {
    SCHEME(PFX_PLACEBO_PERMUTE, "permute", "Placebo by permuting treatment paths"),
    SCHEME(PFX_PLACEBO_RANDOM_DATE, "random-date", "Placebo by random units and dates"),
    SCHEME(PFX_PLACEBO_IN_TIME, "in-time", "Placebo in time"),
    SCHEME(PFX_PLACEBO_WITHIN, "within-period",
           "Placebo by permuting rows within periods (not a valid test)"),
    SCHEME(PFX_PLACEBO_FILE, "file", "Placebo by the user's own assignments"),
};
