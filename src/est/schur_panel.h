/* What the files of the panels of a Schur complement share. */
#ifndef PFX_EST_SCHUR_PANEL_H
#define PFX_EST_SCHUR_PANEL_H

#include "src/est/schur_internal.h"

#define PFX_PANEL_PIECES 32 /* fixed pieces of levels */
#define PFX_PANEL_LANES 8   /* columns of a tile: a line of 64 bytes */
#define PFX_PANEL_TILES 2   /* tiles of a panel */
#define PFX_PANEL_ROWS (PFX_PANEL_LANES * PFX_PANEL_TILES)

/* Finished rows of a thread's panels, in large pieces of memory. */
typedef struct pfx_panel_store {
    struct pfx_panel_store *next;
    pfx_idx used, size; /* of at */
    double at[];
} pfx_panel_store;

/* What a thread works with. A level has places: columns that it projects. */
typedef struct pfx_panel_work {
    int32_t n_places, *slot; /* [max_places] */
    double *u;               /* [max_places x k] its sums of w v (mean) and w v q (basis) */
    int32_t *place_tile;     /* [max_places] which of the level's tiles it lies in */
    int32_t *row;            /* [max_places] rows of a target, and what is taken from each */
    double *f;
    int32_t *mark;               /* [q] place of a column, -1 */
    int32_t n_tiles, *tile;      /* [max_tiles] tiles that the level touches */
    double *sums;                /* [max_tiles x k x LANES] u by tile and lane */
    double **base;               /* [max_tiles] where the tile's columns lie in row 0 of the target, and */
    pfx_idx *stride;             /* [max_tiles] from there to the next row */
    int32_t *local;              /* [n_wide_tiles] number of a tile within the panel, -1 */
    int32_t n_local, *global;    /* [n_wide_tiles] its inverse */
    double *panel;               /* [ROWS x ld] columns by local tile; zero but while a panel is summed */
    double diag[PFX_PANEL_ROWS]; /* B'WB */
    pfx_idx *stamp;              /* [n_panels] */
    int32_t *at;                 /* [q] 1 + element of the panel's row 0 where a column lies; 0 */
    int32_t *out_col;            /* [ROWS x q] what of the panel is not zero */
    double *out_val;
    pfx_panel_store *store;
} pfx_panel_work;

/* The compressed rows of one panel. */
typedef struct pfx_panel_rows {
    pfx_idx n;
    int32_t *col; /* in a store */
    double *val;
    bool failed;
} pfx_panel_rows;

/* The rows of a level. */
typedef struct pfx_panel_unit {
    int32_t row, n;
} pfx_panel_unit;

/* Columns have slots: lane slot % LANES of tile slot / LANES. Tiles of the wide blocks come first. */
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
    int64_t
        *at; /* [PFX_PANEL_PIECES x n_panels] where a piece of levels puts its next one in a panel's list */
    pfx_idx *begin;       /* [n_panels + 1] */
    pfx_panel_unit *unit; /* the lists */
    pfx_panel_rows *out;  /* [n_panels] */
    pfx_idx *length;      /* [q] entries of a row */
    pfx_panel_work *work; /* [nth] */
    bool plain;           /* level means alone, no weights, no values */
    bool fill;
} pfx_panels;

/* schur_panel_order.c: slots for all columns. NOMEM. */
pfx_status pfx_panel_order(pfx_panels *a, pfx_err *err) PFX_MUST;

/* schur_panel_rows.c: what levels add to the rows of a panel, those of its list; to those of the narrow
 * columns in few, levels g0 .. g1 - 1. */
void pfx_panel_sum(const pfx_panels *a, pfx_idx panel, pfx_panel_work *k);
void pfx_panel_sum_few(const pfx_panels *a, pfx_idx g0, pfx_idx g1, double *few, pfx_panel_work *k);
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
void pfx_panel_emit(pfx_panels *a, pfx_idx panel, pfx_panel_work *k);
void pfx_panel_store_free(pfx_panel_store *s);
/* All rows to a->s->csr. NOMEM. */
pfx_status pfx_panel_join(pfx_panels *a, pfx_err *err) PFX_MUST;

#endif
