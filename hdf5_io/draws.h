/* The draws file: /draws, /fit and attributes, as hdf5_io/SCHEMA.md says. Writing goes through the draw sink
 * of src/base/stream.h. */
#ifndef PFX_HDF5_IO_DRAWS_H
#define PFX_HDF5_IO_DRAWS_H

#include <stdbool.h>
#include "src/base/stream.h"

/* A sink that writes a draws file atomically; memory does not grow with the draws. USAGE: exists and no
 * force. */
pfx_status pfx_draws_sink(const char *path, bool force, pfx_draw_sink *out, pfx_err *err) PFX_MUST;

typedef struct pfx_draws pfx_draws;

/* Open for reading. IO: missing, unreadable. FORMAT: not HDF5, not a draws file (says what it is), truncated,
 * newer version, a dataset absent or of the wrong shape. */
pfx_status pfx_draws_open(const char *path, pfx_draws **out, pfx_err *err) PFX_MUST;
void pfx_draws_close(pfx_draws *d);

const char *pfx_draws_path(const pfx_draws *d);
pfx_idx pfx_draws_version(const pfx_draws *d);    /* of the file's layout */
const char *pfx_draws_engine(const pfx_draws *d); /* version of panelfx that wrote it */
const char *pfx_draws_cpu(const pfx_draws *d);
const pfx_draw_spec *pfx_draws_spec(const pfx_draws *d);

/* Draws first .. first + n - 1 of this file (counted from 0) of field f (PFX_DRAW_ESTIMATE .., then the
 * method's own), buf [n x n_terms]. FORMAT: a checksum is wrong. */
pfx_status pfx_draws_read(pfx_draws *d, int f, pfx_idx first, pfx_idx n, double *buf, pfx_err *err) PFX_MUST;
/* The full-sample fit as JSON, a new string. */
pfx_status pfx_draws_fit(pfx_draws *d, char **json, pfx_err *err) PFX_MUST;
/* Read everything once: checksums, replicates in order. FORMAT names the first fault. */
pfx_status pfx_draws_check(pfx_draws *d, pfx_err *err) PFX_MUST;

#endif
