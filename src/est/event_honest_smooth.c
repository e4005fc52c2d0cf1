/* Smoothness restrictions: intervals of fixed length. With w the estimate's weights on effects by event time
 * t (counted from the reference), its bias is d sum(t w_t) + sum_j c_j u_j, d a slope and u_j the change of
 * slope at j, where c_j = sum over t beyond j of |t - j| w_t. A finite largest bias needs sum(t w_t) = 0,
 * which fixes c_0; c_j after the reference are given by l. What is free are c_j before it, and weights are a
 * triangular map of them. So the largest bias is M (constant + sum |c_j|), the variance a quadratic form, and
 * minimising a trade-off between them is a lasso. */
#include <gsl/gsl_cdf.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/est/event_honest.h"

typedef struct smooth {
    const pfx_honest_in *in;
    double M;
    int n;        /* free */
    double fixed; /* sum |c_j| of the others */
    double *Q;    /* [n x n] variance: x'Qx + 2 q'x + r */
    double *q;    /* [n] */
    double r;
    double *x;     /* [n] */
    double *start; /* [pre + post] weights at x = 0 */
    double *map;   /* [n][pre + post] and what each x adds */
} smooth;

double pfx_honest_folded_quantile(double t, double p)
{
    double low = 0, high = t + gsl_cdf_ugaussian_Pinv(0.5 + 0.5 * p);
    for (int i = 0; i < 200 && high - low > 1e-15 * high; i++) {
        double c = 0.5 * (low + high);
        /* P(|N| > c) */
        if (gsl_cdf_ugaussian_Q(c - t) + gsl_cdf_ugaussian_Q(c + t) > 1 - p)
            low = c;
        else
            high = c;
    }
    return 0.5 * (low + high);
}

/* Weights before the reference from c: c_j = sum over t < j of (j - t) w_t, so that w_t = c_{t+1} - 2 c_t +
 * c_{t-1}. Adds `by` times what c_j gives to each. j = -n_pre + 1 .. 0; the place of t is t + n_pre. */
static void add_c(const pfx_honest_in *in, int j, double by, double *w)
{
    static const double second[3] = {1, -2, 1};
    for (int k = 0; k < 3; k++) {
        int t = j - 1 + k;
        if (t < 0 && t >= -in->n_pre) w[t + in->n_pre] += by * second[k];
    }
}

static double quadratic(const pfx_honest_in *in, const double *a, const double *b)
{
    int n = in->n_pre + in->n_post;
    double sum = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) sum += a[i] * in->V[i * n + j] * b[j];
    return sum;
}

static pfx_status prepare(smooth *s, pfx_err *err)
{
    const pfx_honest_in *in = s->in;
    int m = in->n_pre + in->n_post;
    double c0 = 0;
    s->n = in->n_pre - 1;
    s->Q = pfx_mem_alloc((pfx_idx)s->n * s->n + 1, sizeof *s->Q, err);
    s->q = pfx_mem_alloc(s->n + 1, sizeof *s->q, err);
    s->x = pfx_mem_calloc(s->n + 1, sizeof *s->x, err);
    s->start = pfx_mem_calloc(m, sizeof *s->start, err);
    s->map = pfx_mem_calloc((pfx_idx)s->n * m + 1, sizeof *s->map, err);
    if (!s->Q || !s->q || !s->x || !s->start || !s->map) return PFX_ENOMEM;
    for (int t = 1; t <= in->n_post; t++) c0 += t * in->l[t - 1];
    s->fixed = fabs(c0);
    for (int j = 1; j < in->n_post; j++) {
        double c = 0;
        for (int t = j + 1; t <= in->n_post; t++) c += (t - j) * in->l[t - 1];
        s->fixed += fabs(c);
    }
    memcpy(s->start + in->n_pre, in->l, (size_t)in->n_post * sizeof *s->start);
    add_c(in, 0, c0, s->start);
    for (int i = 0; i < s->n; i++) add_c(in, i + 1 - in->n_pre, 1, s->map + (pfx_idx)i * m);
    for (int i = 0; i < s->n; i++) {
        s->q[i] = quadratic(in, s->map + (pfx_idx)i * m, s->start);
        for (int j = 0; j < s->n; j++)
            s->Q[i * s->n + j] = quadratic(in, s->map + (pfx_idx)i * m, s->map + (pfx_idx)j * m);
    }
    s->r = quadratic(in, s->start, s->start);
    return PFX_OK;
}

static void smooth_free(smooth *s)
{
    pfx_mem_free(s->Q);
    pfx_mem_free(s->q);
    pfx_mem_free(s->x);
    pfx_mem_free(s->start);
    pfx_mem_free(s->map);
}

/* With the signs that x has: the minimum, where it has them too and no other x gains by leaving zero. */
static bool polish(smooth *s, double penalty)
{
    int n = s->n, k = 0;
    if (n < 1) return true;
    int at[n];
    double A[n * n], b[n];
    for (int i = 0; i < n; i++)
        if (s->x[i] != 0) at[k++] = i;
    for (int a = 0; a < k; a++) {
        b[a] = -s->q[at[a]] - copysign(penalty, s->x[at[a]]);
        for (int c = 0; c < k; c++) A[c * k + a] = s->Q[at[a] * n + at[c]];
    }
    if (k && LAPACKE_dposv_work(LAPACK_COL_MAJOR, 'L', k, 1, A, k, b, k) != 0) return false;
    for (int a = 0; a < k; a++)
        if (penalty > 0 && !(b[a] * s->x[at[a]] > 0)) return false;
    for (int i = 0; i < n; i++) {
        double g = s->q[i];
        for (int a = 0; a < k; a++) g += s->Q[i * n + at[a]] * b[a];
        if (s->x[i] == 0 && fabs(g) > penalty * (1 + 1e-12)) return false;
    }
    for (int a = 0; a < k; a++) s->x[at[a]] = b[a];
    return true;
}

