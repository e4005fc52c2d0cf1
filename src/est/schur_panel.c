/* The sparse Schur complement where it is not very sparse (industry^year and region^year beside firms): a few
 * tiles of columns at a time are the rows of a panel that stays in the second-level cache; every eliminated
 * level that touches a row of the panel adds to it; then what is not zero goes to the compressed rows.
 * Columns that occur together share a tile, so that a level is met by few panels and adds whole lines.
 * Products of large blocks with narrow ones, which are mostly full, are a matrix of their own. Each element
 * of S is one chain of additions in the order of the levels, so threads share nothing and their number
 * changes nothing. */
#include "src/est/schur_panel.h"

#include <string.h>
#include "src/base/mem.h"
#include "src/base/parallel.h"

#define MAX_Q 6144 /* looking for the columns that a panel met takes q looks a panel */

/* Levels in the order of the list; runs of those with slots at once. */
static void sum_panel(void *ctx, pfx_idx i, int thread)
{
    pfx_panels *a = ctx;
    pfx_panel_work *k = &a->work[thread];
    pfx_k_incidence_target t = pfx_panel_target(a, i, k);
    const uint32_t *l = a->listed + a->list[i];
    const pfx_idx n = a->list[i + 1] - a->list[i];
    bool mixed = false;

    for (int piece = 0; piece < PFX_PANEL_PIECES; piece++) mixed |= a->mixed[piece];
    for (pfx_idx j0 = 0, j1 = n; j0 < n; j0 = j1, j1 = n) {
        for (j1 = mixed ? j0 : n; j1 < n && pfx_panel_level(a, l[j1])->rows > 0;) j1++;
        pfx_k_incidence_add(a->s->spec.isa, j1 - j0, l + j0, a->unit, &t);
        for (; j1 < n && pfx_panel_level(a, l[j1])->rows == 0; j1++)
            pfx_panel_add(a, pfx_panel_level(a, l[j1])->level, &t, k);
    }
    pfx_panel_emit(a, i, &t, k);
}

/* One piece of memory for all arrays: large ones come in huge pages. at NULL: it is only measured. */
typedef struct room {
    char *at;
    size_t used;
} room;

static void *take(room *r, pfx_idx n, size_t size)
{
    void *p = r->at ? r->at + r->used : NULL;
    r->used += ((size_t)n * size + 63) / 64 * 64;
    return p;
}

static void *take_zeros(room *r, pfx_idx n, size_t size)
{
    void *p = take(r, n, size);
    return p ? memset(p, 0, (size_t)n * size) : NULL;
}

static void lay_out_work(const pfx_panels *a, pfx_idx longest, pfx_panel_work *k, room *r)
{
    const pfx_idx q = a->s->spec.q, most = longest * a->s->spec.n_blocks;
    const pfx_idx places = most < PFX_PANEL_ROWS + q ? most : PFX_PANEL_ROWS + q;
    const pfx_idx tiles = places < a->n_tiles ? places : a->n_tiles;

    k->slot = take(r, places, sizeof *k->slot), k->u = take(r, places * a->k, sizeof *k->u);
    k->place_tile = take(r, places, sizeof *k->place_tile);
    k->row = take(r, places, sizeof *k->row), k->f = take(r, places, sizeof *k->f);
    k->mark = take(r, q, sizeof *k->mark), k->tile = take(r, tiles, sizeof *k->tile);
    k->sums = take(r, tiles * a->k * PFX_PANEL_LANES, sizeof *k->sums);
    k->base = take(r, tiles, sizeof *k->base), k->stride = take(r, tiles, sizeof *k->stride);
    k->at = take(r, a->n_tiles, sizeof *k->at), k->met = take(r, a->n_tiles, sizeof *k->met);
    k->panel = take_zeros(r, PFX_PANEL_ROWS * a->ld, sizeof *k->panel);
    k->stamp = take(r, a->n_panels, sizeof *k->stamp), k->where = take_zeros(r, q, sizeof *k->where);
    k->col_met = take(r, q, sizeof *k->col_met), k->where_met = take(r, q, sizeof *k->where_met);
    if (!r->at) return;
    memset(k->mark, 0xff, (size_t)q * sizeof *k->mark);
    for (pfx_idx i = 0; i < a->n_tiles; i++)
        k->at[i] = i < a->n_wide_tiles ? -1 : (int32_t)((i - a->n_wide_tiles) * PFX_PANEL_LANES);
}

