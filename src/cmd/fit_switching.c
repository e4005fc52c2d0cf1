/* The warning of few switching clusters. */
#include <string.h>

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/cmd/fit_private.h"
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
        if (!was_estimated(f, d->name[j]) || !is_binary(d, j)) continue;
        st = pfx_switching_clusters(d, d->name[j], &n, err);
        if (n < 1 || n >= PFX_FEW_SWITCHING) continue;
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
