/* Blocks of a row source: units, reading, finishing. Block k ends at the last unit boundary at or before row
 * (k+1) x block_rows, so that blocks follow the chunks of the file; a unit that spans a whole block makes
 * that block longer. Every chunk is read, checked and decompressed once: the rows of it that belong to the
 * next block are carried over (raw columns), or stay in HDF5's chunk cache (the others). */
#include "hdf5_io/panel_block.h"

#include <string.h>
#include "hdf5_io/fletcher32.h"
#include "hdf5_io/widen.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"

/* ---- units ---- */

/* unit_start[i] for i that never goes back by more than the buffer. The lock is taken for each read, so that
 * a sink may write meanwhile. */
static pfx_status unit_end(source *s, pfx_idx i, pfx_idx *out, pfx_err *err)
{
    pfx_status st = PFX_OK;
    if (i < s->index0 || i >= s->index0 + s->index_n) {
        pfx_idx n = s->p->n_units + 1 - i;
        n = n < PFX_INDEX_ROWS ? n : PFX_INDEX_ROWS;
        pfx_h5_lock();
        st =
            pfx_h5_read_rows(&s->p->h5, PFX_PANEL_INDEX, s->index, H5T_NATIVE_INT64, i, n, s->index_buf, err);
        pfx_h5_unlock();
        if (st != PFX_OK) return st;
        s->index0 = i;
        s->index_n = n;
    }
    *out = s->index_buf[i - s->index0];
    return st;
}

static pfx_status index_fault(const source *s, pfx_idx i, pfx_err *err)
{
    return pfx_fail(err, PFX_EFORMAT,
                    "%s:/%s: row %lld: not the first row of a unit; the file is damaged, import again",
                    s->p->h5.path, PFX_PANEL_INDEX, (long long)i + 1);
}

static pfx_status grow_units(slot *b, pfx_err *err)
{
    pfx_idx cap = b->cap_units ? 2 * b->cap_units : 1024;
    pfx_idx *start = pfx_mem_realloc(b->unit_start, cap, sizeof *start, err);
    if (!start) return PFX_ENOMEM;
    b->unit_start = start;
    b->cap_units = cap;
    return PFX_OK;
}

/* Choose the units of the next block. */
static pfx_status take_units(source *s, slot *b, pfx_err *err)
{
    pfx_idx end = s->row, n = 0, first = 0;
    pfx_status st;
    if (s->unit == 0) {
        if ((st = unit_end(s, 0, &first, err)) != PFX_OK) return st;
        if (first != 0) return index_fault(s, 0, err);
    }
    while (s->unit + n < s->p->n_units) {
        pfx_idx e;
        if ((st = unit_end(s, s->unit + n + 1, &e, err)) != PFX_OK) return st;
        if (e <= end || e > s->p->n_rows) return index_fault(s, s->unit + n + 1, err);
        if (n > 0 && e > s->target) break;
        if (n + 2 > b->cap_units && (st = grow_units(b, err)) != PFX_OK) return st;
        b->unit_start[n++] = end - s->row;
        end = e;
        if (end >= s->target) break;
    }
    if (s->unit + n == s->p->n_units && end != s->p->n_rows) return index_fault(s, s->p->n_units, err);
    b->unit_start[n] = end - s->row;
    b->frame.row0 = s->row;
    b->frame.n_rows = end - s->row;
    b->frame.unit0 = s->unit;
    b->frame.n_units = n;
    b->frame.unit_start = b->unit_start;
    b->chunk0 = b->chunk1 = s->chunk;
    while (b->chunk1 < end) b->chunk1 += s->chunk_rows;
    s->chunk = b->chunk1;
    s->unit += n;
    s->row = end;
    /* Past the end of the block and of the last target: a block that stopped short of it leaves a few rows,
     * which belong to the next one. */
    if (end < s->target) end = s->target;
    s->target = (end / s->block_rows + 1) * s->block_rows;
    return PFX_OK;
}

/* ---- where the columns lie ---- */

enum { LINE = 64 };

static pfx_idx up_to_line(pfx_idx bytes)
{
    return (bytes + LINE - 1) / LINE * LINE;
}

/* The column's bytes in the slot's memory, and where its parts begin:
 *     raw       carried rows, which end at a cache line, then the chunks, the last checksum behind them
 *     converted the same, the carried rows left out, then the doubles: carried rows and all
 *     else      the block's rows, 8 bytes each twice where they are converted */
typedef struct place {
    pfx_idx chunks, values, bytes;
} place;

