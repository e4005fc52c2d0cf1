/* Is a regressor a treatment that units take up in different periods? */
#ifndef PFX_EST_STAGGERED_H
#define PFX_EST_STAGGERED_H

#include "src/base/status.h"

struct pfx_design;

/* Column col of d, with the absorbed entries unit and time (by number): *n_dates is the number of different
 * periods in which units change from 0 to 1, where the column has only 0 and 1 and never falls within a unit;
 * else 0. The rows of a unit must come in the order of time, which they do as they are loaded and after a
 * fit. nth threads, >= 1. NOMEM. */
pfx_status pfx_staggered_dates(const struct pfx_design *d, int unit, int time, int col, int nth, pfx_idx *n_dates,
                               pfx_err *err) PFX_MUST;

/* The weights that two-way fixed effects give to the rows with D = 1 in the coefficient of a treatment D,
 * which are the residuals of D on the other regressors and the effects, over their sum (de Chaisemartin and
 * D'Haultfoeuille 2020, theorem 1). */
typedef struct pfx_twfe_weights {
    pfx_idx n_positive, n_negative; /* treated rows by the sign of their weight */
    double sum_negative;            /* of the negative weights, all weights summing to one */
} pfx_twfe_weights;
struct pfx_fit_options;
/* d: its outcome is D, its regressors the others. A weight counts as zero below 1e-9 of the largest residual.
 * Reorders rows, as a fit does. DATA: D is not 0 or 1, or nothing of it is left beside the effects. As
 * pfx_fit_ols. */
pfx_status pfx_twfe_weights_of(struct pfx_design *d, const struct pfx_fit_options *o, pfx_twfe_weights *out,
                               pfx_err *err) PFX_MUST;

#endif