static void lay_out(pfx_panels *a, pfx_idx longest, room *r)
{
    pfx_idx touches = 0; /* panels that levels touch, at most */

    for (int e = 0; e < a->s->spec.n_blocks; e++) touches += a->is_narrow[e] ? 0 : a->s->spec.n;
    a->few = take(r, PFX_PANEL_PIECES * a->n_few * (a->n_few + 1), sizeof *a->few);
    a->at = take_zeros(r, PFX_PANEL_PIECES * a->n_panels, sizeof *a->at);
    a->list = take(r, a->n_panels + 1, sizeof *a->list);
    a->out = take_zeros(r, a->n_panels, sizeof *a->out);
    a->length = take(r, a->s->spec.q, sizeof *a->length);
    for (int t = 0; t < a->s->spec.nth; t++) lay_out_work(a, longest, &a->work[t], r);
    a->unit = take(r, pfx_panel_cells(a, 0, a->n_units), sizeof *a->unit);
    a->listed = take(r, touches, sizeof *a->listed); /* the last, as most of it is not used */
}

/* The full part of S: its columns by narrow slot, its rows by wide slot. */
static pfx_status allocate_coupling(pfx_panels *a, pfx_err *err)
{
    pfx_schur_coupling *c = &a->s->coupling;
    pfx_idx q = a->s->spec.q, first = a->n_wide_tiles * PFX_PANEL_LANES;

    if (a->n_few == 0) return PFX_OK;
    if (!(c->row = pfx_mem_alloc(q, sizeof *c->row, err)) ||
        !(c->col = pfx_mem_alloc(a->n_few, sizeof *c->col, err)) ||
        !(c->N = pfx_mem_alloc(first * a->n_few, sizeof *c->N, err)))
        return PFX_ENOMEM;
    c->n = a->n_few;
    for (pfx_idx i = 0; i < q; i++) c->row[i] = a->slot[i] < first ? a->slot[i] : -1;
    memcpy(c->col, a->column + first, (size_t)a->n_few * sizeof *c->col);
    return PFX_OK;
}

static pfx_status allocate(pfx_panels *a, pfx_err *err)
{
    const pfx_schur_spec *p = &a->s->spec;
    pfx_idx longest = 1;
    room r = {0};

    if (!(a->is_narrow = pfx_mem_calloc(p->n_blocks, sizeof *a->is_narrow, err)) ||
        pfx_panel_order(a, err) != PFX_OK || allocate_coupling(a, err) != PFX_OK ||
        !(a->work = pfx_mem_calloc(p->nth, sizeof *a->work, err)) ||
        !(a->s->csr.inv = pfx_mem_alloc(p->q, sizeof *a->s->csr.inv, err)))
        return PFX_ENOMEM;
    for (pfx_idx g = 0; g < p->n_levels; g++)
        if (p->start[g + 1] - p->start[g] > longest) longest = p->start[g + 1] - p->start[g];
    a->ld = a->n_few +
            (a->n_wide_tiles + 1) * PFX_PANEL_LANES; /* rows of a power of two would meet in the cache */
    lay_out(a, longest, &r);
    if (!(r.at = a->memory = pfx_mem_alloc(1, r.used, err))) return PFX_ENOMEM;
    r.used = 0;
    lay_out(a, longest, &r);
    return PFX_OK;
}

static void release(pfx_panels *a)
{
    for (int t = 0; a->work && t < a->s->spec.nth; t++) pfx_panel_store_free(a->work[t].store);
    pfx_mem_free(a->is_narrow), pfx_mem_free(a->slot), pfx_mem_free(a->column);
    pfx_mem_free(a->work), pfx_mem_free(a->memory);
}

bool pfx_schur_panel_suits(const pfx_schur_spec *p)
{
    double places = (double)p->n * p->n_blocks, q = (double)p->q;
    return p->q <= MAX_Q && p->n < INT32_MAX && 8.0 * places >= q * q;
}

pfx_status pfx_schur_panel(pfx_schur *s, pfx_err *err)
{
    const pfx_schur_spec *p = &s->spec;
    pfx_panels a = {.s = s,
                    .n_units = p->n_levels > 0 ? p->n_levels : p->n,
                    .k = p->n_levels > 0 ? p->mean + p->n_basis : 0};
    pfx_status st;

    a.plain = a.k == 1 && p->mean && !p->w;
    for (int e = 0; e < p->n_blocks; e++) a.plain &= !p->block[e].value;
    if (pfx_panel_cells(&a, 0, a.n_units) > UINT32_MAX) a.plain = false;
    st = allocate(&a, err);
    if (st == PFX_OK) pfx_panel_list(&a);
    if (st == PFX_OK) {
        pfx_par_for(a.n_panels, p->nth, sum_panel, &a);
        st = pfx_panel_join(&a, err);
    }
    release(&a);
    return st;
}
