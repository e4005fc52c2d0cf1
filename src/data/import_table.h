/* What an importer has read so far, in file order: blocks of rows, column by column, in memory or, when they
 * exceed the budget, in an unnamed temporary file. Text cells are codes of per-thread dictionaries. */
#ifndef PFX_DATA_IMPORT_TABLE_H
#define PFX_DATA_IMPORT_TABLE_H

#include <math.h>
#include <stdbool.h>
#include "src/data/import_dict.h"

/* How a column's cells lie in the table. A labelled number is a double here and may become a category later.
 */
typedef enum pfx_form { PFX_FORM_SKIP, PFX_FORM_NUMBER, PFX_FORM_TEXT } pfx_form;

/* The columns of one block of rows. cell[c] points to int32_t when narrow[c] (missing: PFX_NA_CODE), else to
 * double (missing: NaN). */
typedef struct pfx_block {
    pfx_idx n_rows;
    pfx_idx first_row; /* number, in the file, of the first row: see pfx_import_table_row */
    int dict;          /* dictionary set of its codes */
    void *slab;        /* the cells; NULL while they are in the temporary file */
    size_t slab_bytes;
    int64_t offset; /* in the temporary file */
} pfx_block;

/* One column of one block, as the block's slab has it. */
typedef struct pfx_cells {
    const double *f64; /* exactly one of the two is set; both NULL: skipped column */
    const int32_t *i32;
} pfx_cells;

typedef struct pfx_import_table {
    int n_cols;
    pfx_form *form;  /* [n_cols] */
    int n_dicts;     /* dictionary sets: one per parsing thread */
    pfx_dict *dicts; /* [n_dicts * n_cols] */
    pfx_idx n_rows, n_blocks, cap_blocks;
    pfx_block *blocks;
    size_t budget, held; /* bytes of slabs allowed and now in memory */
    const char *tmpdir;
    int fd; /* temporary file, -1: none yet */
    int64_t fd_bytes;
} pfx_import_table;

pfx_status pfx_import_table_init(pfx_import_table *t, int n_cols, int n_dicts, size_t budget,
                                 const char *tmpdir, pfx_err *err) PFX_MUST;
/* Forget rows and texts, keep columns and forms: a second pass begins. */
void pfx_import_table_clear(pfx_import_table *t);
void pfx_import_table_free(pfx_import_table *t);

static inline pfx_dict *pfx_import_table_dict(const pfx_import_table *t, int set, int col)
{
    return &t->dicts[(pfx_idx)set * t->n_cols + col];
}

/* Pack a block: number columns that hold only int32 values are narrowed.
 * cells    [n_cols] doubles or codes by form, [n_rows] each; NULL for skipped columns
 * line_no  [n_rows] row numbers relative to first_row, or NULL where row i is number first_row + i
 * Threads: any, on different blocks. ENOMEM. */
pfx_status pfx_block_pack(const pfx_import_table *t, pfx_idx n_rows, const void *const *cells,
                          const int32_t *line_no, pfx_block *out, pfx_err *err) PFX_MUST;
/* Take the block over, spilling to the temporary file if the budget is exceeded. IO, ENOMEM. */
pfx_status pfx_import_table_add(pfx_import_table *t, pfx_block *b, pfx_err *err) PFX_MUST;

/* True when every block is in memory. */
bool pfx_import_table_in_memory(const pfx_import_table *t);
/* Bring block b's slab into memory (no-op if it is); release what load brought in. IO, ENOMEM. */
pfx_status pfx_import_table_load(pfx_import_table *t, pfx_idx b, pfx_err *err) PFX_MUST;
void pfx_import_table_release(pfx_import_table *t, pfx_idx b);
/* Column of a loaded block. */
pfx_cells pfx_import_table_cells(const pfx_import_table *t, pfx_idx b, int col);
static inline double pfx_cells_number(pfx_cells c, pfx_idx i)
{
    return c.f64 ? c.f64[i] : c.i32[i] == PFX_NA_CODE ? NAN : (double)c.i32[i];
}

/* Number of the row in the file, as the user counts. IO when the block has to be read back. */
pfx_status pfx_import_table_row(pfx_import_table *t, pfx_cell_ref ref, pfx_idx *row, pfx_err *err) PFX_MUST;

/* An unnamed file in dir (NULL: $TMPDIR, else /tmp): it is gone when it is closed, however the program ends.
 * -1 with IO in err. */
int pfx_tmpfile_open(const char *dir, pfx_err *err);
/* Write or read exactly n bytes at offset of a temporary file. IO naming the folder. */
pfx_status pfx_tmpfile_write(int fd, const char *dir, int64_t offset, size_t n, const void *buf,
                             pfx_err *err) PFX_MUST;
pfx_status pfx_tmpfile_read(int fd, const char *dir, int64_t offset, size_t n, void *buf,
                            pfx_err *err) PFX_MUST;

#endif
