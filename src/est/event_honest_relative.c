/* Relative magnitudes: a union of polyhedra, one for each change before treatment that may be the largest, up
 * or down. In each the effect is tested as in Andrews, Roth and Pakes (2023): moments Y(theta) - X nu <= 0 in
 * mean, where nu are the other combinations of the effects after treatment; the statistic is eta = max g'Y
 * over g >= 0 with g'X = 0, g'sd = 1. */
#include <gsl/gsl_sf_erf.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/ascending.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/base/rng.h"
#include "src/est/event_honest.h"
#include "src/est/simplex.h"

/* The share of the level that the first stage takes. */
static const double FIRST = 0.1;

typedef struct polyhedron {
    int m, k;      /* moments; 1 + nuisances */
    double *A;     /* [m x (pre + post)] of the effects */
    double *W;     /* [m x k] standard deviations, X */
    double *slope; /* [m] of Y in theta */
    double *S;     /* [m x m] covariance of Y */
    double *Y0;    /* [m] Y at theta 0 */
    pfx_simplex lp;
    double first; /* critical value of the first stage; infinite: none */
    double *eta;  /* [pfx_honest_draws] statistics of the first stage */
} polyhedron;

typedef struct family {
    const pfx_honest_in *in;
    double Mbar;
    bool hybrid;
    int n;
    polyhedron *p; /* [n] */
    double *L;     /* [pre + post squared] V = L L', column-major */
    double *N;     /* [post x (post - 1)] orthonormal, orthogonal to l */
    pfx_err *err;
    pfx_status *st; /* [n] */
} family;

static void family_free(family *f)
{
    for (int i = 0; i < f->n && f->p; i++) {
        polyhedron *p = &f->p[i];
        double *all[] = {p->A, p->W, p->slope, p->S, p->Y0, p->eta};
        for (int j = 0; j < 6; j++) pfx_mem_free(all[j]);
        pfx_simplex_free(&p->lp);
    }
    pfx_mem_free(f->p);
    pfx_mem_free(f->L);
    pfx_mem_free(f->N);
    pfx_mem_free(f->st);
}

/* ---- moments ---- */

/* Adds by times the change of the difference in trends from t - 1 to t to a row. Places: -1 - n_pre .. -2
 * first. The reference, t = -1, is zero. Here t counts from the reference: t <= 0 before treatment. */
static void add_change(const pfx_honest_in *in, int t, double by, double *row)
{
    for (int k = 0; k < 2; k++) {
        int at = t - k;
        if (at == 0) continue;
        row[at < 0 ? at + in->n_pre : at + in->n_pre - 1] += k ? -by : by;
    }
}

/* |change at t| <= times the change at s, of the sign: for t after treatment Mbar times; moments that involve
 * no effect after treatment are left out, but where there is one such effect alone. */
static int fill_moments(const family *f, int s, double sign, double *A)
{
    const pfx_honest_in *in = f->in;
    int n = in->n_pre + in->n_post, m = 0;
    for (int t = 1 - in->n_pre; t <= in->n_post; t++)
        for (int way = -1; way <= 1; way += 2) {
            double *row = A + (pfx_idx)m * n;
            bool any = false;
            if (t <= 0 && in->n_post > 1) continue;
            memset(row, 0, (size_t)n * sizeof *row);
            add_change(in, t, way, row);
            add_change(in, s, -sign * (t > 0 ? f->Mbar : 1), row);
            for (int j = 0; j < n; j++) any |= row[j] != 0;
            m += any;
        }
    return m;
}

/* An orthonormal basis of what is orthogonal to l: columns of the Householder reflection that turns l to the
 * first axis. */
static void null_space(int n, const double *l, double *N)
{
    double v[n], norm = 0, vv = 0;
    for (int i = 0; i < n; i++) norm += l[i] * l[i];
    for (int i = 0; i < n; i++) v[i] = l[i] + (i == 0 ? copysign(sqrt(norm), l[0]) : 0);
    for (int i = 0; i < n; i++) vv += v[i] * v[i];
    for (int i = 0; i < n; i++)
        for (int j = 1; j < n; j++) N[i * (n - 1) + j - 1] = (i == j) - 2 * v[i] * v[j] / vv;
}

