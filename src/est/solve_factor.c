#include "src/est/solve_factor.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

enum { PANEL = PFX_FACTOR_PANEL, POWER_STEPS = 12 };

/* One panel of rows j0 .. j1-1, all columns from j0. Packs the rows kept into spare, from column j1 on; returns
 * their number. */
static int factor_panel(int n, int j0, int j1, double least, double *A, bool *skip, double *spare)
{
    int kept = 0, width = n - j1;
    for (int j = j0; j < j1; j++) {
        double *row = A + (pfx_idx)j * n;
        for (int l = j0; l < j; l++) {
            const double *r = A + (pfx_idx)l * n;
            if (skip[l]) continue;
            for (int i = j; i < n; i++) row[i] -= r[j] * r[i];
        }
        skip[j] = !(row[j] >= least);
        if (skip[j]) continue;
        double pivot = sqrt(row[j]);
        row[j] = pivot;
        for (int i = j + 1; i < n; i++) row[i] /= pivot;
        memcpy(spare + (pfx_idx)kept++ * width, row + j1, (size_t)width * sizeof *row);
    }
    return kept;
}

int pfx_factor_skip(int n, double least, double *A, bool *skip, double *spare)
{
    int skipped = 0;
    for (int j0 = 0; j0 < n; j0 += PANEL) {
        int j1 = j0 + PANEL < n ? j0 + PANEL : n;
        int kept = factor_panel(n, j0, j1, least, A, skip, spare);
        skipped += j1 - j0 - kept;
        if (kept > 0 && j1 < n)
            cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, n - j1, kept, -1, spare, n - j1, 1,
                        A + (pfx_idx)j1 * n + j1, n);
    }
    return skipped;
}

void pfx_factor_forward(int k, pfx_idx ld, const double *R, double *x)
{
    for (int l = 0; l < k; l++) {
        const double *r = R + l * ld;
        x[l] /= r[l];
        for (int i = l + 1; i < k; i++) x[i] -= r[i] * x[l];
    }
}

void pfx_factor_backward(int k, pfx_idx ld, const double *R, double *x)
{
    for (int i = k - 1; i >= 0; i--) {
        const double *r = R + i * ld;
        for (int j = i + 1; j < k; j++) x[i] -= r[j] * x[j];
        x[i] /= r[i];
    }
}

/* Scale x to length one; returns the length it had. */
static double unit(int k, double *x)
{
    double s = 0;
    for (int i = 0; i < k; i++) s += x[i] * x[i];
    s = sqrt(s);
    for (int i = 0; i < k; i++) x[i] /= s;
    return s;
}

/* A start that is unlikely to be orthogonal to anything. */
static void start(int k, double *x)
{
    for (int i = 0; i < k; i++) x[i] = (i % 2 ? -1 : 1) * (1 + (double)(i * 7 % 13) / 13);
    unit(k, x);
}

double pfx_factor_condition(int k, const double *R, double *x)
{
    double top = 1, bottom = 1;
    if (k == 0) return 1;
    start(k, x);
    for (int step = 0; step < POWER_STEPS; step++) {
        for (int i = 0; i < k; i++) { /* x = R x: row i needs x from i on */
            double v = 0;
            for (int j = i; j < k; j++) v += R[(pfx_idx)i * k + j] * x[j];
            x[i] = v;
        }
        top = unit(k, x);
        for (int i = k - 1; i >= 0; i--) { /* x = R'x, by rows from the last */
            double v = x[i];
            x[i] = 0;
            for (int j = i; j < k; j++) x[j] += R[(pfx_idx)i * k + j] * v;
        }
        top = fmax(top, unit(k, x));
    }
    start(k, x);
    for (int step = 0; step < POWER_STEPS; step++) {
        pfx_factor_forward(k, k, R, x);
        bottom = fmax(bottom, unit(k, x));
        pfx_factor_backward(k, k, R, x);
        bottom = fmax(bottom, unit(k, x));
    }
    return top * bottom;
}
