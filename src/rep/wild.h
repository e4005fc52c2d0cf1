/* Wild cluster bootstrap of t and Wald tests, from cluster statistics. The residuals of each bootstrap
 * cluster are multiplied by one random weight; every statistic of a replicate is linear or quadratic in the
 * weights, so that no row and no regression is touched again. Source: methods.md section 4; Cameron, Gelbach
 * and Miller (2008); MacKinnon, Nielsen and Webb (2023) for the types; Roodman, Nielsen, MacKinnon and Webb
 * (2019) for sub-clusters, several clusterings and inversion. */
#ifndef PFX_REP_WILD_H
#define PFX_REP_WILD_H

#include <stdbool.h>
#include "src/base/cpu.h"
#include "src/rep/driver.h"

struct pfx_clusterstat;

typedef struct pfx_wild pfx_wild;

typedef enum pfx_wild_weights {
    PFX_WILD_RADEMACHER, /* -1, 1 */
    PFX_WILD_WEBB,       /* six points, +-sqrt(1/2), +-1, +-sqrt(3/2): Webb (2023) */
    PFX_WILD_MAMMEN,     /* (1 -+ sqrt 5)/2: Mammen (1993) */
    PFX_WILD_NORMAL,
    PFX_WILD_GAMMA, /* shape 4, scale 1/2, less 2 */
    PFX_WILD_KINDS
} pfx_wild_weights;
extern const char *const pfx_wild_weights_names[PFX_WILD_KINDS + 1];

/* One clustering of the variance, over the cells that the statistics are for. */
typedef struct pfx_wild_errors {
    const int32_t *code; /* [cells] its cluster, 0 .. n-1 each present; NULL: each cell is one */
    pfx_idx n;
    double weight; /* of its meat: small-sample factor, negative for an intersection */
} pfx_wild_errors;

enum { PFX_WILD_MAX_ERRORS = 3, PFX_WILD_MAX_TERMS = 8 /* of a joint test */ };

typedef struct pfx_wild_options {
    /* First digit 3: residuals of cluster g from coefficients without it. Second digit 3: the variance of the
     * test and of every replicate is the jackknife's, CV3. */
    int type;           /* 11, 13, 31, 33 */
    bool unrestricted;  /* residuals of the full model (WCU), else of the model under the null (WCR) */
    bool joint;         /* one test of all terms, F = Wald / terms; else a test of each */
    bool invert;        /* null polynomials too; not of joint tests */
    const double *null; /* [n_terms] */
    pfx_wild_weights weights;
    pfx_idx reps; /* Rademacher weights are enumerated where 2^clusters <= reps */
    int n_errors; /* 1 or 3; more than one with type 11 alone */
    pfx_wild_errors errors[PFX_WILD_MAX_ERRORS]; /* CV3 takes no weight but (G-1)/G */
    const int32_t *boot;                         /* [cells] bootstrap cluster of each; NULL: errors[0] */
    pfx_idx n_boot;
    double max_bytes; /* not to need more for effects that cross the clusters; 0: no bound */
    double
        held_bytes; /* there: clusters by bootstrap clusters are held up to this, beyond it a column is
                       projected for each replicate; 0: PFX_WILD_HELD. The two differ in last bits: so the
                       choice is by the panel alone, not by what memory or replicates a run happens to have */
    int nth;
    pfx_isa isa;
} pfx_wild_options;

enum { PFX_WILD_HELD = 256 << 20 };

/* What the sample itself says, and what the method found out. */
typedef struct pfx_wild_info {
    int n_tests;       /* n_terms, or 1 where joint */
    bool crossing;     /* by the route of effects that cross the clusters, */
    bool by_reps;      /* and there by a column for each replicate */
    double *statistic; /* [n_tests] t, or F */
    double *std_error; /* [n_tests] by the variance of the test; NaN where joint */
    pfx_idx n_boot;    /* bootstrap clusters */
    bool enumerated;
    pfx_idx reps;       /* 2^n_boot where enumerated */
    pfx_idx n_singular; /* clusters without which the regressors are collinear: a pseudo-inverse was taken */
    pfx_idx first_singular; /* the first of them (of errors[0]), -1: none */
} pfx_wild_info;

/* With instruments: WRE of Davidson and MacKinnon (2010), of the coefficient of one endogenous variable, type
 * 11, one clustering, no inversion; the first stages' residuals share the weights of the equation's. With
 * several endogenous variables the equation under the null is estimated by limited information maximum
 * likelihood, or by 2SLS where there are no more instruments than endogenous variables, as boottest does.
 *
 * A draw is, for each test, the coefficient b*, its standard error, and t* = (b* - b) / SE*, b the value that
 * generated the replicate; where joint, F* alone. With inversion the fields n0 n1 d0 d1 d2 follow: under the
 * null b + x, b the estimate, t*(x) = (n0 + n1 x) / sqrt(d0 + d1 x + d2 x^2). A replicate whose variance is
 * not positive is NaN. s and what the options point to must outlive the method. Memory: O(clusters x
 * regressors). Of statistics that absorbed every effect (pfx_clusterstat_options.absorb) the same draws by
 * the exact route for effects of any kind: memory O(clusters x bootstrap clusters), and a projection of one
 * column for each cluster, or where that is more than held_bytes, of one column for each replicate; of the
 * other types of some tens for each cluster besides. USAGE: options that do not go together. NOCONV: a test's
 * own variance is not positive. NOMEM.
 */
pfx_status pfx_wild_create(const struct pfx_clusterstat *s, const pfx_wild_options *o, pfx_wild **out,
                           pfx_err *err) PFX_MUST;
void pfx_wild_free(pfx_wild *w);
const pfx_rep_method *pfx_wild_method(const pfx_wild *w);
const pfx_wild_info *pfx_wild_describe(const pfx_wild *w);
enum { PFX_WILD_N0, PFX_WILD_N1, PFX_WILD_D0, PFX_WILD_D1, PFX_WILD_D2, PFX_WILD_EXTRA };

/* The weight of each bootstrap cluster in one replicate, v [n_boot]; as the definition says, one by one: for
 * tests and for those who want to see them. */
void pfx_wild_draw(const pfx_wild *w, uint64_t seed, pfx_idx replicate, double *v);

#endif
