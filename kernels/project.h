/* Projection of the rows of each level off one weighted-orthonormal vector: unit-specific slopes. */
#ifndef PFX_KERNELS_PROJECT_H
#define PFX_KERNELS_PROJECT_H

#include "src/base/cpu.h"
#include "src/base/status.h"

/* Z[r] -= q[r] (sum over the level's rows s of w[s] q[s] Z[s]), level by level, in place.
 * n_levels  levels, >= 0
 * start     [n_levels + 1] first row of each level, ascending; Z, q, w begin at row start[0]
 * p         columns, >= 1
 * ld        distance of rows of Z, >= p; columns p..ld-1 are not touched
 * Z         [rows x ld]
 * q         [rows] with sum over a level of w q^2 either 1 or 0
 * w         [rows] > 0, or NULL for ones
 * Rows in order, fused: the same bits on every ISA. Threads: any. */
void pfx_k_project(pfx_isa isa, pfx_idx n_levels, const pfx_idx *start, int p, pfx_idx ld, double *Z, const double *q,
                   const double *w);

typedef void pfx_k_project_fn(pfx_idx n_levels, const pfx_idx *start, int p, pfx_idx ld, double *Z, const double *q,
                              const double *w);
pfx_k_project_fn pfx_k_project_portable, pfx_k_project_v3, pfx_k_project_v4;

#endif
