/* The rows behind placebo replicates: orthonormal nuisance columns, and the outcome and the true regressor
 * less their projections on them. Source: methods.md section 7 (Frisch, Waugh and Lovell). */
#ifndef PFX_REP_PLACEBO_ROWS_H
#define PFX_REP_PLACEBO_ROWS_H

#include "src/base/cpu.h"
#include "src/base/status.h"

struct pfx_design;

typedef struct pfx_placebo_rows {
    pfx_idx n;
    int k, stride; /* nuisance columns; stride = k + 2 */
    /* [n x stride] in the design's order: columns q with Q'WQ = I, the outcome and the tested regressor less
     * their projections, all demeaned within the effects that are nested in the clusters; all: within all
     * effects. */
    double *Q;
    /* The effect that was taken off: level of each row, NULL where there was none, and its weight. */
    int32_t *level;
    pfx_idx n_levels;
    double *weight; /* [n_levels] rows, or the sum of their weights */
    bool all;       /* every effect was taken off; there is no level then */
} pfx_placebo_rows;

typedef struct pfx_placebo_rows_options {
    int n_drawn;
    const char *const *drawn; /* [n_drawn] names of the regressors that assignments rebuild */
    int tested;               /* which of them is tested */
    int n_collinear;
    const char *const *collinear;
    double tol;
    int maxiter, nth;
    pfx_isa isa;
    bool cross; /* take all effects off in any case */
} pfx_placebo_rows_options;

/* Effects nested in the first cluster variable of d are absorbed, others become columns; all are absorbed
 * where these would be more than PFX_CLUSTERSTAT_REFIT, or the nested ones have slopes, or none of them is
 * nested in all others. USAGE: a name that is no regressor. IDENT: a drawn regressor is not identified.
 * NOMEM. The same bits at any nth and on every ISA. */
pfx_status pfx_placebo_rows_create(const struct pfx_design *d, const pfx_placebo_rows_options *o,
                                   pfx_placebo_rows **out, pfx_err *err) PFX_MUST;
void pfx_placebo_rows_free(pfx_placebo_rows *r);

#endif
