/* Levels by the slots that their rows lie in, and which of them touch a panel. */
#include <string.h>
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/est/schur_panel.h"

enum { CELL = sizeof(uint64_t), PER_CELL = CELL / sizeof(uint16_t) };
_Static_assert(sizeof(pfx_k_incidence) == CELL, "a level's head fills one cell");

/* Cells of a level: its head, and its slots. */
static pfx_idx cells_of(const pfx_k_incidence *l)
{
    return 1 + ((l->inner + l->outer) * l->rows + PER_CELL - 1) / PER_CELL;
}

/* Slots of the blocks' columns, block by block, of those that the mean does not take off; returns their
 * number. */
static int put_slots(const pfx_panels *a, bool narrow, pfx_idx r0, pfx_idx n, uint16_t *to)
{
    const pfx_schur_spec *p = &a->s->spec;
    int blocks = 0;

    for (int e = 0; e < p->n_blocks; e++) {
        const int32_t *code = p->block[e].code + r0, *slot = a->slot + p->block[e].col0;
        int32_t differ = 0;
        if (a->is_narrow[e] != narrow) continue;
        for (pfx_idx r = 0; r < n; r++) {
            to[r] = (uint16_t)slot[code[r]];
            differ |= code[r] ^ code[0];
        }
        if (differ == 0) continue;
        to += n, blocks++;
    }
    return blocks;
}

static void put_level(const pfx_panels *a, pfx_idx g, pfx_k_incidence *l)
{
    pfx_idx r0 = pfx_panel_first_row(a, g), n = pfx_panel_first_row(a, g + 1) - r0;

    l->level = (int32_t)g, l->rows = 0, l->inner = l->outer = 0;
    if (!a->plain || n * a->s->spec.n_blocks > PFX_K_INCIDENCE_MAX) return;
    l->rows = (uint16_t)n;
    l->inner = (uint8_t)put_slots(a, false, r0, n, l->slot);
    l->outer = (uint8_t)put_slots(a, true, r0, n, l->slot + l->inner * n);
}

/* Who meets the panels of a level: with fill it is put into their lists, without, these are counted. */
typedef struct meeting {
    pfx_idx *stamp; /* [n_panels] the level that met a panel last */
    int64_t *at;    /* [n_panels] */
    bool fill;
} meeting;

static inline void meet(const pfx_panels *a, const meeting *m, const pfx_k_incidence *l, pfx_idx t)
{
    if (m->stamp[t] == l->level) return;
    m->stamp[t] = l->level;
    if (m->fill) a->listed[m->at[t]] = (uint32_t)((const uint64_t *)(const void *)l - a->unit);
    m->at[t]++;
}

static inline void meet_panels(const pfx_panels *a, const meeting *m, const pfx_k_incidence *l)
{
    const pfx_schur_spec *p = &a->s->spec;
    pfx_idx r0, r1;

    for (int i = 0; i < l->inner * l->rows; i++) meet(a, m, l, l->slot[i] / PFX_PANEL_ROWS);
    if (l->rows > 0) return;
    r0 = pfx_panel_first_row(a, l->level), r1 = pfx_panel_first_row(a, l->level + 1);
    for (int e = 0; e < p->n_blocks; e++) {
        if (a->is_narrow[e] || pfx_panel_vanishes(p, &p->block[e], r0, r1)) continue;
        for (pfx_idx r = r0; r < r1; r++)
            meet(a, m, l, a->slot[pfx_panel_column(&p->block[e], r)] / PFX_PANEL_ROWS);
    }
}

static void piece_units(const pfx_panels *a, pfx_idx piece, pfx_idx *g0, pfx_idx *g1)
{
    *g0 = piece * a->n_units / PFX_PANEL_PIECES, *g1 = (piece + 1) * a->n_units / PFX_PANEL_PIECES;
}

static meeting begin(const pfx_panels *a, pfx_idx piece, int thread, bool fill)
{
    pfx_idx *stamp = a->work[thread].stamp;
    memset(stamp, 0xff, (size_t)a->n_panels * sizeof *stamp);
    return (meeting){stamp, a->at + piece * a->n_panels, fill};
}

/* The levels of a piece, the panels that they touch counted, and the narrow blocks' products. */
static void read_piece(void *ctx, pfx_idx piece, int thread)
{
    pfx_panels *a = ctx;
    pfx_panel_work *k = &a->work[thread];
    pfx_idx g0, g1, waiting = 0;
    pfx_k_incidence_target few = pfx_panel_few(a, piece, k);
    const meeting m = begin(a, piece, thread, false);

    piece_units(a, piece, &g0, &g1);
    uint64_t *cell = a->unit + pfx_panel_cells(a, 0, g0);
    for (pfx_idx g = g0; g < g1; g++) {
        pfx_k_incidence *l = (pfx_k_incidence *)(void *)cell;
        put_level(a, g, l);
        meet_panels(a, &m, l);
        a->mixed[piece] |= l->rows == 0;
        if (a->n_few > 0 && l->rows == 0) pfx_panel_add(a, g, &few, k);
        if (l->outer > 0) k->batch[waiting++] = (uint32_t)(cell - a->unit);
        cell += cells_of(l);
        if (waiting < PFX_PANEL_BATCH && g + 1 < g1) continue;
        pfx_k_incidence_add(a->s->spec.isa, waiting, k->batch, a->unit, &few);
        waiting = 0;
    }
}

static void list_piece(void *ctx, pfx_idx piece, int thread)
{
    pfx_panels *a = ctx;
    pfx_idx g0, g1;
    const meeting m = begin(a, piece, thread, true);

    piece_units(a, piece, &g0, &g1);
    uint64_t *cell = a->unit + pfx_panel_cells(a, 0, g0);
    for (pfx_idx g = g0; g < g1; g++) {
        const pfx_k_incidence *l = (const pfx_k_incidence *)(void *)cell;
        meet_panels(a, &m, l);
        cell += cells_of(l);
    }
}

pfx_idx pfx_panel_cells(const pfx_panels *a, pfx_idx g0, pfx_idx g1)
{
    const pfx_idx rows = pfx_panel_first_row(a, g1) - pfx_panel_first_row(a, g0);
    return a->plain ? 2 * (g1 - g0) + rows * a->s->spec.n_blocks / PER_CELL : g1 - g0;
}

void pfx_panel_list(pfx_panels *a)
{
    int64_t sum = 0;

    pfx_par_for(PFX_PANEL_PIECES, a->s->spec.nth, read_piece, a);
    for (pfx_idx t = 0; t < a->n_panels; t++) {
        a->list[t] = sum;
        for (pfx_idx piece = 0; piece < PFX_PANEL_PIECES; piece++) {
            int64_t n = a->at[piece * a->n_panels + t];
            a->at[piece * a->n_panels + t] = sum;
            sum += n;
        }
    }
    a->list[a->n_panels] = sum;
    pfx_par_for(PFX_PANEL_PIECES, a->s->spec.nth, list_piece, a);
}
