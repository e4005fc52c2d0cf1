/* Row source: blocks of whole units, read ahead by a thread.
 *
 * Block k ends at the last unit boundary at or before row (k+1) x block_rows, so that blocks follow the
 * chunks of the file; a unit that spans a whole block makes that block longer. A chunk that a block cuts
 * stays in HDF5's chunk cache for the next block: every chunk is read, checked and decompressed once. Two
 * slots go round: while the consumer has one, the thread fills the other. Between the two nothing is shared
 * but the slots' states. A panel of one block, or a process without a thread to spare, is read in next(). */
#include "hdf5_io/panel_private.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"

typedef struct source_col {
    const pfx_col_spec *spec; /* of the panel */
    char where[300];
    hid_t ds;
} source_col;

typedef struct slot {
    pfx_frame frame;
    pfx_column *cols; /* [n_cols + 1] the last: the time column, where it was not asked for */
    pfx_idx *unit_start;
    pfx_idx cap_rows, cap_units;
    bool full, end; /* end: no block here, the panel is over (or st says why) */
    pfx_status st;
    pfx_err err;
} slot;

typedef struct source {
    pfx_panel *p;
    int n_cols, n_read;  /* asked for; read: one more where time was not asked for */
    source_col *cols;    /* [n_read] */
    pfx_col_spec *specs; /* [n_cols] what the consumer sees */
    int time_col;        /* in cols, -1: panel without time */
    pfx_idx block_rows;
    void *raw; /* [cap_raw] 8 bytes each: a column before conversion */
    pfx_idx cap_raw;
    /* position in the panel */
    pfx_idx row, unit, target;
    hid_t index;
    pfx_idx *index_buf, index0, index_n; /* index_buf[0..index_n-1] = unit_start[index0 ...] */
    /* hand-over */
    slot slots[2];
    int reading, held; /* slot to fill next, slot to hand out next */
    bool holding;      /* the consumer has slots[held] */
    bool threaded, running, stop;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
} source;

enum { INDEX_ROWS = PFX_H5_CHUNK_ROWS };

/* ---- reading one block; the lock is taken for each read, so that a sink may write meanwhile ---- */

/* unit_start[i] for i that never goes back by more than the buffer. */
static pfx_status unit_end(source *s, pfx_idx i, pfx_idx *out, pfx_err *err)
{
    pfx_status st = PFX_OK;
    if (i < s->index0 || i >= s->index0 + s->index_n) {
        pfx_idx n = s->p->n_units + 1 - i;
        n = n < INDEX_ROWS ? n : INDEX_ROWS;
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
    s->unit += n;
    s->row = end;
    /* Past the end of the block and of the last target: a block that stopped short of it leaves a few rows,
     * which belong to the next one. */
    if (end < s->target) end = s->target;
    s->target = (end / s->block_rows + 1) * s->block_rows;
    return PFX_OK;
}

static pfx_status grow_rows(source *s, slot *b, pfx_idx n, pfx_err *err)
{
    if (n <= b->cap_rows) return PFX_OK;
    n += n / 8; /* blocks differ by a few rows; pages that are not used cost nothing */
    if (n < s->block_rows) n = s->block_rows;
    if (n > s->p->n_rows) n = s->p->n_rows;
    b->cap_rows = 0;
    for (int c = 0; c < s->n_read; c++) {
        pfx_column *col = &b->cols[c];
        pfx_mem_free(col->num);
        pfx_mem_free(col->code);
        col->num = NULL;
        col->code = NULL;
        if (s->cols[c].spec->kind == PFX_CATEGORY)
            col->code = pfx_mem_alloc(n, sizeof *col->code, err);
        else
            col->num = pfx_mem_alloc(n, sizeof *col->num, err);
        if (!col->code && !col->num) return PFX_ENOMEM;
    }
    b->cap_rows = n;
    return PFX_OK;
}

static void to_double(pfx_dtype t, pfx_idx n, const void *raw, double *out)
{
    const float *f = raw;
    const int32_t *i = raw;
    const int64_t *l = raw;
    switch (t) {
    case PFX_F32:
        for (pfx_idx r = 0; r < n; r++) out[r] = f[r];
        break;
    case PFX_I32:
        for (pfx_idx r = 0; r < n; r++) out[r] = i[r] == INT32_MIN ? NAN : (double)i[r]; /* NAN is a float */
        break;
    default:
        for (pfx_idx r = 0; r < n; r++) out[r] = l[r] == INT64_MIN ? NAN : (double)l[r];
    }
}

static pfx_status check_codes(const source *s, const source_col *c, pfx_idx row0, pfx_idx n,
                              const int32_t *code, pfx_err *err)
{
    const int32_t n_levels = (int32_t)c->spec->n_levels;
    for (pfx_idx r = 0; r < n; r++)
        if (code[r] >= n_levels || (code[r] < 0 && code[r] != PFX_NA_CODE))
            return pfx_fail(err, PFX_EFORMAT, "%s:/%s: row %lld: code %d, but there are %d levels",
                            s->p->h5.path, c->where, (long long)(row0 + r) + 1, code[r], n_levels);
    return PFX_OK;
}

/* Integers and floats are widened here: HDF5's own conversion is slower and knows no missing value. */
static pfx_status read_column(source *s, const source_col *c, const pfx_frame *f, pfx_column *col,
                              pfx_err *err)
{
    pfx_dtype t = c->spec->dtype;
    bool direct = t == PFX_F64 || c->spec->kind == PFX_CATEGORY;
    void *to = direct ? (col->num ? (void *)col->num : (void *)col->code) : s->raw;
    pfx_status st;
    pfx_h5_lock();
    st = pfx_h5_read_rows(&s->p->h5, c->where, c->ds, pfx_h5_memory_type(t), f->row0, f->n_rows, to, err);
    pfx_h5_unlock();
    if (st != PFX_OK) return st;
    if (!direct) to_double(t, f->n_rows, s->raw, col->num);
    return col->code ? check_codes(s, c, f->row0, f->n_rows, col->code, err) : PFX_OK;
}

static void fill(source *s, slot *b)
{
    pfx_err *err = &b->err;
    pfx_err_clear(err);
    b->st = PFX_OK;
    b->end = s->unit >= s->p->n_units;
    if (b->end) return;
    if ((b->st = take_units(s, b, err)) != PFX_OK ||
        (b->st = grow_rows(s, b, b->frame.n_rows, err)) != PFX_OK)
        goto failed;
    if (b->frame.n_rows > s->cap_raw) {
        pfx_mem_free(s->raw);
        s->cap_raw = 0;
        if (!(s->raw = pfx_mem_alloc(b->cap_rows, 8, err))) {
            b->st = PFX_ENOMEM;
            goto failed;
        }
        s->cap_raw = b->cap_rows;
    }
    for (int c = 0; c < s->n_read; c++)
        if ((b->st = read_column(s, &s->cols[c], &b->frame, &b->cols[c], err)) != PFX_OK) goto failed;
    b->frame.time = s->time_col >= 0 ? b->cols[s->time_col].num : NULL;
    return;
failed:
    b->end = true;
}

/* ---- the thread ---- */

static void *read_ahead(void *ctx)
{
    source *s = ctx;
    for (;;) {
        slot *b = &s->slots[s->reading];
        bool stop;
        pthread_mutex_lock(&s->mutex);
        while (b->full && !s->stop) pthread_cond_wait(&s->changed, &s->mutex);
        stop = s->stop;
        pthread_mutex_unlock(&s->mutex);
        if (stop) return NULL;
        fill(s, b);
        pthread_mutex_lock(&s->mutex);
        b->full = true;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->mutex);
        if (b->end) return NULL;
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
    s->row = s->unit = 0;
    s->target = s->block_rows;
    s->reading = s->held = 0;
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
            fill(s, b);
            b->full = true;
            return;
        }
    }
    if (!s->running) return;
    pthread_mutex_lock(&s->mutex);
    while (!b->full) pthread_cond_wait(&s->changed, &s->mutex);
    pthread_mutex_unlock(&s->mutex);
}

