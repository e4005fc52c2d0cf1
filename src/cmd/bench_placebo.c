/* Placebo draws on a made-up firm-year panel of 3,500 firms, beside refits of literally reassigned
 * treatments. */
#include <math.h>
#include <string.h>

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cmd/bench_private.h"
#include "src/est/fit.h"
#include "src/rep/keep.h"
#include "src/rep/placebo.h"

/* Rows of a panel of 3,500 firms, at the default of --rows; every 22nd firm adopts, in any year but the first
 * two and the last. */
enum {
    P = BENCH_COLUMNS,
    REFITS = 5,
    REPS = 192000,
    REPS_LARGE = 1920,
    ROWS = 24500,
    OF = 10000000,
    EVERY = 22
};
static const uint64_t SEED = 1;

typedef struct job {
    pfx_design *d;
    double *treatment; /* [n] */
    pfx_assign_in in;
    pfx_assign *assign;
    pfx_placebo *p;
    pfx_draw_keep keep;
    pfx_idx reps;
    int nth;
    pfx_isa isa;
} job;

static pfx_status draw(void *ctx, pfx_err *err)
{
    job *j = ctx;
    const pfx_draw_sink sink = pfx_draw_keep_sink(&j->keep);
    pfx_rep_run run = {.seed = SEED, .last = j->reps, .nth = j->nth, .n_sinks = 1, .sinks = &sink};
    j->keep.n = 0;
    return pfx_rep_run_method(pfx_placebo_method(j->p), &run, err);
}

static pfx_status prepare(job *j, const bench_case *c, pfx_idx rows, pfx_err *err)
{
    static const char *const drawn[] = {"x0"};
    const bool large = c->rows > 0;
    const int years = large ? 7 : 10;
    pfx_status st = bench_design(large ? BENCH_FIRMS : BENCH_TWO_WAY, rows, 0, false, j->nth, &j->d, err);
    if (st != PFX_OK) return st;
    j->reps = large ? REPS_LARGE : REPS;
    const int32_t *firm = j->d->clusters[0].code, *year = j->d->absorbed[1].factor.code;
    if (!(j->treatment = pfx_mem_alloc(j->d->n, sizeof *j->treatment, err))) return PFX_ENOMEM;
    for (pfx_idx i = 0; i < j->d->n; i++)
        j->d->Z[i * P] = j->treatment[i] =
            firm[i] % EVERY == 0 && year[i] >= 2 + firm[i] / EVERY % (years - 3);
    j->in = (pfx_assign_in){.n = j->d->n,
                            .treatment = j->treatment,
                            .n_units = j->d->clusters[0].n_levels,
                            .unit = firm,
                            .n_periods = years,
                            .period = year,
                            .unit_name = "firm",
                            .treatment_name = "x0"};
    const pfx_placebo_in in = {.d = j->d,
                               .assign = &j->in,
                               .n_drawn = 1,
                               .drawn = drawn,
                               .tol = 1e-10,
                               .maxiter = 10000,
                               .nth = j->nth,
                               .isa = j->isa,
                               .std_error = c->kind == BENCH_PLACEBO_SE,
                               .ssc = 1};
    st = pfx_assign_create(&j->in, &j->assign, err);
    if (st == PFX_OK) st = pfx_placebo_create(&in, j->assign, &j->p, err);
    unsigned fields = 1u << PFX_DRAW_ESTIMATE | 1u << PFX_DRAW_STD_ERROR;
    return st == PFX_OK ? pfx_draw_keep_init(&j->keep, 1, fields, 0, j->reps, err) : st;
}

/* The treatment of all rows under one draw, into the design. */
static void reassign(job *j, pfx_idx replicate, void *scratch, uint32_t *unit, uint32_t *path, int32_t *of)
{
    const pfx_assign *a = j->assign;
    pfx_idx n = pfx_assign_draw(a, j->isa, SEED, replicate, scratch, unit, path);
    memset(of, 0xff, (size_t)a->n_units * sizeof *of);
    for (pfx_idx i = 0; i < a->n_fixed; i++) of[a->fixed[i]] = a->own[a->fixed[i]];
    for (pfx_idx i = 0; i < n; i++) of[unit[i]] = (int32_t)path[i];
    for (pfx_idx i = 0; i < j->d->n; i++) {
        int32_t p = of[j->in.unit[i]];
        j->d->Z[i * P] = p < 0 ? 0 : a->path[(pfx_idx)p * a->n_periods + j->in.period[i]];
    }
}

