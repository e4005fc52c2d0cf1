#include "src/est/solve_rows.h"

#include <cblas.h>
#include <string.h>
#include "kernels/gram.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/model/design.h"

/* Groups of blocks whose sums are kept at a time: enough for any number of threads, as many as fit the bytes.
 * Results do not depend on it. */
enum { MAX_WAVE = 64, MIN_WAVE = 4 };
static const double WAVE_BYTES = 16.0 * 1024 * 1024;

typedef struct job job;
/* Add what a block's rows [n x p] give to part; spare [n x p] is scratch. */
typedef void block_fn(const job *j, pfx_idx n, double *rows, const double *w, double *spare, double *part);

struct job {
    const pfx_design *d;
    pfx_absorber *a;
    block_fn *fn;
    const pfx_solve *s;      /* of regram */
    const pfx_solve_left *l; /* of leave */
    pfx_isa isa;
    pfx_idx size; /* doubles of the sums */
    pfx_idx max_wave, wave, group0, max_rows;
    double *buf;   /* [nth][2 x max_rows x p] */
    double *part;  /* [max_wave][size] */
    double *total; /* [size] */
};

static void run_group(void *ctx, pfx_idx g, int thread)
{
    const job *j = ctx;
    pfx_idx half = j->max_rows * j->d->p, b0, b1;
    double *rows = j->buf + 2 * half * thread, *part = j->part + g * j->size;
    memset(part, 0, (size_t)j->size * sizeof *part);
    pfx_absorber_group(j->a, j->group0 + g, &b0, &b1);
    for (pfx_idx b = b0; b < b1; b++) {
        pfx_idx row0, n;
        pfx_absorber_block_rows(j->a, b, &row0, &n);
        pfx_absorber_block(j->a, b, rows);
        j->fn(j, n, rows, j->d->w ? j->d->w + row0 : NULL, rows + half, part);
    }
}

static pfx_status run_window(job *j, int nth, pfx_err *err)
{
    pfx_idx groups = pfx_absorber_n_groups(j->a), rows = pfx_absorber_max_block_rows(j->a);
    if (rows > j->max_rows) {
        pfx_mem_free(j->buf);
        j->max_rows = rows;
        if (!(j->buf = pfx_mem_alloc(2 * nth * rows * j->d->p, sizeof *j->buf, err))) return PFX_ENOMEM;
    }
    for (j->group0 = 0; j->group0 < groups; j->group0 += j->wave) {
        j->wave = groups - j->group0 < j->max_wave ? groups - j->group0 : j->max_wave;
        pfx_par_for(j->wave, nth, run_group, j);
        for (pfx_idx g = 0; g < j->wave; g++)
            for (pfx_idx i = 0; i < j->size; i++) j->total[i] += j->part[g * j->size + i];
    }
    return PFX_OK;
}

/* Sums over all rows into j->total, which the caller frees. */
static pfx_status run(job *j, int nth, pfx_err *err)
{
    bool more = true;
    pfx_idx fit = (pfx_idx)(WAVE_BYTES / (8.0 * (double)j->size));
    j->max_wave = fit < MIN_WAVE ? MIN_WAVE : fit > MAX_WAVE ? MAX_WAVE : fit;
    j->total = pfx_mem_calloc(j->size, sizeof *j->total, err);
    j->part = pfx_mem_alloc(j->max_wave * j->size, sizeof *j->part, err);
    pfx_status st = j->total && j->part ? pfx_absorber_rewind(j->a, err) : PFX_ENOMEM;
    while (st == PFX_OK && (st = pfx_absorber_next(j->a, &more, err)) == PFX_OK && more) st = run_window(j, nth, err);
    pfx_mem_free(j->part);
    pfx_mem_free(j->buf);
    return st;
}

static void add_gram(const job *j, pfx_idx n, double *rows, const double *w, double *spare, double *part)
{
    int p = j->d->p, k = j->s->k;
    (void)spare;
    pfx_solve_whiten(j->s, n, rows);
    for (pfx_idx i = 0; i < n; i++) rows[i * p + k] = rows[i * p + p - 1];
    pfx_k_gram(j->isa, n, k + 1, p, rows, w, part);
}

pfx_status pfx_solve_regram(const pfx_design *d, pfx_absorber *a, const pfx_solve *s, int nth, pfx_isa isa,
                            double *G, pfx_err *err)
{
    job j = {.d = d, .a = a, .fn = add_gram, .s = s, .isa = isa, .size = (pfx_idx)(s->k + 1) * (s->k + 1)};
    pfx_status st = run(&j, nth, err);
    if (st == PFX_OK) {
        memcpy(G, j.total, (size_t)j.size * sizeof *G);
        pfx_k_mirror(s->k + 1, G);
    }
    pfx_mem_free(j.total);
    return st;
}

static void add_left(const job *j, pfx_idx n, double *rows, const double *w, double *spare, double *part)
{
    const pfx_solve_left *l = j->l;
    int k = l->k, m = l->m, p = j->d->p;
    double *X = spare, *E = spare + n * k;
    for (pfx_idx i = 0; i < n; i++) {
        for (int c = 0; c < k; c++) X[i * k + c] = rows[i * p + l->col[c]] / l->scale[c];
        for (int c = 0; c < m; c++) E[i * m + c] = rows[i * p + l->col[k + c]] / l->scale[k + c];
    }
    if (k > 0) cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, m, k, -1, X, k, l->B, m, 1, E, m);
    for (pfx_idx i = 0; i < n; i++)
        for (int c = 0; c < m; c++) {
            double e = E[i * m + c], we = w ? w[i] * e : e;
            part[c] += we * e;
            E[i * m + c] = we;
        }
    if (k > 0) cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, k, m, (int)n, 1, X, k, E, m, 1, part + m, m);
}

pfx_status pfx_solve_leave(const pfx_design *d, pfx_absorber *a, const pfx_solve_left *l, int nth, pfx_err *err)
{
    job j = {.d = d, .a = a, .fn = add_left, .l = l, .size = (pfx_idx)(l->k + 1) * l->m};
    pfx_status st = run(&j, nth, err);
    if (st == PFX_OK) {
        memcpy(l->norm2, j.total, (size_t)l->m * sizeof *l->norm2);
        memcpy(l->G, j.total + l->m, (size_t)l->k * (size_t)l->m * sizeof *l->G);
    }
    pfx_mem_free(j.total);
    return st;
}
