/* The boot command: fit once, reduce the panel to cluster statistics, draw, report, store the draws. */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "hdf5_io/draws.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/sha256.h"
#include "src/cmd/commands.h"
#include "src/cmd/fit_private.h"
#include "src/cmd/watch.h"
#include "src/rep/clusterstat.h"
#include "src/rep/jackknife.h"
#include "src/rep/keep.h"
#include "src/rep/pairs.h"
#include "src/report/boot.h"
#include "src/report/json.h"
#include "src/report/table.h"

/* Shares of draws in which a coefficient is not identified: said, and too many. */
static const double LOST_WARN = 0.05, LOST_FAIL = 0.5;
/* Multiplications and additions a second of one thread, for the time of a run that is refused. */
static const double RATE = 5e10;

typedef struct boot_options {
    pfx_common common;
    pfx_opt_list coef;
    int method;
    pfx_idx reps, seed;
    pfx_opt_list ci;
    double null, level;
    const char *cluster, *weights, *where;
    int ssc, weights_kind;
    bool keep_singletons;
    int format;
    const char *output;
} boot_options;

static const char *const method_choices[] = {"pairs", "wild", NULL};
static const char *const ssc_choices[] = {"fixest", "reghdfe", "stata", "none", NULL};
static const char *const kind_choices[] = {"analytic", "frequency", "probability", NULL};
static const char *const format_choices[] = {"text", "json", NULL};

#define AT(field) offsetof(boot_options, field)
static const pfx_opt boot_table[] = {
    {"coef", 0, PFX_OPT_NAMES, AT(coef), "NAMES", "coefficients to bootstrap, joined by commas; required",
     NULL, "Bootstrap"},
    {"method", 0, PFX_OPT_CHOICE, AT(method), "METHOD",
     "pairs resamples whole clusters (default: pairs); wild is not in this version", method_choices, NULL},
    {"reps", 0, PFX_OPT_INT, AT(reps), "R", "replicates (default: 9999)", NULL, NULL},
    {"seed", 0, PFX_OPT_INT, AT(seed), "S", "seed of the random numbers (default: 1)", NULL, NULL},
    {"ci", 0, PFX_OPT_NAMES, AT(ci), "KINDS", "percentile, basic, normal, bca, t (default: all)", NULL, NULL},
    {"null", 0, PFX_OPT_REAL, AT(null), "H0", "value that the p-value is for (default: 0)", NULL, NULL},
    {"level", 0, PFX_OPT_REAL, AT(level), "P", "level of the intervals (default: 0.95)", NULL, NULL},
    {"cluster", 0, PFX_OPT_TEXT, AT(cluster), "VAR", "cluster variable (default: the panel's unit)", NULL,
     NULL},
    {"ssc", 0, PFX_OPT_CHOICE, AT(ssc), "RULE",
     "small-sample rule of the stored fit: fixest, reghdfe, stata or none (default: fixest)", ssc_choices,
     NULL},
    {"where", 0, PFX_OPT_TEXT, AT(where), "EXPR", "keep the rows where EXPR holds", NULL, "Sample"},
    {"weights", 0, PFX_OPT_TEXT, AT(weights), "VAR", "weights: a column or an expression, not negative", NULL,
     NULL},
    {"weights-kind", 0, PFX_OPT_CHOICE, AT(weights_kind), "KIND",
     "analytic, frequency or probability (default: analytic)", kind_choices, NULL},
    {"keep-singletons", 0, PFX_OPT_FLAG, AT(keep_singletons), NULL,
     "keep rows that are alone in a level of an effect (default: drop and count them)", NULL, NULL},
    {"format", 0, PFX_OPT_CHOICE, AT(format), "FORMAT", "text or json on standard output (default: text)",
     format_choices, "Output"},
    {"output", 'o', PFX_OPT_TEXT, AT(output), "DRAWS.h5", "store every draw in this file", NULL, NULL},
    {0},
};

