/* Options of the event command. */
#include <stdio.h>
#include <string.h>

#include "src/base/file.h"
#include "src/cmd/event_private.h"
#include "src/report/event.h"
#include "src/report/plot.h"

static const char *const ssc_choices[] = {"fixest", "reghdfe", "stata", "none", NULL};
static const char *const kind_choices[] = {"analytic", "frequency", "probability", NULL};

#define AT(field) offsetof(event_options, field)
const pfx_opt event_table[] = {
    {"treatment", 0, PFX_OPT_TEXT, AT(treatment), "V",
     "column that is 1 from the first treated period on, and 0 before and elsewhere", NULL, "Treatment"},
    {"cohort", 0, PFX_OPT_TEXT, AT(cohort), "V",
     "column of first treated periods; missing, 0 or after the last period: never treated", NULL, NULL},
    {"allow-reversal", 0, PFX_OPT_FLAG, AT(allow_reversal), NULL,
     "count from the first switch where the treatment switches off (default: refuse)", NULL, NULL},
    {"method", 0, PFX_OPT_CHOICE, AT(method), "METHOD",
     "twfe (two-way fixed effects), sunab (Sun-Abraham), cs (Callaway-Sant'Anna), imputation "
     "(Borusyak-Jaravel-Spiess), or bacon, which takes the two-way coefficient apart (default: sunab)",
     pfx_event_method_names, "Estimator"},
    {"window", 0, PFX_OPT_TEXT, AT(window), "A:B",
     "event times from A to B; the ends hold what lies beyond them (default: all event times)", NULL, NULL},
    {"ref", 0, PFX_OPT_INT, AT(ref), "E", "reference event time, whose effect is zero (default: -1)", NULL,
     NULL},
    {"control", 0, PFX_OPT_CHOICE, AT(control), "WHO",
     "controls: never treated, or notyet treated too (default: never)", pfx_cs_control_names,
     "Callaway-Sant'Anna"},
    {"base", 0, PFX_OPT_CHOICE, AT(base), "PERIOD",
     "before treatment compare with the period before (varying), or with the last before treatment "
     "(universal) (default: "
     "varying)",
     pfx_cs_base_names, NULL},
    {"score", 0, PFX_OPT_CHOICE, AT(score), "SCORE",
     "with covariates: dr (doubly robust), reg (outcome regression) or ipw (inverse probability) (default: "
     "dr)",
     pfx_cs_score_names, NULL},
    {"balanced", 0, PFX_OPT_FLAG, AT(balanced), NULL,
     "only units seen in every period; also of bacon (default: for each effect those seen in both its "
     "periods)",
     NULL, NULL},
    {"aggregate", 0, PFX_OPT_CHOICE, AT(aggregate), "BY",
     "the table: by event time, cohort or period, or each cell of cohort and period (default: event)",
     pfx_event_aggregate_names, NULL},
    {"leave-out", 0, PFX_OPT_FLAG, AT(leave_out), NULL,
     "standard errors from each cluster's effects less the average of the others' in its cohort (default: of "
     "all)",
     NULL, "Imputation"},
    {"sensitivity", 0, PFX_OPT_CHOICE, AT(sensitivity), "KIND",
     "Rambachan-Roth intervals of an effect: rm (relative magnitudes), sd (smoothness) (default: none)",
     event_sensitivity_names, "Differences in trends"},
    {"bounds", 0, PFX_OPT_TEXT, AT(bounds), "LIST",
     "values of Mbar or M, joined by commas (default: rm 0.5,1,1.5,2; sd 0 to the effect's standard error)",
     NULL, NULL},
    {"effect", 0, PFX_OPT_TEXT, AT(effect), "E", "event time of the effect, or average of all (default: 0)",
     NULL, NULL},
    {"vcov", 0, PFX_OPT_TEXT, AT(fit.vcov), "TYPE",
     "iid, hetero (or HC1), cluster (or CRV1), twoway (default: cluster by the panel's unit)", NULL,
     "Standard errors"},
    {"cluster", 0, PFX_OPT_TEXT, AT(fit.cluster), "VARS", "cluster variable, or two joined by + as firm+year",
     NULL, NULL},
    {"ssc", 0, PFX_OPT_CHOICE, AT(fit.ssc), "RULE",
     "small-sample rule: fixest, reghdfe, stata or none (default: fixest)", ssc_choices, NULL},
    {"level", 0, PFX_OPT_REAL, AT(fit.level), "P", "level of the confidence intervals (default: 0.95)", NULL,
     NULL},
    {"where", 0, PFX_OPT_TEXT, AT(fit.where), "EXPR",
     "keep the rows where EXPR holds; the date of treatment is of all rows", NULL, "Sample"},
    {"weights", 0, PFX_OPT_TEXT, AT(fit.weights), "VAR", "weights: a column or an expression, not negative",
     NULL, NULL},
    {"weights-kind", 0, PFX_OPT_CHOICE, AT(fit.weights_kind), "KIND",
     "analytic, frequency or probability (default: analytic)", kind_choices, NULL},
    {"keep-singletons", 0, PFX_OPT_FLAG, AT(fit.keep_singletons), NULL,
     "keep rows that are alone in a level of an effect (default: drop and count them)", NULL, NULL},
    {"tol", 0, PFX_OPT_REAL, AT(fit.tol), "X",
     "relative residual where effects are absorbed iteratively (default: 1e-10)", NULL, "Solver"},
    {"maxiter", 0, PFX_OPT_INT, AT(fit.maxiter), "N", "most iterations there (default: 10000)", NULL, NULL},
    {"format", 0, PFX_OPT_CHOICE, AT(fit.format), "FORMAT",
     "text, json, csv, latex, markdown or html (default: by the ending of -o, else text)", pfx_format_names,
     "Output"},
    {"output", 'o', PFX_OPT_TEXT, AT(fit.output), "FILE", "write to FILE instead of standard output", NULL,
     NULL},
    {"plot", 0, PFX_OPT_TEXT, AT(plot), "FILE", "also draw the effects by event time: .svg, .png or .pdf",
     NULL, NULL},
    {0},
};

