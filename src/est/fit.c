#include "src/est/fit.h"

#include "src/base/mem.h"

const char *pfx_vcov_name(pfx_vcov_type t)
{
    static const char *const name[] = {"iid", "HC1", "cluster", "twoway"};
    return name[t];
}

const char *pfx_ssc_name(pfx_ssc s)
{
    static const char *const name[] = {"fixest", "reghdfe", "stata", "none"};
    return name[s];
}

void pfx_fit_free(pfx_fit *f)
{
    if (!f) return;
    pfx_mem_free(f->formula);
    pfx_mem_free(f->outcome);
    pfx_mem_free(f->by_name);
    pfx_mem_free(f->by_level);
    for (int i = 0; i < f->n_collinear; i++) pfx_mem_free(f->collinear[i]);
    pfx_mem_free(f->collinear);
    for (int i = 0; i < f->n_effects; i++) pfx_mem_free(f->effects[i].name);
    pfx_mem_free(f->effects);
    for (int i = 0; i < f->n_clusters; i++) pfx_mem_free(f->clusters[i].name);
    pfx_mem_free(f->clusters);
    for (int i = 0; i < f->k; i++) pfx_mem_free(f->coef[i].term);
    pfx_mem_free(f->coef);
    pfx_mem_free(f->V);
    for (int i = 0; i < f->n_tests; i++) pfx_mem_free(f->tests[i].hypothesis);
    pfx_mem_free(f->tests);
    pfx_mem_free(f->row);
    pfx_mem_free(f->resid);
    pfx_mem_free(f->fitted);
    for (int i = 0; i < f->n_saved_effects; i++) {
        pfx_mem_free(f->saved[i].name);
        pfx_mem_free(f->saved[i].alpha);
        pfx_mem_free(f->saved[i].first_row);
    }
    pfx_mem_free(f->saved);
    pfx_mem_free(f);
}
