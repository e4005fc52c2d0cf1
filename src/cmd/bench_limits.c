/* The machine's own limits: memory, arithmetic, files. Each is a line of the report, and what the cases'
 * rates are divided by. */
#include <cblas.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kernels/yardstick.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/cmd/bench_private.h"

enum {
    PIECE = 1 << 16,   /* doubles that a thread takes at once: 512 KiB */
    MOST_PIECES = 512, /* 256 MiB in all: several times a last-level cache; fewer where --memory is small */
    GEMM = 384, /* order of the square product: three matrices of 1.1 MiB, as a core's own cache holds */
    GEMMS = 8
};

typedef struct arrays {
    int nth;
    pfx_idx pieces;
    double *a, *b, *c, *sum;
} arrays;

static void triad_piece(void *ctx, pfx_idx piece, int thread)
{
    arrays *x = ctx;
    (void)thread;
    pfx_k_triad(PIECE, 3.0, x->b + piece * PIECE, x->c + piece * PIECE, x->a + piece * PIECE);
}

static pfx_status triad(void *ctx, pfx_err *err)
{
    (void)err;
    pfx_par_for(((arrays *)ctx)->pieces, ((arrays *)ctx)->nth, triad_piece, ctx);
    return PFX_OK;
}

static void sum_piece(void *ctx, pfx_idx piece, int thread)
{
    arrays *x = ctx;
    (void)thread;
    x->sum[piece] = pfx_k_sum(PIECE, x->b + piece * PIECE);
}

static pfx_status read_once(void *ctx, pfx_err *err)
{
    (void)err;
    pfx_par_for(((arrays *)ctx)->pieces, ((arrays *)ctx)->nth, sum_piece, ctx);
    return PFX_OK;
}

/* Each thread has matrices of its own in its part of a, b, c. */
static void gemm_piece(void *ctx, pfx_idx piece, int thread)
{
    arrays *x = ctx;
    size_t at = (size_t)thread * GEMM * GEMM;
    (void)piece;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, GEMM, GEMM, GEMM, 1.0, x->b + at, GEMM, x->c + at,
                GEMM, 0.0, x->a + at, GEMM);
}

static pfx_status gemm(void *ctx, pfx_err *err)
{
    (void)err;
    pfx_par_for((pfx_idx)GEMMS * ((arrays *)ctx)->nth, ((arrays *)ctx)->nth, gemm_piece, ctx);
    return PFX_OK;
}

static void fill_piece(void *ctx, pfx_idx piece, int thread)
{
    arrays *x = ctx;
    (void)thread;
    for (pfx_idx i = piece * PIECE; i < (piece + 1) * PIECE; i++) x->a[i] = 0, x->b[i] = 1, x->c[i] = 2;
}

static pfx_status line(bench_run *r, const char *name, int nth, double seconds, double rate, const char *unit,
                       bool good, pfx_err *err)
{
    pfx_bench_line l = pfx_bench_line_of(name, -1, -1, nth);
    l.seconds = seconds;
    l.rate = rate;
    l.unit = unit;
    l.check = good ? PFX_BENCH_PASS : PFX_BENCH_FAIL;
    return pfx_bench_add(&r->report, &l, err);
}

static bool all_equal(pfx_idx n, const double *x, double value)
{
    for (pfx_idx i = 0; i < n; i++)
        if (x[i] != value) return false;
    return true;
}

/* A's elements are 1 + 3 x 2, a piece sums to its length, a product of ones and twos is 2 x GEMM. */
static pfx_status memory_and_blas(bench_run *r, arrays *x, int which, pfx_err *err)
{
    const double budget = 0.5 * r->patience, bytes = 8.0 * PIECE * (double)x->pieces,
                 flops = 2.0 * GEMM * GEMM * GEMM * GEMMS * x->nth;
    double s = 0;
    pfx_status st = pfx_bench_best(3, budget, triad, x, &s, err);
    r->limit.triad[which] = 3 * bytes / s * 1e-9;
    if (st == PFX_OK)
        st = line(r, "triad", x->nth, s, r->limit.triad[which], "GB/s", all_equal(PIECE * x->pieces, x->a, 7),
                  err);
    if (st == PFX_OK) st = pfx_bench_best(3, budget, read_once, x, &s, err);
    r->limit.read[which] = bytes / s * 1e-9;
    if (st == PFX_OK)
        st = line(r, "read", x->nth, s, r->limit.read[which], "GB/s", all_equal(x->pieces, x->sum, PIECE),
                  err);
    if (st == PFX_OK) st = pfx_bench_best(3, budget, gemm, x, &s, err);
    r->limit.dgemm[which] = flops / s * 1e-9;
    if (st == PFX_OK)
        st = line(r, "dgemm", x->nth, s, r->limit.dgemm[which], "GFLOP/s",
                  all_equal((pfx_idx)GEMM * GEMM * x->nth, x->a, 2 * GEMM), err);
    return st;
}

