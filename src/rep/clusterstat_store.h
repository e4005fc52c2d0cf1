/* Cluster statistics to a bag and back, for runs that shall not read the panel again. */
#ifndef PFX_REP_CLUSTERSTAT_STORE_H
#define PFX_REP_CLUSTERSTAT_STORE_H

#include <stdbool.h>
#include "src/base/status.h"

struct pfx_bag;
struct pfx_clusterstat;

/* Are there rows among them, which are not stored? */
bool pfx_clusterstat_needs_rows(const struct pfx_clusterstat *s);
/* Into the bag, or a new *stat out of it, the same bits (src/base/bag.h). FORMAT, NOMEM. */
pfx_status pfx_clusterstat_store(struct pfx_clusterstat **stat, struct pfx_bag *b, pfx_err *err) PFX_MUST;

#endif
