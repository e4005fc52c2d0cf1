#include "tests/est/iv_twin.h"

#include <stdlib.h>

/* Inverse of A [m x m], Gauss-Jordan with the largest pivot; A is overwritten by it. */
void slow_invert(int m, real *A)
{
    real *B = calloc((size_t)(m * m), sizeof *B);
    for (int i = 0; i < m; i++) B[i * m + i] = 1;
    for (int c = 0; c < m; c++) {
        int best = c;
        for (int i = c; i < m; i++)
            if (fabsl(A[i * m + c]) > fabsl(A[best * m + c])) best = i;
        for (int j = 0; j < m; j++) {
            real a = A[c * m + j], b = B[c * m + j];
            A[c * m + j] = A[best * m + j], A[best * m + j] = a;
            B[c * m + j] = B[best * m + j], B[best * m + j] = b;
        }
        real d = 1 / A[c * m + c];
        for (int j = 0; j < m; j++) A[c * m + j] *= d, B[c * m + j] *= d;
        for (int i = 0; i < m; i++) {
            real f = A[i * m + c];
            for (int j = 0; i != c && j < m; j++)
                A[i * m + j] -= f * A[c * m + j], B[i * m + j] -= f * B[c * m + j];
        }
    }
    memcpy(A, B, (size_t)(m * m) * sizeof *A);
    free(B);
}

static bool positive_definite(int m, const real *A)
{
    real L[256];
    for (int i = 0; i < m; i++)
        for (int j = 0; j <= i; j++) {
            real s = A[i * m + j];
            for (int k = 0; k < j; k++) s -= L[i * m + k] * L[j * m + k];
            if (i == j && s <= 0) return false;
            L[i * m + j] = i == j ? sqrtl(s) : s / L[j * m + j];
        }
    return true;
}

/* x'A^-1 y, A [m x m] kept; NaN where A is no variance, as a two-way one may not be. */
real slow_form(int m, const real *A, const real *x, const real *y)
{
    if (!positive_definite(m, A)) return NAN;
    real *B = malloc((size_t)(m * m) * sizeof *B), s = 0;
    memcpy(B, A, (size_t)(m * m) * sizeof *B);
    slow_invert(m, B);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++) s += x[i] * B[i * m + j] * y[j];
    free(B);
    return s;
}

real slow_weight(const twin *t, pfx_idx i)
{
    return t->w ? t->w[i] : 1;
}

/* Sum over rows w a b' of two sets of columns. */
void slow_products(const twin *t, int p, const real *A, int q, const real *B, real *out)
{
    memset(out, 0, (size_t)(p * q) * sizeof *out);
    for (pfx_idx r = 0; r < t->n; r++)
        for (int i = 0; i < p; i++)
            for (int j = 0; j < q; j++) out[i * q + j] += slow_weight(t, r) * A[r * p + i] * B[r * q + j];
}

/* Meat of scores s [n x m] (without weights), no small-sample factor. iid is the caller's. */
static void meat(const twin *t, int m, const real *s, real *M)
{
    memset(M, 0, (size_t)(m * m) * sizeof *M);
    for (pfx_idx i = 0; i < t->n; i++)
        for (pfx_idx j = 0; j < t->n; j++) {
            int together = 0;
            if (t->vcov == PFX_VCOV_HC1)
                together = i == j;
            else if (t->n_clusters == 1)
                together = t->code[0][i] == t->code[0][j];
            else
                together = t->code[0][i] == t->code[0][j] || t->code[1][i] == t->code[1][j];
            if (!together) continue; /* inclusion and exclusion: a pair that shares either counts once */
            real w = slow_weight(t, i) * slow_weight(t, j);
            for (int a = 0; a < m; a++)
                for (int b = 0; b < m; b++) M[a * m + b] += w * s[i * m + a] * s[j * m + b];
        }
}

/* Variance of sum w z e, z [n x p], e [n x q]: order e major. With iid: products over N. */
void slow_moment_variance(const twin *t, int p, const real *z, int q, const real *e, real *M)
{
    int m = p * q;
    if (t->vcov == PFX_VCOV_IID) {
        real zz[64], ee[16];
        slow_products(t, p, z, p, z, zz);
        slow_products(t, q, e, q, e, ee);
        for (int a = 0; a < m; a++)
            for (int b = 0; b < m; b++) M[a * m + b] = zz[a % p * p + b % p] * ee[a / p * q + b / p] / t->n;
        return;
    }
    real *s = malloc((size_t)(t->n * m) * sizeof *s);
    for (pfx_idx r = 0; r < t->n; r++)
        for (int a = 0; a < m; a++) s[r * m + a] = z[r * p + a % p] * e[r * q + a / p];
    meat(t, m, s, M);
    free(s);
}

/* Residuals of the q columns Y on the p columns X, into E [n x q]; coefficients b [p x q]. */
void slow_regress(const twin *t, int p, const real *X, int q, const real *Y, real *b, real *E)
{
    real *A = malloc((size_t)(p * p) * sizeof *A), *g = malloc((size_t)(p * q) * sizeof *g);
    slow_products(t, p, X, p, X, A);
    slow_products(t, p, X, q, Y, g);
    slow_invert(p, A);
    for (int i = 0; i < p; i++)
        for (int j = 0; j < q; j++) {
            b[i * q + j] = 0;
            for (int k = 0; k < p; k++) b[i * q + j] += A[i * p + k] * g[k * q + j];
        }
    for (pfx_idx r = 0; r < t->n; r++)
        for (int j = 0; j < q; j++) {
            E[r * q + j] = Y[r * q + j];
            for (int k = 0; k < p; k++) E[r * q + j] -= X[r * p + k] * b[k * q + j];
        }
    free(A);
    free(g);
}

