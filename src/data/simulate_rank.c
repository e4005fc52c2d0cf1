/* The exact panel: missing cells to the count, scores by rank. */
#include "src/data/simulate_block.h"

#include <stdlib.h>
#include "src/base/mem.h"
#include "src/base/parallel.h"

typedef struct scored {
    double z;
    pfx_idx row;
} scored;

typedef struct ranking {
    sim_block *b;
    scored *scratch; /* [SIM_N_LATENT x n_rows] */
} ranking;

static int by_score(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->z != y->z) return x->z < y->z ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Exactly n_missing of n rows, all subsets equally likely: selection sampling (Knuth, vol. 2, 3.4.2,
 * algorithm S). */
static void choose_missing(uint64_t seed, sim_var v, pfx_idx n, pfx_idx n_missing, unsigned char *missing)
{
    pfx_rng r;
    pfx_rng_start(&r, seed, SIM_RNG_MISSING + (uint32_t)v, 0);
    for (pfx_idx row = 0; row < n; row++) {
        missing[row] = pfx_rng_uniform(&r) * (double)(n - row) < (double)n_missing;
        n_missing -= missing[row];
    }
}

static void rank_latent(void *ctx, pfx_idx k, int thread)
{
    const ranking *a = ctx;
    sim_block *b = a->b;
    const sim_latent *v = &sim_latents[k];
    scored *s = a->scratch + k * b->n_rows;
    double *z = b->num[v->var];
    pfx_idx m = 0;
    (void)thread;

    if (!b->need[v->var]) return;
    if (b->missing[k]) choose_missing(b->o->seed, v->var, b->n_rows, b->n_rows - v->n, b->missing[k]);
    for (pfx_idx row = 0; row < b->n_rows; row++)
        if (!b->missing[k] || !b->missing[k][row]) s[m++] = (scored){z[row], row};
    qsort(s, (size_t)m, sizeof *s, by_score);
    for (pfx_idx j = 0; j < m; j++) z[s[j].row] = pfx_normal_quantile(((double)j + 0.5) / (double)m);
}

pfx_status sim_block_rank(sim_block *b, pfx_err *err)
{
    ranking a = {b, pfx_mem_alloc(SIM_N_LATENT * b->n_rows, sizeof(scored), err)};
    if (!a.scratch) return PFX_ENOMEM;
    pfx_par_for(SIM_N_LATENT, b->o->nth, rank_latent, &a);
    pfx_mem_free(a.scratch);
    return PFX_OK;
}
