/* Private to hdf5_io: the state of a sink that writes a panel. */
#ifndef PFX_HDF5_IO_PANEL_SINK_H
#define PFX_HDF5_IO_PANEL_SINK_H

#include "hdf5_io/panel_order.h"
#include "hdf5_io/panel_private.h"
#include "src/base/file.h"

typedef struct sink_col {
    pfx_col_spec spec; /* name and label owned */
    pfx_h5_writer w;
    int32_t max_code; /* highest so far, -1: none */
    pfx_idx max_code_row;
    bool has_levels;
} sink_col;

typedef struct sink {
    pfx_out out;
    pfx_h5 h5;
    pfx_panel_write_options options;
    pfx_panel_spec spec; /* unit and time owned */
    int n_cols;
    sink_col *cols;         /* [n_cols] */
    int unit_col, time_col; /* -1: none */
    panel_order order;
    pfx_h5_writer index; /* unit_start */
    bool *first;         /* [PFX_H5_CHUNK_ROWS] */
    hid_t provenance;
} sink;

/* panel_sink_column.c: rows at .. at+n-1 of a column, which become rows row .. row+n-1 of the panel, to its
 * writer's buffer, where there is room for them, in the type of the file. DATA: a value that does not fit
 * into it. */
pfx_status pfx_sink_put_column(const sink *s, sink_col *col, pfx_idx row, pfx_idx n, const pfx_column *from,
                               pfx_idx at, pfx_err *err) PFX_MUST;

#endif
