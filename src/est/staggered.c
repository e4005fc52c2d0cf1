#include "src/est/staggered.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/est/fit.h"
#include "src/model/design.h"

pfx_status pfx_staggered_dates(const pfx_design *d, int unit, int time, int col, pfx_idx *n_dates,
                               pfx_err *err)
{
    const pfx_factor *u = &d->absorbed[unit].factor, *t = &d->absorbed[time].factor;
    enum { UNSEEN = 2 };
    *n_dates = 0;
    for (pfx_idx i = 0; i < d->n; i++)
        if (d->Z[i * d->p + col] != 0 && d->Z[i * d->p + col] != 1) return PFX_OK;
    unsigned char *last = pfx_mem_alloc(u->n_levels + t->n_levels, 1, err);
    if (!last) return PFX_ENOMEM;
    unsigned char *date = last + u->n_levels;
    memset(last, UNSEEN, (size_t)u->n_levels);
    memset(date, 0, (size_t)t->n_levels);
    bool falls = false;
    for (pfx_idx i = 0; i < d->n; i++) {
        unsigned char x = d->Z[i * d->p + col] == 1, *before = &last[u->code[i]];
        falls |= *before == 1 && !x;
        if (*before == 0 && x) date[t->code[i]] = 1;
        *before = x;
    }
    for (pfx_idx s = 0; s < t->n_levels && !falls; s++) *n_dates += date[s];
    pfx_mem_free(last);
    return PFX_OK;
}

pfx_status pfx_twfe_weights_of(pfx_design *d, const pfx_fit_options *o, pfx_twfe_weights *out, pfx_err *err)
{
    pfx_fit_options with = *o;
    pfx_fit *f = NULL;
    int y = d->p - 1;
    *out = (pfx_twfe_weights){0};
    for (pfx_idx i = 0; i < d->n; i++)
        if (d->Z[i * d->p + y] != 0 && d->Z[i * d->p + y] != 1)
            return pfx_fail(err, PFX_EDATA, "%s is not 0 or 1", d->name[y]);
    with.save = true;
    pfx_status st = pfx_fit_ols(d, &with, &f, err);
    if (st != PFX_OK) return st;
    /* Saved residuals stand in panel order; fitted value plus residual is D again. */
    double sum = 0, largest = 0;
    for (pfx_idx i = 0; i < f->n_rows; i++) largest = fmax(largest, fabs(f->resid[i]));
    double *w = pfx_mem_alloc(f->n_rows + 1, sizeof *w, err);
    if (!w) st = PFX_ENOMEM;
    for (pfx_idx i = 0; st == PFX_OK && i < f->n_rows; i++) {
        bool treated = f->fitted[i] + f->resid[i] > 0.5;
        w[i] = treated && fabs(f->resid[i]) > 1e-9 * largest ? f->resid[i] : 0;
        sum += w[i];
    }
    if (st == PFX_OK && !(largest > 1e-9 && sum > 0))
        st = pfx_fail(err, PFX_EDATA, "nothing of %s is left beside the effects", d->name[y]);
    for (pfx_idx i = 0; st == PFX_OK && i < f->n_rows; i++) {
        out->n_positive += w[i] > 0;
        out->n_negative += w[i] < 0;
        if (w[i] < 0) out->sum_negative += w[i] / sum;
    }
    pfx_mem_free(w);
    pfx_fit_free(f);
    return st;
}
