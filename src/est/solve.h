/* Normal equations of the demeaned regressors: collinear columns, factor, steps of refinement. Source:
 * methods.md section 2; semi-normal equations with refinement, Bjorck (1996), section 6.6.5. */
#ifndef PFX_EST_SOLVE_H
#define PFX_EST_SOLVE_H

#include <stdbool.h>
#include "src/base/status.h"
#include "src/est/absorb.h"

struct pfx_design;

typedef enum pfx_drop_reason {
    PFX_DROP_CONSTANT, /* does not vary */
    PFX_DROP_ABSORBED, /* does not vary once the effects are out */
    PFX_DROP_COLLINEAR /* a combination of regressors before it (and the effects) */
} pfx_drop_reason;
/* "constant", "absorbed by the effects", "collinear with the terms before it". */
const char *pfx_drop_text(pfx_drop_reason r);

/* R'R = S^-1 X~'WX~ S^-1 with S = diag(scale), over the kept regressors. */
typedef struct pfx_solve {
    int p;     /* columns of Z, the outcome last */
    int k;     /* regressors kept */
    int *keep; /* [k] their columns in Z, ascending */
    int n_dropped;
    int *dropped;            /* [n_dropped] columns of Z, ascending */
    pfx_drop_reason *reason; /* [n_dropped] */
    double *scale;           /* [k] demeaned norms */
    double *R;               /* [k x k] upper triangular, row-major */
    double *b;               /* [k] coefficients */
    double *step;            /* [k] scratch of refine */
    double condition;        /* largest over smallest pivot, >= 1 */
    bool qr;                 /* R is from a QR of the demeaned rows, not from their products */
} pfx_solve;

/* Drop collinear columns in formula order, factor, first coefficients. Regressors are all columns but the
 * last. Where a squared pivot falls below 1e-8, a QR of the demeaned rows decides and serves. NOMEM. */
pfx_status pfx_solve_create(const struct pfx_design *d, pfx_absorber *a, int nth, pfx_solve **out,
                            pfx_err *err) PFX_MUST;
void pfx_solve_free(pfx_solve *s);

/* y = (X~'WX~)^-1 x, [k] each; y may be x. Returns x'y, computed without cancellation. */
double pfx_solve_apply(const pfx_solve *s, const double *x, double *y);

/* One step of refinement: b += (X~'WX~)^-1 gradient, gradient [k] = X~'W(y~ - X~b) from the data.
 * Returns the squared length of the step in the metric of X~'WX~: the sum of squares it takes off the
 * residuals. */
double pfx_solve_refine(pfx_solve *s, const double *gradient);

/* (X~'WX~)^-1, [k x k]; work [k x k]. */
void pfx_solve_inverse(const pfx_solve *s, double *inv, double *work);

/* True if the intercept or an effect with levels takes the mean out of every column. */
bool pfx_design_removes_mean(const struct pfx_design *d);

/* The same QR for a given design, for callers that need R alone: R [p x p] upper, row-major, of W^1/2 Z~, all
 * p columns. Each group of blocks a running QR, joined in order: the same bits at any nth. NOMEM. */
pfx_status pfx_tsqr(const struct pfx_design *d, pfx_absorber *a, int nth, double *R,
                    pfx_err *err) PFX_MUST;

#endif
