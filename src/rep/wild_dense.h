/* What the two routes of the wild bootstrap beside effects that cross the clusters share: a matrix of
 * clusters by bootstrap clusters (wild_dense.c), or a column demeaned for each replicate (wild_rows.c). */
#ifndef PFX_REP_WILD_DENSE_H
#define PFX_REP_WILD_DENSE_H

#include "src/rep/wild_private.h"

/* Rows of H in a block: with 512 bootstrap clusters they stay in cache. */
enum { PFX_WILD_DENSE_ROWS = 64 };

/* One test. Its clusters of the variance are those of all clusterings, one after the other. */
struct wild_dense {
    pfx_idx n_errors, base[PFX_WILD_MAX_ERRORS]; /* clusters of all clusterings; the first of each */
    pfx_idx per, width, n_blocks; /* clusters of a block; rows of H, m to a cluster, m = q sets; blocks */
    pfx_idx ld_num;
    double *H;      /* [n_blocks][rows x width] transposed: by bootstrap cluster */
    double *num;    /* [rows x ld_num] m numerators of each bootstrap cluster */
    double *weight; /* [n_blocks x per] of each cluster's squares, 0 beyond them */
    double *scale;  /* [n_sq] sum of weight H^2: what a variance is a part of */
    /* By replicates, instead of H, else NULL: */
    double *B;     /* [n_errors][q x k] A^-1 X~'W(d o g) */
    double *K;     /* [rows][sets x k] X~'W(u o h) */
    double *u;     /* [n x sets] residuals of the rows, */
    double *wd;    /* [n x q] d with weights, */
    double *wleft; /* [n x q] what has no solution, with weights, or NULL */
};

/* Number of the cluster of clustering c that a cell lies in, among all. */
static inline pfx_idx pfx_wild_dense_cluster(const pfx_wild *w, const struct wild_dense *d, int c,
                                             pfx_idx cell)
{
    const int32_t *code = w->o.errors[c].code;
    return d->base[c] + (code ? code[cell] : cell);
}

/* V [n_sq x 24] += weighted products of the m scores of each of n clusters, C [n m x 24]. */
void pfx_wild_dense_squares(pfx_idx n, int m, const double *weight, const double *C, double *V);

/* The route by replicates: a batch of 24, the bytes it needs. */
void pfx_wild_rows_batch(const void *ctx, uint64_t seed, pfx_idx first, void *scratch, double *const *field);
pfx_idx pfx_wild_rows_scratch(const pfx_wild *w);

#endif
