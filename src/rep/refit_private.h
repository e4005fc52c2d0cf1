/* What the files of refits share. */
#ifndef PFX_REP_REFIT_PRIVATE_H
#define PFX_REP_REFIT_PRIVATE_H

#include "src/est/sparse.h"
#include "src/rep/refit.h"

enum { PFX_REFIT_REST = 32, PFX_REFIT_ROWS = 256 }; /* effects besides the eliminated; rows of a product */

/* A pivot, or a square, below this share of what it was before projections is rounding. */
#define PFX_REFIT_LOST 1e-11

typedef enum pfx_refit_way { PFX_REFIT_ANEW, PFX_REFIT_ONCE, PFX_REFIT_PLAIN } pfx_refit_way;

/* Rows stand level by level of the eliminated effect. An entry is a column of B that a level has rows in. */
struct pfx_refit {
    pfx_refit_in in;
    pfx_idx n, n_levels, G;
    int p;
    pfx_idx ld; /* right-hand sides in whole lanes of 8 */
    bool nested;
    pfx_idx *row;     /* [n] its row of the design */
    pfx_idx *level;   /* [n_levels + 1] first row */
    pfx_idx max_rows; /* of a level */
    int32_t *cluster; /* [n] */
    double *w;        /* [n], or NULL */
    double *Q;        /* [n x p] */
    int n_rest;
    int32_t *col[PFX_REFIT_REST];  /* [n] column of each row */
    double *value[PFX_REFIT_REST]; /* [n], or NULL: ones */
    pfx_idx q;
    pfx_idx n_entries, *entry;        /* [n_levels + 1] first entry */
    int32_t *entry_col, *entry_level; /* [n_entries] */
    int32_t *row_entry;               /* [n x n_rest] entry of a row, from its level's first on */
    pfx_idx *col_entry, *of_entry;    /* [q + 1] and [n_entries]: entries of each column */
    pfx_idx *col_row, *of_row;        /* [q + 1] and [n x n_rest]: rows of each column, */
    uint8_t *of_rest;                 /* and which effect they are its rows by */
    pfx_sparse S;
    pfx_sparse_factor *factor; /* NULL: plain */
    pfx_refit_way way;
    double *L0, *inv0; /* of the full sample; NULL: of no use */
    double *val0;      /* S of the full sample, for pfx_refit_project, and the diagonal's inverse */
    double *diag0;
};

/* A thread's scratch. */
typedef struct pfx_refit_work {
    double *v, *u, *total;               /* [n] weights, [n_entries] of entries, [n_levels] of levels */
    double *val, *L, *inv, *floor, *row; /* [nnz], [entries], [q], [q], [q] */
    pfx_idx *mark, *next;                /* [q] */
    double *C, *R, *P, *Y;               /* [q x ld] */
    double *G;                           /* [slots][q x ld] */
    double *a, *e;                       /* [q] */
    double *buf, *bufw;                  /* [rows + max_rows x p], [..] */
    double *x, *y;                       /* [max_rows] */
    double *score;                       /* [G] */
    double *gram;                        /* [p x p] */
    double *mean;                        /* [p or columns] */
    double *cg;                          /* [6 x ld] */
    pfx_idx bytes;
} pfx_refit_work;
pfx_refit_work pfx_refit_lay_out(const pfx_refit *f, void *scratch);

/* refit_rows.c: everything from the design but the values. */
pfx_status pfx_refit_rows(pfx_refit *f, pfx_err *err) PFX_MUST;

/* refit_solve.c. Weights of entries and levels from w->v; S to w->val, and w->floor. */
void pfx_refit_assemble(const pfx_refit *f, const pfx_refit_work *w);
/* G from C; R what is left of it. */
bool pfx_refit_solve(const pfx_refit *f, const pfx_refit_work *w, double *G);
bool pfx_refit_solve_full(const pfx_refit *f, const pfx_refit_work *w, double *G); /* for the full sample */
/* The full sample's: val0, L0. NOMEM. */
pfx_status pfx_refit_full(pfx_refit *f, pfx_err *err) PFX_MUST;

static inline double pfx_refit_value(const pfx_refit *f, int e, pfx_idx r)
{
    return f->value[e] ? f->value[e][r] : 1;
}

#endif
