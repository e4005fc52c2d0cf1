/* What the files of Callaway and Sant'Anna's estimator share. */
#ifndef PFX_EST_EVENT_CS_PRIVATE_H
#define PFX_EST_EVENT_CS_PRIVATE_H

#include "src/est/event_cs.h"

/* Rows of the design by unit and period. */
typedef struct cs_panel {
    const pfx_event_timing *timing;
    const struct pfx_design *d;
    int n_periods;
    double *period;   /* [n_periods] ascending */
    pfx_idx n;        /* units */
    pfx_idx *unit;    /* [n] of the panel */
    int *cohort;      /* [n] of the timing's, -1: never treated */
    pfx_idx *row;     /* [n x n_periods] of the design, -1: not seen */
    int32_t *cluster; /* [n] */
    pfx_idx n_clusters;
    bool by_unit; /* each unit a cluster of its own */
    pfx_idx n_unbalanced;
    pfx_idx *size; /* [cohorts] units */
} cs_panel;

/* What the influence function of a cell needs: x~ are covariates less mean over sd, and 1 in front. */
typedef struct cs_cell {
    int t, base;                                 /* indices of periods */
    int k;                                       /* covariates + 1 */
    double n;                                    /* units of the cell */
    double *mean, *sd;                           /* [k] */
    double *beta;                                /* [k] of the controls' outcome change */
    double *gamma;                               /* [k] of the propensity score; unused for PFX_CS_REG */
    double *treat;                               /* [k] how beta's noise enters the treated part */
    double *cont_beta, *cont_gamma;              /* [k] and the controls' part */
    double eta_treat, eta_cont, w_treat, w_cont; /* parts of the effect; means of their weights */
    double *memory;
} cs_cell;

pfx_status cs_panel_make(const pfx_event_timing *t, const struct pfx_design *d, bool balanced, cs_panel *out,
                         pfx_err *err) PFX_MUST;
void cs_panel_free(cs_panel *p);

/* Is unit i treated (1), a control (0) or neither (-1) in the cell of cohort g? */
int cs_role(const cs_panel *p, const pfx_cs_options *o, int g, const cs_cell *c, pfx_idx i);
/* Estimate a cell; att gets counts, estimate. *skipped: nobody to compare. */
pfx_status cs_cell_fit(const cs_panel *p, const pfx_cs_options *o, cs_cell *c, pfx_cs_att *att, bool *skipped,
                       pfx_idx *trimmed, pfx_err *err) PFX_MUST;
/* Influence of unit i, with the role `treated`, on the effect: times (units of the cell / units) it is that
 * of the mean. x [k] scratch. */
double cs_influence(const cs_panel *p, const pfx_cs_options *o, const cs_cell *c, pfx_idx i, bool treated,
                    double *x);
void cs_cell_free(cs_cell *c);

/* Averages and their variances from att, V over (effects, shares of cohorts) [(n_att + cohorts)^2], share
 * [cohorts]. */
pfx_status cs_average(const cs_panel *p, const pfx_cs_options *o, const double *share, const double *V,
                      pfx_cs_result *r, pfx_err *err) PFX_MUST;

#endif
