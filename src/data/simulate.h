/* A synthetic firm-year panel in the shape of the paper's Table 2, with planted effects. Nothing computed on
 * it is a finding about firms, and its provenance says so.
 *
 * EXPY = constant + effect IDC + Table 3's b_twfe X + firm effect + year effect + AR(1) error, within Table
 * 2's bounds. Everything but the treatment and the regressors enters as one path per firm that is symmetric
 * about zero and independent of them. Where the sum would leave [min, max], its deviation d from the mean
 * part mu is cut to |d| <= min(max - mu, mu - min): an odd function, so E[d | X] stays zero in every row and
 * the planted coefficients are exact, unlike under plain winsorising. The bounds are met by the cut rows
 * themselves. */
#ifndef PFX_DATA_SIMULATE_H
#define PFX_DATA_SIMULATE_H

#include <stddef.h>
#include "src/base/stream.h"

typedef struct pfx_simulate_options {
    pfx_idx firms;             /* >= 1 */
    int year0, year1;          /* year1 > year0, at most 1,000 years */
    double effect;             /* of IDC on EXPY */
    double treated_share;      /* of firm-years, in [0, 0.5] */
    double serial_correlation; /* of the errors of EXPY, in (-1, 1) */
    uint64_t seed;
    int n_vars;              /* 0: all */
    const char *const *vars; /* [n_vars] columns to write beside firm and year, in any order */
    size_t memory; /* bytes for the rows under way; 0: about 40 MiB. The values do not depend on it */
    int nth;       /* threads, >= 1; the values do not depend on it */
} pfx_simulate_options;

typedef struct pfx_simulate_info {
    pfx_idx rows, firms, treated_rows, treated_firms;
    int n_cols;        /* written, firm and year included */
    bool exact;        /* sizes and distributions are Table 2's to the row */
    double generate_s; /* wall seconds without the sink's */
} pfx_simulate_info;

/* The default panel: 3,500 firms, 2017-2023, effect 0.3061, share 0.0179, serial correlation 0.3, seed 1. */
pfx_simulate_options pfx_simulate_defaults(void);

/* Names of all columns in the order of the file; *n of them. Static storage. */
const pfx_col_spec *pfx_simulate_columns(int *n);

/* Generate into a sink: begin, put, levels, provenance (synthetic, seed, parameters); the caller adds the
 * command, then commits. With the default firms and years, sizes are exact and every drawn variable has Table
 * 2's distribution by ranks. Otherwise each firm depends on (seed, firm) alone, moments hold on average, and
 * memory does not grow with firms. A column's values do not depend on which others are chosen. USAGE: options
 * out of range, unknown column (suggests the nearest). What the sink fails with. */
pfx_status pfx_simulate(const pfx_simulate_options *o, pfx_row_sink *sink, pfx_simulate_info *info,
                        pfx_err *err) PFX_MUST;

#endif
