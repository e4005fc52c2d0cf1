/* Cells of a wild bootstrap: the intersection of what the variance is clustered by and what shares one
 * weight. */
#ifndef PFX_REP_WILD_CELLS_H
#define PFX_REP_WILD_CELLS_H

#include "src/model/design.h"
#include "src/rep/wild.h"

typedef struct pfx_wild_cells {
    bool simple;     /* cells, clusters of the variance and bootstrap clusters are one: no codes */
    pfx_factor cell; /* of the rows; empty where simple */
    pfx_factor both; /* intersection of two clusterings; empty for one */
    const pfx_factor *within[2]; /* an effect nested in one of them leaves the weights alone: see below */
    int n_errors;
    pfx_idx n[PFX_WILD_MAX_ERRORS];
    int32_t *code[PFX_WILD_MAX_ERRORS]; /* [cells] of each clustering */
    pfx_idx n_boot;
    int32_t *boot; /* [cells] */
} pfx_wild_cells;

/* The first n_errors (1 or 2) cluster variables of d are those of the variance, number `boot` of them all
 * that of the weights. Weights commute with demeaning where an effect is nested in the bootstrap clusters;
 * where it is nested in every cluster of the variance, scores need no demeaning. d must stay while `within`
 * is used. NOMEM. */
pfx_status pfx_wild_cells_create(const pfx_design *d, int n_errors, int boot, pfx_wild_cells **out,
                                 pfx_err *err) PFX_MUST;
void pfx_wild_cells_free(pfx_wild_cells *c);
struct pfx_bag;
/* What a method reads of them (src/base/bag.h): codes [cells] and numbers, not the rows' factors. FORMAT,
 * NOMEM. */
pfx_status pfx_wild_cells_store(pfx_wild_cells *c, pfx_idx cells, struct pfx_bag *b, pfx_err *err) PFX_MUST;

#endif
