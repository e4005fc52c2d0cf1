#include "src/est/simplex.h"

#include <math.h>
#include <string.h>
#include "src/base/mem.h"

/* What counts as zero beside coefficients of order one. */
static const double ZERO = 1e-10;
enum { MAX_STEPS = 10000 };

/* Column i of the equations: a row of W, or a unit vector. */
static double entry(const pfx_simplex *s, int i, int j)
{
    return i < s->m ? s->W[i * s->k + j] : i - s->m == j;
}

/* Inverse of the basis, columns of equations side by side: inv [k x k]. False: singular. */
static bool invert(const pfx_simplex *s, double *inv)
{
    int k = s->k;
    double *A = s->work + k * k; /* [k x k] */
    for (int j = 0; j < k; j++)
        for (int c = 0; c < k; c++) {
            A[j * k + c] = entry(s, s->basis[c], j);
            inv[j * k + c] = j == c;
        }
    for (int c = 0; c < k; c++) {
        int p = c;
        for (int j = c + 1; j < k; j++)
            if (fabs(A[j * k + c]) > fabs(A[p * k + c])) p = j;
        if (fabs(A[p * k + c]) < 1e-13) return false;
        for (int l = 0; l < k && p != c; l++) {
            double x = A[p * k + l], y = inv[p * k + l];
            A[p * k + l] = A[c * k + l], A[c * k + l] = x;
            inv[p * k + l] = inv[c * k + l], inv[c * k + l] = y;
        }
        double pivot = A[c * k + c];
        for (int l = 0; l < k; l++) A[c * k + l] /= pivot, inv[c * k + l] /= pivot;
        for (int j = 0; j < k; j++) {
            double f = A[j * k + c];
            if (j == c || f == 0) continue;
            for (int l = 0; l < k; l++) {
                A[j * k + l] -= f * A[c * k + l];
                inv[j * k + l] -= f * inv[c * k + l];
            }
        }
    }
    return true;
}

static double cost(const pfx_simplex *s, const double *y, int i)
{
    if (i < s->m) return y ? y[i] : 0;
    return y ? 0 : -1; /* the first phase drives artificial variables out */
}

static bool in_basis(const pfx_simplex *s, int i)
{
    for (int c = 0; c < s->k; c++)
        if (s->basis[c] == i) return true;
    return false;
}

/* Which variable leaves where the direction is d, -1: none. */
static int leaving(const pfx_simplex *s, const double *y, const double *d)
{
    int out = -1;
    double best = INFINITY;
    for (int c = 0; c < s->k; c++) {
        bool artificial = y && s->basis[c] >= s->m; /* stays at zero */
        if (!(d[c] > ZERO) && !(artificial && fabs(d[c]) > ZERO)) continue;
        double ratio = artificial ? 0 : fmax(s->g[c], 0) / d[c];
        if (ratio < best - 1e-14 || (ratio <= best + 1e-14 && s->basis[c] < s->basis[out])) {
            best = fmin(best, ratio);
            out = c;
        }
    }
    return out;
}

/* Maximise; y NULL: the first phase. */
static void run(pfx_simplex *s, const double *y)
{
    int k = s->k;
    double *inv = s->work, *x = s->work + 2 * k * k, *d = x + k;
    double size = 1;
    for (int i = 0; y && i < s->m; i++) size = fmax(size, fabs(y[i]));
    for (int step = 0; step < MAX_STEPS; step++) {
        int in = -1, out;
        if (!invert(s, inv)) return;
        for (int c = 0; c < k; c++) s->g[c] = inv[c * k]; /* times (1, 0, ..) */
        for (int j = 0; j < k; j++) {
            x[j] = 0;
            for (int c = 0; c < k; c++) x[j] += cost(s, y, s->basis[c]) * inv[c * k + j];
        }
        for (int i = 0; i < s->m && in < 0; i++) {
            double gain = cost(s, y, i);
            for (int j = 0; j < k; j++) gain -= s->W[i * k + j] * x[j];
            if (gain > ZERO * size && !in_basis(s, i)) in = i;
        }
        if (in < 0) return;
        for (int c = 0; c < k; c++) {
            d[c] = 0;
            for (int j = 0; j < k; j++) d[c] += inv[c * k + j] * s->W[in * k + j];
        }
        if ((out = leaving(s, y, d)) < 0) return;
        s->basis[out] = in;
    }
}

static pfx_status allocate(int m, int k, const double *W, pfx_simplex *out, pfx_err *err)
{
    *out = (pfx_simplex){.m = m, .k = k, .W = W};
    out->basis = pfx_mem_alloc(k, sizeof *out->basis, err);
    out->work = pfx_mem_alloc(2 * (pfx_idx)k * k + 4 * k, sizeof *out->work, err);
    out->g = pfx_mem_alloc(k, sizeof *out->g, err);
    if (out->basis && out->work && out->g) return PFX_OK;
    pfx_simplex_free(out);
    return PFX_ENOMEM;
}

pfx_status pfx_simplex_create(int m, int k, const double *W, pfx_simplex *out, pfx_err *err)
{
    pfx_status st = allocate(m, k, W, out, err);
    double left = 0;
    if (st != PFX_OK) return st;
    for (int c = 0; c < k; c++) out->basis[c] = m + c;
    run(out, NULL);
    for (int c = 0; c < k; c++)
        if (out->basis[c] >= m) left += fabs(out->g[c]);
    out->feasible = left < 1e-9;
    return PFX_OK;
}

void pfx_simplex_free(pfx_simplex *s)
{
    pfx_mem_free(s->basis);
    pfx_mem_free(s->work);
    pfx_mem_free(s->g);
    *s = (pfx_simplex){0};
}

double pfx_simplex_max(pfx_simplex *s, const double *y, double *point)
{
    double value = 0;
    run(s, y);
    for (int i = 0; i < s->m && point; i++) point[i] = 0;
    for (int c = 0; c < s->k; c++) {
        if (s->basis[c] >= s->m) continue;
        value += s->g[c] * y[s->basis[c]];
        if (point) point[s->basis[c]] = fmax(s->g[c], 0);
    }
    return value;
}
