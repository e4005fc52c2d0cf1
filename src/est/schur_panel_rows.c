/* A level's share of some rows of S from its rows: their products less what its mean and its slopes project,
 * tile by tile. Where columns have sets of slots, kernels/incidence.h does it. */
#include <string.h>
#include "kernels/outer.h"
#include "src/est/schur_panel.h"

/* Levels with more places than this are merged first: repeated columns cost their square. */
#define MERGE_PLACES 24

typedef struct level {
    pfx_idx r0, r1;
    double weight;
    int n_active;
    const pfx_schur_block **active; /* [n_active] blocks that the mean does not take off */
} level;

static double value(const pfx_schur_block *b, pfx_idx r)
{
    return b->value ? b->value[r] : 1.0;
}
static double weight(const pfx_schur_spec *p, pfx_idx r)
{
    return p->w ? p->w[r] : 1.0;
}

/* The tile's number within the level. */
static inline int32_t tile_of(const pfx_panels *a, int32_t slot, pfx_panel_work *k)
{
    int32_t t = slot / PFX_PANEL_LANES, i = k->n_tiles - 1;
    while (i >= 0 && k->tile[i] != t) i--;
    if (i >= 0) return i;
    k->tile[k->n_tiles] = t;
    double *sum = k->sums + (pfx_idx)k->n_tiles * a->k * PFX_PANEL_LANES;
    for (int j = 0; j < a->k * PFX_PANEL_LANES; j++) sum[j] = 0.0;
    return k->n_tiles++;
}

/* Places of the level, and its sums by tile. */
static void gather(const pfx_panels *a, const level *l, pfx_panel_work *k)
{
    const pfx_schur_spec *p = &a->s->spec;
    bool merge = (l->r1 - l->r0) * l->n_active > MERGE_PLACES;
    const int nv = a->k;

    k->n_places = k->n_tiles = 0;
    for (int i = 0; i < l->n_active; i++) {
        const pfx_schur_block *b = l->active[i];
        for (pfx_idx r = l->r0; r < l->r1; r++) {
            int32_t c = pfx_panel_column(b, r), slot = a->slot[c], n = merge ? k->mark[c] : -1;
            double f = weight(p, r) * value(b, r);
            if (n < 0) {
                n = k->n_places++;
                k->slot[n] = slot;
                k->place_tile[n] = tile_of(a, slot, k);
                for (int v = 0; v < nv; v++) k->u[(pfx_idx)n * nv + v] = 0.0;
                if (merge) k->mark[c] = n;
            }
            double *u = k->u + (pfx_idx)n * nv;
            double *sum = k->sums + (pfx_idx)k->place_tile[n] * nv * PFX_PANEL_LANES + slot % PFX_PANEL_LANES;
            for (int v = 0; v < nv; v++) {
                double x = v == 0 && p->mean ? f : f * p->basis[v - p->mean][r];
                u[v] += x;
                sum[v * PFX_PANEL_LANES] += x;
            }
        }
    }
    for (int32_t n = 0; merge && n < k->n_places; n++) k->mark[a->column[k->slot[n]]] = -1;
}

/* Where the level's tiles lie in the target's rows. */
static void locate(pfx_k_incidence_target *t, pfx_panel_work *k)
{
    for (int32_t i = 0; i < k->n_tiles; i++) {
        int32_t *at = &t->at[k->tile[i]];
        if (*at < 0) {
            *at = t->next_at, t->next_at += PFX_PANEL_LANES;
            t->met[t->n_met++] = k->tile[i];
        }
        k->base[i] = t->S + *at, k->stride[i] = t->ld;
    }
}

static void subtract(const pfx_panels *a, const level *l, const pfx_k_incidence_target *t, pfx_panel_work *k)
{
    const int nv = a->k;
    const double share = 1.0 / l->weight;

    for (int v = 0; v < nv; v++) {
        const double scale = v == 0 && a->s->spec.mean ? share : 1.0;
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
static void add_products(const pfx_panels *a, const level *l, const pfx_k_incidence_target *t,
                         pfx_panel_work *k)
{
    const pfx_schur_spec *p = &a->s->spec;

    for (int i = 0; i < l->n_active; i++)
        for (pfx_idx r = l->r0; r < l->r1; r++) {
            const pfx_schur_block *b = l->active[i];
            pfx_idx slot = a->slot[pfx_panel_column(b, r)], row = slot - t->slot0;
            if (row < 0 || slot >= t->slot1) continue;
            double f = weight(p, r) * value(b, r);
            t->diag[row] += f * value(b, r);
            for (int h = 0; h < l->n_active; h++) {
                const pfx_schur_block *x = l->active[h];
                int32_t s = a->slot[pfx_panel_column(x, r)], at = tile_of(a, s, k);
                k->base[at][row * t->ld + s % PFX_PANEL_LANES] += f * value(x, r);
            }
        }
}

void pfx_panel_add(const pfx_panels *a, pfx_idx unit, pfx_k_incidence_target *t, pfx_panel_work *k)
{
    const pfx_schur_spec *p = &a->s->spec;
    const pfx_schur_block *active[p->n_blocks];
    level l = {pfx_panel_first_row(a, unit), pfx_panel_first_row(a, unit + 1), 0.0, 0, active};

    for (int e = 0; e < p->n_blocks; e++)
        if ((!t->outer || a->is_narrow[e]) && !pfx_panel_vanishes(p, &p->block[e], l.r0, l.r1))
            active[l.n_active++] = &p->block[e];
    l.weight = p->w ? 0.0 : (double)(l.r1 - l.r0);
    for (pfx_idx r = l.r0; p->w && r < l.r1; r++) l.weight += p->w[r];
    gather(a, &l, k);
    locate(t, k);
    subtract(a, &l, t, k);
    add_products(a, &l, t, k);
}

pfx_k_incidence_target pfx_panel_target(const pfx_panels *a, pfx_idx panel, pfx_panel_work *k)
{
    pfx_idx all = a->n_wide_tiles * PFX_PANEL_LANES, slot0 = panel * PFX_PANEL_ROWS;

    memset(k->diag, 0, sizeof k->diag);
    return (pfx_k_incidence_target){.slot0 = slot0,
                                    .slot1 = slot0 + PFX_PANEL_ROWS < all ? slot0 + PFX_PANEL_ROWS : all,
                                    .ld = a->ld,
                                    .S = k->panel,
                                    .diag = k->diag,
                                    .at = k->at,
                                    .next_at = (int32_t)a->n_few,
                                    .met = k->met};
}

pfx_k_incidence_target pfx_panel_few(const pfx_panels *a, pfx_idx piece, pfx_panel_work *k)
{
    pfx_idx first = a->n_wide_tiles * PFX_PANEL_LANES, n = a->n_few;
    double *few = a->few + piece * n * (n + 1);

    return (pfx_k_incidence_target){.slot0 = first,
                                    .slot1 = first + n,
                                    .outer = true,
                                    .ld = n,
                                    .S = few,
                                    .diag = few + n * n,
                                    .at = k->at,
                                    .met = k->met};
}
