/* Assignments and tables of placebo replicates, to a bag and out of it. Sizes come first and are looked at,
 * since arrays are as long as they say. */
#include "src/rep/placebo_store.h"

#include "kernels/replicate.h"
#include "src/base/bag.h"
#include "src/base/mem.h"
#include "src/rep/placebo_private.h"

const char *pfx_placebo_needs_rows(const pfx_placebo *p)
{
    if (p->cross) return "effects cross the clusters, and batches need rows";
    if (!p->table) return "cells and paths are too many for a table, so that batches need rows";
    return p->wide ? "there are so many other columns that batches need rows" : NULL;
}

/* A step of a walk: nothing where an earlier one has failed. */
#define STEP(call)                                                                                           \
    do {                                                                                                     \
        if (st == PFX_OK) st = (call);                                                                       \
    } while (0)

/* Unsigned numbers lie in the file as the signed ones of the same bits. */
static pfx_status u32(pfx_bag *b, const char *name, pfx_idx n, uint32_t **array, pfx_err *err)
{
    int32_t *same = (int32_t *)*array;
    pfx_status st = pfx_bag_i32(b, name, n, &same, err);
    *array = (uint32_t *)same;
    return st;
}

static pfx_status bad(const pfx_bag *b, pfx_err *err)
{
    (void)b;
    return pfx_fail(err, PFX_EFORMAT, "statistics of a placebo with impossible sizes");
}

/* ---- assignments ---- */

static pfx_status walk_assign_sizes(pfx_assign *a, pfx_bag *b, pfx_err *err)
{
    int scheme = (int)a->scheme, kind = (int)a->kind;
    pfx_status st = pfx_bag_int(b, "assign_scheme", &scheme, err);
    STEP(pfx_bag_int(b, "assign_kind", &kind, err));
    struct {
        const char *name;
        pfx_idx *x;
    } sizes[] = {{"assign_n_units", &a->n_units},     {"assign_n_paths", &a->n_paths},
                 {"assign_n_treated", &a->n_treated}, {"assign_n_switch", &a->n_switch},
                 {"assign_n_always", &a->n_always},   {"assign_n_strata", &a->n_strata},
                 {"assign_n_idle", &a->n_idle},       {"assign_n_places", &a->n_places},
                 {"assign_n_drawn", &a->n_drawn},     {"assign_n_fixed", &a->n_fixed},
                 {"assign_n_file", &a->n_file},       {"assign_most", &a->most}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        STEP(pfx_bag_idx(b, sizes[i].name, sizes[i].x, err));
        if (st == PFX_OK && (*sizes[i].x < 0 || *sizes[i].x > INT32_MAX)) st = bad(b, err);
    }
    STEP(pfx_bag_int(b, "assign_n_periods", &a->n_periods, err));
    STEP(pfx_bag_real(b, "assign_assignments", &a->assignments, err));
    STEP(pfx_bag_flag(b, "assign_enumerate", &a->enumerate, err));
    if (st == PFX_OK && (scheme < 0 || scheme >= PFX_PLACEBO_SCHEMES || kind < 0 || kind > PFX_TREAT_VALUES ||
                         a->n_periods < 1))
        st = bad(b, err);
    a->scheme = (pfx_placebo_scheme)scheme;
    a->kind = (pfx_treatment_kind)kind;
    return st;
}

/* Strata as three numbers each. */
static pfx_status walk_strata(pfx_assign *a, pfx_bag *b, pfx_err *err)
{
    _Static_assert(sizeof(pfx_k_stratum) == 3 * sizeof(uint32_t), "strata are three numbers each");
    int32_t *numbers = (int32_t *)(void *)a->stratum;
    pfx_status st = pfx_bag_i32(b, "assign_stratum", 3 * a->n_strata, &numbers, err);
    a->stratum = (pfx_k_stratum *)(void *)numbers;
    return st;
}

static pfx_status walk_draws_of_file(pfx_assign *a, pfx_bag *b, pfx_err *err)
{
    if (a->n_file == 0) return PFX_OK;
    pfx_status st = pfx_bag_i64(b, "assign_file_start", a->n_file + 1, &a->file_start, err);
    pfx_idx n = st == PFX_OK ? a->file_start[a->n_file] : 0;
    STEP(u32(b, "assign_file_unit", n, &a->file_unit, err));
    STEP(u32(b, "assign_file_path", n, &a->file_path, err));
    return st;
}

pfx_status pfx_assign_store(pfx_assign **out, pfx_bag *b, pfx_err *err)
{
    bool gives = pfx_bag_gives(b);
    pfx_assign *a = gives ? pfx_mem_calloc(1, sizeof *a, err) : *out;
    if (!a) return PFX_ENOMEM;
    pfx_status st = walk_assign_sizes(a, b, err);
    STEP(pfx_bag_f64(b, "assign_path", a->n_paths * a->n_periods, &a->path, err));
    STEP(pfx_bag_i32(b, "assign_own", a->n_units, &a->own, err));
    STEP(walk_strata(a, b, err));
    STEP(u32(b, "assign_order", a->n_places, &a->order, err));
    STEP(u32(b, "assign_pool", a->n_drawn, &a->pool, err));
    STEP(u32(b, "assign_fixed", a->n_fixed, &a->fixed, err));
    STEP(pfx_bag_f64(b, "assign_arrangements", a->n_strata, &a->arrangements, err));
    STEP(walk_draws_of_file(a, b, err));
    if (!gives) return st;
    if (st == PFX_OK)
        *out = a;
    else
        pfx_assign_free(a);
    return st;
}

