/* One level's share of some rows of S: the products of its rows less what its mean and its slopes project,
 * tile by tile. */
#include <string.h>
#include "kernels/outer.h"
#include "src/est/schur_panel.h"

/* Levels with more places than this are merged first: repeated columns cost their square. */
#define MERGE_PLACES 24

#define AHEAD 24 /* levels of a panel lie all over the data: so many ahead their rows' codes are asked for   \
                  */

/* The rows that are added to: slots slot0 .. slot1 - 1. */
typedef struct target {
    pfx_idx slot0, slot1;
    double *few;  /* of narrow columns alone, or NULL */
    double *diag; /* [slot1 - slot0] B'WB */
} target;

typedef struct level {
    pfx_idx r0, r1;
    double weight;
    int n_active;
    const pfx_schur_block **active; /* [n_active] blocks that the mean does not take off */
} level;

/* All below is compiled twice: with `plain` as it is, and as true, where every w v is one and k is one. */
PFX_ALWAYS_INLINE int vectors(const pfx_panels *a, bool plain)
{
    return plain ? 1 : a->k;
}
PFX_ALWAYS_INLINE double value(const pfx_schur_block *b, pfx_idx r, bool plain)
{
    return !plain && b->value ? b->value[r] : 1.0;
}
PFX_ALWAYS_INLINE double weight(const pfx_schur_spec *p, pfx_idx r, bool plain)
{
    return !plain && p->w ? p->w[r] : 1.0;
}

/* The tile's number within the level. */
PFX_ALWAYS_INLINE int32_t tile_of(const pfx_panels *a, int32_t slot, pfx_panel_work *k, bool plain)
{
    int32_t t = slot / PFX_PANEL_LANES, i = k->n_tiles - 1;
    while (i >= 0 && k->tile[i] != t) i--;
    if (i >= 0) return i;
    k->tile[k->n_tiles] = t;
    double *sum = k->sums + (pfx_idx)k->n_tiles * vectors(a, plain) * PFX_PANEL_LANES;
    for (int j = 0; j < vectors(a, plain) * PFX_PANEL_LANES; j++) sum[j] = 0.0;
    return k->n_tiles++;
}

/* Places of the level, and its sums by tile. */
PFX_ALWAYS_INLINE void gather(const pfx_panels *a, const level *l, pfx_panel_work *k, bool plain)
{
    const pfx_schur_spec *p = &a->s->spec;
    bool merge = (l->r1 - l->r0) * l->n_active > MERGE_PLACES;
    const int nv = vectors(a, plain);

    k->n_places = k->n_tiles = 0;
    for (int i = 0; i < l->n_active; i++) {
        const pfx_schur_block *b = l->active[i];
        for (pfx_idx r = l->r0; r < l->r1; r++) {
            int32_t c = pfx_panel_column(b, r), slot = a->slot[c], n = merge ? k->mark[c] : -1;
            double f = weight(p, r, plain) * value(b, r, plain);
            if (n < 0) {
                n = k->n_places++;
                k->slot[n] = slot;
                k->place_tile[n] = tile_of(a, slot, k, plain);
                for (int v = 0; v < nv; v++) k->u[(pfx_idx)n * nv + v] = 0.0;
                if (merge) k->mark[c] = n;
            }
            double *u = k->u + (pfx_idx)n * nv;
            double *sum = k->sums + (pfx_idx)k->place_tile[n] * nv * PFX_PANEL_LANES + slot % PFX_PANEL_LANES;
            for (int v = 0; v < nv; v++) {
                double x = plain || (v == 0 && p->mean) ? f : f * p->basis[v - p->mean][r];
                u[v] += x;
                sum[v * PFX_PANEL_LANES] += x;
            }
        }
    }
    for (int32_t n = 0; merge && n < k->n_places; n++) k->mark[a->column[k->slot[n]]] = -1;
}

/* Where the level's tiles lie in the target's rows. */
PFX_ALWAYS_INLINE void locate(const pfx_panels *a, const target *t, pfx_panel_work *k)
{
    for (int32_t i = 0; i < k->n_tiles; i++) {
        int32_t tile = k->tile[i];
        pfx_idx narrow = (tile - a->n_wide_tiles) * PFX_PANEL_LANES;
        if (t->few) {
            k->base[i] = t->few + narrow, k->stride[i] = a->n_few;
        } else if (narrow >= 0) {
            k->base[i] = a->s->coupling.N + t->slot0 * a->n_few + narrow, k->stride[i] = a->n_few;
        } else {
            if (k->local[tile] < 0) k->global[k->n_local] = tile, k->local[tile] = k->n_local++;
            k->base[i] = k->panel + (pfx_idx)k->local[tile] * PFX_PANEL_LANES, k->stride[i] = a->ld;
        }
    }
}

