/* What the files of the absorber share. */
#ifndef PFX_EST_ABSORB_INTERNAL_H
#define PFX_EST_ABSORB_INTERNAL_H

#include "kernels/demean.h"
#include "src/est/absorb.h"
#include "src/est/codes.h"
#include "src/est/schur.h"

struct pfx_design;

/* Effects besides the eliminated one, each slope one. */
#define PFX_ABSORB_MAX_REST 64
/* Doubles of a table beyond which its rows are not in the first-level cache when they are wanted. */
#define PFX_ABSORB_WIDE 2048

struct pfx_absorber {
    struct pfx_design *d;
    pfx_absorb_options opt;
    int p;
    pfx_idx n, ldp;             /* rows in the window; p rounded up to whole lanes */
    double *origin;             /* [p] first row of all, which moments are measured from */

    /* The eliminated effect. Without levels nothing is eliminated. */
    int first;                  /* entry of d->absorbed whose factor it is, -1: none of them */
    bool *in_first;             /* [d->n_absorbed] entries of the same factor that are eliminated with it */
    bool mean;                  /* level means are removed */
    bool constant;              /* one level, which holds all rows of all windows */
    pfx_idx n_levels;           /* in the window */
    pfx_idx *start;             /* [n_levels + 1] first row of each level, within the window as all that follows */
    pfx_idx cap_levels;
    const int32_t *level;       /* [n] or NULL with one level */
    pfx_codes_order *cluster_order; /* [d->n_clusters] how they lie in the design's clusters; NULL: not looked at */
    int n_basis;                /* slopes: orthonormal vectors of each level, orthogonal to its mean if any */
    double **basis;             /* [n_basis][n] */
    pfx_idx *basis_lost;        /* [n_basis] levels where the slope lies in the span of what stands before */
    const char **basis_name;    /* [n_basis] borrowed */
    pfx_idx rank_first;         /* of all eliminated columns */

    /* Blocks of rows, and fixed groups of group_blocks blocks for partial sums. */
    pfx_idx n_blocks, max_rows, n_groups, group_blocks;
    pfx_idx cap_blocks;
    pfx_idx row0;               /* first row of the window, among all rows */
    bool opened;                /* the one window of a design in memory was handed out */
    bool last;                  /* no window of a stream comes after this one */
    pfx_idx *block_row;         /* [n_blocks + 1] */
    pfx_idx *block_level;       /* [n_blocks + 1] first level */
    int32_t *block_long;        /* [n_blocks] which long level the block is a piece of, -1: whole levels */
    pfx_idx n_long;

    /* The other effects. */
    int n_rest;
    pfx_schur_block rest[PFX_ABSORB_MAX_REST];
    int rest_entry[PFX_ABSORB_MAX_REST];    /* entry of d->absorbed, -1: the constant */
    int rest_slope[PFX_ABSORB_MAX_REST];    /* its slope, -1: the levels */
    int32_t *zeros;             /* [n] code of the constant, where it stands beside slopes alone */
    pfx_idx q;                  /* columns of all */
    pfx_schur *schur;           /* NULL: q == 0 */

    /* Results. */
    double *gamma;              /* [q x ldp] */
    double *long_mean;          /* [n_long x ldp] mean less first row of the long levels, at gamma */
    bool gamma_set;
    double *gram, *centred, *raw, *col_mean, weight;
    pfx_absorb_info info;
    char **info_name;
    pfx_idx *info_levels, *info_redundant;
    char *effects;              /* "firm, year" for messages */
};

/* A matrix of rows to be projected, and how far it has got: the design's Z, or one column of residuals. */
typedef struct pfx_absorb_view {
    const double *X;            /* [n x p] row-major, of all windows; NULL: the design's Z, window by window */
    const double *origin;       /* [p] its first row */
    int p;
    pfx_idx ld;                 /* p in whole lanes */
    const double *gamma;        /* [q x ld] or NULL: other effects not yet taken off */
    double *long_mean;          /* [n_long x ld] */
} pfx_absorb_view;

/* Cross-products of a pass over all rows. */
typedef struct pfx_absorb_sums {
    double *gram;               /* [p x p] */
    double *C;                  /* [q x ld] B'W of the projected columns, or NULL */
    double *mean, *centred;     /* [p] of the columns themselves, or NULL */
    double weight;              /* sum of weights, with mean */
    pfx_schur *schur;           /* is given every window's rows, or NULL */
} pfx_absorb_sums;

/* absorb_layout.c: choose, sort. */
pfx_status pfx_absorb_layout(pfx_absorber *a, pfx_err *err) PFX_MUST;
/* absorb_window.c: cut the window into blocks; rows of a block at most. */
#define PFX_ABSORB_LONG_ROWS 4096
pfx_status pfx_absorb_cut(pfx_absorber *a, pfx_err *err) PFX_MUST;
/* The codes of a stream's rows, of all of them, in the place of a window's; no block, and no Z. */
pfx_status pfx_absorb_all_codes(pfx_absorber *a, pfx_err *err) PFX_MUST;
/* absorb_basis.c */
pfx_status pfx_absorb_basis(pfx_absorber *a, pfx_err *err) PFX_MUST;
/* absorb_pass.c. fill: one block's rows less eliminated and other effects, out [rows x ldo]; with level means alone,
 * mean [levels x ldo], or NULL. */
void pfx_absorb_fill(const pfx_absorber *a, const pfx_absorb_view *v, pfx_idx block, pfx_idx ldo, double *out, double *mean);
/* Means of the long levels at v->gamma, into v->long_mean. A pass of its own where there are any. */
pfx_status pfx_absorb_long_means(pfx_absorber *a, const pfx_absorb_view *v, pfx_err *err) PFX_MUST;
/* Where the mean of all rows alone is taken off and moments are asked for, the pass gives it to v->long_mean itself. */
pfx_status pfx_absorb_pass(pfx_absorber *a, const pfx_absorb_view *v, pfx_absorb_sums *out, pfx_err *err) PFX_MUST;
/* absorb_join.c. Is it alone? */
bool pfx_absorb_joins(const pfx_absorber *a);
/* Join means: weight, mean [p] of what is there, and w1, mean1 of one more piece, which becomes mean1 less mean. Returns
 * the factor of that difference's products in the products about the joint mean. */
double pfx_absorb_join_means(int p, double *weight, double *mean, double w1, double *mean1);
/* gram [p x p] += factor times the products of a difference [ld], upper triangle. */
void pfx_absorb_add_between(pfx_isa isa, int p, pfx_idx ld, double factor, const double *difference, double *gram);
/* Join n rows X [n x p]: products about the mean in gram, upper triangle; weight and mean less v->origin in mom [1 + p].
 * buf [n x ld], mean1 [ld] scratch. */
void pfx_absorb_join_rows(pfx_isa isa, pfx_idx n, const pfx_absorb_view *v, const double *X, const double *w, double *buf,
                          double *mean1, double *gram, double *mom);
/* What S is made of, at the window in hand. */
pfx_schur_spec pfx_absorb_schur_spec(const pfx_absorber *a);
/* absorb_info.c */
pfx_status pfx_absorb_fill_info(pfx_absorber *a, pfx_err *err) PFX_MUST;

#endif
