/* The event command: when units are treated, a design with cells of event time, effects and their report. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hdf5_io/panel.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/cmd/commands.h"
#include "src/cmd/fit_private.h"
#include "src/cmd/provenance.h"
#include "src/cmd/watch.h"
#include "src/est/event.h"
#include "src/est/event_cs.h"
#include "src/est/staggered.h"
#include "src/model/design.h"
#include "src/model/lexer.h"
#include "src/report/event.h"

typedef struct event_options {
    fit_options fit; /* begins with the common options */
    const char *treatment, *cohort, *window;
    pfx_idx ref;
    int method, score, control, base, aggregate;
    bool allow_reversal, balanced;
} event_options;

static const char *const ssc_choices[] = {"fixest", "reghdfe", "stata", "none", NULL};
static const char *const kind_choices[] = {"analytic", "frequency", "probability", NULL};

#define AT(field) offsetof(event_options, field)
static const pfx_opt event_table[] = {
    {"treatment", 0, PFX_OPT_TEXT, AT(treatment), "V",
     "column that is 1 from the first treated period on, and 0 before and elsewhere", NULL, "Treatment"},
    {"cohort", 0, PFX_OPT_TEXT, AT(cohort), "V",
     "column of first treated periods; missing, 0 or after the last period: never treated", NULL, NULL},
    {"allow-reversal", 0, PFX_OPT_FLAG, AT(allow_reversal), NULL,
     "count from the first switch where the treatment switches off (default: refuse)", NULL, NULL},
    {"method", 0, PFX_OPT_CHOICE, AT(method), "METHOD",
     "twfe (two-way fixed effects), sunab (Sun-Abraham) or cs (Callaway-Sant'Anna) (default: sunab)",
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
     "only units seen in every period (default: for each effect those seen in both its periods)", NULL, NULL},
    {"aggregate", 0, PFX_OPT_CHOICE, AT(aggregate), "BY",
     "the table: by event time, cohort or period, or each cell of cohort and period (default: event)",
     pfx_event_aggregate_names, NULL},
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
    {0},
};

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
    pfx_idx n_obs, n_missing;
    double read_s, compute_s;
} event_run;

static void event_run_free(event_run *r)
{
    pfx_event_result_clear(&r->result);
    pfx_cs_result_clear(&r->cs);
    pfx_dataset_free(r->data);
    pfx_event_timing_clear(&r->timing);
    pfx_formula_free(r->formula);
    pfx_str_free(&r->formula_text);
    pfx_str_free(&r->where);
    pfx_panel_close(r->panel);
}

static pfx_status parse_window(event_run *r, pfx_err *err)
{
    const char *w = r->o.window, *colon;
    if (!w) return PFX_OK;
    colon = strchr(w, ':');
    if (!colon || !pfx_text_idx(w, (size_t)(colon - w), &r->low) ||
        !pfx_text_idx(colon + 1, strlen(colon + 1), &r->high) || r->low >= r->high || r->low < -100000 ||
        r->high > 100000)
        return pfx_fail(err, PFX_EUSAGE, "--window %s: want two event times, the lower first, as -5:5", w);
    if (r->o.ref < r->low || r->o.ref > r->high)
        return pfx_fail(err, PFX_EUSAGE, "--ref %lld lies outside --window %s", (long long)r->o.ref, w);
    r->windowed = true;
    return PFX_OK;
}

static pfx_status check_cs(const event_options *o, pfx_err *err)
{
    const char *method = pfx_event_method_names[o->method];
    if (o->method != PFX_EVENT_CS) {
        const char *own = o->control     ? "control"
                          : o->base      ? "base"
                          : o->score     ? "score"
                          : o->balanced  ? "balanced"
                          : o->aggregate ? "aggregate"
                                         : NULL;
        return own ? pfx_fail(err, PFX_EUSAGE, "--%s belongs to --method cs, not to %s", own, method)
                   : PFX_OK;
    }
    if (o->fit.weights) return pfx_fail(err, PFX_EUSAGE, "--method cs takes no --weights in this version");
    if (o->fit.vcov && strcmp(o->fit.vcov, "cluster") && strcmp(o->fit.vcov, "CRV1"))
        return pfx_fail(
            err, PFX_EUSAGE,
            "--method cs clusters its influence functions: --vcov %s is not among its standard errors",
            o->fit.vcov);
    if (o->ref != -1)
        return pfx_fail(err, PFX_EUSAGE,
                        "--ref belongs to twfe and sunab; cs chooses its base periods by --base");
    return PFX_OK;
}

