/* Prepared placebo replicates to a bag and back, for runs that shall not read the panel again. */
#ifndef PFX_REP_PLACEBO_STORE_H
#define PFX_REP_PLACEBO_STORE_H

#include "src/rep/placebo.h"

struct pfx_bag;

/* Why batches need rows, which are not stored; NULL: they do not. */
const char *pfx_placebo_needs_rows(const pfx_placebo *p);
/* Into the bag, or a new *a and *p out of it that give the same bits (src/base/bag.h), with the kernels of
 * isa. *a must outlive *p. FORMAT, NOMEM. */
pfx_status pfx_assign_store(pfx_assign **a, struct pfx_bag *b, pfx_err *err) PFX_MUST;
pfx_status pfx_placebo_store(const pfx_assign *a, pfx_isa isa, pfx_placebo **p, struct pfx_bag *b,
                             pfx_err *err) PFX_MUST;

#endif
