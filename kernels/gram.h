/* Cross-products of the columns of a row-major block: the register-tile kernel behind every Gram matrix and meat. */
#ifndef PFX_KERNELS_GRAM_H
#define PFX_KERNELS_GRAM_H

#include "src/base/cpu.h"
#include "src/base/status.h"

/* A += X'WX, upper triangle.
 * n   rows, >= 0
 * p   columns, >= 1 (tuned for p <= 32)
 * ld  distance of rows, >= p
 * X   [n x ld] row-major; columns p..ld-1 are not read
 * w   [n] weights, or NULL for ones
 * A   [p x p] row-major; entries (j, i), j <= i, are added to; those below the diagonal are undefined afterwards
 *     (they must be initialised): pfx_k_mirror fills them at the end
 * Each entry is one chain of fused multiply-adds over the rows in order, from zero, then added to A: the same bits
 * on every ISA. X and A must not overlap. Threads: any. */
void pfx_k_gram(pfx_isa isa, pfx_idx n, int p, pfx_idx ld, const double *X, const double *w, double *A);

/* Copy the upper triangle of A [p x p] to the lower one. */
void pfx_k_mirror(int p, double *A);

typedef void pfx_k_gram_fn(pfx_idx n, int p, pfx_idx ld, const double *X, const double *w, double *A);
pfx_k_gram_fn pfx_k_gram_portable, pfx_k_gram_v3, pfx_k_gram_v4;

#endif
