/* The wild bootstrap on a made-up firm-year panel of 3,500 firms, or of 3,500 workers who change firms whose
 * effects cross the clusters, beside refits of literally built outcomes. */
#include <math.h>
#include <string.h>

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cmd/bench_private.h"
#include "src/est/fit.h"
#include "src/rep/clusterstat.h"
#include "src/rep/keep.h"
#include "src/rep/wild.h"
#include "src/rep/wild_summary.h"

/* Rows of a panel of 3,500 firms, at the default of --rows. */
enum { P = BENCH_COLUMNS, REFITS = 5, REPS = 102000, REPS_CROSSING = 1920, ROWS = 24500, OF = 10000000 };
static const uint64_t SEED = 1;
static const double NULL_VALUE = 0.1; /* what was planted */

typedef struct job {
    pfx_design *d;
    pfx_clusterstat *s;
    pfx_wild *wild;
    pfx_draw_keep keep;
    pfx_wild_out out;
    bool invert;
    pfx_idx reps;
    int nth;
    pfx_isa isa;
} job;

static pfx_fit_options fit_options_of(const job *j)
{
    return (pfx_fit_options){.vcov = PFX_VCOV_CLUSTER,
                             .ssc = PFX_SSC_NONE,
                             .level = 0.95,
                             .tol = 1e-10,
                             .maxiter = 10000,
                             .nth = j->nth,
                             .isa = j->isa,
                             .save = true};
}

/* Draws and p-value, with the interval where asked for: what a user waits for. */
static pfx_status draw(void *ctx, pfx_err *err)
{
    job *j = ctx;
    const pfx_draw_sink sink = pfx_draw_keep_sink(&j->keep);
    const pfx_wild_info *info = pfx_wild_describe(j->wild);
    pfx_rep_run run = {.seed = SEED, .last = j->reps, .nth = j->nth, .n_sinks = 1, .sinks = &sink};
    j->keep.n = 0;
    pfx_status st = pfx_rep_run_method(pfx_wild_method(j->wild), &run, err);
    if (st != PFX_OK) return st;
    double *const *extra = j->keep.field + PFX_DRAW_FIELDS;
    const pfx_wild_in in = {.reps = j->reps,
                            .stride = 1,
                            .t = j->keep.field[PFX_DRAW_STATISTIC],
                            .n0 = extra[PFX_WILD_N0],
                            .n1 = extra[PFX_WILD_N1],
                            .d0 = extra[PFX_WILD_D0],
                            .d1 = extra[PFX_WILD_D1],
                            .d2 = extra[PFX_WILD_D2],
                            .statistic = info->statistic[0],
                            .estimate = j->s->b[0],
                            .std_error = info->std_error[0],
                            .level = 0.95,
                            .nth = j->nth,
                            .isa = j->isa};
    return pfx_wild_summarise(&in, &j->out, err);
}

/* Residuals of the model under the null, e [n]: the outcome less the tested column's part, on the other
 * columns. */
static pfx_status null_residuals(const job *j, double *e, pfx_err *err)
{
    const pfx_design *d = j->d;
    pfx_fit_options o = fit_options_of(j);
    pfx_fit *f = NULL;
    pfx_design less = *d; /* shares all but the rows */
    pfx_status st = PFX_ENOMEM;
    less.p = P - 1;
    less.name = d->name + 1;
    less.role = d->role + 1;
    if (!(less.Z = pfx_mem_alloc(d->n * less.p, sizeof *less.Z, err))) return PFX_ENOMEM;
    for (pfx_idx i = 0; i < d->n; i++) {
        memcpy(less.Z + i * less.p, d->Z + i * P + 1, (size_t)less.p * sizeof *less.Z);
        less.Z[i * less.p + less.p - 1] -= NULL_VALUE * d->Z[i * P];
    }
    st = pfx_fit_ols(&less, &o, &f, err);
    if (st == PFX_OK) memcpy(e, f->resid, (size_t)d->n * sizeof *e);
    pfx_fit_free(f);
    pfx_mem_free(less.Z);
    return st;
}