static pfx_status make_polyhedron(family *f, int s, double sign, polyhedron *p)
{
    const pfx_honest_in *in = f->in;
    int n = in->n_pre + in->n_post, q = in->n_post;
    pfx_idx most = 2 * (pfx_idx)n;
    double ll = 0;
    p->k = q;
    p->A = pfx_mem_alloc(most * n, sizeof *p->A, f->err);
    p->W = pfx_mem_calloc(most * p->k, sizeof *p->W, f->err);
    p->slope = pfx_mem_calloc(most, sizeof *p->slope, f->err);
    p->S = pfx_mem_alloc(most * most, sizeof *p->S, f->err);
    p->Y0 = pfx_mem_calloc(most, sizeof *p->Y0, f->err);
    if (!p->A || !p->W || !p->slope || !p->S || !p->Y0) return PFX_ENOMEM;
    p->m = fill_moments(f, s, sign, p->A);
    for (int t = 0; t < q; t++) ll += in->l[t] * in->l[t];
    for (int i = 0; i < p->m; i++) {
        const double *a = p->A + (pfx_idx)i * n;
        for (int j = 0; j < n; j++) p->Y0[i] += a[j] * in->b[j];
        for (int t = 0; t < q; t++) {
            p->slope[i] -= a[in->n_pre + t] * in->l[t] / ll;
            for (int j = 1; j < q; j++) p->W[i * p->k + j] += a[in->n_pre + t] * f->N[t * (q - 1) + j - 1];
        }
        for (int j = 0; j < p->m; j++) {
            const double *c = p->A + (pfx_idx)j * n;
            double sum = 0;
            for (int x = 0; x < n; x++)
                for (int y = 0; y < n && a[x] != 0; y++) sum += a[x] * in->V[x * n + y] * c[y];
            p->S[i * p->m + j] = sum;
        }
        p->W[i * p->k] = sqrt(p->S[i * p->m + i]);
    }
    p->first = INFINITY;
    if (f->hybrid && !(p->eta = pfx_mem_alloc(pfx_honest_draws(in->level), sizeof *p->eta, f->err))) return PFX_ENOMEM;
    return pfx_simplex_create(p->m, p->k, p->W, &p->lp, f->err);
}

/* ---- the first stage ---- */

pfx_idx pfx_honest_draws(double level)
{
    return (pfx_idx)ceil(PFX_HONEST_TAIL / (FIRST * (1 - level)));
}

/* The quantile of the statistic where all moments are zero in mean; of draws as R's quantile takes it. */
static void first_stage(void *ctx, pfx_idx i, int thread)
{
    family *f = ctx;
    polyhedron *p = &f->p[i];
    int n = f->in->n_pre + f->in->n_post;
    double z[n], x[n], Y[p->m];
    pfx_idx draws = pfx_honest_draws(f->in->level);
    (void)thread;
    if (!p->lp.feasible) return;
    for (pfx_idx r = 0; r < draws; r++) {
        pfx_rng rng;
        pfx_rng_start(&rng, 1, PFX_RNG_HONEST, (uint64_t)r);
        for (int j = 0; j < n; j++) z[j] = pfx_rng_normal(&rng);
        for (int a = 0; a < n; a++) {
            x[a] = 0;
            for (int b = 0; b <= a; b++) x[a] += f->L[b * n + a] * z[b];
        }
        for (int a = 0; a < p->m; a++) {
            Y[a] = 0;
            for (int b = 0; b < n; b++) Y[a] += p->A[(pfx_idx)a * n + b] * x[b];
        }
        p->eta[r] = pfx_simplex_max(&p->lp, Y, NULL);
    }
    qsort(p->eta, (size_t)draws, sizeof *p->eta, pfx_ascending);
    double at = (double)(draws - 1) * (1 - FIRST * (1 - f->in->level));
    pfx_idx low = (pfx_idx)at;
    p->first = p->eta[low] + (at - (double)low) * (p->eta[low + 1] - p->eta[low]);
}

