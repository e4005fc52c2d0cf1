/* Row source: blocks of whole units, read by the consumer's threads from where their chunks lie, or, as far
 * as HDF5 has to read them, ahead by a thread.
 *
 * With a thread two slots go round: while the consumer has one, the thread fills the other. Between the two
 * nothing is shared but the slots' states. A panel of one block, one without a column that HDF5 reads, or a
 * process without a thread to spare, is read in next(). What a block is and how it is read: panel_block.c. */
#include "hdf5_io/panel_block.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"

/* ---- the thread ---- */

static void *read_ahead(void *ctx)
{
    source *s = ctx;
    for (;;) {
        slot *b = &s->slots[s->reading];
        bool stop, end;
        pthread_mutex_lock(&s->mutex);
        while (b->full && !s->stop) pthread_cond_wait(&s->changed, &s->mutex);
        stop = s->stop;
        pthread_mutex_unlock(&s->mutex);
        if (stop) return NULL;
        pfx_block_fill(s, b);
        end = b->end; /* a full slot is the consumer's, who may end it too */
        pthread_mutex_lock(&s->mutex);
        b->full = true;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->mutex);
        if (end) return NULL;
        s->reading ^= 1;
    }
}

/* Signals are for the main thread, which knows what to do about them. */
static void start_thread(source *s)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    s->running = s->threaded = pthread_create(&s->thread, NULL, read_ahead, s) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void stop_thread(source *s)
{
    if (!s->running) return;
    pthread_mutex_lock(&s->mutex);
    s->stop = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
    pthread_join(s->thread, NULL);
    s->running = s->stop = false;
}

/* ---- the interface ---- */

static pfx_status source_rewind(void *ctx, pfx_err *err)
{
    source *s = ctx;
    (void)err;
    stop_thread(s);
    s->row = s->unit = s->chunk = 0;
    s->target = s->block_rows;
    s->reading = s->held = 0;
    s->n_carried = 0;
    s->holding = false;
    for (int i = 0; i < 2; i++) {
        s->slots[i].full = s->slots[i].end = false;
        s->slots[i].st = PFX_OK;
    }
    return PFX_OK;
}

static void wait_for(source *s, slot *b)
{
    if (!s->running && !b->full) {
        if (s->threaded) start_thread(s);
        if (!s->running) {
            pfx_block_fill(s, b);
            b->full = true;
            return;
        }
    }
    if (!s->running) return;
    pthread_mutex_lock(&s->mutex);
    while (!b->full) pthread_cond_wait(&s->changed, &s->mutex);
    pthread_mutex_unlock(&s->mutex);
}

/* The slot held goes back to the reader; the next one gets the rows that they share. */
static pfx_status release(source *s, pfx_err *err)
{
    slot *b = &s->slots[s->held];
    pfx_status st = pfx_block_keep(s, b, err);
    if (st != PFX_OK) return st;
    pthread_mutex_lock(&s->mutex);
    b->full = false;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
    s->held ^= s->threaded;
    s->holding = false;
    return PFX_OK;
}

static pfx_status source_next(void *ctx, const pfx_frame **block, pfx_err *err)
{
    source *s = ctx;
    pfx_status st;
    *block = NULL;
    if (s->holding && (st = release(s, err)) != PFX_OK) return st;
    slot *b = &s->slots[s->held];
    wait_for(s, b);
    if (!b->finished) pfx_block_carry(s, b);
    pfx_block_finish(s, b);
    if (b->end) { /* stays full: further calls come here again */
        stop_thread(s);
        return b->st == PFX_OK ? PFX_OK : pfx_fail(err, b->st, "%s", b->err.msg);
    }
    s->holding = true;
    *block = &b->frame;
    return PFX_OK;
}