static pfx_status source_next(void *ctx, const pfx_frame **block, pfx_err *err)
{
    source *s = ctx;
    slot *b = &s->slots[s->held];
    *block = NULL;
    if (s->holding) {
        pthread_mutex_lock(&s->mutex);
        b->full = false;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->mutex);
        s->held ^= 1;
        s->holding = false;
        b = &s->slots[s->held];
    }
    wait_for(s, b);
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
    for (int c = 0; s->cols && c < s->n_read; c++)
        if (s->cols[c].ds > 0) H5Dclose(s->cols[c].ds);
    if (s->index > 0) H5Dclose(s->index);
    pfx_h5_unlock();
    for (int i = 0; i < 2; i++) {
        slot *b = &s->slots[i];
        for (int c = 0; b->cols && c < s->n_read; c++) {
            pfx_mem_free(b->cols[c].num);
            pfx_mem_free(b->cols[c].code);
        }
        pfx_mem_free(b->cols);
        pfx_mem_free(b->unit_start);
    }
    pfx_mem_free(s->cols);
    pfx_mem_free(s->specs);
    pfx_mem_free(s->index_buf);
    pfx_mem_free(s->raw);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mutex);
    pfx_mem_free(s);
}

/* ---- set-up ---- */

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
    s->slots[0].cols[i].spec = s->slots[1].cols[i].spec = *col->spec;
    if (i < s->n_cols) s->specs[i] = *col->spec;
    return PFX_OK;
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
    return st == PFX_OK ? pfx_h5_open_rows(&p->h5, PFX_PANEL_INDEX, &s->index, &n, err) : st;
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
    s->block_rows = o && o->block_rows > 0 ? o->block_rows : PFX_H5_CHUNK_ROWS;
    s->target = s->block_rows;
    s->threaded = p->n_rows > s->block_rows;
    if (!(s->cols = pfx_mem_calloc(n + 1, sizeof *s->cols, err)) ||
        !(s->specs = pfx_mem_calloc(n, sizeof *s->specs, err)) ||
        !(s->index_buf = pfx_mem_alloc(p->n_units + 1 < INDEX_ROWS ? p->n_units + 1 : INDEX_ROWS,
                                       sizeof *s->index_buf, err)) ||
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
