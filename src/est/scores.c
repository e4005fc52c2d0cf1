/* The pass over the demeaned rows: residuals, scores, meats. */
#include "src/est/vcov.h"

#include <string.h>
#include "kernels/gram.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/est/codes.h"
#include "src/est/scores_private.h"
#include "src/model/design.h"

/* Clusters are summed in slices of this many: part of the result's definition, as the absorber's groups of
 * blocks are, each of which is a chunk here. */
enum { SLICE = 4096 };
/* Chunks whose sums are kept at a time: enough for any number of threads, as many as fit the bytes. Results
 * do not depend on it. */
enum { MAX_WAVE = 512, MIN_WAVE = 8 };
static const double WAVE_BYTES = 16.0 * 1024 * 1024;

/* Every cluster's rows lie together. seen [n_levels] scratch. */
static bool is_contiguous(pfx_idx n, const pfx_factor *f, unsigned char *seen)
{
    memset(seen, 0, (size_t)f->n_levels);
    for (pfx_idx i = 0; i < n; i++) {
        if (i && f->code[i] == f->code[i - 1]) continue;
        if (seen[f->code[i]]) return false;
        seen[f->code[i]] = 1;
    }
    return true;
}

/* Rows of the longest chunk of the window. */
static pfx_idx longest_chunk(const pfx_absorber *a)
{
    pfx_idx most = 0;
    for (pfx_idx g = 0; g < pfx_absorber_n_groups(a); g++) {
        pfx_idx b0, b1, row0, row1, n;
        pfx_absorber_group(a, g, &b0, &b1);
        pfx_absorber_block_rows(a, b0, &row0, &n);
        pfx_absorber_block_rows(a, b1 - 1, &row1, &n);
        if (row1 + n - row0 > most) most = row1 + n - row0;
    }
    return most;
}

/* How the clusters of meat m are found; every one of them holds whole levels where ps->levels is left true.
 */
static pfx_status choose_route(pfx_scores_pass *ps, int m, pfx_err *err)
{
    const pfx_scores *s = ps->s;
    const pfx_design_stream *stream = s->d->stream;
    const pfx_factor *f = s->meat[m].cluster;
    bool ascending = false;
    ps->route[m] = PFX_SCORES_ROWS;
    ps->total[m].open = (pfx_scores_edge){-1, ps->open + m * ps->q};
    if (!f) {
        ps->levels = false;
        return PFX_OK;
    }
    if (ps->levels && stream)
        ps->levels = stream->nested(stream->ctx, stream->unit, (int)(f - s->d->clusters));
    else if (ps->levels)
        ps->levels = pfx_absorber_levels_within(s->a, f, &ascending);
    if (!ps->levels && !stream && !ascending)
        ascending = !pfx_codes_compare(s->d->n, f->code, f->code, true, s->nth).f_falls;
    unsigned char *seen = pfx_mem_alloc(stream || ascending ? 0 : f->n_levels, 1, err);
    if (!seen) return PFX_ENOMEM;
    bool runs = stream ? stream->contiguous(stream->ctx, (int)(f - s->d->clusters))
                       : ascending || is_contiguous(s->d->n, f, seen);
    ps->route[m] = runs ? PFX_SCORES_RUNS : PFX_SCORES_SUMS;
    pfx_mem_free(seen);
    if (!runs && !(ps->total[m].sums = pfx_mem_calloc(f->n_levels * ps->q, sizeof(double), err)))
        return PFX_ENOMEM;
    return PFX_OK;
}

static pfx_status choose_routes(pfx_scores_pass *ps, pfx_err *err)
{
    const pfx_scores *s = ps->s;
    pfx_status st = PFX_OK;
    ps->open = pfx_mem_alloc(PFX_MAX_MEATS * ps->q, sizeof *ps->open, err);
    if (!ps->open) return PFX_ENOMEM;
    ps->levels = pfx_absorber_has_levels(s->a) && !s->whiten && (!s->map || s->map->levels);
    for (int m = 0; m < s->n_meats && st == PFX_OK; m++) st = choose_route(ps, m, err);
    /* As many clusters as levels, each level in one of them: one each. */
    for (int m = 0; m < s->n_meats && ps->levels && st == PFX_OK; m++)
        if (s->meat[m].cluster->n_levels == pfx_absorber_n_levels(s->a)) ps->route[m] = PFX_SCORES_LEVELS;
    for (int m = 0; m < s->n_meats; m++) ps->n_sums += ps->route[m] == PFX_SCORES_SUMS;
    return st;
}

static void free_buffers(pfx_scores_pass *ps)
{
    pfx_mem_free(ps->starts), pfx_mem_free(ps->buf), pfx_mem_free(ps->memory), pfx_mem_free(ps->codes);
    pfx_mem_free(ps->chunks);
    ps->starts = NULL, ps->buf = ps->memory = NULL, ps->codes = NULL, ps->chunks = NULL;
}

