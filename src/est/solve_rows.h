/* Passes over the demeaned rows on behalf of the solver. */
#ifndef PFX_EST_SOLVE_ROWS_H
#define PFX_EST_SOLVE_ROWS_H

#include "src/est/solve.h"

/* Gram matrix of the whitened rows with the outcome last, G [(k + 1) x (k + 1)], both triangles. NOMEM. */
pfx_status pfx_solve_regram(const struct pfx_design *d, pfx_absorber *a, const pfx_solve *s, int nth,
                            pfx_isa isa, double *G, pfx_err *err) PFX_MUST;

/* What combinations of some columns leave of others.
 * k, m      columns in the combinations, and columns left over
 * col       [k + m] their places in Z, the k first
 * scale     [k + m] each column is divided by
 * B         [k x m] residual of column j: z_j - sum_i B_ij z_i
 * norm2     [m] out, squared lengths of the residuals
 * G         [k x m] out, products of the columns with the residuals
 * NOMEM. */
typedef struct pfx_solve_left {
    int k, m;
    const int *col;
    const double *scale, *B;
    double *norm2, *G;
} pfx_solve_left;
pfx_status pfx_solve_leave(const struct pfx_design *d, pfx_absorber *a, const pfx_solve_left *l, int nth,
                           pfx_err *err) PFX_MUST;

#endif
