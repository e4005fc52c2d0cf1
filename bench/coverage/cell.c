/* Many panels of one kind, and what share of them each method gets right. */
#include <math.h>
#include "bench/coverage/coverage.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"

static const double ALPHA = 0.05;

typedef struct job {
    const cover_cell *c;
    cover_outcome *outcome; /* [panels x COVER_METHODS] */
    pfx_status *status;     /* [panels] */
} job;

static void run_panel(void *ctx, pfx_idx i, int thread)
{
    job *j = ctx;
    pfx_err err = {0};
    double estimate;
    (void)thread;
    j->status[i] = cover_panel_run(j->c, i, j->outcome + i * COVER_METHODS, &estimate, &err);
}

static cover_summary sum_up(const job *j, int m)
{
    cover_summary s = {0};
    double total = 0;
    for (pfx_idx i = 0; i < j->c->panels; i++) {
        const cover_outcome *o = &j->outcome[i * COVER_METHODS + m];
        if (!isnan(o->covers)) {
            s.sets++;
            s.covers += o->covers > 0;
            s.bounded += isfinite(o->length);
            if (isfinite(o->length)) total += o->length;
        }
        if (!isnan(o->p)) {
            s.tests++;
            s.rejects += o->p <= ALPHA * (1 + 1e-9);
        }
    }
    s.length = s.bounded ? total / (double)s.bounded : NAN;
    return s;
}

pfx_status cover_cell_run(const cover_cell *c, cover_summary *out, cover_outcome *outcomes, pfx_err *err)
{
    pfx_status st = PFX_ENOMEM;
    job j = {.c = c, .outcome = outcomes};
    if (!outcomes) j.outcome = pfx_mem_alloc(c->panels * COVER_METHODS, sizeof *j.outcome, err);
    j.status = pfx_mem_calloc(c->panels, sizeof *j.status, err);
    if (!j.outcome || !j.status) goto done;
    pfx_par_for(c->panels, c->nth, run_panel, &j);
    st = PFX_OK;
    for (pfx_idx i = 0; i < c->panels && st == PFX_OK; i++)
        if (j.status[i] != PFX_OK) { /* again, for its message */
            cover_outcome again[COVER_METHODS];
            double estimate;
            st = cover_panel_run(c, i, again, &estimate, err);
            if (st == PFX_OK) st = pfx_fail(err, j.status[i], "panel %lld failed once", (long long)i);
        }
    for (int m = 0; m < COVER_METHODS && st == PFX_OK; m++) out[m] = sum_up(&j, m);
done:
    if (!outcomes) pfx_mem_free(j.outcome);
    pfx_mem_free(j.status);
    return st;
}
