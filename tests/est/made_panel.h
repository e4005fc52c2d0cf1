/* A made panel and its designs: what the tests of OLS by identities and by a slow twin share. */
#ifndef PFX_TESTS_EST_MADE_PANEL_H
#define PFX_TESTS_EST_MADE_PANEL_H

#include "tests/est/refcase.h"

/* Unbalanced, sorted by firm: 2..7 years each of 7, k regressors tied to firm and year, the outcome last. */
typedef struct made_panel {
    pfx_idx n, n_firms;
    int k, p;
    double *Z, *w;                                  /* w: whole numbers 1..3 */
    int32_t *firm, *year, *industry, *town, *group; /* industry, group scattered; town ten firms in a row */
    pfx_idx n_years, n_industries, n_towns, n_groups;
} made_panel;

made_panel made_panel_new(pfx_idx n_firms, int k);
void made_panel_free(made_panel *a);

/* Sets of factors, in this order: firm, industry, town, group, year. */
enum { FIRM = 1, YEAR = 2, INDUSTRY = 4, TOWN = 8, GROUP = 16 };
typedef void made_add_fn(pfx_design *, const char *, pfx_idx, const int32_t *);
void made_add_factors(pfx_design *d, const made_panel *a, int which, made_add_fn *add);

/* With an intercept where there are no effects. */
pfx_design *made_design(const made_panel *a, int effects, int clusters, pfx_weights_kind kind);
/* Fit and free the design. */
pfx_fit *made_fit(pfx_design *d, pfx_fit_options o);
/* HC1, clustered or two-way, by the number of clusters. */
pfx_vcov_type made_vcov(int clusters);

#endif
