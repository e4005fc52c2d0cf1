#include "src/cmd/watch.h"

#include <stddef.h>

#include "src/base/log.h"

static pfx_status watch_rewind(void *ctx, pfx_err *err)
{
    pfx_watch *w = ctx;
    pfx_progress_set(0);
    return w->inner.rewind(w->inner.ctx, err);
}

static pfx_status watch_next(void *ctx, const pfx_frame **block, pfx_err *err)
{
    pfx_watch *w = ctx;
    pfx_status st = w->inner.next(w->inner.ctx, block, err);
    if (st == PFX_OK && *block) pfx_progress_set((double)((*block)->row0 + (*block)->n_rows));
    return st;
}

static void watch_close(void *ctx)
{
    pfx_watch *w = ctx;
    w->inner.close(w->inner.ctx);
    pfx_progress_end();
}

pfx_row_source pfx_watch_source(pfx_watch *w, pfx_row_source inner)
{
    pfx_row_source watched = inner;
    w->inner = inner;
    watched.ctx = w;
    watched.rewind = watch_rewind;
    watched.next = watch_next;
    watched.close = watch_close;
    pfx_progress_begin("reading", "rows", (double)inner.n_rows);
    return watched;
}

static pfx_status first_rewind(void *ctx, pfx_err *err)
{
    pfx_first_rows *l = ctx;
    l->over = false;
    return l->inner.rewind(l->inner.ctx, err);
}

static pfx_status first_next(void *ctx, const pfx_frame **block, pfx_err *err)
{
    pfx_first_rows *l = ctx;
    *block = NULL;
    if (l->over) return PFX_OK;
    pfx_status st = l->inner.next(l->inner.ctx, block, err);
    if (st == PFX_OK && *block) l->over = (*block)->row0 + (*block)->n_rows >= l->rows;
    return st;
}

static void first_close(void *ctx)
{
    pfx_first_rows *l = ctx;
    l->inner.close(l->inner.ctx);
}

pfx_row_source pfx_first_rows_source(pfx_first_rows *l, pfx_idx rows, pfx_row_source inner)
{
    pfx_row_source first = inner;
    *l = (pfx_first_rows){.inner = inner, .rows = rows};
    first.ctx = l;
    first.rewind = first_rewind;
    first.next = first_next;
    first.close = first_close;
    return first;
}
