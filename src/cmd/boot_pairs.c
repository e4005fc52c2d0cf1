/* The pairs cluster bootstrap as a method of boot: the plug-in between src/rep/pairs.h and the frame. */
#include <math.h>
#include <string.h>

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cmd/boot.h"
#include "src/cmd/replicate_labels.h"
#include "src/rep/intervals.h"
#include "src/rep/jackknife.h"
#include "src/rep/pairs.h"
#include "src/rep/refit.h"

typedef struct pairs_state {
    bool ci[PFX_CI_KINDS];
    pfx_pairs *pairs;
    pfx_jackknife *jack; /* for BCa, else NULL */
    double *full_se;     /* [n_terms] */
} pairs_state;

static void pairs_release(void *state)
{
    pairs_state *s = state;
    if (!s) return;
    pfx_pairs_free(s->pairs);
    pfx_jackknife_free(s->jack);
    pfx_mem_free(s->full_se);
    pfx_mem_free(s);
}

pfx_status boot_choose_intervals(const pfx_opt_list *names, bool *ci, pfx_err *err)
{
    for (int k = 0; k < PFX_CI_KINDS; k++) ci[k] = names->n == 0;
    for (int i = 0; i < names->n; i++) {
        int k = 0;
        while (pfx_ci_names[k] && strcmp(pfx_ci_names[k], names->v[i])) k++;
        if (!pfx_ci_names[k])
            return pfx_fail(err, PFX_EUSAGE, "--ci %s: want percentile, basic, normal, bca or t",
                            names->v[i]);
        ci[k] = true;
    }
    return PFX_OK;
}

static const boot_options *options(const rep_run *r)
{
    return r->own;
}

/* Clusters in a replicate, 0: as many as there are. */
static pfx_idx n_drawn(const rep_run *r)
{
    return options(r)->subsample == BOOT_ALL ? 0 : options(r)->subsample;
}

static pfx_status check_subsample(const rep_run *r, pairs_state *s, pfx_err *err)
{
    long long m = (long long)options(r)->subsample;
    if (options(r)->subsample == BOOT_ALL) return PFX_OK;
    if (m < 2) return pfx_fail(err, PFX_EUSAGE, "--subsample %lld: a replicate needs at least 2 clusters", m);
    if (options(r)->draw)
        return pfx_fail(err, PFX_EUSAGE,
                        "--subsample: --draw bayes weights all clusters; use one of the two");
    if (r->n_specs)
        return pfx_fail(err, PFX_EUSAGE, "--subsample is for one specification, not for a family");
    if (s->ci[PFX_CI_BCA] && options(r)->ci.n)
        return pfx_fail(err, PFX_EUSAGE, "--ci bca: not with --subsample; its corrections are for %s",
                        "replicates of as many clusters as the sample has");
    s->ci[PFX_CI_BCA] = false;
    return PFX_OK;
}

static pfx_status pairs_open(rep_run *r, pfx_err *err)
{
    pairs_state *s = r->state = pfx_mem_calloc(1, sizeof *s, err);
    if (!s) return PFX_ENOMEM;
    if (r->vcov.n_clusters == 0)
        return pfx_fail(err, PFX_EUSAGE, "%s has no unit to cluster by; name one with --cluster VAR",
                        pfx_panel_path(r->panel));
    if (r->vcov.n_clusters > 1)
        return pfx_fail(err, PFX_EUSAGE, "--cluster %s: pairs resamples one cluster variable", r->o->cluster);
    pfx_status st = boot_choose_intervals(&options(r)->ci, s->ci, err);
    return st == PFX_OK ? check_subsample(r, s, err) : st;
}

/* Draws have standard errors, which take half of the time, where an interval needs them, or a family's
 * p-values. */
static bool studentised(const rep_run *r)
{
    return ((const pairs_state *)r->state)->ci[PFX_CI_T] || r->all.n;
}

/* Where replicates are refits, BCa takes one more for each cluster: not unasked where these are most of the
 * work. */
static void spare_bca(const rep_run *r, pairs_state *s)
{
    if (!r->stat->absorber || !s->ci[PFX_CI_BCA] || options(r)->ci.n || r->stat->G <= r->reps) return;
    s->ci[PFX_CI_BCA] = false;
    pfx_note("no BCa interval: beside these effects it takes a refit without each of the %lld clusters, more "
             "than the "
             "%lld replicates; ask for it with --ci",
             (long long)r->stat->G, (long long)r->reps);
}

