/* A run for a plan: what it says of itself to plan, and whether it is the run that run-plan means. */
#include <string.h>

#include "src/base/mem.h"
#include "src/cmd/plan.h"
#include "src/cmd/replicate.h"

/* Of the command that plan or run-plan has begun in this process: commands take words alone. */
static const rep_for_plan *planned;

void rep_run_for_plan(const rep_for_plan *p)
{
    planned = p;
}

pfx_status rep_check_plan(const rep_run *r, pfx_err *err)
{
    const struct pfx_plan *want = planned ? planned->want : NULL;
    if (!want) return PFX_OK;
    if (strcmp(r->panel_digest, want->panel_digest) != 0)
        return pfx_fail(err, PFX_EDATA,
                        "%s: the panel has changed since %s was made: its digest is %.12s..., the plan's "
                        "%.12s...; make the plan anew",
                        pfx_panel_path(r->panel), planned->name, r->panel_digest, want->panel_digest);
    if (strcmp(r->spec_digest, want->spec_digest) != 0)
        return pfx_fail(err, PFX_EUSAGE,
                        "%s: its arguments are not those of its spec_digest; make the plan anew",
                        planned->name);
    return PFX_OK;
}

const char *rep_planned_stats(void)
{
    return planned && planned->want ? planned->stats : NULL;
}

pfx_idx rep_next_shard(void)
{
    return planned && planned->next ? planned->next(planned->next_ctx) : 0;
}

/* The statistics to their file, or why there is none. */
static pfx_status keep_stats(rep_run *r, struct pfx_plan *p, pfx_err *err)
{
    const char *reason =
        p->n_shards == 1 ? "the only shard is summed up, which needs rows" : rep_stats_reason(r);
    p->no_stats = reason ? pfx_mem_strdup(reason, err) : NULL;
    if (reason) return p->no_stats ? PFX_OK : PFX_ENOMEM;
    return rep_write_stats(r, planned->stats, planned->force, err);
}

pfx_status rep_fill_plan(rep_run *r, const rep_need *need, bool *done, pfx_err *err)
{
    struct pfx_plan *p = planned ? planned->plan : NULL;
    *done = p != NULL;
    if (!p) return PFX_OK;
    p->seed = r->o->seed;
    p->reps = r->o->reps;
    p->draws = r->reps;
    p->threads = (int)r->o->common.threads;
    p->start_s = need->start_s;
    p->draw_s = need->draw_s;
    p->bytes = need->bytes;
    memcpy(p->spec_digest, r->spec_digest, sizeof p->spec_digest);
    memcpy(p->panel_digest, r->panel_digest, sizeof p->panel_digest);
    p->isa = pfx_mem_strdup(pfx_isa_name((pfx_isa)r->o->common.isa), err);
    if (!p->isa) return PFX_ENOMEM;
    return planned->want ? PFX_OK : keep_stats(r, p, err);
}