/* ---- tables ---- */

static pfx_status walk_sizes(pfx_placebo *p, pfx_bag *b, pfx_err *err)
{
    pfx_status st = PFX_OK;
    struct {
        const char *name;
        int *x;
    } ints[] = {{"p_k", &p->k},
                {"p_m", &p->m},
                {"p_tested", &p->tested},
                {"p_at_u", &p->at_u},
                {"p_at_v", &p->at_v},
                {"p_at_s", &p->at_s},
                {"p_at_switch", &p->at_switch},
                {"p_at_level", &p->at_level},
                {"p_block_bits", &p->block_bits},
                {"p_width", &p->width}};
    struct {
        const char *name;
        pfx_idx *x;
    } sizes[] = {{"p_ld", &p->ld},
                 {"p_G", &p->G},
                 {"p_n_units", &p->n_units},
                 {"p_n_cells", &p->n_cells},
                 {"p_n_levels", &p->n_levels},
                 {"p_nt", &p->nt},
                 {"p_ldt", &p->ldt},
                 {"p_most", &p->most}};
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        STEP(pfx_bag_int(b, ints[i].name, ints[i].x, err));
        if (st == PFX_OK && *ints[i].x < 0) st = bad(b, err);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        STEP(pfx_bag_idx(b, sizes[i].name, sizes[i].x, err));
        if (st == PFX_OK && (*sizes[i].x < 0 || *sizes[i].x > INT32_MAX)) st = bad(b, err);
    }
    STEP(pfx_bag_flag(b, "p_std_error", &p->std_error, err));
    STEP(pfx_bag_flag(b, "p_one_to_one", &p->one_to_one, err));
    STEP(pfx_bag_flag(b, "p_unit_is_cell", &p->unit_is_cell, err));
    STEP(pfx_bag_flag(b, "p_coupled", &p->coupled, err));
    STEP(pfx_bag_real(b, "p_ssc", &p->ssc, err));
    STEP(pfx_bag_real(b, "p_work", &p->work, err));
    if (st == PFX_OK && (p->m < 1 || p->m > PFX_PLACEBO_MAX_DRAWN || p->tested >= p->m ||
                         p->n_units != p->a->n_units || p->width < 1 || p->block_bits > 30))
        st = bad(b, err);
    return st;
}

/* Length of omega: bands of rows, each from its first column on (placebo_table.c). */
static pfx_idx omega_length(const pfx_placebo *p)
{
    pfx_idx size = 0;
    for (pfx_idx r = 0; r < p->nt; r++) size += p->ldt - r / PFX_REP_LANES * PFX_REP_LANES;
    return size;
}

static pfx_status walk_arrays(pfx_placebo *p, pfx_bag *b, pfx_err *err)
{
    bool weighted = p->level_weight != NULL;
    pfx_status st = u32(b, "p_cell0", p->n_units + 1, &p->cell0, err);
    STEP(u32(b, "p_unit_of", p->n_cells, &p->unit_of, err));
    STEP(u32(b, "p_cluster", p->n_cells, &p->cluster, err));
    if (p->coupled) STEP(pfx_bag_i32(b, "p_level", p->n_cells, &p->level, err));
    if (p->coupled) STEP(u32(b, "p_level_cluster", p->n_levels, &p->level_cluster, err));
    STEP(pfx_bag_flag(b, "p_weighted", &weighted, err));
    if (weighted) STEP(pfx_bag_f64(b, "p_level_weight", p->n_levels, &p->level_weight, err));
    STEP(pfx_bag_f64(b, "p_table", p->n_cells * p->a->n_paths * p->ld, &p->table, err));
    if (p->std_error) STEP(pfx_bag_f64(b, "p_row", p->G * p->ldt, &p->row, err));
    if (p->std_error) STEP(pfx_bag_f64(b, "p_omega", omega_length(p), &p->omega, err));
    return st;
}

pfx_status pfx_placebo_store(const pfx_assign *a, pfx_isa isa, pfx_placebo **out, pfx_bag *b, pfx_err *err)
{
    bool gives = pfx_bag_gives(b);
    pfx_placebo *p = gives ? pfx_mem_calloc(1, sizeof *p, err) : *out;
    if (!p) return PFX_ENOMEM;
    p->a = a;
    p->isa = isa;
    pfx_status st = walk_sizes(p, b, err);
    STEP(walk_arrays(p, b, err));
    if (!gives) return st;
    if (st == PFX_OK) {
        pfx_placebo_set_method(p);
        *out = p;
    } else
        pfx_placebo_free(p);
    return st;
}
