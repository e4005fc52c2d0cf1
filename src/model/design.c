#include "src/model/design.h"

#include "src/base/mem.h"

static void free_factor(pfx_factor *f)
{
    pfx_mem_free(f->name);
    pfx_mem_free(f->code);
}

/* Does an absorbed effect before e, or a cluster variable before c, hold these codes? They are freed once. */
static bool shared(const pfx_design *d, const int32_t *code, int e, int c)
{
    for (int i = 0; i < e; i++)
        if (d->absorbed[i].factor.code == code) return true;
    for (int i = 0; i < c; i++)
        if (d->clusters[i].code == code) return true;
    return false;
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
    for (int c = d->n_clusters - 1; d->clusters && c >= 0; c--)
        if (shared(d, d->clusters[c].code, d->absorbed ? d->n_absorbed : 0, c)) d->clusters[c].code = NULL;
    for (int a = d->n_absorbed - 1; d->absorbed && a >= 0; a--)
        if (shared(d, d->absorbed[a].factor.code, a, 0)) d->absorbed[a].factor.code = NULL;
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
    for (int a = 0; d->effect_origin && a < d->n_absorbed; a++) pfx_mem_free(d->effect_origin[a]);
    pfx_mem_free(d->effect_origin);
    pfx_mem_free(d->absorbed);
    for (int c = 0; c < d->n_clusters; c++) {
        free_factor(&d->clusters[c]);
        if (d->cluster_origin) pfx_mem_free(d->cluster_origin[c]);
    }
    pfx_mem_free(d->cluster_origin);
    pfx_mem_free(d->clusters);
    pfx_mem_free(d->row);
    pfx_mem_free(d->time);
    pfx_mem_free(d);
}
