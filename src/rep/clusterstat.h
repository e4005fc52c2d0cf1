/* Cluster statistics: all that replications need of a panel, from one pass over its rows.
 *
 * Z = [columns of effects that are not nested in the clusters, other regressors, tested terms, residual],
 * demeaned within the effects that are nested (that commutes with weights on clusters), whitened by the full
 * sample's triangular factor: Z~ = Q R, Q = Z~ R^-1, and the outcome replaced by the full sample's residual
 * e. For each cluster M_g = [Q e]'W[Q e] as a packed triangle. In a replicate with weights w_g on clusters, A
 * = sum w_g M_g, delta = A_xx^-1 A_xe, and since R is upper triangular with the tested terms last, the
 * coefficients of those are b + R_TT^-1 delta_T. Source: methods.md sections 2 and 3.
 *
 * With instruments the columns are [q, y~, u]: q the exogenous columns (tested ones last) and the excluded
 * instruments, whitened together; y~ the endogenous variables less what the exogenous explain, turned so that
 * the full sample's first stage of them is orthonormal; u the residual of 2SLS. Source: methods.md section 8.
 */
#ifndef PFX_REP_CLUSTERSTAT_H
#define PFX_REP_CLUSTERSTAT_H

#include <stdbool.h>
#include "src/base/cpu.h"
#include "src/base/status.h"

struct pfx_absorber;
struct pfx_design;
struct pfx_factor;

typedef struct pfx_clusterstat_options {
    int n_terms;
    const char *const *terms; /* [n_terms] tested, each once; "(Intercept)" where one is estimated */
    int n_collinear;
    const char *const *collinear; /* [n_collinear] regressors that the fit left out */
    double tol;                   /* as pfx_absorb_options */
    int maxiter, nth;
    pfx_isa isa;
    double max_bytes; /* refuse to need more; 0: no bound */
    /* Statistics by other cells than the first cluster variable's clusters, NULL: those. Effects nested in
     * one of `within` are demeaned away; none given: in the cells. */
    const struct pfx_factor *cell;
    int n_within;
    const struct pfx_factor *within[2];
    /* Every effect is demeaned away, nested or not, and rows and absorber are kept: weights on clusters do
     * not commute with that, and replicates need more than M. */
    bool absorb;
} pfx_clusterstat_options;

typedef struct pfx_clusterstat_iv pfx_clusterstat_iv;

typedef struct pfx_clusterstat {
    pfx_idx G; /* clusters */
    pfx_idx n_rows;
    int k;        /* columns of Q: nuisance, then the tested terms; p = k + 1 with the residual last */
    int n_effect; /* the first of them, which belong to effects and the constant */
    int n_terms;
    char **term;            /* [n_terms] */
    pfx_idx ld;             /* distance of rows of M: (k+1)(k+2)/2 in whole lanes of 8, padding zero */
    pfx_idx rows;           /* of M: G rounded up to 8, padding zero */
    double *M;              /* [rows x ld]; entry (i, j), j <= i, of a cluster at i(i+1)/2 + j */
    double *A;              /* [ld] sum over the clusters, in order */
    double *R;              /* [k x k] upper triangular, row-major: Z~ = Q R in raw units */
    double *norm;           /* [n_terms] lengths of the tested columns, demeaned */
    double *b;              /* [n_terms] full-sample coefficients, refined */
    pfx_idx *first_row;     /* [G] panel row of the cluster's first row, or its row in the design */
    pfx_clusterstat_iv *iv; /* with instruments, else NULL: then k = L + n, R [L x L] is of q, norm is not
                             * set, and the functions below are for iv->structural */
    /* Where all effects were absorbed, else NULL: the rows in the order of their own design, whose first
     * cluster variable is the cells. */
    struct pfx_design *design;
    struct pfx_absorber *absorber;
    double *Q;   /* [n_rows x (k + 1)] regressors whitened, the residual */
    int maxiter; /* and of the options, for refits: */
    double max_bytes;
} pfx_clusterstat;

/* What two-stage least squares has besides. */
struct pfx_clusterstat_iv {
    int L, n_exog; /* columns of q; the first n_exog are exogenous, the others excluded instruments */
    int n;         /* endogenous variables */
    /* The equation's own columns, [exogenous, endogenous] = [exogenous q, y~] R: its k, R, norm, and of its
     * last n_terms columns, tested exogenous and all endogenous, b. Nothing else in it is set. */
    pfx_clusterstat structural;
    int *place;         /* [terms] of each tested term among those columns */
    double *functional; /* [terms x structural.n_terms] of each tested term on them, whitened */
};

/* Columns that effects outside the clusters may become: beyond, products cost more than refits. */
enum { PFX_CLUSTERSTAT_MAX_COLUMNS = 512 };
/* Beyond so many, products take longer than refits do (docs/replications.md). */
enum { PFX_CLUSTERSTAT_REFIT = 100 };

/* Statistics of the first cluster variable of d, which is not changed; with instruments where d has
 * endogenous columns. Memory: a copy of the design, then O(G p^2).
 * USAGE: a term that is no regressor (suggests the nearest); effects neither nested in the
 * clusters nor few. DATA: fewer than two clusters. NOCONV: a tested term is not identified beside the
 * effects. NOMEM, also beyond max_bytes. The same bits at any nth. */
pfx_status pfx_clusterstat_create(const struct pfx_design *d, const pfx_clusterstat_options *o,
                                  pfx_clusterstat **out, pfx_err *err) PFX_MUST;
/* Columns that effects which are not nested would become without `absorb`: beyond PFX_CLUSTERSTAT_MAX_COLUMNS
 * that is refused. NOMEM. */
pfx_status pfx_clusterstat_columns(const struct pfx_design *d, const pfx_clusterstat_options *o,
                                   pfx_idx *columns, pfx_err *err) PFX_MUST;
void pfx_clusterstat_free(pfx_clusterstat *s);

/* Solve R_TT'x = y in place, R_TT the last n_terms rows and columns of R: the functional e_j'b of the tested
 * terms in whitened columns is x for y = e_j. And R_TT x = y. */
void pfx_clusterstat_functional(const pfx_clusterstat *s, double *y);
void pfx_clusterstat_unwhiten(const pfx_clusterstat *s, double *y);

#endif
