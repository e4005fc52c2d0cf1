#include "tests/est/wide_ols.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static wide wide_sqrt(wide x)
{
    if (!(x > 0)) return 0;
    wide s = sqrt((double)x);
    if (!(s > 0)) return 0;
    for (int i = 0; i < 3; i++) s = (s + x / s) / 2;
    return s;
}

static wide dot(pfx_idx n, const wide *a, const wide *b)
{
    wide s = 0;
    for (pfx_idx i = 0; i < n; i++) s += a[i] * b[i];
    return s;
}

/* v less its projection on q[0..m-1], twice; r [m] gets the coefficients. Returns the length left. */
static wide orthogonalise(pfx_idx n, int m, const wide *Q, wide *v, wide *r)
{
    for (int j = 0; j < m; j++) r[j] = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int j = 0; j < m; j++) {
            wide c = dot(n, Q + j * n, v);
            for (pfx_idx i = 0; i < n; i++) v[i] -= c * Q[j * n + i];
            r[j] += c;
        }
    return wide_sqrt(dot(n, v, v));
}

/* Length of column j about its weighted mean (about zero: no mean is taken out). */
static double centred_length(const pfx_design *d, int j, bool mean_out)
{
    wide s = 0, sw = 0, mean = 0;
    for (pfx_idx i = 0; i < d->n; i++) {
        wide w = d->w ? d->w[i] : 1;
        s += w * d->Z[i * d->p + j];
        sw += w;
    }
    if (mean_out) mean = s / sw;
    s = 0;
    for (pfx_idx i = 0; i < d->n; i++) {
        wide v = d->Z[i * d->p + j] - mean;
        s += (d->w ? d->w[i] : 1) * v * v;
    }
    return (double)wide_sqrt(s);
}

/* Condition number of R [k x k] upper with its columns scaled to one: one-sided Jacobi. */
static double condition(int k, const wide *R)
{
    double A[WIDE_MAX_K][WIDE_MAX_K] = {{0}}, lo = INFINITY, hi = 0; /* rows are columns of R */
    for (int j = 0; j < k; j++) {
        wide s = 0;
        for (int i = 0; i <= j; i++) s += R[i * k + j] * R[i * k + j];
        for (int i = 0; i <= j; i++) A[j][i] = (double)(R[i * k + j] / wide_sqrt(s));
    }
    for (int sweep = 0; sweep < 60; sweep++)
        for (int a = 0; a < k; a++)
            for (int b = a + 1; b < k; b++) {
                double aa = 0, bb = 0, ab = 0;
                for (int i = 0; i < k; i++)
                    aa += A[a][i] * A[a][i], bb += A[b][i] * A[b][i], ab += A[a][i] * A[b][i];
                if (fabs(ab) <= 1e-17 * sqrt(aa * bb)) continue;
                double z = (bb - aa) / (2 * ab), t = (z >= 0 ? 1 : -1) / (fabs(z) + sqrt(1 + z * z));
                double c = 1 / sqrt(1 + t * t), s = c * t;
                for (int i = 0; i < k; i++) {
                    double u = A[a][i], v = A[b][i];
                    A[a][i] = c * u - s * v;
                    A[b][i] = s * u + c * v;
                }
            }
    for (int j = 0; j < k; j++) {
        double s = 0;
        for (int i = 0; i < k; i++) s += A[j][i] * A[j][i];
        lo = fmin(lo, sqrt(s));
        hi = fmax(hi, sqrt(s));
    }
    return k ? hi / lo : 1;
}

/* Column j of the scaled regressors; -1 is the constant. */
static void take_column(const pfx_design *d, int j, wide *v)
{
    for (pfx_idx i = 0; i < d->n; i++) {
        wide x = j < 0 ? 1 : d->Z[i * d->p + j];
        v[i] = d->w ? x * wide_sqrt(d->w[i]) : x;
    }
}

/* Dummies of all effects that are independent, orthonormal, into Q. Returns how many. */
static int take_dummies(const pfx_design *d, wide *Q, wide *r)
{
    int m = 0;
    for (int e = 0; e < d->n_absorbed; e++)
        for (pfx_idx l = 0; l < d->absorbed[e].factor.n_levels; l++) {
            wide *v = Q + m * d->n;
            for (pfx_idx i = 0; i < d->n; i++)
                v[i] = d->absorbed[e].factor.code[i] == l ? (d->w ? wide_sqrt(d->w[i]) : 1) : 0;
            wide before = wide_sqrt(dot(d->n, v, v)), left = orthogonalise(d->n, m, Q, v, r);
            if (left <= (wide)1e-12 * before) continue;
            for (pfx_idx i = 0; i < d->n; i++) v[i] /= left;
            m++;
        }
    return m;
}

