/* A panel in memory as a row source, for tests. Everything is copied; memory is plain malloc, so that a test
 * may count and fail the library's own allocations. */
#ifndef PFX_TESTS_FRAME_SOURCE_H
#define PFX_TESTS_FRAME_SOURCE_H

#include "src/base/stream.h"

enum { FRAME_SOURCE_COLS = 64 };

typedef struct frame_source {
    pfx_idx n_rows;
    pfx_idx block_rows; /* a block holds whole units, about this many rows; 0: all */
    int n_cols;
    pfx_col_spec cols[FRAME_SOURCE_COLS];
    double *num[FRAME_SOURCE_COLS];
    int32_t *code[FRAME_SOURCE_COLS];
    pfx_panel_spec panel;
    pfx_idx n_units;
    pfx_idx *unit_start; /* [n_units + 1] */
    int time_col;        /* -1: none */
    /* as opened */
    int n_open;
    int open[FRAME_SOURCE_COLS];
    pfx_col_spec open_cols[FRAME_SOURCE_COLS];
    pfx_idx next_unit;
    pfx_idx *block_start;
    pfx_column block_cols[FRAME_SOURCE_COLS];
    pfx_frame frame;
} frame_source;

void frame_source_init(frame_source *s, pfx_idx n_rows, pfx_idx block_rows);
/* Columns; x [n_rows], NaN missing. labels [n_rows], NULL missing; levels are numbered by first appearance.
 */
void frame_source_num(frame_source *s, const char *name, const double *x);
void frame_source_cat(frame_source *s, const char *name, const char *const *labels);
/* The unit column, rows of a unit standing together, and the time column; time "" for none. Without this call
 * each row is its own unit. */
void frame_source_panel(frame_source *s, const char *unit, const char *time);
/* A source over the named columns; names NULL: all. Opening again is fine. */
pfx_row_source frame_source_open(frame_source *s, int n, const char *const *names);
void frame_source_free(frame_source *s);

#endif
