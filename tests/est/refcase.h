/* Designs from reference CSVs, filled by hand, and their results from other software: what the tests of the
 * estimators share. Any failure to read ends the test. */
#ifndef PFX_TESTS_EST_REFCASE_H
#define PFX_TESTS_EST_REFCASE_H

#include "src/est/fit.h"
#include "src/model/design.h"
#include "tests/test.h"

typedef struct ref_table {
    int n_cols;
    pfx_idx n;
    char **name;  /* [n_cols] */
    char ***cell; /* [n][n_cols] */
    char *text;
} ref_table;

/* Plain CSV: no quotes, a header line. */
ref_table *ref_read(const char *path);
void ref_free(ref_table *t);
/* Path under tests/data. */
const char *ref_own(const char *name);

/* A design: words separated by blanks. Rows with a missing value in any of these columns are left out.
 * Effects and clusters may be combined, "firm^year". */
typedef struct ref_spec {
    const char *y, *x;
    const char *effects, *clusters, *weights; /* NULL: none */
    pfx_weights_kind kind;
    bool no_intercept;
    const char *endogenous, *instruments; /* NULL: least squares */
    bool single; /* the numbers were single precision, printed short: round them to it */
} ref_spec;
pfx_design *ref_design(const ref_table *t, const ref_spec *s);

/* A design from arrays: Z [n x p] copied, outcome last, names x0.. y. */
pfx_design *ref_design_new(pfx_idx n, int p, const double *Z, bool intercept);
void ref_add_effect(pfx_design *d, const char *name, pfx_idx n_levels, const int32_t *code);
void ref_add_cluster(pfx_design *d, const char *name, pfx_idx n_levels, const int32_t *code);
void ref_design_free(pfx_design *d);

/* Options with defaults: fixest, level .95, one thread. */
pfx_fit_options ref_options(pfx_vcov_type vcov, pfx_ssc ssc);
/* Fit a fresh design of the spec; by 2SLS where it has instruments. */
pfx_fit *ref_fit(const ref_table *t, const ref_spec *s, pfx_fit_options o);
const pfx_coef *ref_coef(const pfx_fit *f, const char *term);

#endif
