/* Least squares in quadruple precision: the yardstick of the tests of accuracy. Dense: every effect as
 * dummies. */
#ifndef PFX_TESTS_EST_WIDE_OLS_H
#define PFX_TESTS_EST_WIDE_OLS_H

#include "src/est/fit.h"
#include "src/model/design.h"

/* gcc and clang know __float128 on x86 without a library; elsewhere long double often is as wide. */
#ifdef __SIZEOF_FLOAT128__
typedef __float128 wide;
#else
typedef long double wide;
#endif

enum { WIDE_MAX_K = 16 };

typedef struct wide_fit {
    int k;                                /* the intercept, if any, first */
    double b[WIDE_MAX_K], se[WIDE_MAX_K]; /* clustered by clusters[0], no small-sample factor */
    double ssr, r2; /* ssr with analytic weights scaled to a mean of one, as the fit's */
    double kappa;   /* 2-norm condition number of the demeaned regressors scaled to length one */
    double loss;    /* largest ratio of a regressor's length about its mean to that of its demeaned column */
} wide_fit;

/* The design as it stands: call it before an estimator, which may sort the rows. Gram-Schmidt, twice, over
 * dummies, regressors, outcome. */
wide_fit wide_ols(const pfx_design *d);

/* Digits that the fit shares with the yardstick, at most 16: of the coefficients, an error counted against
 * the larger of coefficient and standard error, of the standard errors, of the sum of squared residuals. */
typedef struct wide_digits {
    double b, se, ssr;
} wide_digits;
wide_digits wide_compare(const wide_fit *w, const pfx_fit *f);

#endif
