/* The stats file: what the replicates of a plan are drawn from, as hdf5_io/SCHEMA.md says. */
#ifndef PFX_HDF5_IO_STATS_H
#define PFX_HDF5_IO_STATS_H

#include "src/base/bag.h"

/* What the statistics are of. Texts belong to the caller. */
typedef struct pfx_stats_spec {
    const char *command, *method;           /* "boot", "pairs" */
    const char *options;                    /* lines "name=value", as of a draws file */
    const char *spec_digest, *panel_digest; /* SHA-256 of options, and of the columns that were read */
    const char *numerics;                   /* instruction set that the bits belong to */
} pfx_stats_spec;

/* Write all of b to path, through a temporary. USAGE: exists and no force. IO, NOMEM. */
pfx_status pfx_stats_write(const char *path, bool force, const pfx_stats_spec *s, const pfx_bag *b,
                           pfx_err *err) PFX_MUST;

typedef struct pfx_stats pfx_stats;
/* Open for reading. IO: missing, unreadable. FORMAT: not a stats file, truncated, newer version. */
pfx_status pfx_stats_open(const char *path, pfx_stats **out, pfx_err *err) PFX_MUST;
void pfx_stats_close(pfx_stats *s);
const pfx_stats_spec *pfx_stats_of(const pfx_stats *s);
const char *pfx_stats_engine(const pfx_stats *s); /* version of panelfx that wrote it */
/* Its arrays, in a new bag that gives them out; s must stay as long as the bag. FORMAT: a checksum is wrong.
 * NOMEM. */
pfx_status pfx_stats_read(pfx_stats *s, pfx_bag **out, pfx_err *err) PFX_MUST;

#endif
