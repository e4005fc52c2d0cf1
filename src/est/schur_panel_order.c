/* Which columns share a tile. */
#include <string.h>
#include "src/base/mem.h"
#include "src/est/schur_panel.h"

/* Blocks of few columns beside a large one are met by every level: their products with each other are summed
 * piece by piece of the levels, and those with the large ones are kept as a full matrix. */
#define NARROW 192

/* Blocks from the smallest up while they stay few columns together, but not all of them. */
static void choose_narrow(pfx_panels *a)
{
    const pfx_schur_spec *p = &a->s->spec;

    a->n_wide = p->q;
    for (int left = p->n_blocks; left > 1; left--) {
        int least = -1;
        for (int e = 0; e < p->n_blocks; e++)
            if (!a->is_narrow[e] && (least < 0 || p->block[e].n_levels < p->block[least].n_levels)) least = e;
        pfx_idx n = p->block[least].n_levels;
        if (a->n_narrow + n > NARROW || a->n_narrow + n > a->n_wide - n) break;
        a->is_narrow[least] = true;
        a->n_narrow += n, a->n_wide -= n;
    }
}

typedef struct tiler {
    pfx_panels *a;
    int32_t *used; /* [q] lanes in use of a tile */
    pfx_idx n, left;
} tiler;

/* Columns of level g in block e that have no slot yet: to the tile of the others, as far as it has room,
 * where `any`; without it only where the level lies in no more than one tile so far, as a level that moves
 * would tie together what others keep apart. */
static void place_level(tiler *t, pfx_idx g, int e, bool any)
{
    pfx_panels *a = t->a;
    const pfx_schur_block *b = &a->s->spec.block[e];
    pfx_idx r0 = pfx_panel_first_row(a, g), r1 = pfx_panel_first_row(a, g + 1);
    int32_t mine = -1;

    for (pfx_idx r = r0; r < r1; r++) {
        int32_t s = a->slot[pfx_panel_column(b, r)];
        if (s < 0) continue;
        if (!any && mine >= 0 && mine != s / PFX_PANEL_LANES) return;
        if (mine < 0 || t->used[mine] == PFX_PANEL_LANES) mine = s / PFX_PANEL_LANES;
    }
    for (pfx_idx r = r0; r < r1; r++) {
        int32_t c = pfx_panel_column(b, r);
        if (a->slot[c] >= 0) continue;
        if (mine < 0 || t->used[mine] == PFX_PANEL_LANES) mine = (int32_t)t->n++;
        a->slot[c] = mine * PFX_PANEL_LANES + t->used[mine]++;
        t->left--;
    }
}

/* The wide blocks, or the narrow ones. */
static void place_blocks(tiler *t, bool narrow)
{
    pfx_panels *a = t->a;
    const pfx_schur_spec *p = &a->s->spec;

    t->left = narrow ? a->n_narrow : a->n_wide;
    for (int any = 0; any < 2; any++)
        for (pfx_idx g = 0; g < a->n_units && t->left > 0; g++)
            for (int e = 0; e < p->n_blocks; e++)
                if (a->is_narrow[e] == narrow) place_level(t, g, e, any);
    for (int e = 0; e < p->n_blocks; e++) /* no row lies in these */
        for (pfx_idx i = 0; i < p->block[e].n_levels && a->is_narrow[e] == narrow && t->left > 0; i++) {
            int32_t *s = &a->slot[p->block[e].col0 + i];
            if (*s >= 0) continue;
            *s = (int32_t)t->n * PFX_PANEL_LANES;
            t->used[t->n++] = 1;
            t->left--;
        }
}

pfx_status pfx_panel_order(pfx_panels *a, pfx_err *err)
{
    pfx_idx q = a->s->spec.q;
    tiler t = {.a = a, .used = pfx_mem_calloc(q + 1, sizeof *t.used, err)};

    if (!t.used || !(a->slot = pfx_mem_alloc(q, sizeof *a->slot, err))) {
        pfx_mem_free(t.used);
        return PFX_ENOMEM;
    }
    choose_narrow(a);
    memset(a->slot, 0xff, (size_t)q * sizeof *a->slot);
    place_blocks(&t, false);
    a->n_wide_tiles = t.n;
    place_blocks(&t, true);
    a->n_tiles = t.n;
    a->n_few = (a->n_tiles - a->n_wide_tiles) * PFX_PANEL_LANES;
    a->n_panels = (a->n_wide_tiles + PFX_PANEL_TILES - 1) / PFX_PANEL_TILES;
    pfx_mem_free(t.used);
    if (!(a->column = pfx_mem_alloc(a->n_tiles * PFX_PANEL_LANES, sizeof *a->column, err))) return PFX_ENOMEM;
    memset(a->column, 0xff, (size_t)(a->n_tiles * PFX_PANEL_LANES) * sizeof *a->column);
    for (pfx_idx c = 0; c < q; c++) a->column[a->slot[c]] = (int32_t)c;
    return PFX_OK;
}
