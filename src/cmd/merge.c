/* The merge command: draws files of one run, each with a range of its replicates, into one. Two files are
 * open at a time; of the others a range is kept. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hdf5_io/draws.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cmd/commands.h"
#include "src/cmd/replicate.h"

typedef struct merge_options {
    pfx_common common;
    bool missing;
    const char *output;
} merge_options;

#define AT(field) offsetof(merge_options, field)
static const pfx_opt merge_table[] = {
    {"output", 'o', PFX_OPT_TEXT, AT(output), "DRAWS.h5", "the file of the whole run", NULL, "Merge"},
    {"missing", 0, PFX_OPT_FLAG, AT(missing), NULL,
     "print the shards that are not there, as sbatch --array takes them, and write nothing", NULL, NULL},
    {0},
};

/* Replicates first .. last - 1 of a file; of them, from `from` on are taken from it. */
typedef struct piece {
    const char *path;
    pfx_idx first, last, from;
    bool taken;
} piece;

typedef struct merge_run {
    merge_options o;
    int n;
    piece *piece;      /* [n] by first replicate, the longest first */
    pfx_draws *model;  /* the first file: all others are of its run */
    pfx_idx n_shards;  /* that all files are of; 0: of different numbers */
    pfx_draw_sink out; /* ctx NULL: none */
} merge_run;

static int by_first(const void *a, const void *b)
{
    const piece *x = a, *y = b;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    if (x->last != y->last) return x->last > y->last ? -1 : 1;
    return strcmp(x->path, y->path);
}

/* The first line in which two descriptions differ, as "there ..., here ..." */
static pfx_status other_run(const merge_run *m, const pfx_draws *d, pfx_err *err)
{
    const char *a, *b;
    int la, lb;
    rep_first_difference(pfx_draws_spec(m->model)->options, pfx_draws_spec(d)->options, &a, &la, &b, &lb);
    return pfx_fail(err, PFX_EDATA, "%s: of another run: its \"%.*s\" is \"%.*s\" in %s", pfx_draws_path(d),
                    lb, b, la, a, pfx_draws_path(m->model));
}

static pfx_status check_same_run(const merge_run *m, const pfx_draws *d, pfx_err *err)
{
    const pfx_draw_spec *a = pfx_draws_spec(m->model), *b = pfx_draws_spec(d);
    const char *x = pfx_draws_path(m->model), *y = pfx_draws_path(d);
    if (strcmp(a->spec_digest, b->spec_digest) != 0) return other_run(m, d, err);
    if (a->seed != b->seed)
        return pfx_fail(err, PFX_EDATA, "%s: of another run: seed %llu, but %llu in %s", y,
                        (unsigned long long)b->seed, (unsigned long long)a->seed, x);
    if (a->reps != b->reps)
        return pfx_fail(err, PFX_EDATA, "%s: of another run: %lld replicates, but %lld in %s", y,
                        (long long)b->reps, (long long)a->reps, x);
    if (strcmp(a->panel_digest, b->panel_digest) != 0)
        return pfx_fail(err, PFX_EDATA, "%s: drawn from other data than %s", y, x);
    if (strcmp(a->numerics, b->numerics) != 0)
        return pfx_fail(err, PFX_EDATA,
                        "%s: drawn with the kernels of %s, %s with those of %s; draw it again with --isa %s",
                        y, b->numerics, x, a->numerics, a->numerics);
    if (strcmp(pfx_draws_engine(m->model), pfx_draws_engine(d)) != 0)
        return pfx_fail(err, PFX_EDATA, "%s: drawn by panelfx %s, %s by %s", y, pfx_draws_engine(d), x,
                        pfx_draws_engine(m->model));
    if (a->n_terms != b->n_terms || a->n_extra != b->n_extra)
        return pfx_fail(err, PFX_EFORMAT, "%s: other terms or fields than %s", y, x);
    return PFX_OK;
}

/* Look at every file once. */
static pfx_status survey(merge_run *m, const char *const *paths, pfx_err *err)
{
    pfx_status st = pfx_draws_open(paths[0], &m->model, err);
    if (st == PFX_OK) m->n_shards = pfx_draws_spec(m->model)->n_shards;
    for (int i = 0; i < m->n && st == PFX_OK; i++) {
        pfx_draws *d = NULL;
        if ((st = pfx_draws_open(paths[i], &d, err)) != PFX_OK) return st;
        const pfx_draw_spec *s = pfx_draws_spec(d);
        st = check_same_run(m, d, err);
        m->piece[i] = (piece){.path = paths[i], .first = s->first, .last = s->last};
        if (s->n_shards != m->n_shards) m->n_shards = 0;
        pfx_draws_close(d);
    }
    if (st == PFX_OK) qsort(m->piece, (size_t)m->n, sizeof *m->piece, by_first);
    return st;
}