/* Room for the chunks and threads of this window, unless what is there will do. */
static pfx_status make_buffers(pfx_scores_pass *ps, pfx_err *err)
{
    const pfx_scores *s = ps->s;
    pfx_idx q = ps->q, groups = pfx_absorber_n_groups(s->a), rows = longest_chunk(s->a);
    pfx_idx max_rows = pfx_absorber_max_block_rows(s->a);
    if (ps->n_sums == 0) rows = 0;
    ps->per_chunk = q + s->n_meats * (q * q + 2 * q) + ps->n_sums * rows * q;
    pfx_idx fit = (pfx_idx)(WAVE_BYTES / ((double)ps->per_chunk * (double)sizeof(double)));
    fit = fit < MIN_WAVE ? MIN_WAVE : fit > MAX_WAVE ? MAX_WAVE : fit;
    if (fit > groups) fit = groups;
    if (fit <= ps->max_wave && rows <= ps->chunk_rows && max_rows <= ps->max_rows) {
        ps->per_chunk = q + s->n_meats * (q * q + 2 * q) + ps->n_sums * ps->chunk_rows * q;
        return PFX_OK;
    }
    free_buffers(ps);
    ps->max_wave = fit, ps->chunk_rows = rows, ps->max_rows = max_rows;
    /* rows, e, f, g, and S, which also holds take_rows' [p x p + p] */
    ps->n_spare = s->map ? max_rows * ((s->d->p + 7) / 8 * 8) + s->map->n_scratch : 0;
    ps->stride = max_rows * (ps->ldp + 2) + (1 + (max_rows > q ? max_rows : q)) * q + ps->n_spare;
    ps->chunks = pfx_mem_calloc(fit, sizeof *ps->chunks, err);
    ps->memory = pfx_mem_alloc(fit * ps->per_chunk, sizeof *ps->memory, err);
    ps->codes = pfx_mem_alloc(fit * ps->n_sums * rows, sizeof *ps->codes, err);
    ps->buf = pfx_mem_alloc(s->nth * ps->stride, sizeof *ps->buf, err);
    ps->starts = pfx_mem_alloc(s->nth * (max_rows + 1), sizeof *ps->starts, err);
    return ps->chunks && ps->memory && ps->codes && ps->buf && ps->starts ? PFX_OK : PFX_ENOMEM;
}

/* Complete the runs that chunk bounds cut. */
static void join_runs(const pfx_scores_pass *ps, const pfx_scores_part *cm, pfx_scores_edge *open, double *M)
{
    const pfx_scores_edge part[2] = {cm->first, cm->last};
    for (int i = 0; i < 2; i++) {
        if (part[i].code < 0) continue;
        if (part[i].code == open->code) {
            pfx_scores_add(ps->q, part[i].s, open->s);
            continue;
        }
        if (open->code >= 0) pfx_scores_add_outer(ps, open->s, M);
        open->code = part[i].code;
        memcpy(open->s, part[i].s, (size_t)ps->q * sizeof *open->s);
    }
    pfx_scores_add((pfx_idx)ps->q * ps->q, cm->M, M);
}

/* Every cluster's runs in the order of the rows; a thread takes a range of clusters. */
typedef struct range_job {
    const pfx_scores_pass *ps;
    int m;
} range_job;

static void join_range(void *ctx, pfx_idx k, int thread)
{
    const range_job *j = ctx;
    const pfx_scores_pass *ps = j->ps;
    pfx_idx G = ps->s->meat[j->m].cluster->n_levels, g0 = G * k / ps->s->nth, g1 = G * (k + 1) / ps->s->nth;
    double *sums = ps->total[j->m].sums;
    (void)thread;
    for (pfx_idx c = 0; c < ps->n_chunks; c++) {
        const pfx_scores_part *cm = &ps->chunks[c].meat[j->m];
        for (pfx_idx r = 0; r < cm->n_runs; r++)
            if (cm->code[r] >= g0 && cm->code[r] < g1)
                pfx_scores_add(ps->q, cm->runs + r * ps->q, sums + cm->code[r] * (pfx_idx)ps->q);
    }
}

