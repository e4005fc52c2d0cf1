/* The fit command: read a panel once, fit every model of the formulas at every level of --by, report. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/base/version.h"
#include "src/cmd/commands.h"
#include "src/cmd/fit_private.h"
#include "src/cmd/watch.h"
#include "src/est/compare.h"
#include "src/rep/cluster_vcov.h"
#include "src/report/json.h"
#include "src/report/regression.h"

/* A run of the command, from the parsed options to the fitted models. */
typedef struct fit_run {
    fit_options o;
    pfx_format format;
    fit_vcov vcov;
    fit_save save;
    pfx_formula *formula; /* the models of all formulas */
    pfx_panel *panel;
    pfx_dataset *data;
    int n_fits, cap_fits;
    pfx_fit **fits;
    int n_compared;
    pfx_comparison **compared; /* [models] */
    bool synthetic;
    bool warned_staggered;
    bool streamed; /* rows stay in the panel */
    fit_stream stream;
    int n_names;
    char **names; /* columns that are read */
    int passes;   /* over the rows */
    double read_s, compute_s;
} fit_run;

static void fit_run_free(fit_run *r)
{
    for (int i = 0; i < r->n_fits; i++) pfx_fit_free(r->fits[i]);
    pfx_mem_free(r->fits);
    for (int i = 0; i < r->n_compared; i++) pfx_comparison_free(r->compared[i]);
    pfx_mem_free(r->compared);
    pfx_dataset_free(r->data);
    fit_stream_close(&r->stream); /* its design reads the formula */
    pfx_formula_free(r->formula);
    pfx_dataset_free_names(r->n_names, r->names);
    pfx_panel_close(r->panel);
}

/* Parse the formulas and hand all their models to the first, so that they share one load. */
static pfx_status parse_formulas(fit_run *r, int n, const char *const *texts, pfx_err *err)
{
    for (int i = 0; i < n; i++) {
        pfx_formula *f = NULL;
        pfx_status st = pfx_formula_parse(texts[i], &f, err);
        if (st) return st;
        if (!r->formula) {
            r->formula = f;
            continue;
        }
        pfx_formula *all = r->formula;
        pfx_model_spec *models =
            pfx_mem_realloc(all->models, all->n_models + f->n_models, sizeof *models, err);
        if (!models) {
            pfx_formula_free(f);
            return PFX_ENOMEM;
        }
        memcpy(models + all->n_models, f->models, (size_t)f->n_models * sizeof *models);
        all->models = models;
        all->n_models += f->n_models;
        f->n_models = 0;
        pfx_formula_free(f);
    }
    return PFX_OK;
}

/* Refuse an output that cannot be written before the work, not after it. */
static pfx_status check_output(const fit_options *o, pfx_err *err)
{
    pfx_out out;
    if (!o->output || strcmp(o->output, "-") == 0 || o->save.n) return PFX_OK;
    pfx_status st = pfx_out_begin(&out, o->output, o->common.force, err);
    if (st == PFX_OK) pfx_out_abort(&out);
    return st;
}

static pfx_dataset_options dataset_options(const fit_run *r)
{
    return (pfx_dataset_options){
        .where = r->o.where,
        .weights = r->o.weights,
        .weights_kind = r->o.weights ? (pfx_weights_kind)(PFX_W_ANALYTIC + r->o.weights_kind) : PFX_W_NONE,
        .by = r->o.by,
        .n_clusters = r->vcov.n_clusters,
        .clusters = r->vcov.clusters,
        .keep_singletons = r->o.keep_singletons,
        .want_rows = r->save.resid || r->save.fitted || r->save.effects || pfx_vcov_leaves_out(r->vcov.type),
        .want_origin = r->o.compare,
        .want_time = pfx_vcov_is_hac(r->vcov.type),
        .nth = (int)r->o.common.threads,
    };
}

static void note_provenance(fit_run *r)
{
    const char *key, *value;
    for (int i = 0; pfx_panel_provenance(r->panel, i, &key, &value); i++)
        if (strcmp(key, "synthetic") == 0 && strcmp(value, "no") != 0) r->synthetic = true;
}

/* The --estimate answer. */
static pfx_status print_need(fit_need need, bool streamed, pfx_err *err)
{
    char text[160];
    int n = snprintf(text, sizeof text, "memory %.1f MiB, time %.2f s%s\n", need.bytes / 1048576.0,
                     need.seconds, streamed ? ", streamed" : "");
    return pfx_file_write_text(NULL, text, (size_t)n, false, err);
}

