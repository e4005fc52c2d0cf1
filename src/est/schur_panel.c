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

/* Count, or list, the panels that each level touches; with the list, the narrow blocks' products. */
static void list_piece(void *ctx, pfx_idx piece, int thread)
{
    pfx_panels *a = ctx;
    const pfx_schur_spec *p = &a->s->spec;
    pfx_idx *stamp = a->work[thread].stamp;
    int64_t *at = a->at + piece * a->n_panels;
    pfx_idx g0 = piece * a->n_units / PFX_PANEL_PIECES, g1 = (piece + 1) * a->n_units / PFX_PANEL_PIECES;

    if (a->fill && a->n_few > 0)
        pfx_panel_sum_few(a, g0, g1, a->few + piece * a->n_few * (a->n_few + 1), &a->work[thread]);
    memset(stamp, 0xff, (size_t)a->n_panels * sizeof *stamp);
    for (pfx_idx g = g0; g < g1; g++) {
        pfx_idx r0 = pfx_panel_first_row(a, g), r1 = pfx_panel_first_row(a, g + 1);
        for (int e = 0; e < p->n_blocks; e++) {
            if (a->is_narrow[e] || pfx_panel_vanishes(p, &p->block[e], r0, r1)) continue;
            for (pfx_idx r = r0; r < r1; r++) {
                pfx_idx t = a->slot[pfx_panel_column(&p->block[e], r)] / PFX_PANEL_ROWS;
                if (stamp[t] == g) continue;
                stamp[t] = g;
                if (a->fill) a->unit[at[t]] = (pfx_panel_unit){(int32_t)r0, (int32_t)(r1 - r0)};
                at[t]++;
            }
        }
    }
}

static pfx_status make_lists(pfx_panels *a, pfx_err *err)
{
    int64_t sum = 0;

    pfx_par_for(PFX_PANEL_PIECES, a->s->spec.nth, list_piece, a);
    for (pfx_idx t = 0; t < a->n_panels; t++) {
        a->begin[t] = sum;
        for (pfx_idx piece = 0; piece < PFX_PANEL_PIECES; piece++) {
            int64_t n = a->at[piece * a->n_panels + t];
            a->at[piece * a->n_panels + t] = sum;
            sum += n;
        }
    }
    a->begin[a->n_panels] = sum;
    if (!(a->unit = pfx_mem_alloc(sum, sizeof *a->unit, err))) return PFX_ENOMEM;
    a->fill = true;
    pfx_par_for(PFX_PANEL_PIECES, a->s->spec.nth, list_piece, a);
    return PFX_OK;
}

static void sum_panel(void *ctx, pfx_idx i, int thread)
{
    pfx_panels *a = ctx;
    pfx_panel_sum(a, i, &a->work[thread]);
    pfx_panel_emit(a, i, &a->work[thread]);
}

static pfx_status allocate_work(pfx_panels *a, pfx_err *err)
{
    const pfx_schur_spec *p = &a->s->spec;
    pfx_idx q = p->q, longest = 1;

    for (pfx_idx g = 0; g < p->n_levels; g++)
        if (p->start[g + 1] - p->start[g] > longest) longest = p->start[g + 1] - p->start[g];
    pfx_idx places = longest * p->n_blocks < PFX_PANEL_ROWS + q ? longest * p->n_blocks : PFX_PANEL_ROWS + q;
    pfx_idx tiles = places < a->n_tiles ? places : a->n_tiles;
    for (int t = 0; t < p->nth; t++) {
        pfx_panel_work *k = &a->work[t];
        if (!(k->slot = pfx_mem_alloc(places, sizeof *k->slot, err)) ||
            !(k->u = pfx_mem_alloc(places * a->k, sizeof *k->u, err)) ||
            !(k->place_tile = pfx_mem_alloc(places, sizeof *k->place_tile, err)) ||
            !(k->row = pfx_mem_alloc(places, sizeof *k->row, err)) ||
            !(k->f = pfx_mem_alloc(places, sizeof *k->f, err)) ||
            !(k->mark = pfx_mem_alloc(q, sizeof *k->mark, err)) ||
            !(k->tile = pfx_mem_alloc(tiles, sizeof *k->tile, err)) ||
            !(k->sums = pfx_mem_alloc(tiles * a->k * PFX_PANEL_LANES, sizeof *k->sums, err)) ||
            !(k->base = pfx_mem_alloc(tiles, sizeof *k->base, err)) ||
            !(k->stride = pfx_mem_alloc(tiles, sizeof *k->stride, err)) ||
            !(k->local = pfx_mem_alloc(a->n_wide_tiles, sizeof *k->local, err)) ||
            !(k->global = pfx_mem_alloc(a->n_wide_tiles, sizeof *k->global, err)) ||
            !(k->panel = pfx_mem_calloc(PFX_PANEL_ROWS * a->ld, sizeof *k->panel, err)) ||
            !(k->stamp = pfx_mem_alloc(a->n_panels, sizeof *k->stamp, err)) ||
            !(k->at = pfx_mem_calloc(q, sizeof *k->at, err)) ||
            !(k->out_col = pfx_mem_alloc((PFX_PANEL_ROWS + 2) * q, sizeof *k->out_col, err)) ||
            !(k->out_val = pfx_mem_alloc(PFX_PANEL_ROWS * q, sizeof *k->out_val, err)))
            return PFX_ENOMEM;
        memset(k->mark, 0xff, (size_t)q * sizeof *k->mark);
        memset(k->local, 0xff, (size_t)a->n_wide_tiles * sizeof *k->local);
    }
    return PFX_OK;
}

