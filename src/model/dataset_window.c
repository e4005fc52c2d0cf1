/* The windows of a streamed design. While the estimator works on one, a helper thread loads the other: reading from the
 * source, evaluating, storing and numbering go on beside the sums. */
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
        if (!(w->last = !s->ld.f) && (st = pfx_dataset_append(&s->ld, from + s->ld.f->n_rows + s->ld.f->n_rows / 4)) == PFX_OK)
            st = pfx_stream_take_block(s, from, &w->err);
    }
    return st;
}

/* Load the window that is not shown. */
static void load(void *ctx)
{
    pfx_dataset_stream *s = ctx;
    pfx_ds_window *w = &s->window[s->shown ^ 1];
    w->front = s->front;
    w->kept = 0;
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

/* More room in front of the rows loaded. */
static pfx_status widen_front(const pfx_dataset_stream *s, pfx_ds_window *w, pfx_idx front, pfx_err *err)
{
    const pfx_dataset *ds = s->ds;
    pfx_idx p = ds->n_values, cap = front + w->n;
    double *table = pfx_mem_realloc(w->table, cap * p, sizeof *table, err);
    if (!table) return PFX_ENOMEM;
    w->table = table;
    memmove(table + front * p, table + w->front * p, (size_t)(w->n * p) * sizeof *table);
    for (int k = 0; k < ds->n_extras; k++) {
        double *x = pfx_mem_realloc(w->extra[k], cap, sizeof *x, err);
        if (!x) return PFX_ENOMEM;
        w->extra[k] = x;
        memmove(x + front, x + w->front, (size_t)w->n * sizeof *x);
    }
    for (int k = 0; k < ds->n_factors; k++) {
        int32_t *c = pfx_mem_realloc(w->code[k], cap, sizeof *c, err);
        if (!c) return PFX_ENOMEM;
        w->code[k] = c;
        memmove(c + front, c + w->front, (size_t)w->n * sizeof *c);
    }
    w->front = front;
    w->cap = cap;
    return PFX_OK;
}

/* The last rows of `from` become the first of w. */
static pfx_status keep_last(pfx_dataset_stream *s, const pfx_ds_window *from, pfx_ds_window *w, pfx_idx keep, pfx_err *err)
{
    const pfx_dataset *ds = s->ds;
    pfx_idx p = ds->n_values, at = from->front + from->n - keep;
    if (keep > s->front) s->front = keep + keep / 4;
    if (keep > w->front) {
        pfx_status st = widen_front(s, w, s->front, err);
        if (st != PFX_OK) return st;
    }
    pfx_idx to = w->front - keep;
    w->kept = keep;
    if (keep == 0) return PFX_OK;
    memcpy(w->table + to * p, from->table + at * p, (size_t)(keep * p) * sizeof *w->table);
    for (int k = 0; k < ds->n_extras; k++) memcpy(w->extra[k] + to, from->extra[k] + at, (size_t)keep * sizeof **w->extra);
    for (int k = 0; k < ds->n_factors; k++) memcpy(w->code[k] + to, from->code[k] + at, (size_t)keep * sizeof **w->code);
    return PFX_OK;
}

/* ---- the walk ---- */

void pfx_stream_windows_clear(pfx_dataset_stream *s)
{
    if (s->loading) pfx_helper_wait(s->helper);
    s->loading = false;
    for (int i = 0; i < 2; i++) s->window[i].n = s->window[i].kept = 0;
}

pfx_status pfx_stream_windows_next(pfx_dataset_stream *s, pfx_idx keep, pfx_err *err)
{
    pfx_ds_window *old = &s->window[s->shown], *w = &s->window[s->shown ^ 1];
    if (s->loading) pfx_helper_wait(s->helper);
    else load(s);
    s->loading = false;
    if (w->st != PFX_OK) return pfx_fail(err, w->st, "%s", w->err.msg);
    pfx_status st = keep_last(s, old, w, keep, err);
    if (st != PFX_OK) return st;
    s->shown ^= 1;
    /* The first window of all tells whether there is another: a short panel needs no thread. */
    if (w->last || !s->ahead) return PFX_OK;
    if (!s->helper && (st = pfx_helper_create(&s->helper, err)) != PFX_OK) return st;
    pfx_helper_begin(s->helper, load, s);
    s->loading = true;
    return PFX_OK;
}

pfx_status pfx_stream_windows_create(pfx_dataset_stream *s, pfx_err *err)
{
    const pfx_dataset *ds = s->ds;
    for (int i = 0; i < 2; i++) {
        pfx_ds_window *w = &s->window[i];
        if (!(w->extra = pfx_mem_calloc(ds->n_extras, sizeof *w->extra, err)) ||
            !(w->code = pfx_mem_calloc(ds->n_factors, sizeof *w->code, err)) ||
            !(w->n_levels = pfx_mem_calloc(ds->n_factors, sizeof *w->n_levels, err)))
            return PFX_ENOMEM;
    }
    return PFX_OK;
}

void pfx_stream_windows_free(pfx_dataset_stream *s)
{
    pfx_helper_free(s->helper);
    s->helper = NULL;
    for (int i = 0; i < 2; i++) {
        pfx_ds_window *w = &s->window[i];
        for (int k = 0; w->extra && k < s->ds->n_extras; k++) pfx_mem_free(w->extra[k]);
        for (int k = 0; w->code && k < s->ds->n_factors; k++) pfx_mem_free(w->code[k]);
        pfx_mem_free(w->table), pfx_mem_free(w->extra), pfx_mem_free(w->code), pfx_mem_free(w->n_levels);
    }
}
