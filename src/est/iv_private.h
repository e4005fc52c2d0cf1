/* What the parts of a 2SLS fit share. Q: orthonormal basis of the exogenous regressors and the excluded
 * instruments, in this order, by the solver's factor; its last n_excluded columns, q2, are the instruments
 * less the exogenous. Each endogenous variable and the outcome is Q times a column of P plus a residual r,
 * and everything else follows from P, from products of the residuals and from sums of products of scores over
 * clusters. */
#ifndef PFX_EST_IV_PRIVATE_H
#define PFX_EST_IV_PRIVATE_H

#include "src/est/iv.h"
#include "src/est/iv_small.h"
#include "src/est/ols_private.h"
#include "src/est/vcov.h"

struct pfx_factor;
struct pfx_hac;

/* Scores of a pass over the rows: n_left columns, and a constant where one is estimated, times n_right
 * residuals, those of a residual together. The columns are the design's `column`, or, whitened, q and r. */
typedef struct pfx_iv_rows {
    const pfx_solve *z;
    const pfx_absorber *a;
    int p, L;
    const int *column;     /* [n_left] in the design: the kept instruments, the endogenous, the outcome */
    const double *P;       /* [L x (n + 1)] */
    const double *inverse; /* [L] reciprocals of the pivots of z->R: rows are whitened; NULL: as they are */
    bool constant;
    int n_left, n_right;
    const double *right;       /* [n_right x n_left] residuals, as combinations of the columns */
    const double *combination; /* [n_right x p] the same of the design's, for whole levels */
} pfx_iv_rows;

pfx_idx pfx_iv_rows_scratch(const pfx_iv_rows *r);
/* A pfx_score_map's fill and levels, ctx a pfx_iv_rows. */
void pfx_iv_rows_fill(const void *ctx, pfx_idx n, const double *rows, double *scores, double *scratch);
pfx_idx pfx_iv_rows_levels(const void *ctx, pfx_idx block, double *e, pfx_idx lds, double *S,
                           const pfx_idx **start, double *scratch);

/* Where the combinations stand among those made: residual of the structural equation, the same with the
 * first-stage residuals among the regressors, the residual of least squares; then the endogenous variables
 * less the exogenous. */
enum { PFX_IV_U, PFX_IV_AUGMENTED, PFX_IV_LEAST, PFX_IV_PARTIAL };

typedef struct pfx_ivm {
    struct pfx_design *d;
    const pfx_fit_options *o;
    pfx_ols m;    /* the structural equation; its solver holds coefficients alone */
    pfx_solve *z; /* Q */
    pfx_iv *iv;
    int L, n_exog, n_excluded, n;
    int *column;         /* [n + 1] */
    double *P;           /* [L x (n + 1)] */
    double *O;           /* [(n + 1) x (n + 1)] products of r */
    double *U;           /* [n x n] upper, U'U = the endogenous part of O; a row of zeros where singular */
    double *R;           /* [n x n] upper, R'R = products of the endogenous less exogenous */
    double *b, *b_least; /* [n] structural, and least squares */
    double *b_v;         /* [n] of the first-stage residuals on which the outcome's is regressed */
    double *gap;         /* [n_excluded] what b leaves of the outcome in q2 */
    double *H;           /* [n x n_excluded] b = H q2'y */
    double *made;        /* [(PFX_IV_PARTIAL + n) x (n_excluded + n + 1)] */
    bool singular;       /* some combination of the endogenous variables has no first-stage residual */
    int n_scores, (*pair)[2];
    int at_u, at_r, at_partial, at_augmented, at_least; /* first pair of each kind */
    bool delicate;               /* rows are whitened: products of columns would cost digits */
    int n_meats, n_right;        /* residuals of the pass that made base */
    const struct pfx_hac *hac;   /* or NULL */
    double *base;                /* meats of the pass */
    double *meat[PFX_MAX_MEATS]; /* [n_scores x n_scores] */
    double left;                 /* N - L */
    double ratio;                /* F is chi2 / df1 times this */
    double df2;                  /* of those F */
} pfx_ivm;

/* P and O: a pass over the rows, which has the meats of all scores too unless they are delicate, or more
 * where one step of refinement does not do. cluster [n_meats], NULL for single rows. NOMEM. */
pfx_status pfx_iv_reduced_form(pfx_ivm *v, const struct pfx_factor *const *cluster, pfx_err *err) PFX_MUST;
/* U, R, b_least, b_v, singular. NOMEM. */
pfx_status pfx_iv_least_squares(pfx_ivm *v, pfx_err *err) PFX_MUST;
/* IDENT: the instruments explain some combination of the endogenous variables not at all. */
pfx_status pfx_iv_check_rank(const pfx_ivm *v, pfx_err *err) PFX_MUST;
/* b, H, gap, and the coefficients of m.s. NOMEM. */
pfx_status pfx_iv_second_stage(pfx_ivm *v, pfx_err *err) PFX_MUST;
/* made, ssr, the list of scores and their meats; of delicate rows by a pass of its own. cluster as above.
 * NOMEM. */
pfx_status pfx_iv_collect(pfx_ivm *v, const struct pfx_factor *const *cluster, pfx_err *err) PFX_MUST;

/* Variance of the sums of n scores: their pairs at[]. Clustered or robust from the meats, each times factor
 * (NULL: 1, 1, -1), else from independence with N as the divisor. M [n x n]. */
void pfx_iv_meat(const pfx_ivm *v, const double *factor, int n, const int *at, double *M);
/* Sum of squares of the structural residual, from gap, b and O. */
double pfx_iv_structural_ssr(const pfx_ivm *v);
/* Factors of a small-sample rule for pfx_iv_meat. */
void pfx_iv_factors(const pfx_ivm *v, const pfx_ssc_out *ssc, double factor[3]);
/* Pair of q2's column a with column c of the kind that begins at `at`. */
int pfx_iv_at(const pfx_ivm *v, int at, int c, int a);

/* Fill v->iv once the pass is done. NOMEM. */
pfx_status pfx_iv_rank_tests(pfx_ivm *v, pfx_err *err) PFX_MUST;
pfx_status pfx_iv_stage_tests(pfx_ivm *v, pfx_err *err) PFX_MUST;
pfx_status pfx_iv_j_tests(pfx_ivm *v, pfx_err *err) PFX_MUST;
pfx_status pfx_iv_anderson_rubin(pfx_ivm *v, pfx_err *err) PFX_MUST;
pfx_status pfx_iv_wu_hausman(pfx_ivm *v, pfx_err *err) PFX_MUST;
/* The smallest singular value of the endogenous variables' canonical correlations with the instruments, and
 * the rest of their decomposition: c [n] with c'R'Rc = 1, N [(n_excluded - n + 1) x n_excluded] orthonormal,
 * N Pi2 c has length *sigma. NOMEM. */
pfx_status pfx_iv_null_space(const pfx_ivm *v, double *sigma, double *c, double *N, pfx_err *err) PFX_MUST;

pfx_iv_test pfx_iv_chi2(double statistic, double df);
pfx_iv_test pfx_iv_f(const pfx_ivm *v, double chi2, double df);

#endif
