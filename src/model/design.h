/* A design: what one model needs to be estimated, as plain arrays. Built by src/model/dataset.h, used by src/est
 * and src/rep. */
#ifndef PFX_MODEL_DESIGN_H
#define PFX_MODEL_DESIGN_H

#include <stdbool.h>
#include "src/base/status.h"

/* A grouping of the rows: absorbed effect or cluster. Every level 0..n_levels-1 occurs. Levels are numbered in
 * the order of their first row. */
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
    pfx_idx *row;               /* [n] panel row of each row here (ascending until an absorber sorts), or NULL if
                                 * not asked for */
    double *time;               /* [n] panel time, or NULL if not asked for */
    pfx_idx n_missing, n_singletons, n_zero_weight;     /* rows left out, after --where */
} pfx_design;

void pfx_design_free(pfx_design *d);

#endif