typedef struct boot_run {
    boot_options o;
    bool ci[PFX_CI_KINDS];
    fit_options fo; /* what fit would be asked for */
    fit_vcov vcov;
    pfx_formula *formula;
    pfx_panel *panel;
    bool synthetic;
    pfx_dataset *data;
    pfx_fit *fit;
    pfx_clusterstat *stat;
    pfx_jackknife *jack;
    pfx_pairs *pairs;
    pfx_draw_keep keep;
    pfx_draw_sink file;   /* ctx NULL: none */
    pfx_boot_out *result; /* [coef.n] */
    double *full_se;      /* [coef.n] */
    double read_s, compute_s;
} boot_run;

static void boot_run_free(boot_run *r)
{
    if (r->file.abort) r->file.abort(r->file.ctx);
    pfx_draw_keep_free(&r->keep);
    pfx_mem_free(r->result);
    pfx_mem_free(r->full_se);
    pfx_pairs_free(r->pairs);
    pfx_jackknife_free(r->jack);
    pfx_clusterstat_free(r->stat);
    pfx_fit_free(r->fit);
    pfx_dataset_free(r->data);
    pfx_formula_free(r->formula);
    pfx_panel_close(r->panel);
}

static pfx_status choose_intervals(boot_run *r, pfx_err *err)
{
    for (int k = 0; k < PFX_CI_KINDS; k++) r->ci[k] = r->o.ci.n == 0;
    for (int i = 0; i < r->o.ci.n; i++) {
        int k = 0;
        while (pfx_ci_names[k] && strcmp(pfx_ci_names[k], r->o.ci.v[i])) k++;
        if (!pfx_ci_names[k])
            return pfx_fail(err, PFX_EUSAGE, "--ci %s: want percentile, basic, normal, bca or t",
                            r->o.ci.v[i]);
        r->ci[k] = true;
    }
    return PFX_OK;
}

static pfx_status check_options(boot_run *r, pfx_err *err)
{
    const boot_options *o = &r->o;
    if (o->method == 1)
        return pfx_fail(err, PFX_EUSAGE, "--method wild is not in this version; use --method pairs");
    if (o->coef.n == 0)
        return pfx_fail(err, PFX_EUSAGE, "boot needs --coef NAME: the coefficient to bootstrap");
    if (o->reps < 1) return pfx_fail(err, PFX_EUSAGE, "--reps %lld: want at least 1", (long long)o->reps);
    if (o->seed < 0) return pfx_fail(err, PFX_EUSAGE, "--seed %lld: want 0 or more", (long long)o->seed);
    if (!(o->level > 0 && o->level < 1))
        return pfx_fail(err, PFX_EUSAGE, "--level %g: want a number between 0 and 1, as 0.95", o->level);
    if (o->weights_kind != 0 && !o->weights)
        return pfx_fail(err, PFX_EUSAGE, "--weights-kind needs --weights VAR");
    return choose_intervals(r, err);
}

static pfx_status parse_formula(boot_run *r, const char *text, pfx_err *err)
{
    pfx_status st = pfx_formula_parse(text, &r->formula, err);
    if (st != PFX_OK) return st;
    if (r->formula->n_models != 1)
        return pfx_fail(err, PFX_EUSAGE, "%s: boot takes one model, this formula has %d", text,
                        r->formula->n_models);
    if (r->formula->models[0].n_endogenous)
        return pfx_fail(err, PFX_EUSAGE,
                        "%s: 2SLS is not in this version; leave the instruments out of the formula", text);
    return PFX_OK;
}

static pfx_status open_panel(boot_run *r, const char *path, pfx_err *err)
{
    const char *key, *value;
    pfx_status st = pfx_panel_open(path, &r->panel, err);
    if (st != PFX_OK) return st;
    for (int i = 0; pfx_panel_provenance(r->panel, i, &key, &value); i++)
        if (strcmp(key, "synthetic") == 0 && strcmp(value, "no") != 0) r->synthetic = true;
    r->fo.cluster = r->o.cluster;
    if ((st = fit_choose_vcov(&r->fo, pfx_panel_structure(r->panel), &r->vcov, err)) != PFX_OK) return st;
    if (r->vcov.n_clusters != 1)
        return pfx_fail(err, PFX_EUSAGE,
                        r->vcov.n_clusters ? "--cluster %s: pairs resamples one cluster variable"
                                           : "%s has no unit to cluster by; name one with --cluster VAR",
                        r->vcov.n_clusters ? r->o.cluster : path);
    return PFX_OK;
}

