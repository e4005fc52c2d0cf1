/* Inside the emitting of rows: what a cell becomes, and the two batches on their way to the sink. */
#ifndef PFX_DATA_EMIT_PRIVATE_H
#define PFX_DATA_EMIT_PRIVATE_H

#include "src/data/import_private.h"

/* How a cell of the table becomes a cell of the panel. */
typedef enum pfx_cell_mode {
    CELL_NUMBER,
    CELL_TEXT,
    CELL_VALUE_LABEL,
    CELL_TIME_NUMBER,
    CELL_TIME_TEXT
} pfx_cell_mode;

typedef struct pfx_out_col {
    int col; /* of the table */
    pfx_cell_mode mode;
    double *level_time; /* CELL_TIME_TEXT: [levels] */
} pfx_out_col;

/* Rows on their way to the sink. */
typedef struct pfx_emit_batch {
    pfx_idx n;
    pfx_cell_ref *ref;  /* [batch_rows] */
    pfx_column *column; /* [n_out] with room for batch_rows */
} pfx_emit_batch;

typedef struct pfx_emitter {
    pfx_import_data *d;
    const pfx_import_options *o;
    pfx_row_sink *sink;
    pfx_import_summary *summary;
    pfx_time_plan plan;
    int n_out, unit, time; /* columns of the panel; -1: none */
    pfx_out_col *out;      /* [n_out] */
    pfx_col_spec *spec;    /* [n_out] */
    /* keys */
    bool sorted, repeats; /* rows in order; some follow one of the same key */
    double unit_min, unit_max, time_min, time_max;
    /* one batch is filled while the one before is written */
    pfx_idx batch_rows, n_put;
    pfx_emit_batch batch[2];
    int now;
    pfx_status put_st;
    pfx_err put_err;
} pfx_emitter;

/* Columns of the panel, and the plan of its time. DATA, USAGE: see pfx_time_decide. */
pfx_status pfx_emit_plan(pfx_emitter *e, pfx_err *err) PFX_MUST;
/* Room for the two batches. */
pfx_status pfx_emit_make_batches(pfx_emitter *e, pfx_err *err) PFX_MUST;
void pfx_emit_free(pfx_emitter *e);
/* Number, or level code as a number, of cell i of a block whose column k is `cells`; NaN: missing. */
double pfx_emit_value(const pfx_emitter *e, int k, pfx_cells cells, int dict, pfx_idx i);
/* The same by its place; the block is in memory. */
double pfx_emit_value_at(const pfx_emitter *e, int k, pfx_cell_ref ref);
/* Cells of rows that follow each other in one block. */
void pfx_emit_gather_run(const pfx_emitter *e, int k, pfx_cell_ref first, pfx_idx n, pfx_column *to,
                         pfx_idx at);

#endif
