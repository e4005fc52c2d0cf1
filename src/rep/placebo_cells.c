/* Cells of a placebo: the parts of assigned units that lie in one cluster, and the rows of each. */
#include <stdlib.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/model/design.h"
#include "src/rep/placebo_private.h"

typedef struct key {
    int32_t unit, cluster, level;
    pfx_idx row;
} key;

static int by_key(const void *x, const void *y)
{
    const key *a = x, *b = y;
    if (a->unit != b->unit) return a->unit < b->unit ? -1 : 1;
    if (a->cluster != b->cluster) return a->cluster < b->cluster ? -1 : 1;
    if (a->level != b->level) return a->level < b->level ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

static int32_t unit_of(const pfx_placebo_in *in, pfx_idx i)
{
    return in->assign->scheme == PFX_PLACEBO_WITHIN ? (int32_t)i : in->assign->unit[i];
}

/* Do levels of the absorbed effect hold several units? */
static pfx_status find_coupling(pfx_placebo *p, const pfx_placebo_in *in, pfx_err *err)
{
    const int32_t *level = p->rows->level;
    if (!level) return PFX_OK;
    int32_t *unit = pfx_mem_alloc(p->n_levels, sizeof *unit, err);
    if (!unit) return PFX_ENOMEM;
    for (pfx_idx l = 0; l < p->n_levels; l++) unit[l] = -1;
    for (pfx_idx i = 0; i < p->rows->n; i++) {
        int32_t u = unit_of(in, i);
        p->coupled |= unit[level[i]] >= 0 && unit[level[i]] != u;
        unit[level[i]] = u;
    }
    pfx_mem_free(unit);
    return PFX_OK;
}

static pfx_status sort_rows(pfx_placebo *p, const pfx_placebo_in *in, key **out, pfx_err *err)
{
    pfx_idx n = p->rows->n;
    key *k = pfx_mem_alloc(n, sizeof *k, err);
    bool sorted = true;
    if (!k) return PFX_ENOMEM;
    for (pfx_idx i = 0; i < n; i++) {
        k[i] = (key){unit_of(in, i), in->d->clusters[0].code[i], p->coupled ? p->rows->level[i] : 0, i};
        sorted &= i == 0 || by_key(&k[i - 1], &k[i]) < 0;
    }
    if (!sorted) qsort(k, (size_t)n, sizeof *k, by_key);
    *out = k;
    return PFX_OK;
}

static bool same_cell(const key *a, const key *b)
{
    return a->unit == b->unit && a->cluster == b->cluster && a->level == b->level;
}

static pfx_status number_cells(pfx_placebo *p, const key *k, pfx_err *err)
{
    pfx_idx n = p->rows->n, c = -1, u = -1;
    p->n_cells = 0;
    for (pfx_idx i = 0; i < n; i++) p->n_cells += i == 0 || !same_cell(&k[i - 1], &k[i]);
    p->cell0 = pfx_mem_alloc(p->n_units + 1, sizeof *p->cell0, err);
    p->cluster = pfx_mem_alloc(p->n_cells, sizeof *p->cluster, err);
    p->unit_of = pfx_mem_alloc(p->n_cells, sizeof *p->unit_of, err);
    p->cell_start = pfx_mem_alloc(p->n_cells + 1, sizeof *p->cell_start, err);
    p->cell_rows = pfx_mem_alloc(n, sizeof *p->cell_rows, err);
    if (p->coupled) {
        p->level = pfx_mem_alloc(p->n_cells, sizeof *p->level, err);
        p->level_cluster = pfx_mem_alloc(p->n_levels, sizeof *p->level_cluster, err);
    }
    if (!p->cell0 || !p->cluster || !p->unit_of || !p->cell_start || !p->cell_rows ||
        (p->coupled && (!p->level || !p->level_cluster)))
        return PFX_ENOMEM;
    p->one_to_one = p->n_cells == p->G && !p->coupled;
    for (pfx_idx i = 0; i < n; i++) {
        if (i == 0 || !same_cell(&k[i - 1], &k[i])) {
            p->cell_start[++c] = i;
            p->unit_of[c] = (uint32_t)k[i].unit;
            p->cluster[c] = p->one_to_one ? (uint32_t)c : (uint32_t)k[i].cluster;
            while (u < k[i].unit) p->cell0[++u] = (uint32_t)c;
            if (p->coupled) {
                p->level[c] = k[i].level;
                p->level_cluster[k[i].level] = p->cluster[c];
            }
        }
        p->cell_rows[i] = k[i].row;
    }
    p->cell_start[p->n_cells] = n;
    while (u < p->n_units) p->cell0[++u] = (uint32_t)p->n_cells;
    p->unit_is_cell = p->n_cells == p->n_units;
    for (pfx_idx i = 0; i < p->n_units && p->unit_is_cell; i++) p->unit_is_cell = p->cell0[i] == (uint32_t)i;
    return PFX_OK;
}

static int descending(const void *x, const void *y)
{
    pfx_idx a = *(const pfx_idx *)x, b = *(const pfx_idx *)y;
    return (a < b) - (a > b);
}

/* Cells of the most units that a draw, or the data, can treat. */
static pfx_status bound_draws(pfx_placebo *p, pfx_err *err)
{
    const pfx_assign *a = p->a;
    pfx_idx *size = pfx_mem_alloc(p->n_units, sizeof *size, err);
    pfx_idx units = (a->most > a->n_treated ? a->most : a->n_treated) + a->n_fixed;
    if (!size) return PFX_ENOMEM;
    for (pfx_idx u = 0; u < p->n_units; u++) size[u] = p->cell0[u + 1] - p->cell0[u];
    qsort(size, (size_t)p->n_units, sizeof *size, descending);
    p->most = 0;
    for (pfx_idx i = 0; i < units; i++) p->most += i < p->n_units ? size[i] : 0;
    pfx_mem_free(size);
    return PFX_OK;
}

pfx_status pfx_placebo_cells(pfx_placebo *p, const pfx_placebo_in *in, pfx_err *err)
{
    key *k = NULL;
    pfx_status st;
    p->G = in->d->clusters[0].n_levels;
    p->n_units = p->a->n_units;
    p->n_levels = p->rows->n_levels;
    if ((st = find_coupling(p, in, err)) == PFX_OK && (st = sort_rows(p, in, &k, err)) == PFX_OK &&
        (st = number_cells(p, k, err)) == PFX_OK)
        st = bound_draws(p, err);
    pfx_mem_free(k);
    return st;
}
