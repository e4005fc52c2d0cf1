/* The prepared state of placebo replicates, shared by the files that build it and those that draw from it. */
#ifndef PFX_REP_PLACEBO_PRIVATE_H
#define PFX_REP_PLACEBO_PRIVATE_H

#include "src/rep/placebo.h"
#include "src/rep/placebo_rows.h"

/* A cell is the part of a unit that lies in one cluster (and in one level of the absorbed effect where levels
 * hold several units). An entry is what a cell adds when it gets a path: for each drawn regressor a, d~_a the
 * demeaned regressor under that path,
 *     F_a [k] = Q'W d~_a,  U_a = y'W d~_a,  V_a = (true regressor)'W d~_a,  S_ab = d~_a'W d~_b (b >= a),
 * whether the unit switches, and with levels that hold several cells the sums of W d_a by which S is to be
 * corrected once the level's other cells are known. */
struct pfx_placebo {
    const pfx_assign *a;
    pfx_rep_method method;
    pfx_isa isa;
    bool std_error;
    double ssc;
    int k, m, tested;
    int at_u, at_v, at_s, at_switch, at_level; /* places within an entry */
    pfx_idx ld;                                /* length of an entry in whole lanes of 8 */
    pfx_idx G, n_units, n_cells;
    uint32_t *cell0;         /* [n_units + 1] first cell of a unit */
    uint32_t *unit_of;       /* [n_cells] */
    uint32_t *cluster;       /* [n_cells] row of a cell's cluster in `row` */
    bool one_to_one;         /* every cluster is one cell, and its number is the cell's */
    bool unit_is_cell;       /* every unit is one cell, of its number (in a family some units have none) */
    bool coupled;            /* levels hold several cells */
    int32_t *level;          /* coupled: [n_cells] */
    uint32_t *level_cluster; /* coupled: [n_levels] */
    double *level_weight;    /* [n_levels] */
    pfx_idx n_levels;

    double *table; /* [n_cells x n_paths][ld], or NULL: entries are computed when drawn, from what follows */
    pfx_placebo_rows *rows; /* NULL once it is not needed */
    const double *w;        /* [n], or NULL */
    const double *factor;   /* [m][n], or NULL: ones */
    const int32_t *period;  /* [n]; NULL: paths have one value */
    pfx_idx *cell_start;    /* [n_cells + 1] into cell_rows */
    pfx_idx *cell_rows;     /* [n] */

    /* Scores of clusters that an assignment does not touch: -row[g] theta, row = [k: Q'Wy; packed lower
     * triangle of Q'WQ], theta as in placebo_solve. */
    pfx_idx nt, ldt; /* its length, and in whole lanes */
    double *row;     /* [G][ldt] */
    double *omega; /* sum of row row', in bands of PFX_REP_LANES rows, each from its first column on, what is
                      right of the band's square doubled */
    /* Or, where there are so many nuisance columns that products cost more than rows: */
    bool wide;
    pfx_idx *cluster_start;  /* [G + 1] rows in order of clusters, */
    double *wide_Q;          /* their Q in blocks of PFX_PLACEBO_WIDE_ROWS, [blocks][k][rows] */
    double *wide_w, *wide_y; /* weight and outcome */

    /* Or where effects cross the clusters: rows are kept, and columns of theirs are projected. */
    struct pfx_refit *cross;
    pfx_idx *place; /* [n] of each row in the refit's order */
    int32_t *code;  /* [n] its cluster */

    pfx_idx most;   /* cells of a draw, at most */
    int block_bits; /* cells of a block that is swept at once: a power of two */
    int width;
    double work;
};

enum { PFX_PLACEBO_WIDE_ROWS = 256, PFX_PLACEBO_CROSS_REPS = 8 };

/* Entry of a cell under a path; mean: [n_levels x m] scratch of the thread. */
void pfx_placebo_entry(const pfx_placebo *p, uint32_t cell, uint32_t path, double *mean, double *out);
/* Regressor a of a row under a path; does a unit have two values under it? */
double pfx_placebo_value(const pfx_placebo *p, pfx_idx i, uint32_t path, int a);
bool pfx_placebo_switches(const pfx_placebo *p, uint32_t unit, uint32_t path);
/* Cells, tables and products, from p->rows and the rest. */
pfx_status pfx_placebo_tables(pfx_placebo *p, const pfx_placebo_in *in, pfx_err *err) PFX_MUST;
pfx_status pfx_placebo_products(pfx_placebo *p, const pfx_placebo_in *in, pfx_err *err) PFX_MUST;
pfx_status pfx_placebo_cells(pfx_placebo *p, const pfx_placebo_in *in, pfx_err *err) PFX_MUST;
pfx_status pfx_placebo_cross_create(pfx_placebo *p, const pfx_placebo_in *in, pfx_err *err) PFX_MUST;

