/* The pass over the demeaned rows: residuals, scores, meats. */
#include "src/est/vcov.h"

#include <string.h>
#include "kernels/gram.h"
#include "kernels/resid.h"
#include "kernels/score.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/model/design.h"

/* Rows are summed in at most this many chunks, clusters in slices of this many: part of the result's
 * definition. */
enum { MAX_CHUNKS = 64, SLICE = 4096 };
/* Bytes that the chunks' sums may take together; likewise. */
static const double MAX_PARTIAL_BYTES = 256.0 * 1024 * 1024;

typedef enum route { ROUTE_ROWS, ROUTE_RUNS, ROUTE_SUMS } route;

/* A run of rows of one cluster that touches a chunk's end, and so may go on in the next. */
typedef struct edge {
    int32_t code; /* -1: none */
    double *s;    /* [q] */
} edge;

typedef struct chunk_meat {
    double *M;        /* [q x q] upper triangle: of rows, or of complete runs */
    double *sums;     /* [G x q] of ROUTE_SUMS */
    edge first, last; /* of ROUTE_RUNS; last is the open run */
} chunk_meat;

typedef struct chunk {
    double *gradient; /* [q] */
    double ssr;
    chunk_meat meat[PFX_MAX_MEATS];
} chunk;

typedef struct pass {
    const pfx_scores *s;
    int p, q;
    bool intercept; /* is a coefficient: its scores are wanted */
    pfx_idx n_blocks, n_chunks;
    route route[PFX_MAX_MEATS];
    chunk *chunks;   /* [n_chunks] */
    double *memory;  /* all of the chunks' arrays */
    double *buf;     /* [nth][stride] */
    pfx_idx *starts; /* [nth][max_rows + 1] */
    pfx_idx max_rows, stride;
} pass;

