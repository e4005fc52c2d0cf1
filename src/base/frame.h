/* A frame: some columns of a block of panel rows, as plain arrays with names. What storage, importers, the
 * model and reports hand to each other; none of them owns the others' memory. */
#ifndef PFX_BASE_FRAME_H
#define PFX_BASE_FRAME_H

#include <stdbool.h>
#include "src/base/status.h"

typedef enum pfx_kind { PFX_NUMERIC, PFX_CATEGORY, PFX_TIME } pfx_kind;
/* How a column lies in the file. In memory numbers are always double and levels int32_t. */
typedef enum pfx_dtype { PFX_F64, PFX_F32, PFX_I32, PFX_I64 } pfx_dtype;
/* What one step of the time column is: lags and leads count in these. */
typedef enum pfx_time_unit {
    PFX_TIME_INDEX,
    PFX_TIME_YEAR,
    PFX_TIME_HALF,
    PFX_TIME_QUARTER,
    PFX_TIME_MONTH,
    PFX_TIME_WEEK,
    PFX_TIME_DAY
} pfx_time_unit;

/* A column's description, without data. */
typedef struct pfx_col_spec {
    const char *name;
    const char *label; /* UTF-8, may be "" */
    pfx_kind kind;
    pfx_dtype dtype;  /* category: PFX_I32; time: PFX_I32 or PFX_I64 */
    pfx_idx n_levels; /* category, else 0 */
    const char *const
        *levels; /* [n_levels] UTF-8 labels of codes 0..n_levels-1, or NULL if not (yet) known */
} pfx_col_spec;

/* A column of a frame: exactly one of num and code is set. */
typedef struct pfx_column {
    pfx_col_spec spec;
    double *num;   /* [n_rows] numeric and time; NaN = missing. Integers are exact up to 2^53. */
    int32_t *code; /* [n_rows] category: 0..n_levels-1, PFX_NA_CODE = missing */
} pfx_column;

typedef struct pfx_frame {
    pfx_idx row0; /* panel row of the first row here */
    pfx_idx n_rows;
    int n_cols;
    pfx_column *cols; /* [n_cols] */
    /* Panel structure of these rows. A block from a row source always holds whole units. */
    pfx_idx unit0; /* panel number of the first unit here */
    pfx_idx n_units;
    const pfx_idx *unit_start; /* [n_units + 1] first row of each unit, relative to row0; NULL: unknown */
    const double *time;        /* [n_rows] in steps of the panel's time unit; NULL: panel without time */
} pfx_frame;

/* Column number by name, or -1. */
int pfx_frame_find(const pfx_frame *f, const char *name);

/* What a panel is, apart from its columns. */
typedef struct pfx_panel_spec {
    const char *unit; /* name of the unit column; "" where the panel has none (unit = row number) */
    const char *time; /* name of the time column; "" where there is none */
    pfx_time_unit time_unit;
} pfx_panel_spec;

#endif
