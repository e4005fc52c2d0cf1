/* What placebo draws say, for placebo, which has drawn them, and for inference, which reads them. */
#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/cmd/placebo.h"
#include "src/rep/placebo_summary.h"

pfx_status placebo_check_null(double null, int stat, pfx_placebo_scheme scheme, pfx_err *err)
{
    if (null == 0) return PFX_OK;
    if (scheme == PFX_PLACEBO_WITHIN)
        return pfx_fail(
            err, PFX_EUSAGE,
            "--null %g: --scheme within-period compares with no effect alone; use --scheme permute", null);
    if (stat != PLACEBO_T) return PFX_OK;
    return pfx_fail(err, PFX_EUSAGE,
                    "--null %g: t of a draw is of no effect; test another effect with --stat b", null);
}

static const char *claim(pfx_placebo_scheme scheme)
{
    switch (scheme) {
    case PFX_PLACEBO_PERMUTE:
        return "Units exchange whole treatment paths within strata. The p-value is exact for the sharp "
               "hypothesis of no\n"
               "effect on any unit if, within strata, any unit could have had any of the paths.\n";
    case PFX_PLACEBO_RANDOM_DATE:
        return "Units are drawn at random within strata, each with a date drawn from the stratum's dates of "
               "adoption. The\n"
               "p-value is a comparison with such draws; it is exact only if treatment came about that "
               "way.\n";
    case PFX_PLACEBO_WITHIN:
        return "Rows exchange values within periods: a unit's treatment is no path any more and serial "
               "correlation is\n"
               "ignored. This p-value is not a valid test; it is here because tables print it. Use --scheme "
               "permute.\n";
    default:
        return "Draws are the user's own. The p-value is exact if they are drawn as treatment was.\n";
    }
}

static void add_about(const placebo_about *a, pfx_rep_values *v)
{
    bool units = a->scheme != PFX_PLACEBO_WITHIN;
    pfx_rep_add_text(v, NULL, "treatment", "treatment", a->treatment);
    if (units) pfx_rep_add_text(v, NULL, "treatment_kind", "its paths", a->kind);
    pfx_rep_add_text(v, NULL, "assigned_by", "assigned by", a->assigned_by);
    pfx_rep_add_count(v, NULL, "n_units", NULL, a->n_units);
    pfx_rep_add_count(v, NULL, "n_treated", units ? "treated units" : "treated rows", a->n_treated);
    if (units) pfx_rep_add_count(v, NULL, "n_always_treated", "of them from the start, kept", a->n_always);
    if (units) pfx_rep_add_count(v, NULL, "n_switchers", "units that switch", a->n_switch);
    pfx_rep_add_text(v, NULL, "strata", "strata", a->strata);
    if (a->scheme == PFX_PLACEBO_FILE) return;
    pfx_rep_add_count(v, NULL, "n_strata", "strata with variation", a->n_strata);
    pfx_rep_add_count(v, NULL, "n_strata_without_variation", "without, units kept", a->n_idle);
    pfx_rep_add_real(v, NULL, "assignments", NULL, a->assignments);
    pfx_rep_add_flag(v, NULL, "enumerated", "all assignments enumerated", a->enumerated);
}

void placebo_store(const placebo_about *a, const placebo_test *test, pfx_rep_values *v)
{
    pfx_rep_add_real(v, NULL, "estimate", NULL, test->estimate);
    pfx_rep_add_real(v, NULL, "std_error", NULL, test->std_error);
    pfx_rep_add_real(v, NULL, "statistic", NULL, test->statistic);
    pfx_rep_add_real(v, NULL, "df_t", NULL, test->df_t);
    add_about(a, v);
    if (a->scheme == PFX_PLACEBO_FILE) pfx_rep_add_flag(v, NULL, "enumerated", NULL, a->enumerated);
    if (test->no_se) pfx_rep_add_flag(v, NULL, "no_std_errors", NULL, true);
}

