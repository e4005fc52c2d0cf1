/* Private to hdf5_io: the blocks of a row source, from chunks of the file to columns of a frame.
 *
 * The reader chooses the units of a block and reads; the consumer finishes it: reads the chunks of direct columns,
 * compares checksums, converts, and puts in front the rows that the chunks of the block before already held. Two slots
 * take turns. Where all columns are direct, nothing is left to be read ahead, and the consumer is the reader too. */
#ifndef PFX_HDF5_IO_PANEL_BLOCK_H
#define PFX_HDF5_IO_PANEL_BLOCK_H

#include <pthread.h>
#include "hdf5_io/fletcher32.h"
#include "hdf5_io/panel_private.h"

typedef struct source_col {
    const pfx_col_spec *spec; /* of the panel */
    char where[300];
    hid_t ds;
    pfx_h5_layout layout;
    bool raw;     /* chunks are read as they lie */
    bool direct;  /* and by any thread, from where they lie */
    hid_t located; /* the dataset in the panel's locator */
    int64_t *at;   /* [chunks] of direct columns: where each lies, 0: not known yet */
    bool convert; /* the file's elements are no doubles: they are widened */
} source_col;

/* A chunk of a raw column, read, or, if direct, found, and not yet finished. */
typedef struct slot_chunk {
    void *data;        /* [chunk_rows] as in the file */
    int64_t at;        /* direct: where it lies in the file */
    uint32_t checksum; /* that was stored with it */
    bool read;         /* false: it could not be read as it lies */
} slot_chunk;

/* A part of its rows, which one thread finishes. */
typedef struct slot_piece {
    pfx_fletcher sum; /* of its bytes, where they are verified */
    bool read, codes_good;
} slot_piece;

typedef struct slot {
    pfx_frame frame;
    pfx_column *cols; /* [n_cols + 1] the last: the time column, where it was not asked for */
    pfx_idx *unit_start;
    pfx_idx cap_units;
    char *mem; /* [cap_mem] bytes: the columns */
    pfx_idx cap_mem;
    pfx_idx chunk0, chunk1; /* rows of the chunks read with this block, by raw columns */
    slot_chunk *chunks;     /* [n_read x chunks] */
    slot_piece *pieces; /* [pieces x n_read] the pieces of all columns' first rows first */
    pfx_idx cap_chunks, cap_pieces;
    bool full, end; /* end: no block here, the panel is over (or st says why) */
    bool finished;  /* columns are as the consumer wants them */
    pfx_status st;
    pfx_err err;
} slot;

typedef struct source {
    pfx_panel *p;
    pfx_panel_source_options o;
    int n_cols, n_read;  /* asked for; read: one more where time was not asked for */
    source_col *cols;    /* [n_read] */
    pfx_col_spec *specs; /* [n_cols] what the consumer sees */
    int time_col;        /* in cols, -1: panel without time */
    pfx_idx block_rows, chunk_rows;
    pfx_idx piece_rows; /* of a chunk, which is cut into as many pieces as there are threads: fewer calls read faster */
    int fd; /* that direct columns are read from */
    bool verified; /* a pass came to the end */
    /* position in the panel */
    pfx_idx row, unit, target, chunk; /* chunk: rows that raw columns were read to */
    hid_t index, index_located;
    pfx_h5_layout index_layout;
    bool index_direct;
    pfx_idx *index_buf, index0, index_n; /* index_buf[0..index_n-1] = unit_start[index0 ...] */
    char *carried; /* [cap_carried] bytes: rows of the last chunks that belong to the next block, column by column */
    pfx_idx cap_carried, n_carried; /* n: rows */
    /* hand-over */
    slot slots[2]; /* the second one only where a thread reads ahead */
    int reading, held; /* slot to fill next, slot to hand out next */
    bool holding;      /* the consumer has slots[held] */
    bool threaded, running, stop;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
} source;

enum { PFX_INDEX_ROWS = PFX_H5_CHUNK_ROWS };

/* Read the next block; b->st, b->err, b->end say how it went. */
void pfx_block_fill(source *s, slot *b);
/* Keep the rows that the chunks of b hold of the next block; then b may be filled again. NOMEM. */
pfx_status pfx_block_keep(source *s, const slot *b, pfx_err *err) PFX_MUST;
/* Put the rows that were kept in front of b, the next block, once it is filled. */
void pfx_block_carry(const source *s, slot *b);
/* Read what is direct, compare checksums and convert, on o.nth threads; b->st and b->end as above. */
void pfx_block_finish(source *s, slot *b);
void pfx_block_free(slot *b);

#endif
