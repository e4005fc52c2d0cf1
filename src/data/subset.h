/* A panel from another one: some of its rows, with columns added. */
#ifndef PFX_DATA_SUBSET_H
#define PFX_DATA_SUBSET_H

#include "src/base/stream.h"

typedef struct pfx_subset {
    const double *keep; /* [rows of the source] rows where this is not zero go into the new panel */
    int n_new;
    const pfx_col_spec *spec;   /* [n_new] numeric columns behind those of the source */
    const double *const *value; /* [n_new][rows of the source] NaN: missing */
    int n_watch;                /* columns of the source whose weighted means are wanted */
    const char *const *watch;   /* [n_watch] numeric */
} pfx_subset;

/* What is found on the way, for each watched column and for group 0 and 1 of `group`. */
typedef struct pfx_subset_sums {
    double weight[2], value[2]; /* sums of keep, and of keep times the column, over rows where it is there */
    pfx_idx n_missing;          /* rows kept where it is missing */
} pfx_subset_sums;

/* Write the rows of src that are kept to a sink, in blocks: begin, rows, labels. The caller adds provenance
 * and commits. group [rows of the source] 0 or 1, or NULL where n_watch is 0; sums [n_watch] overwritten.
 * USAGE: a new column's name is taken; a watched column that is text or not there (suggests the nearest). */
pfx_status pfx_subset_write(const pfx_subset *s, pfx_row_source *src, const unsigned char *group,
                            pfx_row_sink *sink, pfx_subset_sums *sums, pfx_idx *n_rows,
                            pfx_err *err) PFX_MUST;

#endif
