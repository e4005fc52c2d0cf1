/* QR of the demeaned rows by blocks (tall and skinny), one LAPACK thread to a chunk. */
#include "src/est/solve.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/model/design.h"

/* Groups whose R is kept at a time: enough for any number of threads. Results do not depend on it. */
enum { MAX_WAVE = 64, LQ_BLOCK = 32 };

typedef struct tsqr_job {
    const pfx_design *d;
    const pfx_absorber *a;
    int p;
    pfx_idx group0, max_rows;
    pfx_idx stride; /* doubles of a thread's buffer */
    double *buf;    /* [nth][stride]: p rows of R, then a block's rows; then tau and work */
    double *R;      /* [MAX_WAVE][p x p] */
} tsqr_job;

/* Row-major rows are the columns of a column-major p x n matrix, so R' is the L of its LQ. rows [(p + n) x p]
 * with the R so far on top; on return R is on top, the rest is overwritten. */
static void fold(int p, pfx_idx n, double *rows, double *tau, double *work)
{
    LAPACKE_dgelqf_work(LAPACK_COL_MAJOR, p, (lapack_int)(p + n), rows, p, tau, work, p * LQ_BLOCK);
    for (int i = 0; i < p; i++)
        for (int j = 0; j < i; j++) rows[i * p + j] = 0;
}

static void run_chunk(void *ctx, pfx_idx chunk, int thread)
{
    const tsqr_job *q = ctx;
    int p = q->p;
    double *tau = q->buf + thread * q->stride, *work = tau + p, *rows = work + p * LQ_BLOCK;
    pfx_idx b0, b1;

    pfx_absorber_group(q->a, q->group0 + chunk, &b0, &b1);
    memset(rows, 0, (size_t)p * (size_t)p * sizeof *rows);
    for (pfx_idx b = b0; b < b1; b++) {
        double *z = rows + p * p;
        pfx_idx row0, n;
        pfx_absorber_block_rows(q->a, b, &row0, &n);
        pfx_absorber_block(q->a, b, z);
        if (q->d->w)
            for (pfx_idx i = 0; i < n; i++) {
                double s = sqrt(q->d->w[row0 + i]);
                for (int j = 0; j < p; j++) z[i * p + j] *= s;
            }
        fold(p, n, rows, tau, work);
    }
    memcpy(q->R + chunk * p * p, rows, (size_t)p * (size_t)p * sizeof *rows);
}

/* The groups of a window onto the R so far, in order. */
static pfx_status fold_window(tsqr_job *q, int nth, double *R, pfx_err *err)
{
    int p = q->p;
    pfx_idx pp = (pfx_idx)p * p, max_rows = pfx_absorber_max_block_rows(q->a), groups = pfx_absorber_n_groups(q->a), n;
    if (max_rows < p) max_rows = p; /* joining folds p rows at a time */
    if (max_rows > q->max_rows) {
        pfx_mem_free(q->buf);
        q->max_rows = max_rows;
        q->stride = p + (pfx_idx)p * LQ_BLOCK + pp + max_rows * p;
        if (!(q->buf = pfx_mem_alloc(nth * q->stride, sizeof *q->buf, err))) return PFX_ENOMEM;
    }
    for (q->group0 = 0; q->group0 < groups; q->group0 += n) {
        n = groups - q->group0 < MAX_WAVE ? groups - q->group0 : MAX_WAVE;
        pfx_par_for(n, nth, run_chunk, q);
        double *tau = q->buf, *work = tau + p, *rows = work + p * LQ_BLOCK;
        memcpy(rows, R, (size_t)pp * sizeof *rows);
        for (pfx_idx c = 0; c < n; c++) {
            memcpy(rows + pp, q->R + c * pp, (size_t)pp * sizeof *rows);
            fold(p, p, rows, tau, work);
        }
        memcpy(R, rows, (size_t)pp * sizeof *rows);
    }
    return PFX_OK;
}

pfx_status pfx_tsqr(const pfx_design *d, pfx_absorber *a, int nth, double *R, pfx_err *err)
{
    pfx_idx pp = (pfx_idx)d->p * d->p;
    tsqr_job q = {.d = d, .a = a, .p = d->p};
    bool more = true;
    memset(R, 0, (size_t)pp * sizeof *R);
    q.R = pfx_mem_alloc(MAX_WAVE * pp, sizeof *q.R, err);
    pfx_status st = q.R ? pfx_absorber_rewind(a, err) : PFX_ENOMEM;
    while (st == PFX_OK && (st = pfx_absorber_next(a, &more, err)) == PFX_OK && more)
        st = fold_window(&q, nth, R, err);
    pfx_mem_free(q.R);
    pfx_mem_free(q.buf);
    return st;
}
