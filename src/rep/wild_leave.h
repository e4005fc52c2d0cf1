/* Clusters left out one at a time beside effects that cross them, for the types of the wild bootstrap that
 * take refits without each cluster. */
#ifndef PFX_REP_WILD_LEAVE_H
#define PFX_REP_WILD_LEAVE_H

#include "src/base/status.h"

struct pfx_clusterstat;

typedef struct pfx_wild_leave {
    const struct pfx_clusterstat *s; /* with its rows and absorber */
    pfx_idx n_clusters;
    const int32_t *cluster; /* [cells] cluster of each cell of s; NULL: each cell is one */
    const double *R;        /* [k x k] upper factor of X~'WX~ */
    /* Directions that the model has not, of those of its regressors: c [n_rows x q], CC [q x q] upper factor
     * of c'Wc; q 0: it has all. */
    int q;
    const double *c, *CC;
} pfx_wild_leave;

/* x_g = (I - P_gg)^+ x_g on the rows of every cluster g in turn, P the projection on effects and regressors;
 * x [n_rows x m] in place, m <= 16. left [n_rows x m], or NULL: the part of x_g that is in the null space,
 * where the system has no solution; elsewhere zero. Counted are the clusters of which there is one.
 * NOCONV: names none; a cluster that carries a coefficient nearly alone. NOMEM. The same bits at any number
 * of threads. */
pfx_status pfx_wild_leave_out(const pfx_wild_leave *l, int m, double *x, double *left, pfx_idx *n_singular,
                              pfx_idx *first_singular, pfx_err *err) PFX_MUST;
/* Bytes that it takes. */
double pfx_wild_leave_bytes(pfx_idx n_rows, int m);

#endif
