/* Blocks of a row source: units, reading, finishing. Block k ends at the last unit boundary at or before row
 * (k+1) x block_rows, so that blocks follow the chunks of the file; a unit that spans a whole block makes
 * that block longer. Every chunk is read, checked and decompressed once: the rows of it that belong to the
 * next block are carried over (raw columns), or stay in HDF5's chunk cache (the others). */
#include "hdf5_io/panel_block.h"

#include <string.h>
#include "hdf5_io/widen.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"

/* ---- units ---- */

static bool verifies(const source *s)
{
    return s->o.verify == PFX_VERIFY_ALWAYS || (s->o.verify == PFX_VERIFY_ONCE && !s->verified);
}

/* The chunk of the index that begins at entry i0, into index_buf. false: HDF5 has to read it, or to name the
 * fault. */
static bool read_index_chunk(source *s, pfx_idx i0)
{
    const pfx_h5_layout *l = &s->index_layout;
    const size_t bytes = (size_t)l->rows * l->size;
    uint32_t checksum = 0;
    int64_t at = 0;
    pfx_h5_lock();
    bool found = pfx_h5_locate(s->p->locator, s->index_located, l, i0, s->index_buf, &at);
    pfx_h5_unlock();
    if (!found || !pfx_h5_read_bytes(s->fd, at, bytes, s->index_buf)) return false;
    if (!verifies(s) || !l->checksum) return true;
    return pfx_h5_read_checksum(s->fd, at, l, &checksum) &&
           pfx_fletcher32(pfx_cpu_best(), bytes, s->index_buf) == checksum;
}

/* Entry i of the index, and those behind it, into index_buf. The lock is taken for each read, so that a sink
 * may write meanwhile. */
static pfx_status read_index(source *s, pfx_idx i, pfx_err *err)
{
    const pfx_idx all = s->p->n_units + 1, rows = s->index_direct ? s->index_layout.rows : PFX_INDEX_ROWS;
    const pfx_idx i0 = s->index_direct ? i / rows * rows : i, n = all - i0 < rows ? all - i0 : rows;
    pfx_status st = PFX_OK;
    s->index_n = 0;
    if (!s->index_direct || !read_index_chunk(s, i0)) {
        pfx_h5_lock();
        st = pfx_h5_read_rows(&s->p->h5, PFX_PANEL_INDEX, s->index, H5T_NATIVE_INT64, i0, n, s->index_buf,
                              err);
        pfx_h5_unlock();
        if (st != PFX_OK) return st;
    }
    s->index0 = i0;
    s->index_n = n;
    return st;
}

/* unit_start[i] and, from it on, as many entries as the buffer has, *n. */
static pfx_status units_from(source *s, pfx_idx i, const pfx_idx **start, pfx_idx *n, pfx_err *err)
{
    if (i < s->index0 || i >= s->index0 + s->index_n) {
        pfx_status st = read_index(s, i, err);
        if (st != PFX_OK) return st;
    }
    *start = s->index_buf + (i - s->index0);
    *n = s->index0 + s->index_n - i;
    return PFX_OK;
}

static pfx_status index_fault(const source *s, pfx_idx i, pfx_err *err)
{
    return pfx_fail(err, PFX_EFORMAT,
                    "%s:/%s: row %lld: not the first row of a unit; the file is damaged, import again",
                    s->p->h5.path, PFX_PANEL_INDEX, (long long)i + 1);
}

static pfx_status reserve_units(slot *b, pfx_idx n, pfx_err *err)
{
    if (n <= b->cap_units) return PFX_OK;
    pfx_idx cap = n + n / 2 + 1024;
    pfx_idx *start = pfx_mem_realloc(b->unit_start, cap, sizeof *start, err);
    if (!start) return PFX_ENOMEM;
    b->unit_start = start;
    b->cap_units = cap;
    return PFX_OK;
}