static pfx_status check_options(event_run *r, const char *panel, pfx_err *err)
{
    const event_options *o = &r->o;
    pfx_out out;
    pfx_status st = fit_check_options(&o->fit, err);
    if (st) return st;
    if (!o->treatment == !o->cohort)
        return pfx_fail(err, PFX_EUSAGE,
                        "%s: give --treatment V (0 and 1) or --cohort V (first treated period)",
                        o->cohort ? "--treatment and --cohort together" : "who is treated when");
    if (o->allow_reversal && o->cohort)
        return pfx_fail(err, PFX_EUSAGE, "--allow-reversal is about --treatment; a cohort cannot switch off");
    if ((st = check_cs(o, err))) return st;
    if (o->ref < -100000 || o->ref > 100000)
        return pfx_fail(err, PFX_EUSAGE, "--ref %lld: want an event time, as -1", (long long)o->ref);
    if ((st = parse_window(r, err)) || (st = pfx_out_spare(o->fit.output, panel, err))) return st;
    if (!o->fit.output || strcmp(o->fit.output, "-") == 0) return PFX_OK;
    st = pfx_out_begin(&out, o->fit.output, o->fit.common.force, err);
    if (st == PFX_OK) pfx_out_abort(&out);
    return st;
}

static void add_name(pfx_str *s, const char *name)
{
    const char *quote = pfx_lex_is_plain_name(name) ? "" : "`";
    pfx_str_addf(s, "%s%s%s", quote, name, quote);
}

static pfx_status add_where(event_run *r, pfx_err *err)
{
    if (r->o.fit.where)
        pfx_str_addf(&r->where, "(%s) & " PFX_EVENT_IN " == 1", r->o.fit.where);
    else
        pfx_str_add(&r->where, PFX_EVENT_IN " == 1");
    return r->where.failed ? pfx_fail(err, PFX_ENOMEM, "out of memory for the formula") : PFX_OK;
}

/* A second model, of the treatment on what stands beside it: the weights of two-way fixed effects. */
static pfx_status add_weights_model(event_run *r, const char *right, pfx_err *err)
{
    pfx_str text = {0};
    pfx_formula *f = NULL;
    pfx_str_addf(&text, PFX_EVENT_ON " ~ %s", right);
    pfx_status st = text.failed ? pfx_fail(err, PFX_ENOMEM, "out of memory for the formula")
                                : pfx_formula_parse(text.s, &f, err);
    pfx_str_free(&text);
    if (st != PFX_OK) return st;
    pfx_model_spec *both = pfx_mem_realloc(r->formula->models, 2, sizeof *both, err);
    if (both) {
        both[1] = f->models[0];
        r->formula->models = both;
        r->formula->n_models = 2;
        f->n_models = 0;
    }
    pfx_formula_free(f);
    return both ? PFX_OK : PFX_ENOMEM;
}

/* The user's formula, checked, with the cells as its first term, and unit and time as effects where it has
 * none. */