/* p->method, from what is prepared. */
void pfx_placebo_set_method(pfx_placebo *p);

/* ---- drawing ---- */

/* What a draw's sums give. */
typedef struct pfx_placebo_solved {
    double b[PFX_PLACEBO_MAX_DRAWN], h[PFX_PLACEBO_MAX_DRAWN]; /* coefficients; row of the bread */
    double slope;
} pfx_placebo_solved;

/* From the summed entry: coefficients; coef [ld] (NULL: no more is wanted): what turns an entry into its
 * cell's part of the score; phi [2][k]: Q coefficients of the columns D h and D b. Not identified: b of the
 * tested is NaN, the rest zero. */
void pfx_placebo_solve(const pfx_placebo *p, const double *sum, pfx_placebo_solved *s, double *coef,
                       double *phi);
/* theta [ldt] of phi: the score of a cluster that is not touched is -row theta. */
void pfx_placebo_theta(const pfx_placebo *p, const double *phi, double *theta);

/* A thread's scratch: what a batch of `width` replicates needs. */
typedef struct pfx_placebo_work_area {
    void *draw;
    double *sum, *coef;       /* [width][ld] */
    double *phi;              /* [width][2][k] */
    double *theta;            /* [width][ldt] */
    double *square;           /* [width] what the squared scores of the touched clusters gain */
    double *meat;             /* [width] */
    double *slope;            /* [width] */
    double *change;           /* [most] of the touched clusters' scores */
    double *base;             /* [most] their rows times theta: less it, the score without the change */
    double *lanes, *product;  /* [ldt][24] */
    uint32_t *unit, *path;    /* [units] a draw */
    uint32_t *at, *row;       /* [width][most] entry and cluster, in order of blocks */
    uint32_t *start;          /* [width][blocks + 1] */
    uint32_t *cell, *cell_at; /* [most] cells of a draw, and their entries */
    /* Where clusters hold several cells, or entries are computed: one replicate at a time. */
    uint32_t *touched, *touched_level;        /* [most] */
    double *entry;                            /* [most][ld], direct */
    double *mean, *level_sum;                 /* [n_levels x m] */
    double *cluster_change;                   /* [G] zero between replicates; wide: [G][24] */
    double *wide_phi, *wide_fit, *wide_score; /* [2][k][24], [2][rows][24], [24] */
    /* Where effects cross the clusters. cluster_change is then [G][reps]. */
    double *X, *before; /* [n][m x reps] drawn regressors, [reps][m] their squares */
    double *acc;        /* [ld + 2 (m + k)][reps] */
    void *refit;
    pfx_idx bytes;
} pfx_placebo_work_area;
pfx_placebo_work_area pfx_placebo_lay_out(const pfx_placebo *p, void *scratch);

/* Units and paths of a replicate, the fixed ones too. Returns how many. */
pfx_idx pfx_placebo_assign(const pfx_placebo *p, uint64_t seed, pfx_idx replicate, bool own,
                           pfx_placebo_work_area *w);
/* Coefficients of replicates [r0, r1) of the batch, from their sums. */
void pfx_placebo_coefficients(const pfx_placebo *p, int r0, int r1, pfx_placebo_work_area *w,
                              double *const *field);
/* What the squared scores of n touched clusters gain by their changes, w->change. */
double pfx_placebo_squares(const pfx_placebo *p, pfx_idx n, const uint32_t *cluster, const double *theta,
                           pfx_placebo_work_area *w);
/* Meats of 24 replicates from r0 on. */
void pfx_placebo_meats(const pfx_placebo *p, int r0, pfx_placebo_work_area *w);

int pfx_placebo_width(const pfx_placebo *p);
void pfx_placebo_batch(const void *ctx, uint64_t seed, pfx_idx first, void *scratch, double *const *field);
/* One batch of the data's own assignment throughout, for pfx_placebo_own. */
void pfx_placebo_batch_own(const pfx_placebo *p, void *scratch, double *const *field);
/* The two ways to sums and changes of scores: blocks of cells for all replicates of a batch; or one replicate
 * at a time. The first needs one_to_one and a table, and products where there are standard errors. */
bool pfx_placebo_by_blocks(const pfx_placebo *p);
void pfx_placebo_cross_batch(const pfx_placebo *p, uint64_t seed, pfx_idx first, bool own,
                             pfx_placebo_work_area *w, double *const *field);
void pfx_placebo_general(const pfx_placebo *p, uint64_t seed, pfx_idx first, bool own,
                         pfx_placebo_work_area *w, double *const *field);

#endif