/* The rows do not fit into memory: leave them in the panel. Turns need into what that takes. */
static pfx_status plan_stream(fit_run *r, const pfx_dataset_options *d, fit_need *need, pfx_err *err)
{
    size_t memory = r->o.common.memory;
    r->stream = (fit_stream){.panel = r->panel,
                             .formula = r->formula,
                             .data = *d,
                             .memory = memory,
                             .in_memory = need->bytes,
                             .leaves_out = pfx_vcov_leaves_out(r->vcov.type)};
    r->streamed = true;
    pfx_status st = fit_predict_stream(&r->stream, need, err);
    if (st) return st;
    if (!r->o.estimate && need->bytes > (double)memory)
        return pfx_fail(err, PFX_ENOMEM,
                        "%s: a streamed fit needs about %.0f MiB and --memory allows %.0f MiB; give more, or "
                        "fewer --threads",
                        pfx_panel_path(r->panel), need->bytes / 1048576.0, (double)memory / 1048576.0);
    if (!r->o.estimate)
        pfx_note("the rows would need %.0f MiB, --memory allows %.0f MiB: streamed from the panel",
                 r->stream.in_memory / 1048576.0, (double)memory / 1048576.0);
    return PFX_OK;
}

static pfx_status keep_fit(fit_run *r, pfx_fit *fit, pfx_err *err)
{
    if (r->n_fits == r->cap_fits) {
        int cap = r->cap_fits ? 2 * r->cap_fits : 16;
        pfx_fit **fits = pfx_mem_realloc(r->fits, cap, sizeof *fits, err);
        if (!fits) {
            pfx_fit_free(fit);
            return PFX_ENOMEM;
        }
        r->fits = fits;
        r->cap_fits = cap;
    }
    r->fits[r->n_fits++] = fit;
    return PFX_OK;
}

static pfx_status fit_one(fit_run *r, const pfx_fit_options *o, int m, pfx_idx by, bool last, pfx_err *err)
{
    pfx_design *design = NULL;
    pfx_fit *fit = NULL;
    if (r->streamed) {
        int passes = 0;
        pfx_status failed = fit_stream_model(&r->stream, m, by, o, &fit, &passes, err);
        r->passes += passes;
        return failed ? failed : keep_fit(r, fit, err);
    }
    pfx_status st = pfx_dataset_design(r->data, m, by, last, &design, err);
    if (st == PFX_OK) st = pfx_fit_model(design, o, &fit, err);
    if (st == PFX_OK) st = fit_warn_switching(design, fit, err);
    if (st == PFX_OK)
        st =
            fit_warn_staggered(design, fit, pfx_panel_structure(r->panel), &r->warned_staggered, o->nth, err);
    pfx_design_free(design);
    return st ? st : keep_fit(r, fit, err);
}

static pfx_status compare_model(fit_run *r, const pfx_fit_options *o, int m, int first, pfx_err *err)
{
    pfx_comparison *c = NULL;
    const fit_permutations p = {r->o.permutations == FIT_UNSET ? FIT_PERMUTATIONS : r->o.permutations,
                                r->o.seed == FIT_UNSET ? 1 : (uint64_t)r->o.seed};
    pfx_status st = fit_compare_model(r->data, m, r->n_fits - first, r->fits + first, o, &p, &c, err);
    if (c) r->compared[r->n_compared++] = c;
    return st;
}

/* Every model at every level. A level of --by without a regression in it is left out with a warning; it is an
 * error where no level has one. */
