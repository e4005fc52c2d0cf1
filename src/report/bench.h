/* What a benchmark reports: lines with a rate, its share of a limit of the machine, and the verdict of a
 * check of its own; as a table, and as a record (TSV) that later runs are compared with. */
#ifndef PFX_REPORT_BENCH_H
#define PFX_REPORT_BENCH_H

#include <stdbool.h>
#include "src/base/status.h"
#include "src/report/table.h"

typedef enum pfx_bench_check {
    PFX_BENCH_PASS,
    PFX_BENCH_FAIL,
    PFX_BENCH_SKIP,
    PFX_BENCH_NONE
} pfx_bench_check;

typedef struct pfx_bench_line {
    char name[48]; /* the case: "fit two-way" */
    pfx_idx rows;  /* -1: a limit, without rows and columns */
    int columns, threads;
    double seconds;     /* the best of several; NaN: not run */
    double rate;        /* work over seconds */
    const char *unit;   /* of rate and limit_rate: "GB/s", "GFLOP/s"; static text */
    const char *limit;  /* what bounds the rate: "read", "dgemm"; static text, NULL: nothing was measured */
    double limit_rate;  /* that bound, measured in the same run */
    double digits;      /* decimal digits that the check found right; NaN: the check counts none */
    pfx_idx faults;     /* page faults of the case's own process, -1: not counted */
    pfx_idx peak_bytes; /* peak resident size of the case's own process, -1: not counted */
    pfx_bench_check check;
    char note[200]; /* why it failed or was skipped; split of the seconds */
} pfx_bench_line;

/* A line with nothing measured: NaN, -1, PFX_BENCH_NONE. */
pfx_bench_line pfx_bench_line_of(const char *name, pfx_idx rows, int columns, int threads);
/* Keep the message as the line's note, and the verdict. */
void pfx_bench_verdict(pfx_bench_line *l, pfx_bench_check check, const char *fmt, ...) PFX_PRINTF(3, 4);

/* The best wall seconds of repeated calls of fn: at least `least` calls, then more until budget_s seconds
 * have gone or 50 calls were made. Stops at the first failure and returns it. */
typedef pfx_status (*pfx_bench_fn)(void *ctx, pfx_err *err);
pfx_status pfx_bench_best(int least, double budget_s, pfx_bench_fn fn, void *ctx, double *best_s,
                          pfx_err *err) PFX_MUST;

/* Lines of a run, in order. Start from {0}. */
typedef struct pfx_bench_report {
    int n, cap;
    pfx_bench_line *line;
} pfx_bench_report;

pfx_status pfx_bench_add(pfx_bench_report *r, const pfx_bench_line *l, pfx_err *err) PFX_MUST;
void pfx_bench_report_free(pfx_bench_report *r);
int pfx_bench_failures(const pfx_bench_report *r);

/* How the run was made, beside what the report finds out itself. */
typedef struct pfx_bench_machine {
    int threads;
    const char *isa, *hdf5;
} pfx_bench_machine;

/* The table, in any format; width as pfx_table_render. */
pfx_status pfx_bench_render(const pfx_bench_report *r, const pfx_bench_machine *m, pfx_format format,
                            int width, pfx_str *out, pfx_err *err) PFX_MUST;
/* For programs of bench/: the table as text on standard output, the report freed. Returns the exit status: 1
 * if a check or the printing failed. */
int pfx_bench_print(pfx_bench_report *r, int threads);
/* The record: lines "# KEY<TAB>VALUE" (date, version, commit, compiler, flags,
 * cpu, cores, threads, isa, openblas, openblas_core, hdf5, load_average), a line of column
 * names, then one line for each case. Nothing in it names this machine or its folders. */
pfx_status pfx_bench_record(const pfx_bench_report *r, const pfx_bench_machine *m, pfx_str *out,
                            pfx_err *err) PFX_MUST;

#endif
