/* The window of a streamed design: its last rows become the first of the next, whose other rows are loaded
 * behind them by all threads. Then all threads work on it. One window, which stays in the cache, is faster
 * than a second one that is loaded meanwhile. */
#include <string.h>
#include "src/base/mem.h"
#include "src/model/dataset_stream_private.h"

/* ---- the dataset's arrays are lent to the window that is loaded ---- */

static void lend(pfx_dataset_stream *s, const pfx_ds_window *w)
{
    pfx_dataset *ds = s->ds;
    ds->n = w->front;
    ds->cap = w->cap;
    ds->table = w->table;
    for (int k = 0; k < ds->n_extras; k++) ds->extras[k].store = w->extra[k];
    for (int k = 0; k < ds->n_factors; k++) ds->factors[k].store = w->code[k];
}

static void take_back(pfx_dataset_stream *s, pfx_ds_window *w)
{
    pfx_dataset *ds = s->ds;
    w->n = ds->n - w->front;
    w->cap = ds->cap;
    w->table = ds->table;
    for (int k = 0; k < ds->n_extras; k++) w->extra[k] = ds->extras[k].store, ds->extras[k].store = NULL;
    for (int k = 0; k < ds->n_factors; k++) w->code[k] = ds->factors[k].store, ds->factors[k].store = NULL;
    ds->table = NULL;
    ds->n = ds->cap = 0;
}

static pfx_status load_rows(pfx_dataset_stream *s, pfx_ds_window *w)
{
    pfx_dataset *ds = s->ds;
    pfx_status st = PFX_OK;
    s->ld.err = &w->err;
    while (st == PFX_OK && !w->last && ds->n - w->front < s->window_rows) {
        pfx_idx from = ds->n;
        if ((st = s->src->next(s->src->ctx, &s->ld.f, &w->err)) != PFX_OK) break;
        if (!(w->last = !s->ld.f) &&
            (st = pfx_dataset_append(&s->ld, from + s->ld.f->n_rows + s->ld.f->n_rows / 4)) == PFX_OK)
            st = pfx_stream_take_block(s, from, &w->err);
    }
    return st;
}

/* Load rows behind those that stay. */
static void load(pfx_dataset_stream *s)
{
    pfx_ds_window *w = &s->window;
    w->last = false;
    pfx_err_clear(&w->err);
    lend(s, w);
    w->st = load_rows(s, w);
    take_back(s, w);
    w->n_rows = s->n_rows;
    for (int k = 0; k < s->ds->n_factors; k++)
        w->n_levels[k] = pfx_stream_is_unit(s, k) ? s->n_units : s->factor[k].n_levels;
}

/* ---- rows that two windows share ---- */

/* Rows at .. at+keep-1 of an array go to its front, which may have become longer. */
static pfx_status keep_rows(void *array, size_t size, pfx_idx cap, pfx_idx at, pfx_idx to, pfx_idx keep,
                            pfx_err *err)
{
    char *a;
    memcpy(&a, array, sizeof a);
    if (cap > 0 && !(a = pfx_mem_realloc(a, cap, size, err))) return PFX_ENOMEM;
    if (cap > 0) memcpy(array, &a, sizeof a);
    if (keep > 0) memmove(a + (size_t)to * size, a + (size_t)at * size, (size_t)keep * size);
    return PFX_OK;
}

/* The last rows of the window become its first. */
static pfx_status keep_last(pfx_dataset_stream *s, pfx_idx keep, pfx_err *err)
{
    const pfx_dataset *ds = s->ds;
    pfx_ds_window *w = &s->window;
    pfx_idx at = w->front + w->n - keep, cap = 0;
    pfx_status st;
    if (keep > w->front) {
        w->front = keep + keep / 4;
        cap = w->cap > w->front ? w->cap : w->front;
    }
    pfx_idx to = w->front - keep;
    st = keep_rows(&w->table, sizeof *w->table * (size_t)ds->n_values, cap, at, to, keep, err);
    for (int k = 0; k < ds->n_extras && st == PFX_OK; k++)
        st = keep_rows(&w->extra[k], sizeof **w->extra, cap, at, to, keep, err);
    for (int k = 0; k < ds->n_factors && st == PFX_OK; k++)
        st = keep_rows(&w->code[k], sizeof **w->code, cap, at, to, keep, err);
    if (st == PFX_OK && cap > 0) w->cap = cap;
    w->kept = keep;
    return st;
}

/* ---- the walk ---- */

void pfx_stream_window_clear(pfx_dataset_stream *s)
{
    s->window.n = s->window.kept = 0;
}

pfx_status pfx_stream_window_next(pfx_dataset_stream *s, pfx_idx keep, pfx_err *err)
{
    pfx_ds_window *w = &s->window;
    pfx_status st = keep_last(s, keep, err);
    if (st != PFX_OK) return st;
    load(s);
    return w->st == PFX_OK ? PFX_OK : pfx_fail(err, w->st, "%s", w->err.msg);
}

pfx_status pfx_stream_window_create(pfx_dataset_stream *s, pfx_err *err)
{
    const pfx_dataset *ds = s->ds;
    pfx_ds_window *w = &s->window;
    if (!(w->extra = pfx_mem_calloc(ds->n_extras, sizeof *w->extra, err)) ||
        !(w->code = pfx_mem_calloc(ds->n_factors, sizeof *w->code, err)) ||
        !(w->n_levels = pfx_mem_calloc(ds->n_factors, sizeof *w->n_levels, err)))
        return PFX_ENOMEM;
    return PFX_OK;
}

void pfx_stream_window_free(pfx_dataset_stream *s)
{
    pfx_ds_window *w = &s->window;
    for (int k = 0; w->extra && k < s->ds->n_extras; k++) pfx_mem_free(w->extra[k]);
    for (int k = 0; w->code && k < s->ds->n_factors; k++) pfx_mem_free(w->code[k]);
    pfx_mem_free(w->table), pfx_mem_free(w->extra), pfx_mem_free(w->code), pfx_mem_free(w->n_levels);
}
