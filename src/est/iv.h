/* Two-stage least squares: what a fit with instruments has beside its coefficients. */
#ifndef PFX_EST_IV_H
#define PFX_EST_IV_H

#include "src/est/fit.h"

/* A statistic with its degrees of freedom; df2 is 0 for chi-squared. NaN where it is not defined. */
typedef struct pfx_iv_test {
    double statistic, df1, df2, p_value;
} pfx_iv_test;

/* First stage of one endogenous variable. */
typedef struct pfx_iv_stage {
    pfx_fit *fit;         /* its regression on all instruments and exogenous regressors; f is of all slopes */
    pfx_iv_test excluded; /* F of the excluded instruments, with the fit's variance */
    double partial_r2;    /* of the excluded instruments */
    double shea_r2;       /* Shea (1997) */
    pfx_iv_test
        sw; /* Sanderson and Windmeijer (2016), conditional F; with one endogenous variable as excluded */
} pfx_iv_stage;

typedef enum pfx_iv_shape {
    PFX_IV_NONE,      /* not computed: several endogenous variables, or a variance without full rank */
    PFX_IV_EMPTY,     /* no value is accepted */
    PFX_IV_INTERVALS, /* n_sets of them, bounded */
    PFX_IV_UNBOUNDED  /* the first or the last reaches to infinity, or all of the line */
} pfx_iv_shape;

/* Values of the coefficient that the Anderson-Rubin test accepts at the fit's level. */
typedef struct pfx_iv_set {
    pfx_iv_shape shape;
    int n;
    double (*bounds)[2]; /* [n] ascending; infinities where open */
} pfx_iv_set;

enum { PFX_STOCK_YOGO_BIAS = 4, PFX_STOCK_YOGO_SIZE = 4 };
/* Critical values of the Cragg-Donald F, Stock and Yogo (2005), tables 5.1 and 5.2: for a maximal bias of 5,
 * 10, 20, 30 % of that of least squares, and a maximal size of 10, 15, 20, 25 % of a 5 % Wald test. NaN where
 * not tabulated. */
typedef struct pfx_stock_yogo {
    double bias[PFX_STOCK_YOGO_BIAS], size[PFX_STOCK_YOGO_SIZE];
} pfx_stock_yogo;
extern const double pfx_stock_yogo_bias[PFX_STOCK_YOGO_BIAS], pfx_stock_yogo_size[PFX_STOCK_YOGO_SIZE];
pfx_stock_yogo pfx_stock_yogo_values(int n_endogenous, int n_instruments);

enum { PFX_EFFECTIVE_BIAS = 4 };
/* Shares tau of the worst-case bias that the effective F is tested for, 5, 10, 20, 30 %. */
extern const double pfx_effective_bias[PFX_EFFECTIVE_BIAS];

typedef struct pfx_iv {
    int n_endogenous, n_instruments; /* excluded instruments */
    pfx_iv_stage *stage;             /* [n_endogenous] */
    pfx_iv_test kp_lm; /* Kleibergen and Paap (2006) rk LM of underidentification; chi-squared */
    double kp_f, cd_f; /* rk Wald F of weak identification; Cragg and Donald (1993) */
    pfx_stock_yogo critical;
    double effective_f;  /* Montiel Olea and Pflueger (2013), one endogenous variable; else NaN */
    double effective_df; /* its effective degrees of freedom, at a bias of 10 % */
    double effective_critical[PFX_EFFECTIVE_BIAS]; /* of a test of 5 %: the simplified, conservative ones */
    pfx_iv_test j;             /* Sargan (iid) or Hansen J at two-step GMM; df1 is 0 where just identified */
    pfx_iv_test ar_f, ar_chi2; /* Anderson and Rubin (1949): all endogenous coefficients are zero */
    pfx_iv_set ar_set;
    double level;            /* of ar_set */
    pfx_iv_test wu_hausman;  /* F of the first-stage residuals in the outcome's regression, fit's variance */
    pfx_iv_test endogeneity; /* difference of two J statistics; chi-squared */
} pfx_iv;

void pfx_iv_free(pfx_iv *iv);

/* Two-stage least squares of the design's outcome on its regressors and endogenous columns, its instruments
 * excluded, effects absorbed; as pfx_fit_ols otherwise. In coef the endogenous variables stand before the
 * exogenous. EUSAGE: fewer instruments than endogenous variables. IDENT: so few are left, or the instruments
 * explain some combination of the endogenous variables not at all. Degrees of freedom of the F forms as
 * ivreg2's: N - L, L every instrument and the effects as the small-sample rule counts them, times
 * (G-1)/G/(N-1) instead of 1/N if clustered. */
pfx_status pfx_fit_iv(struct pfx_design *d, const pfx_fit_options *o, pfx_fit **out, pfx_err *err) PFX_MUST;

#endif
