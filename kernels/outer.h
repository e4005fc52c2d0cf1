/* Products of sparse vectors, tile by tile of eight columns. */
#ifndef PFX_KERNELS_OUTER_H
#define PFX_KERNELS_OUTER_H

#include "src/base/cpu.h"
#include "src/base/status.h"

/* Tile t of row i, base[t] + row[i] * stride[t] and the seven that follow, less f[i] times x + t * step (8
 * doubles): for i < n in order. Rows may come more than once; no tile of theirs overlaps another's, or x. The
 * same bits on every ISA. Threads: any, over rows of their own. */
void pfx_k_outer(pfx_isa isa, int32_t n, const int32_t *row, const double *f, int32_t n_tiles,
                 double *const *base, const pfx_idx *stride, pfx_idx step, const double *x);

typedef void pfx_k_outer_fn(int32_t n, const int32_t *row, const double *f, int32_t n_tiles,
                            double *const *base, const pfx_idx *stride, pfx_idx step, const double *x);
pfx_k_outer_fn pfx_k_outer_portable, pfx_k_outer_v3, pfx_k_outer_v4;

#endif
