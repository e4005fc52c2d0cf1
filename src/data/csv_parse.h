/* One chunk of CSV text into one block of a table, through libcsv. Chunks are parsed in parallel, a worker
 * each. */
#ifndef PFX_DATA_CSV_PARSE_H
#define PFX_DATA_CSV_PARSE_H

#include "src/data/csv_input.h"
#include "src/data/import_table.h"
#include "src/data/import_types.h"

typedef enum pfx_csv_fault {
    PFX_CSV_OK,
    PFX_CSV_FEW,  /* a row with too few fields */
    PFX_CSV_MANY, /* with too many */
    PFX_CSV_NUL,  /* a NUL byte */
    PFX_CSV_NOT_UTF8,
    PFX_CSV_NOT_DECODED, /* bytes that are not of the encoding asked for */
    PFX_CSV_OPEN_QUOTE,  /* a quote that is never closed */
    PFX_CSV_LONG         /* a record that exceeds the limit */
} pfx_csv_fault;

typedef struct pfx_csv_result {
    pfx_block block;     /* first_row counts from the chunk's first line; owned by the caller */
    pfx_idx n_lines;     /* rows, blank lines and the header */
    pfx_csv_fault fault; /* the first one, if any; the block is then empty */
    pfx_idx line;        /* its line within the chunk, from 0 */
    int field;           /* its field, from 0; FEW and MANY: how many there are */
    size_t offset;       /* of the bad byte in the chunk */
} pfx_csv_result;

typedef struct pfx_csv_worker pfx_csv_worker;

/* set: the table's dictionary set that this worker alone fills. table and missing must outlive it. ENOMEM. */
pfx_status pfx_csv_worker_new(const pfx_import_table *table, const pfx_missing *missing, char delimiter,
                              int set, pfx_csv_worker **out, pfx_err *err) PFX_MUST;
void pfx_csv_worker_free(pfx_csv_worker *w);
/* What this worker's number columns looked like so far, [n_cols]; reset starts anew. */
const pfx_cell_stats *pfx_csv_worker_stats(const pfx_csv_worker *w);
void pfx_csv_worker_reset(pfx_csv_worker *w);

/* Parse a chunk. block: the number its block will have. header: skip the first record.
 * ENOMEM; a fault of the text is no error here: the caller knows the row number and words it. */
pfx_status pfx_csv_parse_chunk(pfx_csv_worker *w, const pfx_csv_chunk *chunk, pfx_idx block, bool header,
                               pfx_csv_result *out, pfx_err *err) PFX_MUST;

/* The fields of the first record of text [n] (a header), as new strings in a new array. DATA: a NUL or bytes
 * that are no UTF-8, or a quote left open. */
pfx_status pfx_csv_parse_header(const char *text, size_t n, char delimiter, const char *path, int *n_fields,
                                char ***fields, pfx_err *err) PFX_MUST;

/* Bytes at the start of text [n] that are well-formed UTF-8 without NUL; n if all are. */
size_t pfx_csv_sound_prefix(const char *text, size_t n);

#endif
