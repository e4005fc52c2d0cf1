/* Accumulators of one variable over the blocks of a panel, for every group. */
#ifndef PFX_REPORT_SUMMARY_MOMENTS_H
#define PFX_REPORT_SUMMARY_MOMENTS_H

#include "src/report/summary.h"

/* Running moments of a set of numbers: merged, never sum of squares minus n mean^2. */
typedef struct summary_moments {
    pfx_idx n;
    double mean, m2, min, max; /* m2: sum of squares about the mean. Means are of x - shift */
} summary_moments;

typedef struct summary_group {
    bool started;
    double shift;              /* the first value: taken off, so that a large common level costs no digits */
    summary_moments all, unit; /* of the rows (min and max as they are); of the units' means (all shifted) */
    double within_m2, within_min, within_max; /* of x - its unit's mean */
    pfx_idx missing;
} summary_group;

/* State of one variable: groups, and scratch of the same length. */
typedef struct summary_acc {
    pfx_idx cap;
    summary_group *group;  /* [cap] */
    summary_moments *part; /* [cap] of the block or unit at hand; n = 0 between uses */
    int32_t *touched;      /* [cap] groups with part.n > 0 */
} summary_acc;

/* Room for groups 0 .. n-1, new ones empty. NOMEM. */
pfx_status summary_acc_reserve(summary_acc *a, pfx_idx n, pfx_err *err) PFX_MUST;
void summary_acc_free(summary_acc *a);

/* Add x [n] of rows in group g [n], negative: in none. */
void summary_acc_rows(summary_acc *a, pfx_idx n, const double *x, const int32_t *g);
/* Add the parts between and within units, unit u being rows start[u] .. start[u + 1] - 1. */
void summary_acc_units(summary_acc *a, const double *x, const int32_t *g, pfx_idx n_units,
                       const pfx_idx *start);

void summary_acc_finish(const summary_group *g, bool panel, pfx_summary_cell *out);

/* Quantiles at ascending probabilities probs [n_probs] of a [n], which is reordered; NaN for n = 0. */
void summary_quantiles(pfx_idx n, double *a, int n_probs, const double *probs, double *out);

#endif
