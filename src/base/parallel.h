/* Threads: how many, and a loop over fixed blocks. One parallel level at a time. */
#ifndef PFX_BASE_PARALLEL_H
#define PFX_BASE_PARALLEL_H

#include <stddef.h>
#include "src/base/status.h"

/* Threads to use: asked if > 0, else SLURM_CPUS_PER_TASK, else the CPUs of the affinity mask (never the
 * online CPUs), further bounded by the cgroup's CPU quota. Always >= 1. */
int pfx_par_threads(int asked);

/* Call fn(ctx, block, thread) for block = 0..n-1 on nth threads, each block once, in any order; thread is in
 * 0..nth-1. fn must write only what belongs to its block (or its thread's scratch), so that the result does
 * not depend on nth. Thread t of nth begins with the blocks from n t / nth on, in ascending order, and takes over blocks
 * of others when it has done its own: loops over the same rows should cut them in the same order. A loop inside a loop, or at the same time as another thread's, runs on its caller alone.
 */
typedef void (*pfx_par_fn)(void *ctx, pfx_idx block, int thread);
void pfx_par_for(pfx_idx n, int nth, pfx_par_fn fn, void *ctx);
/* The same, but blocks are begun in ascending order: where what was done before an end that comes early must have no gaps. */
void pfx_par_in_order(pfx_idx n, int nth, pfx_par_fn fn, void *ctx);

/* Set OpenBLAS to one thread and verify that it took. Called once by main. IO: it did not. */
pfx_status pfx_par_single_thread_blas(pfx_err *err) PFX_MUST;

/* The same for a thread that is new: to be called by it before it computes. OpenBLAS's build for OpenMP asks each thread's
 * own OpenMP setting, which a new one takes from the environment, and would start as many threads of its own. */
void pfx_par_begin_thread(void);

/* Memory this process may use: asked if > 0, else 80 % of the cgroup v2/v1 limit or of physical memory. */
size_t pfx_par_memory(size_t asked);

#endif
