/* The draws of a prepared method: what they depend on, the file they go to, what stays in memory, the whole
 * run. */
#include "src/cmd/replicate.h"

#include <cblas.h>
#include <string.h>
#include <sys/statvfs.h>

#include "hdf5_io/draws.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/sha256.h"
#include "src/report/json.h"

/* Of --memory, what draws that are kept may take. */
static const double KEEP_SHARE = 0.4;
static const double GIB = 1073741824.0;

/* What the draws depend on besides the data, a line each. */
static void describe(const rep_run *r, pfx_str *spec)
{
    pfx_str_addf(spec, "command=%s\nmethod=%s\nformula=%s\n", r->method->command, r->method->name,
                 r->formula->models[0].text);
    if (r->o->where) pfx_str_addf(spec, "where=%s\n", r->o->where);
    if (r->o->weights) pfx_str_addf(spec, "weights=%s\nweights-kind=%d\n", r->o->weights, r->o->weights_kind);
    for (int c = 0; c < r->vcov.n_clusters; c++) pfx_str_addf(spec, "cluster=%s\n", r->vcov.clusters[c]);
    for (int t = 0; t < r->n_terms; t++) pfx_str_addf(spec, "term=%s\n", r->terms[t]);
    if (r->o->keep_singletons) pfx_str_add(spec, "keep-singletons\n");
    pfx_str_addf(spec, "tol=%.17g\nmaxiter=%lld\n", r->o->tol, (long long)r->o->maxiter);
    if (r->method->describe) r->method->describe(r, spec);
}

/* SHA-256 of what the draws depend on besides the data, and of the data as the fit has them. */
static pfx_status digests(const rep_run *r, char spec[PFX_SHA256_HEX], char panel[PFX_SHA256_HEX],
                          pfx_err *err)
{
    pfx_str text = {0};
    pfx_sha256 *h = pfx_sha256_new();
    describe(r, &text);
    if (!h || text.failed) {
        pfx_sha256_free(h);
        pfx_str_free(&text);
        return pfx_fail(err, PFX_ENOMEM, "out of memory for a checksum");
    }
    pfx_sha256_add(h, text.len, text.s);
    pfx_str_free(&text);
    pfx_sha256_hex(h, spec);
    pfx_sha256_add(h, sizeof r->fit->n_obs, &r->fit->n_obs);
    for (int i = 0; i < r->fit->k; i++)
        pfx_sha256_add(h, sizeof r->fit->coef[i].estimate, &r->fit->coef[i].estimate);
    if (r->stat) pfx_sha256_add(h, (size_t)(r->stat->rows * r->stat->ld) * sizeof(double), r->stat->M);
    pfx_sha256_hex(h, panel);
    pfx_sha256_free(h);
    return PFX_OK;
}

/* The method's own of the full sample, into the JSON of the fit. */
static pfx_status add_full(const rep_run *r, pfx_str *json, pfx_err *err)
{
    pfx_status st = PFX_OK;
    if (!r->method->full) return PFX_OK;
    pfx_rep_values *v = pfx_mem_calloc(r->n_terms, sizeof *v, err);
    if (!v) return PFX_ENOMEM;
    for (int t = 0; t < r->n_terms; t++) r->method->full(r, t, &v[t]);
    st = pfx_rep_json_full(r->n_terms, r->terms, v, json, err);
    pfx_mem_free(v);
    return st;
}

static pfx_status begin_file(rep_run *r, pfx_err *err)
{
    char spec_digest[PFX_SHA256_HEX], panel_digest[PFX_SHA256_HEX];
    const pfx_rep_method *m = r->method->draws(r);
    /* Times and threads are left out: the same draws are the same file. */
    const pfx_json_run run = {.command = "fit", .panel = NULL, .synthetic = r->synthetic};
    pfx_str json = {0};
    pfx_status st = digests(r, spec_digest, panel_digest, err);
    const pfx_draw_spec spec = {.command = r->method->command,
                                .method = r->method->name,
                                .n_terms = m->n_terms,
                                .terms = r->terms,
                                .n_extra = m->n_extra,
                                .extra = m->extra,
                                .seed = (uint64_t)r->o->seed,
                                .reps = r->reps,
                                .last = r->reps,
                                .shard = 1,
                                .n_shards = 1,
                                .spec_digest = spec_digest,
                                .panel_digest = panel_digest,
                                .numerics = pfx_isa_name((pfx_isa)r->o->common.isa),
                                .blas = openblas_get_config()};
    if (st == PFX_OK) st = r->file.begin(r->file.ctx, &spec, err);
    if (st == PFX_OK) st = pfx_json_fits(1, &r->fit, &run, &json, err);
    if (st == PFX_OK) st = add_full(r, &json, err);
    if (st == PFX_OK) st = r->file.result(r->file.ctx, json.s, err);
    pfx_str_free(&json);
    return st;
}

