/* Means and centred sums of squares of the columns of a block. */
#ifndef PFX_KERNELS_MOMENTS_H
#define PFX_KERNELS_MOMENTS_H

#include "src/base/cpu.h"
#include "src/base/status.h"

/* mean[k] = sum_r w[r] (X[r][k] - origin[k]) / sum w;  m2[k] = sum_r w[r] (X[r][k] - origin[k] - mean[k])^2.
 * n       rows, >= 1: m2 loses some log10(n) digits at worst
 * p       columns, >= 1
 * ld      distance of rows, >= p; columns p..ld-1 are not read
 * X       [n x ld] row-major
 * w       [n] > 0, or NULL for ones
 * origin  [p] near X, so that a large common level costs no digits; or NULL for zeros
 * mean    [p] overwritten; m2 [p] overwritten
 * Returns sum w. Rows in order, fused: the same bits on every ISA. Threads: any. */
double pfx_k_moments(pfx_isa isa, pfx_idx n, int p, pfx_idx ld, const double *X, const double *w, const double *origin,
                     double *mean, double *m2);

typedef double pfx_k_moments_fn(pfx_idx n, int p, pfx_idx ld, const double *X, const double *w, const double *origin,
                                double *mean, double *m2);
pfx_k_moments_fn pfx_k_moments_portable, pfx_k_moments_v3, pfx_k_moments_v4;

#endif
