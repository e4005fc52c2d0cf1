/* What wild bootstrap draws say about one test: p-values of every kind, and the confidence set by inverting
 * the test on the same draws. Source: methods.md section 4; Roodman, Nielsen, MacKinnon and Webb (2019),
 * section 3.5. */
#ifndef PFX_REP_WILD_SUMMARY_H
#define PFX_REP_WILD_SUMMARY_H

#include <stdbool.h>
#include "src/base/cpu.h"
#include "src/base/status.h"

typedef enum pfx_wild_p {
    PFX_P_SYMMETRIC,
    PFX_P_EQUAL_TAILED,
    PFX_P_LEFT,
    PFX_P_RIGHT,
    PFX_P_KINDS
} pfx_wild_p;
extern const char
    *const pfx_wild_p_names[PFX_P_KINDS + 1]; /* "symmetric", "equal-tailed", "left", "right", NULL */

enum { PFX_WILD_MAX_SETS = 8 };

typedef struct pfx_wild_in {
    pfx_idx reps;
    int stride;                           /* distance of one draw's values to the next */
    const double *t;                      /* t*, or F* */
    const double *n0, *n1, *d0, *d1, *d2; /* null polynomials, or n0 NULL: no set */
    double statistic;                     /* the sample's t, or F */
    double estimate, std_error;           /* of the sample; for the set */
    double level;
    pfx_wild_p kind;
    /* Where there are no polynomials: the p-value of `kind` under another null, by the same draws; NULL: no
     * set. */
    pfx_status (*p_at)(void *ctx, double null, double *p, pfx_err *err);
    void *p_ctx;
    int nth;
    pfx_isa isa;
} pfx_wild_in;

typedef struct pfx_wild_out {
    pfx_idx valid;       /* draws that are not NaN: the denominator of everything below */
    pfx_idx count, ties; /* draws beyond the sample's statistic in the way of `kind`; as extreme to 1e-9 */
    double p[PFX_P_KINDS];
    double p_value, p_value_ties; /* of `kind`, without and with the ties */
    double p_low, p_high;         /* exact (Clopper-Pearson) interval of what p_value estimates, at `level` */
    int n_sets;                   /* intervals of the confidence set, ascending; more than one: disjoint */
    double low[PFX_WILD_MAX_SETS], high[PFX_WILD_MAX_SETS]; /* infinite where unbounded */
} pfx_wild_out;

/* 1 where a draw t* is beyond t in the way of `kind` (equal-tailed: as symmetric), else 0. */
int pfx_wild_beyond(double draw, double t, pfx_wild_p kind);

/* t* of a draw at the null estimate + x by its polynomials; NaN where its variance is not positive. */
double pfx_wild_t(double n0, double n1, double d0, double d1, double d2, double x);

/* A draw is beyond t where |t*| > |t| (1 + 1e-9), and alike in either tail. The set is what is not rejected
 * at 1 - level: searched on a grid of a quarter of a standard error over 8 of them, then doubling up to
 * 1,000, beyond which it is taken as unbounded; its ends to 1e-9 standard errors, by p_at to 1e-6. NOMEM, and
 * what p_at fails with. */
pfx_status pfx_wild_summarise(const pfx_wild_in *in, pfx_wild_out *out, pfx_err *err) PFX_MUST;

#endif
