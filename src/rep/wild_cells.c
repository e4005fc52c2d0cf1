#include "src/rep/wild_cells.h"

#include <stdio.h>
#include "src/base/bag.h"
#include "src/base/mem.h"
#include "src/est/vcov.h"

/* What each cell has in f. */
static int32_t *codes_of(const pfx_design *d, const pfx_factor *cell, const pfx_factor *f, pfx_err *err)
{
    int32_t *code = pfx_mem_alloc(cell->n_levels, sizeof *code, err);
    for (pfx_idx i = 0; code && i < d->n; i++) code[cell->code[i]] = f->code[i];
    return code;
}

pfx_status pfx_wild_cells_create(const pfx_design *d, int n_errors, int boot, pfx_wild_cells **out,
                                 pfx_err *err)
{
    pfx_status st = PFX_OK;
    pfx_wild_cells *c = pfx_mem_calloc(1, sizeof *c, err);
    if (!c) return PFX_ENOMEM;
    const pfx_factor *weights = &d->clusters[boot], *f[PFX_WILD_MAX_ERRORS] = {&d->clusters[0]};
    c->n_errors = n_errors == 2 ? 3 : 1;
    c->simple = n_errors == 1 && boot == 0;
    if (n_errors == 2) {
        f[1] = &d->clusters[1];
        f[2] = &c->both;
        st = pfx_cluster_intersect(d->n, f[0], f[1], &c->both, err);
    }
    c->within[0] = weights;
    c->within[1] = f[c->n_errors - 1];
    if (st == PFX_OK && !c->simple)
        st = pfx_cluster_intersect(d->n, f[c->n_errors - 1], weights, &c->cell, err);
    for (int i = 0; i < c->n_errors && st == PFX_OK; i++) {
        c->n[i] = f[i]->n_levels;
        if (!c->simple && !(c->code[i] = codes_of(d, &c->cell, f[i], err))) st = PFX_ENOMEM;
    }
    c->n_boot = weights->n_levels;
    if (st == PFX_OK && !c->simple && !(c->boot = codes_of(d, &c->cell, weights, err))) st = PFX_ENOMEM;
    if (st == PFX_OK)
        *out = c;
    else
        pfx_wild_cells_free(c);
    return st;
}

void pfx_wild_cells_free(pfx_wild_cells *c)
{
    if (!c) return;
    pfx_factor_clear(&c->cell);
    pfx_factor_clear(&c->both);
    for (int i = 0; i < PFX_WILD_MAX_ERRORS; i++) pfx_mem_free(c->code[i]);
    pfx_mem_free(c->boot);
    pfx_mem_free(c);
}

pfx_status pfx_wild_cells_store(pfx_wild_cells *c, pfx_idx cells, pfx_bag *b, pfx_err *err)
{
    char name[32];
    pfx_status st = pfx_bag_flag(b, "cells_simple", &c->simple, err);
    if (st == PFX_OK) st = pfx_bag_int(b, "cells_n_errors", &c->n_errors, err);
    if (st == PFX_OK && (c->n_errors < 1 || c->n_errors > PFX_WILD_MAX_ERRORS))
        st = pfx_fail(err, PFX_EFORMAT, "statistics of %d clusterings", c->n_errors);
    for (int i = 0; st == PFX_OK && i < c->n_errors; i++) {
        snprintf(name, sizeof name, "cells_n_%d", i + 1);
        st = pfx_bag_idx(b, name, &c->n[i], err);
        snprintf(name, sizeof name, "cells_code_%d", i + 1);
        if (st == PFX_OK && !c->simple) st = pfx_bag_i32(b, name, cells, &c->code[i], err);
    }
    if (st == PFX_OK) st = pfx_bag_idx(b, "cells_n_boot", &c->n_boot, err);
    return st == PFX_OK && !c->simple ? pfx_bag_i32(b, "cells_boot", cells, &c->boot, err) : st;
}
