/* Between the readers of src/data/import and what orders and writes the rows. */
#ifndef PFX_DATA_IMPORT_PRIVATE_H
#define PFX_DATA_IMPORT_PRIVATE_H

#include "src/base/sha256.h"
#include "src/base/text.h"
#include "src/data/import.h"
#include "src/data/import_table.h"
#include "src/data/import_time.h"
#include "src/data/import_types.h"

typedef struct pfx_import_col {
    char *name, *label;
    pfx_wish wish;
    pfx_cell_stats stats;    /* numbers: what was met */
    pfx_levels levels;       /* texts */
    pfx_time_code time_code; /* how a number stands for a time */
    /* Labels of a number's values (.dta, .sav): they make it a category, in the order of the values. */
    pfx_idx n_values;   /* values that occur, all labelled; 0: a plain number */
    double *value;      /* [n_values] ascending */
    char **value_label; /* [n_values] */
} pfx_import_col;

/* What a reader hands over. */
typedef struct pfx_import_data {
    pfx_import_table table;
    pfx_import_col *cols; /* [table.n_cols] */
    int unit, time;       /* column numbers, -1: none */
    const char *path;
    const char *row_word; /* "row" in a text file, "observation" in others */
    char sha256[PFX_SHA256_HEX];
    int64_t bytes;
    char encoding[64], delimiter[8], format[32];
    pfx_str notes; /* lines for the user once all has gone well: an error stands alone */
} pfx_import_data;

/* Columns and table for n names, which are taken over (also on failure). Applies --columns, --types, --unit
 * and
 * --time: forms become SKIP or NUMBER. USAGE: unknown names, kinds. DATA: duplicate names. */
pfx_status pfx_import_columns(pfx_import_data *d, const pfx_import_options *o, int n, char **names,
                              int n_sets, pfx_err *err) PFX_MUST;
void pfx_import_data_free(pfx_import_data *d);

/* "FILE: row 7, column NAME"; col -1: without the column. Into buf [n]. */
const char *pfx_import_where(pfx_import_data *d, pfx_cell_ref ref, int col, size_t n, char *buf);

/* Keep a line for the user. */
void pfx_import_note(pfx_import_data *d, const char *fmt, ...) PFX_PRINTF(2, 3);

/* Bytes of slabs that may lie in memory. */
size_t pfx_import_budget(size_t memory);

/* Fill d from the file; d starts as {0}. */
pfx_status pfx_csv_read(pfx_import_data *d, const pfx_import_options *o, pfx_err *err) PFX_MUST;
pfx_status pfx_readstat_read(pfx_import_data *d, const pfx_import_options *o, pfx_err *err) PFX_MUST;

/* Order the rows and put them into the sink. */
pfx_status pfx_import_emit(pfx_import_data *d, const pfx_import_options *o, pfx_row_sink *sink,
                           pfx_import_summary *summary, pfx_err *err) PFX_MUST;

#endif