static pfx_idx faults_now(void)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) == 0 ? (pfx_idx)u.ru_minflt : 0;
}

/* First write to memory that the system has not handed out yet: what loading into fresh arrays pays. */
static pfx_status fresh_memory(bench_run *r, size_t bytes, pfx_err *err)
{
    pfx_bench_line l = pfx_bench_line_of("fresh memory", -1, -1, 1);
    double best = INFINITY;
    bool good = true;
    for (int i = 0; i < 3; i++) {
        char *p = pfx_mem_alloc((pfx_idx)bytes, 1, err);
        if (!p) return PFX_ENOMEM;
        pfx_idx f = faults_now();
        double t = pfx_wall_s();
        memset(p, 1, bytes);
        t = pfx_wall_s() - t;
        l.faults = faults_now() - f;
        best = fmin(best, t);
        good = good && p[bytes / 2] == 1;
        pfx_mem_free(p);
    }
    l.seconds = best;
    l.rate = r->limit.fresh = (double)bytes / best * 1e-9;
    l.unit = "GB/s";
    l.check = good ? PFX_BENCH_PASS : PFX_BENCH_FAIL;
    return pfx_bench_add(&r->report, &l, err);
}

/* Plain write with fsync, then plain read from the page cache, of a file of 64 MiB. */
static pfx_status plain_file(bench_run *r, char *buf, pfx_err *err)
{
    enum { CHUNK = 1 << 20, CHUNKS = 64 };
    const char *path = r->file[BENCH_PLAIN].tmp;
    bool good = true;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return pfx_fail(err, PFX_EIO, "%s: cannot write", path);
    memset(buf, 1, CHUNK);
    double t = pfx_wall_s();
    for (int i = 0; i < CHUNKS; i++) good = good && write(fd, buf, CHUNK) == CHUNK;
    good = fsync(fd) == 0 && good;
    double w = pfx_wall_s() - t, best = INFINITY;
    for (int k = 0; k < 5; k++) {
        good = good && lseek(fd, 0, SEEK_SET) == 0;
        t = pfx_wall_s();
        for (int i = 0; i < CHUNKS; i++) good = good && read(fd, buf, CHUNK) == CHUNK;
        best = fmin(best, pfx_wall_s() - t);
    }
    good = good && buf[CHUNK / 2] == 1;
    close(fd);
    unlink(path);
    r->limit.file_write = (double)CHUNK * CHUNKS / w * 1e-6;
    r->limit.file_read = (double)CHUNK * CHUNKS / best * 1e-6;
    pfx_status st = line(r, "file write", 1, w, r->limit.file_write, "MB/s", good, err);
    return st ? st : line(r, "file read", 1, best, r->limit.file_read, "MB/s", good, err);
}

pfx_status bench_measure_limits(bench_run *r, pfx_err *err)
{
    pfx_idx pieces = (pfx_idx)(r->common->memory / (6 * sizeof(double) * PIECE));
    pieces = pieces < 16 ? 16 : pieces > MOST_PIECES ? MOST_PIECES : pieces;
    pfx_idx n = pieces * PIECE;
    if (n < (pfx_idx)GEMM * GEMM * r->nth) n = (pfx_idx)GEMM * GEMM * r->nth;
    arrays x = {.nth = r->nth,
                .pieces = pieces,
                .a = pfx_mem_alloc(n, 8, err),
                .b = pfx_mem_alloc(n, 8, err),
                .c = pfx_mem_alloc(n, 8, err),
                .sum = pfx_mem_alloc(pieces, 8, err)};
    pfx_status st = x.a && x.b && x.c && x.sum ? PFX_OK : PFX_ENOMEM;
    if (st == PFX_OK) pfx_par_for(pieces, r->nth, fill_piece, &x);
    int nth[2], k = bench_thread_list(r, nth);
    for (int i = 0; i < k && st == PFX_OK; i++) {
        x.nth = nth[i];
        st = memory_and_blas(r, &x, i, err);
    }
    if (k == 1)
        r->limit.triad[1] = r->limit.triad[0], r->limit.read[1] = r->limit.read[0],
        r->limit.dgemm[1] = r->limit.dgemm[0];
    if (st == PFX_OK) st = plain_file(r, (char *)x.a, err);
    pfx_mem_free(x.a), pfx_mem_free(x.b), pfx_mem_free(x.c), pfx_mem_free(x.sum);
    return st ? st : fresh_memory(r, (size_t)pieces * PIECE * 8, err);
}
