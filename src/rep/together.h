/* Several replication methods as one: each replicate is computed by all of them, from the same (seed,
 * replicate), and a draw has the terms of the first, then those of the second, and so on. */
#ifndef PFX_REP_TOGETHER_H
#define PFX_REP_TOGETHER_H

#include "src/rep/driver.h"

typedef struct pfx_together pfx_together;

/* The methods must outlive the result. USAGE: they differ in their fields, or in the width of a
 * batch where it is no divisor of the widest. NOMEM.
 */
pfx_status pfx_together_create(int n, const pfx_rep_method *const *methods, pfx_together **out,
                               pfx_err *err) PFX_MUST;
void pfx_together_free(pfx_together *t);
const pfx_rep_method *pfx_together_method(const pfx_together *t);

/* Units that the methods draw by, where each has a sample of its own: how many there are in all, and which of
 * them each of a method's own is, [its clusters], one to one. of NULL: it has them all. A draw's weight on a
 * unit depends on (seed, replicate, the unit's number in all) alone. */
typedef struct pfx_union {
    pfx_idx n;
    const int32_t *of;
} pfx_union;

#endif
