#include "src/rep/decide.h"

#include "src/base/mem.h"

static const double EPS = 1e-3, K = 1000;

pfx_status pfx_decide_init(pfx_decide *d, double alpha, pfx_err *err)
{
    *d = (pfx_decide){.alpha = alpha, .low = -1, .high = 1, .live = 1, .room = 64};
    if (!(d->prob = pfx_mem_alloc(d->room, sizeof *d->prob, err))) return PFX_ENOMEM;
    d->prob[0] = 1;
    return PFX_OK;
}

void pfx_decide_free(pfx_decide *d)
{
    pfx_mem_free(d->prob);
    d->prob = NULL;
}

/* From the counts after n draws to those after n + 1: one more of them. */
static pfx_status step(pfx_decide *d, pfx_err *err)
{
    double a = d->alpha;
    if (d->live + 1 > d->room) {
        double *more = pfx_mem_realloc(d->prob, 2 * d->room, sizeof *more, err);
        if (!more) return PFX_ENOMEM;
        d->prob = more;
        d->room *= 2;
    }
    double *p = d->prob;
    p[d->live] = d->live ? a * p[d->live - 1] : 0;
    for (pfx_idx i = d->live - 1; i > 0; i--) p[i] = (1 - a) * p[i] + a * p[i - 1];
    p[0] *= 1 - a;
    d->live++;
    d->n++;
    return PFX_OK;
}

/* As many counts from either end as the allowance pays for leave the paths. */
static void spend(pfx_decide *d)
{
    double allowed = EPS * (double)d->n / ((double)d->n + K);
    pfx_idx top = d->live, bottom = 0;
    while (top > 0 && d->above + d->prob[top - 1] <= allowed) d->above += d->prob[--top];
    while (bottom < top && d->below + d->prob[bottom] <= allowed) d->below += d->prob[bottom++];
    d->high = d->first + top;
    d->low = d->first + bottom - 1;
    d->live = top - bottom;
    for (pfx_idx i = 0; bottom && i < d->live; i++) d->prob[i] = d->prob[i + bottom];
    d->first += bottom;
}

pfx_status pfx_decide_add(pfx_decide *d, bool extreme, pfx_err *err)
{
    if (d->decided) return PFX_OK;
    pfx_status st = step(d, err);
    if (st != PFX_OK) return st;
    spend(d);
    d->count += extreme;
    if (d->count >= d->high) d->decided = 1;
    if (d->count <= d->low) d->decided = -1;
    return PFX_OK;
}
