/* Columns to rows: a piece of a row-major table from the columns that it is made of. */
#ifndef PFX_KERNELS_COLUMNS_H
#define PFX_KERNELS_COLUMNS_H

#include <stdbool.h>
#include "src/base/cpu.h"
#include "src/base/status.h"

/* out[r][j] = x[j][r].
 * n    rows, >= 0
 * p    columns, >= 1
 * x    [p] columns, each [n], any numbers
 * ldo  distance of rows of out, >= p
 * out  [n x ldo] columns 0..p-1 overwritten, no overlap
 * Returns whether every number is finite. Copies alone: the same bits on every ISA. Threads: any. */
bool pfx_k_interleave(pfx_isa isa, pfx_idx n, int p, const double *const *x, pfx_idx ldo, double *out);

/* Whether x [n] holds finite numbers alone. */
bool pfx_k_finite(pfx_isa isa, pfx_idx n, const double *x);

typedef bool pfx_k_interleave_fn(pfx_idx n, int p, const double *const *x, pfx_idx ldo, double *out);
typedef bool pfx_k_finite_fn(pfx_idx n, const double *x);
pfx_k_interleave_fn pfx_k_interleave_portable, pfx_k_interleave_v3, pfx_k_interleave_v4;
pfx_k_finite_fn pfx_k_finite_portable, pfx_k_finite_v3, pfx_k_finite_v4;

#endif
