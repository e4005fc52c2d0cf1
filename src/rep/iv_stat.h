/* Cluster statistics of two-stage least squares: what their columns are made of. */
#ifndef PFX_REP_IV_STAT_H
#define PFX_REP_IV_STAT_H

#include "src/est/solve.h"
#include "src/rep/clusterstat.h"

struct pfx_design;

/* The columns that stand last in the statistics' own design: tested exogenous, instruments, endogenous. */
typedef struct pfx_iv_terms {
    int n, n_exog, n_instruments, n_endogenous;
    const char **name; /* [n] of the design or the options */
    int *place;        /* [options' terms] among tested exogenous and endogenous */
} pfx_iv_terms;

/* n_endogenous is 0, and nothing is allocated, for a design without endogenous columns. USAGE: an instrument
 * is tested. NOMEM. */
pfx_status pfx_iv_terms_create(const struct pfx_design *d, const pfx_clusterstat_options *o,
                               pfx_iv_terms *out, pfx_err *err) PFX_MUST;
void pfx_iv_terms_free(pfx_iv_terms *t);

/* First and second stage of the full sample, from products of the demeaned columns.
 * gram  [p x p], the endogenous columns before the outcome, which is last
 * z     the columns before them, factored
 * T     [L x L] inverse of their factor in raw units
 * s     out: iv, b
 * c     [(n + 1) x p] out: y~ and u as combinations of the demeaned columns
 * IDENT: fewer instruments are left than endogenous variables, or they explain them not at all. NOMEM. */
pfx_status pfx_iv_stat_create(int p, const double *gram, const pfx_solve *z, const double *T,
                              const pfx_iv_terms *t, pfx_clusterstat *s, double *c, pfx_err *err) PFX_MUST;
void pfx_iv_stat_free(pfx_clusterstat_iv *iv);

/* Take what the statistics themselves still explain of u off it, and bring b up to it. NOMEM. */
pfx_status pfx_iv_stat_refine(pfx_isa isa, pfx_clusterstat *s, pfx_err *err) PFX_MUST;

#endif
