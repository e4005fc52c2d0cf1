/* Row source, row sink and draw sink: how rows come from storage and go to it, and draws too, without the
 * caller seeing a file. hdf5_io implements them, src/cmd connects them, model, data, est and rep use them. */
#ifndef PFX_BASE_STREAM_H
#define PFX_BASE_STREAM_H

#include "src/base/frame.h"

/* Rows in panel order, in blocks of whole units. One thread uses a source. */
typedef struct pfx_row_source {
    void *ctx;
    pfx_idx n_rows, n_units; /* of the whole panel */
    int n_cols;
    const pfx_col_spec *cols; /* [n_cols] the columns that were asked for, in that order; levels known */
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
    pfx_status (*begin)(void *ctx, const pfx_panel_spec *panel, int n_cols, const pfx_col_spec *cols,
                        pfx_err *err);
    /* Rows sorted by (unit, time), any number at once (a unit may be cut by two calls); unit_start and time
     * of the frame are ignored: the sink builds the index from the unit column. DATA: not sorted, or a
     * duplicate (unit, time), naming it. */
    pfx_status (*put)(void *ctx, const pfx_frame *rows, pfx_err *err);
    /* Labels of category column number col (in begin's order). */
    pfx_status (*levels)(void *ctx, int col, pfx_idx n_levels, const char *const *labels, pfx_err *err);
    /* A line of /provenance: command, source, source_sha256, versions ... */
    pfx_status (*provenance)(void *ctx, const char *key, const char *value, pfx_err *err);
    /* Close, fsync, rename to the final name, fsync the folder. IO. */
    pfx_status (*commit)(void *ctx, pfx_err *err);
    void (*abort)(void *ctx); /* also frees ctx; after commit it only frees */
} pfx_row_sink;

/* What every draw holds, in this order; a method's own fields come after them. NaN where a method computes
 * none. */
enum { PFX_DRAW_ESTIMATE, PFX_DRAW_STD_ERROR, PFX_DRAW_STATISTIC, PFX_DRAW_FIELDS };

/* What a set of draws is, apart from the draws. Texts belong to the caller. */
typedef struct pfx_draw_spec {
    const char *command, *method; /* "boot", "pairs" */
    int n_terms;
    const char *const *terms; /* [n_terms] */
    int n_extra;
    const char *const *extra; /* [n_extra] names of the method's own fields */
    uint64_t seed;
    pfx_idx reps;             /* of the whole run */
    pfx_idx first, last;      /* replicates first .. last - 1 of them are here, counted from 0 */
    pfx_idx shard, n_shards;  /* from 1; 1 of 1: the whole run */
    const char *options;      /* formula, options and method, lines "name=value" */
    const char *spec_digest;  /* SHA-256 of them: what a merge must find equal */
    const char *panel_digest; /* of the data behind the draws */
    const char *numerics;     /* instruction set that the draws' bits belong to */
    const char *blas;         /* which one, and for which processor it is set */
} pfx_draw_spec;

/* Where draws go. Calls come in this order: begin, then any number of put, checkpoint and, once, result; at the end
 * cut, if draws are missing, then commit or abort; abort may come any time and leaves no file but the last checkpoint.
 * One thread uses it. A sink in memory sets put alone. */
typedef struct pfx_draw_sink {
    void *ctx;
    pfx_status (*begin)(void *ctx, const pfx_draw_spec *spec, pfx_err *err);
    /* Replicates first .. first + n - 1, each call going on where the last ended. field [PFX_DRAW_FIELDS +
     * n_extra] of [n x n_terms] each. */
    pfx_status (*put)(void *ctx, pfx_idx first, pfx_idx n, const double *const *field, pfx_err *err);
    /* The full-sample fit as the JSON of `fit`. */
    pfx_status (*result)(void *ctx, const char *json, pfx_err *err);
    /* What came so far is safe from now on, whatever happens to the process; after result. With `more`, draws may
     * follow, else only abort. IO: not kept, the checkpoint before it stays. */
    pfx_status (*checkpoint)(void *ctx, bool more, pfx_err *err);
    /* No draws come any more: the spec's last is where they end. */
    pfx_status (*cut)(void *ctx, pfx_err *err);
    /* Close, fsync, rename to the final name, fsync the folder; the checkpoint goes. IO; DATA: fewer draws than the
     * spec says. */
    pfx_status (*commit)(void *ctx, pfx_err *err);
    void (*abort)(void *ctx); /* also frees ctx; after commit it only frees */
} pfx_draw_sink;

#endif