/* ---- what is missing ---- */

static void add_range(pfx_str *s, pfx_idx from, pfx_idx to)
{
    pfx_str_addf(s, "%s%lld", s->len ? "," : "", (long long)from);
    if (to > from) pfx_str_addf(s, "-%lld", (long long)to);
}

/* Shards with replicates in none of the files: those that begin or end in a gap a .. b - 1. */
static void add_shards(const merge_run *m, pfx_idx a, pfx_idx b, pfx_idx *said, pfx_str *s)
{
    pfx_idx n = m->n_shards, reps = pfx_draws_spec(m->model)->reps;
    /* Shard k has the replicates from floor((k-1) R / n): the one of replicate r is floor((r n + n - 1) / R)
     * + 1 .. */
    pfx_idx k = (pfx_idx)(((__int128)a * n) / reps), last;
    while (k < n && (pfx_idx)((__int128)(k + 1) * reps / n) <= a) k++;
    for (last = k; last + 1 < n && (pfx_idx)((__int128)(last + 1) * reps / n) < b; last++) {
    }
    if (k + 1 <= *said) k = *said;
    if (last + 1 > *said) add_range(s, k + 1, last + 1);
    if (last + 1 > *said) *said = last + 1;
}

/* Gaps between the files, as shards where all are of one number of them, else as replicates. */
static void find_missing(const merge_run *m, pfx_str *s)
{
    pfx_idx at = 0, reps = pfx_draws_spec(m->model)->reps, said = 0;
    for (int i = 0; i <= m->n; i++) {
        pfx_idx next = i < m->n ? m->piece[i].first : reps;
        if (next > at && m->n_shards > 1) add_shards(m, at, next, &said, s);
        if (next > at && m->n_shards <= 1) add_range(s, at + 1, next);
        if (i < m->n && m->piece[i].last > at) at = m->piece[i].last;
    }
}

static pfx_status refuse_gaps(const merge_run *m, const pfx_str *missing, pfx_err *err)
{
    const char *more = missing->len > 600 ? "..." : "";
    if (m->n_shards > 1)
        return pfx_fail(err, PFX_EDATA, "shards are missing of %lld: run them again, --array=%.600s%s",
                        (long long)m->n_shards, missing->s, more);
    return pfx_fail(err, PFX_EDATA, "replicates %.600s%s of %lld are in none of the files", missing->s, more,
                    (long long)pfx_draws_spec(m->model)->reps);
}

/* ---- what is there twice ---- */

/* A sink that compares what one file gives with another. */
typedef struct twin {
    pfx_draws *with;
    double *buf;
    pfx_idx room;
    pfx_draws *of;
} twin;

static pfx_status twin_put(void *ctx, pfx_idx first, pfx_idx n, const double *const *field, pfx_err *err)
{
    twin *t = ctx;
    const pfx_draw_spec *s = pfx_draws_spec(t->with);
    if (n > t->room) {
        double *more = pfx_mem_realloc(t->buf, n * s->n_terms, sizeof *more, err);
        if (!more) return PFX_ENOMEM;
        t->buf = more;
        t->room = n;
    }
    for (int f = 0; f < PFX_DRAW_FIELDS + s->n_extra; f++) {
        pfx_status st = pfx_draws_read(t->with, f, first - s->first, n, t->buf, err);
        if (st != PFX_OK) return st;
        for (pfx_idx r = 0; r < n; r++)
            if (memcmp(t->buf + r * s->n_terms, field[f] + r * s->n_terms,
                       (size_t)s->n_terms * sizeof(double)) != 0)
                return pfx_fail(err, PFX_EDATA,
                                "%s and %s both hold replicate %lld, and differ; draw one of them again",
                                pfx_draws_path(t->with), pfx_draws_path(t->of), (long long)(first + r) + 1);
    }
    return PFX_OK;
}

/* Replicates a .. b - 1 of piece i against the pieces before it that gave them. */
static pfx_status compare(const merge_run *m, int i, pfx_draws *d, pfx_idx a, pfx_idx b, pfx_err *err)
{
    pfx_status st = PFX_OK;
    for (int j = i - 1; j >= 0 && st == PFX_OK; j--) {
        const piece *p = &m->piece[j];
        pfx_idx from = p->from > a ? p->from : a, to = p->last < b ? p->last : b;
        twin t = {.of = d};
        if (!p->taken || from >= to) continue;
        const pfx_draw_sink sink = {.ctx = &t, .put = twin_put};
        st = pfx_draws_open(p->path, &t.with, err);
        if (st == PFX_OK)
            st = pfx_draws_replay(d, from - m->piece[i].first, to - m->piece[i].first, 1, &sink, err);
        if (st == PFX_OK)
            pfx_note("%s and %s both hold replicates %lld to %lld, and agree", p->path, m->piece[i].path,
                     (long long)from + 1, (long long)to);
        pfx_draws_close(t.with);
        pfx_mem_free(t.buf);
    }
    return st;
}