/* ---- the second stage ---- */

static double log_tail(double z)
{
    return gsl_sf_log_erfc(z * sqrt(0.5)) - log(2);
}

/* P(N > x | low < N < high). */
static double truncated_tail(double x, double low, double high)
{
    double a = log_tail(x), l = isinf(low) ? 0 : log_tail(low), top = 1, bottom = 1;
    if (!isinf(high)) {
        double h = log_tail(high);
        top = -expm1(h - a);
        bottom = -expm1(h - l);
    }
    return exp(a - l) * top / bottom;
}

/* Where along Y = rest + c x the largest g'Y leaves x, from x0 on in the direction of `far`: it is convex and
 * at least x, so steps from the far end to where its tangent meets x end there. */
static double leave(pfx_simplex *lp, int m, const double *rest, const double *c, double far, double scale,
                    double *Y, double *g)
{
    double x = far;
    for (int step = 0; step < 200; step++) {
        double a = 0, b = 0;
        for (int i = 0; i < m; i++) Y[i] = rest[i] + c[i] * x;
        double value = pfx_simplex_max(lp, Y, g);
        if (value - x <= 1e-9 * (scale + fabs(x))) return step == 0 ? copysign(INFINITY, far) : x;
        for (int i = 0; i < m; i++) a += g[i] * rest[i], b += g[i] * c[i];
        double next = a / (1 - b);
        if (!(fabs(next - x) > 1e-14 * (scale + fabs(x)))) return x;
        x = next;
    }
    return x;
}

/* Is theta rejected in this polyhedron? */
static bool rejected(const family *f, polyhedron *p, double theta)
{
    pfx_simplex *lp = &p->lp;
    int m = p->m;
    double Y[m], g[m], c[m], rest[m], line[m], level = 1 - f->in->level, var = 0;
    if (!lp->feasible) return false; /* any Y has a nu */
    for (int i = 0; i < m; i++) Y[i] = p->Y0[i] + p->slope[i] * theta;
    double eta = pfx_simplex_max(lp, Y, g);
    if (f->hybrid && eta > p->first) return true;
    if (eta <= 0) return false;
    if (f->hybrid) level = level * (1 - FIRST) / (1 - FIRST * level);
    for (int i = 0; i < m; i++) {
        c[i] = 0;
        for (int j = 0; j < m; j++) c[i] += p->S[i * m + j] * g[j];
        var += g[i] * c[i];
    }
    if (!(var > 1e-24)) return true;
    for (int i = 0; i < m; i++) {
        c[i] /= var;
        rest[i] = Y[i] - c[i] * eta;
    }
    double sd = sqrt(var), far = 20 * sd + fabs(eta), scale = sd;
    double high = leave(lp, m, rest, c, eta + 100 * far, scale, line, g);
    double low = leave(lp, m, rest, c, eta - 100 * far, scale, line, g);
    if (f->hybrid) high = fmin(high, p->first);
    if (!(low <= eta && eta <= high)) return false;
    return truncated_tail(eta / sd, low / sd, high / sd) < level;
}

/* ---- the family ---- */

