/* Statistics that many clusters have in common. The columns of effects outside the clusters, demeaned within
 * the cluster, depend on nothing but which levels the cluster has rows in (a firm's years): their products
 * repeat, and sums over clusters need them once for each pattern, not once for each cluster. */
#ifndef PFX_REP_PATTERNS_H
#define PFX_REP_PATTERNS_H

#include "src/base/status.h"

struct pfx_clusterstat;

typedef struct pfx_patterns {
    pfx_idx n;        /* patterns; 0: too many to be worth it, and nothing below is set */
    pfx_idx rows;     /* of M: n rounded up to 8, padding zero */
    pfx_idx n_stats;  /* leading statistics of a cluster that its pattern gives, >= 1 */
    double *M;        /* [rows x n_stats] */
    int32_t *pattern; /* [rows of the statistics] of each cluster; n - 1 beyond the clusters, whose weight is
                         zero */
} pfx_patterns;

/* Find them: clusters whose leading statistics agree bit for bit, in the order of first clusters. NOMEM. */
pfx_status pfx_patterns_find(const struct pfx_clusterstat *s, pfx_patterns *out, pfx_err *err) PFX_MUST;
void pfx_patterns_free(pfx_patterns *p);

#endif
