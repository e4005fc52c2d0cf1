/* Reading a panel's numeric columns: the yardstick (H5Dread alone) beside the row source. Usage: bench_read
 * PANEL.h5 [RUNS]    A line: what, threads, rows, columns, best wall and CPU seconds of RUNS (5), share of
 * T_read, PASS if every cell of the source has the bits that one thread without the fast route reads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hdf5_io/panel.h"
#include "hdf5_io/yardstick.h"
#include "src/base/log.h"
#include "src/base/parallel.h"

enum { MAX_COLS = 256 };

typedef struct job {
    pfx_panel *p;
    int n;
    const char *names[MAX_COLS];
    double t_read;
    uint64_t sum; /* of the bits of all cells, by H5Dread */
    pfx_err err;
} job;

typedef struct best {
    double wall, cpu;
} best;

static void stop(const job *j)
{
    fprintf(stderr, "bench_read: %s\n", j->err.msg);
    exit(1);
}

static void keep_best(best *b, double wall, double cpu)
{
    if (b->wall == 0 || wall < b->wall) b->wall = wall;
    if (b->cpu == 0 || cpu < b->cpu) b->cpu = cpu;
}

static void print(const job *j, const char *what, int nth, best b, const char *check)
{
    printf("%s\t%d\t%lld\t%d\t%.3f\t%.3f\t%.2f\t%s\n", what, nth, (long long)pfx_panel_n_rows(j->p), j->n,
           b.wall, b.cpu, b.wall / j->t_read, check);
    fflush(stdout);
}

/* A number that changes with any bit and any place of a cell. */
static uint64_t mix_block(const pfx_frame *f, int n)
{
    uint64_t sum = 0;
    for (int c = 0; c < n; c++)
        for (pfx_idx r = 0; r < f->n_rows; r++) {
            uint64_t v = 0;
            if (f->cols[c].num)
                memcpy(&v, &f->cols[c].num[r], 8);
            else
                v = (uint32_t)f->cols[c].code[r];
            sum += (v ^ v >> 29) * (2 * (uint64_t)((f->row0 + r) * n + c) + 1);
        }
    return sum;
}

/* One pass; look: with the sum of the cells, which the time must not hold. */
static uint64_t pass(job *j, const pfx_panel_source_options *o, bool look)
{
    pfx_row_source s;
    const pfx_frame *f;
    uint64_t sum = 0;
    if (pfx_panel_source(j->p, j->n, j->names, o, &s, &j->err) != PFX_OK) stop(j);
    do {
        if (s.next(s.ctx, &f, &j->err) != PFX_OK) stop(j);
        if (f && look) sum += mix_block(f, j->n);
    } while (f);
    s.close(s.ctx);
    return sum;
}

static void run_source(job *j, const char *what, int runs, pfx_panel_source_options o)
{
    best b = {0, 0};
    for (int r = 0; r < runs; r++) {
        double wall = pfx_wall_s(), cpu = pfx_cpu_s();
        pass(j, &o, false);
        keep_best(&b, pfx_wall_s() - wall, pfx_cpu_s() - cpu);
    }
    print(j, what, o.nth, b, pass(j, &o, true) == j->sum ? "PASS" : "FAIL");
}

static best run_yardstick(job *j, int runs, pfx_yardstick kind)
{
    best b = {0, 0};
    for (int r = 0; r < runs; r++) {
        double wall = 0, cpu = pfx_cpu_s();
        if (pfx_panel_yardstick(j->p, j->n, j->names, kind, &wall, &j->err) != PFX_OK) stop(j);
        keep_best(&b, wall, pfx_cpu_s() - cpu);
    }
    return b;
}

int main(int argc, char **argv)
{
    static job j;
    int runs = argc > 2 ? atoi(argv[2]) : 5, most = pfx_par_threads(0);
    if (argc < 2 || runs < 1) {
        fprintf(stderr, "usage: bench_read PANEL.h5 [RUNS]\n");
        return 2;
    }
    if (pfx_h5_init(&j.err) != PFX_OK || pfx_panel_open(argv[1], &j.p, &j.err) != PFX_OK) stop(&j);
    for (int c = 0; c < pfx_panel_n_cols(j.p) && j.n < MAX_COLS; c++)
        if (pfx_panel_cols(j.p)[c].kind != PFX_CATEGORY) j.names[j.n++] = pfx_panel_cols(j.p)[c].name;
    /* Blocks of less than a chunk are read by H5Dread alone. */
    j.sum = pass(&j, &(pfx_panel_source_options){.block_rows = 60000}, true);
    best reused = run_yardstick(&j, runs, PFX_YARDSTICK_REUSED);
    j.t_read = reused.wall;
    printf("what\tthreads\trows\tcolumns\twall_s\tcpu_s\tof_T_read\tcheck\n");
    print(&j, "T_read", 1, reused, "PASS");
    print(&j, "H5Dread, fresh memory", 1, run_yardstick(&j, runs, PFX_YARDSTICK_FRESH), "PASS");
    print(&j, "H5Dread, no checksums", 1, run_yardstick(&j, runs, PFX_YARDSTICK_UNCHECKED), "PASS");
    for (int nth = 1; nth <= most; nth *= 2) {
        run_source(&j, "source", runs, (pfx_panel_source_options){.nth = nth});
        run_source(&j, "source, no checksums", runs,
                   (pfx_panel_source_options){.nth = nth, .verify = PFX_VERIFY_NEVER});
    }
    run_source(&j, "source by H5Dread", runs, (pfx_panel_source_options){.block_rows = 60000, .nth = 1});
    pfx_panel_close(j.p);
    return 0;
}
