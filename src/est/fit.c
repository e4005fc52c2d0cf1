#include "src/est/fit.h"

#include "src/base/mem.h"
#include "src/est/iv.h"
#include "src/model/design.h"

const char *pfx_vcov_name(pfx_vcov_type t)
{
    static const char *const name[] = {"iid",  "HC1", "cluster", "twoway", "CRV3",
                                       "CV3J", "CR2", "nw",      "dk"};
    return name[t];
}

int pfx_vcov_n_clusters(pfx_vcov_type t)
{
    if (t == PFX_VCOV_IID || t == PFX_VCOV_HC1) return 0;
    return t == PFX_VCOV_TWOWAY || t == PFX_VCOV_NW ? 2 : 1;
}

bool pfx_vcov_leaves_out(pfx_vcov_type t)
{
    return t == PFX_VCOV_CRV3 || t == PFX_VCOV_CV3J || t == PFX_VCOV_CR2;
}

bool pfx_vcov_is_hac(pfx_vcov_type t)
{
    return t == PFX_VCOV_NW || t == PFX_VCOV_DK;
}

const char *pfx_ssc_name(pfx_ssc s)
{
    static const char *const name[] = {"fixest", "reghdfe", "stata", "none"};
    return name[s];
}

pfx_status pfx_fit_model(pfx_design *d, const pfx_fit_options *o, pfx_fit **out, pfx_err *err)
{
    for (int j = 0; j < d->p; j++)
        if (d->role[j] == PFX_ENDOGENOUS) return pfx_fit_iv(d, o, out, err);
    return pfx_fit_ols(d, o, out, err);
}

void pfx_iv_free(pfx_iv *iv)
{
    if (!iv) return;
    for (int c = 0; c < iv->n_endogenous; c++) pfx_fit_free(iv->stage[c].fit);
    pfx_mem_free(iv->stage);
    pfx_mem_free(iv->ar_set.bounds);
    pfx_mem_free(iv);
}

void pfx_fit_free(pfx_fit *f)
{
    if (!f) return;
    pfx_iv_free(f->iv);
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