static pfx_status pairs_ready(rep_run *r, pfx_err *err)
{
    pairs_state *s = r->state;
    pfx_isa isa = (pfx_isa)r->o->common.isa;
    pfx_status st = PFX_OK;
    if (!(s->full_se = pfx_mem_alloc(r->n_terms, sizeof *s->full_se, err))) return PFX_ENOMEM;
    spare_bca(r, s);
    /* Jackknife and standard errors are for the summary and for /fit, which may be there. */
    if (s->ci[PFX_CI_BCA] && !r->fit_json)
        st = pfx_jackknife_run(r->stat, (int)r->o->common.threads, isa, &s->jack, err);
    if (st == PFX_OK)
        st = pfx_pairs_create(r->stat,
                              &(pfx_pairs_options){.std_error = studentised(r),
                                                   .isa = isa,
                                                   .bayes = options(r)->draw == 1,
                                                   .draws = n_drawn(r),
                                                   .nth = (int)r->o->common.threads,
                                                   .all = r->all},
                              &s->pairs, err);
    return st == PFX_OK && !r->fit_json ? pfx_pairs_full(s->pairs, s->full_se, err) : st;
}

static pfx_status pairs_prepare(rep_run *r, pfx_design *design, pfx_err *err)
{
    pfx_status st = PFX_OK;
    if (n_drawn(r) > r->stat->G)
        return pfx_fail(err, PFX_EUSAGE, "--subsample %lld: the sample has %lld clusters",
                        (long long)n_drawn(r), (long long)r->stat->G);
    for (int t = 0; t < r->n_terms && st == PFX_OK; t++) {
        pfx_idx switching;
        st = rep_warn_switching(r, design, r->terms[t], &switching, err);
    }
    return st == PFX_OK ? pairs_ready(r, err) : st;
}

static const pfx_rep_method *pairs_draws(const rep_run *r)
{
    return pfx_pairs_method(((const pairs_state *)r->state)->pairs);
}

static unsigned pairs_keep(const rep_run *r)
{
    return 1u << PFX_DRAW_ESTIMATE | (unsigned)studentised(r) << PFX_DRAW_STATISTIC;
}

static const char *draw_name(bool bayes)
{
    return bayes ? "bayes" : "multinomial";
}

double boot_pairs_scale(pfx_idx n_drawn, pfx_idx n_clusters)
{
    return n_drawn ? sqrt((double)n_drawn / (double)n_clusters) : 1;
}

/* The standard errors of the draws are there only where they are of use. */
static void pairs_describe(const rep_run *r, pfx_str *spec)
{
    pfx_str_addf(spec, "studentised=%d\n", studentised(r));
    pfx_str_addf(spec, "draw=%s\n", draw_name(options(r)->draw == 1));
    pfx_str_addf(spec, "subsample=%lld\n", (long long)n_drawn(r)); /* 0: all */
}

/* As pfx_boot_summarise counts. */
static int pairs_extreme(const rep_run *r, int t, const double *const *field, pfx_idx i)
{
    const pairs_state *s = r->state;
    pfx_idx at = i * r->n_terms + t;
    double b = field[PFX_DRAW_ESTIMATE][at], full = r->stat->b[t];
    double x = studentised(r) ? field[PFX_DRAW_STATISTIC][at]
                              : boot_pairs_scale(n_drawn(r), r->stat->G) * (b - full);
    double edge = fabs((full - r->o->null) / (studentised(r) ? s->full_se[t] : 1));
    return !isfinite(b) ? -1 : fabs(x) >= edge * (1 - 1e-9);
}

static void pairs_full(const rep_run *r, int t, pfx_rep_values *v)
{
    const pairs_state *s = r->state;
    pfx_rep_add_real(v, NULL, "estimate", NULL, r->stat->b[t]);
    pfx_rep_add_real(v, NULL, "std_error", NULL, s->full_se[t]);
    pfx_rep_add_real(v, NULL, "acceleration", NULL, s->jack ? s->jack->acceleration[t] : NAN);
    pfx_rep_add_text(v, NULL, "draw", NULL, draw_name(options(r)->draw == 1));
    if (n_drawn(r)) pfx_rep_add_count(v, NULL, "subsample", NULL, n_drawn(r));
}

