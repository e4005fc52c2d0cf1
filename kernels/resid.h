/* Residuals of a row-major block: one combination of its columns. */
#ifndef PFX_KERNELS_RESID_H
#define PFX_KERNELS_RESID_H

#include "src/base/cpu.h"
#include "src/base/status.h"

/* e[r] = sum_j X[r][j] c[j]. With c = (-b, 1), the outcome last, that is the residual y - x'b.
 * n   rows, >= 0
 * p   columns, >= 1
 * ld  distance of rows, >= p
 * X   [n x ld] row-major; columns p..ld-1 are not read
 * c   [p]
 * e   [n] overwritten, no overlap
 * Lane l sums columns l, l + 8, ...; the lanes are added in a fixed tree: the same bits on every ISA. Threads: any. */
void pfx_k_resid(pfx_isa isa, pfx_idx n, int p, pfx_idx ld, const double *X, const double *c, double *e);

typedef void pfx_k_resid_fn(pfx_idx n, int p, pfx_idx ld, const double *X, const double *c, double *e);
pfx_k_resid_fn pfx_k_resid_portable, pfx_k_resid_v3, pfx_k_resid_v4;

#endif
