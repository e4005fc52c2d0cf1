#include "src/model/design.h"

#include "src/base/mem.h"

static void free_factor(pfx_factor *f)
{
    pfx_mem_free(f->name);
    pfx_mem_free(f->code);
}

void pfx_design_free(pfx_design *d)
{
    if (!d) return;
    pfx_mem_free(d->formula);
    pfx_mem_free(d->by_name);
    pfx_mem_free(d->by_level);
    pfx_mem_free(d->Z);
    for (int j = 0; d->name && j < d->p; j++) pfx_mem_free(d->name[j]);
    pfx_mem_free(d->name);
    pfx_mem_free(d->role);
    pfx_mem_free(d->w);
    for (int a = 0; a < d->n_absorbed; a++) {
        pfx_absorbed *e = &d->absorbed[a];
        free_factor(&e->factor);
        for (int s = 0; s < e->n_slopes; s++) {
            if (e->slope) pfx_mem_free(e->slope[s]);
            if (e->slope_name) pfx_mem_free(e->slope_name[s]);
        }
        pfx_mem_free(e->slope);
        pfx_mem_free(e->slope_name);
    }
    pfx_mem_free(d->absorbed);
    for (int c = 0; c < d->n_clusters; c++) free_factor(&d->clusters[c]);
    pfx_mem_free(d->clusters);
    pfx_mem_free(d->row);
    pfx_mem_free(d->time);
    pfx_mem_free(d);
}