pfx_status boot_pairs_term(const char *term, const pfx_boot_in *in, const bool *ci, pfx_rep_term *out,
                           pfx_err *err)
{
    pfx_boot_out b;
    pfx_status st = pfx_boot_summarise(in, &b, err);
    if (st == PFX_OK) st = rep_check_lost(term, b.valid, in->reps, err);
    if (st != PFX_OK) return st;
    out->estimate = in->estimate;
    out->std_error = b.std_error;
    out->statistic = b.statistic;
    out->valid = b.valid;
    out->count = b.count;
    out->p_value = b.p_value;
    out->p_low = b.p_low;
    out->p_high = b.p_high;
    for (int k = 0; k < PFX_CI_KINDS; k++)
        if (ci[k]) pfx_rep_add_interval(out, pfx_ci_names[k], b.low[k], b.high[k]);
    return PFX_OK;
}

void boot_pairs_note(double level, double null, bool studentised, pfx_str *note)
{
    pfx_str_addf(note,
                 "Intervals at %g %%. Std. error: standard deviation of the valid draws. p-value: of the "
                 "coefficient against %g,\nby the bootstrap distribution of %s.\n",
                 100 * level, null, studentised ? "t" : "the coefficient");
}

void boot_pairs_say_draw(bool bayes, pfx_idx n_drawn, pfx_idx n_clusters, pfx_rep_report *report)
{
    pfx_rep_add_text(&report->more, NULL, "draw", NULL, draw_name(bayes));
    if (bayes)
        pfx_str_add(&report->note,
                    "Bayesian bootstrap: every cluster has an exponential weight (Rubin 1981).\n");
    if (!n_drawn) return;
    pfx_rep_add_count(&report->more, NULL, "subsample", NULL, n_drawn);
    pfx_str_addf(
        &report->note,
        "Replicates of M = %lld of G = %lld clusters: deviations of the draws, so standard errors and "
        "intervals, are\nrescaled by sqrt(M/G) = %.6g; t needs none.\n",
        (long long)n_drawn, (long long)n_clusters, boot_pairs_scale(n_drawn, n_clusters));
}

/* What replicates are made by, where that is no matrix product. */
static void say_refit(const rep_run *r, pfx_rep_report *report)
{
    const pfx_refit *f = pfx_pairs_refit(((const pairs_state *)r->state)->pairs);
    if (!f) return;
    pfx_rep_add_text(&report->more, NULL, "refit", NULL, pfx_refit_route(f));
    pfx_str_addf(
        &report->note,
        "Effects cross the clusters with %lld levels beside the largest: each replicate is a refit (%s).\n",
        (long long)pfx_refit_columns(f), pfx_refit_route(f));
}

static pfx_status pairs_summarise(rep_run *r, const pfx_draw_keep *d, pfx_rep_report *report, pfx_err *err)
{
    const pairs_state *s = r->state;
    for (int t = 0; t < r->n_terms; t++) {
        const pfx_boot_in in = {.reps = d->n,
                                .stride = d->n_terms,
                                .b = d->field[PFX_DRAW_ESTIMATE] + t,
                                .t = studentised(r) ? d->field[PFX_DRAW_STATISTIC] + t : NULL,
                                .estimate = r->stat->b[t],
                                .std_error = s->full_se[t],
                                .null = r->o->null,
                                .level = r->o->level,
                                .scale = boot_pairs_scale(n_drawn(r), r->stat->G),
                                .acceleration = s->jack ? s->jack->acceleration[t] : 0};
        pfx_status st = boot_pairs_term(r->terms[t], &in, s->ci, &report->term[t], err);
        if (st != PFX_OK) return st;
        if (s->jack && s->jack->n_lost[t])
            pfx_warn("%s is not identified without %lld of the clusters; BCa leaves them out", r->terms[t],
                     (long long)s->jack->n_lost[t]);
    }
    boot_pairs_note(r->o->level, r->o->null, studentised(r), &report->note);
    boot_pairs_say_draw(options(r)->draw == 1, n_drawn(r), r->stat->G, report);
    say_refit(r, report);
    return PFX_OK;
}

const rep_method boot_pairs = {.command = "boot",
                               .name = "pairs",
                               .title = "Pairs cluster bootstrap",
                               .name_key = "method",
                               .instruments = true,
                               .needs_stat = true,
                               .refits = true,
                               .family = true,
                               .rule = {.with_own = true},
                               .open = pairs_open,
                               .prepare = pairs_prepare,
                               .ready = pairs_ready,
                               .release = pairs_release,
                               .draws = pairs_draws,
                               .describe = pairs_describe,
                               .full = pairs_full,
                               .keep = pairs_keep,
                               .extreme = pairs_extreme,
                               .summarise = pairs_summarise};
