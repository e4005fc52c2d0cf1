/* One sweep over whole levels: rows less their level's means, never written to memory, and what is summed
 * from them. */
#ifndef PFX_KERNELS_WITHIN_H
#define PFX_KERNELS_WITHIN_H

#include "kernels/demean.h"

/* Levels of a row-major block, and where their sums go.
 * n_levels  levels, >= 0, each with at least one row
 * start     [n_levels + 1] first row of each, ascending; X, w and codes begin at row start[0]
 * p         columns, >= 1 (in registers up to 16); ld distance of rows of X, >= p
 * w         [rows] > 0, or NULL for ones
 * sums      of the demeaned rows over another effect, added to, or NULL
 * mask      [n_levels] out, or NULL: bit code[r] of sums for every row r of the level; 0 where two rows share
 * a code. Codes are below 64 then origin    [p] and mean [n_levels x ldm], ldm a multiple of 8, as in
 * pfx_k_demean; or both NULL. Columns of mean beyond p are not defined buf       [rows x ldb] scratch, ldb a
 * multiple of 8, >= p A         [p x p] upper triangle, added to, as by pfx_k_gram */
typedef struct pfx_k_within_args {
    pfx_idx n_levels;
    const pfx_idx *start;
    int p;
    pfx_idx ld;
    const double *X, *w;
    const pfx_k_sums *sums;
    uint64_t *mask;
    const double *origin;
    pfx_idx ldm;
    double *mean;
    pfx_idx ldb;
    double *buf;
    double *A;
} pfx_k_within_args;

/* pfx_k_demean without tables, then pfx_k_gram of its rows: the same bits as the two, on every ISA. Nothing
 * overlaps. Reads ahead of X by prefetch only. Threads: any. Source: methods.md section 1. */
void pfx_k_within(pfx_isa isa, const pfx_k_within_args *a);

typedef void pfx_k_within_fn(const pfx_k_within_args *a);
pfx_k_within_fn pfx_k_within_portable, pfx_k_within_v3, pfx_k_within_v4;

#endif
