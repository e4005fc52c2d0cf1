#include "src/est/codes.h"

#include <stdatomic.h>
#include "kernels/codes.h"
#include "src/base/parallel.h"

#define CHUNK                                                                                                \
    32768 /* rows that a thread takes at a time: f stays in its cache while it is compared with each g */
#define MAX_G 16

typedef struct job {
    pfx_isa isa;
    pfx_idx n, n_levels;
    const int32_t *f, *const *g;
    int n_g;
    bool until_f_falls;
    pfx_idx *start; /* or NULL */
    atomic_int flags[MAX_G];
} job;

static void scan_chunk(void *ctx, pfx_idx k, int thread)
{
    job *j = ctx;
    pfx_idx r0 = k * CHUNK, r1 = r0 + CHUNK < j->n ? r0 + CHUNK : j->n;
    (void)thread;
    if (j->until_f_falls && (j->flags[0] & PFX_K_CODES_FALL)) return;
    for (int i = 0; i < j->n_g; i++)
        atomic_fetch_or(&j->flags[i],
                        pfx_k_codes(j->isa, r0, r1, j->f, j->g[i], j->n_levels, i == 0 ? j->start : NULL));
}

static pfx_codes_order order_of(int flags)
{
    return (pfx_codes_order){flags & PFX_K_CODES_FALL, flags & PFX_K_CODES_G_FALL, flags & PFX_K_CODES_SPLIT};
}

static void scan(job *j, int nth)
{
    j->isa = pfx_cpu_best(); /* whole numbers: the same on every ISA */
    pfx_par_for((j->n + CHUNK - 1) / CHUNK, nth, scan_chunk, j);
}

pfx_codes_order pfx_codes_compare(pfx_idx n, const int32_t *f, const int32_t *g, bool until_f_falls, int nth)
{
    job j = {.n = n, .f = f, .g = &g, .n_g = 1, .until_f_falls = until_f_falls};
    scan(&j, nth);
    return order_of(j.flags[0]);
}

bool pfx_codes_scan(pfx_idx n, const int32_t *f, pfx_idx n_levels, int n_g, const int32_t *const *g, int nth,
                    pfx_idx *start, pfx_codes_order *order)
{
    for (int at = 0; at < n_g || at == 0; at += MAX_G) {
        const int32_t *none = NULL;
        job j = {.n = n,
                 .n_levels = n_levels,
                 .f = f,
                 .g = n_g > 0 ? g + at : &none,
                 .until_f_falls = true,
                 .start = start};
        j.n_g = n_g - at > MAX_G ? MAX_G : n_g > 0 ? n_g - at : 1;
        scan(&j, nth);
        if (j.flags[0] & PFX_K_CODES_FALL) return false;
        for (int i = 0; i < j.n_g && at + i < n_g; i++) order[at + i] = order_of(j.flags[i]);
    }
    start[n_levels] = n;
    return true;
}
