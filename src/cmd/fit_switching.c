/* Warnings of few switching clusters, and of staggered treatments. */
#include <string.h>

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/cmd/fit_private.h"
#include "src/est/staggered.h"
#include "src/model/design.h"
#include "src/rep/switching.h"

/* Regressors that the warning names. */
enum { MAX_NAMED = 3 };

static bool is_binary(const pfx_design *d, int col)
{
    for (pfx_idx i = 0; i < d->n; i++) {
        double x = d->Z[i * d->p + col];
        if (x != 0 && x != 1) return false;
    }
    return true;
}

static bool was_estimated(const pfx_fit *f, const char *term)
{
    for (int i = 0; i < f->k; i++)
        if (strcmp(f->coef[i].term, term) == 0) return true;
    return false;
}

pfx_status fit_warn_switching(const pfx_design *d, const pfx_fit *f, pfx_err *err)
{
    pfx_str which = {0};
    int few = 0;
    pfx_status st = PFX_OK;
    if (f->n_clusters == 0 || pfx_vcov_is_hac(f->vcov)) return PFX_OK;
    for (int j = 0; j < d->p - 1 && st == PFX_OK; j++) {
        pfx_idx n = -1;
        if (!was_estimated(f, d->name[j])) continue;
        st = pfx_switching_few(d, d->name[j], PFX_FEW_SWITCHING, &n, err);
        if (n < 1 || n >= PFX_FEW_SWITCHING || !is_binary(d, j)) continue;
        if (few++ < MAX_NAMED)
            pfx_str_addf(&which, "%s%s switches within only %lld", few > 1 ? ", " : "", d->name[j],
                         (long long)n);
    }
    if (few > MAX_NAMED) pfx_str_addf(&which, ", and %d more", few - MAX_NAMED);
    if (st == PFX_OK && few && !which.failed)
        pfx_warn("%s of the %lld clusters (%s): clustered standard errors and t tests are unreliable with so "
                 "few; compare "
                 "placebo by its studentised test, boot with sub-clusters (--bootcluster), and boot "
                 "restricted and "
                 "--unrestricted side by side: the first rejects too seldom, the second too often",
                 which.s, (long long)d->clusters[0].n_levels, d->clusters[0].name);
    pfx_str_free(&which);
    return st;
}

static int absorbed_entry(const pfx_design *d, const char *name)
{
    for (int e = 0; name && e < d->n_absorbed; e++)
        if (d->absorbed[e].intercept && strcmp(d->absorbed[e].factor.name, name) == 0) return e;
    return -1;
}

pfx_status fit_warn_staggered(const pfx_design *d, const pfx_fit *f, const pfx_panel_spec *panel,
                              bool *warned, int nth, pfx_err *err)
{
    int unit = absorbed_entry(d, panel->unit), time = absorbed_entry(d, panel->time);
    if (*warned || unit < 0 || time < 0) return PFX_OK;
    for (int j = 0; j < d->p - 1; j++) {
        pfx_idx dates = 0;
        if (!was_estimated(f, d->name[j])) continue;
        pfx_status st = pfx_staggered_dates(d, unit, time, j, nth, &dates, err);
        if (st != PFX_OK) return st;
        if (dates < 2) continue;
        pfx_warn("%s begins in %lld different periods: beside %s and %s effects its coefficient mixes early "
                 "and late "
                 "starters and may weigh some effects negatively; panelfx event takes them apart",
                 d->name[j], (long long)dates, panel->unit, panel->time);
        *warned = true;
        return PFX_OK;
    }
    return PFX_OK;
}
