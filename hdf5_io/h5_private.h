/* Private to hdf5_io: the only header that includes hdf5.h.
 *
 * One caller at a time: HDF5 need not be built thread safe, so whoever calls it holds pfx_h5_lock().
 * Functions declared here expect the lock to be held by their caller. */
#ifndef PFX_HDF5_IO_H5_PRIVATE_H
#define PFX_HDF5_IO_H5_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#define H5_USE_110_API 1 /* the calls that 1.10 has, in later versions too */
#include <hdf5.h>
#include "src/base/frame.h"
#include "src/base/status.h"

/* Rows of a chunk of a column: interface.md "Files". A smaller dataset is one chunk. */
#define PFX_H5_CHUNK_ROWS 65536
#define PFX_PANEL_FORMAT "panelfx-panel"
#define PFX_PANEL_VERSION 1

void pfx_h5_lock(void);
void pfx_h5_unlock(void);

/* ---- files ---- */

typedef struct pfx_h5_output pfx_h5_output;

typedef struct pfx_h5 {
    hid_t id;              /* the file, < 0: not open */
    char *path;            /* as the user named it, for messages */
    pfx_h5_output *output; /* of a file that is written, else NULL */
} pfx_h5;

/* Open for reading. IO: missing, unreadable, not lockable. FORMAT: not HDF5, truncated, damaged, too new. */
pfx_status pfx_h5_open_read(const char *path, pfx_h5 *out, pfx_err *err) PFX_MUST;
/* Create the file `tmp`; messages name `path`. IO. */
pfx_status pfx_h5_create(const char *path, const char *tmp, pfx_h5 *out, pfx_err *err) PFX_MUST;
/* Close a file that was written; a failed flush or close is an error (IO). f is freed in any case. */
pfx_status pfx_h5_close_write(pfx_h5 *f, pfx_err *err) PFX_MUST;
/* Close a file that was read, or one half written whose contents do not matter any more (the objects in it
 * are closed too). Accepts one that is not open. */
void pfx_h5_close(pfx_h5 *f);

/* The driver of a file that is written (h5_driver.c): set it in an access list. NOMEM, IO. */
pfx_status pfx_h5_output_create(hid_t fapl, pfx_h5_output **out, pfx_err *err) PFX_MUST;
int pfx_h5_output_error(const pfx_h5_output *o); /* errno of the first failure, or 0 */

/* ---- messages ---- */

/* pfx_fail, with HDF5's own innermost reason added. `status` holds unless HDF5 says that the operating system
 * refused (then EIO) or that a checksum is wrong (then EFORMAT). */
pfx_status pfx_h5_fail(pfx_err *err, pfx_status status, const char *fmt, ...) PFX_PRINTF(3, 4);
/* Call after each step that writes. IO: a write to the file failed, now or earlier. */
pfx_status pfx_h5_written(const pfx_h5 *f, pfx_err *err) PFX_MUST;

/* ---- attributes: scalars ---- */

/* UTF-8 of at most n bytes (at least 1), padded with NUL. To be closed. */
hid_t pfx_h5_text_type(size_t n);

pfx_status pfx_h5_put_text(const pfx_h5 *f, hid_t obj, const char *name, const char *value,
                           pfx_err *err) PFX_MUST;
pfx_status pfx_h5_put_int(const pfx_h5 *f, hid_t obj, const char *name, pfx_idx value, pfx_err *err) PFX_MUST;
/* Another value for a number that pfx_h5_put_int has put. */
pfx_status pfx_h5_set_int(const pfx_h5 *f, hid_t obj, const char *name, pfx_idx value, pfx_err *err) PFX_MUST;
/* `where` is the object's name for messages. *out is freed by the caller. FORMAT: absent, or of another type.
 */
pfx_status pfx_h5_get_text(const pfx_h5 *f, hid_t obj, const char *where, const char *name, char **out,
                           pfx_err *err) PFX_MUST;
pfx_status pfx_h5_get_int(const pfx_h5 *f, hid_t obj, const char *where, const char *name, pfx_idx *out,
                          pfx_err *err) PFX_MUST;

/* ---- one-dimensional datasets ---- */

hid_t pfx_h5_file_type(pfx_dtype t);   /* little-endian type in the file; not to be closed */
hid_t pfx_h5_memory_type(pfx_dtype t); /* native type; not to be closed */
size_t pfx_dtype_size(pfx_dtype t);

/* Open `where` ("columns/IDC") for reading in order, with a cache of two chunks, and give its rows.
 * FORMAT: absent, or not one-dimensional. */
pfx_status pfx_h5_open_rows(const pfx_h5 *f, const char *where, hid_t *ds, pfx_idx *n_rows,
                            pfx_err *err) PFX_MUST;
/* Rows row0 .. row0+n-1 in memory type `mem` to buf. FORMAT names dataset and rows: checksum wrong, chunk
 * absent. */
pfx_status pfx_h5_read_rows(const pfx_h5 *f, const char *where, hid_t ds, hid_t mem, pfx_idx row0, pfx_idx n,
                            void *buf, pfx_err *err) PFX_MUST;