static pfx_status make_formula(event_run *r, const char *text, pfx_err *err)
{
    const pfx_panel_spec *panel = pfx_panel_structure(r->panel);
    pfx_status st = pfx_formula_parse(text, &r->formula, err);
    if (st != PFX_OK) return st;
    const pfx_model_spec *m = r->formula->models;
    if (r->formula->n_models != 1)
        return pfx_fail(err, PFX_EUSAGE, "%s: event takes one model, this formula has %d", text,
                        r->formula->n_models);
    if (m->n_endogenous) return pfx_fail(err, PFX_EUSAGE, "%s: an event study has no instruments", text);
    if (r->o.method == PFX_EVENT_CS) {
        if (m->n_absorbed)
            return pfx_fail(
                err, PFX_EUSAGE,
                "%s: --method cs compares changes of units and absorbs no effects; leave them out", text);
        return add_where(r, err);
    }
    const char *tilde = strchr(text, '~');
    pfx_str_addn(&r->formula_text, text, (size_t)(tilde + 1 - text));
    pfx_str_add(&r->formula_text, " i(" PFX_EVENT_CELL ", ref = 0)");
    tilde += 1 + strspn(tilde + 1, " \t\n");
    pfx_str_addf(&r->formula_text, "%s%s", *tilde == '-' ? " " : " + ", tilde);
    if (m->n_absorbed == 0) {
        pfx_str_add(&r->formula_text, " | ");
        add_name(&r->formula_text, panel->unit);
        pfx_str_add(&r->formula_text, " + ");
        add_name(&r->formula_text, panel->time);
    }
    pfx_formula_free(r->formula);
    r->formula = NULL;
    st = add_where(r, err);
    if (st != PFX_OK) return st;
    if (r->formula_text.failed) return pfx_fail(err, PFX_ENOMEM, "out of memory for the formula");
    st = pfx_formula_parse(r->formula_text.s, &r->formula, err);
    if (st != PFX_OK || r->o.method != PFX_EVENT_TWFE || r->o.fit.weights) return st;
    const char *effects = strstr(r->formula_text.s, " | ");
    pfx_str right = {0};
    pfx_str_add(&right, tilde);
    if (!strchr(tilde, '|') && effects) pfx_str_add(&right, effects);
    st = right.failed ? pfx_fail(err, PFX_ENOMEM, "out of memory for the formula")
                      : add_weights_model(r, right.s, err);
    pfx_str_free(&right);
    return st;
}

static pfx_status read_timing(event_run *r, pfx_err *err)
{
    const pfx_panel_spec *spec = pfx_panel_structure(r->panel);
    const char *variable = r->o.cohort ? r->o.cohort : r->o.treatment;
    const char *names[2] = {variable, spec->unit};
    const pfx_panel_source_options so = {.nth = (int)r->o.fit.common.threads};
    pfx_row_source source = {0};
    if (!spec->unit || !spec->unit[0] || !spec->time || !spec->time[0])
        return pfx_fail(err, PFX_EUSAGE, "%s has no unit or no time: import it with --unit and --time",
                        pfx_panel_path(r->panel));
    pfx_status st =
        pfx_panel_source(r->panel, strcmp(variable, spec->unit) ? 2 : 1, names, &so, &source, err);
    if (st != PFX_OK) return st;
    st = pfx_event_timing_read(&source, variable, r->o.cohort != NULL, r->o.allow_reversal, &r->timing, err);
    source.close(source.ctx);
    return st;
}

static pfx_dataset_options dataset_options(const event_run *r)
{
    return (pfx_dataset_options){
        .where = r->where.s,
        .weights = r->o.fit.weights,
        .weights_kind =
            r->o.fit.weights ? (pfx_weights_kind)(PFX_W_ANALYTIC + r->o.fit.weights_kind) : PFX_W_NONE,
        .n_clusters = r->vcov.n_clusters,
        .clusters = r->vcov.clusters,
        .keep_singletons = r->o.fit.keep_singletons || r->o.method == PFX_EVENT_CS,
        .want_rows = true,
        .want_time = true,
        .nth = (int)r->o.fit.common.threads};
}

/* Everything lies in memory: a column for each cell. */
static pfx_status check_memory(const event_run *r, int n_cols, pfx_err *err)
{
    bool cs = r->o.method == PFX_EVENT_CS;
    double cells = cs ? (double)r->timing.n_cohorts * (r->plan.high - r->plan.low + 1)
                      : pfx_event_n_cells(&r->plan),
           rows = (double)pfx_panel_n_rows(r->panel);
    double bytes = rows * 8 * ((cs ? 4 : cells) + n_cols + 6) + 64 * cells * cells;
    if (bytes <= (double)r->o.fit.common.memory) return PFX_OK;
    return pfx_fail(
        err, PFX_ENOMEM,
        "%.0f rows and %.0f cells of event time need about %.0f MiB and --memory allows %.0f MiB; give more, "
        "or bin event times with --window",
        rows, cells, bytes / 1048576.0, (double)r->o.fit.common.memory / 1048576.0);
}

