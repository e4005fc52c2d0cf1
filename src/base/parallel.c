#include "src/base/parallel.h"

#include <cblas.h>
#include <omp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "src/base/cgroup.h"
#include "src/base/text.h"

/* CPUs of the affinity mask. The mask may be larger than cpu_set_t: the set grows until the kernel accepts
 * it. */
static int affinity_cpus(void)
{
    for (int n = 1024; n <= 1 << 20; n *= 4) {
        cpu_set_t *set = CPU_ALLOC(n);
        if (!set) return 1;
        size_t size = CPU_ALLOC_SIZE(n);
        bool ok = sched_getaffinity(0, size, set) == 0;
        int count = ok ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (ok) return count > 0 ? count : 1;
    }
    return 1;
}

/* What --threads allows too. */
enum { MAX_THREADS = 1024 };

int pfx_par_threads(int asked)
{
    if (asked > 0) return asked;
    const char *slurm = getenv("SLURM_CPUS_PER_TASK");
    pfx_idx given = 0;
    int n = affinity_cpus();
    if (slurm && pfx_text_idx(slurm, strlen(slurm), &given) && given > 0) n = given < MAX_THREADS ? (int)given : MAX_THREADS;
    int quota = pfx_cgroup_cpus("");
    return quota > 0 && quota < n ? quota : n;
}

void pfx_par_begin_thread(void)
{
    omp_set_num_threads(1);
}

pfx_status pfx_par_single_thread_blas(pfx_err *err)
{
    pfx_par_begin_thread();
    openblas_set_num_threads(1);
    int n = openblas_get_num_threads();
    if (n != 1)
        return pfx_fail(err, PFX_EIO,
                        "OpenBLAS keeps %d threads where one was asked for; results would depend on "
                        "them: set OPENBLAS_NUM_THREADS=1",
                        n);
    return PFX_OK;
}

size_t pfx_par_memory(size_t asked)
{
    if (asked > 0) return asked;
    double bytes = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGE_SIZE);
    double group = (double)pfx_cgroup_memory("");
    if (group > 0 && group < bytes) bytes = group;
    return (size_t)(0.8 * bytes);
}
