/* What the files of comparisons share: designs of groups, one below the other. */
#ifndef PFX_EST_COMPARE_PRIVATE_H
#define PFX_EST_COMPARE_PRIVATE_H

#include <stddef.h>
#include "src/est/compare.h"
#include "src/model/design.h"

typedef struct stack {
    int n;
    const pfx_design *const *d; /* [n] */
    const pfx_fit *const *fits; /* [n] */
    pfx_design *out;            /* n is set before the functions below are called */
    pfx_err *err;
} stack;

/* A factor of a group, and the number of its levels over all groups. */
typedef struct compare_origin {
    const pfx_factor *f;
    const int32_t *origin; /* [levels] */
} compare_origin;

/* from [groups]: levels by what they are over all groups. */
pfx_status compare_join(const stack *s, const compare_origin *from, pfx_factor *to) PFX_MUST;
/* Clusters, weights, times and the formula. */
pfx_status compare_clusters(const stack *s) PFX_MUST;
pfx_status compare_rest(const stack *s) PFX_MUST;
/* One array of doubles of every group, at an offset in pfx_design. */
double *compare_array(const stack *s, size_t offset);

#endif
