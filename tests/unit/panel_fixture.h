/* A panel in memory with a column of every kind and type, to be written, read back and compared. */
#ifndef PFX_TESTS_PANEL_FIXTURE_H
#define PFX_TESTS_PANEL_FIXTURE_H

#include "hdf5_io/panel.h"
#include "tests/test.h"

enum { FIX_FIRM, FIX_YEAR, FIX_F64, FIX_F32, FIX_I32, FIX_I64, FIX_PROV, FIX_COLS };
enum { FIX_PROV_LEVELS = 3 };

typedef struct fix_panel {
    pfx_panel_spec spec;
    pfx_col_spec specs[FIX_COLS];
    pfx_frame frame; /* all rows, one block */
    pfx_column cols[FIX_COLS];
    pfx_idx *unit_start;
    char **firm_labels;
    pfx_idx n_periods;
} fix_panel;

/* n rows; unit u has len(u) rows: 1 + u % 7, or unit_len where that is > 0. */
fix_panel *fix_make(pfx_idx n, pfx_idx unit_len);
void fix_free(fix_panel *p);
/* Write all rows in pieces of `piece` rows; the status and message of the first step that fails. */
pfx_status fix_write(const fix_panel *p, const char *path, pfx_idx piece, int deflate, bool force,
                     pfx_err *err);
/* Read with all columns and compare every block with the panel. */
void fix_compare(const fix_panel *p, const char *path, pfx_idx block_rows);

#endif
