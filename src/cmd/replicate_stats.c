/* What draws are made of, kept with a plan: shards read it instead of the panel's rows. */
#include <stdio.h>
#include <string.h>

#include "hdf5_io/stats.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/version.h"
#include "src/cmd/replicate.h"
#include "src/rep/clusterstat_store.h"

/* ---- what is kept ---- */

/* Of the full-sample fit, what methods and the report read. */
static pfx_status walk_fit(pfx_fit **fit, pfx_bag *b, pfx_err *err)
{
    bool gives = pfx_bag_gives(b);
    pfx_fit *f = gives ? pfx_mem_calloc(1, sizeof *f, err) : *fit;
    int ssc = gives ? 0 : (int)f->ssc;
    double *factor = gives ? NULL : f->factor;
    if (!f) return PFX_ENOMEM;
    *fit = f;
    pfx_status st = pfx_bag_text(b, "fit_formula", &f->formula, err);
    if (st == PFX_OK) st = pfx_bag_text(b, "fit_outcome", &f->outcome, err);
    if (st == PFX_OK) st = pfx_bag_idx(b, "fit_n_obs", &f->n_obs, err);
    if (st == PFX_OK) st = pfx_bag_int(b, "fit_ssc", &ssc, err);
    if (st == PFX_OK) st = pfx_bag_real(b, "fit_k_adj", &f->k_adj, err);
    if (st == PFX_OK) st = pfx_bag_real(b, "fit_df_t", &f->df_t, err);
    if (st == PFX_OK) st = pfx_bag_f64(b, "fit_factor", 3, &factor, err);
    if (gives && factor) memcpy(f->factor, factor, sizeof f->factor);
    if (gives) pfx_mem_free(factor);
    f->ssc = (pfx_ssc)ssc;
    int n = f->n_clusters;
    if (st == PFX_OK) st = pfx_bag_int(b, "fit_n_clusters", &n, err);
    if (st == PFX_OK && (n < 0 || n > REP_MAX_FACTORS))
        st = pfx_fail(err, PFX_EFORMAT, "statistics of %d clusterings", n);
    if (st == PFX_OK && gives && !(f->clusters = pfx_mem_calloc(n, sizeof *f->clusters, err)))
        st = PFX_ENOMEM;
    if (st == PFX_OK) f->n_clusters = n;
    for (int c = 0; c < n && st == PFX_OK; c++) {
        char name[48];
        snprintf(name, sizeof name, "fit_cluster_%d", c + 1);
        st = pfx_bag_text(b, name, &f->clusters[c].name, err);
        snprintf(name, sizeof name, "fit_cluster_%d_levels", c + 1);
        if (st == PFX_OK) st = pfx_bag_idx(b, name, &f->clusters[c].levels, err);
    }
    return st;
}

pfx_status rep_store_spec(rep_run *r, pfx_bag *b, pfx_err *err)
{
    bool has_stat = r->stat != NULL;
    pfx_status st = walk_fit(&r->fit, b, err);
    if (st == PFX_OK) st = pfx_bag_flag(b, "has_stat", &has_stat, err);
    if (st == PFX_OK && has_stat) st = pfx_clusterstat_store(&r->stat, b, err);
    if (st == PFX_OK && r->method->store) st = r->method->store(r, b, err);
    return st == PFX_OK && pfx_bag_gives(b) ? r->method->ready(r, err) : st;
}

static pfx_status walk_run(rep_run *r, pfx_bag *b, pfx_err *err)
{
    pfx_status st = pfx_bag_text(b, "fit_json", &r->fit_json, err);
    if (st == PFX_OK) st = r->formula->n_models > 1 ? rep_family_store(r, b, err) : rep_store_spec(r, b, err);
    /* Last, since a method that enumerates has lowered it. */
    return st == PFX_OK ? pfx_bag_idx(b, "draws", &r->reps, err) : st;
}

const char *rep_stats_reason(const rep_run *r)
{
    if (r->formula->n_models > 1) return rep_family_stats_reason(r);
    if (r->stat && pfx_clusterstat_needs_rows(r->stat))
        return "effects cross the clusters, and its batches need rows";
    if (!r->method->ready) return "its batches need rows";
    return r->method->needs_rows ? r->method->needs_rows(r) : NULL;
}

/* ---- to the file and back ---- */

pfx_status rep_write_stats(rep_run *r, const char *path, bool force, pfx_err *err)
{
    const pfx_stats_spec s = {.command = r->method->command,
                              .method = r->method->name,
                              .options = r->spec.s,
                              .spec_digest = r->spec_digest,
                              .panel_digest = r->panel_digest,
                              .numerics = pfx_isa_name((pfx_isa)r->o->common.isa)};
    pfx_bag *b = pfx_bag_new(path, err);
    pfx_status st = b ? rep_make_json(r, err) : PFX_ENOMEM;
    if (st == PFX_OK) st = walk_run(r, b, err);
    if (st == PFX_OK) st = pfx_stats_write(path, force, &s, b, err);
    pfx_bag_free(b);
    return st;
}

/* Are these the statistics of this run? */
static pfx_status check(const rep_run *r, const char *path, const pfx_stats *f, pfx_err *err)
{
    const pfx_stats_spec *s = pfx_stats_of(f);
    const char *isa = pfx_isa_name((pfx_isa)r->o->common.isa);
    if (strcmp(s->panel_digest, r->panel_digest) != 0)
        return pfx_fail(
            err, PFX_EDATA,
            "%s: statistics of another panel: of its columns the digest is %.12s..., of those of %s "
            "%.12s...; make the plan anew",
            path, s->panel_digest, pfx_panel_path(r->panel), r->panel_digest);
    if (strcmp(s->spec_digest, r->spec_digest) != 0) return rep_other_options(r, path, s->options, err);
    if (strcmp(s->numerics, isa) != 0)
        return pfx_fail(err, PFX_EUSAGE, "%s: made with the kernels of %s, not %s; make the plan anew", path,
                        s->numerics, isa);
    if (strcmp(pfx_stats_engine(f), PFX_VERSION) != 0)
        return pfx_fail(err, PFX_EUSAGE, "%s: made by panelfx %s, this is %s; make the plan anew", path,
                        pfx_stats_engine(f), PFX_VERSION);
    return PFX_OK;
}

pfx_status rep_read_stats(rep_run *r, const char *path, pfx_err *err)
{
    pfx_stats *f = NULL;
    pfx_bag *b = NULL;
    double t0 = pfx_wall_s();
    pfx_status st = pfx_stats_open(path, &f, err);
    if (st == PFX_OK) st = check(r, path, f, err);
    if (st == PFX_OK) st = pfx_stats_read(f, &b, err);
    r->read_s += pfx_wall_s() - t0;
    t0 = pfx_wall_s();
    if (st == PFX_OK) st = walk_run(r, b, err);
    r->compute_s += pfx_wall_s() - t0;
    pfx_bag_free(b);
    pfx_stats_close(f);
    return st;
}
