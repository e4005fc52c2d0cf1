/* One more thread, which runs one call at a time beside the thread that owns it. */
#ifndef PFX_BASE_HELPER_H
#define PFX_BASE_HELPER_H

#include "src/base/status.h"

typedef struct pfx_helper pfx_helper;

/* NOMEM. Where the system gives no thread, calls run when they are waited for. */
pfx_status pfx_helper_create(pfx_helper **out, pfx_err *err) PFX_MUST;
/* Begin fn(ctx). Nothing of an earlier call may be left to wait for. */
void pfx_helper_begin(pfx_helper *h, void (*fn)(void *ctx), void *ctx);
/* Until the call that was begun is over; at once where there is none. What it wrote can be read then. */
void pfx_helper_wait(pfx_helper *h);
void pfx_helper_free(pfx_helper *h); /* waits; NULL is fine */

#endif
