/* One fitted model: what `fit` prints and JSON holds, and the call that makes it. */
#ifndef PFX_EST_FIT_H
#define PFX_EST_FIT_H

#include <stdbool.h>
#include "src/base/cpu.h"
#include "src/base/status.h"

struct pfx_design;

typedef enum pfx_vcov_type {
    PFX_VCOV_IID,
    PFX_VCOV_HC1,
    PFX_VCOV_CLUSTER,
    PFX_VCOV_TWOWAY,
    PFX_VCOV_CRV3, /* cluster jackknife about the estimate */
    PFX_VCOV_CV3J, /* about the mean of the leave-one-out estimates */
    PFX_VCOV_CR2,  /* bias-reduced, Bell and McCaffrey (2002) */
    PFX_VCOV_NW,   /* Newey-West within units: clusters[0] the unit, clusters[1] the period */
    PFX_VCOV_DK    /* Driscoll-Kraay: clusters[0] the period */
} pfx_vcov_type;
typedef enum pfx_ssc { PFX_SSC_FIXEST, PFX_SSC_REGHDFE, PFX_SSC_STATA, PFX_SSC_NONE } pfx_ssc;
const char *pfx_vcov_name(pfx_vcov_type t); /* "iid", "HC1", "cluster", "twoway", "CRV3", "CV3J", "CR2", "nw", "dk" */
int pfx_vcov_n_clusters(pfx_vcov_type t);        /* cluster variables that it needs: 0, 1 or 2 */
bool pfx_vcov_leaves_out(pfx_vcov_type t);       /* CRV3, CV3J, CR2: from the statistics of whole clusters */
bool pfx_vcov_is_hac(pfx_vcov_type t);           /* nw, dk: needs the design's time */
const char *pfx_ssc_name(pfx_ssc s);        /* "fixest", "reghdfe", "stata", "none" */

/* The variances that need statistics of whole clusters (pfx_vcov_leaves_out), which est does not know. terms [k]: the
 * coefficients, "(Intercept)" where one is estimated. */
typedef struct pfx_cluster_vcov_in {
    pfx_vcov_type type;
    int k;
    const char *const *terms;
    int n_collinear;
    const char *const *collinear; /* regressors that the fit left out */
    double tol;
    int maxiter, nth;
    pfx_isa isa;
    double max_bytes; /* 0: no bound */
} pfx_cluster_vcov_in;
typedef struct pfx_cluster_vcov_out {
    double *V;          /* [k x k] both triangles; NaN where not defined */
    double *df;         /* [k] degrees of freedom of each coefficient's t */
    pfx_idx n_singular; /* clusters without which some coefficient is not identified */
} pfx_cluster_vcov_out;
typedef pfx_status pfx_cluster_vcov_fn(const struct pfx_design *d, const pfx_cluster_vcov_in *in,
                                       pfx_cluster_vcov_out *out, pfx_err *err);

typedef struct pfx_fit_options {
    pfx_vcov_type vcov;
    pfx_ssc ssc;
    double level; /* confidence level in (0, 1), default 0.95 */
    double tol;
    int maxiter, nth;
    pfx_isa isa;
    bool save; /* keep residuals, fitted values, effects */
    pfx_cluster_vcov_fn *cluster_vcov; /* of CRV3, CV3J, CR2 (rep/cluster_vcov.h); NULL: they are refused */
    double max_bytes;                  /* for it, 0: no bound */
    bool fixed_lag;                    /* of nw, dk: `lag`, else the integer part of T^(1/4) */
    pfx_idx lag;
    int n_tests;
    const char *const
        *tests; /* [n_tests] linear hypotheses over terms, "x1 - x2 = 0" (several joined by commas) */
} pfx_fit_options;

typedef struct pfx_coef {
    char *term;
    double estimate, std_error, statistic, p_value, conf_low, conf_high; /* NaN where not defined */
    double df;                                                           /* degrees of freedom of its t */
} pfx_coef;

typedef struct pfx_wald {
    char *hypothesis;
    double estimate, std_error; /* of the left side, one restriction; NaN for several */
    double statistic;           /* F */
    double df1, df2, p_value;
} pfx_wald;

