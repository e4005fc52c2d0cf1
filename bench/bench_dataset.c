/* Rows of a panel to a design: time of pfx_dataset_load and pfx_dataset_design, without storage. One block of
 * rows is handed out again and again with new unit codes, so that reading costs nothing and what is timed is
 * the evaluation and the store into the row-major table. bench_dataset [rows [columns]] The limit is a plain copy
 * of as many bytes, of Z and the codes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/model/dataset.h"
#include "src/report/bench.h"

enum { BLOCK = 65536, T = 8, MAX_COLS = 40 };

typedef struct source {
    pfx_idx n_rows, at;
    int n_cols;
    pfx_col_spec spec[MAX_COLS];
    pfx_column col[MAX_COLS];
    double *year;
    pfx_idx start[BLOCK / T + 1];
    pfx_frame frame;
} source;

static pfx_status do_rewind(void *ctx, pfx_err *err)
{
    (void)err;
    ((source *)ctx)->at = 0;
    return PFX_OK;
}

static pfx_status do_next(void *ctx, const pfx_frame **block, pfx_err *err)
{
    (void)err;
    source *s = ctx;
    pfx_idx n = s->n_rows - s->at < BLOCK ? s->n_rows - s->at : BLOCK;
    *block = NULL;
    if (n == 0) return PFX_OK;
    for (pfx_idx i = 0; i < n; i++) s->col[0].code[i] = (int32_t)((s->at + i) / T);
    s->frame = (pfx_frame){.row0 = s->at,
                           .n_rows = n,
                           .n_cols = s->n_cols,
                           .cols = s->col,
                           .unit0 = s->at / T,
                           .n_units = n / T,
                           .unit_start = s->start,
                           .time = s->year};
    s->at += n;
    *block = &s->frame;
    return PFX_OK;
}

/* firm, year, y, x1 .. xk */
static void make(source *s, pfx_idx rows, int k)
{
    static char name[MAX_COLS][8];
    *s = (source){.n_rows = rows, .n_cols = k + 3};
    s->spec[0] = (pfx_col_spec){.name = "firm", .kind = PFX_CATEGORY, .dtype = PFX_I32, .n_levels = rows / T};
    s->col[0].code = malloc(BLOCK * sizeof(int32_t));
    for (int c = 1; c < s->n_cols; c++) {
        snprintf(name[c], sizeof *name, c == 1 ? "year" : c == 2 ? "y" : "x%d", c - 2);
        s->spec[c] = (pfx_col_spec){.name = name[c], .kind = c == 1 ? PFX_TIME : PFX_NUMERIC};
        s->col[c].num = malloc(BLOCK * sizeof(double));
        for (int i = 0; i < BLOCK; i++) s->col[c].num[i] = c == 1 ? 2015 + i % T : (i * (c + 7)) % 1009;
    }
    for (int c = 0; c < s->n_cols; c++) s->col[c].spec = s->spec[c];
    for (int u = 0; u <= BLOCK / T; u++) s->start[u] = (pfx_idx)u * T;
    s->year = s->col[1].num;
}

static double copy_seconds(size_t bytes)
{
    char *a = malloc(BLOCK * 8), *b = malloc(bytes);
    memset(a, 1, BLOCK * 8);
    double t = pfx_wall_s();
    for (size_t at = 0; at < bytes; at += BLOCK * 8)
        memcpy(b + at, a, bytes - at < BLOCK * 8 ? bytes - at : BLOCK * 8);
    t = pfx_wall_s() - t;
    if (b[bytes / 2] != 1) t = NAN;
    free(a);
    free(b);
    return t;
}

static pfx_bench_report report;

static void run(source *s, const char *what, const char *text, const pfx_dataset_options *o, int k)
{
    pfx_formula *f = NULL;
    pfx_dataset *ds = NULL;
    pfx_design *d = NULL;
    pfx_err err = {0};
    pfx_row_source src = {.ctx = s,
                          .n_rows = s->n_rows,
                          .n_units = s->n_rows / T,
                          .n_cols = s->n_cols,
                          .cols = s->spec,
                          .panel = {"firm", "year", PFX_TIME_YEAR},
                          .rewind = do_rewind,
                          .next = do_next};
    double t0, t1, t2, cpu;
    pfx_status st = pfx_formula_parse(text, &f, &err);
    t0 = pfx_wall_s();
    cpu = pfx_cpu_s();
    if (st == PFX_OK) st = pfx_dataset_load(&src, f, o, &ds, &err);
    t1 = pfx_wall_s();
    if (st == PFX_OK) st = pfx_dataset_design(ds, 0, 0, true, &d, &err);
    t2 = pfx_wall_s();
    cpu = pfx_cpu_s() - cpu;
    pfx_bench_line l = pfx_bench_line_of(what, s->n_rows, k, 1);
    if (st == PFX_OK && d->n + d->n_missing + d->n_singletons > 0 &&
        (strcmp(what, "plain") != 0 || d->Z[d->p - 1] == s->col[2].num[0])) {
        double bytes = (double)d->n * (8.0 * d->p + 4.0 * (d->n_absorbed + d->n_clusters));
        l.seconds = t2 - t0;
        l.rate = bytes / l.seconds * 1e-9;
        l.unit = "GB/s", l.limit = "copy";
        l.peak_bytes = pfx_peak_rss();
        l.limit_rate = bytes / copy_seconds((size_t)bytes) * 1e-9;
        pfx_bench_verdict(&l, PFX_BENCH_PASS, "load %.3f s, design %.3f s, cpu %.3f s, result %.0f MiB", t1 - t0, t2 - t1, cpu,
                          bytes / 1048576);
    } else {
        pfx_bench_verdict(&l, PFX_BENCH_FAIL, "%s", err.msg);
    }
    if (pfx_bench_add(&report, &l, &err) != PFX_OK) exit(1);
    pfx_design_free(d);
    pfx_dataset_free(ds);
    pfx_formula_free(f);
}

int main(int argc, char **argv)
{
    static source s;
    pfx_idx rows = argc > 1 ? atoll(argv[1]) / T * T : 10000000;
    int k = argc > 2 ? atoi(argv[2]) : 11;
    char text[1000] = "y ~ x1";
    if (k < 2 || k > MAX_COLS - 3) k = 11;
    make(&s, rows, k);
    for (int j = 2; j <= k; j++) sprintf(text + strlen(text), " + x%d", j);
    strcat(text, " | firm + year");
    const char *cluster = "firm";
    pfx_dataset_options o = {.n_clusters = 1, .clusters = &cluster};
    run(&s, "plain", text, &o, k + 1);
    o.where = "year >= 2016 & x1 < 900";
    run(&s, "where", text, &o, k + 1);
    o.where = NULL;
    strcpy(strchr(text, '~') + 2, "l(x1) + log(x2) + x1:x2 | firm + year");
    run(&s, "functions", text, &o, 4);
    return pfx_bench_print(&report, 1);
}
