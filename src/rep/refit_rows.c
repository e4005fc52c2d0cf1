/* The rows of a refit in order of the eliminated effect, and where its matrix has values. */
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/est/vcov.h"
#include "src/model/design.h"
#include "src/rep/refit_private.h"

/* Of the effects with levels, the one with most is eliminated. */
static int choose_eliminated(const pfx_design *d)
{
    int best = -1;
    for (int e = 0; e < d->n_absorbed; e++)
        if (d->absorbed[e].intercept &&
            (best < 0 || d->absorbed[e].factor.n_levels > d->absorbed[best].factor.n_levels))
            best = e;
    return best;
}

/* Start of each key's places in `start` [n_keys + 1], and the places in order of keys; stable. */
static void sort_by(pfx_idx n, const int32_t *key, pfx_idx n_keys, pfx_idx *start, pfx_idx *place)
{
    memset(start, 0, (size_t)(n_keys + 1) * sizeof *start);
    for (pfx_idx i = 0; i < n; i++) start[key[i] + 1]++;
    for (pfx_idx k = 0; k < n_keys; k++) start[k + 1] += start[k];
    for (pfx_idx i = 0; i < n; i++) place[start[key[i]]++] = i;
    memmove(start + 1, start, (size_t)n_keys * sizeof *start);
    start[0] = 0;
}

static pfx_status take_rows(pfx_refit *f, int first, pfx_err *err)
{
    const pfx_design *d = f->in.d;
    const pfx_factor *e = &d->absorbed[first].factor;
    f->n = d->n;
    f->n_levels = e->n_levels;
    f->G = d->clusters[0].n_levels;
    f->row = pfx_mem_alloc(f->n, sizeof *f->row, err);
    f->level = pfx_mem_alloc(f->n_levels + 1, sizeof *f->level, err);
    f->cluster = pfx_mem_alloc(f->n, sizeof *f->cluster, err);
    f->Q = pfx_mem_alloc(f->n * f->p, sizeof *f->Q, err);
    if (d->w && !(f->w = pfx_mem_alloc(f->n, sizeof *f->w, err))) return PFX_ENOMEM;
    if (!f->row || !f->level || !f->cluster || !f->Q) return PFX_ENOMEM;
    sort_by(f->n, e->code, f->n_levels, f->level, f->row);
    for (pfx_idx l = 0; l < f->n_levels; l++)
        if (f->level[l + 1] - f->level[l] > f->max_rows) f->max_rows = f->level[l + 1] - f->level[l];
    for (pfx_idx r = 0; r < f->n; r++) {
        f->cluster[r] = d->clusters[0].code[f->row[r]];
        if (d->w) f->w[r] = d->w[f->row[r]];
        if (f->p) memcpy(f->Q + r * f->p, f->in.Q + f->row[r] * f->p, (size_t)f->p * sizeof *f->Q);
    }
    return pfx_factor_nested(d->n, e, &d->clusters[0], 1, &f->nested, err);
}

/* Columns of B: levels of the other effects, and of all slopes. */
static pfx_status take_effect(pfx_refit *f, const pfx_factor *factor, const double *slope, pfx_err *err)
{
    int e = f->n_rest;
    if (e == PFX_REFIT_REST)
        return pfx_fail(err, PFX_EUSAGE, "more than %d effects and slopes: replicates take no more",
                        PFX_REFIT_REST);
    if (f->q + factor->n_levels > INT32_MAX)
        return pfx_fail(err, PFX_ENOMEM, "the effects have more than %d levels", INT32_MAX);
    f->n_rest++;
    f->col[e] = pfx_mem_alloc(f->n, sizeof **f->col, err);
    if (slope) f->value[e] = pfx_mem_alloc(f->n, sizeof **f->value, err);
    if (!f->col[e] || (slope && !f->value[e])) return PFX_ENOMEM;
    for (pfx_idx r = 0; r < f->n; r++) {
        f->col[e][r] = (int32_t)(f->q + factor->code[f->row[r]]);
        if (slope) f->value[e][r] = slope[f->row[r]];
    }
    f->q += factor->n_levels;
    return PFX_OK;
}

