/* A row source that shows its progress on stderr while it is read. */
#ifndef PFX_CMD_WATCH_H
#define PFX_CMD_WATCH_H

#include <stdbool.h>
#include "src/base/stream.h"

typedef struct pfx_watch {
    pfx_row_source inner;
} pfx_watch;

/* A source with the rows of `inner`, which it takes over: closing it closes inner and takes the bar away.
 * w must outlive it. */
pfx_row_source pfx_watch_source(pfx_watch *w, pfx_row_source inner);

/* The first rows of a source: blocks until there are `rows` of them. Closing it closes inner. l must outlive
 * it. */
typedef struct pfx_first_rows {
    pfx_row_source inner;
    pfx_idx rows;
    bool over;
} pfx_first_rows;
pfx_row_source pfx_first_rows_source(pfx_first_rows *l, pfx_idx rows, pfx_row_source inner);

#endif
