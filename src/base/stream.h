/* Row source and row sink: how rows come from storage and go to it without the caller seeing a file.
 * hdf5_io implements them, src/cmd connects them, model, data and est use them. */
#ifndef PFX_BASE_STREAM_H
#define PFX_BASE_STREAM_H

#include "src/base/frame.h"

/* Rows in panel order, in blocks of whole units. One thread uses a source. */
typedef struct pfx_row_source {
    void *ctx;
    pfx_idx n_rows, n_units;       /* of the whole panel */
    int n_cols;
    const pfx_col_spec *cols;      /* [n_cols] the columns that were asked for, in that order; levels known */
    pfx_panel_spec panel;
    /* Go back to the first row. */
    pfx_status (*rewind)(void *ctx, pfx_err *err);
    /* The next block: *block points into the source and is valid until the next call; NULL at the end.
     * IO, FORMAT. */
    pfx_status (*next)(void *ctx, const pfx_frame **block, pfx_err *err);
    void (*close)(void *ctx);
} pfx_row_source;

/* Where an importer or generator puts a panel. Calls come in this order: begin, any number of put,
 * levels for each category column, any number of provenance, then commit or abort; abort may come any time
 * and leaves no file. */
typedef struct pfx_row_sink {
    void *ctx;
    pfx_status (*begin)(void *ctx, const pfx_panel_spec *panel, int n_cols, const pfx_col_spec *cols, pfx_err *err);
    /* Rows sorted by (unit, time), any number at once (a unit may be cut by two calls); unit_start and time of
     * the frame are ignored: the sink builds the index from the unit column. DATA: not sorted, or a duplicate
     * (unit, time), naming it. */
    pfx_status (*put)(void *ctx, const pfx_frame *rows, pfx_err *err);
    /* Labels of category column number col (in begin's order). */
    pfx_status (*levels)(void *ctx, int col, pfx_idx n_levels, const char *const *labels, pfx_err *err);
    /* A line of /provenance: command, source, source_sha256, versions ... */
    pfx_status (*provenance)(void *ctx, const char *key, const char *value, pfx_err *err);
    /* Close, fsync, rename to the final name, fsync the folder. IO. */
    pfx_status (*commit)(void *ctx, pfx_err *err);
    void (*abort)(void *ctx);      /* also frees ctx; after commit it only frees */
} pfx_row_sink;

#endif
