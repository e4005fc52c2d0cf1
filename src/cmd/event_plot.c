/* The effects of an event study as a figure. */
#include <math.h>
#include <stdio.h>

#include "src/base/mem.h"
#include "src/cmd/event_private.h"
#include "src/cmd/provenance.h"
#include "src/report/plot.h"

pfx_status event_plot(const event_run *r, pfx_err *err)
{
    const pfx_event_effect *e = r->result.effect;
    int n = r->result.n;
    char caption[256];
    if (!r->o.plot) return PFX_OK;
    if (r->o.method == PFX_EVENT_CS) e = r->cs.dynamic.effect, n = r->cs.dynamic.n;
    if (r->o.method == PFX_EVENT_IMPUTATION) e = r->impute.effect, n = r->impute.n;
    double *x = pfx_mem_alloc(4 * (pfx_idx)n + 1, sizeof *x, err);
    if (!x) return PFX_ENOMEM;
    double *y = x + n, *low = y + n, *high = low + n;
    for (int i = 0; i < n; i++) {
        x[i] = e[i].at;
        y[i] = e[i].estimate;
        low[i] = e[i].reference ? y[i] : e[i].conf_low;
        high[i] = e[i].reference ? y[i] : e[i].conf_high;
    }
    snprintf(caption, sizeof caption, "%s%s; %lld observations; %.4g %% intervals.",
             pfx_is_synthetic(r->panel) ? "Synthetic panel: simulated, not observed. " : "",
             pfx_event_method_names[r->o.method], (long long)r->n_obs, 100 * r->o.fit.level);
    const pfx_plot p = {.kind = PFX_PLOT_EVENT,
                        .title = r->formula->models[0].outcome_text,
                        .caption = caption,
                        .x_label = "event time",
                        .y_label = "estimate and confidence interval",
                        .n = n,
                        .x = x,
                        .y = y,
                        .low = low,
                        .high = high,
                        .mark = NAN};
    pfx_status st = pfx_plot_write(&p, r->o.plot, r->o.fit.common.force, err);
    pfx_mem_free(x);
    return st;
}