typedef struct pfx_fit_effect {
    char *name;
    pfx_idx levels, redundant;
    bool nested_in_cluster;
} pfx_fit_effect;
typedef struct pfx_fit_cluster {
    char *name;
    pfx_idx levels;
} pfx_fit_cluster;

typedef struct pfx_fit {
    char *formula, *outcome;
    char *by_name, *by_level; /* NULL without --by */
    const char *method;       /* "ols", "2sls" */
    pfx_idx n_obs, n_missing, n_singletons,
        n_zero_weight; /* n_obs: sum of the weights where they are frequencies */
    pfx_idx n_rows;    /* rows used; n_obs without frequency weights */
    int n_collinear;
    char **collinear;
    int n_effects;
    pfx_fit_effect *effects;
    int n_clusters;
    pfx_fit_cluster *clusters;
    pfx_vcov_type vcov;
    pfx_ssc ssc;
    int k;
    pfx_coef *coef;              /* the intercept, if any, first */
    double *V;                   /* [k x k] */
    pfx_idx lag, n_periods;      /* nw, dk */
    pfx_idx n_singular;          /* CRV3, CV3J, CR2: clusters without which some coefficient is not identified */
    bool v_floored;              /* two-way variance was not positive semi-definite */
    double df_residual;          /* n - rank of everything, all effects counted */
    pfx_idx df_absorbed;         /* parameters of the absorbed effects as counted for df_residual */
    pfx_idx rank_absorbed;       /* exact, -1 if not computed */
    double df_t;                 /* degrees of freedom of t and F; with CRV3, CV3J, CR2 see pfx_coef.df, of which F has the least */
    double k_adj;                /* the K of the small-sample factor (n-1)/(n-K) */
    double factor[3];            /* of the meat of each component: iid, HC1, one cluster [0]; two-way all three */
    double f, f_df1, f_df2, f_p; /* Wald F of all slopes with this variance */
    /* Weights other than frequencies are scaled to a mean of one in ssr, tss and log_likelihood, as Stata
     * does. */
    double r2, adj_r2, within_r2, adj_within_r2, rmse, rmse_df, ssr, tss, log_likelihood;
    double condition;   /* 2-norm condition number of the demeaned, scaled regressors, estimated */
    const char *solver; /* "cholesky", "qr" */
    const char *route;  /* of the absorber */
    bool converged;
    int iterations;
    int n_tests;
    pfx_wald *tests;
    /* With save: [n_rows] in the order of row, ascending panel row numbers; effects, alpha [n_levels], and
     * the panel row where each level is first seen (for its label). Without design.row, rows as they lie. */
    pfx_idx *row;
    double *resid, *fitted;
    int n_saved_effects;
    struct pfx_saved_effect {
        char *name;
        pfx_idx n_levels;
        double *alpha;
        pfx_idx *first_row;
    } * saved;
    struct pfx_iv *iv;             /* est/iv.h; NULL without instruments */
    struct pfx_iv_stage *first_stage; /* where this is one: what is known of it; borrowed */
    double compute_s;
} pfx_fit;

/* Least squares of the design's outcome on its regressors, effects absorbed. Takes the design by reference
 * and may reorder its rows. Warns (pfx_warn) on collinear columns, ill-conditioning, a floored two-way
 * variance, on a constant outcome (R2 NaN) and a perfect fit. IDENT: everything collinear. DATA: fewer rows than
 * parameters.
 * ENOCONV: the absorber did not converge. EUSAGE: a test names an unknown term; endogenous columns. */
pfx_status pfx_fit_ols(struct pfx_design *d, const pfx_fit_options *o, pfx_fit **out, pfx_err *err) PFX_MUST;
/* The same for any design: two-stage least squares (est/iv.h) where it has endogenous columns. */
pfx_status pfx_fit_model(struct pfx_design *d, const pfx_fit_options *o, pfx_fit **out, pfx_err *err) PFX_MUST;
void pfx_fit_free(pfx_fit *f);

#endif
