/* The draws of a prepared method: what they depend on, the file they go to, what stays in memory, the whole
 * run. */
#include "src/cmd/replicate.h"

#include <cblas.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/stop.h"
#include "src/rep/decide.h"
#include "src/report/json.h"

/* Of --memory, what draws that are kept may take. */
static const double KEEP_SHARE = 0.4;
static const double GIB = 1073741824.0;

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

pfx_status rep_make_json(rep_run *r, pfx_err *err)
{
    /* Times and threads are left out: the same draws are the same file. */
    const pfx_json_run run = {.command = "fit", .panel = NULL, .synthetic = r->synthetic};
    pfx_str json = {0};
    int n;
    if (r->fit_json) return PFX_OK;
    pfx_fit *const *fit = rep_fits(r, &n);
    pfx_status st = pfx_json_fits(n, fit, &run, &json, err);
    if (st == PFX_OK) st = add_full(r, &json, err);
    if (st == PFX_OK && !(r->fit_json = pfx_mem_strdup(json.s, err))) st = PFX_ENOMEM;
    pfx_str_free(&json);
    return st;
}

static pfx_status begin_file(rep_run *r, pfx_err *err)
{
    const pfx_rep_method *m = r->method->draws(r);
    const pfx_draw_spec spec = {.command = r->method->command,
                                .method = r->method->name,
                                .n_terms = m->n_terms,
                                .terms = r->terms,
                                .n_extra = m->n_extra,
                                .extra = m->extra,
                                .seed = (uint64_t)r->o->seed,
                                .reps = r->reps,
                                .first = r->first,
                                .last = r->last,
                                .shard = r->shard,
                                .n_shards = r->n_shards,
                                .options = r->spec.s,
                                .spec_digest = r->spec_digest,
                                .panel_digest = r->panel_digest,
                                .numerics = pfx_isa_name((pfx_isa)r->o->common.isa),
                                .blas = openblas_get_config()};
    pfx_status st = r->file.begin(r->file.ctx, &spec, err);
    if (st == PFX_OK) st = rep_make_json(r, err);
    return st == PFX_OK ? r->file.result(r->file.ctx, r->fit_json, err) : st;
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

/* What the draws of a run take: bytes in memory, with one more field for sorting; bytes on the disk. */
static double kept_bytes(const rep_run *r)
{
    double cells = (double)(r->last - r->first) * r->n_terms;
    return r->n_shards > 1 ? 0 : cells * (n_bits(r->method->keep(r)) + 1) * sizeof(double);
}

static double stored_bytes(const rep_run *r)
{
    double n = (double)(r->last - r->first), fields = PFX_DRAW_FIELDS + r->method->draws(r)->n_extra;
    return (n + n * r->n_terms * fields) * sizeof(double);
}

/* Resident, from now on to the last draw. */
static double needed_bytes(const rep_run *r)
{
    return (double)pfx_peak_rss() + pfx_rep_bytes(r->method->draws(r), (int)r->o->common.threads);
}

static pfx_status check_memory(const rep_run *r, pfx_err *err)
{
    double need = needed_bytes(r), allowed = (double)r->o->common.memory;
    if (need <= allowed) return PFX_OK;
    return pfx_fail(
        err, PFX_ENOMEM,
        "--memory allows %.0f bytes and this run needs about %.0f, %.0f of them already; give --memory "
        "%.0fM, or fewer --threads",
        allowed, need, (double)pfx_peak_rss(), need / 1048576 + 1);
}

/* Draws that fit neither into memory nor onto the disk would not end soon either: say both. *summed: they fit
 * into memory. */
static pfx_status check_size(const rep_run *r, bool *summed, pfx_err *err)
{
    double seconds = 0, kept = kept_bytes(r), stored = r->output ? stored_bytes(r) : 0;
    double allowed = KEEP_SHARE * (double)r->o->common.memory;
    double room = r->output ? free_bytes(r->output) : 0;
    *summed = kept <= allowed;
    if (*summed && stored <= room) return PFX_OK;
    if (r->output && stored <= room) {
        pfx_note(
            "the draws are stored and not summarised: that would need %.3g GiB, and --memory leaves %.3g",
            kept / GIB, allowed / GIB);
        return PFX_OK;
    }
    pfx_status st = pfx_rep_measure(r->method->draws(r), (int)r->o->common.threads, &seconds, err);
    if (st != PFX_OK) return st;
    double hours = seconds * (double)(r->last - r->first) / 3600;
    if (r->output)
        return pfx_fail(
            err, PFX_EUSAGE,
            "--reps %lld: about %.3g hours, and %.3g GiB for the draws where %s has %.3g; ask for fewer",
            (long long)r->reps, hours, stored / GIB, r->output, room / GIB);
    return pfx_fail(
        err, PFX_EUSAGE,
        "--reps %lld: about %.3g hours, and %.3g GiB for the draws, more than --memory allows; store them "
        "with -o DRAWS.h5, or ask for fewer",
        (long long)r->reps, hours, kept / GIB);
}

/* ---- stopping when decided ---- */

typedef struct decision {
    const rep_run *r;
    pfx_decide *term; /* [n_terms], or NULL: not asked for */
    bool all;
} decision;

static pfx_status decide(void *ctx, pfx_idx first, pfx_idx n, const double *const *field, bool *stop,
                         pfx_err *err)
{
    decision *d = ctx;
    (void)first;
    d->all = true;
    for (int t = 0; t < d->r->n_terms; t++) {
        for (pfx_idx i = 0; i < n && !d->term[t].decided; i++) {
            int extreme = d->r->method->extreme(d->r, t, field, i);
            pfx_status st = extreme < 0 ? PFX_OK : pfx_decide_add(&d->term[t], extreme, err);
            if (st != PFX_OK) return st;
        }
        d->all = d->all && d->term[t].decided;
    }
    *stop = d->all;
    return PFX_OK;
}

static pfx_status decide_put(void *ctx, pfx_idx first, pfx_idx n, const double *const *field, pfx_err *err)
{
    bool stop;
    return decide(ctx, first, n, field, &stop, err);
}

static pfx_status decision_init(decision *d, const rep_run *r, pfx_err *err)
{
    *d = (decision){.r = r};
    if (r->o->decided == 0) return PFX_OK;
    if (!(d->term = pfx_mem_calloc(r->n_terms, sizeof *d->term, err))) return PFX_ENOMEM;
    for (int t = 0; t < r->n_terms; t++) {
        pfx_status st = pfx_decide_init(&d->term[t], r->o->decided, err);
        if (st != PFX_OK) return st;
    }
    return PFX_OK;
}

static void decision_free(decision *d)
{
    for (int t = 0; d->term && t < d->r->n_terms; t++) pfx_decide_free(&d->term[t]);
    pfx_mem_free(d->term);
}

static void report_decision(const decision *d, pfx_rep_report *report)
{
    for (int t = 0; d->term && t < d->r->n_terms; t++) {
        const pfx_decide *x = &d->term[t];
        pfx_rep_values *more = &report->term[t].more;
        pfx_rep_add_real(more, "decided", "alpha", NULL, x->alpha);
        pfx_rep_add_text(more, "decided", "p_value_is", "p-value against alpha",
                         x->decided < 0   ? "at most alpha"
                         : x->decided > 0 ? "above alpha"
                                          : "not decided");
        pfx_rep_add_count(more, "decided", "at", "decided at valid draw", x->decided ? x->n : 0);
    }
}

/* ---- the loop, its checkpoints and its interruption ---- */

typedef struct watch {
    rep_run *r;
    double last_s, cost_s; /* of the last checkpoint: when, and how long it took */
    pfx_idx done;          /* draws of earlier runs */
    const pfx_rep_run *run;
} watch;

static bool interrupted(void *ctx)
{
    (void)ctx;
    return pfx_stop_requested() != 0;
}

static pfx_status between(void *ctx, pfx_err *err)
{
    watch *w = ctx;
    const rep_run *r = w->r;
    double now = pfx_wall_s(), every = r->o->checkpoint;
    int sig = pfx_stop_requested();
    if (sig) {
        pfx_status st = r->file.checkpoint(r->file.ctx, false, err);
        if (st != PFX_OK) return st;
        return pfx_fail(err, PFX_EINTR,
                        "stopped by signal %d after %lld of %lld replicates, kept in %s.part; run again "
                        "with --resume",
                        sig, (long long)(w->done + w->run->done), (long long)(r->last - r->first), r->output);
    }
    /* A checkpoint copies what was drawn before: it may cost a twentieth of the time. */
    if (every < w->cost_s * 20) every = w->cost_s * 20;
    if (r->o->checkpoint == 0 || now - w->last_s < every) return PFX_OK;
    pfx_status st = r->file.checkpoint(r->file.ctx, true, err);
    w->last_s = pfx_wall_s();
    w->cost_s = w->last_s - now;
    return st;
}

/* Draws of the checkpoint to all sinks and to the decision; *from: the first that is missing. */
static pfx_status replay(rep_run *r, int n_sinks, const pfx_draw_sink *sinks, decision *d, pfx_idx *from,
                         pfx_err *err)
{
    pfx_draw_sink all[4];
    int n = 0;
    *from = r->first;
    if (!r->resumed) return PFX_OK;
    for (; n < n_sinks; n++) all[n] = sinks[n];
    if (d->term) all[n++] = (pfx_draw_sink){.ctx = d, .put = decide_put};
    pfx_status st = pfx_draws_replay(r->resumed, 0, pfx_draws_n(r->resumed), n, all, err);
    *from = r->first + pfx_draws_n(r->resumed);
    pfx_draws_close(r->resumed);
    r->resumed = NULL;
    return st;
}

/* *last: where the draws end. */
static pfx_status run_draws(rep_run *r, pfx_draw_keep *keep, decision *d, pfx_idx *last, pfx_err *err)
{
    pfx_draw_sink sinks[2];
    watch w = {.r = r, .last_s = pfx_wall_s()};
    pfx_rep_run run = {.seed = (uint64_t)r->o->seed,
                       .last = r->last,
                       .nth = (int)r->o->common.threads,
                       .what = r->method->command,
                       .sinks = sinks,
                       .stop = d->term ? decide : NULL,
                       .stop_ctx = d,
                       .interrupted = r->file.ctx ? interrupted : NULL,
                       .between = r->file.ctx ? between : NULL,
                       .idle = r->file.ctx ? rep_guard_idle : NULL,
                       .between_ctx = &w};
    if (keep) sinks[run.n_sinks++] = pfx_draw_keep_sink(keep);
    if (r->file.ctx) sinks[run.n_sinks++] = r->file;
    pfx_status st = replay(r, run.n_sinks, sinks, d, &run.first, err);
    w.run = &run;
    w.done = run.first - r->first;
    if (r->file.ctx) rep_guard_loop(&run, w.done);
    if (st == PFX_OK && !d->all) st = pfx_rep_run_method(r->method->draws(r), &run, err);
    *last = run.first + run.done;
    if (r->file.ctx) rep_guard_loop(NULL, *last - r->first);
    if (st == PFX_OK && r->file.ctx && *last < r->last) st = r->file.cut(r->file.ctx, err);
    return st;
}

pfx_status rep_draw(rep_run *r, pfx_rep_report *report, pfx_err *err)
{
    pfx_draw_keep keep = {0};
    decision d = {0};
    bool summed = true;
    double t0 = pfx_wall_s();
    pfx_status st = check_size(r, &summed, err);
    summed = summed && r->n_shards == 1;
    if (st == PFX_OK && summed)
        st = pfx_draw_keep_init(&keep, r->n_terms, r->method->keep(r), r->first, r->last - r->first, err);
    if (st == PFX_OK) st = decision_init(&d, r, err);
    if (st == PFX_OK && r->file.ctx) {
        pfx_stop_defer(true); /* and from here on to the end: what is drawn is kept */
        st = rep_guard_begin(r, err);
        if (st == PFX_OK) st = begin_file(r, err);
    }
    pfx_idx last = r->first;
    if (st == PFX_OK) st = run_draws(r, summed ? &keep : NULL, &d, &last, err);
    report->reps = r->reps;
    report->seed = (uint64_t)r->o->seed;
    for (int t = 0; t < r->n_terms; t++) report->term[t].reps = last - r->first;
    if (st == PFX_OK && summed) {
        if (r->file.ctx) rep_guard_idle(NULL, true);
        st = r->method->summarise(r, &keep, report, err);
        if (r->file.ctx) rep_guard_idle(NULL, false);
    }
    if (st == PFX_OK && summed) report_decision(&d, report);
    if (!summed) report->n_terms = 0;
    pfx_draw_keep_free(&keep);
    decision_free(&d);
    r->compute_s += pfx_wall_s() - t0;
    return st;
}

/* The --estimate answer, from some batches; to a plan, if there is one. */
static pfx_status print_need(rep_run *r, pfx_err *err)
{
    const pfx_rep_method *m = r->method->draws(r);
    int nth = (int)r->o->common.threads;
    char text[160];
    bool planned = false;
    rep_need need = {0};
    pfx_status st = pfx_rep_measure(m, nth, &need.draw_s, err);
    if (st != PFX_OK) return st;
    need.bytes = needed_bytes(r) + kept_bytes(r);
    need.start_s = pfx_run_s();
    if ((st = rep_fill_plan(r, &need, &planned, err)) != PFX_OK || planned) return st;
    int n = snprintf(text, sizeof text, "memory %.1f MiB, time %.2f s\n", need.bytes / 1048576.0,
                     need.start_s + need.draw_s * (double)(r->last - r->first));
    return pfx_file_write_text(NULL, text, (size_t)n, false, err);
}

/* Which replicates these are, where they are not the whole run. */
static void report_shard(const rep_run *r, pfx_rep_report *report)
{
    if (r->n_shards == 1) return;
    pfx_rep_add_count(&report->more, "shard", "number", "shard", r->shard);
    pfx_rep_add_count(&report->more, "shard", "of", "of", r->n_shards);
    pfx_rep_add_count(&report->more, "shard", "first", "replicates from", r->first + 1);
    pfx_rep_add_count(&report->more, "shard", "last", "to", r->last);
}

/* The run's output, unless it is whole already. */
static pfx_status begin_output(rep_run *r, pfx_err *err)
{
    char what[32];
    pfx_status st = rep_output_begin(r, err);
    snprintf(what, sizeof what, "panelfx %s", r->method->command);
    if (st == PFX_OK && r->file.ctx) pfx_stop_install(what);
    return st;
}

/* The run's replicates, to its file and the report. */
static pfx_status run_shard(rep_run *r, pfx_err *err)
{
    pfx_rep_report report = {0};
    pfx_status st = rep_report_begin(r, &report, err);
    if (st == PFX_OK) report_shard(r, &report);
    if (st == PFX_OK) st = rep_draw(r, &report, err);
    if (st == PFX_OK && r->file.ctx) st = r->file.commit(r->file.ctx, err);
    rep_guard_end(r);
    if (st == PFX_OK) st = rep_report_print(r, &report, err);
    pfx_rep_report_free(&report);
    return st;
}

/* While the shard is whole, on to the plan's next one; *whole in the end: no shard is left. */
static pfx_status skip_whole(rep_run *r, bool *whole, pfx_err *err)
{
    pfx_idx shard;
    pfx_status st = PFX_OK;
    while (st == PFX_OK && *whole && (shard = rep_next_shard()) != 0) {
        rep_output_end(r);
        pfx_stop_defer(false); /* as a process of its own would begin */
        r->shard = shard;
        rep_bounds(r);
        st = rep_name_output(r, err);
        if (st == PFX_OK) st = begin_output(r, err);
        if (st == PFX_OK) st = rep_output_resume(r, whole, err);
    }
    return st;
}

static pfx_status run_all(rep_run *r, const char *panel, const char *formula, pfx_err *err)
{
    bool whole = false;
    pfx_status st = rep_check_options(r->o, err);
    if (st == PFX_OK) st = rep_choose_draws(r, err);
    if (st == PFX_OK) st = pfx_out_spare(r->output, panel, err);
    if (st == PFX_OK) st = begin_output(r, err);
    double t0 = pfx_wall_s();
    if (st == PFX_OK) st = rep_open(r, panel, formula, err);
    r->read_s += pfx_wall_s() - t0;
    if (st == PFX_OK) st = rep_check_plan(r, err);
    if (st == PFX_OK) st = rep_output_resume(r, &whole, err);
    if (st == PFX_OK) st = skip_whole(r, &whole, err);
    if (st != PFX_OK || whole) return st;
    st = rep_planned_stats() ? rep_read_stats(r, rep_planned_stats(), err) : rep_load(r, err);
    rep_bounds(r); /* a method that enumerates has fewer replicates than asked for */
    if (st == PFX_OK && r->o->estimate) return print_need(r, err);
    if (st == PFX_OK) st = check_memory(r, err);
    while (st == PFX_OK && !whole) {
        st = run_shard(r, err);
        whole = true;
        if (st == PFX_OK) st = skip_whole(r, &whole, err);
    }
    return st;
}

pfx_status rep_command(rep_run *r, const char *panel, const char *formula, pfx_err *err)
{
    pfx_status st = run_all(r, panel, formula, err);
    rep_free(r);
    return st;
}