/* Names of the columns to be read: those of the formula that the panel has. */
static pfx_status read_rows(event_run *r, const pfx_dataset_options *d, int n, char **names, pfx_err *err)
{
    const pfx_panel_source_options so = {.nth = d->nth};
    pfx_row_source source = {0};
    pfx_watch watch;
    int n_own = 0;
    pfx_status st = check_memory(r, n, err);
    const char **own = st ? NULL : pfx_mem_alloc(n + 1, sizeof *own, err);
    if (!own) return st ? st : PFX_ENOMEM;
    for (int i = 0; i < n; i++)
        if (strncmp(names[i], "_event_", 7)) own[n_own++] = names[i];
    st = pfx_panel_source(r->panel, n_own, own, &so, &source, err);
    if (st == PFX_OK) st = pfx_event_source(&r->plan, source, &source, err);
    if (st == PFX_OK) {
        source = pfx_watch_source(&watch, source);
        st = pfx_dataset_load(&source, r->formula, d, &r->data, err);
        source.close(source.ctx);
    }
    pfx_mem_free(own);
    return st;
}

static pfx_status load(event_run *r, pfx_err *err)
{
    const pfx_dataset_options d = dataset_options(r);
    int n = 0, n_cols = pfx_panel_n_cols(r->panel);
    char **names = NULL;
    pfx_col_spec *available = pfx_mem_alloc(n_cols + PFX_EVENT_COLS, sizeof *available, err);
    if (!available) return PFX_ENOMEM;
    memcpy(available, pfx_panel_cols(r->panel), (size_t)n_cols * sizeof *available);
    memcpy(available + n_cols, pfx_event_cols, sizeof pfx_event_cols);
    pfx_status st = pfx_dataset_columns(r->formula, &d, pfx_panel_structure(r->panel),
                                        n_cols + PFX_EVENT_COLS, available, &n, &names, err);
    if (st == PFX_OK) st = read_rows(r, &d, n, names, err);
    pfx_dataset_free_names(n, names);
    pfx_mem_free(available);
    return st;
}

static pfx_status estimate_cs(event_run *r, const pfx_design *design, pfx_err *err)
{
    const event_options *o = &r->o;
    if (r->vcov.n_clusters > 1)
        return pfx_fail(err, PFX_EUSAGE, "--method cs clusters by one variable; %s is the second",
                        r->vcov.clusters[1]);
    r->n_obs = design->n;
    r->n_missing = design->n_missing;
    r->cs_options = (pfx_cs_options){.score = (pfx_cs_score)o->score,
                                     .control = (pfx_cs_control)o->control,
                                     .base = (pfx_cs_base)o->base,
                                     .balanced = o->balanced,
                                     .windowed = r->windowed,
                                     .low = (int)r->low,
                                     .high = (int)r->high,
                                     .level = o->fit.level,
                                     .nth = (int)o->fit.common.threads,
                                     .isa = (pfx_isa)o->fit.common.isa};
    return pfx_cs_fit(&r->timing, design, &r->cs_options, &r->cs, err);
}