/* Clustered standard errors: h_j = column j of Q R^-T, scores h_j'e summed by cluster. */
static void standard_errors(const pfx_design *d, int k, const wide *Q, const wide *R, const wide *e,
                            wide_fit *f)
{
    const pfx_factor *c = &d->clusters[0];
    wide *h = malloc((size_t)d->n * sizeof *h), *s = malloc((size_t)c->n_levels * sizeof *s);
    for (int j = 0; j < k; j++) { /* row j of R^-1: x R = unit vector */
        wide x[WIDE_MAX_K] = {0};
        for (int i = j; i < k; i++) {
            wide t = i == j;
            for (int l = j; l < i; l++) t -= x[l] * R[l * k + i];
            x[i] = t / R[i * k + i];
        }
        memset(h, 0, (size_t)d->n * sizeof *h);
        memset(s, 0, (size_t)c->n_levels * sizeof *s);
        for (int i = j; i < k; i++)
            for (pfx_idx r = 0; r < d->n; r++) h[r] += x[i] * Q[i * d->n + r];
        for (pfx_idx r = 0; r < d->n; r++) s[c->code[r]] += h[r] * e[r];
        f->se[j] = (double)wide_sqrt(dot(c->n_levels, s, s));
    }
    free(h);
    free(s);
}

wide_fit wide_ols(const pfx_design *d)
{
    int i0 = d->intercept && d->n_absorbed == 0, k = d->p - 1 + i0, dummies = 0;
    bool mean_out = i0 || d->n_absorbed > 0;
    for (int e = 0; e < d->n_absorbed; e++) dummies += (int)d->absorbed[e].factor.n_levels;
    wide *Q = malloc((size_t)((dummies + k + 1) * d->n) * sizeof *Q),
         *r = malloc((size_t)(dummies + k + 1) * sizeof *r);
    wide R[WIDE_MAX_K * WIDE_MAX_K] = {0}, b[WIDE_MAX_K], *X;
    wide_fit f = {.k = k, .loss = 1};
    int m = take_dummies(d, Q, r);
    X = Q + m * d->n;
    for (int j = 0; j < k; j++) {
        wide *v = X + j * d->n, length = 0;
        take_column(d, j - i0, v);
        wide left = orthogonalise(d->n, m + j, Q, v, r);
        for (int i = 0; i < j; i++) R[i * k + j] = r[m + i];
        R[j * k + j] = left;
        for (pfx_idx i = 0; i < d->n; i++) v[i] /= left;
        for (int i = i0; i <= j; i++) length += R[i * k + j] * R[i * k + j];
        if (j >= i0) f.loss = fmax(f.loss, centred_length(d, j - i0, mean_out) / (double)wide_sqrt(length));
    }
    wide inner[WIDE_MAX_K * WIDE_MAX_K], *e = X + k * d->n;
    for (int i = i0; i < k; i++)
        for (int j = i0; j < k; j++) inner[(i - i0) * (k - i0) + j - i0] = R[i * k + j];
    f.kappa = condition(k - i0, inner);
    take_column(d, d->p - 1, e);
    orthogonalise(d->n, m + k, Q, e, r);
    for (int j = k - 1; j >= 0; j--) {
        b[j] = r[m + j];
        for (int l = j + 1; l < k; l++) b[j] -= R[j * k + l] * b[l];
        b[j] /= R[j * k + j];
        f.b[j] = (double)b[j];
    }
    f.ssr = (double)dot(d->n, e, e);
    double sum_w = 0;
    for (pfx_idx i = 0; d->w && i < d->n; i++) sum_w += d->w[i];
    f.r2 = 1 - f.ssr / pow(centred_length(d, d->p - 1, mean_out), 2);
    if (d->w && d->weights_kind != PFX_W_FREQUENCY) f.ssr *= (double)d->n / sum_w;
    standard_errors(d, k, X, R, e, &f);
    free(Q);
    free(r);
    return f;
}

static double digits(double error)
{
    return error <= 1e-16 ? 16 : error < 1 ? -log10(error) : 0;
}

wide_digits wide_compare(const wide_fit *w, const pfx_fit *f)
{
    wide_digits g = {16, 16, digits(fabs(f->ssr - w->ssr) / w->ssr)};
    if (f->k != w->k) return (wide_digits){0, 0, 0};
    for (int j = 0; j < w->k; j++) {
        g.b = fmin(g.b, digits(fabs(f->coef[j].estimate - w->b[j]) / fmax(fabs(w->b[j]), w->se[j])));
        g.se = fmin(g.se, digits(fabs(f->coef[j].std_error - w->se[j]) / w->se[j]));
    }
    return g;
}