real *slow_columns(pfx_idx n, int m)
{
    return calloc((size_t)(n * m + 1), sizeof(real));
}

static void take(const pfx_design *d, int from, int m, real *out, int stride)
{
    for (pfx_idx r = 0; r < d->n; r++)
        for (int j = 0; j < m; j++) out[r * stride + j] = d->Z[r * d->p + from + j];
}

twin slow_make(const pfx_design *d, int n_d, int n_z, pfx_vcov_type vcov)
{
    twin t = {
        .n = d->n, .w = d->w, .vcov = vcov, .n_clusters = d->n_clusters, .n_d = n_d, .n_z = n_z, .n_c = N_X};
    if (d->n_absorbed == 0) t.n_c += d->intercept;
    for (int e = 0; e < d->n_absorbed; e++) t.n_c += (int)d->absorbed[e].factor.n_levels - (e > 0);
    for (int c = 0; c < d->n_clusters; c++) t.code[c] = d->clusters[c].code, t.G[c] = d->clusters[c].n_levels;
    t.C = slow_columns(t.n, t.n_c), t.D = slow_columns(t.n, n_d), t.Z = slow_columns(t.n, n_z),
    t.y = slow_columns(t.n, 1);
    take(d, 0, N_X, t.C, t.n_c), take(d, N_X, n_d, t.D, n_d), take(d, N_X + n_d, n_z, t.Z, n_z);
    take(d, d->p - 1, 1, t.y, 1);
    for (pfx_idx r = 0; r < t.n; r++) {
        int at = N_X;
        if (d->n_absorbed == 0 && d->intercept) t.C[r * t.n_c + at] = 1;
        for (int e = 0; e < d->n_absorbed; e++) {
            int level = d->absorbed[e].factor.code[r] - (e > 0);
            if (level >= 0) t.C[r * t.n_c + at + level] = 1;
            at += (int)d->absorbed[e].factor.n_levels - (e > 0);
        }
    }
    real *b = calloc((size_t)(t.n_c * MOST), sizeof *b);
    t.Dp = slow_columns(t.n, n_d), t.Zp = slow_columns(t.n, n_z), t.yp = slow_columns(t.n, 1);
    slow_regress(&t, t.n_c, t.C, n_d, t.D, b, t.Dp);
    slow_regress(&t, t.n_c, t.C, n_z, t.Z, b, t.Zp);
    slow_regress(&t, t.n_c, t.C, 1, t.y, b, t.yp);
    free(b);
    return t;
}

void slow_free(twin *t)
{
    real *all[] = {t->C, t->D, t->Z, t->y, t->Dp, t->Zp, t->yp};
    for (int i = 0; i < 7; i++) free(all[i]);
}

/* The factor of the variance, from the fit's own count of parameters (tested elsewhere), with `more` of them.
 */
real slow_small_sample(const twin *t, const pfx_fit *f, int more)
{
    real n = t->n, left = n - f->k_adj - more, G = t->G[0];
    if (t->n_clusters == 2 && t->G[1] < t->G[0]) G = t->G[1];
    if (t->vcov == PFX_VCOV_IID || t->vcov == PFX_VCOV_HC1) return n / left;
    return (n - 1) / left * G / (G - 1);
}

/* Variance A S A' of p coefficients whose scores are regressors X times e; X [n x p]. */
void slow_sandwich(const twin *t, int p, const real *X, const real *e, real factor, real *V)
{
    real *A = malloc((size_t)(p * p) * sizeof *A), *M = malloc((size_t)(p * p) * sizeof *M),
         *AM = calloc((size_t)(p * p), sizeof *AM);
    slow_products(t, p, X, p, X, A);
    slow_invert(p, A);
    if (t->vcov == PFX_VCOV_IID) {
        real s = 0;
        slow_products(t, 1, e, 1, e, &s);
        for (int i = 0; i < p * p; i++) V[i] = factor * s / t->n * A[i];
    } else {
        real *s = slow_columns(t->n, p);
        for (pfx_idx r = 0; r < t->n; r++)
            for (int j = 0; j < p; j++) s[r * p + j] = X[r * p + j] * e[r];
        meat(t, p, s, M);
        free(s);
        for (int i = 0; i < p; i++)
            for (int j = 0; j < p; j++)
                for (int k = 0; k < p; k++) AM[i * p + j] += A[i * p + k] * M[k * p + j];
        for (int i = 0; i < p; i++)
            for (int j = 0; j < p; j++) {
                V[i * p + j] = 0;
                for (int k = 0; k < p; k++) V[i * p + j] += factor * AM[i * p + k] * A[k * p + j];
            }
    }
    free(A);
    free(M);
    free(AM);
}

real slow_effective_df(int l, const real *S, const real *Qzz, real x)
{
    real A[64] = {0}, v[8], y[8], trace = 0, square = 0, most = 0;
    for (int a = 0; a < l; a++)
        for (int b = 0; b < l; b++)
            for (int c = 0; c < l; c++) A[a * l + b] += S[a * l + c] * Qzz[c * l + b];
    for (int a = 0; a < l; a++) {
        v[a] = 1 + a;
        trace += A[a * l + a];
        for (int b = 0; b < l; b++) square += A[a * l + b] * A[b * l + a];
    }
    for (int step = 0; step < 2000; step++) {
        most = 0;
        for (int a = 0; a < l; a++) {
            y[a] = 0;
            for (int b = 0; b < l; b++) y[a] += A[a * l + b] * v[b];
            most = fmaxl(most, fabsl(y[a]));
        }
        for (int a = 0; a < l; a++) v[a] = y[a] / most;
    }
    return trace * trace * (1 + 2 * x) / (square + 2 * x * trace * most);
}
