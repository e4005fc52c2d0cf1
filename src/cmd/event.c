/* The event command: when units are treated, a design with cells of event time, effects and their report. */
#include <string.h>

#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cmd/commands.h"
#include "src/cmd/event_private.h"
#include "src/cmd/provenance.h"
#include "src/cmd/watch.h"
#include "src/model/design.h"
#include "src/report/event.h"

static void event_run_free(event_run *r)
{
    pfx_event_result_clear(&r->result);
    pfx_cs_result_clear(&r->cs);
    pfx_impute_result_clear(&r->impute);
    pfx_bacon_result_clear(&r->bacon);
    pfx_mem_free(r->sensitivity.interval);
    pfx_dataset_free(r->data);
    pfx_event_timing_clear(&r->timing);
    pfx_formula_free(r->formula);
    pfx_str_free(&r->formula_text);
    pfx_str_free(&r->where);
    pfx_panel_close(r->panel);
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
    bool effects = r->o.method == PFX_EVENT_TWFE || r->o.method == PFX_EVENT_SUNAB;
    int bins = r->plan.high - r->plan.low + 1;
    double cells = effects                               ? pfx_event_n_cells(&r->plan)
                   : r->o.method == PFX_EVENT_CS         ? (double)r->timing.n_cohorts * bins
                   : r->o.method == PFX_EVENT_IMPUTATION ? bins
                                                         : 1,
           rows = (double)pfx_panel_n_rows(r->panel);
    double bytes =
        rows * 8 *
            ((r->o.method == PFX_EVENT_CS ? 4 : cells) * (r->o.method == PFX_EVENT_IMPUTATION ? 2 : 1) +
             n_cols + 6) +
        64 * cells * cells;
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

static pfx_status estimate_one(event_run *r, pfx_design *design, const pfx_fit_options *fo, pfx_err *err)
{
    const pfx_impute_options io = {.fit = *fo, .leave_out = r->o.leave_out};
    pfx_event_method method = (pfx_event_method)r->o.method;
    r->n_obs = design->n;
    r->n_missing = design->n_missing;
    r->n_singletons = design->n_singletons;
    if ((method == PFX_EVENT_CS || method == PFX_EVENT_IMPUTATION) && r->vcov.n_clusters > 1)
        return pfx_fail(err, PFX_EUSAGE, "--method %s clusters by one variable; %s is the second",
                        pfx_event_method_names[method], r->vcov.clusters[1]);
    switch (method) {
    case PFX_EVENT_CS:
        return estimate_cs(r, design, err);
    case PFX_EVENT_IMPUTATION:
        return pfx_impute_fit(&r->plan, design, &io, &r->impute, err);
    case PFX_EVENT_BACON:
        return pfx_bacon_fit(design, r->o.balanced, fo, &r->bacon, err);
    default:
        return pfx_event_fit(&r->plan, design, fo, &r->result, err);
    }
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
    if (st == PFX_OK) st = estimate_one(r, design, &fo, err);
    pfx_design_free(design);
    design = NULL;
    if (st == PFX_OK && weights) st = pfx_dataset_design(r->data, 1, 0, true, &design, err);
    if (st == PFX_OK && weights) st = pfx_twfe_weights_of(design, &fo, &r->weights, err);
    pfx_design_free(design);
    if (st == PFX_OK) st = event_find_sensitivity(r, err);
    r->compute_s = pfx_wall_s() - t0;
    return st;
}

static pfx_status report(const event_run *r, const char *formula, pfx_err *err)
{
    const fit_options *o = &r->o.fit;
    pfx_event_method m = (pfx_event_method)r->o.method;
    const pfx_event_report e = {.formula = formula,
                                .outcome = r->formula->models[0].outcome_text,
                                .variable = r->o.cohort ? r->o.cohort : r->o.treatment,
                                .is_cohort = r->o.cohort != NULL,
                                .result = r->result.plan ? &r->result : NULL,
                                .cs = m == PFX_EVENT_CS ? &r->cs : NULL,
                                .impute = m == PFX_EVENT_IMPUTATION ? &r->impute : NULL,
                                .bacon = m == PFX_EVENT_BACON ? &r->bacon : NULL,
                                .leave_out = r->o.leave_out,
                                .sensitivity = r->sensitivity.n ? &r->sensitivity : NULL,
                                .cs_options = &r->cs_options,
                                .weights = r->weights.n_positive ? &r->weights : NULL,
                                .timing = &r->timing,
                                .cluster = r->vcov.n_clusters ? r->vcov.clusters[0] : NULL,
                                .n_obs = r->n_obs,
                                .n_missing = r->n_missing,
                                .n_singletons = r->n_singletons,
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
    return st ? st : event_plot(r, err);
}

static pfx_status run(event_run *r, const char *const *pos, pfx_err *err)
{
    pfx_status st = event_check_options(r, pos[0], err);
    double t0 = pfx_wall_s();
    if (st || (st = pfx_panel_open(pos[0], &r->panel, err))) return st;
    if ((st = fit_choose_vcov(&r->o.fit, pfx_panel_structure(r->panel), &r->vcov, err)) ||
        (st = read_timing(r, err)) ||
        (st = pfx_event_plan_make(&r->timing, (pfx_event_method)r->o.method, r->windowed, (int)r->low,
                                  (int)r->high, (int)r->o.ref, &r->plan, err)) ||
        (st = event_make_formula(r, pos[1], err)) || (st = load(r, err)))
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