static pfx_status family_make(const pfx_honest_in *in, double Mbar, bool hybrid, family *f, pfx_err *err)
{
    int n = in->n_pre + in->n_post;
    *f = (family){.in = in, .Mbar = Mbar, .hybrid = hybrid, .n = 2 * in->n_pre, .err = err};
    f->p = pfx_mem_calloc(f->n, sizeof *f->p, err);
    f->L = pfx_mem_alloc((pfx_idx)n * n, sizeof *f->L, err);
    f->N = pfx_mem_alloc((pfx_idx)in->n_post * in->n_post, sizeof *f->N, err);
    f->st = pfx_mem_calloc(f->n, sizeof *f->st, err);
    if (!f->p || !f->L || !f->N || !f->st) return PFX_ENOMEM;
    memcpy(f->L, in->V, (size_t)n * (size_t)n * sizeof *f->L);
    if (LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', n, f->L, n) != 0)
        return pfx_fail(
            err, PFX_EIDENT,
            "the covariance of the effects is not positive definite: the clusters are too few for so many "
            "event times");
    null_space(in->n_post, in->l, f->N);
    for (int i = 0; i < f->n; i++) {
        pfx_status st = make_polyhedron(f, 1 - in->n_pre + i / 2, i % 2 ? -1 : 1, &f->p[i]);
        if (st != PFX_OK) return st;
    }
    if (hybrid) pfx_par_for(f->n, in->nth, first_stage, f);
    return PFX_OK;
}

static bool accepted(family *f, double theta)
{
    for (int i = 0; i < f->n; i++)
        if (!rejected(f, &f->p[i], theta)) return true;
    return false;
}

/* From where all is rejected inwards to the first value that is not, by steps, then halves. */
static double find_end(family *f, double from, double step, double width)
{
    enum { MOST = 4000 };
    int i = 0;
    while (i < MOST && !accepted(f, from + (i + 1) * step)) i++;
    if (i == MOST) return NAN;
    double out = from + i * step, in = out + step;
    while (fabs(in - out) > width) {
        double mid = 0.5 * (in + out);
        *(accepted(f, mid) ? &in : &out) = mid;
    }
    return in;
}

static pfx_status interval(const pfx_honest_in *in, double Mbar, bool hybrid, pfx_honest_interval *out,
                           pfx_err *err)
{
    family f;
    int n = in->n_pre + in->n_post;
    pfx_status st = family_make(in, Mbar, hybrid, &f, err);
    if (st == PFX_OK) {
        double middle = 0, var = 0, change = 0, reach = 0;
        for (int i = 0; i < in->n_post; i++) {
            middle += in->l[i] * in->b[in->n_pre + i];
            reach += fabs(in->l[i]) * (i + 1);
            for (int j = 0; j < in->n_post; j++)
                var += in->l[i] * in->l[j] * in->V[(in->n_pre + i) * n + in->n_pre + j];
        }
        for (int i = 0; i < in->n_pre; i++) /* what the largest change might be */
            change = fmax(change, fabs(in->b[i] - (i + 1 < in->n_pre ? in->b[i + 1] : 0)) +
                                      6 * sqrt(in->V[i * n + i]) +
                                      6 * sqrt(in->V[(i + 1) * n + i + 1] * (i + 1 < in->n_pre)));
        double sd = sqrt(var), far = 8 * sd + Mbar * reach * change, ends[2];
        for (int side = 0; side < 2; side++) {
            double sign = side ? 1 : -1, at = middle + sign * far;
            for (int more = 0; accepted(&f, at) && more < 6; more++) at += sign * far * (1 << more);
            ends[side] = accepted(&f, at)
                             ? sign * INFINITY
                             : find_end(&f, at, -sign * fmax(0.1 * sd, fabs(at - middle) / 400), 1e-3 * sd);
        }
        *out = (pfx_honest_interval){.bound = Mbar, .low = ends[0], .high = ends[1], .estimate = NAN};
    }
    family_free(&f);
    return st;
}

pfx_status pfx_honest_relative(const pfx_honest_in *in, double Mbar, pfx_honest_interval *out, pfx_err *err)
{
    return interval(in, Mbar, true, out, err);
}

pfx_status pfx_honest_conditional(const pfx_honest_in *in, double Mbar, pfx_honest_interval *out,
                                  pfx_err *err)
{
    return interval(in, Mbar, false, out, err);
}

pfx_status pfx_honest_relative_zero(const pfx_honest_in *in, double Mbar, bool *holds_zero, pfx_err *err)
{
    family f;
    pfx_status st = family_make(in, Mbar, true, &f, err);
    *holds_zero = st == PFX_OK && accepted(&f, 0);
    family_free(&f);
    return st;
}
