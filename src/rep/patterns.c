#include "src/rep/patterns.h"

#include <string.h>
#include "src/base/mem.h"
#include "src/rep/clusterstat.h"

/* More would not stay in a second-level cache beside the statistics, and fewer than eight clusters to a
 * pattern would not save enough to pay for the table. Slots of the hash table: a power of two, four to a
 * pattern. */
enum { MAX_PATTERNS = 256, CLUSTERS_EACH = 8, SLOTS = 1024 };

static uint64_t hash_of(pfx_idx n, const double *x)
{
    uint64_t h = UINT64_C(0x9E3779B97F4A7C15), bits;
    for (pfx_idx i = 0; i < n; i++) {
        memcpy(&bits, x + i, sizeof bits);
        h = (h ^ bits) * UINT64_C(0xFF51AFD7ED558CCD);
        h ^= h >> 32;
    }
    return h;
}

/* Number of the pattern of x, a new one where it has none yet; MAX_PATTERNS: no room. */
static int32_t pattern_of(pfx_patterns *p, int32_t *slot, const double *x)
{
    size_t bytes = (size_t)p->n_stats * sizeof *x;
    uint64_t at = hash_of(p->n_stats, x) % SLOTS;
    for (; slot[at] >= 0; at = (at + 1) % SLOTS)
        if (!memcmp(p->M + slot[at] * p->n_stats, x, bytes)) return slot[at];
    if (p->n == MAX_PATTERNS) return MAX_PATTERNS;
    memcpy(p->M + p->n * p->n_stats, x, bytes);
    return slot[at] = (int32_t)p->n++;
}

pfx_status pfx_patterns_find(const pfx_clusterstat *s, pfx_patterns *out, pfx_err *err)
{
    int32_t slot[SLOTS];
    pfx_idx g = 0;
    *out = (pfx_patterns){.n_stats = (pfx_idx)s->n_effect * (s->n_effect + 1) / 2};
    if (out->n_stats < 2) return PFX_OK;
    out->M = pfx_mem_calloc(MAX_PATTERNS * out->n_stats, sizeof *out->M, err);
    out->pattern = pfx_mem_calloc(s->rows, sizeof *out->pattern, err);
    if (!out->M || !out->pattern) {
        pfx_patterns_free(out);
        return PFX_ENOMEM;
    }
    for (int i = 0; i < SLOTS; i++) slot[i] = -1;
    for (; g < s->G; g++)
        if ((out->pattern[g] = pattern_of(out, slot, s->M + g * s->ld)) == MAX_PATTERNS) break;
    if (g < s->G || out->n * CLUSTERS_EACH > s->G) {
        pfx_patterns_free(out);
        return PFX_OK;
    }
    for (; g < s->rows; g++) out->pattern[g] = (int32_t)out->n - 1;
    out->rows = (out->n + 7) / 8 * 8;
    return PFX_OK;
}

void pfx_patterns_free(pfx_patterns *p)
{
    pfx_mem_free(p->M);
    pfx_mem_free(p->pattern);
    *p = (pfx_patterns){0};
}
