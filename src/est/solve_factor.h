/* Triangular factors, small and dense: what the solver shares. All row-major. */
#ifndef PFX_EST_SOLVE_FACTOR_H
#define PFX_EST_SOLVE_FACTOR_H

#include <stdbool.h>
#include "src/base/status.h"

/* Rows that are factored at a time. */
enum { PFX_FACTOR_PANEL = 64 };

/* Cholesky of A [n x n], upper triangle, in place, rows in order; a row whose pivot is below
 * `least` is left out: marked in skip [n], neither scaled nor taken off the rows after it. Column j then still holds
 * R'-coordinates of column j on the rows kept before it. spare [PFX_FACTOR_PANEL x n]. Returns how many are left out. */
int pfx_factor_skip(int n, double least, double *A, bool *skip, double *spare);

/* x = R^-T x and x = R^-1 x; R [k x k] upper, rows ld apart. */
void pfx_factor_forward(int k, pfx_idx ld, const double *R, double *x);
void pfx_factor_backward(int k, pfx_idx ld, const double *R, double *x);

/* Estimate of the 2-norm condition number of R from below, close where its ends stand apart: power iteration on
 * R'R and on its inverse. x [k] scratch. */
double pfx_factor_condition(int k, const double *R, double *x);

#endif
