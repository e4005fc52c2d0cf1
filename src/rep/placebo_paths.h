/* A set of treatment paths, each kept once. */
#ifndef PFX_REP_PLACEBO_PATHS_H
#define PFX_REP_PLACEBO_PATHS_H

#include <stdbool.h>
#include "src/base/status.h"

typedef struct pfx_paths {
    int n_periods;
    pfx_idx n, cap;
    double *path; /* [n x n_periods] */
    pfx_idx n_slots;
    int32_t *slot; /* [n_slots] number of the path, -1: free */
} pfx_paths;

pfx_status pfx_paths_init(pfx_paths *p, int n_periods, pfx_err *err) PFX_MUST;
void pfx_paths_free(pfx_paths *p);
/* Number of the path v [n_periods], added where it is new; -1 where it is all zero. NOMEM. */
pfx_status pfx_paths_add(pfx_paths *p, const double *v, int32_t *id, pfx_err *err) PFX_MUST;
/* Fill NaN: from the period before, at the start from the first that is known. */
void pfx_paths_carry(int n_periods, double *v);

#endif
