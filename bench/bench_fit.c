/* One regression of 12 columns from arrays in memory: projection alone, and the whole fit with errors clustered by
 * the unit, beside the time to read the data once. Usage: bench_fit [rows of the large panel, default 10000000]. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "bench/panel.h"
#include "src/base/log.h"
#include "src/base/parallel.h"
#include "src/est/absorb.h"
#include "src/est/fit.h"

static double best_of(int n, double (*run)(pfx_design *, int), pfx_design *d, int nth)
{
    double best = INFINITY;
    for (int i = 0; i < n; i++) best = fmin(best, run(d, nth));
    return best;
}

static double read_once(pfx_design *d, int nth) { return bench_read_s(d->n * d->p, d->Z, nth); }

static char route[64];
static int iterations;

static double project(pfx_design *d, int nth)
{
    pfx_absorb_options o = {1e-10, 10000, nth, pfx_cpu_best()};
    pfx_absorber *a;
    pfx_err err = {0};
    double t = pfx_wall_s();
    if (pfx_absorber_create(d, &o, &a, &err) != PFX_OK) fprintf(stderr, "%s\n", err.msg), exit(1);
    t = pfx_wall_s() - t;
    snprintf(route, sizeof route, "%s", pfx_absorber_info(a)->route);
    iterations = pfx_absorber_info(a)->iterations;
    pfx_absorber_free(a);
    return t;
}

static bool good;

/* Every planted coefficient of 0.1 lies within six standard errors, and these are small. */
static double fit(pfx_design *d, int nth)
{
    pfx_fit_options o = {.vcov = PFX_VCOV_CLUSTER, .level = 0.95, .tol = 1e-10, .maxiter = 10000, .nth = nth, .isa = pfx_cpu_best()};
    pfx_fit *f;
    pfx_err err = {0};
    double t = pfx_wall_s();
    if (pfx_fit_ols(d, &o, &f, &err) != PFX_OK) fprintf(stderr, "%s\n", err.msg), exit(1);
    t = pfx_wall_s() - t;
    good = f->k == d->p - 1;
    for (int k = 0; k < f->k; k++)
        good &= fabs(f->coef[k].estimate - 0.1) < 6 * f->coef[k].std_error && f->coef[k].std_error < 0.01;
    pfx_fit_free(f);
    return t;
}

/* goal_ms: the whole fit on two threads, 0: none. */
static void scenario(const char *name, enum bench_kind kind, pfx_idx n, double move, bool weights, double goal_ms)
{
    pfx_design *d = bench_design(kind, n, move, weights);
    int reps = n > 2000000 ? 5 : 9;
    for (int nth = 1; nth <= 2; nth++) {
        double r = best_of(reps, read_once, d, nth), p = best_of(reps, project, d, nth), f = best_of(reps, fit, d, nth);
        printf("%-26s %9lld %d thread%s  read %7.2f ms  project %8.2f ms  fit %8.2f ms  %5.1f GB/s = %3.0f %% of reading twice  %s (%d)  %s%s\n",
               name, (long long)d->n, nth, nth > 1 ? "s" : " ", r * 1e3, p * 1e3, f * 1e3, 16e-9 * (double)(d->n * d->p) / f,
               200 * r / f, route, iterations, good ? "PASS" : "FAIL",
               nth == 2 && goal_ms > 0 ? f * 1e3 <= goal_ms ? "  goal met" : "  goal missed" : "");
        fflush(stdout);
    }
    pfx_design_free(d);
}

int main(int argc, char **argv)
{
    pfx_idx large = argc > 1 ? atoll(argv[1]) : 10000000;
    const char *only = argc > 2 ? argv[2] : NULL;
    pfx_err err = {0};
    if (pfx_par_single_thread_blas(&err) != PFX_OK) return 1;
    printf("triad: %.1f GB/s one thread, %.1f two\n", bench_triad_gbs(8 << 20, 1), bench_triad_gbs(8 << 20, 2));
    static const struct { const char *name; enum bench_kind kind; double move; bool weights; double goal; } list[] = {
        {"firm + year", BENCH_TWO_WAY, 0, false, 10}, {"firm + year, weights", BENCH_TWO_WAY, 0, true, 0},
        {"firm + ind^year + reg^year", BENCH_INDUSTRY, 0, false, 60}, {"worker + firm, 1 %", BENCH_WORKERS, 0.01, false, 60},
        {"worker + firm, 5 %", BENCH_WORKERS, 0.05, false, 1000}, {"worker + firm, 20 %", BENCH_WORKERS, 0.2, false, 1000},
        {"worker + firm, 1 % local", BENCH_LOCAL, 0.01, false, 60}, {"worker + firm, 5 % local", BENCH_LOCAL, 0.05, false, 1000},
        {"worker + firm, 20 % local", BENCH_LOCAL, 0.2, false, 1000}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (!only || *only == (char)('0' + i)) scenario(list[i].name, list[i].kind, 1000000, list[i].move, list[i].weights, list[i].goal);
    if (large > 0) scenario("firm + year, large", BENCH_TWO_WAY, large, 0, false, 75);
    return 0;
}