static pfx_status take_effects(pfx_refit *f, int first, pfx_err *err)
{
    const pfx_design *d = f->in.d;
    pfx_status st = PFX_OK;
    for (int a = 0; a < d->n_absorbed && st == PFX_OK; a++) {
        const pfx_absorbed *e = &d->absorbed[a];
        if (a != first && e->intercept) st = take_effect(f, &e->factor, NULL, err);
        for (int s = 0; s < e->n_slopes && st == PFX_OK; s++)
            st = take_effect(f, &e->factor, e->slope[s], err);
    }
    return st;
}

static int ascending(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Columns that a level's rows lie in, each once and ascending, to list. Returns how many. */
static pfx_idx level_columns(const pfx_refit *f, pfx_idx l, int32_t *list)
{
    pfx_idx n = 0, kept = 0;
    for (pfx_idx r = f->level[l]; r < f->level[l + 1]; r++)
        for (int e = 0; e < f->n_rest; e++) list[n++] = f->col[e][r];
    qsort(list, (size_t)n, sizeof *list, ascending);
    for (pfx_idx i = 0; i < n; i++)
        if (i == 0 || list[i] != list[i - 1]) list[kept++] = list[i];
    return kept;
}

static pfx_status make_entries(pfx_refit *f, pfx_err *err)
{
    int32_t *list = pfx_mem_alloc(f->max_rows * f->n_rest, sizeof *list, err);
    if (!list) return PFX_ENOMEM;
    f->n_entries = 0;
    for (pfx_idx l = 0; l < f->n_levels; l++) {
        f->entry[l] = f->n_entries;
        f->n_entries += level_columns(f, l, list);
    }
    f->entry[f->n_levels] = f->n_entries;
    pfx_mem_free(f->entry_col);
    pfx_mem_free(f->entry_level);
    f->entry_col = pfx_mem_alloc(f->n_entries, sizeof *f->entry_col, err);
    f->entry_level = pfx_mem_alloc(f->n_entries, sizeof *f->entry_level, err);
    pfx_status st = f->entry_col && f->entry_level ? PFX_OK : PFX_ENOMEM;
    for (pfx_idx l = 0; l < f->n_levels && st == PFX_OK; l++) {
        pfx_idx n = level_columns(f, l, list);
        int32_t *own = f->entry_col + f->entry[l];
        memcpy(own, list, (size_t)n * sizeof *list);
        for (pfx_idx i = 0; i < n; i++) f->entry_level[f->entry[l] + i] = (int32_t)l;
        for (pfx_idx r = f->level[l]; r < f->level[l + 1]; r++)
            for (int e = 0; e < f->n_rest; e++) {
                const int32_t *at = bsearch(&f->col[e][r], own, (size_t)n, sizeof *own, ascending);
                f->row_entry[r * f->n_rest + e] = (int32_t)(at - own);
            }
    }
    pfx_mem_free(list);
    return st;
}

/* Entries and rows of each column. */
static pfx_status turn(pfx_refit *f, pfx_err *err)
{
    pfx_idx n = f->n * f->n_rest;
    int32_t *key = pfx_mem_alloc(n, sizeof *key, err);
    pfx_mem_free(f->of_entry);
    f->of_entry = pfx_mem_alloc(f->n_entries, sizeof *f->of_entry, err);
    if (key && f->of_entry) {
        for (pfx_idx i = 0; i < n; i++) key[i] = f->col[i % f->n_rest][i / f->n_rest];
        sort_by(n, key, f->q, f->col_row, f->of_row);
        for (pfx_idx i = 0; i < n; i++) {
            f->of_rest[i] = (uint8_t)(f->of_row[i] % f->n_rest);
            f->of_row[i] /= f->n_rest;
        }
        sort_by(f->n_entries, f->entry_col, f->q, f->col_entry, f->of_entry);
    }
    pfx_mem_free(key);
    return key && f->of_entry ? PFX_OK : PFX_ENOMEM;
}

/* Columns that column a meets, into list where it is not NULL. seen [q]: a where met. Returns how many. */
static pfx_idx meets(const pfx_refit *f, pfx_idx a, int32_t *seen, int32_t *list)
{
    pfx_idx n = 0;
    for (pfx_idx i = f->col_entry[a]; i < f->col_entry[a + 1]; i++) {
        pfx_idx l = f->entry_level[f->of_entry[i]];
        for (pfx_idx k = f->entry[l]; k < f->entry[l + 1]; k++) {
            int32_t b = f->entry_col[k];
            if (seen[b] == a) continue;
            seen[b] = (int32_t)a;
            if (list) list[n] = b;
            n++;
        }
    }
    return n;
}

static pfx_status make_pattern(pfx_refit *f, pfx_err *err)
{
    int32_t *seen = pfx_mem_alloc(f->q, sizeof *seen, err);
    if (!seen) return PFX_ENOMEM;
    memset(seen, 0xff, (size_t)f->q * sizeof *seen);
    f->S.n = f->q;
    f->S.ptr[0] = 0;
    for (pfx_idx a = 0; a < f->q; a++) f->S.ptr[a + 1] = f->S.ptr[a] + meets(f, a, seen, NULL);
    pfx_mem_free(f->S.col);
    f->S.col = pfx_mem_alloc(f->S.ptr[f->q], sizeof *f->S.col, err);
    memset(seen, 0xff, (size_t)f->q * sizeof *seen);
    for (pfx_idx a = 0; a < f->q && f->S.col; a++) {
        int32_t *list = f->S.col + f->S.ptr[a];
        qsort(list, (size_t)meets(f, a, seen, list), sizeof *list, ascending);
    }
    pfx_mem_free(seen);
    return f->S.col ? PFX_OK : PFX_ENOMEM;
}

static pfx_status number_columns(pfx_refit *f, pfx_err *err)
{
    pfx_status st = make_entries(f, err);
    if (st == PFX_OK) st = turn(f, err);
    return st == PFX_OK ? make_pattern(f, err) : st;
}

pfx_status pfx_refit_rows(pfx_refit *f, pfx_err *err)
{
    int first = choose_eliminated(f->in.d);
    if (first < 0)
        return pfx_fail(
            err, PFX_EUSAGE,
            "the effects have slopes alone: replicates need one with levels (firm, not firm[[x]])");
    pfx_status st = take_rows(f, first, err);
    if (st == PFX_OK) st = take_effects(f, first, err);
    if (st != PFX_OK) return st;
    pfx_idx n = f->n * f->n_rest;
    int32_t *place = pfx_mem_alloc(f->q, sizeof *place, err);
    f->entry = pfx_mem_alloc(f->n_levels + 1, sizeof *f->entry, err);
    f->row_entry = pfx_mem_alloc(n, sizeof *f->row_entry, err);
    f->col_entry = pfx_mem_alloc(f->q + 1, sizeof *f->col_entry, err);
    f->col_row = pfx_mem_alloc(f->q + 1, sizeof *f->col_row, err);
    f->of_row = pfx_mem_alloc(n, sizeof *f->of_row, err);
    f->of_rest = pfx_mem_alloc(n, sizeof *f->of_rest, err);
    f->S.ptr = pfx_mem_alloc(f->q + 1, sizeof *f->S.ptr, err);
    st =
        place && f->entry && f->row_entry && f->col_entry && f->col_row && f->of_row && f->of_rest && f->S.ptr
            ? PFX_OK
            : PFX_ENOMEM;
    /* Twice: once for the order in which a factor fills least, once in that order. */
    if (st == PFX_OK) st = number_columns(f, err);
    if (st == PFX_OK) st = pfx_sparse_order(&f->S, place, err);
    for (int e = 0; e < f->n_rest && st == PFX_OK; e++)
        for (pfx_idx r = 0; r < f->n; r++) f->col[e][r] = place[f->col[e][r]];
    if (st == PFX_OK) st = number_columns(f, err);
    pfx_mem_free(place);
    return st;
}
