#include "tests/test.h"
#include "tests/unit/twfe.h"

enum { MAX_P = 48 };

/* In place inverse of a symmetric positive definite a [p x p], by Gauss-Jordan. */
static void invert(int p, long double a[MAX_P][MAX_P])
{
    for (int i = 0; i < p; i++) {
        long double d = 1 / a[i][i];
        a[i][i] = 1;
        for (int j = 0; j < p; j++) a[i][j] *= d;
        for (int r = 0; r < p; r++) {
            if (r == i) continue;
            long double f = a[r][i];
            a[r][i] = 0;
            for (int j = 0; j < p; j++) a[r][j] -= f * a[i][j];
        }
    }
}

twfe twfe_fit(pfx_idx n, const double *y, int k, const double *const *x, const double *firm,
              const double *year)
{
    twfe fit = {.k = k};
    double first_year = INFINITY, last_year = -INFINITY;
    for (pfx_idx r = 0; r < n; r++) {
        first_year = fmin(first_year, year[r]);
        last_year = fmax(last_year, year[r]);
    }
    const int years = (int)(last_year - first_year), p = k + years; /* the first year's dummy is left out */
    assert_true(p < MAX_P);
    double(*z)[MAX_P] = malloc((size_t)n * sizeof *z); /* regressors, year dummies, outcome last */
    double *f = malloc((size_t)n * sizeof *f);
    long double mean_y = 0, total = 0;
    for (pfx_idx r = 0; r < n; r++) {
        bool whole = isfinite(y[r]);
        for (int j = 0; j < k; j++) whole = whole && isfinite(x[j][r]);
        if (!whole) continue;
        for (int j = 0; j < k; j++) z[fit.n][j] = x[j][r];
        for (int t = 0; t < years; t++) z[fit.n][k + t] = year[r] == first_year + 1 + t;
        z[fit.n][p] = y[r];
        mean_y += y[r];
        f[fit.n++] = firm[r];
    }
    mean_y /= fit.n;
    for (pfx_idx r = 0; r < fit.n; r++) total += (z[r][p] - mean_y) * (z[r][p] - mean_y);

    static long double a[MAX_P][MAX_P], meat[MAX_P][MAX_P], c[MAX_P], b[MAX_P];
    memset(a, 0, sizeof a);
    memset(meat, 0, sizeof meat);
    memset(c, 0, sizeof c);
    for (pfx_idx from = 0, to; from < fit.n; from = to) {
        for (to = from; to < fit.n && f[to] == f[from]; to++) {
        }
        fit.firms++;
        for (int j = 0; j <= p; j++) {
            long double m = 0;
            for (pfx_idx r = from; r < to; r++) m += z[r][j];
            for (pfx_idx r = from; r < to; r++) z[r][j] -= (double)(m / (to - from));
        }
    }
    for (pfx_idx r = 0; r < fit.n; r++)
        for (int i = 0; i < p; i++) {
            c[i] += (long double)z[r][i] * z[r][p];
            for (int j = 0; j < p; j++) a[i][j] += (long double)z[r][i] * z[r][j];
        }
    invert(p, a);
    for (int i = 0; i < p; i++) {
        b[i] = 0;
        for (int j = 0; j < p; j++) b[i] += a[i][j] * c[j];
    }
    long double ssr = 0;
    for (pfx_idx from = 0, to; from < fit.n; from = to) {
        long double s[MAX_P] = {0};
        for (to = from; to < fit.n && f[to] == f[from]; to++) {
            long double e = z[to][p];
            for (int j = 0; j < p; j++) e -= b[j] * z[to][j];
            ssr += e * e;
            for (int j = 0; j < p; j++) s[j] += e * z[to][j];
        }
        for (int i = 0; i < p; i++)
            for (int j = 0; j < p; j++) meat[i][j] += s[i] * s[j];
    }
    const long double g = fit.firms, used = p + 1, small = g / (g - 1) * (fit.n - 1) / (fit.n - used);
    for (int i = 0; i < k; i++) {
        long double v = 0;
        for (int q = 0; q < p; q++)
            for (int r = 0; r < p; r++) v += a[i][q] * meat[q][r] * a[r][i];
        fit.b[i] = (double)b[i];
        fit.se[i] = (double)sqrtl(v * small);
    }
    fit.rmse = (double)sqrtl(ssr / fit.n);
    fit.adj_r2 = (double)(1 - ssr / (fit.n - p - g) / (total / (fit.n - 1)));
    free(z);
    free(f);
    return fit;
}