static double digits_of(double a, double b)
{
    return a == b ? 16 : -log10(fabs(a - b) / fmax(fabs(a), fabs(b)));
}

/* Some draws the slow way: how many digits agree, and the seconds of each. */
static pfx_status check(job *j, const bench_case *c, double *digits, double *seconds, pfx_err *err)
{
    const pfx_fit_options o = {.vcov = PFX_VCOV_CLUSTER,
                               .ssc = PFX_SSC_NONE,
                               .level = 0.95,
                               .tol = 1e-10,
                               .maxiter = 10000,
                               .nth = 1,
                               .isa = j->isa};
    pfx_idx units = j->assign->n_units;
    void *scratch = pfx_mem_alloc(pfx_assign_scratch(j->assign), 1, err);
    uint32_t *unit = pfx_mem_alloc(units, sizeof *unit, err), *path = pfx_mem_alloc(units, sizeof *path, err);
    int32_t *of = pfx_mem_alloc(units, sizeof *of, err);
    pfx_status st = scratch && unit && path && of ? PFX_OK : PFX_ENOMEM;
    *digits = 16;
    *seconds = 0;
    if (st == PFX_OK) pfx_assign_begin(j->assign, scratch);
    for (int r = 0; r < REFITS && st == PFX_OK; r++) {
        pfx_fit *f = NULL;
        double begin = pfx_wall_s();
        reassign(j, r, scratch, unit, path, of);
        if ((st = pfx_fit_ols(j->d, &o, &f, err)) != PFX_OK) break;
        *seconds += (pfx_wall_s() - begin) / REFITS;
        *digits = fmin(*digits, digits_of(j->keep.field[PFX_DRAW_ESTIMATE][r], f->coef[0].estimate));
        if (c->kind == BENCH_PLACEBO_SE)
            *digits = fmin(*digits, digits_of(j->keep.field[PFX_DRAW_STD_ERROR][r], f->coef[0].std_error));
        pfx_fit_free(f);
    }
    pfx_mem_free(scratch);
    pfx_mem_free(unit);
    pfx_mem_free(path);
    pfx_mem_free(of);
    return st;
}

pfx_status bench_placebo(bench_run *r, const bench_case *c, pfx_err *err)
{
    job j = {.nth = r->nth, .isa = (pfx_isa)r->common->isa};
    double digits = NAN, slow = NAN, share = fmin(1, fmax(0.01, (double)r->large / OF));
    int nth[2], k = bench_thread_list(r, nth);
    pfx_status st = prepare(&j, c, c->rows ? bench_rows(r, c) : (pfx_idx)(ROWS * share), err);
    for (int i = 0; i < k && st == PFX_OK; i++) {
        pfx_bench_line l = pfx_bench_line_of(c->name, j.d->n, P, nth[i]);
        j.nth = nth[i];
        if ((st = pfx_bench_best(3, r->patience, draw, &j, &l.seconds, err))) break;
        if (i == 0 && (st = check(&j, c, &digits, &slow, err))) break;
        double each = l.seconds / (double)j.reps;
        l.rate = 1e-6 / each;
        l.unit = "draws/us";
        l.digits = digits;
        pfx_bench_verdict(&l, digits >= 9 ? PFX_BENCH_PASS : PFX_BENCH_FAIL,
                          "%d draws, %.3g us each; a refit %.3g ms, %.0f x", (int)j.reps, 1e6 * each,
                          1e3 * slow, slow / each);
        st = pfx_bench_add(&r->report, &l, err);
    }
    pfx_draw_keep_free(&j.keep);
    pfx_placebo_free(j.p);
    pfx_assign_free(j.assign);
    pfx_mem_free(j.treatment);
    pfx_design_free(j.d);
    return st;
}