/* The wave's chunks onto the totals, in order. */
static void join_wave(pfx_scores_pass *ps)
{
    const pfx_scores *s = ps->s;
    for (pfx_idx k = 0; k < ps->n_chunks; k++) {
        const pfx_scores_chunk *c = &ps->chunks[k];
        pfx_scores_add(ps->q, c->gradient, s->gradient);
        *s->ssr += c->ssr;
        for (int m = 0; m < s->n_meats; m++) {
            if (ps->route[m] == PFX_SCORES_ROWS)
                pfx_scores_add((pfx_idx)ps->q * ps->q, c->meat[m].M, s->meat[m].M);
            for (pfx_idx i = 0; ps->route[m] == PFX_SCORES_LEVELS && i < ps->p; i++)
                pfx_scores_add(ps->p, c->meat[m].M + i * ps->p, s->meat[m].M + i * ps->q);
            if (ps->route[m] == PFX_SCORES_RUNS) join_runs(ps, &c->meat[m], &ps->total[m].open, s->meat[m].M);
        }
    }
    for (int m = 0; m < s->n_meats; m++) {
        range_job j = {ps, m};
        if (ps->route[m] == PFX_SCORES_SUMS) pfx_par_for(s->nth, s->nth, join_range, &j);
    }
}

static pfx_status run_window(pfx_scores_pass *ps, pfx_err *err)
{
    pfx_idx groups = pfx_absorber_n_groups(ps->s->a);
    pfx_status st = make_buffers(ps, err);
    if (st != PFX_OK) return st;
    for (ps->chunk0 = 0; ps->chunk0 < groups; ps->chunk0 += ps->n_chunks) {
        ps->n_chunks = groups - ps->chunk0 < ps->max_wave ? groups - ps->chunk0 : ps->max_wave;
        pfx_par_for(ps->n_chunks, ps->s->nth, pfx_scores_fill_chunk, ps);
        join_wave(ps);
    }
    return PFX_OK;
}

typedef struct slice_job {
    const pfx_scores_pass *ps;
    int m;
    double *part; /* [n_slices][q x q] */
} slice_job;

/* The outer products of a slice of clusters. */
static void join_slice(void *ctx, pfx_idx k, int thread)
{
    const slice_job *j = ctx;
    const pfx_scores_pass *ps = j->ps;
    pfx_idx G = ps->s->meat[j->m].cluster->n_levels, q = ps->q, g0 = k * SLICE,
            n = G - g0 < SLICE ? G - g0 : SLICE;
    (void)thread;
    pfx_k_gram(ps->s->isa, n, ps->q, q, ps->total[j->m].sums + g0 * q, NULL, j->part + k * q * q);
}

static pfx_status finish_sums(const pfx_scores_pass *ps, int m, double *M, pfx_err *err)
{
    pfx_idx n_slices = (ps->s->meat[m].cluster->n_levels + SLICE - 1) / SLICE, qq = (pfx_idx)ps->q * ps->q;
    slice_job j = {.ps = ps, .m = m, .part = pfx_mem_calloc(n_slices * qq, sizeof *j.part, err)};
    if (!j.part) return PFX_ENOMEM;
    pfx_par_for(n_slices, ps->s->nth, join_slice, &j);
    for (pfx_idx k = 0; k < n_slices; k++) pfx_scores_add(qq, j.part + k * qq, M);
    pfx_mem_free(j.part);
    return PFX_OK;
}

static pfx_status finish(const pfx_scores_pass *ps, pfx_err *err)
{
    for (int m = 0; m < ps->s->n_meats; m++) {
        pfx_status st = PFX_OK;
        double *M = ps->s->meat[m].M;
        if (ps->total[m].open.code >= 0) pfx_scores_add_outer(ps, ps->total[m].open.s, M);
        if (ps->route[m] == PFX_SCORES_SUMS) st = finish_sums(ps, m, M, err);
        if (st != PFX_OK) return st;
        pfx_k_mirror(ps->q, M);
    }
    return PFX_OK;
}

pfx_status pfx_scores_run(const pfx_scores *s, pfx_err *err)
{
    int p = s->map ? s->map->width : s->d->p;
    pfx_scores_pass ps = {.s = s, .p = p, .q = p + 1};
    bool more = true;
    ps.ldp = (ps.p + 7) / 8 * 8;
    ps.intercept = s->d->intercept && s->d->n_absorbed == 0 && !s->map;
    memset(s->gradient, 0, (size_t)ps.q * sizeof *s->gradient);
    *s->ssr = 0;
    for (int m = 0; m < s->n_meats; m++)
        memset(s->meat[m].M, 0, (size_t)ps.q * (size_t)ps.q * sizeof(double));
    pfx_status st = choose_routes(&ps, err);
    if (st == PFX_OK) st = pfx_absorber_rewind(s->a, err);
    while (st == PFX_OK && (st = pfx_absorber_next(s->a, &more, err)) == PFX_OK && more)
        st = run_window(&ps, err);
    if (st == PFX_OK) st = finish(&ps, err);
    free_buffers(&ps);
    for (int m = 0; m < s->n_meats; m++) pfx_mem_free(ps.total[m].sums);
    pfx_mem_free(ps.open);
    return st;
}
