/* Cross-products of the columns that a level's rows lie in, less what the level's mean takes off, for many
 * levels. */
#ifndef PFX_KERNELS_INCIDENCE_H
#define PFX_KERNELS_INCIDENCE_H

#include <stdbool.h>
#include "src/base/cpu.h"
#include "src/base/status.h"

/* Rows times blocks of a level, at most. */
#define PFX_K_INCIDENCE_MAX 64

/* A level: each of its rows lies in one column of each block. A column is a slot: lane slot % 8 of tile slot
 * / 8. What follows the head: slots, [(inner + outer) x rows], block by block; or, packed, of at most eight
 * rows, a cell for each block, all of whose columns differ and lie in one tile. */
typedef struct pfx_k_incidence {
    int32_t level; /* its number: for the caller */
    uint8_t rows;  /* >= 1; (inner + outer) * rows <= PFX_K_INCIDENCE_MAX */
    bool packed;
    uint8_t inner, outer; /* blocks: first those whose columns are rows of the target too, then others */
    uint16_t slot[];
} pfx_k_incidence;

/* Most rows of a packed level. */
#define PFX_K_INCIDENCE_PACKED 8
/* lanes: four bits for each row; set: one for each lane. */
static inline uint64_t pfx_k_incidence_cell(uint32_t tile, uint32_t lanes, uint32_t set)
{
    return tile | (uint64_t)lanes << 16 | (uint64_t)set << 48;
}

/* Where products go: element (slot - slot0, at[tile] + lane) of S. */
typedef struct pfx_k_incidence_target {
    pfx_idx slot0, slot1; /* rows, whole tiles; slots of others are passed over */
    bool outer;           /* rows and columns are the outer blocks' alone */
    pfx_idx ld;           /* distance of rows of S */
    double *S;            /* added to */
    double *diag;         /* [slot1 - slot0] += how many rows of levels lie in the slot */
    int32_t *at;          /* [tiles] -1: a tile has no columns yet, it is given the eight at next_at */
    int32_t next_at;      /* in and out */
    int32_t *met, n_met;  /* tiles that were given columns, in order; in and out */
} pfx_k_incidence_target;

/* S += sum over levels of B'B - B'11'B / rows, B [rows x columns] the level's incidence matrix; levels in
 * order, the rows of each in order: the same bits on every ISA. Reads ahead in list by prefetch only.
 * Threads: any, over targets of their own. */
void pfx_k_incidence_add(pfx_isa isa, pfx_idx n, const uint32_t *list, const uint64_t *cells,
                         pfx_k_incidence_target *t);

typedef void pfx_k_incidence_add_fn(pfx_idx n, const uint32_t *list, const uint64_t *cells,
                                    pfx_k_incidence_target *t);
pfx_k_incidence_add_fn pfx_k_incidence_add_portable, pfx_k_incidence_add_v3, pfx_k_incidence_add_v4;

#endif
