/* Every byte read once: checksums by HDF5, and the file against itself. */
#include "hdf5_io/panel_private.h"

#include "hdf5_io/panel_order.h"
#include "src/base/mem.h"
#include "src/base/text.h"

/* The units of the index are the runs of equal values of the unit column. */
static pfx_status check_block(const pfx_panel *p, panel_order *order, const pfx_frame *f, int unit, int time,
                              bool *first, pfx_err *err)
{
    pfx_err own = {PFX_OK, ""};
    pfx_idx u = 0;
    pfx_status st = panel_order_take(order, p->h5.path, f->n_rows, unit >= 0 ? f->cols[unit].num : NULL,
                                     unit >= 0 ? f->cols[unit].code : NULL,
                                     time >= 0 ? f->cols[time].num : NULL, first, &own);
    if (st != PFX_OK) return pfx_fail(err, st == PFX_EDATA ? PFX_EFORMAT : st, "%s", own.msg);
    for (pfx_idx r = 0; r < f->n_rows; r++) {
        bool begins = u < f->n_units && f->unit_start[u] == r;
        if (begins) u++;
        if (begins != first[r])
            return pfx_fail(err, PFX_EFORMAT,
                            "%s:/%s: row %lld of the panel %s a unit in the index, but not in column %s; "
                            "import again",
                            p->h5.path, PFX_PANEL_INDEX, (long long)(f->row0 + r) + 1,
                            begins ? "begins" : "does not begin", p->unit);
    }
    return PFX_OK;
}

static pfx_status check_labels(const pfx_panel *p, pfx_err *err)
{
    for (int c = 0; c < p->n_cols; c++)
        for (pfx_idx i = 0; i < p->cols[c].n_levels; i++) {
            const char *s = p->cols[c].levels[i];
            size_t n = 0;
            while (s[n]) n++;
            if (!pfx_text_is_utf8(s, n))
                return pfx_fail(err, PFX_EFORMAT, "%s:/categories/%s: row %lld: not UTF-8", p->h5.path,
                                p->cols[c].name, (long long)i + 1);
        }
    return PFX_OK;
}

static pfx_status check_rows(const pfx_panel *p, pfx_row_source *src, pfx_err *err)
{
    int unit = p->unit[0] ? pfx_panel_find(p, p->unit) : -1,
        time = p->time[0] ? pfx_panel_find(p, p->time) : -1;
    panel_order order = {.unit = unit >= 0 ? &src->cols[unit] : NULL,
                         .time = time >= 0 ? &src->cols[time] : NULL};
    const pfx_frame *f = NULL;
    bool *first = NULL;
    pfx_idx cap = 0;
    pfx_status st;
    while ((st = src->next(src->ctx, &f, err)) == PFX_OK && f) {
        if (f->n_rows > cap) {
            pfx_mem_free(first);
            cap = f->n_rows;
            if (!(first = pfx_mem_alloc(cap, sizeof *first, err))) {
                st = PFX_ENOMEM;
                break;
            }
        }
        if ((st = check_block(p, &order, f, unit, time, first, err)) != PFX_OK) break;
    }
    if (st == PFX_OK && time >= 0 && order.n_seen != p->n_periods)
        st = pfx_fail(err, PFX_EFORMAT, "%s: attribute n_periods is %lld, but there are %lld times",
                      p->h5.path, (long long)p->n_periods, (long long)order.n_seen);
    pfx_mem_free(first);
    panel_order_free(&order);
    return st;
}

pfx_status pfx_panel_check(pfx_panel *p, pfx_err *err)
{
    pfx_row_source src = {0};
    pfx_status st;
    const char **names = pfx_mem_alloc(p->n_cols, sizeof *names, err);
    if (!names) return PFX_ENOMEM;
    for (int c = 0; c < p->n_cols; c++) names[c] = p->cols[c].name;
    st = pfx_panel_source(p, p->n_cols, names, NULL, &src, err);
    pfx_mem_free(names);
    if (st != PFX_OK) return st;
    if ((st = check_labels(p, err)) == PFX_OK) st = check_rows(p, &src, err);
    src.close(src.ctx);
    return st;
}
