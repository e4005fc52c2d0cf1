/* How many clusters identify a coefficient beside effects that are nested in them. */
#ifndef PFX_REP_SWITCHING_H
#define PFX_REP_SWITCHING_H

#include <stdbool.h>
#include "src/base/status.h"

struct pfx_design;

/* Below this many, tests by clusters are badly sized: methods.md section 5. */
enum { PFX_FEW_SWITCHING = 10 };

/* Clusters (of the first cluster variable) in which column `term` of Z varies within a level of some absorbed
 * effect that is nested in them: for a treatment beside firm effects, those that switch. -1: there is no such
 * effect, or `term` is no column. NOMEM. */
pfx_status pfx_switching_clusters(const struct pfx_design *d, const char *term, pfx_idx *n,
                                  pfx_err *err) PFX_MUST;

/* The same, counted no further than `enough`, >= 1: most regressors vary within that many clusters among the
 * first rows. */
pfx_status pfx_switching_few(const struct pfx_design *d, const char *term, pfx_idx enough, pfx_idx *n,
                             pfx_err *err) PFX_MUST;

/* How a tested regressor changes: tests by clusters are not to be trusted where few clusters carry it. */
typedef struct pfx_treated {
    bool binary;         /* two values */
    pfx_idx n_switching; /* clusters that identify it: as above, or where there is no such effect those in
                            which it takes both values */
    pfx_idx n_treated, n_control; /* clusters with the higher, the lower value alone */
} pfx_treated;
/* Of column `term` of Z over the first cluster variable; not binary where it is no column. NOMEM. */
pfx_status pfx_treated_count(const struct pfx_design *d, const char *term, pfx_treated *out,
                             pfx_err *err) PFX_MUST;

#endif
