/* Being asked to stop, in a run that can be taken up again: SIGTERM, SIGINT, SIGHUP, SIGXCPU, SIGUSR1,
 * SIGUSR2 (what Slurm, a terminal or `kill` send). */
#ifndef PFX_BASE_STOP_H
#define PFX_BASE_STOP_H

#include <stdbool.h>
#include "src/base/status.h"

/* From now on such a signal ends the process with status 75, after temporaries are removed and one line is
 * said. Instead of what pfx_file_install_cleanup does. what: of the line, as "panelfx boot"; kept. */
void pfx_stop_install(const char *what);
/* While on, a signal is only noted: the loop looks at pfx_stop_requested and ends by itself. One that was
 * noted before it is switched off ends the process then. */
void pfx_stop_defer(bool on);
/* Remove temporaries, say "WHAT: text" and end the process with status 75, whatever other threads do. */
_Noreturn void pfx_stop_leave(const char *text);
/* A thread that waits for a signal in a loop's stead, which may be long in looking: after_s seconds after one
 * came, unless the guard has ended by then, it calls fn(ctx), once, beside everything that computes; fn calls
 * pfx_stop_leave, or returns where the loop has seen the signal meanwhile. One guard at a time. NOMEM: no
 * thread. */
pfx_status pfx_stop_guard_begin(double after_s, void (*fn)(void *ctx), void *ctx, pfx_err *err) PFX_MUST;
/* Returns once fn is not called any more; does nothing where there is no guard. */
void pfx_stop_guard_end(void);
/* Number of the signal that came, 0: none. Threads: any. */
int pfx_stop_requested(void);

#endif