static place place_of(const source *s, const source_col *c, const slot *b)
{
    pfx_idx size = (pfx_idx)pfx_dtype_size(c->spec->dtype);
    pfx_idx n = c->raw ? b->chunk1 - b->chunk0 : b->frame.n_rows;
    pfx_idx carried = c->raw ? b->chunk0 - b->frame.row0 : 0;
    pfx_idx front = up_to_line(carried * size), stored = up_to_line(n * size + 4);
    (void)s;
    if (!c->convert) return (place){front, front - carried * size, front + stored};
    return (place){0, stored, stored + up_to_line((carried + n) * 8)};
}

static pfx_status place_columns(source *s, slot *b, pfx_err *err)
{
    pfx_idx bytes = 0, per_column = (b->chunk1 - b->chunk0) / s->chunk_rows;
    for (int c = 0; c < s->n_read; c++) bytes += place_of(s, &s->cols[c], b).bytes;
    if (bytes > b->cap_mem) {
        pfx_mem_free(b->mem);
        b->cap_mem = 0;
        bytes += bytes / 8; /* blocks differ by a few rows; pages that are not used cost nothing */
        if (!(b->mem = pfx_mem_alloc(bytes, 1, err))) return PFX_ENOMEM;
        b->cap_mem = bytes;
    }
    if (s->n_read * per_column > b->cap_chunks) {
        pfx_mem_free(b->chunks);
        b->cap_chunks = 0;
        if (!(b->chunks = pfx_mem_alloc(s->n_read * per_column, sizeof *b->chunks, err))) return PFX_ENOMEM;
        b->cap_chunks = s->n_read * per_column;
    }
    char *at = b->mem;
    for (int c = 0; c < s->n_read; c++) {
        const source_col *col = &s->cols[c];
        place pl = place_of(s, col, b);
        void *values = at + pl.values;
        b->cols[c].num = col->spec->kind == PFX_CATEGORY ? NULL : values;
        b->cols[c].code = col->spec->kind == PFX_CATEGORY ? values : NULL;
        for (pfx_idx k = 0; k < per_column; k++)
            b->chunks[c * per_column + k].data =
                at + pl.chunks + k * s->chunk_rows * (pfx_idx)col->layout.size;
        at += pl.bytes;
    }
    return PFX_OK;
}

/* ---- reading: the thread that calls HDF5 ---- */

static void read_chunks(source *s, int c, slot *b)
{
    const source_col *col = &s->cols[c];
    pfx_idx per_column = (b->chunk1 - b->chunk0) / s->chunk_rows;
    for (pfx_idx k = 0; k < per_column; k++) {
        slot_chunk *ch = &b->chunks[c * per_column + k];
        pfx_h5_lock();
        ch->read =
            pfx_h5_read_chunk(col->ds, &col->layout, b->chunk0 + k * s->chunk_rows, ch->data, &ch->checksum);
        pfx_h5_unlock();
    }
}

/* The elements as they are in the file, where finishing looks for them. */
static void *unconverted(const source *s, int c, const slot *b)
{
    char *values = b->cols[c].num ? (char *)b->cols[c].num : (char *)b->cols[c].code;
    return s->cols[c].convert ? values - place_of(s, &s->cols[c], b).values : values;
}

void pfx_block_fill(source *s, slot *b)
{
    pfx_err *err = &b->err;
    pfx_err_clear(err);
    b->st = PFX_OK;
    b->finished = false;
    b->end = s->unit >= s->p->n_units;
    if (b->end) return;
    if ((b->st = take_units(s, b, err)) == PFX_OK) b->st = place_columns(s, b, err);
    for (int c = 0; c < s->n_read && b->st == PFX_OK; c++) {
        const source_col *col = &s->cols[c];
        if (col->raw) {
            read_chunks(s, c, b);
            continue;
        }
        pfx_h5_lock();
        b->st = pfx_h5_read_rows(&s->p->h5, col->where, col->ds, pfx_h5_memory_type(col->spec->dtype),
                                 b->frame.row0, b->frame.n_rows, unconverted(s, c, b), err);
        pfx_h5_unlock();
    }
    b->frame.time = s->time_col >= 0 ? b->cols[s->time_col].num : NULL;
    b->end = b->st != PFX_OK;
}

/* ---- finishing: the consumer and its threads ---- */

void pfx_block_carry(const source *s, const slot *before, slot *b)
{
    pfx_idx n = b->chunk0 - b->frame.row0, from = b->frame.row0 - before->frame.row0;
    if (b->end || n == 0) return;
    for (int c = 0; c < s->n_read; c++) {
        if (!s->cols[c].raw) continue;
        if (b->cols[c].num)
            memcpy(b->cols[c].num, before->cols[c].num + from, (size_t)n * sizeof(double));
        else
            memcpy(b->cols[c].code, before->cols[c].code + from, (size_t)n * sizeof(int32_t));
    }
}

