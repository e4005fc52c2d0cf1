/* What the files of the cluster statistics share. */
#ifndef PFX_REP_CLUSTERSTAT_PRIVATE_H
#define PFX_REP_CLUSTERSTAT_PRIVATE_H

#include "src/rep/clusterstat.h"

/* A design of its own with the columns in the order of the statistics: n_effect columns of the effects that
 * are not nested in the clusters and of the constant, regressors that the fit kept and that are not tested,
 * tested terms, outcome; absorbed are the nested effects alone, and there is no intercept besides columns.
 * USAGE, NOMEM. */
pfx_status pfx_clusterstat_design(const struct pfx_design *d, const pfx_clusterstat_options *o,
                                  struct pfx_design **out, int *n_effect, pfx_err *err) PFX_MUST;

struct pfx_solve;
/* The tested terms are the last n_terms columns before the outcome: NOCONV names one that was not kept. */
pfx_status pfx_clusterstat_check_kept(const struct pfx_design *d, const struct pfx_solve *s, int n_terms,
                                      pfx_err *err) PFX_MUST;

#endif