static pfx_status load(boot_run *r, pfx_err *err)
{
    const pfx_dataset_options d = {
        .where = r->o.where,
        .weights = r->o.weights,
        .weights_kind = r->o.weights ? (pfx_weights_kind)(PFX_W_ANALYTIC + r->o.weights_kind) : PFX_W_NONE,
        .n_clusters = r->vcov.n_clusters,
        .clusters = r->vcov.clusters,
        .keep_singletons = r->o.keep_singletons,
        .nth = (int)r->o.common.threads,
    };
    const pfx_panel_source_options so = {.nth = (int)r->o.common.threads};
    pfx_row_source source = {0};
    pfx_watch watch;
    char **names = NULL;
    int n = 0;
    pfx_status st =
        pfx_dataset_columns(r->formula, &d, pfx_panel_structure(r->panel), pfx_panel_n_cols(r->panel),
                            pfx_panel_cols(r->panel), &n, &names, err);
    if (st != PFX_OK) return st;
    if ((st = pfx_panel_source(r->panel, n, (const char *const *)names, &so, &source, err)) == PFX_OK) {
        source = pfx_watch_source(&watch, source);
        st = pfx_dataset_load(&source, r->formula, &d, &r->data, err);
        source.close(source.ctx);
    }
    pfx_dataset_free_names(n, names);
    return st;
}

/* The full-sample fit, and the statistics that every replicate is made of. */
static pfx_status reduce(boot_run *r, pfx_err *err)
{
    int nth = (int)r->o.common.threads;
    pfx_isa isa = (pfx_isa)r->o.common.isa;
    const pfx_fit_options fo = {.vcov = r->vcov.type,
                                .ssc = (pfx_ssc)r->o.ssc,
                                .level = r->o.level,
                                .tol = r->fo.tol,
                                .maxiter = (int)r->fo.maxiter,
                                .nth = nth,
                                .isa = isa};
    pfx_design *design = NULL;
    pfx_status st = pfx_dataset_design(r->data, 0, 0, true, &design, err);
    if (st == PFX_OK) st = pfx_fit_ols(design, &fo, &r->fit, err);
    if (st == PFX_OK) {
        const pfx_clusterstat_options co = {.n_terms = r->o.coef.n,
                                            .terms = r->o.coef.v,
                                            .n_collinear = r->fit->n_collinear,
                                            .collinear = (const char *const *)r->fit->collinear,
                                            .tol = r->fo.tol,
                                            .maxiter = (int)r->fo.maxiter,
                                            .nth = nth,
                                            .isa = isa,
                                            .max_bytes = 0.5 * (double)r->o.common.memory};
        st = pfx_clusterstat_create(design, &co, &r->stat, err);
    }
    pfx_design_free(design);
    if (st == PFX_OK && r->ci[PFX_CI_BCA]) st = pfx_jackknife_run(r->stat, nth, isa, &r->jack, err);
    if (st == PFX_OK)
        st = pfx_pairs_create(r->stat, &(pfx_pairs_options){.std_error = true, .isa = isa}, &r->pairs, err);
    if (st == PFX_OK && !(r->full_se = pfx_mem_alloc(r->o.coef.n, sizeof *r->full_se, err))) st = PFX_ENOMEM;
    return st == PFX_OK ? pfx_pairs_full(r->pairs, r->full_se, err) : st;
}

/* Draws that would not fit into memory would not end soon either: say both. */
static pfx_status check_size(const boot_run *r, pfx_err *err)
{
    double cells = (double)r->o.reps * r->o.coef.n;
    double bytes = cells * (PFX_DRAW_FIELDS + 1) * sizeof(double);
    double seconds = 2.0 * (double)r->stat->ld * (double)r->stat->G * ((double)r->o.reps + cells) / RATE /
                     (double)r->o.common.threads;
    if (bytes <= 0.4 * (double)r->o.common.memory) return PFX_OK;
    return pfx_fail(
        err, PFX_EUSAGE,
        "--reps %lld: about %.3g hours and %.3g GiB for the draws, more than --memory allows; ask for fewer",
        (long long)r->o.reps, seconds / 3600, bytes / 1073741824.0);
}

