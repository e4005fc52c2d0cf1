/* The pass over the demeaned rows: residuals, scores, meats. */
#include "src/est/vcov.h"

#include <string.h>
#include "kernels/gram.h"
#include "kernels/resid.h"
#include "kernels/score.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/est/codes.h"
#include "src/est/solve.h"
#include "src/model/design.h"

/* Clusters are summed in slices of this many: part of the result's definition, as the absorber's groups of blocks are,
 * each of which is a chunk here. */
enum { SLICE = 4096 };
/* Chunks whose sums are kept at a time: enough for any number of threads, as many as fit the bytes. Results do not
 * depend on it. */
enum { MAX_WAVE = 256, MIN_WAVE = 8 };
static const double WAVE_BYTES = 16.0 * 1024 * 1024;

typedef enum route { ROUTE_ROWS, ROUTE_RUNS, ROUTE_SUMS, ROUTE_LEVELS /* each a cluster */ } route;

/* A run of rows of one cluster that touches a chunk's end, and so may go on in the next. */
typedef struct edge {
    int32_t code; /* -1: none */
    double *s;    /* [q] */
} edge;

typedef struct chunk_meat {
    double *M;        /* [q x q] upper triangle: of rows, or of complete runs; [p x p] of levels */
    edge first, last; /* of ROUTE_RUNS; last is the open run */
    pfx_idx n_runs;   /* of ROUTE_SUMS: runs of rows of one cluster */
    double *runs;     /* [n_runs x q] their scores */
    int32_t *code;    /* [n_runs] */
} chunk_meat;

/* One meat over all chunks so far. */
typedef struct total_meat {
    edge open;    /* the run that the last chunk left open */
    double *sums; /* [G x q] of ROUTE_SUMS */
} total_meat;

typedef struct chunk {
    double *gradient; /* [q] */
    double ssr;
    chunk_meat meat[PFX_MAX_MEATS];
} chunk;

typedef struct pass {
    const pfx_scores *s;
    int p, q;
    bool intercept; /* is a coefficient: its scores are wanted */
    bool levels;    /* every cluster holds whole levels of the eliminated effect: no demeaned rows are needed */
    route route[PFX_MAX_MEATS];
    total_meat total[PFX_MAX_MEATS];
    double *open;      /* [PFX_MAX_MEATS][q] */
    pfx_idx chunk0;    /* first of the wave */
    pfx_idx n_chunks;  /* of the wave */
    pfx_idx max_wave;
    chunk *chunks;     /* [max_wave] */
    double *memory;    /* all of the chunks' arrays, */
    pfx_idx per_chunk; /* so many doubles each */
    int32_t *codes;    /* [max_wave][n_sums][chunk_rows] */
    double *buf;       /* [nth][stride] */
    pfx_idx *starts;   /* [nth][max_rows + 1] */
    pfx_idx ldp;       /* p in whole lanes */
    pfx_idx max_rows, stride, chunk_rows;
    pfx_idx n_spare;   /* of the stride, for the map */
} pass;

/* A block's rows and what a thread makes of them. Where the scores of whole levels are had at once, they stand in place
 * of the rows, without e and w, and so do their first rows' codes. */
typedef struct block {
    pfx_idx row0, n;
    const double *rows, *e, *w; /* [n x ld], [n] residuals, [n] weights or NULL */
    pfx_idx ld;
    const pfx_idx *level;       /* [n + 1] first rows of the levels, or NULL */
    int32_t *level_code;        /* [n] scratch */
    double *f;                  /* [n] scratch */
    double *S;                  /* [n x q] scratch */
    double *g;                  /* [q] scratch */
    pfx_idx *start;             /* [n + 1] scratch */
    double *spare;              /* of the map */
} block;

static void add(pfx_idx q, const double *restrict s, double *restrict to)
{
    for (pfx_idx j = 0; j < q; j++) to[j] += s[j];
}

static void add_outer(const pass *ps, const double *s, double *M)
{
    pfx_k_gram(ps->s->isa, 1, ps->q, ps->q, s, NULL, M);
}

