/* Regressions in long double with every effect as dummies, and variances by pairs of rows: what the twin of
 * 2SLS is made of. */
#ifndef PFX_TESTS_EST_IV_TWIN_H
#define PFX_TESTS_EST_IV_TWIN_H

#include "src/est/fit.h"
#include "src/model/design.h"
#include "tests/test.h"

typedef long double real;

enum {
    N_X = 2,
    MOST = 96
}; /* exogenous regressors of every design here; columns that are regressed together, at most */

typedef struct twin {
    pfx_idx n;
    const double *w;
    pfx_vcov_type vcov;
    int n_clusters, n_d, n_z, n_c; /* n_c: constant or dummies, and the exogenous */
    const int32_t *code[2];
    pfx_idx G[2];
    real *C, *D, *Z, *y; /* as they are, C [n x n_c] exogenous first */
    real *Dp, *Zp, *yp;  /* less C */
} twin;

/* Exogenous columns first, then n_d endogenous, n_z instruments, the outcome; the design must outlive the
 * twin. */
twin slow_make(const pfx_design *d, int n_d, int n_z, pfx_vcov_type vcov);
void slow_free(twin *t);
real slow_weight(const twin *t, pfx_idx i);
/* [n x m] of zeros */
real *slow_columns(pfx_idx n, int m);

/* A [m x m] becomes its inverse. */
void slow_invert(int m, real *A);
/* x'A^-1 y, A [m x m] kept; NaN where A is no variance, as a two-way one may not be. */
real slow_form(int m, const real *A, const real *x, const real *y);
/* Sum over rows w a b' of A [n x p] and B [n x q] into out [p x q]. */
void slow_products(const twin *t, int p, const real *A, int q, const real *B, real *out);
/* Residuals of the q columns Y on the p columns X into E [n x q], coefficients into b [p x q]. */
void slow_regress(const twin *t, int p, const real *X, int q, const real *Y, real *b, real *E);
/* Variance of sum w z e, z [n x p], e [n x q], into M [pq x pq], e by e. */
void slow_moment_variance(const twin *t, int p, const real *z, int q, const real *e, real *M);
/* Variance of the p coefficients whose scores are X [n x p] times e, times factor, into V [p x p]. */
void slow_sandwich(const twin *t, int p, const real *X, const real *e, real factor, real *V);
/* The factor of the variance, from the fit's own count of parameters (tested elsewhere) and `more` of them.
 */
real slow_small_sample(const twin *t, const pfx_fit *f, int more);

/* Effective degrees of freedom of Montiel Olea and Pflueger (2013) at x = 1 / tau, from S Qzz [l x l], which
 * has the eigenvalues of W2, the largest by powers. */
real slow_effective_df(int l, const real *S, const real *Qzz, real x);

#endif
