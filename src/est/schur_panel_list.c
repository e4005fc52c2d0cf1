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
    const pfx_idx blocks = l->inner + l->outer;
    return 1 + (l->packed ? blocks : (blocks * l->rows + PER_CELL - 1) / PER_CELL);
}

/* The columns of one block in a cell; 0 where the mean takes them off. Returns whether they fit. Eight rows
 * are looked at whether there are as many or not, the last again and again: no branch is guessed wrong. */
static inline bool pack_block(const int32_t *code, const int32_t *slot, int n, uint64_t *cell)
{
    const uint32_t slot0 = (uint32_t)slot[code[0]];
    uint32_t lanes = 0, set = 0, twice = 0, apart = 0;
    int32_t differ = 0;

    for (int i = 0; i < PFX_K_INCIDENCE_PACKED; i++) {
        const int32_t c = code[i < n ? i : n - 1];
        const uint32_t s = (uint32_t)slot[c], lane = s % PFX_PANEL_LANES, bit = i < n ? 1u << lane : 0;
        differ |= c ^ code[0], apart |= s ^ slot0;
        lanes |= lane << 4 * i;
        twice |= set & bit, set |= bit;
    }
    *cell = differ ? pfx_k_incidence_cell(slot0 / PFX_PANEL_LANES, lanes, set) : 0;
    return differ == 0 || (apart < PFX_PANEL_LANES && twice == 0);
}

/* Slots of one block; returns whether the mean does not take them off. */
static bool put_slots(const int32_t *code, const int32_t *slot, int n, uint16_t *to)
{
    int32_t differ = 0;
    for (int r = 0; r < n; r++) {
        to[r] = (uint16_t)slot[code[r]];
        differ |= code[r] ^ code[0];
    }
    return differ != 0;
}

/* The blocks of a level, the wide ones first; of those that its mean takes off nothing is kept. Returns
 * whether there was room: a packed level may have none. */
static inline bool put_blocks(const pfx_panels *a, pfx_idx r0, pfx_k_incidence *l)
{
    const pfx_schur_spec *p = &a->s->spec;
    uint64_t *cell = (uint64_t *)(void *)(l + 1);
    uint16_t *slot = l->slot;

    l->inner = l->outer = 0;
    for (int narrow = 0; narrow < 2; narrow++)
        for (int e = 0; e < p->n_blocks; e++) {
            const int32_t *code = p->block[e].code + r0, *to = a->slot + p->block[e].col0;
            bool kept;
            if (a->is_narrow[e] != narrow) continue;
            if (l->packed) {
                if (!pack_block(code, to, l->rows, cell)) return false;
                kept = *cell != 0, cell += kept;
            } else
                kept = put_slots(code, to, l->rows, slot), slot += kept ? l->rows : 0;
            *(narrow ? &l->outer : &l->inner) += kept;
        }
    return true;
}

static void put_level(const pfx_panels *a, pfx_idx g, pfx_k_incidence *l)
{
    pfx_idx r0 = pfx_panel_first_row(a, g), n = pfx_panel_first_row(a, g + 1) - r0;
    const int blocks = a->s->spec.n_blocks;
    bool fits = a->plain && n * blocks <= PFX_K_INCIDENCE_MAX;

    *l = (pfx_k_incidence){.level = (int32_t)g, .rows = fits ? (uint8_t)n : 0};
    /* A cell for each block must not take more room than slots may. */
    l->packed = fits && n <= PFX_K_INCIDENCE_PACKED && blocks <= PFX_K_INCIDENCE_PACKED &&
                PER_CELL * (blocks - 1) <= n * blocks;
    if (!fits || put_blocks(a, r0, l)) return;
    l->packed = false;
    (void)put_blocks(a, r0, l);
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
    const uint64_t *cell = (const uint64_t *)(const void *)(l + 1);
    pfx_idx r0, r1;

    for (int b = 0; b < l->inner && l->packed; b++) meet(a, m, l, (cell[b] & 0xFFFF) / PFX_PANEL_TILES);
    for (int i = 0; i < l->inner * l->rows && !l->packed; i++) meet(a, m, l, l->slot[i] / PFX_PANEL_ROWS);
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
    bool mixed = false;
    pfx_k_incidence_target few = pfx_panel_few(a, piece, k);
    const meeting m = begin(a, piece, thread, false);

    memset(few.S, 0, (size_t)(a->n_few * (a->n_few + 1)) * sizeof *few.S);
    piece_units(a, piece, &g0, &g1);
    uint64_t *cell = a->unit + pfx_panel_cells(a, 0, g0);
    for (pfx_idx g = g0; g < g1; g++) {
        pfx_k_incidence *l = (pfx_k_incidence *)(void *)cell;
        put_level(a, g, l);
        meet_panels(a, &m, l);
        mixed |= l->rows == 0;
        if (a->n_few > 0 && l->rows == 0) pfx_panel_add(a, g, &few, k);
        if (l->outer > 0) k->batch[waiting++] = (uint32_t)(cell - a->unit);
        cell += cells_of(l);
        if (waiting < PFX_PANEL_BATCH && g + 1 < g1) continue;
        pfx_k_incidence_add(a->s->spec.isa, waiting, k->batch, a->unit, &few);
        waiting = 0;
    }
    a->mixed[piece] = mixed;
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
