/* What a run says on stderr: warnings, notes, progress, the closing line. Only src/cmd and src/main.c print
 * errors; library code warns through here and never writes to stdout. */
#ifndef PFX_BASE_LOG_H
#define PFX_BASE_LOG_H

#include <stdbool.h>
#include "src/base/status.h"

typedef enum pfx_progress_mode {
    PFX_PROGRESS_AUTO,
    PFX_PROGRESS_ALWAYS,
    PFX_PROGRESS_NEVER
} pfx_progress_mode;

void pfx_log_setup(bool quiet, pfx_progress_mode mode);
/* One line, "panelfx: warning: ..." on stderr; also kept for reports. Never silenced by --quiet. */
void pfx_warn(const char *fmt, ...) PFX_PRINTF(1, 2);
/* Text of the i-th warning of this run, i = 0.. ; NULL after the last (the first 256 are kept). */
const char *pfx_warning(int i);
/* One line, "panelfx: ..." on stderr; silenced by --quiet. */
void pfx_note(const char *fmt, ...) PFX_PRINTF(1, 2);

/* Progress of a long job: a bar with rate and ETA on a terminal, one plain line a minute in a batch log (a
 * second with PFX_PROGRESS_ALWAYS, which also shows under --quiet). what and unit must outlive the job.
 * total < 0: unknown. Cheap to call (looks at the clock, prints at most 5 times a second). Never inside a
 * kernel. One at a time. */
void pfx_progress_begin(const char *what, const char *unit, double total);
void pfx_progress_set(double done);
void pfx_progress_end(void);

double pfx_wall_s(void);    /* monotonic seconds */
double pfx_run_s(void);     /* wall seconds since the process began */
double pfx_cpu_s(void);     /* CPU seconds of the process */
pfx_idx pfx_peak_rss(void); /* bytes: the process's peak resident size */

/* The last stderr line: "panelfx VERSION: COMMAND: wall 0.12 s, cpu 0.20 s, peak 31.2 MiB"; silenced by
 * --quiet. */
void pfx_log_closing(const char *version, const char *command);

#endif
