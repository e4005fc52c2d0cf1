/* Being asked to stop, in a run that can be taken up again: SIGTERM, SIGINT, SIGHUP, SIGXCPU, SIGUSR1,
 * SIGUSR2 (what Slurm, a terminal or `kill` send). */
#ifndef PFX_BASE_STOP_H
#define PFX_BASE_STOP_H

#include <stdbool.h>

/* From now on such a signal ends the process with status 75, after temporaries are removed and one line is
 * said. Instead of what pfx_file_install_cleanup does. what: of the line, as "panelfx boot"; kept. */
void pfx_stop_install(const char *what);
/* While on, a signal is only noted: the loop looks at pfx_stop_requested and ends by itself. One that was
 * noted before it is switched off ends the process then. */
void pfx_stop_defer(bool on);
/* Number of the signal that came, 0: none. Threads: any. */
int pfx_stop_requested(void);

#endif
