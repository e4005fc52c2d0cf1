/* Made-up designs for the benchmarks, and the machine's own limits. */
#ifndef PFX_BENCH_PANEL_H
#define PFX_BENCH_PANEL_H

#include "src/model/design.h"

enum bench_kind {
    BENCH_TWO_WAY,      /* firm + year, ten years of which each firm has about seven */
    BENCH_INDUSTRY,     /* firm + industry^year (500 x 7) + region^year (20 x 7) */
    BENCH_WORKERS,      /* worker + firm, seven years, a share of workers moves each year to any firm */
    BENCH_LOCAL         /* the same, to one of ten neighbouring firms */
};

/* About n rows, 11 regressors and the outcome, each coefficient 0.1; clusters: the first effect. Allocated with
 * pfx_mem; ends the program when memory is short. */
pfx_design *bench_design(enum bench_kind kind, pfx_idx n, double move, bool weights);

/* Seconds for nth threads to read n doubles once, and GB/s of a triad over three arrays of n doubles. */
double bench_read_s(pfx_idx n, const double *x, int nth);
double bench_triad_gbs(pfx_idx n, int nth);

#endif
