/* How many clusters identify a coefficient beside effects that are nested in them. */
#ifndef PFX_REP_SWITCHING_H
#define PFX_REP_SWITCHING_H

#include "src/base/status.h"

struct pfx_design;

/* Below this many, tests by clusters are badly sized: methods.md section 5. */
enum { PFX_FEW_SWITCHING = 10 };

/* Clusters (of the first cluster variable) in which column `term` of Z varies within a level of some absorbed
 * effect that is nested in them: for a treatment beside firm effects, those that switch. -1: there is no such
 * effect, or `term` is no column. NOMEM. */
pfx_status pfx_switching_clusters(const struct pfx_design *d, const char *term, pfx_idx *n,
                                  pfx_err *err) PFX_MUST;

#endif
