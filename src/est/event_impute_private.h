/* What the files of the imputation estimator share. */
#ifndef PFX_EST_EVENT_IMPUTE_PRIVATE_H
#define PFX_EST_EVENT_IMPUTE_PRIVATE_H

#include "src/est/absorb.h"
#include "src/est/event_impute.h"

/* The rows of the design, and the treated ones among them. */
typedef struct impute_rows {
    const struct pfx_design *d;
    int n_cells;            /* columns of leads, which stand first */
    int k;                  /* covariates behind them */
    unsigned char *treated; /* [d->n] */
    int32_t *place;         /* [d->n] of treated rows: cohort times n_steps plus event time; else -1 */
    int32_t *unit;          /* [d->n] of the panel */
    int n_horizons;         /* that are averaged: the last one holds what lies beyond */
    int n_steps;            /* event times from 0 on */
    int n_places;
} impute_rows;

/* The untreated rows' regression, without leads. d0->row is the row's number in d. */
typedef struct impute_stage {
    struct pfx_design *d0;
    int n_effects;
    int32_t **level; /* [effects][levels of d] level of d0, -1: none */
    pfx_absorber *a;
    int k;
    double *X;      /* [n0 x k] covariates, effects projected off */
    double *L;      /* [k x k] factor of X'WX, of columns over scale */
    double *scale;  /* [k] */
    double *b;      /* [k] */
    double *e;      /* [n0] residuals */
    double *work;   /* [n0 x (k + 1)] */
    double **alpha; /* [effects][levels of d0] */
    double **sums;  /* the same, scratch */
} impute_stage;

/* The untreated rows as a design of their own, with the leads or without. */
pfx_status impute_take(const impute_rows *r, bool leads, struct pfx_design **out, int32_t **level,
                       pfx_err *err) PFX_MUST;
pfx_status impute_stage_fit(const impute_rows *r, const pfx_impute_options *o, impute_stage *s,
                            pfx_err *err) PFX_MUST;
void impute_stage_free(impute_stage *s);
/* Effect of each treated row into tau [d->n]; rows that cannot be imputed get NaN. */
pfx_status impute_effects(const impute_rows *r, impute_stage *s, double *tau, pfx_err *err) PFX_MUST;
/* Weights of the untreated outcomes, v [n0] in the order of d0, for weights w1 [d->n] of the treated rows, 0
 * for others. */
pfx_status impute_weights(const impute_rows *r, impute_stage *s, const double *w1, double *v,
                          pfx_err *err) PFX_MUST;

#endif