static void fill_term(const placebo_test *test, const pfx_placebo_result *x, const pfx_placebo_result *other,
                      bool units, pfx_rep_term *t)
{
    t->estimate = test->estimate;
    t->std_error = test->std_error;
    t->statistic = test->statistic;
    t->valid = x->valid;
    t->count = x->count;
    t->p_value = x->p_value;
    t->p_low = x->p_low;
    t->p_high = x->p_high;
    if (units) pfx_rep_add_interval(t, "inverted", x->conf_low, x->conf_high);
    pfx_rep_add_text(&t->more, NULL, "stat", "p-value by", test->by_t ? "t" : "b");
    if (!test->no_se)
        pfx_rep_add_real(&t->more, NULL, test->by_t ? "p_value_b" : "p_value_t",
                         test->by_t ? "p-value by b" : "p-value by t", other->p_value);
    pfx_rep_add_real(&t->more, NULL, "p_left", "p left", x->p_left);
    pfx_rep_add_real(&t->more, NULL, "p_right", "p right", x->p_right);
    const bool se = !test->no_se; /* else null */
    pfx_rep_add_real(&t->more, "share_significant", "0.10", se ? "draws significant at 10 %" : NULL,
                     x->significant[0]);
    pfx_rep_add_real(&t->more, "share_significant", "0.05", se ? "at 5 %" : NULL, x->significant[1]);
    pfx_rep_add_real(&t->more, "share_significant", "0.01", se ? "at 1 %" : NULL, x->significant[2]);
    pfx_rep_add_real(&t->more, "draws", "mean", "mean of the draws' estimates", x->mean);
    pfx_rep_add_real(&t->more, "draws", "sd", "their standard deviation", x->sd);
    if (units)
        pfx_rep_add_real(&t->more, NULL, "switchers_mean", "units that switch, mean of draws", x->switchers);
}

void placebo_head(const placebo_about *a, pfx_rep_report *report)
{
    add_about(a, &report->more);
    pfx_str_add(&report->note, claim(a->scheme));
}

/* The fields of one term side by side: those that are summarised. */
static pfx_status gather(pfx_idx reps, int stride, const double *const *field, const double **out,
                         double **room, pfx_err *err)
{
    static const int used[] = {PFX_DRAW_ESTIMATE, PFX_DRAW_STATISTIC, PFX_PLACEBO_SLOPE,
                               PFX_PLACEBO_SWITCHERS};
    enum { N = sizeof used / sizeof *used };
    *room = NULL;
    for (int f = 0; f < N; f++) out[used[f]] = field[used[f]];
    if (stride == 1) return PFX_OK;
    if (!(*room = pfx_mem_alloc(N * reps, sizeof **room, err))) return PFX_ENOMEM;
    for (int f = 0; f < N; f++) {
        double *to = *room + f * reps;
        if (!field[used[f]]) continue; /* not kept: of no use */
        for (pfx_idx i = 0; i < reps; i++) to[i] = field[used[f]][i * stride];
        out[used[f]] = to;
    }
    return PFX_OK;
}

static pfx_status summarise(const char *term, const placebo_about *a, const placebo_test *test, pfx_idx reps,
                            const double *const *field, pfx_str *note, pfx_rep_term *out, pfx_err *err)
{
    static const char unbounded[] =
        "The interval is unbounded where no effect can be rejected with so few draws.\n";
    bool units = a->scheme != PFX_PLACEBO_WITHIN;
    pfx_placebo_result x, other = {0};
    pfx_placebo_draws d = {.reps = reps,
                           .b = field[PFX_DRAW_ESTIMATE],
                           .t = test->no_se ? NULL : field[PFX_DRAW_STATISTIC],
                           .slope = units ? field[PFX_PLACEBO_SLOPE] : NULL,
                           .switchers = units ? field[PFX_PLACEBO_SWITCHERS] : NULL,
                           .estimate = test->estimate,
                           .statistic = test->statistic,
                           .null = test->null,
                           .level = test->level,
                           .df_t = test->df_t,
                           .by_t = test->by_t,
                           .all = a->enumerated};
    pfx_status st = pfx_placebo_summarise(&d, &x, err);
    if (st == PFX_OK) st = rep_check_lost(term, x.valid, reps, err);
    d.by_t = !d.by_t;
    d.slope = test->null != 0 ? d.slope : NULL;
    if (st == PFX_OK && !test->no_se) st = pfx_placebo_summarise(&d, &other, err);
    if (st != PFX_OK) return st;
    fill_term(test, &x, &other, units, out);
    if (units && (!isfinite(x.conf_low) || !isfinite(x.conf_high)) &&
        !(note->s && strstr(note->s, unbounded)))
        pfx_str_add(note, unbounded);
    return PFX_OK;
}

pfx_status placebo_term(const char *term, const placebo_about *a, const placebo_test *test, pfx_idx reps,
                        int stride, const double *const *field, pfx_str *note, pfx_rep_term *out,
                        pfx_err *err)
{
    const double *own[PFX_PLACEBO_FIELDS] = {NULL};
    double *room;
    pfx_status st = gather(reps, stride, field, own, &room, err);
    if (st == PFX_OK) st = summarise(term, a, test, reps, own, note, out, err);
    pfx_mem_free(room);
    return st;
}