/* The full part of S: its columns by narrow slot, its rows by wide slot. */
static pfx_status allocate_coupling(pfx_panels *a, pfx_err *err)
{
    pfx_schur_coupling *c = &a->s->coupling;
    pfx_idx q = a->s->spec.q, first = a->n_wide_tiles * PFX_PANEL_LANES;

    if (a->n_few == 0) return PFX_OK;
    if (!(c->row = pfx_mem_alloc(q, sizeof *c->row, err)) ||
        !(c->col = pfx_mem_alloc(a->n_few, sizeof *c->col, err)) ||
        !(c->N = pfx_mem_calloc(first * a->n_few, sizeof *c->N, err)))
        return PFX_ENOMEM;
    c->n = a->n_few;
    for (pfx_idx i = 0; i < q; i++) c->row[i] = a->slot[i] < first ? a->slot[i] : -1;
    memcpy(c->col, a->column + first, (size_t)a->n_few * sizeof *c->col);
    return PFX_OK;
}

static pfx_status allocate(pfx_panels *a, pfx_err *err)
{
    const pfx_schur_spec *p = &a->s->spec;

    if (!(a->is_narrow = pfx_mem_calloc(p->n_blocks, sizeof *a->is_narrow, err)) ||
        pfx_panel_order(a, err) != PFX_OK || allocate_coupling(a, err) != PFX_OK)
        return PFX_ENOMEM;
    if (!(a->few = pfx_mem_calloc(PFX_PANEL_PIECES * a->n_few * (a->n_few + 1), sizeof *a->few, err)) ||
        !(a->at = pfx_mem_calloc(PFX_PANEL_PIECES * a->n_panels, sizeof *a->at, err)) ||
        !(a->begin = pfx_mem_alloc(a->n_panels + 1, sizeof *a->begin, err)) ||
        !(a->out = pfx_mem_calloc(a->n_panels, sizeof *a->out, err)) ||
        !(a->length = pfx_mem_alloc(p->q, sizeof *a->length, err)) ||
        !(a->work = pfx_mem_calloc(p->nth, sizeof *a->work, err)) ||
        !(a->s->csr.inv = pfx_mem_alloc(p->q, sizeof *a->s->csr.inv, err)))
        return PFX_ENOMEM;
    a->ld = (a->n_wide_tiles + 1) * PFX_PANEL_LANES; /* rows of a power of two would meet in the cache */
    return allocate_work(a, err);
}

static void release(pfx_panels *a)
{
    for (int t = 0; a->work && t < a->s->spec.nth; t++) {
        pfx_panel_work *k = &a->work[t];
        pfx_mem_free(k->slot), pfx_mem_free(k->u), pfx_mem_free(k->place_tile), pfx_mem_free(k->row),
            pfx_mem_free(k->f), pfx_mem_free(k->mark);
        pfx_mem_free(k->tile), pfx_mem_free(k->sums), pfx_mem_free(k->base), pfx_mem_free(k->stride);
        pfx_mem_free(k->local), pfx_mem_free(k->global), pfx_mem_free(k->panel), pfx_mem_free(k->stamp),
            pfx_mem_free(k->at);
        pfx_mem_free(k->out_col), pfx_mem_free(k->out_val);
        pfx_panel_store_free(k->store);
    }
    pfx_mem_free(a->is_narrow), pfx_mem_free(a->slot), pfx_mem_free(a->column), pfx_mem_free(a->few);
    pfx_mem_free(a->at), pfx_mem_free(a->begin), pfx_mem_free(a->unit);
    pfx_mem_free(a->out), pfx_mem_free(a->length), pfx_mem_free(a->work);
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
    pfx_status st = allocate(&a, err);

    a.plain = a.k == 1 && p->mean && !p->w;
    for (int e = 0; e < p->n_blocks; e++) a.plain &= !p->block[e].value;
    if (st == PFX_OK) st = make_lists(&a, err);
    if (st == PFX_OK) {
        pfx_par_for(a.n_panels, p->nth, sum_panel, &a);
        st = pfx_panel_join(&a, err);
    }
    release(&a);
    return st;
}
