/* The bytes of a text table: opened, decoded to UTF-8, hashed, and cut at the ends of records. */
#ifndef PFX_DATA_CSV_INPUT_H
#define PFX_DATA_CSV_INPUT_H

#include <stdbool.h>
#include "src/base/sha256.h"
#include "src/base/status.h"

/* Why the text ends where a chunk ends, when that is not a record's end. */
typedef enum pfx_csv_flaw { PFX_CSV_SOUND, PFX_CSV_UNDECODABLE, PFX_CSV_TOO_LONG } pfx_csv_flaw;

typedef struct pfx_csv_chunk {
    const char *text;
    size_t len;
    pfx_csv_flaw flaw; /* at text + len */
} pfx_csv_chunk;

/* Some whole records, in chunks of about equal length, for parsing in parallel. Start from {0}. */
typedef struct pfx_csv_batch {
    int n_chunks, cap_chunks;
    pfx_csv_chunk *chunks; /* [n_chunks]; 0 chunks: the end of the file */
    char *buf;
    size_t cap;
} pfx_csv_batch;
void pfx_csv_batch_free(pfx_csv_batch *b);

typedef struct pfx_csv_input_options {
    const char *encoding; /* an iconv name, NULL: UTF-8, or UTF-16 where a byte order mark says so */
    char delimiter;       /* 0: the candidate , ; tab | that the header line has most of */
    size_t chunk_bytes;
    int batch_chunks;
    size_t max_record;  /* bytes; a longer record is a flaw */
    const char *tmpdir; /* for a copy of what cannot be read twice (a pipe) */
} pfx_csv_input_options;

typedef struct pfx_csv_input pfx_csv_input;

/* IO: cannot open or read. FORMAT: empty, a workbook, compressed. USAGE: unknown encoding. */
pfx_status pfx_csv_input_open(const char *path, const pfx_csv_input_options *o, pfx_csv_input **out,
                              pfx_err *err) PFX_MUST;
void pfx_csv_input_close(pfx_csv_input *in);
pfx_status pfx_csv_input_rewind(pfx_csv_input *in, pfx_err *err) PFX_MUST;
/* The next records, into the batch's own memory. One thread at a time. IO, ENOMEM. */
pfx_status pfx_csv_input_next(pfx_csv_input *in, pfx_csv_batch *b, pfx_err *err) PFX_MUST;

char pfx_csv_input_delimiter(const pfx_csv_input *in);
const char *pfx_csv_input_encoding(const pfx_csv_input *in);
int64_t pfx_csv_input_size(const pfx_csv_input *in); /* bytes of the file */
int64_t pfx_csv_input_done(const pfx_csv_input *in); /* bytes read in this pass */
/* Checksum of the file as it lies on disk; known after a whole pass. */
const char *pfx_csv_input_sha256(const pfx_csv_input *in);
/* "GB18030" when the text of the file around the given bytes decodes as that, else "windows-1252". */
const char *pfx_csv_guess_encoding(const char *text, size_t n);

/* Ends of records in text[0..n), which starts at a record: one at or after each multiple of step, and the
 * last. Returns how many were put into cut [max]. */
int pfx_csv_cuts(const char *text, size_t n, char delimiter, char newline, size_t step, int max, size_t *cut);

#endif