/* SHA-256 of what the draws depend on besides the data, and of the data as the statistics have them. */
static pfx_status digests(const boot_run *r, char spec[PFX_SHA256_HEX], char panel[PFX_SHA256_HEX],
                          pfx_err *err)
{
    pfx_sha256 *h = pfx_sha256_new();
    const char *const texts[] = {"pairs", r->fit->formula, r->o.where, r->o.weights, r->vcov.clusters[0]};
    const pfx_idx sizes[] = {r->stat->G, r->stat->n_rows, r->stat->k};
    if (!h) return pfx_fail(err, PFX_ENOMEM, "out of memory for a checksum");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        pfx_sha256_add(h, texts[i] ? strlen(texts[i]) + 1 : 1, texts[i] ? texts[i] : "");
    for (int t = 0; t < r->o.coef.n; t++) pfx_sha256_add(h, strlen(r->o.coef.v[t]) + 1, r->o.coef.v[t]);
    pfx_sha256_add(h, sizeof r->o.weights_kind, &r->o.weights_kind);
    pfx_sha256_add(h, sizeof r->o.keep_singletons, &r->o.keep_singletons);
    pfx_sha256_hex(h, spec);
    pfx_sha256_add(h, sizeof sizes, sizes);
    pfx_sha256_add(h, (size_t)(r->stat->rows * r->stat->ld) * sizeof(double), r->stat->M);
    pfx_sha256_add(h, (size_t)r->o.coef.n * sizeof(double), r->stat->b);
    pfx_sha256_hex(h, panel);
    pfx_sha256_free(h);
    return PFX_OK;
}

static pfx_status begin_file(boot_run *r, pfx_err *err)
{
    char spec_digest[PFX_SHA256_HEX], panel_digest[PFX_SHA256_HEX];
    /* Times and threads are left out: the same draws are the same file. */
    const pfx_json_run run = {.command = "fit", .panel = NULL, .synthetic = r->synthetic};
    pfx_str json = {0};
    pfx_status st = digests(r, spec_digest, panel_digest, err);
    const pfx_draw_spec spec = {.command = "boot",
                                .method = "pairs",
                                .n_terms = r->o.coef.n,
                                .terms = r->o.coef.v,
                                .seed = (uint64_t)r->o.seed,
                                .reps = r->o.reps,
                                .last = r->o.reps,
                                .shard = 1,
                                .n_shards = 1,
                                .spec_digest = spec_digest,
                                .panel_digest = panel_digest,
                                .numerics = pfx_isa_name((pfx_isa)r->o.common.isa),
                                .blas = openblas_get_config()};
    if (st == PFX_OK) st = r->file.begin(r->file.ctx, &spec, err);
    if (st == PFX_OK) st = pfx_json_fits(1, &r->fit, &run, &json, err);
    if (st == PFX_OK) st = r->file.result(r->file.ctx, json.s, err);
    pfx_str_free(&json);
    return st;
}

static pfx_status draw(boot_run *r, pfx_err *err)
{
    pfx_draw_sink sinks[2] = {pfx_draw_keep_sink(&r->keep)};
    pfx_status st = pfx_draw_keep_init(&r->keep, r->o.coef.n, 0, r->o.reps, err);
    if (st == PFX_OK && r->file.ctx) st = begin_file(r, err);
    if (st != PFX_OK) return st;
    if (r->file.ctx) sinks[1] = r->file;
    pfx_rep_run run = {.seed = (uint64_t)r->o.seed,
                       .last = r->o.reps,
                       .nth = (int)r->o.common.threads,
                       .what = "bootstrap",
                       .n_sinks = r->file.ctx ? 2 : 1,
                       .sinks = sinks};
    return pfx_rep_run_method(pfx_pairs_method(r->pairs), &run, err);
}

