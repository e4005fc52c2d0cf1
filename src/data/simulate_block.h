/* A block of firms of the synthetic panel, and the computing of its columns. */
#ifndef PFX_DATA_SIMULATE_BLOCK_H
#define PFX_DATA_SIMULATE_BLOCK_H

#include "src/data/simulate.h"
#include "src/data/simulate_firms.h"
#include "src/data/simulate_vars.h"

typedef struct sim_block {
    const pfx_simulate_options *o;
    const sim_plan *plan;
    bool exact;
    bool need[SIM_N_VARS]; /* asked for, or an ingredient of one that is */
    double edge[SIM_N_LATENT];
    double *year_effect; /* [n_years] */
    pfx_idx max_firms, max_rows;
    pfx_idx firm0, n_firms; /* firms of this block, numbered from 0 in the panel */
    pfx_idx row0, n_rows;
    sim_firm *firm;                       /* [max_firms] */
    pfx_idx *start;                       /* [max_firms + 1] first row of each firm in the block */
    double *num[SIM_N_VARS];              /* [max_rows], NULL if not needed or a category */
    int32_t *code[SIM_N_VARS];            /* [max_rows], categories */
    unsigned char *missing[SIM_N_LATENT]; /* [max_rows], variables with missing cells */
} sim_block;

/* Memory for o's columns; need[] from `want`. NOMEM. */
pfx_status sim_block_create(const pfx_simulate_options *o, const sim_plan *plan, bool exact,
                            const bool want[SIM_N_VARS], sim_block **out, pfx_err *err) PFX_MUST;
void sim_block_free(sim_block *b);

/* Fill with the block's firms from firm0 on, n of them at most max_firms. NOMEM (exact panels rank their
 * scores). */
pfx_status sim_block_fill(sim_block *b, pfx_idx firm0, pfx_idx n, pfx_err *err) PFX_MUST;

/* The exact panel's stage between scores and values: choose exactly the missing cells, and replace each
 * variable's scores among the others by their normal scores, so that every draw of the panel has the same
 * marginal distribution, Table 2's. */
pfx_status sim_block_rank(sim_block *b, pfx_err *err) PFX_MUST;

#endif