/* Scores of the runs between starts, [n_runs x q], the intercept's in the last column. */
static void score_runs(const pass *ps, const block *b, pfx_idx n_runs, const pfx_idx *start, double *S)
{
    pfx_k_score(ps->s->isa, n_runs, start, ps->p, b->ld, b->rows, b->e, b->w, ps->q, S);
    for (pfx_idx r = 0; r < n_runs; r++) {
        double sum = 0;
        if (ps->intercept)
            for (pfx_idx i = start[r]; i < start[r + 1]; i++) sum += b->w ? b->w[i] * b->e[i] : b->e[i];
        S[r * ps->q + ps->p] = sum;
    }
}

/* A run that ends inside the chunk is complete, unless it was the chunk's first. */
static void close_run(const pass *ps, chunk_meat *m)
{
    if (m->first.code < 0) {
        m->first.code = m->last.code;
        memcpy(m->first.s, m->last.s, (size_t)ps->q * sizeof *m->last.s);
    } else {
        add_outer(ps, m->last.s, m->M);
    }
}

/* Where the runs of rows of one cluster begin, in b->start. Returns their number. */
static pfx_idx find_runs(const block *b, const int32_t *code)
{
    pfx_idx n = 0;
    for (pfx_idx i = 0; i < b->n; i++)
        if (i == 0 || code[i] != code[i - 1]) b->start[n++] = i;
    b->start[n] = b->n;
    return n;
}

/* Returns the number of runs, whose scores are then in b->S. */
static pfx_idx take_runs(const pass *ps, const block *b, const int32_t *code, chunk_meat *m)
{
    pfx_idx n_runs = find_runs(b, code), q = ps->q, from = 0;
    score_runs(ps, b, n_runs, b->start, b->S);

    if (m->last.code == code[0]) {
        add(q, b->S, m->last.s);
        from = 1;
    } else if (m->last.code < 0) {
        m->last.code = code[0];
        memcpy(m->last.s, b->S, (size_t)q * sizeof *b->S);
        from = 1;
    }
    if (from == n_runs) return n_runs;
    close_run(ps, m);
    pfx_idx to = n_runs - 1; /* stays open */
    if (to > from) pfx_k_gram(ps->s->isa, to - from, ps->q, q, b->S + from * q, NULL, m->M);
    m->last.code = code[b->start[to]];
    memcpy(m->last.s, b->S + to * q, (size_t)q * sizeof *b->S);
    return n_runs;
}

/* Meat of single rows: X'diag((we)^2)X with the intercept's border; w e^2 with frequency weights. */
static void take_rows(const pass *ps, const block *b, bool frequency, double *M)
{
    int p = ps->p, q = ps->q;
    pfx_idx whole[2] = {0, b->n};
    for (pfx_idx i = 0; i < b->n; i++) {
        double e2 = b->e[i] * b->e[i];
        b->f[i] = !b->w ? e2 : frequency ? b->w[i] * e2 : b->w[i] * b->w[i] * e2;
    }
    double *part = b->S; /* [p x p], then the border [p] */
    memset(part, 0, (size_t)(p * p) * sizeof *part);
    pfx_k_gram(ps->s->isa, b->n, p, p, b->rows, b->f, part);
    pfx_k_score(ps->s->isa, 1, whole, p, p, b->rows, b->f, NULL, p, part + p * p);
    for (int i = 0; i < p; i++) {
        for (int j = i; j < p; j++) M[i * q + j] += part[i * p + j];
        M[i * q + p] += part[p * p + i];
    }
    for (pfx_idx i = 0; i < b->n; i++) M[p * q + p] += b->f[i];
}

/* Scores of the runs go to the chunk's list: their clusters may occur anywhere. */
static void take_sums(const pass *ps, const block *b, const int32_t *code, chunk_meat *m)
{
    pfx_idx n = find_runs(b, code);
    score_runs(ps, b, n, b->start, m->runs + m->n_runs * ps->q);
    for (pfx_idx i = 0; i < n; i++) m->code[m->n_runs++] = code[b->start[i]];
}

/* The cluster's codes of the block's rows, or of its levels. */
static const int32_t *codes_of(const block *b, const pfx_factor *f)
{
    const int32_t *code = f->code + b->row0;
    for (pfx_idx i = 0; b->level && i < b->n; i++) b->level_code[i] = code[b->level[i] - b->level[0]];
    return b->level ? b->level_code : code;
}

