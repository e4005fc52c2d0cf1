/* Descriptive statistics of a panel's columns: moments, quantiles, groups, and the parts between and within
 * units.
 *
 * Definitions. n counts finite values; a missing or infinite one is missing. sd has divisor n - 1.
 * Quantiles are exact, type 7 of R (Hyndman and Fan 1996): x_(k) + (h - k)(x_(k+1) - x_(k)), h = (n - 1) p +
 * 1, k = floor(h), x_(1) <= x_(2) <= ... . Panel parts as Stata's xtsum: between is the distribution of the
 * units' means m_i, each unit once (sd with divisor units - 1); within is that of x_it - m_i + m, m the mean
 * over all rows (sd with divisor n - 1). With
 * --by, units count within each group by its rows. */
#ifndef PFX_REPORT_SUMMARY_H
#define PFX_REPORT_SUMMARY_H

#include <stdbool.h>
#include "src/base/stream.h"
#include "src/base/text.h"
#include "src/report/table.h"

typedef struct pfx_summary_options {
    int n_vars;
    const char *const *vars; /* [n_vars] columns to describe, >= 1 */
    const char *by;          /* column whose levels are the groups, or NULL */
    const char *where;       /* expression, or NULL */
    int n_probs;
    const double *probs; /* [n_probs] in [0, 1] */
    bool panel;          /* parts between and within units */
    size_t memory;       /* bytes that the values of quantiles may take */
    int nth;             /* threads, >= 1; the results do not depend on it */
} pfx_summary_options;

/* How columns are opened for reading: hdf5_io behind it, or a test's memory. USAGE: unknown column. */
typedef struct pfx_summary_input {
    void *ctx;
    pfx_status (*open)(void *ctx, int n, const char *const *names, pfx_row_source *out, pfx_err *err);
} pfx_summary_input;

typedef struct pfx_summary_cell {
    pfx_idx n, missing;
    double min, max, mean, sd; /* NaN where not defined */
    pfx_idx units;             /* the rest only with panel */
    double min_between, max_between, sd_between;
    double min_within, max_within, sd_within, t_bar;
} pfx_summary_cell;

typedef struct pfx_summary_var {
    char *name;
    bool category, integer; /* integer: stored as one */
    pfx_idx n_levels;
    char **levels;          /* [n_levels], categories */
    pfx_idx *count;         /* [n_groups x n_levels], categories */
    pfx_summary_cell *cell; /* [n_groups]; of a category n and missing alone are set */
    double *quantile;       /* [n_groups x n_probs], NaN where n = 0; NULL for categories or without probs */
} pfx_summary_var;

typedef struct pfx_summary {
    int n_vars;
    pfx_summary_var *vars;
    char *by; /* NULL: one group of all rows */
    pfx_idx n_groups;
    char **groups;          /* [n_groups] levels with rows: numbers ascending, categories in level order */
    pfx_idx n_rows, n_kept; /* of the panel; after --where */
    pfx_idx n_no_group;     /* kept rows whose `by` is missing: in no group */
    int n_probs;
    double *probs;
    bool panel;
} pfx_summary;

/* Reads the columns once, and once more for the quantiles of as many columns as fit the memory.
 * USAGE: unknown column, --where, probabilities outside [0, 1]. NOMEM: a column does not fit `memory`. DATA:
 * no rows left. */
pfx_status pfx_summarize(const pfx_summary_options *o, const pfx_summary_input *in, pfx_summary **out,
                         pfx_err *err) PFX_MUST;
void pfx_summary_free(pfx_summary *s);

typedef struct pfx_summary_layout {
    pfx_format format;
    int width; /* of the terminal, 0: no limit */
    int n_top; /* levels of a category to list, by frequency */
    int n_notes;
    const char *const *notes; /* [n_notes] lines below the table */
} pfx_summary_layout;

/* Append the tables to out: reports have Table 2's columns (variable, N, min, max, mean, sd), then quantiles,
 * and a table of category levels; with panel, the three parts as xtsum. CSV and JSON have one row for each
 * variable and group with everything. NOMEM. */
pfx_status pfx_summary_render(const pfx_summary *s, const pfx_summary_layout *layout, pfx_str *out,
                              pfx_err *err) PFX_MUST;

#endif