/* A block's rows and what a thread makes of them. */
typedef struct block {
    pfx_idx row0, n;
    const double *rows, *e, *w; /* [n x p], [n] residuals, [n] weights or NULL */
    double *f;                  /* [n] scratch */
    double *S;                  /* [n x q] scratch */
    double *g;                  /* [q] scratch */
    pfx_idx *start;             /* [n + 1] scratch */
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
    pfx_k_score(ps->s->isa, n_runs, start, ps->p, ps->p, b->rows, b->e, b->w, ps->q, S);
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

/* Returns the number of runs, whose scores are then in b->S. */
static pfx_idx take_runs(const pass *ps, const block *b, const int32_t *code, chunk_meat *m)
{
    pfx_idx n_runs = 0, q = ps->q, from = 0;
    for (pfx_idx i = 0; i < b->n; i++)
        if (i == 0 || code[i] != code[i - 1]) b->start[n_runs++] = i;
    b->start[n_runs] = b->n;
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

static void take_sums(const pass *ps, const block *b, const int32_t *code, double *sums)
{
    pfx_k_scatter(ps->s->isa, b->n, ps->p, ps->p, b->rows, b->e, b->w, code, ps->q, sums);
    for (pfx_idx i = 0; ps->intercept && i < b->n; i++)
        sums[(pfx_idx)code[i] * ps->q + ps->p] += b->w ? b->w[i] * b->e[i] : b->e[i];
}

static void take_block(const pass *ps, const block *b, chunk *c)
{
    const pfx_scores *s = ps->s;
    double ssr = 0;
    bool summed = false;
    pfx_idx whole[2] = {0, b->n};
    for (pfx_idx i = 0; i < b->n; i++) ssr += b->w ? b->w[i] * b->e[i] * b->e[i] : b->e[i] * b->e[i];
    c->ssr += ssr;
    if (s->resid) memcpy(s->resid + b->row0, b->e, (size_t)b->n * sizeof *b->e);
    for (int m = 0; m < s->n_meats; m++) {
        chunk_meat *cm = &c->meat[m];
        if (ps->route[m] == ROUTE_ROWS)
            take_rows(ps, b, s->d->weights_kind == PFX_W_FREQUENCY, cm->M);
        else if (ps->route[m] == ROUTE_SUMS)
            take_sums(ps, b, s->meat[m].cluster->code + b->row0, cm->sums);
        else {
            pfx_idx runs[2] = {0, take_runs(ps, b, s->meat[m].cluster->code + b->row0, cm)};
            if (!summed) pfx_k_score(s->isa, 1, runs, ps->q, ps->q, b->S, NULL, NULL, ps->q, b->g);
            summed = true;
        }
    }
    if (!summed) score_runs(ps, b, 1, whole, b->g);
    add(ps->q, b->g, c->gradient);
}

static void run_chunk(void *ctx, pfx_idx k, int thread)
{
    const pass *ps = ctx;
    const pfx_scores *s = ps->s;
    double *rows = ps->buf + thread * ps->stride, *e = rows + ps->max_rows * ps->p, *f = e + ps->max_rows;
    block b = {.rows = rows,
               .e = e,
               .f = f,
               .g = f + ps->max_rows,
               .S = f + ps->max_rows + ps->q,
               .start = ps->starts + thread * (ps->max_rows + 1)};

    for (pfx_idx i = k * ps->n_blocks / ps->n_chunks; i < (k + 1) * ps->n_blocks / ps->n_chunks; i++) {
        pfx_absorber_block_rows(s->a, i, &b.row0, &b.n);
        if (b.n == 0) continue;
        pfx_absorber_block(s->a, i, rows);
        pfx_k_resid(s->isa, b.n, ps->p, ps->p, rows, s->c, e);
        b.w = s->d->w ? s->d->w + b.row0 : NULL;
        take_block(ps, &b, &ps->chunks[k]);
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

/* Doubles of one chunk's sums. */
static pfx_idx chunk_size(const pass *ps)
{
    pfx_idx q = ps->q, size = q;
    for (int m = 0; m < ps->s->n_meats; m++)
        size += q * q + 2 * q + (ps->route[m] == ROUTE_SUMS ? ps->s->meat[m].cluster->n_levels * q : 0);
    return size;
}

static pfx_status choose_routes(pass *ps, pfx_err *err)
{
    const pfx_scores *s = ps->s;
    for (int m = 0; m < s->n_meats; m++) {
        const pfx_factor *f = s->meat[m].cluster;
        ps->route[m] = ROUTE_ROWS;
        if (!f) continue;
        unsigned char *seen = pfx_mem_alloc(f->n_levels, 1, err);
        if (!seen) return PFX_ENOMEM;
        ps->route[m] = is_contiguous(s->d->n, f, seen) ? ROUTE_RUNS : ROUTE_SUMS;
        pfx_mem_free(seen);
    }
    pfx_idx fit = (pfx_idx)(MAX_PARTIAL_BYTES / ((double)chunk_size(ps) * (double)sizeof(double)));
    ps->n_chunks = ps->n_blocks < MAX_CHUNKS ? ps->n_blocks : MAX_CHUNKS;
    if (ps->n_chunks > fit) ps->n_chunks = fit > 1 ? fit : 1;
    return PFX_OK;
}

/* Lay the chunks' arrays out in one zeroed piece, and the threads' buffers. */
static pfx_status make_buffers(pass *ps, pfx_err *err)
{
    const pfx_scores *s = ps->s;
    pfx_idx q = ps->q, per_chunk = chunk_size(ps);
    ps->max_rows = pfx_absorber_max_block_rows(s->a);
    /* rows, e, f, g, and S, which also holds take_rows' [p x p + p] */
    ps->stride = ps->max_rows * (ps->p + 2) + (1 + (ps->max_rows > q ? ps->max_rows : q)) * q;
    ps->chunks = pfx_mem_calloc(ps->n_chunks, sizeof *ps->chunks, err);
    ps->memory = pfx_mem_calloc(ps->n_chunks * per_chunk, sizeof *ps->memory, err);
    ps->buf = pfx_mem_alloc(s->nth * ps->stride, sizeof *ps->buf, err);
    ps->starts = pfx_mem_alloc(s->nth * (ps->max_rows + 1), sizeof *ps->starts, err);
    if (!ps->chunks || !ps->memory || !ps->buf || !ps->starts) return PFX_ENOMEM;
    double *at = ps->memory;
    for (pfx_idx k = 0; k < ps->n_chunks; k++) {
        chunk *c = &ps->chunks[k];
        c->gradient = at;
        at += q;
        for (int m = 0; m < s->n_meats; m++) {
            chunk_meat *cm = &c->meat[m];
            cm->M = at;
            cm->first = (edge){-1, at + q * q};
            cm->last = (edge){-1, at + q * q + q};
            at += q * q + 2 * q;
            if (ps->route[m] != ROUTE_SUMS) continue;
            cm->sums = at;
            at += s->meat[m].cluster->n_levels * q;
        }
    }
    return PFX_OK;
}

/* Complete the runs that chunk bounds cut, in chunk order. */
static void join_runs(const pass *ps, int m, double *M)
{
    pfx_idx q = ps->q;
    edge open = {-1, NULL};
    for (pfx_idx k = 0; k < ps->n_chunks; k++) {
        chunk_meat *cm = &ps->chunks[k].meat[m];
        edge part[2] = {cm->first, cm->last};
        for (int i = 0; i < 2; i++) {
            if (part[i].code < 0) continue;
            if (part[i].code == open.code) {
                add(q, part[i].s, open.s);
            } else {
                if (open.code >= 0) add_outer(ps, open.s, M);
                open = part[i];
            }
        }
        add(q * q, cm->M, M);
    }
    if (open.code >= 0) add_outer(ps, open.s, M);
}

typedef struct slice_job {
    const pass *ps;
    int m;
    double *part; /* [n_slices][q x q] */
} slice_job;

/* A slice of clusters: the chunks' sums in chunk order, then their outer products. */
static void join_slice(void *ctx, pfx_idx k, int thread)
{
    const slice_job *j = ctx;
    const pass *ps = j->ps;
    pfx_idx G = ps->s->meat[j->m].cluster->n_levels, q = ps->q, g0 = k * SLICE,
            n = G - g0 < SLICE ? G - g0 : SLICE;
    double *sums = ps->chunks[0].meat[j->m].sums + g0 * q;
    (void)thread;
    for (pfx_idx c = 1; c < ps->n_chunks; c++) add(n * q, ps->chunks[c].meat[j->m].sums + g0 * q, sums);
    pfx_k_gram(ps->s->isa, n, ps->q, q, sums, NULL, j->part + k * q * q);
}

static pfx_status join_sums(const pass *ps, int m, double *M, pfx_err *err)
{
    pfx_idx n_slices = (ps->s->meat[m].cluster->n_levels + SLICE - 1) / SLICE, qq = (pfx_idx)ps->q * ps->q;
    slice_job j = {.ps = ps, .m = m, .part = pfx_mem_calloc(n_slices * qq, sizeof *j.part, err)};
    if (!j.part) return PFX_ENOMEM;
    pfx_par_for(n_slices, ps->s->nth, join_slice, &j);
    for (pfx_idx k = 0; k < n_slices; k++) add(qq, j.part + k * qq, M);
    pfx_mem_free(j.part);
    return PFX_OK;
}

static pfx_status join(const pass *ps, pfx_err *err)
{
    const pfx_scores *s = ps->s;
    pfx_idx qq = (pfx_idx)ps->q * ps->q;
    memset(s->gradient, 0, (size_t)ps->q * sizeof *s->gradient);
    *s->ssr = 0;
    for (pfx_idx k = 0; k < ps->n_chunks; k++) {
        add(ps->q, ps->chunks[k].gradient, s->gradient);
        *s->ssr += ps->chunks[k].ssr;
    }
    for (int m = 0; m < s->n_meats; m++) {
        pfx_status st = PFX_OK;
        double *M = s->meat[m].M;
        memset(M, 0, (size_t)qq * sizeof *M);
        if (ps->route[m] == ROUTE_ROWS)
            for (pfx_idx k = 0; k < ps->n_chunks; k++) add(qq, ps->chunks[k].meat[m].M, M);
        else if (ps->route[m] == ROUTE_RUNS)
            join_runs(ps, m, M);
        else
            st = join_sums(ps, m, M, err);
        if (st != PFX_OK) return st;
        pfx_k_mirror(ps->q, M);
    }
    return PFX_OK;
}

pfx_status pfx_scores_run(const pfx_scores *s, pfx_err *err)
{
    pass ps = {.s = s, .p = s->d->p, .q = s->d->p + 1, .n_blocks = pfx_absorber_n_blocks(s->a)};
    ps.intercept = s->d->intercept && s->d->n_absorbed == 0;
    pfx_status st = choose_routes(&ps, err);
    if (st == PFX_OK) st = make_buffers(&ps, err);
    if (st == PFX_OK) {
        pfx_par_for(ps.n_chunks, s->nth, run_chunk, &ps);
        st = join(&ps, err);
    }
    pfx_mem_free(ps.starts);
    pfx_mem_free(ps.buf);
    pfx_mem_free(ps.memory);
    pfx_mem_free(ps.chunks);
    return st;
}
