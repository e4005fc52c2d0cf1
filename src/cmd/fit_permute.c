/* The permutation test of --compare: the levels of --by change hands between clusters. */
#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/log.h"
#include "src/cmd/fit_private.h"
#include "src/cmd/replicate.h"
#include "src/est/compare.h"
#include "src/model/design.h"
#include "src/rep/clusterstat.h"
#include "src/rep/permute.h"

/* A sink that counts. A draw within rounding of the data's own is as far from zero as it. */
typedef struct counter {
    pfx_comparison *c;
} counter;

static const double NEAR = 1e-9;

static pfx_status put(void *ctx, pfx_idx first, pfx_idx n, const double *const *field, pfx_err *err)
{
    pfx_comparison *c = ((counter *)ctx)->c;
    (void)first;
    (void)err;
    for (pfx_idx i = 0; i < n; i++)
        for (int t = 0; t < c->n_terms; t++) {
            double x = field[PFX_DRAW_ESTIMATE][i * c->n_terms + t];
            if (isnan(x)) continue;
            c->term[t].valid++;
            c->term[t].extreme += fabs(x) >= fabs(c->term[t].spread) * (1 - NEAR);
        }
    return PFX_OK;
}

static pfx_status draw(const pfx_clusterstat *s, int n, const int32_t *group, const pfx_fit_options *o,
                       const fit_permutations *q, pfx_comparison *c, pfx_err *err)
{
    pfx_permute *p = NULL;
    counter count = {c};
    const pfx_draw_sink sink = {.ctx = &count, .put = put};
    pfx_rep_run run = {.seed = q->seed, .last = q->reps, .nth = o->nth, .n_sinks = 1, .sinks = &sink};
    double *own = pfx_mem_alloc(c->n_terms, sizeof *own, err);
    pfx_status st = own ? pfx_permute_create(s, n, group, o->isa, &p, err) : PFX_ENOMEM;
    if (st == PFX_OK) st = pfx_permute_own(p, own, err);
    for (int t = 0; t < c->n_terms && st == PFX_OK; t++) c->term[t].spread = own[t];
    if (st == PFX_OK) st = pfx_rep_run_method(pfx_permute_method(p), &run, err);
    for (int t = 0; t < c->n_terms && st == PFX_OK; t++) {
        pfx_compared *x = &c->term[t];
        double lost = 100 * (1 - (double)x->valid / (double)q->reps); /* % */
        if (isnan(x->spread)) continue;
        if (lost <= REP_LOST_FAIL) x->permutation_p = (double)(x->extreme + 1) / (double)(x->valid + 1);
        if (lost > REP_LOST_FAIL)
            pfx_warn(
                "--compare: no permutation test of %s: in %.1f %% of the draws a level does not identify it",
                x->term, lost);
        else if (lost > REP_LOST_WARN)
            pfx_warn("--compare: in %.1f %% of the draws a level does not identify %s; the permutation test "
                     "is of the others",
                     lost, x->term);
    }
    pfx_permute_free(p);
    pfx_mem_free(own);
    return st;
}

/* What the regression of all groups together leaves out. */
static pfx_status statistics(pfx_design *d, const pfx_fit_options *o, const pfx_comparison *c,
                             pfx_clusterstat **out, pfx_err *err)
{
    pfx_fit_options plain = {.vcov = PFX_VCOV_IID,
                             .ssc = o->ssc,
                             .level = o->level,
                             .tol = o->tol,
                             .maxiter = o->maxiter,
                             .nth = o->nth,
                             .isa = o->isa};
    pfx_fit *f = NULL;
    const char **terms = pfx_mem_alloc(c->n_terms, sizeof *terms, err);
    pfx_status st = terms ? pfx_fit_ols(d, &plain, &f, err) : PFX_ENOMEM;
    if (st == PFX_OK) {
        for (int t = 0; t < c->n_terms; t++) terms[t] = c->term[t].term;
        const pfx_clusterstat_options so = {.n_terms = c->n_terms,
                                            .terms = terms,
                                            .n_collinear = f->n_collinear,
                                            .collinear = (const char *const *)f->collinear,
                                            .tol = o->tol,
                                            .maxiter = o->maxiter,
                                            .nth = o->nth,
                                            .isa = o->isa,
                                            .max_bytes = o->max_bytes};
        st = pfx_clusterstat_create(d, &so, out, err);
    }
    pfx_fit_free(f);
    pfx_mem_free(terms);
    return st;
}

pfx_status fit_permute(int n, const pfx_design *const *d, const pfx_fit_options *o, const fit_permutations *p,
                       pfx_comparison *c, pfx_err *err)
{
    pfx_design *pool = NULL;
    pfx_clusterstat *s = NULL;
    int32_t *group = NULL;
    const char *why = n > PFX_PERMUTE_GROUPS ? "there are too many groups" : NULL;
    pfx_err cannot = {0};
    pfx_status st = why ? PFX_OK : pfx_compare_pool(n, d, &pool, &group, &why, err);
    if (st == PFX_OK && !why && (st = statistics(pool, o, c, &s, &cannot)) != PFX_OK) {
        if (st == PFX_ENOMEM && o->max_bytes <= 0)
            st = pfx_fail(err, st, "%s", cannot.msg);
        else
            st = PFX_OK, why = cannot.msg;
    }
    if (st == PFX_OK && why && !(c->why_not = pfx_mem_strdup(why, err))) st = PFX_ENOMEM;
    if (st == PFX_OK && !why && !(c->cluster = pfx_mem_strdup(pool->clusters[0].name, err))) st = PFX_ENOMEM;
    if (st == PFX_OK && !why) {
        c->reps = p->reps;
        c->seed = p->seed;
        st = draw(s, n, group, o, p, c, err);
    }
    pfx_clusterstat_free(s);
    pfx_design_free(pool);
    pfx_mem_free(group);
    return st;
}
