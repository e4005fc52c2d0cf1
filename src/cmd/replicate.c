/* From a panel to what draws are made of: formula, panel, rows, full-sample fit, cluster statistics; and the
 * report. */
#include "src/cmd/replicate.h"

#include <string.h>

#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cmd/provenance.h"
#include "src/cmd/watch.h"

/* Of --memory, what the statistics may take. */
static const double STAT_SHARE = 0.5;

void rep_free(rep_run *r)
{
    rep_output_end(r);
    if (r->method && r->method->release) r->method->release(r->state);
    pfx_clusterstat_free(r->stat);
    pfx_fit_free(r->fit);
    pfx_dataset_free(r->data);
    pfx_formula_free(r->formula);
    pfx_dataset_free_names(r->n_names, r->names);
    pfx_panel_close(r->panel);
    pfx_str_free(&r->spec);
    pfx_mem_free(r->output);
    pfx_mem_free(r->fit_json);
    *r = (rep_run){0};
}

static pfx_status parse_formula(rep_run *r, const char *text, pfx_err *err)
{
    pfx_status st = pfx_formula_parse(text, &r->formula, err);
    if (st != PFX_OK) return st;
    if ((st = rep_family_parse(r, err)) != PFX_OK) return st;
    if (r->formula->n_models != 1 && !r->method->family)
        return pfx_fail(err, PFX_EUSAGE, "%s: %s%s%s takes one model, not %d", text, r->method->command,
                        r->method->name ? " by " : "", r->method->name ? r->method->name : "", r->formula->n_models);
    for (int m = 0; m < r->formula->n_models; m++)
        if (r->formula->models[m].n_endogenous && !r->method->instruments)
            return pfx_fail(err, PFX_EUSAGE,
                            "%s: %s%s%s takes no instruments in this version; leave them out of the formula",
                            r->formula->models[m].text, r->method->command, r->method->name ? " by " : "",
                            r->method->name ? r->method->name : "");
    return r->formula->n_models > 1 ? rep_family_begin(r, err) : PFX_OK;
}

/* What the draws depend on besides the data, a line each. */
static pfx_status describe(rep_run *r, pfx_err *err)
{
    const rep_options *o = r->o;
    pfx_str *s = &r->spec;
    pfx_str_addf(s, "command=%s\nmethod=%s\n", r->method->command, r->method->name ? r->method->name : "");
    for (int m = 0; m < r->formula->n_models; m++)
        pfx_str_addf(s, "formula=%s\n", r->formula->models[m].text);
    if (o->where) pfx_str_addf(s, "where=%s\n", o->where);
    if (o->weights) pfx_str_addf(s, "weights=%s\nweights-kind=%d\n", o->weights, o->weights_kind);
    for (int c = 0; c < r->vcov.n_clusters; c++) pfx_str_addf(s, "cluster=%s\n", r->vcov.clusters[c]);
    for (int t = 0; t < r->n_terms; t++) pfx_str_addf(s, "term=%s\n", r->terms[t]);
    if (o->keep_singletons) pfx_str_add(s, "keep-singletons\n");
    pfx_str_addf(s, "reps=%lld\n", (long long)o->reps);
    pfx_str_addf(s, "tol=%.17g\nmaxiter=%lld\nssc=%d\n", o->tol, (long long)o->maxiter, o->ssc);
    if (o->decided != 0) pfx_str_addf(s, "stop-when-decided=%.17g\nnull=%.17g\n", o->decided, o->null);
    if (r->method->describe) r->method->describe(r, s);
    return s->failed ? pfx_fail(err, PFX_ENOMEM, "out of memory for the run's description") : PFX_OK;
}

static pfx_status digests(rep_run *r, pfx_err *err)
{
    pfx_sha256 *h = pfx_sha256_new();
    if (!h) return pfx_fail(err, PFX_ENOMEM, "out of memory for a checksum");
    pfx_sha256_add(h, r->spec.len, r->spec.s);
    pfx_sha256_hex(h, r->spec_digest);
    pfx_sha256_free(h);
    return pfx_panel_digest(r->panel, r->n_names, (const char *const *)r->names, r->panel_digest, err);
}