/* ---- the whole ---- */

static pfx_status begin(merge_run *m, pfx_err *err)
{
    pfx_draw_spec spec = *pfx_draws_spec(m->model);
    char *json = NULL;
    spec.first = 0;
    spec.last = spec.reps;
    spec.shard = spec.n_shards = 1;
    pfx_status st = pfx_draws_fit(m->model, &json, err);
    if (st == PFX_OK) st = m->out.begin(m->out.ctx, &spec, err);
    if (st == PFX_OK) st = m->out.result(m->out.ctx, json, err);
    pfx_mem_free(json);
    return st;
}

static pfx_status take(merge_run *m, int i, pfx_idx *at, pfx_err *err)
{
    piece *p = &m->piece[i];
    pfx_draws *d = NULL;
    pfx_status st = pfx_draws_open(p->path, &d, err);
    pfx_idx both = p->last < *at ? p->last : *at;
    if (st == PFX_OK && p->first < both) st = compare(m, i, d, p->first, both, err);
    if (st == PFX_OK && p->last > *at) {
        p->from = *at;
        p->taken = true;
        st = pfx_draws_replay(d, *at - p->first, p->last - p->first, 1, &m->out, err);
        *at = p->last;
    }
    pfx_draws_close(d);
    pfx_progress_set((double)*at);
    return st;
}

static pfx_status join(merge_run *m, pfx_err *err)
{
    pfx_idx at = 0, reps = pfx_draws_spec(m->model)->reps;
    pfx_status st = begin(m, err);
    pfx_progress_begin("merging", "replicates", (double)reps);
    for (int i = 0; i < m->n && st == PFX_OK; i++) st = take(m, i, &at, err);
    pfx_progress_end();
    if (st == PFX_OK) st = m->out.commit(m->out.ctx, err);
    if (st == PFX_OK) pfx_note("wrote %s: %lld replicates of %d files", m->o.output, (long long)reps, m->n);
    return st;
}

static pfx_status run(merge_run *m, const char *const *paths, pfx_err *err)
{
    pfx_str missing = {0};
    pfx_status st = PFX_OK;
    if (!m->o.output && !m->o.missing)
        return pfx_fail(err, PFX_EUSAGE, "merge needs a file for the whole run: -o DRAWS.h5");
    for (int i = 0; i < m->n && st == PFX_OK; i++) st = pfx_out_spare(m->o.output, paths[i], err);
    if (st == PFX_OK && !m->o.missing) st = pfx_draws_sink(m->o.output, m->o.common.force, &m->out, err);
    if (st == PFX_OK && !(m->piece = pfx_mem_calloc(m->n, sizeof *m->piece, err))) st = PFX_ENOMEM;
    if (st == PFX_OK) st = survey(m, paths, err);
    if (st == PFX_OK) find_missing(m, &missing);
    if (st == PFX_OK && missing.failed)
        st = pfx_fail(err, PFX_ENOMEM, "out of memory for the list of shards");
    if (st == PFX_OK && m->o.missing) {
        if (missing.len) pfx_str_add(&missing, "\n");
        if (missing.len) st = pfx_file_write_text(NULL, missing.s, missing.len, false, err);
    } else if (st == PFX_OK) {
        st = missing.len ? refuse_gaps(m, &missing, err) : join(m, err);
    }
    pfx_str_free(&missing);
    return st;
}

static pfx_status merge_run_command(int argc, char **argv, pfx_err *err)
{
    merge_run m = {0};
    const char **paths = pfx_mem_alloc(argc, sizeof *paths, err);
    if (!paths) return PFX_ENOMEM;
    pfx_status st = pfx_opt_parse(&pfx_cmd_merge, argc, argv, &m.o, 1, argc, paths, &m.n, err);
    if (st == PFX_OK && !m.o.common.help) st = run(&m, paths, err);
    if (m.out.abort) m.out.abort(m.out.ctx);
    pfx_draws_close(m.model);
    pfx_mem_free(m.piece);
    pfx_mem_free(paths);
    return st;
}

const pfx_command pfx_cmd_merge = {"merge",     "SHARD.h5...",     "join the draws of shards into one file",
                                   merge_table, merge_run_command, NULL};
