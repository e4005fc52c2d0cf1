/* Rates of the panel store: write a panel of float64 columns through the row sink, then read it through the
 * row source, each in a process of its own, the file in the page cache. Usage: bench_panel_store [ROWS
 * [COLUMNS [DEFLATE]]]    (default 2,000,000 12 0) A line: what, rows, columns, deflate, wall and CPU
 * seconds, MB/s (wall) of values in memory, peak MiB, PASS if what was read is what was written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "hdf5_io/panel.h"
#include "src/base/log.h"

enum { BLOCK = 65536, UNIT = 7, MAX_COLS = 200 };

typedef struct job {
    const char *path;
    pfx_idx rows;
    int cols, deflate;
    char names[MAX_COLS][16];
} job;

/* firm, year, then cells with the digits of a measurement. */
static double cell(pfx_idx r, int c)
{
    if (c == 0) return (double)(r / UNIT);
    if (c == 1) return 2000 + (double)(r % UNIT);
    return (double)((uint64_t)(r * 31 + c) * UINT64_C(0x9E3779B97F4A7C15) >> 44) * 1e-4;
}

static bool write_blocks(const job *j, pfx_row_sink *s, double *buf, pfx_err *err)
{
    static pfx_column cols[MAX_COLS];
    pfx_frame f = {.n_cols = j->cols, .cols = cols};
    for (int c = 0; c < j->cols; c++) cols[c].num = buf + (size_t)c * BLOCK;
    for (pfx_idx at = 0; at < j->rows; at += BLOCK) {
        f.n_rows = j->rows - at < BLOCK ? j->rows - at : BLOCK;
        for (int c = 0; c < j->cols; c++)
            for (pfx_idx r = 0; r < f.n_rows; r++) cols[c].num[r] = cell(at + r, c);
        if (s->put(s->ctx, &f, err) != PFX_OK) return false;
    }
    return true;
}

static bool write_panel(const job *j, pfx_err *err)
{
    static pfx_col_spec specs[MAX_COLS];
    pfx_panel_spec panel = {"c0", "c1", PFX_TIME_YEAR};
    pfx_panel_write_options o = {j->deflate, true};
    double *buf = malloc((size_t)j->cols * BLOCK * sizeof *buf);
    pfx_row_sink s;
    bool good = false;
    for (int c = 0; c < j->cols; c++)
        specs[c] = (pfx_col_spec){.name = j->names[c],
                                  .label = "",
                                  .kind = c == 1 ? PFX_TIME : PFX_NUMERIC,
                                  .dtype = c == 1 ? PFX_I32 : PFX_F64};
    if (buf && pfx_panel_sink(j->path, &o, &s, err) == PFX_OK) {
        good = s.begin(s.ctx, &panel, j->cols, specs, err) == PFX_OK && write_blocks(j, &s, buf, err) &&
               s.commit(s.ctx, err) == PFX_OK;
        s.abort(s.ctx);
    }
    free(buf);
    return good;
}

/* Every 1,000th row is compared, so that the comparison does not count. */
static bool read_panel(const job *j, pfx_err *err)
{
    const char *names[MAX_COLS];
    pfx_panel *p;
    pfx_row_source s;
    const pfx_frame *f = NULL;
    pfx_idx rows = 0;
    bool good;
    for (int c = 0; c < j->cols; c++) names[c] = j->names[c];
    if (pfx_panel_open(j->path, &p, err) != PFX_OK ||
        pfx_panel_source(p, j->cols, names, NULL, &s, err) != PFX_OK)
        return false;
    while ((good = s.next(s.ctx, &f, err) == PFX_OK) && f) {
        for (int c = 0; c < j->cols; c++)
            for (pfx_idx r = 0; r < f->n_rows; r += 1000)
                good = good && f->cols[c].num[r] == cell(f->row0 + r, c);
        rows += f->n_rows;
        if (!good) break;
    }
    s.close(s.ctx);
    pfx_panel_close(p);
    return good && rows == j->rows;
}

static bool check_panel(const job *j, pfx_err *err)
{
    pfx_panel *p;
    bool good;
    if (pfx_panel_open(j->path, &p, err) != PFX_OK) return false;
    good = pfx_panel_check(p, err) == PFX_OK;
    pfx_panel_close(p);
    return good;
}

static int run(const char *what, const job *j, bool (*work)(const job *, pfx_err *))
{
    int status;
    pid_t child;
    fflush(stdout);
    child = fork();
    if (child == 0) {
        pfx_err err = {0};
        double begin, cpu, s;
        bool good = pfx_h5_init(&err) == PFX_OK;
        begin = pfx_wall_s();
        cpu = pfx_cpu_s();
        good = good && work(j, &err);
        s = pfx_wall_s() - begin;
        cpu = pfx_cpu_s() - cpu;
        printf("%s\t%lld\t%d\t%d\t%.3f\t%.3f\t%.0f\t%.1f\t%s%s\n", what, (long long)j->rows, j->cols,
               j->deflate, s, cpu, (double)j->rows * j->cols * 8 / 1e6 / s, (double)pfx_peak_rss() / 1048576,
               good ? "PASS" : "FAIL ", err.msg);
        fflush(stdout);
        _exit(!good);
    }
    return child < 0 || waitpid(child, &status, 0) < 0 || status != 0;
}

int main(int argc, char **argv)
{
    static job j = {.rows = 2000000, .cols = 12};
    char path[4096];
    const char *tmp = getenv("TMPDIR");
    int failed;
    if (argc > 1) j.rows = atoll(argv[1]);
    if (argc > 2) j.cols = atoi(argv[2]);
    if (argc > 3) j.deflate = atoi(argv[3]);
    if (j.cols < 2 || j.cols > MAX_COLS) return 2;
    for (int c = 0; c < j.cols; c++) snprintf(j.names[c], sizeof j.names[c], "c%d", c);
    snprintf(path, sizeof path, "%s/panelfx-bench-%ld.h5", tmp && *tmp ? tmp : "/tmp", (long)getpid());
    j.path = path;
    printf("what\trows\tcolumns\tdeflate\twall_s\tcpu_s\tMB/s\tpeak_MiB\tcheck\n");
    failed = run("write", &j, write_panel);
    failed |= run("read", &j, read_panel);
    failed |= run("check", &j, check_panel);
    remove(path);
    return failed;
}