static pfx_status fit_all(fit_run *r, pfx_err *err)
{
    const pfx_fit_options o = {
        .vcov = r->vcov.type,
        .ssc = (pfx_ssc)r->o.ssc,
        .level = r->o.level,
        .tol = r->o.tol,
        .maxiter = (int)r->o.maxiter,
        .nth = (int)r->o.common.threads,
        .isa = (pfx_isa)r->o.common.isa,
        .save = r->save.resid || r->save.fitted || r->save.effects,
        .cluster_vcov = pfx_cluster_vcov,
        .max_bytes = (double)r->o.common.memory,
        .fixed_lag = r->vcov.fixed_lag,
        .lag = r->vcov.lag,
        .n_tests = r->o.tests.n,
        .tests = r->o.tests.v,
    };
    pfx_idx n_by = r->streamed ? 1 : pfx_dataset_n_by(r->data), left_out = 0;
    pfx_status counted = r->streamed ? fit_stream_n_by(&r->stream, 0, &n_by, err) : PFX_OK;
    double t0 = pfx_wall_s();

    if (r->o.compare && r->streamed)
        return pfx_fail(err, PFX_ENOMEM, "--compare needs all rows in memory; give more --memory");
    if (counted) return counted;
    if (!(r->compared = pfx_mem_calloc(r->formula->n_models, sizeof(pfx_comparison *), err)))
        return PFX_ENOMEM;
    for (int m = 0; m < r->formula->n_models; m++) {
        int first = r->n_fits;
        for (pfx_idx by = 0; by < n_by; by++) {
            bool last = m == r->formula->n_models - 1 && by == n_by - 1;
            bool keep = r->o.compare; /* the rows are needed once more */
            pfx_err one = {0};
            pfx_status st = fit_one(r, &o, m, by, last && !keep, &one);
            if ((st == PFX_EDATA || st == PFX_EIDENT) && r->o.by && !(last && r->n_fits == 0)) {
                pfx_warn("left out: %s", one.msg);
                left_out++;
            } else if (st) {
                return pfx_fail(err, st, "%s", one.msg);
            }
        }
        pfx_status st = r->o.compare ? compare_model(r, &o, m, first, err) : PFX_OK;
        if (st) return st;
    }
    if (left_out)
        pfx_note("%lld of %lld fits left out", (long long)left_out, (long long)(n_by * r->formula->n_models));
    r->compute_s += pfx_wall_s() - t0;
    return PFX_OK;
}

/* Rows to memory; first_rows: of the panel that are read, 0: all. */
static pfx_status read_rows(fit_run *r, const pfx_dataset_options *d, pfx_idx first_rows, pfx_err *err)
{
    pfx_row_source source = {0};
    pfx_first_rows first;
    pfx_watch watch;
    double t0 = pfx_wall_s();
    const pfx_panel_source_options so = {.nth = (int)r->o.common.threads};
    pfx_status st = pfx_panel_source(r->panel, r->n_names, (const char *const *)r->names, &so, &source, err);
    if (st) return st;
    if (first_rows) source = pfx_first_rows_source(&first, first_rows, source);
    source = pfx_watch_source(&watch, source);
    st = pfx_dataset_load(&source, r->formula, d, &r->data, err);
    r->read_s += pfx_wall_s() - t0;
    source.close(source.ctx);
    return st;
}

/* The fit of the panel's first rows: a trial. */
static pfx_status fit_first_rows(void *ctx, pfx_idx rows, pfx_err *err)
{
    fit_run *r = ctx;
    const pfx_dataset_options d = dataset_options(r);
    r->stream.first_rows = rows;
    pfx_status st = r->streamed ? PFX_OK : read_rows(r, &d, rows, err);
    return st ? st : fit_all(r, err);
}

/* Read what the models need; with --estimate, tell what that takes instead. */
static pfx_status load(fit_run *r, pfx_err *err)
{
    const pfx_dataset_options d = dataset_options(r);
    pfx_status st =
        pfx_dataset_columns(r->formula, &d, pfx_panel_structure(r->panel), pfx_panel_n_cols(r->panel),
                            pfx_panel_cols(r->panel), &r->n_names, &r->names, err);
    if (st) return st;
    fit_need need = fit_predict(r->panel, r->n_names, r->formula, &r->o);
    if (pfx_vcov_leaves_out(r->vcov.type)) /* its statistics are summed from a copy of the design */
        need.bytes += 8.0 * (double)pfx_panel_n_rows(r->panel) * (r->n_names + 1);
    double seconds = need.seconds;
    if (need.bytes > (double)r->o.common.memory && (st = plan_stream(r, &d, &need, err))) return st;
    if (r->o.estimate) {
        if (fit_can_try(r->panel, seconds))
            (void)fit_probe(pfx_panel_n_rows(r->panel), fit_first_rows, r, &need);
        if (r->save.resid || r->save.fitted) need.seconds += fit_save_seconds(r->panel, r->formula, &r->save);
        return print_need(need, r->streamed, err);
    }
    return r->streamed ? PFX_OK : read_rows(r, &d, 0, err);
}

static pfx_status render_json(const fit_run *r, pfx_str *out, pfx_err *err)
{
    const pfx_json_run run = {
        .command = "fit",
        .panel = pfx_panel_path(r->panel),
        .synthetic = r->synthetic,
        .read_s = r->read_s,
        .compute_s = r->compute_s,
        .total_s = pfx_run_s(),
        .streamed = r->streamed,
        .passes = r->streamed ? r->passes : 1,
        .n_comparisons = r->n_compared,
        .comparisons = r->compared,
        .threads = (int)r->o.common.threads,
        .peak_memory_bytes = pfx_peak_rss(),
    };
    return pfx_json_fits(r->n_fits, r->fits, &run, out, err);
}

