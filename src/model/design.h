/* A design: what one model needs to be estimated, as plain arrays. Built by src/model/dataset.h, used by src/est
 * and src/rep. */
#ifndef PFX_MODEL_DESIGN_H
#define PFX_MODEL_DESIGN_H

#include <stdbool.h>
#include "src/base/status.h"

/* A grouping of the rows: absorbed effect or cluster. Every level 0..n_levels-1 occurs. Levels are numbered in
 * the order of their first row. Absorbed effects and clusters of one factor share its codes. */
typedef struct pfx_factor {
    char *name;         /* "firm", "industry^year" */
    pfx_idx n_levels;
    int32_t *code;      /* [n] */
} pfx_factor;

typedef struct pfx_absorbed {
    pfx_factor factor;
    bool intercept;     /* a coefficient for each level; false for firm[[x]] */
    int n_slopes;       /* and one on each slope variable for each level */
    double **slope;     /* [n_slopes][n] finite */
    char **slope_name;  /* [n_slopes] */
} pfx_absorbed;

typedef enum pfx_role { PFX_REGRESSOR, PFX_ENDOGENOUS, PFX_INSTRUMENT, PFX_OUTCOME } pfx_role;
typedef enum pfx_weights_kind { PFX_W_NONE, PFX_W_ANALYTIC, PFX_W_FREQUENCY, PFX_W_PROBABILITY } pfx_weights_kind;

#define PFX_DESIGN_STREAM_FEW 64

/* How the rows of a design come where they do not lie in memory at once: Z, w and the codes then hold a window of
 * them. n, the counts of levels and of rows left out are whole once a pass has reached the last window. */
typedef struct pfx_design_stream {
    void *ctx;
    int unit;                   /* absorbed entry whose levels lie whole, one after the other, as they are numbered; -1: none */
    bool whole;                 /* n and the counts of levels are known from the beginning, and after rewind, until the
                                 * next window, codes and w are those of all rows. Else other entries than unit are at
                                 * most one, with no more than PFX_DESIGN_STREAM_FEW levels */
    /* Back to the first row, with an empty window. */
    pfx_status (*rewind)(void *ctx, pfx_err *err);
    /* The last `keep` rows of the window become its first, and the rows that come next follow them. *here: rows now
     * in the window; *last: none come after these. */
    pfx_status (*next)(void *ctx, pfx_idx keep, pfx_idx *here, bool *last, pfx_err *err);
    /* After a pass. Does every level of absorbed entry e lie in one level of cluster c? Do the levels of cluster c lie
     * one after the other? */
    bool (*nested)(void *ctx, int e, int c);
    bool (*contiguous)(void *ctx, int c);
} pfx_design_stream;

typedef struct pfx_design {
    char *formula;              /* of this model */
    char *by_name, *by_level;   /* NULL without --by */
    pfx_idx n;                  /* rows, all of them used, no value missing or infinite */
    int p;                      /* columns of Z */
    double *Z;                  /* [n x p] row-major: regressors in formula order, endogenous, instruments, outcome last */
    char **name;                /* [p] */
    pfx_role *role;             /* [p] */
    bool intercept;             /* a constant is estimated; it is not a column of Z */
    double *w;                  /* [n] > 0, or NULL */
    pfx_weights_kind weights_kind;
    int n_absorbed;
    pfx_absorbed *absorbed;     /* [n_absorbed] in formula order */
    int n_clusters;
    pfx_factor *clusters;       /* [n_clusters] in option order */
    int32_t **cluster_origin;   /* [n_clusters][n_levels] number of each cluster over all levels of --by, or NULL if not
                                 * asked for */
    int32_t **effect_origin;    /* [n_absorbed][n_levels] the same of each absorbed effect's levels */
    pfx_idx *row;               /* [n] panel row of each row here (ascending until an absorber sorts), or NULL if
                                 * not asked for */
    double *time;               /* [n] panel time, or NULL if not asked for */
    pfx_idx n_missing, n_singletons, n_zero_weight;     /* rows left out, after --where */
    const pfx_design_stream *stream;    /* NULL: all rows lie in memory */
} pfx_design;

void pfx_design_free(pfx_design *d);

#endif
