/* Scores of a fit and what variances are made of: gradient, residual sum of squares, meats. One pass over the
 * demeaned rows serves all of them. Cameron, Gelbach and Miller (2011) for two-way clusters. */
#ifndef PFX_EST_VCOV_H
#define PFX_EST_VCOV_H

#include <stdbool.h>
#include "src/base/status.h"
#include "src/est/absorb.h"

struct pfx_design;
struct pfx_factor;
struct pfx_solve;

/* One meat: sum over groups of s s', s the sum of the scores of a group's rows. */
typedef struct pfx_meat {
    const struct pfx_factor *cluster; /* in the design's row order; NULL: every row a group (HC) */
    double *M;                        /* [q x q] out, both triangles */
} pfx_meat;

enum { PFX_MAX_MEATS = 3 };

/* Scores that are not a residual times a column. fill turns n demeaned rows [n x p] into rows of scores without their
 * weights [n x width], with scratch [n_scratch]. levels, or NULL, has the scores of a block's whole levels at once,
 * weights and all, where the absorber has levels: S [levels x lds], their first rows *start as
 * pfx_absorber_level_scores gives them, with scratch [rows of the block] e and [rows x p in whole lanes]; returns the
 * number of levels. Threads: any at once. */
typedef struct pfx_score_map {
    void (*fill)(const void *ctx, pfx_idx n, const double *rows, double *scores, double *scratch);
    pfx_idx (*levels)(const void *ctx, pfx_idx block, double *e, pfx_idx lds, double *S, const pfx_idx **start,
                      double *scratch);
    const void *ctx;
    int width;
    pfx_idx n_scratch;
} pfx_score_map;

typedef struct pfx_scores {
    const struct pfx_design *d;
    pfx_absorber *a;
    const double *c; /* [p] residual = row of Z~ times c: -b at the regressors, 0 where dropped, 1 last */
    const struct pfx_solve *whiten; /* scores of the rows whitened by it, its k columns first; NULL: as they are */
    const pfx_score_map *map; /* or NULL. With it p is its width, c and whiten are not used, ssr and resid not set */
    int nth;
    pfx_isa isa;
    int n_meats; /* <= PFX_MAX_MEATS */
    pfx_meat meat[PFX_MAX_MEATS];
    double *gradient; /* [q] out, sum of the scores; q = p + 1, see below */
    double *ssr;      /* out, sum of w e^2 */
    double *resid;    /* [n] out, in the design's row order, or NULL */
} pfx_scores;

/* The score of a row is w e (z~_1 ... z~_p, 1): the last is the intercept's (zero or undefined where none is
 * estimated). With frequency weights the HC meat
 * counts w, not w^2. Rows are taken group of blocks by group; clusters that lie in contiguous runs need no [G x q]
 * array, others one, to which runs are added in the order of the rows. NOMEM. */
pfx_status pfx_scores_run(const pfx_scores *s, pfx_err *err) PFX_MUST;

/* The intersection of two clusterings as a factor; name is left NULL. NOMEM. Free with pfx_factor_clear. */
pfx_status pfx_cluster_intersect(pfx_idx n, const struct pfx_factor *f, const struct pfx_factor *g,
                                 struct pfx_factor *out, pfx_err *err) PFX_MUST;
void pfx_factor_clear(struct pfx_factor *f);

/* Exact: every level of f lies in one level of g. */
pfx_status pfx_factor_nested(pfx_idx n, const struct pfx_factor *f, const struct pfx_factor *g, int nth,
                             bool *nested, pfx_err *err) PFX_MUST;

/* V = H M H', H the bread, all [k x k], M symmetric; work [k x k]. */
void pfx_sandwich(int k, const double *H, const double *M, double *V, double *work);

/* Floor the eigenvalues of V [k x k] at zero where one is negative beyond rounding; *floored tells. NOMEM. */
pfx_status pfx_vcov_floor(int k, double *V, bool *floored, pfx_err *err) PFX_MUST;

#endif
