/* Level codes of rows: their order, and where levels begin. */
#ifndef PFX_KERNELS_CODES_H
#define PFX_KERNELS_CODES_H

#include "src/base/cpu.h"
#include "src/base/status.h"

enum {
    PFX_K_CODES_FALL =
        1, /* somewhere f is below the row's before it, or skips a level that start has a place for */
    PFX_K_CODES_G_FALL = 2, /* the same of g */
    PFX_K_CODES_SPLIT = 4   /* somewhere g changes where f does not */
};

/* Rows r0 .. r1 - 1, each compared with the row before it; row 0 is the first of its level.
 * f         [r1] codes in 0 .. n_levels - 1
 * g         [r1] codes, or NULL
 * start     [n_levels + 1] or NULL: start[f[r]] = r where r is the first row of its level; of other rows'
 * levels nothing. Where FALL is returned, entries of any levels may be wrong Returns the flags that hold.
 * Threads: any, on rows apart. */
int pfx_k_codes(pfx_isa isa, pfx_idx r0, pfx_idx r1, const int32_t *f, const int32_t *g, pfx_idx n_levels,
                pfx_idx *start);

typedef int pfx_k_codes_fn(pfx_idx r0, pfx_idx r1, const int32_t *f, const int32_t *g, pfx_idx n_levels,
                           pfx_idx *start);
pfx_k_codes_fn pfx_k_codes_portable, pfx_k_codes_v3, pfx_k_codes_v4;

#endif