static void take_block(const pass *ps, const block *b, chunk *c)
{
    const pfx_scores *s = ps->s;
    bool summed = false;
    pfx_idx whole[2] = {0, b->n};
    for (int m = 0; m < s->n_meats; m++) {
        chunk_meat *cm = &c->meat[m];
        if (ps->route[m] == ROUTE_ROWS)
            take_rows(ps, b, s->d->weights_kind == PFX_W_FREQUENCY, cm->M);
        else if (ps->route[m] == ROUTE_LEVELS)
            pfx_k_gram(s->isa, b->n, ps->p, b->ld, b->rows, NULL, cm->M);
        else if (ps->route[m] == ROUTE_SUMS)
            take_sums(ps, b, codes_of(b, s->meat[m].cluster), cm);
        else {
            pfx_idx runs[2] = {0, take_runs(ps, b, codes_of(b, s->meat[m].cluster), cm)};
            if (!summed) pfx_k_score(s->isa, 1, runs, ps->q, ps->q, b->S, NULL, NULL, ps->q, b->g);
            summed = true;
        }
    }
    if (!summed) score_runs(ps, b, 1, whole, b->g);
    add(ps->q, b->g, c->gradient);
}

/* Residuals and scores of the block's levels; returns sum w e^2. */
static double score_levels(const pass *ps, pfx_idx i, double *rows, double *e, block *b)
{
    const pfx_scores *s = ps->s;
    double ssr = 0;
    if (s->map) {
        b->n = s->map->levels(s->map->ctx, i, e, b->ld, rows, &b->level, b->spare);
        return ssr;
    }
    b->n = pfx_absorber_level_scores(s->a, i, s->c, e, b->ld, rows, &b->level, &ssr);
    return ssr;
}

/* The map's scores stand for rows whose residuals are one. */
static void map_rows(const pass *ps, pfx_idx i, double *rows, double *e, block *b)
{
    const pfx_scores *s = ps->s;
    double *demeaned = b->spare, *scratch = demeaned + ps->max_rows * s->d->p;
    pfx_absorber_block(s->a, i, demeaned);
    s->map->fill(s->map->ctx, b->n, demeaned, rows, scratch);
    for (pfx_idx r = 0; r < b->n; r++) e[r] = 1;
    b->e = e;
    b->w = s->d->w ? s->d->w + b->row0 : NULL;
}

/* Demeaned rows and residuals; returns sum w e^2. */
static double demean_rows(const pass *ps, pfx_idx i, double *rows, double *e, block *b)
{
    const pfx_scores *s = ps->s;
    double ssr = 0;
    if (s->map) {
        map_rows(ps, i, rows, e, b);
        return 0;
    }
    pfx_absorber_block(s->a, i, rows);
    pfx_k_resid(s->isa, b->n, ps->p, ps->p, rows, s->c, e);
    if (s->whiten) pfx_solve_whiten(s->whiten, b->n, rows);
    b->e = e;
    b->w = s->d->w ? s->d->w + b->row0 : NULL;
    for (pfx_idx r = 0; r < b->n; r++) ssr += b->w ? b->w[r] * e[r] * e[r] : e[r] * e[r];
    return ssr;
}

static void run_chunk(void *ctx, pfx_idx k, int thread)
{
    const pass *ps = ctx;
    const pfx_scores *s = ps->s;
    chunk *c = &ps->chunks[k];
    double *rows = ps->buf + thread * ps->stride, *e = rows + ps->max_rows * ps->ldp, *f = e + ps->max_rows;
    block b = {.rows = rows,
               .ld = ps->levels ? ps->ldp : ps->p,
               .f = f,
               .g = f + ps->max_rows,
               .S = f + ps->max_rows + ps->q,
               .level_code = (int32_t *)f,
               .start = ps->starts + thread * (ps->max_rows + 1),
               .spare = ps->buf + (thread + 1) * ps->stride - ps->n_spare};

    pfx_idx i0, i1;

    pfx_absorber_group(s->a, ps->chunk0 + k, &i0, &i1);
    for (pfx_idx i = i0; i < i1; i++) {
        pfx_absorber_block_rows(s->a, i, &b.row0, &b.n);
        pfx_idx n = b.n;
        if (n == 0) continue;
        c->ssr += ps->levels ? score_levels(ps, i, rows, e, &b) : demean_rows(ps, i, rows, e, &b);
        if (s->resid) memcpy(s->resid + pfx_absorber_row0(s->a) + b.row0, e, (size_t)n * sizeof *e);
        take_block(ps, &b, c);
    }
}

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

