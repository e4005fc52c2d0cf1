/* Which columns share a tile. */
#include <string.h>
#include "src/base/mem.h"
#include "src/est/components.h"
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
    pfx_idx *root;     /* [q] columns that are to share a tile */
    int32_t *size;     /* [q] of a root's */
    int32_t *follower; /* [q] the column that came after it last, within a level; -1 */
    pfx_idx n, used;   /* tiles, and lanes of the last */
} tiler;

/* Two columns that follow each other in a level, for the second time: a level that moves would tie together
 * what others keep apart. */
static void follow(tiler *t, int32_t c, int32_t next)
{
    if (c == next || t->root[c] == t->root[next]) return;
    if (t->follower[c] != next) {
        t->follower[c] = next;
        return;
    }
    pfx_idx i = pfx_components_find(t->root, c), j = pfx_components_find(t->root, next);
    int32_t size = t->size[i] + t->size[j];
    if (i == j || size > PFX_PANEL_LANES) return;
    pfx_components_join(t->root, i, j);
    t->size[i < j ? i : j] = size;
}

/* So many rows a column are looked at, in runs of levels from all over the data. */
#define LOOKS 24
#define RUNS 32

static void tie(tiler *t)
{
    const pfx_panels *a = t->a;
    const pfx_schur_spec *p = &a->s->spec;
    const pfx_idx piece = a->n_units / RUNS, share = 1 + p->n / (LOOKS * p->q), length = piece / share + 1;

    for (int i = 0; i < RUNS; i++)
        for (pfx_idx g = i * piece; g < i * piece + length && g < a->n_units; g++)
            for (int e = 0; e < p->n_blocks; e++)
                for (pfx_idx r = pfx_panel_first_row(a, g) + 1; r < pfx_panel_first_row(a, g + 1); r++)
                    follow(t, pfx_panel_column(&p->block[e], r - 1), pfx_panel_column(&p->block[e], r));
}

/* Columns that share a tile get its lanes in their order; a tile takes the next ones too that fit. */
static void place_blocks(tiler *t, bool narrow)
{
    pfx_panels *a = t->a;
    const pfx_schur_spec *p = &a->s->spec;

    for (int e = 0; e < p->n_blocks; e++) {
        const pfx_schur_block *b = &p->block[e];
        if (a->is_narrow[e] != narrow) continue;
        t->used = PFX_PANEL_LANES;
        for (pfx_idx c = b->col0; c < b->col0 + b->n_levels; c++) {
            int32_t *place = &t->follower[c]; /* of a root: where its next column goes */
            pfx_idx root = pfx_components_find(t->root, c);
            if (root == c) {
                if (t->used + t->size[c] > PFX_PANEL_LANES) t->n++, t->used = 0;
                *place = (int32_t)((t->n - 1) * PFX_PANEL_LANES + t->used);
                t->used += t->size[c];
            }
            a->slot[c] = t->follower[root]++;
        }
    }
}

static pfx_status make_tiler(tiler *t, pfx_err *err)
{
    const pfx_idx q = t->a->s->spec.q;

    if (!(t->root = pfx_mem_alloc(q, sizeof *t->root, err)) ||
        !(t->size = pfx_mem_alloc(q, sizeof *t->size, err)) ||
        !(t->follower = pfx_mem_alloc(q, sizeof *t->follower, err)))
        return PFX_ENOMEM;
    pfx_components_init(q, t->root);
    for (pfx_idx c = 0; c < q; c++) t->size[c] = 1, t->follower[c] = -1;
    return PFX_OK;
}

pfx_status pfx_panel_order(pfx_panels *a, pfx_err *err)
{
    pfx_idx q = a->s->spec.q;
    tiler t = {.a = a};
    pfx_status st = make_tiler(&t, err);

    if (st == PFX_OK && !(a->slot = pfx_mem_alloc(q, sizeof *a->slot, err))) st = PFX_ENOMEM;
    if (st == PFX_OK) {
        choose_narrow(a);
        tie(&t);
        place_blocks(&t, false);
        a->n_wide_tiles = t.n;
        place_blocks(&t, true);
        a->n_tiles = t.n;
        a->n_few = (a->n_tiles - a->n_wide_tiles) * PFX_PANEL_LANES;
        a->n_panels = (a->n_wide_tiles + PFX_PANEL_TILES - 1) / PFX_PANEL_TILES;
    }
    pfx_mem_free(t.root), pfx_mem_free(t.size), pfx_mem_free(t.follower);
    if (st != PFX_OK || !(a->column = pfx_mem_alloc(a->n_tiles * PFX_PANEL_LANES, sizeof *a->column, err)))
        return PFX_ENOMEM;
    memset(a->column, 0xff, (size_t)(a->n_tiles * PFX_PANEL_LANES) * sizeof *a->column);
    for (pfx_idx c = 0; c < q; c++) a->column[a->slot[c]] = (int32_t)c;
    return PFX_OK;
}