static pfx_status summarise(boot_run *r, pfx_err *err)
{
    int n = r->o.coef.n;
    if (!(r->result = pfx_mem_calloc(n, sizeof *r->result, err))) return PFX_ENOMEM;
    for (int t = 0; t < n; t++) {
        const pfx_boot_in in = {.reps = r->o.reps,
                                .stride = n,
                                .b = r->keep.field[PFX_DRAW_ESTIMATE] + t,
                                .t = r->keep.field[PFX_DRAW_STATISTIC] + t,
                                .estimate = r->stat->b[t],
                                .std_error = r->full_se[t],
                                .null = r->o.null,
                                .level = r->o.level,
                                .acceleration = r->jack ? r->jack->acceleration[t] : 0};
        pfx_status st = pfx_boot_summarise(&in, &r->result[t], err);
        if (st != PFX_OK) return st;
        double lost = 1 - (double)r->result[t].valid / (double)r->o.reps;
        if (lost > LOST_FAIL)
            return pfx_fail(
                err, PFX_ENOCONV,
                "%s is not identified in %.1f %% of the replicates: too few clusters identify it for a pairs "
                "bootstrap",
                r->o.coef.v[t], 100 * lost);
        if (lost > LOST_WARN)
            pfx_warn(
                "%s is not identified in %.1f %% of the replicates; intervals and p-value are of the others",
                r->o.coef.v[t], 100 * lost);
        if (r->jack && r->jack->n_lost[t])
            pfx_warn("%s is not identified without %lld of the clusters; BCa leaves them out", r->o.coef.v[t],
                     (long long)r->jack->n_lost[t]);
    }
    return PFX_OK;
}

static pfx_status report(const boot_run *r, pfx_err *err)
{
    pfx_boot_report b = {.method = "pairs",
                         .formula = r->fit->formula,
                         .outcome = r->fit->outcome,
                         .cluster = r->vcov.clusters[0],
                         .n_clusters = r->stat->G,
                         .n_obs = r->fit->n_obs,
                         .reps = r->o.reps,
                         .seed = (uint64_t)r->o.seed,
                         .level = r->o.level,
                         .null = r->o.null,
                         .n_terms = r->o.coef.n,
                         .term = r->o.coef.v,
                         .estimate = r->stat->b,
                         .result = r->result,
                         .synthetic = r->synthetic,
                         .read_s = r->read_s,
                         .compute_s = r->compute_s,
                         .total_s = pfx_run_s(),
                         .threads = (int)r->o.common.threads,
                         .peak_memory_bytes = pfx_peak_rss()};
    pfx_str out = {0};
    memcpy(b.ci, r->ci, sizeof b.ci);
    pfx_status st = r->o.format ? pfx_boot_json(&b, &out, err) : pfx_boot_text(&b, &out, err);
    if (st == PFX_OK) st = pfx_file_write_text(NULL, out.s, out.len, false, err);
    pfx_str_free(&out);
    return st;
}

static pfx_status boot_run_command(int argc, char **argv, pfx_err *err)
{
    boot_run r = {.o = {.reps = 9999, .seed = 1, .level = 0.95}, .fo = fit_defaults()};
    const char *pos[2];
    int n_pos = 0;
    pfx_status st = pfx_opt_parse(&pfx_cmd_boot, argc, argv, &r.o, 2, 2, pos, &n_pos, err);
    if (st || r.o.common.help) return st;
    if ((st = check_options(&r, err)) || (st = parse_formula(&r, pos[1], err))) goto done;
    if ((st = pfx_out_spare(r.o.output, pos[0], err))) goto done;
    if (r.o.output && (st = pfx_draws_sink(r.o.output, r.o.common.force, &r.file, err))) goto done;
    double t0 = pfx_wall_s();
    if ((st = open_panel(&r, pos[0], err)) || (st = load(&r, err))) goto done;
    r.read_s = pfx_wall_s() - t0;
    t0 = pfx_wall_s();
    if ((st = reduce(&r, err)) || (st = check_size(&r, err)) || (st = draw(&r, err)) ||
        (st = summarise(&r, err)))
        goto done;
    r.compute_s = pfx_wall_s() - t0;
    if (r.file.ctx && (st = r.file.commit(r.file.ctx, err))) goto done;
    st = report(&r, err);
done:
    boot_run_free(&r);
    return st;
}

const pfx_command pfx_cmd_boot = {"boot", "PANEL.h5 FORMULA", "pairs cluster bootstrap of coefficients",
                                  boot_table, boot_run_command};