/* Some replicates the slow way: the restricted fit once, then an outcome and a fit for each. */
static pfx_status check(job *j, double *digits, double *seconds, pfx_err *err)
{
    const pfx_design *d = j->d;
    pfx_fit_options o = fit_options_of(j);
    pfx_fit *f = NULL;
    pfx_status st = PFX_ENOMEM;
    double *e = pfx_mem_alloc(d->n, sizeof *e, err), *y = pfx_mem_alloc(d->n, sizeof *y, err);
    double *v = pfx_mem_alloc(j->s->G, sizeof *v, err), begin = 0;
    if (!e || !y || !v || (st = null_residuals(j, e, err)) != PFX_OK) goto done;
    for (pfx_idx i = 0; i < d->n; i++) y[i] = d->Z[i * P + P - 1];
    o.save = false;
    *digits = 16;
    begin = pfx_wall_s();
    for (pfx_idx r = 0; r < REFITS && st == PFX_OK; r++) {
        pfx_wild_draw(j->wild, SEED, r, v);
        for (pfx_idx i = 0; i < d->n; i++)
            d->Z[i * P + P - 1] = y[i] + (v[d->clusters[0].code[i]] - 1) * e[i];
        if ((st = pfx_fit_ols(j->d, &o, &f, err)) != PFX_OK) break;
        double a = (f->coef[0].estimate - NULL_VALUE) / f->coef[0].std_error;
        double b = j->keep.field[PFX_DRAW_STATISTIC][r], off = fabs(a - b) / fmax(fabs(a), fabs(b));
        *digits = fmin(*digits, off > 0 ? -log10(off) : 16);
        pfx_fit_free(f);
        f = NULL;
    }
    *seconds = (pfx_wall_s() - begin) / REFITS;
    for (pfx_idx i = 0; i < d->n; i++) d->Z[i * P + P - 1] = y[i];
done:
    pfx_mem_free(e);
    pfx_mem_free(y);
    pfx_mem_free(v);
    pfx_fit_free(f);
    return st;
}

static pfx_status prepare(job *j, const bench_case *c, pfx_idx rows, pfx_err *err)
{
    static const char *const terms[] = {"x0"};
    const pfx_clusterstat_options o = {.n_terms = 1,
                                       .terms = terms,
                                       .tol = 1e-10,
                                       .maxiter = 10000,
                                       .nth = j->nth,
                                       .isa = j->isa,
                                       .absorb = c->kind == BENCH_WILD_CROSSING};
    pfx_status st =
        bench_design(o.absorb ? BENCH_WORKERS : BENCH_TWO_WAY, rows, c->move, false, j->nth, &j->d, err);
    if (st == PFX_OK) st = pfx_clusterstat_create(j->d, &o, &j->s, err);
    if (st != PFX_OK) return st;
    j->invert = c->kind == BENCH_WILD_INTERVAL;
    j->reps = o.absorb ? REPS_CROSSING : REPS;
    const pfx_wild_options w = {.type = 11,
                                .invert = j->invert,
                                .null = &NULL_VALUE,
                                .weights = c->kind == BENCH_WILD_WEBB ? PFX_WILD_WEBB : PFX_WILD_RADEMACHER,
                                .reps = j->reps,
                                .n_errors = 1,
                                .errors = {{.weight = 1}},
                                .nth = j->nth,
                                .isa = j->isa};
    unsigned fields = 1u << PFX_DRAW_STATISTIC;
    for (int f = 0; f < PFX_WILD_EXTRA && j->invert; f++) fields |= 1u << (PFX_DRAW_FIELDS + f);
    if ((st = pfx_wild_create(j->s, &w, &j->wild, err)) != PFX_OK) return st;
    return pfx_draw_keep_init(&j->keep, 1, fields, 0, j->reps, err);
}

pfx_status bench_wild(bench_run *r, const bench_case *c, pfx_err *err)
{
    job j = {.nth = r->nth, .isa = (pfx_isa)r->common->isa};
    double digits = NAN, slow = NAN;
    int nth[2], k = bench_thread_list(r, nth);
    pfx_status st = prepare(&j, c, (pfx_idx)((double)ROWS / OF * (double)r->large), err);
    for (int i = 0; i < k && st == PFX_OK; i++) {
        pfx_bench_line l = pfx_bench_line_of(c->name, j.d->n, j.s->k + 1, nth[i]);
        j.nth = nth[i];
        if ((st = pfx_bench_best(3, r->patience, draw, &j, &l.seconds, err))) break;
        if (i == 0 && (st = check(&j, &digits, &slow, err))) break;
        double each = l.seconds / (double)j.reps;
        double sums = c->kind == BENCH_WILD_CROSSING ? (double)j.s->G : 2.0 * j.s->k * (j.invert ? 2 : 1);
        /* An addition and a multiplication for each cluster and statistic: the tables do eight of them in
         * one. */
        l.rate = 2e-9 * sums * (double)j.s->G / each;
        l.unit = "GFLOP/s", l.limit = "dgemm", l.limit_rate = r->limit.dgemm[i];
        l.digits = digits;
        pfx_bench_verdict(&l, digits >= 9 ? PFX_BENCH_PASS : PFX_BENCH_FAIL,
                          "%d replicates, %.3g us each; a refit %.3g ms, %.0f x", (int)j.reps, 1e6 * each,
                          1e3 * slow, slow / each);
        st = pfx_bench_add(&r->report, &l, err);
    }
    pfx_draw_keep_free(&j.keep);
    pfx_wild_free(j.wild);
    pfx_clusterstat_free(j.s);
    pfx_design_free(j.d);
    return st;
}
