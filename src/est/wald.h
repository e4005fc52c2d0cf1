/* Linear hypotheses over named terms: "x1 - x2 = 0", "x1 = x2 = 0", "x1 = 1, 2*x2 + x3 = x4". */
#ifndef PFX_EST_WALD_H
#define PFX_EST_WALD_H

#include "src/base/status.h"
#include "src/est/fit.h"

/* q restrictions R b = r over k terms. */
typedef struct pfx_restrictions {
    int q, k;
    double *R; /* [q x k] row-major */
    double *r; /* [q] */
} pfx_restrictions;

/* Grammar: equations joined by commas; an equation is forms joined by '=' (each equals the last; none: equals
 * 0); a form is +, -, *, / and parentheses over numbers and terms, linear in the terms. A term is written as
 * it is named, `l(x, 1)`, `year::2019`, `(Intercept)`, the longest name winning; a name that reads otherwise
 * stands in backticks. dropped [n_dropped]: terms left out as collinear, for the message. USAGE: names the
 * token and its column from 1; unknown term (suggests the nearest); not linear; no term; equations that
 * contradict each other. NOMEM. */
pfx_status pfx_restrictions_parse(const char *text, int k, const char *const *terms, int n_dropped,
                                  const char *const *dropped, pfx_restrictions *out, pfx_err *err) PFX_MUST;
void pfx_restrictions_clear(pfx_restrictions *w);

/* F test of the restrictions, redundant ones left out of df1. b [k], V [k x k]. Statistic and p are NaN where
 * the variance of R b is singular (fewer clusters than restrictions). hypothesis is not set. NOMEM. */
pfx_status pfx_wald_test(const pfx_restrictions *w, const double *b, const double *V, double df2,
                         pfx_wald *out, pfx_err *err) PFX_MUST;

/* (x)'S^-1(x) for S [q x q], NaN where S is not positive definite; work [q x q + q]. */
double pfx_quadratic_form(int q, const double *S, const double *x, double *work);

#endif