static pfx_status parse_window(event_run *r, pfx_err *err)
{
    const char *w = r->o.window, *colon;
    if (!w) return PFX_OK;
    colon = strchr(w, ':');
    if (!colon || !pfx_text_idx(w, (size_t)(colon - w), &r->low) ||
        !pfx_text_idx(colon + 1, strlen(colon + 1), &r->high) || r->low >= r->high || r->low < -100000 ||
        r->high > 100000)
        return pfx_fail(err, PFX_EUSAGE, "--window %s: want two event times, the lower first, as -5:5", w);
    bool has_ref = r->o.method == PFX_EVENT_TWFE || r->o.method == PFX_EVENT_SUNAB;
    if (has_ref && (r->o.ref < r->low || r->o.ref > r->high))
        return pfx_fail(err, PFX_EUSAGE, "--ref %lld lies outside --window %s", (long long)r->o.ref, w);
    r->windowed = true;
    return PFX_OK;
}

/* Options of other methods. */
static pfx_status check_own(const event_options *o, pfx_err *err)
{
    bool cs = o->method == PFX_EVENT_CS, bacon = o->method == PFX_EVENT_BACON;
    const struct {
        bool given, fits;
        const char *name, *whose;
    } own[] = {{o->control != 0, cs, "control", "cs"},
               {o->base != 0, cs, "base", "cs"},
               {o->score != 0, cs, "score", "cs"},
               {o->aggregate != 0, cs, "aggregate", "cs"},
               {o->balanced, cs || bacon, "balanced", "cs and bacon"},
               {o->leave_out, o->method == PFX_EVENT_IMPUTATION, "leave-out", "imputation"}};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (own[i].given && !own[i].fits)
            return pfx_fail(err, PFX_EUSAGE, "--%s belongs to --method %s, not to %s", own[i].name,
                            own[i].whose, pfx_event_method_names[o->method]);
    return PFX_OK;
}

