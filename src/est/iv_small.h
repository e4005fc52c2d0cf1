/* Small triangles and QR, of the two stages of 2SLS. */
#ifndef PFX_EST_IV_SMALL_H
#define PFX_EST_IV_SMALL_H

/* Householder QR of the first n columns of A [m x nc] row-major, applied to the others: R on top, the other
 * columns turned by Q'. m >= n. Diagonal >= 0. */
void pfx_iv_qr(int m, int n, int nc, double *A);
/* x = R^-1 x for R [n x n] upper with row stride ld; an equation with a zero pivot gives 0. */
void pfx_iv_backward(int n, int ld, const double *R, double *x);
/* x = R'^-1 x; likewise. */
void pfx_iv_forward(int n, int ld, const double *R, double *x);

#endif