static pfx_status estimate(event_run *r, pfx_err *err)
{
    const fit_options *o = &r->o.fit;
    const pfx_fit_options fo = {.vcov = r->vcov.type,
                                .ssc = (pfx_ssc)o->ssc,
                                .level = o->level,
                                .tol = o->tol,
                                .maxiter = (int)o->maxiter,
                                .nth = (int)o->common.threads,
                                .isa = (pfx_isa)o->common.isa};
    pfx_design *design = NULL;
    double t0 = pfx_wall_s();
    bool weights = r->formula->n_models == 2;
    pfx_status st = pfx_dataset_design(r->data, 0, 0, !weights, &design, err);
    if (st == PFX_OK && r->o.method == PFX_EVENT_CS)
        st = estimate_cs(r, design, err);
    else if (st == PFX_OK)
        st = pfx_event_fit(&r->plan, design, &fo, &r->result, err);
    pfx_design_free(design);
    design = NULL;
    if (st == PFX_OK && weights) st = pfx_dataset_design(r->data, 1, 0, true, &design, err);
    if (st == PFX_OK && weights) st = pfx_twfe_weights_of(design, &fo, &r->weights, err);
    pfx_design_free(design);
    r->compute_s = pfx_wall_s() - t0;
    return st;
}

static pfx_status report(const event_run *r, const char *formula, pfx_err *err)
{
    const fit_options *o = &r->o.fit;
    bool cs = r->o.method == PFX_EVENT_CS;
    const pfx_event_report e = {.formula = formula,
                                .outcome = r->formula->models[0].outcome_text,
                                .variable = r->o.cohort ? r->o.cohort : r->o.treatment,
                                .is_cohort = r->o.cohort != NULL,
                                .result = cs ? NULL : &r->result,
                                .cs = cs ? &r->cs : NULL,
                                .cs_options = &r->cs_options,
                                .weights = r->weights.n_positive ? &r->weights : NULL,
                                .timing = &r->timing,
                                .cluster = r->vcov.n_clusters ? r->vcov.clusters[0] : NULL,
                                .n_obs = r->n_obs,
                                .n_missing = r->n_missing,
                                .aggregate = (pfx_event_aggregate)r->o.aggregate,
                                .level = o->level,
                                .synthetic = pfx_is_synthetic(r->panel),
                                .read_s = r->read_s,
                                .compute_s = r->compute_s,
                                .total_s = pfx_run_s(),
                                .threads = (int)o->common.threads,
                                .peak_memory_bytes = pfx_peak_rss()};
    bool to_stdout = !o->output || strcmp(o->output, "-") == 0;
    pfx_str text = {0};
    pfx_status st = pfx_event_render(&e, pfx_format_choose(o->format, o->output),
                                     to_stdout ? pfx_table_terminal_width() : 0, &text, err);
    if (st == PFX_OK) st = pfx_file_write_text(o->output, text.s, text.len, o->common.force, err);
    pfx_str_free(&text);
    return st;
}

static pfx_status run(event_run *r, const char *const *pos, pfx_err *err)
{
    pfx_status st = check_options(r, pos[0], err);
    double t0 = pfx_wall_s();
    if (st || (st = pfx_panel_open(pos[0], &r->panel, err))) return st;
    if ((st = fit_choose_vcov(&r->o.fit, pfx_panel_structure(r->panel), &r->vcov, err)) ||
        (st = read_timing(r, err)) ||
        (st = pfx_event_plan_make(&r->timing, (pfx_event_method)r->o.method, r->windowed, (int)r->low,
                                  (int)r->high, (int)r->o.ref, &r->plan, err)) ||
        (st = make_formula(r, pos[1], err)) || (st = load(r, err)))
        return st;
    r->read_s = pfx_wall_s() - t0;
    return (st = estimate(r, err)) ? st : report(r, pos[1], err);
}

static pfx_status event_command(int argc, char **argv, pfx_err *err)
{
    event_run r = {.o = {.fit = fit_defaults(), .ref = -1, .method = PFX_EVENT_SUNAB}};
    const char *pos[2];
    int n_pos = 0;
    pfx_status st = pfx_opt_parse(&pfx_cmd_event, argc, argv, &r.o, 2, 2, pos, &n_pos, err);
    if (st || r.o.fit.common.help) return st;
    st = run(&r, pos, err);
    event_run_free(&r);
    return st;
}

const pfx_command pfx_cmd_event = {"event",
                                   "PANEL.h5 FORMULA --treatment V",
                                   "effects by event time of a treatment that begins in different periods",
                                   event_table,
                                   event_command,
                                   NULL};
