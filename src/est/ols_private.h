/* What the parts of an OLS fit share: ols.c estimates, stats.c fills the tables, save.c keeps what is per
 * row. */
#ifndef PFX_EST_OLS_PRIVATE_H
#define PFX_EST_OLS_PRIVATE_H

#include "src/est/absorb.h"
#include "src/est/fit.h"
#include "src/est/solve.h"
#include "src/est/ssc.h"

struct pfx_design;
struct pfx_hac;

typedef struct pfx_ols {
    struct pfx_design *d;
    const pfx_fit_options *o;
    pfx_absorber *a;
    const pfx_absorb_info *info;
    pfx_solve *s;
    pfx_fit *f;
    int p, q, k;           /* columns of Z; p + 1; coefficients, the intercept too */
    int y;                 /* column of the outcome */
    bool intercept;        /* is estimated and reported */
    double n;              /* observations */
    double sum_w, w_scale; /* sum of weights; what makes their mean one (1 for frequencies) */
    double *c;             /* [p] residual = row of Z~ times c */
    double *gradient;      /* [q] */
    double *meat[3];       /* [q x q] */
    double *df;            /* [k] of each coefficient's t, or NULL: ssc.df_t */
    double b0;             /* intercept */
    double ssr;
    pfx_ssc_out ssc;
} pfx_ols;

bool pfx_vcov_is_clustered(pfx_vcov_type t);

/* USAGE: fewer cluster variables than the variance needs; no function for it. NOMEM: it needs rows that are streamed.
 * DATA: a cluster variable with a single level; no rows; frequency weights that are not whole numbers. */
pfx_status pfx_ols_check_variance(const struct pfx_design *d, const pfx_fit_options *o, pfx_err *err) PFX_MUST;
pfx_status pfx_ols_check_design(const struct pfx_design *d, pfx_err *err) PFX_MUST;
/* DATA: squares of a column leave the range of a double. */
pfx_status pfx_ols_check_range(const pfx_ols *m, pfx_err *err) PFX_MUST;
/* Columns that s left out into f, and a warning; IDENT where no regressor is left. */
pfx_status pfx_ols_list_collinear(pfx_ols *m, pfx_err *err) PFX_MUST;
/* What the design says about itself into f, and n, sum_w, w_scale. */
pfx_status pfx_ols_describe(pfx_ols *m, pfx_err *err) PFX_MUST;
/* Effects into f and the small-sample counts into ssc, with k coefficients; g12: clusters of the intersection. DATA:
 * no degree of freedom is left. */
pfx_status pfx_ols_count_parameters(pfx_ols *m, pfx_idx g12, pfx_err *err) PFX_MUST;

/* The windows of nw and dk, lag and periods into f; free with pfx_hac_clear. */
pfx_status pfx_ols_hac(pfx_ols *m, struct pfx_hac *h, pfx_err *err) PFX_MUST;
/* CRV3, CV3J, CR2 by the caller's function: V, and df of the coefficients. */
pfx_status pfx_ols_cluster_variance(pfx_ols *m, pfx_err *err) PFX_MUST;

/* c from the coefficients of s. */
void pfx_ols_combination(pfx_ols *m);

/* Coefficient table from the estimates and f->V, fit statistics, F, hypotheses. */
pfx_status pfx_ols_tables(pfx_ols *m, pfx_err *err) PFX_MUST;

/* Residuals, fitted values and effects into f. */
pfx_status pfx_ols_save(pfx_ols *m, pfx_err *err) PFX_MUST;

#endif
