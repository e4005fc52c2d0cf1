/* Coverage of confidence intervals and size of tests where few clusters are treated, by simulation: many
 * small made-up panels, on each every method of the library once. */
#ifndef PFX_BENCH_COVERAGE_H
#define PFX_BENCH_COVERAGE_H

#include "src/base/cpu.h"
#include "src/rep/placebo_assign.h"

struct pfx_design;

enum { COVER_YEARS = 7 };
/* What is planted on the treatment, and how errors hang together over a firm's years. */
#define COVER_EFFECT 0.3
#define COVER_RHO 0.5

typedef enum cover_method {
    COVER_CRV1, /* t(G-1) */
    COVER_CV3,  /* jackknife, t(G-1) */
    COVER_PERCENTILE,
    COVER_BASIC,
    COVER_NORMAL,
    COVER_BCA,
    COVER_T,
    COVER_WCR11,
    COVER_WCR31,
    COVER_WCU11,
    COVER_PLACEBO_B,
    COVER_PLACEBO_T,
    COVER_METHODS
} cover_method;
extern const char *const cover_names[COVER_METHODS];

/* One kind of panel, and how many of them. */
typedef struct cover_cell {
    pfx_idx G;       /* firms, which are the clusters */
    pfx_idx treated; /* firms that adopt the treatment, each at a date of its own */
    pfx_idx panels, reps;
    uint64_t seed;
    int nth; /* threads over panels; nothing depends on it */
    pfx_isa isa;
} cover_cell;

/* A panel: G firms and seven years, firm and year effects, one regressor beside the treatment "D", errors
 * that are autoregressive within firms. Firms are seen over four kinds of spells, with holes. */
typedef struct cover_panel {
    struct pfx_design *d; /* columns D, x, y; absorbs firm and year; clusters: firm */
    double *treatment;    /* [n] */
    int32_t *period;      /* [n] 0 .. COVER_YEARS-1 */
    uint64_t seed;        /* of its replicates */
} cover_panel;

/* Panel number i of a cell depends on (seed, G, treated, i) alone. NOMEM. */
pfx_status cover_panel_make(const cover_cell *c, pfx_idx i, cover_panel *out, pfx_err *err) PFX_MUST;
void cover_panel_free(cover_panel *p);

/* What one method says about one panel; NaN: it says nothing. */
typedef struct cover_outcome {
    double covers; /* 1 or 0: is the planted effect in the interval, or in one of the set's? */
    double length; /* of the interval, or of the set's together; infinite where unbounded */
    double p;      /* of the planted effect */
} cover_outcome;

/* All methods on panel i, out [COVER_METHODS], and the estimate. What a method's function fails with; a
 * placebo without anything to permute says nothing. */
pfx_status cover_panel_run(const cover_cell *c, pfx_idx i, cover_outcome *out, double *estimate,
                           pfx_err *err) PFX_MUST;

typedef struct cover_summary {
    pfx_idx sets, covers; /* panels with an interval; where it holds the planted effect */
    pfx_idx bounded;
    double length;          /* mean of the bounded ones, NaN: none */
    pfx_idx tests, rejects; /* panels with a p-value; of at most 0.05 */
} cover_summary;

/* The cell: out [COVER_METHODS], outcomes [panels x COVER_METHODS] or NULL. The failure of the first panel
 * that failed. */
pfx_status cover_cell_run(const cover_cell *c, cover_summary *out, cover_outcome *outcomes,
                          pfx_err *err) PFX_MUST;

#endif