static void source_close(void *ctx)
{
    source *s = ctx;
    if (!s) return;
    stop_thread(s);
    pfx_h5_lock();
    for (int c = 0; s->cols && c < s->n_read; c++) {
        if (s->cols[c].ds > 0) H5Dclose(s->cols[c].ds);
        if (s->cols[c].located > 0) H5Dclose(s->cols[c].located);
        pfx_mem_free(s->cols[c].at);
    }
    if (s->index > 0) H5Dclose(s->index);
    if (s->index_located > 0) H5Dclose(s->index_located);
    pfx_h5_unlock();
    for (int i = 0; i < 2; i++) pfx_block_free(&s->slots[i]);
    pfx_mem_free(s->cols);
    pfx_mem_free(s->specs);
    pfx_mem_free(s->index_buf);
    pfx_mem_free(s->carried);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mutex);
    pfx_mem_free(s);
}

/* ---- set-up ---- */

enum { LEAST_PIECE = 4096 }; /* rows: a call of the system costs as much as reading some thousand bytes */

static pfx_status unknown_column(const pfx_panel *p, const char *name, pfx_err *err)
{
    const char **names = pfx_mem_alloc(p->n_cols, sizeof *names, err);
    const char *near;
    pfx_status st;
    if (!names) return PFX_ENOMEM;
    for (int c = 0; c < p->n_cols; c++) names[c] = p->cols[c].name;
    near = pfx_text_nearest(name, p->n_cols, names);
    st = near
             ? pfx_fail(err, PFX_EUSAGE, "%s: no column \"%s\"; did you mean \"%s\"?", p->h5.path, name, near)
             : pfx_fail(err, PFX_EUSAGE, "%s: no column \"%s\"; panelfx info lists them", p->h5.path, name);
    pfx_mem_free(names);
    return st;
}

/* Entries of the index that are read at a time. */
static pfx_idx index_rows(const pfx_panel *p)
{
    return p->n_units + 1 < PFX_INDEX_ROWS ? p->n_units + 1 : PFX_INDEX_ROWS;
}

/* Chunks that any thread can read; where it cannot be, HDF5 reads them as they lie. */
static pfx_status open_direct(source *s, source_col *col, pfx_err *err)
{
    pfx_panel *p = s->p;
    if (!p->locator) p->locator = pfx_h5_locator_open(&p->h5);
    if (!p->locator || (col->located = pfx_h5_locator_dataset(p->locator, col->where)) < 0) return PFX_OK;
    s->fd = pfx_h5_locator_fd(p->locator);
    if (!(col->at = pfx_mem_calloc(p->n_rows / s->chunk_rows + 1, sizeof *col->at, err))) return PFX_ENOMEM;
    col->direct = true;
    return PFX_OK;
}

/* Column number c of the panel becomes column i of the source. */
static pfx_status open_column(source *s, int i, int c, pfx_err *err)
{
    source_col *col = &s->cols[i];
    pfx_idx n;
    pfx_status st;
    col->spec = &s->p->cols[c];
    snprintf(col->where, sizeof col->where, "columns/%s", col->spec->name);
    if ((st = pfx_h5_open_rows(&s->p->h5, col->where, &col->ds, &n, err)) != PFX_OK ||
        (st = pfx_panel_read_labels(s->p, c, err)) != PFX_OK)
        return st;
    /* A block shorter than a chunk would carry most of the chunk over again and again. */
    col->layout = pfx_h5_chunk_layout(col->ds, pfx_h5_memory_type(col->spec->dtype));
    col->raw = col->layout.rows == s->chunk_rows && s->block_rows >= s->chunk_rows;
    col->convert = col->spec->kind != PFX_CATEGORY && col->spec->dtype != PFX_F64;
    s->slots[0].cols[i].spec = s->slots[1].cols[i].spec = *col->spec;
    if (i < s->n_cols) s->specs[i] = *col->spec;
    return col->raw && s->o.nth > 0 ? open_direct(s, col, err) : PFX_OK;
}

/* A thread reads ahead where HDF5 has to read. */
static bool reads_ahead(const source *s)
{
    bool direct = s->n_read > 0;
    for (int c = 0; c < s->n_read; c++) direct &= s->cols[c].direct;
    return !direct && s->p->n_rows > s->block_rows;
}