/* How the clusters of meat m are found; every one of them holds whole levels where ps->levels is left true. */
static pfx_status choose_route(pass *ps, int m, pfx_err *err)
{
    const pfx_scores *s = ps->s;
    const pfx_design_stream *stream = s->d->stream;
    const pfx_factor *f = s->meat[m].cluster;
    bool ascending = false;
    ps->route[m] = ROUTE_ROWS;
    ps->total[m].open = (edge){-1, ps->open + m * ps->q};
    if (!f) {
        ps->levels = false;
        return PFX_OK;
    }
    if (ps->levels && stream)
        ps->levels = stream->nested(stream->ctx, stream->unit, (int)(f - s->d->clusters));
    else if (ps->levels)
        ps->levels = pfx_absorber_levels_within(s->a, f, &ascending);
    if (!ps->levels && !stream && !ascending) ascending = !pfx_codes_compare(s->d->n, f->code, f->code, true, s->nth).f_falls;
    unsigned char *seen = pfx_mem_alloc(stream || ascending ? 0 : f->n_levels, 1, err);
    if (!seen) return PFX_ENOMEM;
    bool runs = stream ? stream->contiguous(stream->ctx, (int)(f - s->d->clusters))
                       : ascending || is_contiguous(s->d->n, f, seen);
    ps->route[m] = runs ? ROUTE_RUNS : ROUTE_SUMS;
    pfx_mem_free(seen);
    if (!runs && !(ps->total[m].sums = pfx_mem_calloc(f->n_levels * ps->q, sizeof(double), err))) return PFX_ENOMEM;
    return PFX_OK;
}

static pfx_status choose_routes(pass *ps, pfx_err *err)
{
    const pfx_scores *s = ps->s;
    pfx_status st = PFX_OK;
    ps->open = pfx_mem_alloc(PFX_MAX_MEATS * ps->q, sizeof *ps->open, err);
    if (!ps->open) return PFX_ENOMEM;
    ps->levels = pfx_absorber_has_levels(s->a) && !s->whiten && (!s->map || s->map->levels);
    for (int m = 0; m < s->n_meats && st == PFX_OK; m++) st = choose_route(ps, m, err);
    /* As many clusters as levels, each level in one of them: one each. */
    for (int m = 0; m < s->n_meats && ps->levels && st == PFX_OK; m++)
        if (s->meat[m].cluster->n_levels == pfx_absorber_n_levels(s->a)) ps->route[m] = ROUTE_LEVELS;
    return st;
}

static int n_sums(const pass *ps)
{
    int n = 0;
    for (int m = 0; m < ps->s->n_meats; m++) n += ps->route[m] == ROUTE_SUMS;
    return n;
}

static void free_buffers(pass *ps)
{
    pfx_mem_free(ps->starts), pfx_mem_free(ps->buf), pfx_mem_free(ps->memory), pfx_mem_free(ps->codes);
    pfx_mem_free(ps->chunks);
    ps->starts = NULL, ps->buf = ps->memory = NULL, ps->codes = NULL, ps->chunks = NULL;
}

/* Room for the chunks and threads of this window, unless what is there will do. */
static pfx_status make_buffers(pass *ps, pfx_err *err)
{
    const pfx_scores *s = ps->s;
    pfx_idx q = ps->q, groups = pfx_absorber_n_groups(s->a), rows = longest_chunk(s->a);
    pfx_idx max_rows = pfx_absorber_max_block_rows(s->a);
    if (n_sums(ps) == 0) rows = 0;
    ps->per_chunk = q + s->n_meats * (q * q + 2 * q) + n_sums(ps) * rows * q;
    pfx_idx fit = (pfx_idx)(WAVE_BYTES / ((double)ps->per_chunk * (double)sizeof(double)));
    fit = fit < MIN_WAVE ? MIN_WAVE : fit > MAX_WAVE ? MAX_WAVE : fit;
    if (fit > groups) fit = groups;
    if (fit <= ps->max_wave && rows <= ps->chunk_rows && max_rows <= ps->max_rows) {
        ps->per_chunk = q + s->n_meats * (q * q + 2 * q) + n_sums(ps) * ps->chunk_rows * q;
        return PFX_OK;
    }
    free_buffers(ps);
    ps->max_wave = fit, ps->chunk_rows = rows, ps->max_rows = max_rows;
    /* rows, e, f, g, and S, which also holds take_rows' [p x p + p] */
    ps->n_spare = s->map ? max_rows * ((s->d->p + 7) / 8 * 8) + s->map->n_scratch : 0;
    ps->stride = max_rows * (ps->ldp + 2) + (1 + (max_rows > q ? max_rows : q)) * q + ps->n_spare;
    ps->chunks = pfx_mem_calloc(fit, sizeof *ps->chunks, err);
    ps->memory = pfx_mem_alloc(fit * ps->per_chunk, sizeof *ps->memory, err);
    ps->codes = pfx_mem_alloc(fit * n_sums(ps) * rows, sizeof *ps->codes, err);
    ps->buf = pfx_mem_alloc(s->nth * ps->stride, sizeof *ps->buf, err);
    ps->starts = pfx_mem_alloc(s->nth * (max_rows + 1), sizeof *ps->starts, err);
    return ps->chunks && ps->memory && ps->codes && ps->buf && ps->starts ? PFX_OK : PFX_ENOMEM;
}

