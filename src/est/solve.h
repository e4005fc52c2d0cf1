/* Normal equations of the demeaned regressors: collinear columns, factor, steps of refinement. Source:
 * methods.md section 2; semi-normal equations with refinement, Bjorck (1996), section 6.6.5; CholeskyQR2,
 * Yamamoto, Nakatsukasa, Yanagisawa and Fukaya (2015). */
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
    double *R;               /* [k x k] upper triangular, row-major, pivots > 0 */
    double *b;               /* [k] coefficients */
    double *step;            /* [k] scratch of refine */
    double pivot_ratio;      /* largest over smallest pivot, >= 1: what decisions go by */
    double condition;        /* estimate of the 2-norm condition number of the demeaned, scaled regressors */
    bool qr;                 /* R is from a QR of the demeaned rows, not from their products */
    bool whitened;           /* scores are to be taken from whitened rows: products would cost digits */
} pfx_solve;

/* Drop collinear columns in formula order, factor, first coefficients. Regressors are all columns but the
 * last. Columns whose squared pivot falls below 1e-8 are judged by what the columns before them leave of their
 * rows; where such a column stays, R is from a QR of the rows. Milder pivot ratios (> 30) take a second Gram
 * matrix, of the whitened rows. NOMEM. */
pfx_status pfx_solve_create(const struct pfx_design *d, pfx_absorber *a, int nth, pfx_isa isa,
                            pfx_solve **out, pfx_err *err) PFX_MUST;
/* The same where the regressors are the n columns of col alone, ascending (NULL: the first n). */
pfx_status pfx_solve_columns(const struct pfx_design *d, pfx_absorber *a, int n, const int *col, int nth, pfx_isa isa,
                             pfx_solve **out, pfx_err *err) PFX_MUST;
void pfx_solve_free(pfx_solve *s);

/* y = (X~'WX~)^-1 x, [k] each; y may be x. Returns x'y, computed without cancellation. */
double pfx_solve_apply(const pfx_solve *s, const double *x, double *y);

/* One step of refinement: b += (X~'WX~)^-1 gradient, gradient [k] = X~'W(y~ - X~b) from the data, of the
 * whitened rows where the solver says whitened. Returns the squared length of the step in the metric of X~'WX~:
 * the sum of squares it takes off the residuals. */
double pfx_solve_refine(pfx_solve *s, const double *gradient);

/* T = S^-1 R^-1, [k x k] upper, row-major, zeros below: TT' = (X~'WX~)^-1, and X~T is orthonormal. */
void pfx_solve_half(const pfx_solve *s, double *T);

/* Turn demeaned rows [n x p] into whitened ones, in place: columns 0..k-1 become those of X~T, the rest up to
 * the outcome zero. Solved row by row, never by way of T. Threads: any. */
void pfx_solve_whiten(const pfx_solve *s, pfx_idx n, double *rows);

/* True if the intercept or an effect with levels takes the mean out of every column. */
bool pfx_design_removes_mean(const struct pfx_design *d);

/* R [k x k] upper, row-major, of a QR of the k columns col (ascending) of W^1/2 Z~. Each group of blocks a
 * running QR, joined in order: the same bits at any nth. NOMEM. */
pfx_status pfx_tsqr(const struct pfx_design *d, pfx_absorber *a, int nth, int k, const int *col, double *R,
                    pfx_err *err) PFX_MUST;

#endif