/* x that minimises variance / 2 + penalty sum |x|, coordinate by coordinate, from the x there is. */
static void lasso(smooth *s, double penalty)
{
    enum { MOST = 100000 };
    for (int sweep = 0; sweep < MOST; sweep++) {
        double change = 0, size = 0;
        for (int i = 0; i < s->n; i++) {
            double g = s->q[i], old = s->x[i];
            for (int j = 0; j < s->n; j++)
                if (j != i) g += s->Q[i * s->n + j] * s->x[j];
            s->x[i] = -copysign(fmax(fabs(g) - penalty, 0), g) / s->Q[i * s->n + i];
            change = fmax(change, fabs(s->x[i] - old) * sqrt(s->Q[i * s->n + i]));
            size = fmax(size, fabs(s->x[i]) * sqrt(s->Q[i * s->n + i]));
        }
        if (change <= 1e-13 * (size + sqrt(s->r)) || (sweep % 8 == 7 && polish(s, penalty))) return;
    }
}

static double half_length(const smooth *s, double *sd)
{
    double var = s->r, bias = s->fixed;
    for (int i = 0; i < s->n; i++) {
        var += 2 * s->q[i] * s->x[i];
        bias += fabs(s->x[i]);
        for (int j = 0; j < s->n; j++) var += s->x[i] * s->Q[i * s->n + j] * s->x[j];
    }
    *sd = sqrt(fmax(var, 0));
    return *sd * pfx_honest_folded_quantile(s->M * bias / *sd, s->in->level);
}

static double at_penalty(double log_penalty, void *ctx)
{
    smooth *s = ctx;
    double sd;
    lasso(s, exp(log_penalty));
    return half_length(s, &sd);
}

/* The half length has one minimum along the penalties; beyond `most` all x are zero. */
static void minimise(smooth *s)
{
    enum { STEPS = 40 };
    double most = 0, best = INFINITY, low, high, at = 0;
    for (int i = 0; i < s->n; i++) most = fmax(most, fabs(s->q[i]));
    if (s->n == 0 || most == 0) return;
    if (s->M == 0) {
        for (int i = 0; i < s->n; i++) s->x[i] = 1; /* none is zero */
        if (!polish(s, 0)) lasso(s, 0);
        return;
    }
    high = log(most);
    for (int i = 0; i <= STEPS; i++) {
        double p = high - 30.0 * i / STEPS, f = at_penalty(p, s);
        if (f < best) best = f, at = p;
    }
    low = at - 30.0 / STEPS, high = fmin(at + 30.0 / STEPS, high);
    for (int i = 0; i < 60; i++) { /* golden section */
        double a = high - 0.6180339887498949 * (high - low), b = low + 0.6180339887498949 * (high - low);
        if (at_penalty(a, s) <= at_penalty(b, s))
            high = b;
        else
            low = a;
    }
    at_penalty(0.5 * (low + high), s);
}

pfx_status pfx_honest_smooth(const pfx_honest_in *in, double M, pfx_honest_interval *out, pfx_err *err)
{
    smooth s = {.in = in, .M = M};
    int m = in->n_pre + in->n_post;
    double sd, half;
    pfx_status st = prepare(&s, err);
    for (int i = 0; i < s.n && st == PFX_OK; i++)
        if (!(s.Q[i * s.n + i] > 0))
            st = pfx_fail(err, PFX_EIDENT,
                          "the effects before treatment have no covariance matrix of full rank");
    if (st == PFX_OK) {
        minimise(&s);
        half = half_length(&s, &sd);
        *out = (pfx_honest_interval){.bound = M};
        for (int k = 0; k < m; k++) {
            double w = s.start[k];
            for (int i = 0; i < s.n; i++) w += s.x[i] * s.map[(pfx_idx)i * m + k];
            out->estimate += w * in->b[k];
        }
        out->low = out->estimate - half;
        out->high = out->estimate + half;
    }
    smooth_free(&s);
    return st;
}

pfx_status pfx_honest_smooth_zero(const pfx_honest_in *in, double M, bool *holds_zero, pfx_err *err)
{
    pfx_honest_interval i;
    pfx_status st = pfx_honest_smooth(in, M, &i, err);
    *holds_zero = st == PFX_OK && i.low <= 0 && i.high >= 0;
    return st;
}

pfx_status pfx_honest_breakdown(const pfx_honest_in *in, pfx_honest_fn *fn, double unit, double *out,
                                bool *above, pfx_err *err)
{
    double low = 0, high = unit;
    bool holds;
    pfx_status st = fn(in, 0, &holds, err);
    *out = 0;
    *above = false;
    if (st != PFX_OK || holds) return st;
    for (int i = 0; i <= 20; i++, low = high, high *= 2) {
        if ((st = fn(in, high, &holds, err)) != PFX_OK) return st;
        if (holds) break;
    }
    if (!holds) {
        *out = low;
        *above = true;
        return PFX_OK;
    }
    while (high - low > 0.005 * high) {
        double mid = 0.5 * (low + high);
        if ((st = fn(in, mid, &holds, err)) != PFX_OK) return st;
        *(holds ? &high : &low) = mid;
    }
    *out = 0.5 * (low + high);
    return PFX_OK;
}
