/* What the files of the bench command share. */
#ifndef PFX_CMD_BENCH_PRIVATE_H
#define PFX_CMD_BENCH_PRIVATE_H

#include "src/base/file.h"
#include "src/cmd/opt.h"
#include "src/model/design.h"
#include "src/report/bench.h"

enum { BENCH_COLUMNS = 12 }; /* eleven regressors and the outcome */

/* What the machine allows, measured in the same run: GB/s, GFLOP/s; [0] one thread, [1] all of --threads. */
typedef struct bench_limits {
    double triad[2], read[2], dgemm[2];
    double fresh; /* GB/s of writing memory for the first time, as the engine allocates it */
    double file_write,
        file_read;     /* MB/s of plain write with fsync, and of read from the page cache, in --tmpdir */
    double panel_read; /* s of T_read of the panel file */
} bench_limits;

enum { BENCH_PANEL, BENCH_IMPORTED, BENCH_CSV, BENCH_RESULT, BENCH_MESSAGE, BENCH_PLAIN, BENCH_N_FILES };

typedef struct bench_run {
    pfx_common *common;
    int nth;
    pfx_idx large, small; /* rows of the two sizes */
    double patience;      /* seconds to repeat a case for, in units of the default's; <= 1 */
    bench_limits limit;
    pfx_bench_report report;
    pfx_out file[BENCH_N_FILES]; /* in --tmpdir; a signal takes them away */
    bool has_panel;              /* the panel file of `large` rows is there */
    pfx_idx panel_rows;
    double estimate[BENCH_COLUMNS], std_error[BENCH_COLUMNS]; /* of the first fit from the file */
    int n_estimates;
} bench_run;

typedef enum bench_kind {
    BENCH_NONE,     /* no effects, an intercept */
    BENCH_ONE_WAY,  /* firm, ten years of which each firm has about seven */
    BENCH_TWO_WAY,  /* firm + year, the same rows */
    BENCH_FIRMS,    /* firm + year, seven years of which each firm has about five */
    BENCH_INDUSTRY, /* firm + industry^year (500 x 7) + region^year (20 x 7) */
    BENCH_WORKERS,  /* worker + firm, seven years; a share of workers moves each year to any firm */
    BENCH_LOCAL     /* the same, to one of ten neighbouring firms */
} bench_kind;

typedef struct bench_case {
    const char *name, *group;
    pfx_status (*run)(bench_run *r, const struct bench_case *c, pfx_err *err);
    bool large;                  /* of r->large rows, else r->small */
    double memory_row, disk_row; /* bytes it needs for each row */
    int kind;                    /* a bench_kind, a kernel, a variant: the run function's own */
    double move;                 /* share of workers who move */
    bool weights;
    pfx_idx rows; /* of a case with a size of its own, at the default of --rows; 0: large or small */
} bench_case;

pfx_idx bench_rows(const bench_run *r, const bench_case *c);
/* One thread, and all where there are more: numbers of threads to run a case with, returns how many. */
int bench_thread_list(const bench_run *r, int nth[2]);

/* A made-up design of about n rows: BENCH_COLUMNS columns, the outcome last, each coefficient 0.1, clusters
 * the first effect (workers: the worker). The same at any nth. NOMEM. */
pfx_status bench_design(bench_kind kind, pfx_idx n, double move, bool weights, int nth, pfx_design **out,
                        pfx_err *err) PFX_MUST;

pfx_status bench_measure_limits(bench_run *r, pfx_err *err) PFX_MUST;

pfx_status bench_kernel(bench_run *r, const bench_case *c, pfx_err *err) PFX_MUST;
enum { BENCH_GRAM, BENCH_DEMEAN, BENCH_RESID, BENCH_SCORE };
pfx_status bench_fit(bench_run *r, const bench_case *c, pfx_err *err) PFX_MUST;
pfx_status bench_fit_2sls(bench_run *r, const bench_case *c, pfx_err *err) PFX_MUST;
pfx_status bench_wild(bench_run *r, const bench_case *c, pfx_err *err) PFX_MUST;
pfx_status bench_placebo(bench_run *r, const bench_case *c, pfx_err *err) PFX_MUST;
enum { BENCH_PLACEBO, BENCH_PLACEBO_SE };
enum { BENCH_WILD, BENCH_WILD_INTERVAL, BENCH_WILD_WEBB, BENCH_WILD_CROSSING };
pfx_status bench_boot(bench_run *r, const bench_case *c, pfx_err *err) PFX_MUST;
enum { BENCH_PAIRS, BENCH_PAIRS_SE, BENCH_PAIRS_BAYES, BENCH_JACKKNIFE };
pfx_status bench_simulate(bench_run *r, const bench_case *c, pfx_err *err) PFX_MUST;
pfx_status bench_import(bench_run *r, const bench_case *c, pfx_err *err) PFX_MUST;
pfx_status bench_panel_read(bench_run *r, const bench_case *c, pfx_err *err) PFX_MUST;
pfx_status bench_panel_fit(bench_run *r, const bench_case *c, pfx_err *err) PFX_MUST;
enum { BENCH_IN_MEMORY, BENCH_STREAMED };
/* Choose the names of the run's files, and remove the files. IO: --tmpdir cannot be written. */
pfx_status bench_files_begin(bench_run *r, pfx_err *err) PFX_MUST;
void bench_files_end(bench_run *r);

#endif
