/* The draws file: /draws, /fit and attributes, as hdf5_io/SCHEMA.md says. Writing goes through the draw sink
 * of src/base/stream.h. */
#ifndef PFX_HDF5_IO_DRAWS_H
#define PFX_HDF5_IO_DRAWS_H

#include <stdbool.h>
#include "src/base/stream.h"

/* A sink that writes a draws file atomically; memory does not grow with the draws. USAGE: exists and no
 * force.
 * A checkpoint is PATH.part: a whole draws file with complete = 0, written as a temporary and renamed, never
 * changed in place. Going on after one copies it, so that its cost grows with what has been drawn: the caller
 * spaces them. A checkpoint of the same draws that another process has brought further is left as it is. The
 * file that is committed does not depend on where checkpoints were. */
pfx_status pfx_draws_sink(const char *path, bool force, pfx_draw_sink *out, pfx_err *err) PFX_MUST;

/* The name of a checkpoint of path, a new string. NOMEM: NULL. */
char *pfx_draws_part_name(const char *path, pfx_err *err) PFX_MUST;

typedef struct pfx_draws pfx_draws;

/* Open for reading. IO: missing, unreadable. FORMAT: not HDF5, not a draws file (says what it is), truncated,
 * newer version, a dataset absent or of the wrong shape. */
pfx_status pfx_draws_open(const char *path, pfx_draws **out, pfx_err *err) PFX_MUST;
/* The same, also of a checkpoint, which may hold fewer draws than its spec says. */
pfx_status pfx_draws_open_part(const char *path, pfx_draws **out, pfx_err *err) PFX_MUST;
void pfx_draws_close(pfx_draws *d);

const char *pfx_draws_path(const pfx_draws *d);
pfx_idx pfx_draws_version(const pfx_draws *d);    /* of the file's layout */
const char *pfx_draws_engine(const pfx_draws *d); /* version of panelfx that wrote it */
const char *pfx_draws_cpu(const pfx_draws *d);
const pfx_draw_spec *pfx_draws_spec(const pfx_draws *d);
pfx_idx pfx_draws_n(const pfx_draws *d); /* draws that it holds: from the spec's first on */
bool pfx_draws_complete(const pfx_draws *d);

/* Draws first .. first + n - 1 of this file (counted from 0) of field f (PFX_DRAW_ESTIMATE .., then the
 * method's own), buf [n x n_terms]. FORMAT: a checksum is wrong. */
pfx_status pfx_draws_read(pfx_draws *d, int f, pfx_idx first, pfx_idx n, double *buf, pfx_err *err) PFX_MUST;
/* The full-sample fit as JSON, a new string. */
pfx_status pfx_draws_fit(pfx_draws *d, char **json, pfx_err *err) PFX_MUST;
/* Hand draws from .. to - 1 of this file (counted from 0) to the sinks, in blocks. FORMAT, and what a sink
 * fails with. */
pfx_status pfx_draws_replay(pfx_draws *d, pfx_idx from, pfx_idx to, int n_sinks, const pfx_draw_sink *sinks,
                            pfx_err *err) PFX_MUST;
/* Read everything once: checksums, replicates in order. FORMAT names the first fault. */
pfx_status pfx_draws_check(pfx_draws *d, pfx_err *err) PFX_MUST;

#endif