void rep_set_factor(rep_run *r, int k, const char *option, const char *name)
{
    r->factor[k] = name;
    r->factor_option[k] = option;
    r->dataset.clusters = r->factor;
    r->dataset.cluster_options = r->factor_option;
}

int rep_add_factor(rep_run *r, const char *option, const char *name)
{
    rep_set_factor(r, r->dataset.n_clusters, option, name);
    return r->dataset.n_clusters++;
}

pfx_status rep_open(rep_run *r, const char *panel, const char *formula, pfx_err *err)
{
    const rep_options *o = r->o;
    fit_options f = fit_defaults();
    pfx_status st = parse_formula(r, formula, err);
    if (st == PFX_OK) st = pfx_panel_open(panel, &r->panel, err);
    if (st != PFX_OK) return st;
    r->synthetic = pfx_is_synthetic(r->panel);
    r->matched = pfx_provenance_get(r->panel, "matched");
    f.cluster = o->cluster;
    if ((st = fit_choose_vcov(&f, pfx_panel_structure(r->panel), &r->vcov, err)) != PFX_OK) return st;
    r->dataset = (pfx_dataset_options){
        .where = o->where,
        .weights = o->weights,
        .weights_kind = o->weights ? (pfx_weights_kind)(PFX_W_ANALYTIC + o->weights_kind) : PFX_W_NONE,
        .n_clusters = r->vcov.n_clusters,
        .n_variance = r->vcov.n_clusters,
        .keep_singletons = o->keep_singletons,
        .nth = (int)o->common.threads,
    };
    for (int c = 0; c < r->vcov.n_clusters; c++) rep_set_factor(r, c, "--cluster", r->vcov.clusters[c]);
    if (r->method->open) st = r->method->open(r, err);
    if (st == PFX_OK)
        st = pfx_dataset_columns(r->formula, &r->dataset, pfx_panel_structure(r->panel),
                                 pfx_panel_n_cols(r->panel), pfx_panel_cols(r->panel), &r->n_names, &r->names,
                                 err);
    if (st == PFX_OK) st = describe(r, err);
    return st == PFX_OK ? digests(r, err) : st;
}

static pfx_status load_rows(rep_run *r, pfx_err *err)
{
    const pfx_panel_source_options so = {.nth = r->dataset.nth};
    pfx_row_source source = {0};
    pfx_watch watch;
    pfx_status st = pfx_panel_source(r->panel, r->n_names, (const char *const *)r->names, &so, &source, err);
    if (st != PFX_OK) return st;
    source = pfx_watch_source(&watch, source);
    st = pfx_dataset_load(&source, r->formula, &r->dataset, &r->data, err);
    source.close(source.ctx);
    return st;
}

pfx_status rep_make_stat(rep_run *r, const pfx_design *design, pfx_err *err)
{
    pfx_clusterstat_options co = {.n_terms = r->n_terms,
                                        .terms = r->terms,
                                        .n_collinear = r->fit->n_collinear,
                                        .collinear = (const char *const *)r->fit->collinear,
                                        .tol = r->o->tol,
                                        .maxiter = (int)r->o->maxiter,
                                        .nth = (int)r->o->common.threads,
                                        .isa = (pfx_isa)r->o->common.isa,
                                        .max_bytes = STAT_SHARE * (double)r->o->common.memory /
                                                     (r->n_specs ? r->n_specs : 1)};
    pfx_idx columns = 0;
    pfx_status st = r->method->refits ? pfx_clusterstat_columns(design, &co, &columns, err) : PFX_OK;
    co.absorb = columns > PFX_CLUSTERSTAT_REFIT;
    return st == PFX_OK ? pfx_clusterstat_create(design, &co, &r->stat, err) : st;
}

pfx_status rep_reduce_design(rep_run *r, pfx_design *design, pfx_err *err)
{
    const pfx_fit_options fo = {.vcov = r->vcov.type,
                                .ssc = (pfx_ssc)r->o->ssc,
                                .level = r->o->level,
                                .tol = r->o->tol,
                                .maxiter = (int)r->o->maxiter,
                                .nth = (int)r->o->common.threads,
                                .isa = (pfx_isa)r->o->common.isa};
    pfx_status st = pfx_fit_model(design, &fo, &r->fit, err);
    if (st == PFX_OK && r->method->needs_stat) st = rep_make_stat(r, design, err);
    if (st == PFX_OK && r->method->prepare) st = r->method->prepare(r, design, err);
    return st;
}