static pfx_status check_method(const event_options *o, pfx_err *err)
{
    const char *method = pfx_event_method_names[o->method];
    bool cs = o->method == PFX_EVENT_CS, bacon = o->method == PFX_EVENT_BACON;
    pfx_status st = check_own(o, err);
    if (st || o->method == PFX_EVENT_TWFE || o->method == PFX_EVENT_SUNAB) return st;
    if (o->fit.weights && (cs || bacon))
        return pfx_fail(err, PFX_EUSAGE, "--method %s takes no --weights%s", method,
                        cs ? " in this version" : ": it is about means of units");
    if (!bacon && o->fit.vcov && strcmp(o->fit.vcov, "cluster") && strcmp(o->fit.vcov, "CRV1"))
        return pfx_fail(err, PFX_EUSAGE,
                        "--method %s clusters its %s: --vcov %s is not among its standard errors", method,
                        cs ? "influence functions" : "weighted residuals", o->fit.vcov);
    if (o->ref != -1)
        return pfx_fail(err, PFX_EUSAGE, "--ref belongs to twfe and sunab; %s",
                        cs      ? "cs chooses its base periods by --base"
                        : bacon ? "bacon has no event times"
                                : "imputation has no reference period");
    if (bacon && (o->window || o->plot))
        return pfx_fail(err, PFX_EUSAGE, "--%s: bacon has no event times", o->window ? "window" : "plot");
    return PFX_OK;
}

/* The file of an output can be written, and is not the panel. */
static pfx_status check_place(const char *path, const char *panel, bool force, pfx_err *err)
{
    pfx_out out;
    pfx_status st = pfx_out_spare(path, panel, err);
    if (st != PFX_OK || !path || strcmp(path, "-") == 0) return st;
    st = pfx_out_begin(&out, path, force, err);
    if (st == PFX_OK) pfx_out_abort(&out);
    return st;
}

static pfx_status check_outputs(const event_options *o, const char *panel, pfx_err *err)
{
    pfx_plot_format format;
    pfx_err kept = {0}; /* said in this option's name */
    pfx_status st = PFX_OK;
    if (o->plot && pfx_plot_format_of(o->plot, &format, &kept) != PFX_OK)
        return pfx_fail(err, PFX_EUSAGE, "--plot %s: want a name that ends in .svg, .png or .pdf", o->plot);
    if (o->plot && o->fit.output && strcmp(o->plot, o->fit.output) == 0)
        return pfx_fail(err, PFX_EUSAGE, "--plot and -o name the same file, %s", o->plot);
    if ((st = check_place(o->fit.output, panel, o->fit.common.force, err))) return st;
    return check_place(o->plot, panel, o->fit.common.force, err);
}

pfx_status event_check_options(event_run *r, const char *panel, pfx_err *err)
{
    const event_options *o = &r->o;
    pfx_status st = fit_check_options(&o->fit, err);
    if (st) return st;
    if (!o->treatment == !o->cohort)
        return pfx_fail(err, PFX_EUSAGE,
                        "%s: give --treatment V (0 and 1) or --cohort V (first treated period)",
                        o->cohort ? "--treatment and --cohort together" : "who is treated when");
    if (o->allow_reversal && o->cohort)
        return pfx_fail(err, PFX_EUSAGE, "--allow-reversal is about --treatment; a cohort cannot switch off");
    if ((st = check_method(o, err))) return st;
    if (o->ref < -100000 || o->ref > 100000)
        return pfx_fail(err, PFX_EUSAGE, "--ref %lld: want an event time, as -1", (long long)o->ref);
    if ((st = parse_window(r, err)) || (st = event_check_sensitivity(r, err))) return st;
    return check_outputs(o, panel, err);
}
