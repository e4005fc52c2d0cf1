/* Private to hdf5_io: an open panel, and the names that its file uses. */
#ifndef PFX_HDF5_IO_PANEL_PRIVATE_H
#define PFX_HDF5_IO_PANEL_PRIVATE_H

#include "hdf5_io/h5_private.h"
#include "hdf5_io/panel.h"

#define PFX_PANEL_INDEX "index/unit_start"

typedef struct panel_labels {
    char *text;         /* all labels, one after the other, each with its NUL */
    const char **label; /* [n_levels] into text */
} panel_labels;

struct pfx_panel {
    pfx_h5 h5;
    pfx_h5_locator *locator; /* NULL until a source asks for one */
    char *unit, *time;
    pfx_panel_spec spec;
    pfx_idx version, n_rows, n_units, n_periods;
    int n_cols;
    pfx_col_spec *cols;   /* [n_cols] names and labels owned; levels: into labels[c] */
    panel_labels *labels; /* [n_cols] {0} until they are asked for */
    int n_provenance;
    char **key, **value; /* [n_provenance] */
};

int pfx_panel_find(const pfx_panel *p, const char *name); /* column number, or -1 */
/* Read the labels of column c if they are not there yet. The lock is held. */
pfx_status pfx_panel_read_labels(pfx_panel *p, int c, pfx_err *err) PFX_MUST;

bool pfx_kind_parse(const char *s, pfx_kind *out);
bool pfx_time_unit_parse(const char *s, pfx_time_unit *out);

#endif