/* Lay the arrays of chunk k out, with nothing in them. */
static void clear_chunk(const pass *ps, pfx_idx k)
{
    const pfx_scores *s = ps->s;
    pfx_idx q = ps->q, sums = k * n_sums(ps);
    double *at = ps->memory + k * ps->per_chunk;
    chunk *c = &ps->chunks[k];
    memset(at, 0, (size_t)(q + s->n_meats * (q * q + 2 * q)) * sizeof *at);
    c->gradient = at;
    c->ssr = 0;
    at += q;
    for (int m = 0; m < s->n_meats; m++, at += q * q + 2 * q)
        c->meat[m] = (chunk_meat){.M = at, .first = {-1, at + q * q}, .last = {-1, at + q * q + q}};
    for (int m = 0; m < s->n_meats; m++) {
        if (ps->route[m] != ROUTE_SUMS) continue;
        c->meat[m].runs = at;
        c->meat[m].code = ps->codes + sums++ * ps->chunk_rows;
        at += ps->chunk_rows * q;
    }
}

/* Complete the runs that chunk bounds cut. */
static void join_runs(const pass *ps, const chunk_meat *cm, edge *open, double *M)
{
    const edge part[2] = {cm->first, cm->last};
    for (int i = 0; i < 2; i++) {
        if (part[i].code < 0) continue;
        if (part[i].code == open->code) {
            add(ps->q, part[i].s, open->s);
            continue;
        }
        if (open->code >= 0) add_outer(ps, open->s, M);
        open->code = part[i].code;
        memcpy(open->s, part[i].s, (size_t)ps->q * sizeof *open->s);
    }
    add((pfx_idx)ps->q * ps->q, cm->M, M);
}

/* Every cluster's runs in the order of the rows; a thread takes a range of clusters. */
typedef struct range_job {
    const pass *ps;
    int m;
} range_job;

static void join_range(void *ctx, pfx_idx k, int thread)
{
    const range_job *j = ctx;
    const pass *ps = j->ps;
    pfx_idx G = ps->s->meat[j->m].cluster->n_levels, g0 = G * k / ps->s->nth, g1 = G * (k + 1) / ps->s->nth;
    double *sums = ps->total[j->m].sums;
    (void)thread;
    for (pfx_idx c = 0; c < ps->n_chunks; c++) {
        const chunk_meat *cm = &ps->chunks[c].meat[j->m];
        for (pfx_idx r = 0; r < cm->n_runs; r++)
            if (cm->code[r] >= g0 && cm->code[r] < g1) add(ps->q, cm->runs + r * ps->q, sums + cm->code[r] * (pfx_idx)ps->q);
    }
}

/* The wave's chunks onto the totals, in order. */
static void join_wave(pass *ps)
{
    const pfx_scores *s = ps->s;
    for (pfx_idx k = 0; k < ps->n_chunks; k++) {
        const chunk *c = &ps->chunks[k];
        add(ps->q, c->gradient, s->gradient);
        *s->ssr += c->ssr;
        for (int m = 0; m < s->n_meats; m++) {
            if (ps->route[m] == ROUTE_ROWS) add((pfx_idx)ps->q * ps->q, c->meat[m].M, s->meat[m].M);
            for (pfx_idx i = 0; ps->route[m] == ROUTE_LEVELS && i < ps->p; i++)
                add(ps->p, c->meat[m].M + i * ps->p, s->meat[m].M + i * ps->q);
            if (ps->route[m] == ROUTE_RUNS) join_runs(ps, &c->meat[m], &ps->total[m].open, s->meat[m].M);
        }
    }
    for (int m = 0; m < s->n_meats; m++) {
        range_job j = {ps, m};
        if (ps->route[m] == ROUTE_SUMS) pfx_par_for(s->nth, s->nth, join_range, &j);
    }
}

