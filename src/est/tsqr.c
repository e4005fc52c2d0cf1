/* QR of the demeaned rows by blocks (tall and skinny), one LAPACK thread to a chunk. */
#include "src/est/solve.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/model/design.h"

/* Groups whose R is kept at a time: enough for any number of threads, as many as fit the bytes. Results do not depend
 * on it. */
enum { MAX_WAVE = 64, MIN_WAVE = 4, LQ_BLOCK = 32 };
static const double WAVE_BYTES = 16.0 * 1024 * 1024;

typedef struct tsqr_job {
    const pfx_design *d;
    pfx_absorber *a;
    int p;          /* columns taken */
    const int *col; /* [p] */
    pfx_idx max_wave, group0, max_rows;
    pfx_idx gather; /* fold when so many rows have gathered: each fold costs the rows of R too */
    pfx_idx stride; /* doubles of a thread's buffer */
    double *buf;    /* [nth][stride]: tau, work, p rows of R, gathered rows, a block's rows of all columns */
    double *R;      /* [max_wave][p x p] */
} tsqr_job;

/* Row-major rows are the columns of a column-major p x n matrix, so R' is the L of its LQ. rows [(p + n) x p]
 * with the R so far on top; on return R is on top, the rest is overwritten. */
static void fold(int p, pfx_idx n, double *rows, double *tau, double *work)
{
    LAPACKE_dgelqf_work(LAPACK_COL_MAJOR, p, (lapack_int)(p + n), rows, p, tau, work, p * LQ_BLOCK);
    for (pfx_idx i = 0; i < p; i++) /* upper row-major: below the diagonal lie the reflectors */
        for (int j = 0; j < i; j++) rows[i * p + j] = 0;
}

/* Append a block's columns to rows [. x p], weighted. Returns the rows added. */
static pfx_idx append(const tsqr_job *q, pfx_idx b, double *block, double *rows)
{
    pfx_idx row0, n;
    int p = q->p, all = q->d->p;
    pfx_absorber_block_rows(q->a, b, &row0, &n);
    pfx_absorber_block(q->a, b, block);
    for (pfx_idx i = 0; i < n; i++) {
        double s = q->d->w ? sqrt(q->d->w[row0 + i]) : 1;
        for (int j = 0; j < p; j++) rows[i * p + j] = s * block[i * all + q->col[j]];
    }
    return n;
}

static void run_group(void *ctx, pfx_idx g, int thread)
{
    const tsqr_job *q = ctx;
    pfx_idx p = q->p, pp = p * p, n = 0, b0, b1;
    double *tau = q->buf + thread * q->stride, *work = tau + p, *rows = work + p * LQ_BLOCK;
    double *block = rows + pp + (q->gather + q->max_rows) * p;

    pfx_absorber_group(q->a, q->group0 + g, &b0, &b1);
    memset(rows, 0, (size_t)pp * sizeof *rows);
    for (pfx_idx b = b0; b < b1; b++) {
        n += append(q, b, block, rows + pp + n * p);
        if (n < q->gather && b + 1 < b1) continue;
        fold(q->p, n, rows, tau, work);
        n = 0;
    }
    memcpy(q->R + g * pp, rows, (size_t)pp * sizeof *rows);
}

/* The groups of a window onto the R so far, in order. */
static pfx_status fold_window(tsqr_job *q, int nth, double *R, pfx_err *err)
{
    pfx_idx p = q->p, pp = p * p, max_rows = pfx_absorber_max_block_rows(q->a), groups = pfx_absorber_n_groups(q->a), n;
    if (max_rows > q->max_rows) {
        pfx_mem_free(q->buf);
        q->max_rows = max_rows;
        q->stride = p + p * LQ_BLOCK + pp + (q->gather + max_rows) * p + max_rows * q->d->p;
        if (!(q->buf = pfx_mem_alloc(nth * q->stride, sizeof *q->buf, err))) return PFX_ENOMEM;
    }
    for (q->group0 = 0; q->group0 < groups; q->group0 += n) {
        n = groups - q->group0 < q->max_wave ? groups - q->group0 : q->max_wave;
        pfx_par_for(n, nth, run_group, q);
        double *tau = q->buf, *work = tau + p, *rows = work + p * LQ_BLOCK;
        memcpy(rows, R, (size_t)pp * sizeof *rows);
        for (pfx_idx g = 0; g < n; g++) { /* gathering leaves room for p rows */
            memcpy(rows + pp, q->R + g * pp, (size_t)pp * sizeof *rows);
            fold(q->p, p, rows, tau, work);
        }
        memcpy(R, rows, (size_t)pp * sizeof *rows);
    }
    return PFX_OK;
}

pfx_status pfx_tsqr(const pfx_design *d, pfx_absorber *a, int nth, int k, const int *col, double *R, pfx_err *err)
{
    pfx_idx pp = (pfx_idx)k * k, fit = (pfx_idx)(WAVE_BYTES / (8.0 * (double)pp));
    tsqr_job q = {.d = d, .a = a, .p = k, .col = col, .gather = 2 * (pfx_idx)k};
    bool more = true;
    q.max_wave = fit < MIN_WAVE ? MIN_WAVE : fit > MAX_WAVE ? MAX_WAVE : fit;
    memset(R, 0, (size_t)pp * sizeof *R);
    q.R = pfx_mem_alloc(q.max_wave * pp, sizeof *q.R, err);
    pfx_status st = q.R ? pfx_absorber_rewind(a, err) : PFX_ENOMEM;
    while (st == PFX_OK && (st = pfx_absorber_next(a, &more, err)) == PFX_OK && more)
        st = fold_window(&q, nth, R, err);
    pfx_mem_free(q.R);
    pfx_mem_free(q.buf);
    return st;
}