/* Its chunks too are read from where they lie, if they fit the buffer. */
static void open_index(source *s)
{
    pfx_panel *p = s->p;
    s->index_layout = pfx_h5_chunk_layout(s->index, H5T_NATIVE_INT64);
    if (s->index_layout.rows == 0 || s->index_layout.rows > index_rows(p)) return;
    s->index_located = pfx_h5_locator_dataset(p->locator, PFX_PANEL_INDEX);
    s->fd = pfx_h5_locator_fd(p->locator);
    s->index_direct = s->index_located >= 0;
}

static pfx_status open_all(source *s, const char *const *names, pfx_err *err)
{
    pfx_panel *p = s->p;
    pfx_status st = PFX_OK;
    pfx_idx n;
    for (int i = 0; i < s->n_cols && st == PFX_OK; i++) {
        int c = pfx_panel_find(p, names[i]);
        if (c < 0) return unknown_column(p, names[i], err);
        st = open_column(s, i, c, err);
        if (s->time_col < 0 && p->time[0] && !strcmp(names[i], p->time)) s->time_col = i;
    }
    if (st == PFX_OK && p->time[0] && s->time_col < 0) {
        s->time_col = s->n_read++;
        st = open_column(s, s->time_col, pfx_panel_find(p, p->time), err);
    }
    if (st == PFX_OK) st = pfx_h5_open_rows(&p->h5, PFX_PANEL_INDEX, &s->index, &n, err);
    if (st == PFX_OK && s->o.nth > 0 && p->locator) open_index(s);
    return st;
}

pfx_status pfx_panel_source(pfx_panel *p, int n, const char *const *names, const pfx_panel_source_options *o,
                            pfx_row_source *out, pfx_err *err)
{
    pfx_status st;
    source *s = pfx_mem_calloc(1, sizeof *s, err);
    if (!s) return PFX_ENOMEM;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->p = p;
    s->n_cols = s->n_read = n;
    s->time_col = -1;
    if (o) s->o = *o;
    s->block_rows = o && o->block_rows > 0 ? o->block_rows : PFX_H5_CHUNK_ROWS;
    s->chunk_rows = p->n_rows > 0 && p->n_rows < PFX_H5_CHUNK_ROWS ? p->n_rows : PFX_H5_CHUNK_ROWS;
    s->target = s->block_rows;
    s->piece_rows = s->chunk_rows / (s->o.nth > 1 ? s->o.nth : 1);
    s->piece_rows = s->piece_rows < LEAST_PIECE ? LEAST_PIECE : (s->piece_rows + 7) / 8 * 8;
    if (!(s->cols = pfx_mem_calloc(n + 1, sizeof *s->cols, err)) ||
        !(s->specs = pfx_mem_calloc(n, sizeof *s->specs, err)) ||
        !(s->index_buf = pfx_mem_alloc(index_rows(p), sizeof *s->index_buf, err)) ||
        !(s->slots[0].cols = pfx_mem_calloc(n + 1, sizeof(pfx_column), err)) ||
        !(s->slots[1].cols = pfx_mem_calloc(n + 1, sizeof(pfx_column), err))) {
        source_close(s);
        return PFX_ENOMEM;
    }
    for (int i = 0; i < 2; i++) {
        s->slots[i].frame.n_cols = n;
        s->slots[i].frame.cols = s->slots[i].cols;
    }
    pfx_h5_lock();
    st = open_all(s, names, err);
    pfx_h5_unlock();
    s->threaded = reads_ahead(s);
    if (st != PFX_OK) {
        source_close(s);
        return st;
    }
    *out = (pfx_row_source){.ctx = s,
                            .n_rows = p->n_rows,
                            .n_units = p->n_units,
                            .n_cols = n,
                            .cols = s->specs,
                            .panel = p->spec,
                            .rewind = source_rewind,
                            .next = source_next,
                            .close = source_close};
    return PFX_OK;
}