static pfx_status run_window(pass *ps, pfx_err *err)
{
    pfx_idx groups = pfx_absorber_n_groups(ps->s->a);
    pfx_status st = make_buffers(ps, err);
    if (st != PFX_OK) return st;
    for (ps->chunk0 = 0; ps->chunk0 < groups; ps->chunk0 += ps->n_chunks) {
        ps->n_chunks = groups - ps->chunk0 < ps->max_wave ? groups - ps->chunk0 : ps->max_wave;
        for (pfx_idx k = 0; k < ps->n_chunks; k++) clear_chunk(ps, k);
        pfx_par_for(ps->n_chunks, ps->s->nth, run_chunk, ps);
        join_wave(ps);
    }
    return PFX_OK;
}

typedef struct slice_job {
    const pass *ps;
    int m;
    double *part; /* [n_slices][q x q] */
} slice_job;

/* The outer products of a slice of clusters. */
static void join_slice(void *ctx, pfx_idx k, int thread)
{
    const slice_job *j = ctx;
    const pass *ps = j->ps;
    pfx_idx G = ps->s->meat[j->m].cluster->n_levels, q = ps->q, g0 = k * SLICE,
            n = G - g0 < SLICE ? G - g0 : SLICE;
    (void)thread;
    pfx_k_gram(ps->s->isa, n, ps->q, q, ps->total[j->m].sums + g0 * q, NULL, j->part + k * q * q);
}

static pfx_status finish_sums(const pass *ps, int m, double *M, pfx_err *err)
{
    pfx_idx n_slices = (ps->s->meat[m].cluster->n_levels + SLICE - 1) / SLICE, qq = (pfx_idx)ps->q * ps->q;
    slice_job j = {.ps = ps, .m = m, .part = pfx_mem_calloc(n_slices * qq, sizeof *j.part, err)};
    if (!j.part) return PFX_ENOMEM;
    pfx_par_for(n_slices, ps->s->nth, join_slice, &j);
    for (pfx_idx k = 0; k < n_slices; k++) add(qq, j.part + k * qq, M);
    pfx_mem_free(j.part);
    return PFX_OK;
}

static pfx_status finish(const pass *ps, pfx_err *err)
{
    for (int m = 0; m < ps->s->n_meats; m++) {
        pfx_status st = PFX_OK;
        double *M = ps->s->meat[m].M;
        if (ps->total[m].open.code >= 0) add_outer(ps, ps->total[m].open.s, M);
        if (ps->route[m] == ROUTE_SUMS) st = finish_sums(ps, m, M, err);
        if (st != PFX_OK) return st;
        pfx_k_mirror(ps->q, M);
    }
    return PFX_OK;
}

pfx_status pfx_scores_run(const pfx_scores *s, pfx_err *err)
{
    int p = s->map ? s->map->width : s->d->p;
    pass ps = {.s = s, .p = p, .q = p + 1};
    bool more = true;
    ps.ldp = (ps.p + 7) / 8 * 8;
    ps.intercept = s->d->intercept && s->d->n_absorbed == 0 && !s->map;
    memset(s->gradient, 0, (size_t)ps.q * sizeof *s->gradient);
    *s->ssr = 0;
    for (int m = 0; m < s->n_meats; m++) memset(s->meat[m].M, 0, (size_t)ps.q * (size_t)ps.q * sizeof(double));
    pfx_status st = choose_routes(&ps, err);
    if (st == PFX_OK) st = pfx_absorber_rewind(s->a, err);
    while (st == PFX_OK && (st = pfx_absorber_next(s->a, &more, err)) == PFX_OK && more) st = run_window(&ps, err);
    if (st == PFX_OK) st = finish(&ps, err);
    free_buffers(&ps);
    for (int m = 0; m < s->n_meats; m++) pfx_mem_free(ps.total[m].sums);
    pfx_mem_free(ps.open);
    return st;
}
