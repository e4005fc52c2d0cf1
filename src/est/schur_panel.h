/* What the files of the panels of a Schur complement share. */
#ifndef PFX_EST_SCHUR_PANEL_H
#define PFX_EST_SCHUR_PANEL_H

#include "src/est/schur_internal.h"

#define PFX_PANEL_PIECES 32 /* fixed pieces of levels */

/* Finished rows of a thread's panels, in large pieces of memory. */
typedef struct pfx_panel_store {
    struct pfx_panel_store *next;
    pfx_idx used, size; /* of at */
    double at[];
} pfx_panel_store;

/* What one level projects: its columns, and for each the sums of w v (mean) and w v q (basis). */
typedef struct pfx_panel_work {
    int32_t *col;     /* [max_places] */
    double *u;        /* [max_places x (1 + n_basis)] */
    int32_t *to;      /* [max_places] where in a row of the target */
    int32_t *mark;    /* [q] place of a column, -1 */
    double *panel;    /* [panel_rows x q] */
    double *diag;     /* [panel_rows] B'WB */
    pfx_idx *stamp;   /* [n_panels] */
    int32_t *out_col; /* [panel_rows x q] what of the panel is not zero */
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

/* Where products go: rows of the columns whose slot is in slot0 .. slot1 - 1. */
typedef struct pfx_panel_target {
    const int32_t *slot; /* [q] */
    pfx_idx slot0, slot1;
    const int32_t *place; /* [q] element of a row; NULL: the column itself */
    double *rows;         /* [slot1 - slot0 x ld] */
    pfx_idx ld;
    double *diag; /* [slot1 - slot0] B'WB */
    bool narrow;  /* of narrow blocks alone */
} pfx_panel_target;

typedef struct pfx_panels {
    pfx_schur *s;
    pfx_idx n_units;          /* levels, or rows where nothing is eliminated */
    pfx_idx rows, n_panels;   /* rows of a panel */
    bool *is_narrow;          /* [n_blocks] */
    pfx_idx n_wide, n_narrow; /* columns */
    int32_t *slot;            /* [q] panel row of a wide column: panel = slot / rows; -1 */
    int32_t *order;           /* [n_wide] its inverse */
    int32_t *narrow;          /* [q] number of a narrow column; -1 */
    double *few;              /* [PFX_PANEL_PIECES][n_narrow x (n_narrow + 1)] their products, then B'WB */
    int64_t
        *at; /* [PFX_PANEL_PIECES x n_panels] where a piece of levels puts its next one in a panel's list */
    pfx_idx *begin;       /* [n_panels + 1] */
    int32_t *unit;        /* the lists */
    pfx_panel_rows *out;  /* [n_panels] */
    pfx_idx *length;      /* [q] entries of a row */
    pfx_panel_work *work; /* [nth] */
    bool plain;           /* level means alone, no weights, no values */
    bool fill;
} pfx_panels;

/* schur_panel_rows.c: the target's rows, all columns of S, to out; its memory is zero again. Failure is kept
 * in out. */
void pfx_panel_emit(pfx_panels *a, const pfx_panel_target *t, pfx_panel_work *k, pfx_panel_rows *out);
void pfx_panel_store_free(pfx_panel_store *s);
/* All rows to a->s->csr. NOMEM. */
pfx_status pfx_panel_join(pfx_panels *a, pfx_err *err) PFX_MUST;

#endif
