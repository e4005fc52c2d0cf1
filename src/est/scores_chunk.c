/* What one chunk of rows gives to the meats: scores by row, by run of a cluster, by level. */
#include <string.h>
#include "kernels/gram.h"
#include "kernels/resid.h"
#include "kernels/score.h"
#include "src/est/scores_private.h"
#include "src/est/solve.h"
#include "src/model/design.h"

/* A block's rows and what a thread makes of them. Where the scores of whole levels are had at once, they
 * stand in place of the rows, without e and w, and so do their first rows' codes. */
typedef struct block {
    pfx_idx row0, n;
    const double *rows, *e, *w; /* [n x ld], [n] residuals, [n] weights or NULL */
    pfx_idx ld;
    const pfx_idx *level; /* [n + 1] first rows of the levels, or NULL */
    int32_t *level_code;  /* [n] scratch */
    double *f;            /* [n] scratch */
    double *S;            /* [n x q] scratch */
    double *g;            /* [q] scratch */
    pfx_idx *start;       /* [n + 1] scratch */
    double *spare;        /* of the map */
} block;

/* Scores of the runs between starts, [n_runs x q], the intercept's in the last column. */
static void score_runs(const pfx_scores_pass *ps, const block *b, pfx_idx n_runs, const pfx_idx *start,
                       double *S)
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
static void close_run(const pfx_scores_pass *ps, pfx_scores_part *m)
{
    if (m->first.code < 0) {
        m->first.code = m->last.code;
        memcpy(m->first.s, m->last.s, (size_t)ps->q * sizeof *m->last.s);
    } else {
        pfx_scores_add_outer(ps, m->last.s, m->M);
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
static pfx_idx take_runs(const pfx_scores_pass *ps, const block *b, const int32_t *code, pfx_scores_part *m)
{
    pfx_idx n_runs = find_runs(b, code), q = ps->q, from = 0;
    score_runs(ps, b, n_runs, b->start, b->S);

    if (m->last.code == code[0]) {
        pfx_scores_add(q, b->S, m->last.s);
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
static void take_rows(const pfx_scores_pass *ps, const block *b, bool frequency, double *M)
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
static void take_sums(const pfx_scores_pass *ps, const block *b, const int32_t *code, pfx_scores_part *m)
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

static void take_block(const pfx_scores_pass *ps, const block *b, pfx_scores_chunk *c)
{
    const pfx_scores *s = ps->s;
    bool summed = false;
    pfx_idx whole[2] = {0, b->n};
    for (int m = 0; m < s->n_meats; m++) {
        pfx_scores_part *cm = &c->meat[m];
        if (ps->route[m] == PFX_SCORES_ROWS)
            take_rows(ps, b, s->d->weights_kind == PFX_W_FREQUENCY, cm->M);
        else if (ps->route[m] == PFX_SCORES_LEVELS)
            pfx_k_gram(s->isa, b->n, ps->p, b->ld, b->rows, NULL, cm->M);
        else if (ps->route[m] == PFX_SCORES_SUMS)
            take_sums(ps, b, codes_of(b, s->meat[m].cluster), cm);
        else {
            pfx_idx runs[2] = {0, take_runs(ps, b, codes_of(b, s->meat[m].cluster), cm)};
            if (!summed) pfx_k_score(s->isa, 1, runs, ps->q, ps->q, b->S, NULL, NULL, ps->q, b->g);
            summed = true;
        }
    }
    if (!summed) score_runs(ps, b, 1, whole, b->g);
    pfx_scores_add(ps->q, b->g, c->gradient);
}

/* Residuals and scores of the block's levels; returns sum w e^2. */
static double score_levels(const pfx_scores_pass *ps, pfx_idx i, double *rows, double *e, block *b)
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
static void map_rows(const pfx_scores_pass *ps, pfx_idx i, double *rows, double *e, block *b)
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
static double demean_rows(const pfx_scores_pass *ps, pfx_idx i, double *rows, double *e, block *b)
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

/* Lay the arrays of chunk k out, with nothing in them. */
static void clear_chunk(const pfx_scores_pass *ps, pfx_idx k)
{
    const pfx_scores *s = ps->s;
    pfx_idx q = ps->q, sums = k * ps->n_sums;
    double *at = ps->memory + k * ps->per_chunk;
    pfx_scores_chunk *c = &ps->chunks[k];
    memset(at, 0, (size_t)(q + s->n_meats * (q * q + 2 * q)) * sizeof *at);
    c->gradient = at;
    c->ssr = 0;
    at += q;
    for (int m = 0; m < s->n_meats; m++, at += q * q + 2 * q)
        c->meat[m] = (pfx_scores_part){.M = at, .first = {-1, at + q * q}, .last = {-1, at + q * q + q}};
    for (int m = 0; m < s->n_meats; m++) {
        if (ps->route[m] != PFX_SCORES_SUMS) continue;
        c->meat[m].runs = at;
        c->meat[m].code = ps->codes + sums++ * ps->chunk_rows;
        at += ps->chunk_rows * q;
    }
}

void pfx_scores_fill_chunk(void *ctx, pfx_idx k, int thread)
{
    const pfx_scores_pass *ps = ctx;
    const pfx_scores *s = ps->s;
    pfx_scores_chunk *c = &ps->chunks[k];
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

    clear_chunk(ps, k);
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