/* Notes below the table: comparisons, and that the data are not real. [*n] notes, which live in text
 * [n_text]. */
static pfx_status collect_notes(const fit_run *r, int *n, const char ***notes, int *n_text, pfx_str **text,
                                pfx_err *err)
{
    pfx_status st = PFX_OK;
    int most = 1;
    for (int i = 0; i < r->n_compared; i++) most += r->compared[i]->n_terms + 1;
    *n_text = most;
    if (!(*notes = pfx_mem_calloc(most, sizeof **notes, err)) ||
        !(*text = pfx_mem_calloc(most, sizeof **text, err)))
        return PFX_ENOMEM;
    for (int i = 0; i < r->n_compared && st == PFX_OK; i++)
        st = fit_compare_notes(r->compared[i], n, *notes, *text, err);
    if (r->synthetic) (*notes)[(*n)++] = "Synthetic panel: the data were simulated, not observed.";
    return st;
}

static pfx_status report(const fit_run *r, pfx_err *err)
{
    const char **notes = NULL;
    pfx_str *text = NULL;
    int n_notes = 0, n_text = 0;
    pfx_status st = collect_notes(r, &n_notes, &notes, &n_text, &text, err);
    if (st != PFX_OK) goto done;
    const char *output = r->o.save.n ? NULL : r->o.output;
    bool to_stdout = !output || strcmp(output, "-") == 0;
    const pfx_regression_options o = {
        .brackets = (pfx_brackets)r->o.brackets,
        .digits = (int)r->o.digits,
        .width = to_stdout ? pfx_table_terminal_width() : 0,
        .title = r->o.title,
        .n_notes = n_notes,
        .notes = notes,
    };
    pfx_str out = {0};
    st = r->format == PFX_FORMAT_JSON ? render_json(r, &out, err)
                                      : pfx_regression_render(r->n_fits, r->fits, &o, r->format, &out, err);
    if (st == PFX_OK) st = pfx_file_write_text(output, out.s, out.len, r->o.common.force, err);
    pfx_str_free(&out);
done:
    for (int i = 0; text && i < n_text; i++) pfx_str_free(&text[i]);
    pfx_mem_free(text);
    pfx_mem_free(notes);
    return st;
}

static pfx_status fit_run_command(int argc, char **argv, pfx_err *err)
{
    fit_run r = {.o = fit_defaults()};
    const char *pos[1 + FIT_MAX_FORMULAS];
    int n_pos = 0;
    pfx_status st = pfx_opt_parse(&pfx_cmd_fit, argc, argv, &r.o, 2, 1 + FIT_MAX_FORMULAS, pos, &n_pos, err);

    if (st || r.o.common.help) return st;
    r.format = pfx_format_choose(r.o.format, r.o.save.n ? NULL : r.o.output);
    if (strchr(pos[0], '~') && access(pos[0], F_OK) != 0)
        st = pfx_fail(err, PFX_EUSAGE, "%s is a formula; the panel comes first: panelfx fit PANEL.h5 FORMULA",
                      pos[0]);
    if (st || (st = fit_check_options(&r.o, err))) goto done;
    if ((st = pfx_out_spare(r.o.output, pos[0], err))) goto done;
    if ((st = fit_save_plan(&r.o, &r.save, err))) goto done;
    if ((st = check_output(&r.o, err))) goto done;
    if ((st = parse_formulas(&r, n_pos - 1, pos + 1, err))) goto done;
    double t0 = pfx_wall_s();
    if ((st = pfx_panel_open(pos[0], &r.panel, err))) goto done;
    r.read_s = pfx_wall_s() - t0;
    note_provenance(&r);
    if ((st = fit_choose_vcov(&r.o, pfx_panel_structure(r.panel), &r.vcov, err))) goto done;
    if ((st = load(&r, err)) || r.o.estimate) goto done;
    if ((st = fit_all(&r, err))) goto done;
    fit_stream_close(&r.stream); /* one reader of the panel at a time */
    /* The table first: where it cannot be printed no file is left. */
    if ((st = report(&r, err))) goto done;
    st = fit_save_write(&r.save, r.panel, r.n_fits, r.fits, r.o.common.force, err);
done:
    fit_run_free(&r);
    return st;
}

const pfx_command pfx_cmd_fit = {
    "fit",     "PANEL.h5 FORMULA...", "least squares with absorbed fixed effects",
    fit_table, fit_run_command,       NULL};
