#include "src/data/import_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "src/base/mem.h"

/* A slab: one header word a column and one for the row numbers, then the arrays, each 8-byte aligned. A
 * header word is the array's offset in bytes, its lowest bit 1 for int32; 0: no array. */
typedef uint64_t slab_word;
enum { NARROW = 1 };

static size_t pad8(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

pfx_status pfx_import_table_init(pfx_import_table *t, int n_cols, int n_dicts, size_t budget,
                                 const char *tmpdir, pfx_err *err)
{
    *t = (pfx_import_table){
        .n_cols = n_cols, .n_dicts = n_dicts, .budget = budget, .tmpdir = tmpdir, .fd = -1};
    t->form = pfx_mem_calloc(n_cols, sizeof *t->form, err);
    t->dicts = pfx_mem_calloc((pfx_idx)n_dicts * n_cols, sizeof *t->dicts, err);
    return t->form && t->dicts ? PFX_OK : PFX_ENOMEM;
}

void pfx_import_table_clear(pfx_import_table *t)
{
    for (pfx_idx b = 0; b < t->n_blocks; b++) pfx_mem_free(t->blocks[b].slab);
    for (pfx_idx d = 0; t->dicts && d < (pfx_idx)t->n_dicts * t->n_cols; d++) pfx_dict_free(&t->dicts[d]);
    if (t->fd >= 0) close(t->fd);
    t->fd = -1;
    t->fd_bytes = 0;
    t->n_blocks = t->n_rows = 0;
    t->held = 0;
}

void pfx_import_table_free(pfx_import_table *t)
{
    if (!t) return;
    pfx_import_table_clear(t);
    pfx_mem_free(t->form);
    pfx_mem_free(t->dicts);
    pfx_mem_free(t->blocks);
    *t = (pfx_import_table){.fd = -1};
}

/* int32 values alone (-0 becomes 0): they take half the room. */
static bool fits_int32(pfx_idx n, const double *x)
{
    bool ok = true;
    for (pfx_idx i = 0; i < n; i++) {
        double v = x[i] != x[i] ? 0 : x[i];
        ok &= v > -2147483648.0 && v <= 2147483647.0;
        ok &= (double)(int32_t)(ok ? v : 0) == v;
    }
    return ok;
}

static void put_narrow(pfx_idx n, const double *x, int32_t *out)
{
    for (pfx_idx i = 0; i < n; i++) out[i] = x[i] != x[i] ? PFX_NA_CODE : (int32_t)x[i];
}

pfx_status pfx_block_pack(const pfx_import_table *t, pfx_idx n_rows, const void *const *cells,
                          const int32_t *line_no, pfx_block *out, pfx_err *err)
{
    slab_word *head = pfx_mem_alloc(t->n_cols + 1, sizeof *head, err);
    if (!head) return PFX_ENOMEM;
    size_t at = pad8((size_t)(t->n_cols + 1) * sizeof *head);
    for (int c = 0; c <= t->n_cols; c++) {
        bool numbers = c < t->n_cols && t->form[c] == PFX_FORM_NUMBER;
        const void *from = c < t->n_cols ? cells[c] : line_no;
        bool narrow = !numbers || (from && fits_int32(n_rows, from));
        head[c] = from ? at | (narrow ? NARROW : 0) : 0;
        if (from) at += pad8((size_t)n_rows * (narrow ? 4 : 8));
    }
    out->slab = pfx_mem_alloc((pfx_idx)at, 1, err);
    if (out->slab) {
        char *slab = out->slab;
        memcpy(slab, head, (size_t)(t->n_cols + 1) * sizeof *head);
        for (int c = 0; c <= t->n_cols; c++) {
            const void *from = c < t->n_cols ? cells[c] : line_no;
            void *to = slab + (head[c] & ~(slab_word)NARROW);
            if (!from) continue;
            if (c < t->n_cols && t->form[c] == PFX_FORM_NUMBER && (head[c] & NARROW))
                put_narrow(n_rows, from, to);
            else
                memcpy(to, from, (size_t)n_rows * (head[c] & NARROW ? 4 : 8));
        }
        out->slab_bytes = at;
        out->n_rows = n_rows;
    }
    pfx_mem_free(head);
    return out->slab ? PFX_OK : PFX_ENOMEM;
}

static pfx_status spill(pfx_import_table *t, pfx_block *b, pfx_err *err)
{
    pfx_status st = pfx_tmpfile_write(t->fd, t->tmpdir, t->fd_bytes, b->slab_bytes, b->slab, err);
    if (st != PFX_OK) return st;
    b->offset = t->fd_bytes;
    t->fd_bytes += (int64_t)b->slab_bytes;
    pfx_mem_free(b->slab);
    b->slab = NULL;
    return PFX_OK;
}

pfx_status pfx_import_table_add(pfx_import_table *t, pfx_block *b, pfx_err *err)
{
    if (t->n_blocks == t->cap_blocks) {
        pfx_idx cap = t->cap_blocks ? t->cap_blocks * 2 : 64;
        pfx_block *blocks = pfx_mem_realloc(t->blocks, cap, sizeof *blocks, err);
        if (!blocks) return PFX_ENOMEM;
        t->blocks = blocks;
        t->cap_blocks = cap;
    }
    t->blocks[t->n_blocks++] = *b;
    t->n_rows += b->n_rows;
    t->held += b->slab_bytes;
    b->slab = NULL;
    if (t->fd < 0 && t->held <= t->budget) return PFX_OK;
    pfx_idx from = t->n_blocks - 1;
    if (t->fd < 0) { /* the budget is used up: all blocks move, so that the memory is free for sorting */
        t->fd = pfx_tmpfile_open(t->tmpdir, err);
        if (t->fd < 0) return PFX_EIO;
        from = 0;
    }
    for (pfx_idx i = from; i < t->n_blocks; i++) {
        pfx_status st = spill(t, &t->blocks[i], err);
        if (st != PFX_OK) return st;
    }
    t->held = 0;
    return PFX_OK;
}

bool pfx_import_table_in_memory(const pfx_import_table *t)
{
    return t->fd < 0;
}

pfx_status pfx_import_table_load(pfx_import_table *t, pfx_idx b, pfx_err *err)
{
    pfx_block *k = &t->blocks[b];
    if (k->slab) return PFX_OK;
    k->slab = pfx_mem_alloc((pfx_idx)k->slab_bytes, 1, err);
    if (!k->slab) return PFX_ENOMEM;
    return pfx_tmpfile_read(t->fd, t->tmpdir, k->offset, k->slab_bytes, k->slab, err);
}

void pfx_import_table_release(pfx_import_table *t, pfx_idx b)
{
    if (t->fd < 0) return;
    pfx_mem_free(t->blocks[b].slab);
    t->blocks[b].slab = NULL;
}

pfx_cells pfx_import_table_cells(const pfx_import_table *t, pfx_idx b, int col)
{
    const char *slab = t->blocks[b].slab;
    slab_word w = ((const slab_word *)t->blocks[b].slab)[col];
    const void *at = slab + (w & ~(slab_word)NARROW);
    return (pfx_cells){w == 0 || (w & NARROW) ? NULL : at, w & NARROW ? at : NULL};
}

pfx_status pfx_import_table_row(pfx_import_table *t, pfx_cell_ref ref, pfx_idx *row, pfx_err *err)
{
    pfx_idx b = ref >> 32, i = ref & UINT32_MAX;
    bool loaded = t->blocks[b].slab != NULL;
    pfx_status st = pfx_import_table_load(t, b, err);
    if (st == PFX_OK) {
        const int32_t *line = pfx_import_table_cells(t, b, t->n_cols).i32;
        *row = t->blocks[b].first_row + (line ? line[i] : i);
    }
    if (!loaded) pfx_import_table_release(t, b);
    return st;
}

/* ---- temporary files ---- */

static const char *tmp_folder(const char *dir)
{
    if (!dir || !*dir) dir = getenv("TMPDIR");
    return dir && *dir ? dir : "/tmp";
}

int pfx_tmpfile_open(const char *dir, pfx_err *err)
{
    const char *folder = tmp_folder(dir);
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) return fd;
    char path[4096]; /* a filesystem without O_TMPFILE: create and unlink */
    if (snprintf(path, sizeof path, "%s/panelfx-XXXXXX", folder) < (int)sizeof path &&
        (fd = mkstemp(path)) >= 0)
        unlink(path);
    else
        pfx_fail(err, PFX_EIO, "cannot make a temporary file in %s: %s; name another folder with --tmpdir",
                 folder, strerror(errno));
    return fd;
}

pfx_status pfx_tmpfile_write(int fd, const char *dir, int64_t offset, size_t n, const void *buf, pfx_err *err)
{
    const char *p = buf;
    while (n) {
        ssize_t k = pwrite(fd, p, n, offset);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0)
            return pfx_fail(err, PFX_EIO,
                            "cannot write a temporary file in %s: %s; name another folder with --tmpdir, or "
                            "raise --memory",
                            tmp_folder(dir), k < 0 ? strerror(errno) : "nothing written");
        p += k, offset += k, n -= (size_t)k;
    }
    return PFX_OK;
}

pfx_status pfx_tmpfile_read(int fd, const char *dir, int64_t offset, size_t n, void *buf, pfx_err *err)
{
    char *p = buf;
    while (n) {
        ssize_t k = pread(fd, p, n, offset);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0)
            return pfx_fail(err, PFX_EIO, "cannot read back a temporary file in %s: %s", tmp_folder(dir),
                            k < 0 ? strerror(errno) : "it is shorter than what was written");
        p += k, offset += k, n -= (size_t)k;
    }
    return PFX_OK;
}
