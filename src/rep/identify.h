/* Coefficients of one lane of solved replicates, and which of them that replicate identifies. */
#ifndef PFX_REP_IDENTIFY_H
#define PFX_REP_IDENTIFY_H

#include "src/rep/clusterstat.h"

/* L, d, x: factor and solution of pfx_k_rep_factor and pfx_k_rep_solve, at the lane wanted.
 * work  [2 n_terms + k]
 * out   [n_terms] coefficients; NaN where a tested column that was left out takes the term with it */
void pfx_identify(const pfx_clusterstat *s, const double *L, const double *d, const double *x, double *work,
                  double *out);

#endif
