/* What the control groups of this process allow it, version 1 and 2. */
#ifndef PFX_BASE_CGROUP_H
#define PFX_BASE_CGROUP_H

#include "src/base/status.h"

/* The tightest limit from this process's group up to the root of the hierarchy; 0: none, or not known.
 * root is put before /proc and /sys, so that a test can stand in for the system; "" otherwise. */
int pfx_cgroup_cpus(const char *root);       /* CPU quota over period, rounded up */
int64_t pfx_cgroup_memory(const char *root); /* bytes */

#endif