/* The full-sample fit, and the statistics that every replicate is made of. */
static pfx_status reduce(rep_run *r, pfx_err *err)
{
    pfx_design *design = NULL;
    if (r->formula->n_models > 1) return rep_family_reduce(r, err);
    pfx_status st = pfx_dataset_design(r->data, 0, 0, true, &design, err);
    if (st == PFX_OK) st = rep_reduce_design(r, design, err);
    pfx_design_free(design);
    return st;
}

/* The columns alone, before a row is read; what is made of them is known once it is there. */
static pfx_status check_rows(const rep_run *r, pfx_err *err)
{
    double rows = (double)pfx_panel_n_rows(r->panel) * r->n_names * sizeof(double), allowed = (double)r->o->common.memory;
    if (rows <= allowed) return PFX_OK;
    return pfx_fail(err, PFX_ENOMEM, "%s: --memory allows %.0f bytes, and %d columns of it take %.0f; give more",
                    pfx_panel_path(r->panel), allowed, r->n_names, rows);
}

pfx_status rep_load(rep_run *r, pfx_err *err)
{
    double t0 = pfx_wall_s();
    pfx_status st = check_rows(r, err);
    if (st == PFX_OK) st = load_rows(r, err);
    r->read_s += pfx_wall_s() - t0;
    t0 = pfx_wall_s();
    if (st == PFX_OK) st = reduce(r, err);
    r->compute_s += pfx_wall_s() - t0;
    return st;
}

pfx_status rep_check_lost(const char *term, pfx_idx valid, pfx_idx reps, pfx_err *err)
{
    double lost = 100 * (1 - (double)valid / (double)reps);
    if (lost > REP_LOST_FAIL)
        return pfx_fail(err, PFX_ENOCONV,
                        "%s, or its variance, is not identified in %.1f %% of the replicates: too few clusters identify it, "
                        "or a two-way variance is negative",
                        term, lost);
    if (lost > REP_LOST_WARN)
        pfx_warn("%s, or its variance, is not identified in %.1f %% of the replicates; intervals and p-value are of the "
                 "others",
                 term, lost);
    return PFX_OK;
}

pfx_status rep_report_begin(const rep_run *r, pfx_rep_report *report, pfx_err *err)
{
    pfx_status st = pfx_rep_report_init(report, r->n_terms, err);
    if (st != PFX_OK) return st;
    report->command = r->method->command;
    report->method = r->method->name;
    report->method_key = r->method->name_key;
    report->title = r->method->title;
    report->cluster = r->vcov.n_clusters ? r->vcov.clusters[0] : NULL;
    if (r->fit) {
        report->formula = r->fit->formula;
        report->outcome = r->fit->outcome;
        report->n_clusters = r->fit->n_clusters ? r->fit->clusters[0].levels : 0;
        if (r->fit->n_clusters > 1) {
            report->cluster2 = r->vcov.clusters[1];
            report->n_clusters2 = r->fit->clusters[1].levels;
        }
        report->n_obs = r->fit->n_obs;
    } else
        rep_family_head(r, report);
    report->level = r->o->level;
    report->null = r->o->null;
    report->synthetic = r->synthetic;
    report->matched = r->matched;
    report->threads = (int)r->o->common.threads;
    for (int t = 0; t < r->n_terms; t++) report->term[t].term = r->terms[t];
    return PFX_OK;
}

pfx_status rep_report_print(const rep_run *r, pfx_rep_report *report, pfx_err *err)
{
    pfx_str out = {0};
    report->read_s = r->read_s;
    report->compute_s = r->compute_s;
    report->total_s = pfx_run_s();
    report->peak_memory_bytes = pfx_peak_rss();
    pfx_status st = r->o->format ? pfx_rep_json(report, &out, err) : pfx_rep_text(report, &out, err);
    if (st == PFX_OK) st = pfx_file_write_text(NULL, out.s, out.len, false, err);
    pfx_str_free(&out);
    return st;
}