/* ---- chunks as they lie in the file (h5_chunk.c) ---- */

typedef struct pfx_h5_layout {
    pfx_idx rows;  /* of a chunk; 0: these chunks cannot be read as they lie */
    size_t size;   /* bytes of an element */
    bool checksum; /* Fletcher-32 of each chunk is stored behind it */
} pfx_h5_layout;

/* rows > 0 if the chunks of ds [1-d] hold elements of memory type `mem` as they are, without a filter other than
 * Fletcher-32. */
pfx_h5_layout pfx_h5_chunk_layout(hid_t ds, hid_t mem);
size_t pfx_h5_chunk_bytes(const pfx_h5_layout *l); /* that pfx_h5_read_chunk writes: rows, and the checksum */
/* The chunk that begins at row0 to buf [pfx_h5_chunk_bytes], and its stored checksum, which is compared with
 * nothing here. The last chunk is whole too: what lies behind the last row is filling. false, without a message:
 * this chunk is absent, not like the others, or cannot be read; pfx_h5_read_rows says what is the matter. */
bool pfx_h5_read_chunk(hid_t ds, const pfx_h5_layout *l, pfx_idx row0, void *buf, uint32_t *checksum) PFX_MUST;

/* ---- where chunks lie, so that any thread can read them, without HDF5 and its lock (h5_locate.c) ---- */

typedef struct pfx_h5_locator pfx_h5_locator;
/* NULL where the file cannot be looked through, whatever the reason. f must outlive it, and no chunk may move meanwhile. */
pfx_h5_locator *pfx_h5_locator_open(const pfx_h5 *f);
void pfx_h5_locator_close(pfx_h5_locator *l); /* datasets that were opened in it are closed too; NULL is fine */
int pfx_h5_locator_fd(const pfx_h5_locator *l); /* of the file; not to be closed */
/* Dataset `where` as the locator sees it: for pfx_h5_locate alone. < 0: cannot be opened. To be closed. */
hid_t pfx_h5_locator_dataset(const pfx_h5_locator *l, const char *where);
/* First byte, in the file, of the chunk that begins at row0. buf [pfx_h5_chunk_bytes] may be written to. false, without a
 * message: as pfx_h5_read_chunk. */
bool pfx_h5_locate(pfx_h5_locator *l, hid_t ds, const pfx_h5_layout *layout, pfx_idx row0, void *buf, int64_t *at) PFX_MUST;
/* The checksum stored with the chunk at byte `at`, where its elements begin. false: as pfx_h5_read_bytes. Without the
 * lock. */
bool pfx_h5_read_checksum(int fd, int64_t at, const pfx_h5_layout *l, uint32_t *checksum) PFX_MUST;
/* n bytes from byte `at` on; false: they are not there, or cannot be read. Without the lock. */
bool pfx_h5_read_bytes(int fd, int64_t at, size_t n, void *buf) PFX_MUST;

/* ---- what a dataset holds, in 64 hexadecimal digits (h5_checksum.c) ---- */

#define PFX_H5_CHECKSUM "checksum"
struct pfx_sha256;
/* A chunk's worth of elements, as they lie in memory: their UMAC-64 goes into the digest. */
void pfx_h5_checksum_add(struct pfx_sha256 *sum, size_t bytes, const void *elements);
/* The digest that the writer left in the attribute `checksum`; where there is none (an older file) the one that it
 * would have left, from reading all rows. FORMAT. */
pfx_status pfx_h5_checksum(const pfx_h5 *f, const char *where, char out[65], pfx_err *err) PFX_MUST;

/* Rows for one dataset as they come: a chunk is kept back until it is full, so that a dataset of fewer rows
 * than a chunk becomes a single chunk of its own size. */
typedef struct pfx_h5_writer {
    const pfx_h5 *f;
    char *where;               /* "columns/IDC" */
    hid_t file_type, mem_type; /* not owned */
    const void *fill;          /* an element that stands for missing, or NULL; not owned */
    size_t size;               /* bytes of an element in memory */
    pfx_idx chunk_rows;
    int deflate;
    hid_t ds;
    struct pfx_sha256 *sum; /* of what was flushed: becomes the attribute `checksum` */
    char *buf; /* [chunk_rows] elements, n_buf of them in use: append there, then flush a full one */
    pfx_idx n_buf, n_done;
} pfx_h5_writer;

pfx_status pfx_h5_writer_init(pfx_h5_writer *w, const pfx_h5 *f, const char *where, hid_t file_type,
                              hid_t mem_type, const void *fill, pfx_idx chunk_rows, int deflate,
                              pfx_err *err) PFX_MUST;
/* Write what is buffered; the first flush makes the dataset. */
pfx_status pfx_h5_writer_flush(pfx_h5_writer *w, pfx_err *err) PFX_MUST;
/* Flush what remains and close the dataset. */
pfx_status pfx_h5_writer_finish(pfx_h5_writer *w, pfx_err *err) PFX_MUST;
void pfx_h5_writer_free(pfx_h5_writer *w); /* without writing */

#endif