/* How many of the n ends, which rise, are at most `target`. */
static pfx_idx ends_until(pfx_idx n, const pfx_idx *end, pfx_idx target)
{
    pfx_idx lo = 0, hi = n;
    while (lo < hi) {
        pfx_idx mid = lo + (hi - lo) / 2;
        if (end[mid] <= target)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Starts, within the block, of m units that follow row `begin` and end at end[0 .. m-1]. false: these do not
 * rise. */
static bool put_starts(pfx_idx m, const pfx_idx *end, pfx_idx begin, pfx_idx n_rows, pfx_idx row0,
                       pfx_idx *start)
{
    bool good = end[0] > begin && end[m - 1] <= n_rows;
    start[0] = begin - row0;
    for (pfx_idx k = 1; k < m; k++) {
        start[k] = end[k - 1] - row0;
        good &= end[k] > end[k - 1];
    }
    return good;
}

/* Choose the units of the next block. */
static pfx_status take_units(source *s, slot *b, pfx_err *err)
{
    const pfx_idx n_units = s->p->n_units, n_rows = s->p->n_rows, *ends;
    pfx_idx end = s->row, n = 0, there = 0;
    pfx_status st;
    if (s->unit == 0) {
        if ((st = units_from(s, 0, &ends, &there, err)) != PFX_OK) return st;
        if (ends[0] != 0) return index_fault(s, 0, err);
    }
    while (s->unit + n < n_units && end < s->target) {
        if ((st = units_from(s, s->unit + n + 1, &ends, &there, err)) != PFX_OK) return st;
        pfx_idx m = ends_until(there, ends, s->target), k = 0;
        if (n == 0 && m == 0) m = 1; /* it spans more than the block */
        if (m == 0) break;
        if ((st = reserve_units(b, n + m + 1, err)) != PFX_OK) return st;
        if (!put_starts(m, ends, end, n_rows, s->row, b->unit_start + n)) {
            while (ends[k] > (k > 0 ? ends[k - 1] : end) && ends[k] <= n_rows) k++;
            return index_fault(s, s->unit + n + k + 1, err);
        }
        n += m;
        end = ends[m - 1];
        if (m < there) break;
    }
    if (s->unit + n == n_units && end != n_rows) return index_fault(s, n_units, err);
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

static pfx_idx pieces_of(const source *s)
{
    return (s->chunk_rows + s->piece_rows - 1) / s->piece_rows;
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
    const pfx_idx n_pieces = s->n_read * per_column * pieces_of(s);
    if (n_pieces > b->cap_pieces) {
        pfx_mem_free(b->pieces);
        b->cap_pieces = 0;
        if (!(b->pieces = pfx_mem_alloc(n_pieces, sizeof *b->pieces, err))) return PFX_ENOMEM;
        b->cap_pieces = n_pieces;
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

/* Where a chunk lies is asked once. */
static void find_chunk(source *s, int c, pfx_idx row0, slot_chunk *ch)
{
    source_col *col = &s->cols[c];
    int64_t *at = &col->at[row0 / s->chunk_rows];
    ch->read = true;
    if (*at == 0) {
        pfx_h5_lock();
        ch->read = pfx_h5_locate(s->p->locator, col->located, &col->layout, row0, ch->data, at);
        pfx_h5_unlock();
    }
    ch->at = *at;
}

static void read_chunks(source *s, int c, slot *b)
{
    const source_col *col = &s->cols[c];
    pfx_idx per_column = (b->chunk1 - b->chunk0) / s->chunk_rows;
    for (pfx_idx k = 0; k < per_column; k++) {
        slot_chunk *ch = &b->chunks[c * per_column + k];
        if (col->direct) {
            find_chunk(s, c, b->chunk0 + k * s->chunk_rows, ch);
            continue;
        }
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

static size_t cell_bytes(const slot *b, int c)
{
    return b->cols[c].num ? sizeof(double) : sizeof(int32_t);
}

static const char *cells(const slot *b, int c)
{
    return b->cols[c].num ? (const char *)b->cols[c].num : (const char *)b->cols[c].code;
}

pfx_status pfx_block_keep(source *s, const slot *b, pfx_err *err)
{
    pfx_idx from = b->frame.n_rows, n = b->chunk1 - b->frame.row0 - from,
            bytes = s->n_read * n * (pfx_idx)sizeof(double);
    bool any = false;
    for (int c = 0; c < s->n_read; c++) any |= s->cols[c].raw;
    s->n_carried = any ? n : 0;
    if (s->n_carried == 0) return PFX_OK;
    if (bytes > s->cap_carried) {
        pfx_mem_free(s->carried);
        s->cap_carried = 0;
        if (!(s->carried = pfx_mem_alloc(bytes, 1, err))) return PFX_ENOMEM;
        s->cap_carried = bytes;
    }
    for (int c = 0; c < s->n_read; c++) {
        size_t size = cell_bytes(b, c);
        if (s->cols[c].raw)
            memcpy(s->carried + (size_t)(c * n) * sizeof(double), cells(b, c) + (size_t)from * size,
                   (size_t)n * size);
    }
    return PFX_OK;
}

void pfx_block_carry(const source *s, slot *b)
{
    pfx_idx n = s->n_carried;
    if (b->end || n == 0) return;
    for (int c = 0; c < s->n_read; c++)
        if (s->cols[c].raw)
            memcpy((char *)cells(b, c), s->carried + (size_t)(c * n) * sizeof(double),
                   (size_t)n * cell_bytes(b, c));
}

static bool codes_good(const source_col *c, pfx_idx n, const int32_t *code)
{
    const int32_t n_levels = (int32_t)c->spec->n_levels;
    bool good = true;
    for (pfx_idx r = 0; r < n; r++)
        good &= (code[r] < n_levels) & ((code[r] >= 0) | (code[r] == PFX_NA_CODE));
    return good;
}

static pfx_status check_codes(const source *s, const source_col *c, pfx_idx row0, pfx_idx n,
                              const int32_t *code, pfx_err *err)
{
    const int32_t n_levels = (int32_t)c->spec->n_levels;
    if (codes_good(c, n, code)) return PFX_OK;
    for (pfx_idx r = 0; r < n; r++)
        if (code[r] >= n_levels || (code[r] < 0 && code[r] != PFX_NA_CODE))
            return pfx_fail(err, PFX_EFORMAT, "%s:/%s: row %lld: code %d, but there are %d levels",
                            s->p->h5.path, c->where, (long long)(row0 + r) + 1, code[r], n_levels);
    return PFX_OK;
}

/* Rows [row0, row0 + n), whose elements are at `raw`, to the column. */
static void convert_rows(const source *s, int c, slot *b, pfx_idx row0, pfx_idx n, const void *raw)
{
    const source_col *col = &s->cols[c];
    if (col->convert)
        pfx_widen(pfx_cpu_best(), col->spec->dtype, n, raw, b->cols[c].num + (row0 - b->frame.row0));
}

static pfx_status finish_rows(const source *s, int c, slot *b, pfx_idx row0, pfx_idx n, const void *raw,
                              pfx_err *err)
{
    convert_rows(s, c, b, row0, n, raw);
    return b->cols[c].code
               ? check_codes(s, &s->cols[c], row0, n, b->cols[c].code + (row0 - b->frame.row0), err)
               : PFX_OK;
}

typedef struct finish {
    source *s;
    slot *b;
    pfx_idx per_column, per_chunk; /* chunks of a column, pieces of a chunk */
    bool verify;
} finish;

/* A piece of the rows of a column. Pieces of the same rows follow one another, so that a thread has all
 * columns of its rows in its caches when they are turned. */
static void finish_piece(void *ctx, pfx_idx i, int thread)
{
    const finish *f = ctx;
    source *s = f->s;
    slot *b = f->b;
    const pfx_idx c = i % s->n_read, k = i / s->n_read, chunk = k / f->per_chunk,
                  first = k % f->per_chunk * s->piece_rows;
    const pfx_idx rows = s->chunk_rows - first < s->piece_rows ? s->chunk_rows - first : s->piece_rows;
    const pfx_idx row0 = b->chunk0 + chunk * s->chunk_rows + first, left = s->p->n_rows - row0,
                  n = left < rows ? left : rows;
    const source_col *col = &s->cols[c];
    slot_chunk *ch = &b->chunks[c * f->per_column + chunk];
    slot_piece *p = &b->pieces[i];
    char *data = (char *)ch->data + (size_t)first * col->layout.size;
    const size_t bytes = (size_t)rows * col->layout.size;
    const bool verify = f->verify && col->layout.checksum, last = first + rows == s->chunk_rows;
    (void)thread;
    if (!col->raw) return;
    *p = (slot_piece){.read = ch->read, .codes_good = true};
    if (p->read && col->direct)
        p->read = pfx_h5_read_bytes(s->fd, ch->at + first * (int64_t)col->layout.size, bytes, data);
    if (p->read && col->direct && verify && last)
        p->read = pfx_h5_read_checksum(s->fd, ch->at, &col->layout, &ch->checksum);
    if (!p->read) return;
    if (verify) pfx_fletcher_add(pfx_cpu_best(), &p->sum, bytes, data);
    if (n <= 0) return;
    convert_rows(s, (int)c, b, row0, n, data);
    if (b->cols[c].code) p->codes_good = codes_good(col, n, b->cols[c].code + (row0 - b->frame.row0));
}

/* A chunk whose pieces are not what its checksum says, or that could not be read as it lies, is left to HDF5:
 * it reads the chunk, or names the fault. */
static pfx_status finish_chunk(const finish *f, int c, pfx_idx chunk, pfx_err *err)
{
    source *s = f->s;
    slot *b = f->b;
    const source_col *col = &s->cols[c];
    slot_chunk *ch = &b->chunks[c * f->per_column + chunk];
    const pfx_idx row0 = b->chunk0 + chunk * s->chunk_rows, left = s->p->n_rows - row0;
    const pfx_idx n = left < s->chunk_rows ? left : s->chunk_rows;
    pfx_fletcher sum = {0};
    bool read = true, good = true;
    for (pfx_idx j = 0; j < f->per_chunk; j++) {
        const slot_piece *p = &b->pieces[(chunk * f->per_chunk + j) * s->n_read + c];
        const pfx_idx rows_left = s->chunk_rows - j * s->piece_rows;
        read &= p->read;
        good &= p->codes_good;
        pfx_fletcher_join(&sum, &p->sum,
                          (size_t)(rows_left < s->piece_rows ? rows_left : s->piece_rows) * col->layout.size);
    }
    if (read && !(f->verify && col->layout.checksum && pfx_fletcher_value(&sum) != ch->checksum))
        return good ? PFX_OK : check_codes(s, col, row0, n, b->cols[c].code + (row0 - b->frame.row0), err);
    pfx_h5_lock();
    pfx_status st = pfx_h5_read_rows(&s->p->h5, col->where, col->ds, pfx_h5_memory_type(col->spec->dtype),
                                     row0, n, ch->data, err);
    pfx_h5_unlock();
    return st == PFX_OK ? finish_rows(s, c, b, row0, n, ch->data, err) : st;
}

void pfx_block_finish(source *s, slot *b)
{
    finish f = {
        .s = s, .b = b, .per_column = (b->chunk1 - b->chunk0) / s->chunk_rows, .per_chunk = pieces_of(s)};
    if (b->finished || b->end) return;
    b->finished = true;
    f.verify = verifies(s);
    for (int c = 0; c < s->n_read && b->st == PFX_OK; c++)
        if (!s->cols[c].raw)
            b->st = finish_rows(s, c, b, b->frame.row0, b->frame.n_rows, unconverted(s, c, b), &b->err);
    if (b->st == PFX_OK)
        pfx_par_for(f.per_column * f.per_chunk * s->n_read, s->o.nth > 0 ? s->o.nth : 1, finish_piece, &f);
    for (int c = 0; c < s->n_read; c++)
        for (pfx_idx k = 0; k < f.per_column && b->st == PFX_OK && s->cols[c].raw; k++)
            b->st = finish_chunk(&f, c, k, &b->err);
    b->end = b->st != PFX_OK;
    if (!b->end && b->frame.row0 + b->frame.n_rows == s->p->n_rows) s->verified = true;
}

void pfx_block_free(slot *b)
{
    pfx_mem_free(b->cols);
    pfx_mem_free(b->unit_start);
    pfx_mem_free(b->mem);
    pfx_mem_free(b->chunks);
    pfx_mem_free(b->pieces);
}