PFX_ALWAYS_INLINE void subtract(const pfx_panels *a, const level *l, const target *t, pfx_panel_work *k,
                                bool plain)
{
    const int nv = vectors(a, plain);
    const double share = 1.0 / l->weight;

    for (int v = 0; v < nv; v++) {
        const double scale = plain || (v == 0 && a->s->spec.mean) ? share : 1.0;
        int32_t rows = 0;
        for (int32_t n = 0; n < k->n_places; n++) {
            k->row[rows] = (int32_t)(k->slot[n] - t->slot0);
            k->f[rows] = k->u[(pfx_idx)n * nv + v] * scale;
            rows += k->slot[n] >= t->slot0 && k->slot[n] < t->slot1;
        }
        pfx_k_outer(a->s->spec.isa, rows, k->row, k->f, k->n_tiles, k->base, k->stride,
                    (pfx_idx)nv * PFX_PANEL_LANES, k->sums + (pfx_idx)v * PFX_PANEL_LANES);
    }
}

/* The products of the rows themselves. Rows come block by block, so that a tile is found where it was last.
 */
PFX_ALWAYS_INLINE void add_products(const pfx_panels *a, const level *l, const target *t, pfx_panel_work *k,
                                    bool plain)
{
    const pfx_schur_spec *p = &a->s->spec;

    for (int i = 0; i < l->n_active; i++)
        for (pfx_idx r = l->r0; r < l->r1; r++) {
            const pfx_schur_block *b = l->active[i];
            pfx_idx slot = a->slot[pfx_panel_column(b, r)], row = slot - t->slot0;
            if (row < 0 || slot >= t->slot1) continue;
            double f = weight(p, r, plain) * value(b, r, plain);
            t->diag[row] += f * value(b, r, plain);
            for (int h = 0; h < l->n_active; h++) {
                const pfx_schur_block *x = l->active[h];
                int32_t s = a->slot[pfx_panel_column(x, r)], at = tile_of(a, s, k, plain);
                k->base[at][row * k->stride[at] + s % PFX_PANEL_LANES] += f * value(x, r, plain);
            }
        }
}

PFX_ALWAYS_INLINE void add_level(const pfx_panels *a, pfx_idx r0, pfx_idx r1, const target *t,
                                 pfx_panel_work *k, bool plain)
{
    const pfx_schur_spec *p = &a->s->spec;
    const pfx_schur_block *active[p->n_blocks];
    level l = {r0, r1, 0.0, 0, active};

    for (int e = 0; e < p->n_blocks; e++)
        if ((!t->few || a->is_narrow[e]) && !pfx_panel_vanishes(p, &p->block[e], l.r0, l.r1))
            active[l.n_active++] = &p->block[e];
    l.weight = !plain && p->w ? 0.0 : (double)(l.r1 - l.r0);
    for (pfx_idx r = l.r0; !plain && p->w && r < l.r1; r++) l.weight += p->w[r];
    gather(a, &l, k, plain);
    locate(a, t, k);
    subtract(a, &l, t, k, plain);
    add_products(a, &l, t, k, plain);
}

PFX_ALWAYS_INLINE void sum_list(const pfx_panels *a, pfx_idx panel, const target *t, pfx_panel_work *k,
                                bool plain)
{
    const pfx_schur_spec *p = &a->s->spec;
    const pfx_panel_unit *unit = a->unit;
    const pfx_idx end = a->begin[panel + 1];

    for (pfx_idx j = a->begin[panel]; j < end; j++) {
        pfx_idx next = unit[j + AHEAD < end ? j + AHEAD : end - 1].row;
        for (int e = 0; e < p->n_blocks; e++) __builtin_prefetch(p->block[e].code + next);
        if (!plain && p->w) __builtin_prefetch(p->w + next);
        add_level(a, unit[j].row, unit[j].row + unit[j].n, t, k, plain);
    }
}

void pfx_panel_sum(const pfx_panels *a, pfx_idx panel, pfx_panel_work *k)
{
    pfx_idx all = a->n_wide_tiles * PFX_PANEL_LANES, slot0 = panel * PFX_PANEL_ROWS;
    const target t = {slot0, slot0 + PFX_PANEL_ROWS < all ? slot0 + PFX_PANEL_ROWS : all, NULL, k->diag};

    memset(k->diag, 0, sizeof k->diag);
    if (a->plain)
        sum_list(a, panel, &t, k, true);
    else
        sum_list(a, panel, &t, k, false);
}

void pfx_panel_sum_few(const pfx_panels *a, pfx_idx g0, pfx_idx g1, double *few, pfx_panel_work *k)
{
    pfx_idx first = a->n_wide_tiles * PFX_PANEL_LANES;
    const target t = {first, first + a->n_few, few, few + a->n_few * a->n_few};

    for (pfx_idx g = g0; g < g1; g++) {
        pfx_idx r0 = pfx_panel_first_row(a, g), r1 = pfx_panel_first_row(a, g + 1);
        if (a->plain)
            add_level(a, r0, r1, &t, k, true);
        else
            add_level(a, r0, r1, &t, k, false);
    }
}
