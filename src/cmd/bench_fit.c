/* Whole fits from arrays in memory: demeaning, coefficients, standard errors clustered by the first effect.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/cmd/bench_private.h"
#include "src/est/fit.h"

enum { P = BENCH_COLUMNS };

typedef struct job {
    pfx_design *d;
    pfx_fit_options o;
    pfx_fit *f; /* the last one */
} job;

static pfx_status fit_once(void *ctx, pfx_err *err)
{
    job *j = ctx;
    pfx_fit_free(j->f);
    j->f = NULL;
    return pfx_fit_model(j->d, &j->o, &j->f, err);
}

/* Largest weighted sum of residuals over a level of a factor, in units of the residuals' norm over the
 * level's rows times the square root of their number: zero in exact arithmetic. */
static pfx_status effect_residue(const pfx_design *d, const double *e, const int32_t *code, pfx_idx levels,
                                 double rms, double *worst, pfx_err *err)
{
    double *sum = pfx_mem_calloc(levels, 2 * sizeof *sum, err);
    if (!sum) return PFX_ENOMEM;
    for (pfx_idx r = 0; r < d->n; r++) {
        double w = d->w ? d->w[r] : 1;
        pfx_idx g = code ? code[r] : 0;
        sum[2 * g] += w * e[r];
        sum[2 * g + 1] += w;
    }
    for (pfx_idx g = 0; g < levels; g++) *worst = fmax(*worst, fabs(sum[2 * g]) / (sum[2 * g + 1] * rms));
    pfx_mem_free(sum);
    return PFX_OK;
}

/* The normal equations, from the data: residuals are orthogonal to every regressor (or its instrument) and
 * sum to zero over every level of every effect. Returns the largest violation as a cosine or mean, whatever
 * the route. */
static pfx_status residue(const pfx_design *d, const double *e, double *worst, pfx_err *err)
{
    double ee = 0, zz[P] = {0}, ze[P] = {0};
    pfx_status st = PFX_OK;
    for (pfx_idx r = 0; r < d->n; r++) {
        double w = d->w ? d->w[r] : 1;
        ee += w * e[r] * e[r];
        for (int k = 0; k < P - 1; k++) {
            double z = d->Z[r * P + k];
            zz[k] += w * z * z;
            ze[k] += w * z * e[r];
        }
    }
    *worst = 0;
    for (int k = 0; k < P - 1; k++)
        if (d->role[k] != PFX_ENDOGENOUS) *worst = fmax(*worst, fabs(ze[k]) / sqrt(zz[k] * ee));
    const double rms = sqrt(ee / (double)d->n);
    if (d->n_absorbed == 0) st = effect_residue(d, e, NULL, 1, rms, worst, err);
    for (int a = 0; a < d->n_absorbed && st == PFX_OK; a++)
        st =
            effect_residue(d, e, d->absorbed[a].factor.code, d->absorbed[a].factor.n_levels, rms, worst, err);
    return st;
}

/* Every planted coefficient lies within six standard errors, and these are small for the number of rows. */
static bool planted(const pfx_design *d, const pfx_fit *f)
{
    const double bound = 5 / sqrt((double)d->n);
    int constant = f->k - (P - 1) + (f->iv != NULL);
    if (constant != (d->n_absorbed == 0)) return false;
    for (int k = constant; k < f->k; k++)
        if (!(fabs(f->coef[k].estimate - 0.1) < 6 * f->coef[k].std_error) || !(f->coef[k].std_error < bound))
            return false;
    return true;
}

static bool same_bits(const pfx_fit *a, const pfx_fit *b)
{
    for (int k = 0; k < a->k; k++)
        if (memcmp(&a->coef[k].estimate, &b->coef[k].estimate, sizeof(double)) != 0 ||
            memcmp(&a->coef[k].std_error, &b->coef[k].std_error, sizeof(double)) != 0)
            return false;
    return a->k == b->k;
}

/* One fit more, with residuals kept, is checked; it must also be the timed one's equal. */
static pfx_status check(job *j, const pfx_fit *timed, pfx_bench_line *l, pfx_err *err)
{
    double worst = NAN;
    pfx_fit *f = NULL;
    pfx_fit_options o = j->o;
    o.save = true;
    pfx_status st = pfx_fit_model(j->d, &o, &f, err);
    if (st == PFX_OK) st = residue(j->d, f->resid, &worst, err);
    if (st == PFX_OK) {
        l->digits = worst > 0 ? -log10(worst) : 16;
        if (!(l->digits >= 9))
            pfx_bench_verdict(l, PFX_BENCH_FAIL, "residuals are not orthogonal to regressors and effects");
        else if (!planted(j->d, f))
            pfx_bench_verdict(l, PFX_BENCH_FAIL, "a coefficient is not what was planted");
        else if (!same_bits(f, timed))
            pfx_bench_verdict(l, PFX_BENCH_FAIL, "two fits of one design differ");
        else
            pfx_bench_verdict(l, PFX_BENCH_PASS, "%s", f->route);
    }
    pfx_fit_free(f);
    return st;
}

/* The last regressor becomes an instrument, and moves the one before, which is endogenous: the planted
 * coefficients stay, and the instrument has none of its own. */
static void add_instrument(pfx_design *d)
{
    d->role[P - 3] = PFX_ENDOGENOUS;
    d->role[P - 2] = PFX_INSTRUMENT;
    for (pfx_idx r = 0; r < d->n; r++) d->Z[r * P + P - 3] += d->Z[r * P + P - 2];
}

static pfx_status run(bench_run *r, const bench_case *c, bool instruments, pfx_err *err)
{
    job j = {.o = {.vcov = PFX_VCOV_CLUSTER,
                   .level = 0.95,
                   .tol = 1e-10,
                   .maxiter = 10000,
                   .isa = (pfx_isa)r->common->isa}};
    pfx_fit *first = NULL;
    double digits = NAN;
    int nth[2], k = bench_thread_list(r, nth);
    pfx_status st =
        bench_design((bench_kind)c->kind, bench_rows(r, c), c->move, c->weights, r->nth, &j.d, err);
    if (st == PFX_OK && instruments) add_instrument(j.d);
    for (int i = 0; i < k && st == PFX_OK; i++) {
        pfx_bench_line l = pfx_bench_line_of(c->name, j.d->n, P, nth[i]);
        j.o.nth = nth[i];
        if ((st = pfx_bench_best(3, r->patience, fit_once, &j, &l.seconds, err))) break;
        /* No route can do with less than reading the data twice: coefficients, then scores. */
        l.rate = 16e-9 * (double)j.d->n * P / l.seconds;
        l.unit = "GB/s", l.limit = "read", l.limit_rate = r->limit.read[i];
        if (!first) {
            if ((st = check(&j, j.f, &l, err))) break;
            digits = l.digits;
            first = j.f;
            j.f = NULL;
        } else {
            l.digits = digits;
            pfx_bench_verdict(&l, same_bits(first, j.f) ? PFX_BENCH_PASS : PFX_BENCH_FAIL, "%s",
                              first->route);
        }
        st = pfx_bench_add(&r->report, &l, err);
    }
    pfx_fit_free(first);
    pfx_fit_free(j.f);
    pfx_design_free(j.d);
    return st;
}

pfx_status bench_fit(bench_run *r, const bench_case *c, pfx_err *err)
{
    return run(r, c, false, err);
}

pfx_status bench_fit_2sls(bench_run *r, const bench_case *c, pfx_err *err)
{
    return run(r, c, true, err);
}
