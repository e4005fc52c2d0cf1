/* The slow, obvious two-way estimator that tests compare with: firm means taken off, year dummies explicit,
 * normal equations in long double, standard errors clustered by firm. */
#ifndef PFX_TESTS_TWFE_H
#define PFX_TESTS_TWFE_H

#include "src/base/status.h"

typedef struct twfe {
    pfx_idx n, firms;
    int k;
    double b[32], se[32];
    double adj_r2, rmse;
} twfe;

/* y [n], x [k][n], firm [n] (sorted), year [n]; rows with a NaN are left out. */
twfe twfe_fit(pfx_idx n, const double *y, int k, const double *const *x, const double *firm,
              const double *year);

#endif
