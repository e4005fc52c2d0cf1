/* Variances by their definitions with explicit matrices: the slow twin of CR2, Newey-West and Driscoll-Kraay.
 */
#ifndef PFX_TESTS_EST_DENSE_VCOV_H
#define PFX_TESTS_EST_DENSE_VCOV_H

#include "src/model/design.h"

/* All in rows times the root of their weight, effects as dummies. */
typedef struct dense_ols {
    int n, k;  /* rows; coefficients, the intercept, if any, first */
    double *H; /* [n x n] hat matrix */
    double *e; /* [n] residuals */
    double *l; /* [k x n] b_j = l_j'y */
} dense_ols;

dense_ols dense_ols_new(const pfx_design *d);
/* Two-stage least squares: H and l of the projected regressors, exogenous and endogenous columns in the
 * design's order, e of the structural equation. */
dense_ols dense_iv_new(const pfx_design *d);
void dense_ols_free(dense_ols *o);

/* CR2 of the first cluster variable: V [k x k] and Satterthwaite degrees of freedom df [k]. */
void dense_cr2(const dense_ols *o, const pfx_design *d, double *V, double *df);
/* Bartlett weights of the distance in periods, over pairs of rows of the same unit (NULL: of all); rank [n]:
 * place of each row's period. No small-sample factor. */
void dense_hac(const dense_ols *o, const int32_t *unit, const int *rank, int lag, double *V);

#endif
