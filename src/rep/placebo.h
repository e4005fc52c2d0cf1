/* Placebo replicates: the treatment of a regression is assigned anew, its regressors are rebuilt, and the
 * coefficient and its cluster-robust standard error follow from the few rows that the assignment touches.
 * Equal to rebuilding the regressors of all rows and fitting again. Source: methods.md section 7. */
#ifndef PFX_REP_PLACEBO_H
#define PFX_REP_PLACEBO_H

#include <stdbool.h>
#include "src/rep/driver.h"
#include "src/rep/placebo_assign.h"

struct pfx_design;

enum { PFX_PLACEBO_MAX_DRAWN = 16 };
/* A draw's own fields. */
enum { PFX_PLACEBO_SLOPE = PFX_DRAW_FIELDS, PFX_PLACEBO_SWITCHERS, PFX_PLACEBO_FIELDS };
extern const char *const pfx_placebo_extra[2]; /* "slope", "switchers" */

typedef struct pfx_placebo_in {
    const struct pfx_design *d; /* its first cluster variable is that of the standard errors; not changed */
    const pfx_assign_in *assign;
    int n_drawn;
    const char *const *drawn; /* [n_drawn] regressors that are the treatment times something else */
    const double *factor;     /* [n_drawn][n] what else; NULL: ones */
    int tested;               /* number of the tested one */
    int n_collinear;
    const char *const *collinear; /* regressors that the fit left out */
    double tol;
    int maxiter, nth;
    pfx_isa isa;
    bool std_error;   /* of each draw; without, NaN */
    double ssc;       /* factor of the variance: (G/(G-1)) (n-1)/(n-K), or as the rule has it */
    double max_bytes; /* 0: no bound */
    bool cross;       /* project columns of rows even where effects are nested or few, for tests */
} pfx_placebo_in;

typedef struct pfx_placebo pfx_placebo;

/* a: from pfx_assign_create on in->assign; must outlive the result, as must the arrays of in->assign; its
 * `enumerate` may be set later, before draws. USAGE, DATA, IDENT, NOCONV as pfx_placebo_rows_create; NOMEM,
 * also beyond max_bytes. The same bits at any nth and on every ISA. */
pfx_status pfx_placebo_create(const pfx_placebo_in *in, const pfx_assign *a, pfx_placebo **out,
                              pfx_err *err) PFX_MUST;
void pfx_placebo_free(pfx_placebo *p);

/* A draw is the coefficient b_r, its standard error, b_r over it, the coefficient of the true regressor
 * regressed on the drawn one in the outcome's stead (so that under the effect B of the true treatment b_r
 * would be b_r - B slope), and the number of units that switch. NaN where the drawn regressor is not
 * identified. */
const pfx_rep_method *pfx_placebo_method(const pfx_placebo *p);

/* The data's own assignment by the same way, value [PFX_PLACEBO_FIELDS]. NOMEM. */
pfx_status pfx_placebo_own(const pfx_placebo *p, double *value, pfx_err *err) PFX_MUST;

/* The projection of replicates where effects cross the clusters, else NULL. */
const struct pfx_refit *pfx_placebo_cross(const pfx_placebo *p);

/* What is behind it, for digests and predictions. */
pfx_idx pfx_placebo_clusters(const pfx_placebo *p);
double pfx_placebo_work(const pfx_placebo *p); /* multiplications and additions of a draw */

#endif
