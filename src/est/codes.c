#include "src/est/codes.h"

#include <stdatomic.h>
#include "src/base/parallel.h"

#define CHUNK 65536     /* rows that a thread takes at a time */

static pfx_idx n_chunks(pfx_idx n) { return (n + CHUNK - 1) / CHUNK; }

typedef struct job {
    pfx_idx n;
    const int32_t *f, *g;
    bool until_f_falls;
    atomic_bool f_falls, g_falls, splits;
    pfx_idx *start;
} job;

static void compare_chunk(void *ctx, pfx_idx k, int thread)
{
    job *j = ctx;
    const int32_t *f = j->f, *g = j->g;
    pfx_idx r0 = k * CHUNK, r1 = r0 + CHUNK < j->n ? r0 + CHUNK : j->n;
    int f_falls = 0, g_falls = 0, splits = 0;
    (void)thread;
    if (j->until_f_falls && j->f_falls) return;
    for (pfx_idx r = r0 > 0 ? r0 : 1; r < r1; r++) {
        f_falls |= f[r] < f[r - 1];
        g_falls |= g[r] < g[r - 1];
        splits |= (f[r] == f[r - 1]) & (g[r] != g[r - 1]);
    }
    if (f_falls) j->f_falls = true;
    if (g_falls) j->g_falls = true;
    if (splits) j->splits = true;
}

pfx_codes_order pfx_codes_compare(pfx_idx n, const int32_t *f, const int32_t *g, bool until_f_falls, int nth)
{
    job j = {.n = n, .f = f, .g = g, .until_f_falls = until_f_falls};
    pfx_par_for(n_chunks(n), nth, compare_chunk, &j);
    return (pfx_codes_order){j.f_falls, j.g_falls, j.splits};
}

/* From the last row down, so that a level's first row is written last. A level that began in the chunk before is
 * that chunk's. */
static void start_chunk(void *ctx, pfx_idx k, int thread)
{
    job *j = ctx;
    pfx_idx r0 = k * CHUNK, r1 = r0 + CHUNK < j->n ? r0 + CHUNK : j->n;
    (void)thread;
    while (r0 > 0 && r0 < r1 && j->f[r0] == j->f[r0 - 1]) r0++;
    for (pfx_idx r = r1; r-- > r0;) j->start[j->f[r]] = r;
}

void pfx_codes_starts(pfx_idx n, const int32_t *code, pfx_idx n_levels, int nth, pfx_idx *start)
{
    job j = {.n = n, .f = code, .start = start};
    pfx_par_for(n_chunks(n), nth, start_chunk, &j);
    start[n_levels] = n;
}
