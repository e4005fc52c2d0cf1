/* Small linear programs over one set of feasible points, for many objectives: dense, by the revised simplex
 * method. */
#ifndef PFX_EST_SIMPLEX_H
#define PFX_EST_SIMPLEX_H

#include <stdbool.h>
#include "src/base/status.h"

/* g >= 0 [m] with W'g = (1, 0, .. 0)', W [m x k]. */
typedef struct pfx_simplex {
    int m, k;
    const double *W;
    bool feasible; /* there is such a g */
    int *basis;    /* [k] rows of W; m + j: the j-th equation's artificial variable, at zero */
    double *work;  /* [2 k x k + 4 k] */
    double *g;     /* [k] of the basis */
} pfx_simplex;

/* Finds a first point. W must outlive it. NOMEM. */
pfx_status pfx_simplex_create(int m, int k, const double *W, pfx_simplex *out, pfx_err *err) PFX_MUST;
void pfx_simplex_free(pfx_simplex *s);

/* The largest y'g, y [m], from where the last one ended; bounded for every y where W's first column is
 * positive. Bland's rule, so that it ends. point [m] the g, or NULL. */
double pfx_simplex_max(pfx_simplex *s, const double *y, double *point);

#endif
