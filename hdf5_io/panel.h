/* The panel store: /columns, /categories, /index, /provenance as hdf5_io/SCHEMA.md says. Reading and writing go
 * through the row source and row sink of src/base/stream.h; no hid_t leaves this folder. */
#ifndef PFX_HDF5_IO_PANEL_H
#define PFX_HDF5_IO_PANEL_H

#include <stdbool.h>
#include "src/base/stream.h"

typedef struct pfx_panel pfx_panel;

/* The attribute `format` of an HDF5 file, a new string: "panelfx-panel", "panelfx-draws".
 * IO: missing, unreadable. FORMAT: not HDF5, truncated, not one of panelfx. */
pfx_status pfx_h5_format(const char *path, char **format, pfx_err *err) PFX_MUST;

/* Open for reading. IO: missing, unreadable. FORMAT: not HDF5, not a panel (says what it is), truncated, newer
 * version, a dataset absent or of the wrong shape. Category labels are read when they are asked for: `levels` of a
 * column is NULL until a source over it was made or pfx_panel_levels was called. */
pfx_status pfx_panel_open(const char *path, pfx_panel **out, pfx_err *err) PFX_MUST;
void pfx_panel_close(pfx_panel *p);

const char *pfx_panel_path(const pfx_panel *p);
pfx_idx pfx_panel_version(const pfx_panel *p);              /* of the file's layout */
const pfx_panel_spec *pfx_panel_structure(const pfx_panel *p);
pfx_idx pfx_panel_n_rows(const pfx_panel *p);
pfx_idx pfx_panel_n_units(const pfx_panel *p);
pfx_idx pfx_panel_n_periods(const pfx_panel *p);
int pfx_panel_n_cols(const pfx_panel *p);
const pfx_col_spec *pfx_panel_cols(const pfx_panel *p);     /* [n_cols] in file order; n_levels known */
/* Read the labels of column c; pfx_panel_cols has them from then on. IO, FORMAT. */
pfx_status pfx_panel_levels(pfx_panel *p, int c, pfx_err *err) PFX_MUST;
const char *pfx_dtype_name(pfx_dtype t);            /* "float64", "float32", "int32", "int64" */
const char *pfx_kind_name(pfx_kind k);              /* "numeric", "category", "time" */
const char *pfx_time_unit_name(pfx_time_unit u);    /* "index", "year", "half", "quarter", "month", "week", "day" */

/* Lines of /provenance, i = 0.. ; false after the last. */
bool pfx_panel_provenance(const pfx_panel *p, int i, const char **key, const char **value);
/* Storage of column c: bytes on disk and in memory, compressed or not. */
typedef struct pfx_panel_storage { pfx_idx bytes_disk, bytes_raw; bool deflate, fletcher32; } pfx_panel_storage;
pfx_status pfx_panel_column_storage(pfx_panel *p, int c, pfx_panel_storage *out, pfx_err *err) PFX_MUST;

/* What the named columns hold, with the panel's structure, in 64 hexadecimal digits: equal data, equal digest,
 * whatever else is in the panel and however it is compressed. From checksums that were written with the columns; the
 * columns of a panel that has none are read. USAGE: no such column. FORMAT. */
pfx_status pfx_panel_digest(pfx_panel *p, int n, const char *const *names, char out[65], pfx_err *err) PFX_MUST;

/* Whether a pass compares each chunk with its checksum. ONCE: until a pass has reached the end of the panel;
 * passes after it, which read what was found whole a moment ago, do not. Chunks that are compressed, or of
 * another byte order, are read by HDF5, which always compares. */
typedef enum pfx_verify { PFX_VERIFY_ALWAYS, PFX_VERIFY_ONCE, PFX_VERIFY_NEVER } pfx_verify;

typedef struct pfx_panel_source_options {
    pfx_idx block_rows; /* 0: 65,536, the file's chunk */
    pfx_verify verify;
    int nth;            /* threads that read, compare checksums and convert; one alone calls HDF5. 0: one converts what
                           another has read ahead */
} pfx_panel_source_options;

/* A row source over the named columns, in the order given, in blocks of whole units of about block_rows rows.
 * o NULL: all defaults. Several sources may be open, one after another in use. USAGE: unknown column, suggesting
 * the nearest. */
pfx_status pfx_panel_source(pfx_panel *p, int n, const char *const *names, const pfx_panel_source_options *o,
                            pfx_row_source *out, pfx_err *err) PFX_MUST;

/* Read everything once: checksums, index against the unit column, order, code ranges. FORMAT names the first
 * fault (dataset, row). */
pfx_status pfx_panel_check(pfx_panel *p, pfx_err *err) PFX_MUST;

typedef struct pfx_panel_write_options {
    int deflate;            /* 0 none, 1..9; with shuffle */
    bool force;             /* replace an existing file */
} pfx_panel_write_options;
/* A sink that writes a panel file atomically, in blocks: memory does not grow with rows (labels and, per unit,
 * nothing are kept). USAGE: exists and no force. */
pfx_status pfx_panel_sink(const char *path, const pfx_panel_write_options *o, pfx_row_sink *out, pfx_err *err) PFX_MUST;

/* Turn the library's own messages off, check its version. Called once by main. */
pfx_status pfx_h5_init(pfx_err *err) PFX_MUST;
const char *pfx_h5_version(void);

#endif
