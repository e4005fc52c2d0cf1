/* What the files of the panels of a Schur complement share. */
#ifndef PFX_EST_SCHUR_PANEL_H
#define PFX_EST_SCHUR_PANEL_H

#include "kernels/incidence.h"
#include "src/est/schur_internal.h"

#define PFX_PANEL_PIECES 16 /* fixed pieces of levels */
#define PFX_PANEL_LANES 8   /* columns of a tile: a line of 64 bytes */
#define PFX_PANEL_TILES 2   /* tiles of a panel */
#define PFX_PANEL_ROWS (PFX_PANEL_LANES * PFX_PANEL_TILES)
#define PFX_PANEL_BATCH 256 /* levels whose narrow products are summed at a time */

/* Finished rows of a thread's panels, in large pieces of memory. */
typedef struct pfx_panel_store {
    struct pfx_panel_store *next;
    pfx_idx used, size; /* entries */
    int32_t *col;       /* [size] */
    double val[];       /* [size] */
} pfx_panel_store;

/* What a thread works with. A level has places: columns that it projects. */
typedef struct pfx_panel_work {
    int32_t n_places, *slot; /* [max_places] */
    double *u;               /* [max_places x k] its sums of w v (mean) and w v q (basis) */
    int32_t *place_tile;     /* [max_places] which of the level's tiles it lies in */
    int32_t *row;            /* [max_places] rows of a target, and what is taken from each */
    double *f;
    int32_t *mark;                /* [q] place of a column, -1 */
    int32_t n_tiles, *tile;       /* [max_tiles] tiles that the level touches */
    double *sums;                 /* [max_tiles x k x LANES] u by tile and lane */
    double **base;                /* [max_tiles] where the tile's columns lie in row 0 of the target, and */
    pfx_idx *stride;              /* [max_tiles] from there to the next row */
    int32_t *at;                  /* [n_tiles] where a tile's columns lie in a row: narrow ones first; -1 */
    int32_t *met;                 /* [n_tiles] wide tiles of the panel in the order of their columns */
    double *panel;                /* [ROWS x ld] zero but while a panel is summed */
    double diag[PFX_PANEL_ROWS];  /* B'WB */
    pfx_idx *stamp;               /* [n_panels] */
    int32_t *where;               /* [q] 1 + element of the panel's row 0 where a column lies; 0 */
    int32_t *col_met, *where_met; /* [q] columns of the panel, ascending, and where they lie in row 0 */
    pfx_panel_store *store;
    uint32_t batch[PFX_PANEL_BATCH];
} pfx_panel_work;

/* The compressed rows of one panel. */
typedef struct pfx_panel_rows {
    int32_t *col; /* in a store */
    double *val;
    bool failed;
} pfx_panel_rows;

/* Columns have slots: lane slot % LANES of tile slot / LANES. Tiles of the wide blocks come first. A level is
 * known by the slots of its rows, block by block, those blocks left out that its mean takes off; inner blocks
 * are wide ones. Where it has weights, values, slopes, or many rows, it has no slots (rows 0) and is summed
 * from its rows. */
typedef struct pfx_panels {
    pfx_schur *s;
    int k;                    /* vectors that span a level: mean and basis */
    pfx_idx n_units;          /* levels, or rows where nothing is eliminated */
    bool *is_narrow;          /* [n_blocks] */
    pfx_idx n_wide, n_narrow; /* columns */
    pfx_idx n_wide_tiles, n_tiles;
    int32_t *slot;        /* [q] */
    int32_t *column;      /* [n_tiles x LANES] its inverse, -1: free */
    pfx_idx n_panels, ld; /* ld: of a panel's rows */
    double *few;          /* [PFX_PANEL_PIECES][n_few x (n_few + 1)] products of narrow columns, then B'WB */
    pfx_idx n_few;        /* slots of the narrow columns */
    uint64_t *unit;       /* the levels, one after the other */
    int64_t *at;      /* [PFX_PANEL_PIECES x n_panels] where a piece puts its next one in a panel's list */
    pfx_idx *list;    /* [n_panels + 1] where a panel's list begins */
    uint32_t *listed; /* levels: where they begin in unit */
    bool mixed[PFX_PANEL_PIECES]; /* some levels of the piece have no slots */
    pfx_panel_rows *out;          /* [n_panels] */
    pfx_idx *length;              /* [q] entries of a row */
    pfx_panel_work *work;         /* [nth] */
    void *memory;                 /* all of the arrays but is_narrow, slot, column and work */
    bool plain;                   /* level means alone, no weights, no values */
} pfx_panels;

/* schur_panel_order.c: slots for all columns. NOMEM. */
pfx_status pfx_panel_order(pfx_panels *a, pfx_err *err) PFX_MUST;

/* schur_panel_list.c: room for levels g0 .. g1 - 1 in unit, at most; the levels, the lists of those that
 * touch a panel, the narrow blocks' products. */
pfx_idx pfx_panel_cells(const pfx_panels *a, pfx_idx g0, pfx_idx g1);
void pfx_panel_list(pfx_panels *a);
static inline const pfx_k_incidence *pfx_panel_level(const pfx_panels *a, uint32_t at)
{
    return (const pfx_k_incidence *)(const void *)(a->unit + at);
}

/* schur_panel_rows.c: where a thread adds to: the rows of a panel, those of the narrow columns. */
pfx_k_incidence_target pfx_panel_target(const pfx_panels *a, pfx_idx panel, pfx_panel_work *k);
pfx_k_incidence_target pfx_panel_few(const pfx_panels *a, pfx_idx piece, pfx_panel_work *k);
/* What a level without slots adds to it. */
void pfx_panel_add(const pfx_panels *a, pfx_idx unit, pfx_k_incidence_target *t, pfx_panel_work *k);
/* A level's mean takes a column off altogether that all of its rows r0 .. r1 - 1 lie in. */
static inline bool pfx_panel_vanishes(const pfx_schur_spec *p, const pfx_schur_block *b, pfx_idx r0,
                                      pfx_idx r1)
{
    if (!p->mean || p->n_levels == 0 || b->value) return false;
    for (pfx_idx r = r0 + 1; r < r1; r++)
        if (b->code[r] != b->code[r0]) return false;
    return true;
}
static inline pfx_idx pfx_panel_first_row(const pfx_panels *a, pfx_idx g)
{
    return a->s->spec.n_levels > 0 ? a->s->spec.start[g] : g;
}
static inline int32_t pfx_panel_column(const pfx_schur_block *b, pfx_idx r)
{
    return (int32_t)(b->col0 + b->code[r]);
}

/* schur_panel_emit.c: the panel's rows to a store; its memory is zero again. Failure is kept in a->out. */
void pfx_panel_emit(pfx_panels *a, pfx_idx panel, const pfx_k_incidence_target *t, pfx_panel_work *k);
void pfx_panel_store_free(pfx_panel_store *s);
/* All rows to a->s->csr. NOMEM. */
pfx_status pfx_panel_join(pfx_panels *a, pfx_err *err) PFX_MUST;

#endif