/* Bytes free where the file goes; no bound if the system does not tell. */
static double free_bytes(const char *path)
{
    struct statvfs v;
    pfx_str dir = {0};
    const char *slash = strrchr(path, '/');
    pfx_str_addn(&dir, slash ? path : ".", slash ? (size_t)(slash - path) + 1 : 1);
    bool known = !dir.failed && statvfs(dir.s, &v) == 0;
    pfx_str_free(&dir);
    return known ? (double)v.f_bavail * (double)v.f_frsize : 1e300;
}

static int n_bits(unsigned x)
{
    int n = 0;
    for (; x; x &= x - 1) n++;
    return n;
}

/* Draws that fit neither into memory nor onto the disk would not end soon either: say both. *summed: they fit
 * into memory, with one more field for sorting. */
static pfx_status check_size(const rep_run *r, bool *summed, pfx_err *err)
{
    const pfx_rep_method *m = r->method->draws(r);
    double cells = (double)r->reps * m->n_terms, seconds = 0;
    double kept = cells * (n_bits(r->method->keep(r)) + 1) * sizeof(double);
    double stored = (cells * (PFX_DRAW_FIELDS + m->n_extra) + (double)r->reps) * sizeof(double);
    double allowed = KEEP_SHARE * (double)r->o->common.memory;
    *summed = kept <= allowed;
    double room = r->o->output ? free_bytes(r->o->output) : 0;
    if (*summed && (!r->o->output || stored <= room)) return PFX_OK;
    if (r->o->output && stored <= room) {
        pfx_note(
            "the draws are stored and not summarised: that would need %.3g GiB, and --memory leaves %.3g",
            kept / GIB, allowed / GIB);
        return PFX_OK;
    }
    pfx_status st = pfx_rep_measure(m, (int)r->o->common.threads, &seconds, err);
    if (st != PFX_OK) return st;
    double hours = seconds * (double)r->reps / 3600;
    if (r->o->output)
        return pfx_fail(
            err, PFX_EUSAGE,
            "--reps %lld: about %.3g hours, and %.3g GiB for the draws where %s has %.3g; ask for fewer",
            (long long)r->reps, hours, stored / GIB, r->o->output, room / GIB);
    return pfx_fail(
        err, PFX_EUSAGE,
        "--reps %lld: about %.3g hours, and %.3g GiB for the draws, more than --memory allows; store them "
        "with -o DRAWS.h5, or ask for fewer",
        (long long)r->reps, hours, kept / GIB);
}

static pfx_status run_draws(rep_run *r, pfx_draw_keep *keep, pfx_err *err)
{
    pfx_draw_sink sinks[2];
    pfx_rep_run run = {.seed = (uint64_t)r->o->seed,
                       .last = r->reps,
                       .nth = (int)r->o->common.threads,
                       .what = r->method->command,
                       .sinks = sinks};
    if (keep) sinks[run.n_sinks++] = pfx_draw_keep_sink(keep);
    if (r->file.ctx) sinks[run.n_sinks++] = r->file;
    return pfx_rep_run_method(r->method->draws(r), &run, err);
}

pfx_status rep_draw(rep_run *r, pfx_rep_report *report, pfx_err *err)
{
    pfx_draw_keep keep = {0};
    bool summed = true;
    double t0 = pfx_wall_s();
    pfx_status st = check_size(r, &summed, err);
    if (st == PFX_OK && summed)
        st = pfx_draw_keep_init(&keep, r->n_terms, r->method->keep(r), 0, r->reps, err);
    if (st == PFX_OK && r->file.ctx) st = begin_file(r, err);
    if (st == PFX_OK) st = run_draws(r, summed ? &keep : NULL, err);
    report->reps = r->reps;
    report->seed = (uint64_t)r->o->seed;
    for (int t = 0; t < r->n_terms; t++) report->term[t].reps = r->reps;
    if (st == PFX_OK && summed) st = r->method->summarise(r, &keep, report, err);
    pfx_draw_keep_free(&keep);
    if (st == PFX_OK && !summed) report->n_terms = 0;
    r->compute_s += pfx_wall_s() - t0;
    return st;
}

pfx_status rep_command(rep_run *r, const char *panel, const char *formula, pfx_err *err)
{
    const rep_options *o = r->o;
    pfx_rep_report report = {0};
    r->reps = o->reps;
    pfx_status st = rep_check_options(o, err);
    if (st == PFX_OK) st = pfx_out_spare(o->output, panel, err);
    if (st == PFX_OK && o->output) st = pfx_draws_sink(o->output, o->common.force, &r->file, err);
    double t0 = pfx_wall_s();
    if (st == PFX_OK) st = rep_open(r, panel, formula, err);
    r->read_s += pfx_wall_s() - t0;
    if (st == PFX_OK) st = rep_load(r, err);
    if (st == PFX_OK) st = rep_report_begin(r, &report, err);
    if (st == PFX_OK) st = rep_draw(r, &report, err);
    if (st == PFX_OK && r->file.ctx) st = r->file.commit(r->file.ctx, err);
    if (st == PFX_OK) st = rep_report_print(r, &report, err);
    pfx_rep_report_free(&report);
    rep_free(r);
    return st;
}
