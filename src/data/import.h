/* A text table (CSV, TSV) or a Stata, SPSS or SAS file becomes a panel: types, time, order, duplicates. */
#ifndef PFX_DATA_IMPORT_H
#define PFX_DATA_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include "src/base/stream.h"

typedef struct pfx_import_options {
    const char *path;        /* .dta, .sav, .sas7bdat by name; anything else is text */
    const char *unit, *time; /* column names, NULL: none */
    int time_unit;           /* a pfx_time_unit, -1: found from the values */
    int n_types;
    const char *const *types; /* [n_types] "name=kind", kind: numeric, float32, category */
    int n_missing;
    const char *const *missing; /* [n_missing] texts that mean missing, besides the usual ones */
    int n_columns;
    const char *const *columns; /* [n_columns] keep these alone (unit and time always); 0: all */
    const char *encoding;       /* NULL: UTF-8, or what a byte order mark says */
    char delimiter;             /* 0: found from the header line */
    bool drop_duplicates;       /* keep the first row of a (unit, time) instead of failing */
    int threads;
    size_t memory; /* bytes for the whole process */
    const char *tmpdir;
    const char *command; /* command line, for provenance */
} pfx_import_options;

typedef struct pfx_import_summary {
    pfx_idx n_rows;    /* written */
    pfx_idx n_dropped; /* duplicates left out */
    int n_cols;
    bool was_sorted, spilled; /* rows came in order; a temporary file was needed */
    int64_t source_bytes;
} pfx_import_summary;

/* Read the whole file, decide what each column is, and put the rows into the sink in order of (unit, time),
 * rows of equal keys in file order; ends with the sink's commit. The sink is used up in any case. Memory: the
 * labels of text columns, and blocks up to o->memory; what exceeds it goes to unnamed temporary files. USAGE:
 * unknown column (suggests the nearest), kind, encoding. DATA: names file, row and column, and what to do.
 * IO, FORMAT: the file, or the temporary folder. */
pfx_status pfx_import_run(const pfx_import_options *o, pfx_row_sink *sink, pfx_import_summary *summary,
                          pfx_err *err) PFX_MUST;

#endif
