/* Borusyak, Jaravel and Spiess (2024): effects and covariates are fitted on the untreated rows alone, the
 * treated rows' outcomes without treatment are imputed from them, and what is left is averaged. */
#ifndef PFX_EST_EVENT_IMPUTE_H
#define PFX_EST_EVENT_IMPUTE_H

#include "src/est/event.h"

typedef struct pfx_impute_options {
    pfx_fit_options
        fit;        /* clustered by one variable; its small-sample rule is of the test of pre-trends alone */
    bool leave_out; /* each cluster's effects less the average of the others' */
} pfx_impute_options;

typedef struct pfx_impute_result {
    const pfx_event_plan *plan;
    pfx_idx n_untreated, n_treated, n_imputed; /* rows; of the treated those that have an imputed outcome */
    pfx_idx n_lost_units;                      /* treated in the sample, without any of these */
    int n_lost;
    int *lost; /* [n_lost] event times from 0 on of which no row has one */
    pfx_idx n_clusters;
    int n_places, n_lone; /* cohorts by event time with imputed rows, and those with one cluster alone */
    pfx_idx n_reference;  /* rows of treated units before the first lead */
    int n_covariates;
    double *beta;             /* [n_covariates] of the untreated rows */
    int n;                    /* before treatment, then from 0 on */
    pfx_event_effect *effect; /* [n] ascending event time */
    double *V;                /* [n x n]; NaN between those before treatment and the others */
    pfx_event_effect overall; /* average over the treated rows that are imputed */
    pfx_wald pre;             /* all leads are zero */
    pfx_fit *leads;           /* the untreated rows' regression with leads; NULL: there are none */
} pfx_impute_result;

/* d: made from a formula with i(_event_cell, ref = 0), where the plan has leads, before its regressors; rows
 * and times asked for; one cluster variable; effects without slopes; names of its columns change. A treated
 * row can be imputed where the untreated rows determine its effects (its unit and its period are seen
 * untreated, and are connected). A horizon is the mean of its rows (by weights). Its variance is sum over
 * clusters (sum v e)^2, v the weights of the outcomes in the estimate (w treated, -W Z(Z'WZ)^-1 Z_1'w
 * untreated), e the residual untreated, and the effect less its average over cohort and event time treated,
 * that average weighing the clusters by V V' (their equation 8): conservative, but for the cells that have one
 * cluster alone, which add nothing (n_lone); NaN where all are such cells. No small-sample factor, normal
 * intervals. leave_out: their appendix A.5. The leads are a regression of the untreated rows alone. USAGE:
 * slopes, no effects. DATA: no untreated or treated rows; leave_out with one cluster in a cohort and event
 * time. IDENT: no treated row can be imputed; a covariate that is collinear among the untreated rows. NOCONV
 * as pfx_absorber_create. NOMEM. The same bits at any number of threads. */
pfx_status pfx_impute_fit(const pfx_event_plan *p, struct pfx_design *d, const pfx_impute_options *o,
                          pfx_impute_result *out, pfx_err *err) PFX_MUST;
void pfx_impute_result_clear(pfx_impute_result *r);

#endif