static pfx_status check_codes(const source *s, const source_col *c, pfx_idx row0, pfx_idx n,
                              const int32_t *code, pfx_err *err)
{
    const int32_t n_levels = (int32_t)c->spec->n_levels;
    bool good = true;
    for (pfx_idx r = 0; r < n; r++)
        good &= (code[r] < n_levels) & ((code[r] >= 0) | (code[r] == PFX_NA_CODE));
    for (pfx_idx r = 0; r < n && !good; r++)
        if (code[r] >= n_levels || (code[r] < 0 && code[r] != PFX_NA_CODE))
            return pfx_fail(err, PFX_EFORMAT, "%s:/%s: row %lld: code %d, but there are %d levels",
                            s->p->h5.path, c->where, (long long)(row0 + r) + 1, code[r], n_levels);
    return PFX_OK;
}

/* Rows [row0, row0 + n), whose elements are at `raw`, to the column. */
static pfx_status finish_rows(const source *s, int c, slot *b, pfx_idx row0, pfx_idx n, const void *raw,
                              pfx_err *err)
{
    const source_col *col = &s->cols[c];
    pfx_idx at = row0 - b->frame.row0;
    if (col->convert) pfx_widen(pfx_cpu_best(), col->spec->dtype, n, raw, b->cols[c].num + at);
    return b->cols[c].code ? check_codes(s, col, row0, n, b->cols[c].code + at, err) : PFX_OK;
}

typedef struct finish {
    source *s;
    slot *b;
    pfx_idx per_column;
    bool verify;
} finish;

/* A chunk that is not what its checksum says, or that could not be read as it lies, is left to HDF5: it reads
 * the chunk, or names the fault. */
static void finish_chunk(void *ctx, pfx_idx i, int thread)
{
    const finish *f = ctx;
    source *s = f->s;
    slot *b = f->b;
    int c = (int)(i / f->per_column);
    const source_col *col = &s->cols[c];
    slot_chunk *ch = &b->chunks[i];
    pfx_idx row0 = b->chunk0 + i % f->per_column * s->chunk_rows;
    pfx_idx n = s->p->n_rows - row0 < s->chunk_rows ? s->p->n_rows - row0 : s->chunk_rows;
    (void)thread;
    if (!col->raw) return;
    pfx_err_clear(&ch->err);
    ch->st = PFX_OK;
    size_t bytes = (size_t)s->chunk_rows * col->layout.size;
    if (!ch->read || (f->verify && col->layout.checksum && pfx_fletcher32(pfx_cpu_best(), bytes, ch->data) != ch->checksum)) {
        pfx_h5_lock();
        ch->st = pfx_h5_read_rows(&s->p->h5, col->where, col->ds, pfx_h5_memory_type(col->spec->dtype), row0,
                                  n, ch->data, &ch->err);
        pfx_h5_unlock();
    }
    if (ch->st == PFX_OK) ch->st = finish_rows(s, c, b, row0, n, ch->data, &ch->err);
}

void pfx_block_finish(source *s, slot *b)
{
    finish f = {.s = s, .b = b, .per_column = (b->chunk1 - b->chunk0) / s->chunk_rows};
    if (b->finished || b->end) return;
    b->finished = true;
    f.verify = s->o.verify == PFX_VERIFY_ALWAYS || (s->o.verify == PFX_VERIFY_ONCE && !s->verified);
    for (int c = 0; c < s->n_read && b->st == PFX_OK; c++)
        if (!s->cols[c].raw)
            b->st = finish_rows(s, c, b, b->frame.row0, b->frame.n_rows, unconverted(s, c, b), &b->err);
    pfx_idx n = s->n_read * f.per_column;
    if (b->st == PFX_OK) pfx_par_for(n, s->o.nth > 0 ? s->o.nth : 1, finish_chunk, &f);
    for (pfx_idx i = 0; i < n && b->st == PFX_OK; i++) {
        if (!s->cols[i / f.per_column].raw || b->chunks[i].st == PFX_OK) continue;
        b->st = b->chunks[i].st;
        b->err = b->chunks[i].err;
    }
    b->end = b->st != PFX_OK;
    if (!b->end && b->frame.row0 + b->frame.n_rows == s->p->n_rows) s->verified = true;
}

void pfx_block_free(slot *b)
{
    pfx_mem_free(b->cols);
    pfx_mem_free(b->unit_start);
    pfx_mem_free(b->mem);
    pfx_mem_free(b->chunks);
}
