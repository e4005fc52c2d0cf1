/* The wild cluster bootstrap as a method of boot: the plug-in between src/rep/wild.h and the frame. */
#include <math.h>
#include <string.h>

#include "src/base/bag.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cmd/boot.h"
#include "src/model/design.h"
#include "src/rep/switching.h"
#include "src/rep/wild_cells.h"

/* Of --memory, what the route of effects that cross the clusters may take beside the statistics. */
static const double CROSSING_SHARE = 0.4;
static const char *const type_names[] = {"11", "13", "31", "33"};

typedef struct wild_state {
    bool invert;           /* by polynomials of the null; */
    bool search;           /* with instruments, by drawing again under each null */
    int boot;              /* which of the design's cluster variables weights go by */
    const char *boot_name; /* or NULL: the default */
    pfx_wild_cells *cells;
    pfx_wild_options o;
    double *null;           /* [coefficients] */
    int32_t *union_boot;    /* [cells] of a family: what shares a weight, by its number in the union */
    pfx_wild *wild, *other; /* other: with the other residuals, where few clusters are treated; else NULL */
    pfx_treated *treated;   /* [coefficients] */
} wild_state;

static void wild_release(void *state)
{
    wild_state *s = state;
    if (!s) return;
    pfx_wild_free(s->wild);
    pfx_wild_free(s->other);
    pfx_wild_cells_free(s->cells);
    pfx_mem_free(s->null);
    pfx_mem_free(s->union_boot);
    pfx_mem_free(s->treated);
    pfx_mem_free(s);
}

/* What a family of tests cannot be asked for. */
static pfx_status check_family(const rep_run *r, pfx_err *err)
{
    const boot_options *o = r->own;
    if (r->vcov.n_clusters == 2 && !o->bootcluster)
        return pfx_fail(err, PFX_EUSAGE,
                        "--cluster %s: a family needs --bootcluster VAR, what shares one weight in every "
                        "specification",
                        r->o->cluster);
    return PFX_OK;
}

static bool has_instruments(const rep_run *r)
{
    return r->formula->models[0].n_endogenous > 0;
}

/* With instruments, what the wild bootstrap does not do. */
static pfx_status check_instruments(const rep_run *r, pfx_err *err)
{
    const boot_options *o = r->own;
    const char *option = o->type                   ? "--type"
                         : o->joint                ? "--joint"
                         : o->bootcluster          ? "--bootcluster"
                         : r->n_specs              ? "a family of specifications"
                         : r->vcov.n_clusters == 2 ? "two cluster variables"
                                                   : NULL;
    if (!option) return PFX_OK;
    return pfx_fail(
        err, PFX_EUSAGE,
        "%s: the wild bootstrap of 2SLS has none of that in this version; leave it out, or use --method "
        "pairs",
        option);
}

static pfx_status wild_open(rep_run *r, pfx_err *err)
{
    const boot_options *o = r->own;
    wild_state *s = r->state = pfx_mem_calloc(1, sizeof *s, err);
    if (!s) return PFX_ENOMEM;
    if (r->vcov.n_clusters == 0)
        return pfx_fail(err, PFX_EUSAGE, "%s has no unit to cluster by; name one with --cluster VAR",
                        pfx_panel_path(r->panel));
    if (r->vcov.n_clusters == 2 && o->type != 0)
        return pfx_fail(err, PFX_EUSAGE,
                        "--type leaves out one cluster at a time: it takes one cluster variable, not %s",
                        r->o->cluster);
    pfx_status st = boot_wild_check_p((pfx_wild_p)o->ptype, o->joint, r->n_specs > 0, err);
    if (st == PFX_OK && r->n_specs) st = check_family(r, err);
    if (st == PFX_OK && has_instruments(r)) st = check_instruments(r, err);
    if (st != PFX_OK) return st;
    s->boot = -1;
    s->boot_name = o->bootcluster;
    for (int c = 0; c < r->vcov.n_clusters && s->boot_name; c++)
        if (!strcmp(r->factor[c], s->boot_name)) s->boot = c;
    if (s->boot_name && s->boot < 0) s->boot = rep_add_factor(r, "--bootcluster", s->boot_name);
    r->drawn_by = s->boot < 0 ? 0 : s->boot;
    st = boot_wild_choose_ci(&o->ci, o->joint, &s->invert, err);
    s->search = s->invert && has_instruments(r);
    s->invert &= !s->search;
    return st;
}

static pfx_status make_stat(rep_run *r, const pfx_design *design, pfx_err *err)
{
    const boot_options *o = r->own;
    const wild_state *s = r->state;
    pfx_clusterstat_options co = {.n_terms = o->coef.n,
                                  .terms = o->coef.v,
                                  .n_collinear = r->fit->n_collinear,
                                  .collinear = (const char *const *)r->fit->collinear,
                                  .tol = r->o->tol,
                                  .maxiter = (int)r->o->maxiter,
                                  .nth = (int)r->o->common.threads,
                                  .isa = (pfx_isa)r->o->common.isa,
                                  .max_bytes = 0.5 * (double)r->o->common.memory};
    if (!s->cells->simple) {
        co.cell = &s->cells->cell;
        co.n_within = 2;
        co.within[0] = s->cells->within[0];
        co.within[1] = s->cells->within[1];
    }
    /* Effects that would become too many columns go the exact way, whatever they are. */
    pfx_idx columns = 0;
    pfx_status st = pfx_clusterstat_columns(design, &co, &columns, err);
    if (st != PFX_OK) return st;
    co.absorb = columns > PFX_CLUSTERSTAT_MAX_COLUMNS && !has_instruments(r);
    return pfx_clusterstat_create(design, &co, &r->stat, err);
}

/* Few clusters that carry one of the treatments (MacKinnon and Webb 2017, 2018)? */
static pfx_status count_treated(rep_run *r, const pfx_design *d, bool *few, pfx_err *err)
{
    const boot_options *o = r->own;
    wild_state *s = r->state;
    if (!(s->treated = pfx_mem_calloc(o->coef.n, sizeof *s->treated, err))) return PFX_ENOMEM;
    for (int t = 0; t < o->coef.n; t++) {
        pfx_status st = pfx_treated_count(d, o->coef.v[t], &s->treated[t], err);
        if (st != PFX_OK) return st;
        const pfx_treated *x = &s->treated[t];
        pfx_idx carry = x->n_switching                ? x->n_switching
                        : x->n_treated < x->n_control ? x->n_treated
                                                      : x->n_control;
        if (!x->binary || carry >= PFX_FEW_SWITCHING) continue;
        *few = true;
        pfx_warn("%s %s %lld clusters: with so few, the restricted wild bootstrap (WCR) hardly ever rejects "
                 "and the "
                 "unrestricted (WCU) far too often; compare both, and see a placebo test with --stat t or "
                 "weights by "
                 "sub-clusters (--bootcluster)",
                 o->coef.v[t], x->n_switching ? "switches within only" : "is different in only",
                 (long long)carry);
    }
    return PFX_OK;
}

static void set_options(rep_run *r)
{
    const boot_options *o = r->own;
    wild_state *s = r->state;
    static const int types[] = {11, 13, 31, 33};
    s->o = (pfx_wild_options){.type = types[o->type],
                              .unrestricted = o->unrestricted,
                              .joint = o->joint,
                              .invert = s->invert,
                              .null = s->null,
                              .weights = (pfx_wild_weights)o->weights_type,
                              .reps = r->reps,
                              .n_errors = s->cells->n_errors,
                              .max_bytes = CROSSING_SHARE * (double)r->o->common.memory,
                              .nth = (int)r->o->common.threads,
                              .isa = (pfx_isa)r->o->common.isa};
    for (int c = 0; c < s->cells->n_errors; c++)
        s->o.errors[c] = (pfx_wild_errors){
            .code = s->cells->code[c], .n = s->cells->n[c], .weight = (c == 2 ? -1 : 1) * r->fit->factor[c]};
    s->o.boot = s->cells->boot;
    s->o.n_boot = s->cells->n_boot;
}

/* Weights are those of the clusters of all specifications; the ones that this has not have no scores. */
static pfx_status join_union(rep_run *r, pfx_err *err)
{
    wild_state *s = r->state;
    if (r->all.n == 0) return PFX_OK;
    if (!(s->union_boot = pfx_mem_alloc(r->stat->G, sizeof *s->union_boot, err))) return PFX_ENOMEM;
    for (pfx_idx x = 0; x < r->stat->G; x++) s->union_boot[x] = r->all.of[s->o.boot ? s->o.boot[x] : x];
    s->o.boot = s->union_boot;
    s->o.n_boot = r->all.n;
    return PFX_OK;
}

static pfx_status wild_ready(rep_run *r, pfx_err *err)
{
    const boot_options *o = r->own;
    wild_state *s = r->state;
    if (!(s->null = pfx_mem_alloc(o->coef.n, sizeof *s->null, err))) return PFX_ENOMEM;
    for (int t = 0; t < o->coef.n; t++) s->null[t] = r->o->null;
    set_options(r);
    pfx_status st = join_union(r, err);
    if (st == PFX_OK) st = pfx_wild_create(r->stat, &s->o, &s->wild, err);
    if (st != PFX_OK) return st;
    const pfx_wild_info *info = pfx_wild_describe(s->wild);
    r->reps = info->reps;
    if (info->by_reps)
        pfx_note("effects cross the clusters, and clusters by bootstrap clusters are too many to be held: a "
                 "column is "
                 "demeaned for each replicate");
    if (info->n_singular)
        pfx_warn("without one of %lld clusters the regressors are collinear; a pseudo-inverse stands in for "
                 "the inverse",
                 (long long)info->n_singular);
    return PFX_OK;
}

/* What shares a weight, and a cluster, beside the statistics of the cells. */
static pfx_status wild_store(rep_run *r, pfx_bag *b, pfx_err *err)
{
    wild_state *s = r->state;
    if (pfx_bag_gives(b) && !(s->cells = pfx_mem_calloc(1, sizeof *s->cells, err))) return PFX_ENOMEM;
    return pfx_wild_cells_store(s->cells, r->stat->G, b, err);
}

static pfx_status wild_prepare(rep_run *r, pfx_design *design, pfx_err *err)
{
    wild_state *s = r->state;
    bool few = false;
    if (s->boot < 0) /* of two variables the one with more clusters */
        s->boot = r->vcov.n_clusters == 2 && design->clusters[1].n_levels > design->clusters[0].n_levels;
    if (design->clusters[s->boot].n_levels < 2)
        return pfx_fail(err, PFX_EDATA,
                        "--bootcluster %s: one level in the %lld rows used; draws need two or more",
                        s->boot_name, (long long)design->n);
    pfx_status st = pfx_wild_cells_create(design, r->vcov.n_clusters, s->boot, &s->cells, err);
    if (st == PFX_OK) st = make_stat(r, design, err);
    if (st == PFX_OK) st = count_treated(r, design, &few, err);
    if (st == PFX_OK) st = wild_ready(r, err);
    if (st != PFX_OK || !few || has_instruments(r)) return st;
    pfx_wild_options other = s->o;
    other.unrestricted = !other.unrestricted;
    other.invert = false;
    return pfx_wild_create(r->stat, &other, &s->other, err);
}

static const pfx_rep_method *wild_draws(const rep_run *r)
{
    return pfx_wild_method(((const wild_state *)r->state)->wild);
}

static void wild_describe(const rep_run *r, pfx_str *spec)
{
    const boot_options *o = r->own;
    const wild_state *s = r->state;
    pfx_str_addf(spec, "type=%s\nunrestricted=%d\njoint=%d\nweights-type=%s\nnull=%.17g\n",
                 type_names[o->type], o->unrestricted, o->joint, pfx_wild_weights_names[o->weights_type],
                 r->o->null);
    for (int t = 0; t < o->coef.n && o->joint; t++) pfx_str_addf(spec, "coef=%s\n", o->coef.v[t]);
    if (s->boot_name) pfx_str_addf(spec, "bootcluster=%s\n", s->boot_name);
    pfx_str_addf(spec, "invert=%d\n", s->invert);
    if (r->o->decided != 0) pfx_str_addf(spec, "ptype=%d\n", o->ptype); /* when it stops */
}

static unsigned wild_keep(const rep_run *r)
{
    const wild_state *s = r->state;
    unsigned keep = 1u << PFX_DRAW_STATISTIC;
    for (int f = 0; f < PFX_WILD_EXTRA && s->invert; f++) keep |= 1u << (PFX_DRAW_FIELDS + f);
    return keep;
}

/* By the rule of p_value, for the kinds that have one tail or none. */
static int wild_extreme(const rep_run *r, int t, const double *const *field, pfx_idx i)
{
    const boot_options *o = r->own;
    const pfx_wild_info *info = pfx_wild_describe(((const wild_state *)r->state)->wild);
    double x = field[PFX_DRAW_STATISTIC][i * info->n_tests + t];
    if (isnan(x)) return -1;
    return pfx_wild_beyond(x, info->statistic[t], (pfx_wild_p)o->ptype);
}

static pfx_wild_in summary_in(const rep_run *r, const pfx_wild *w, const pfx_draw_keep *d, int t)
{
    const boot_options *o = r->own;
    const pfx_wild_info *info = pfx_wild_describe(w);
    return (pfx_wild_in){.reps = d->n,
                         .stride = d->n_terms,
                         .t = d->field[PFX_DRAW_STATISTIC] + t,
                         .statistic = info->statistic[t],
                         .estimate = o->joint ? NAN : r->stat->b[t],
                         .std_error = info->std_error[t],
                         .level = r->o->level,
                         .kind = (pfx_wild_p)o->ptype,
                         .nth = (int)r->o->common.threads,
                         .isa = (pfx_isa)r->o->common.isa};
}

/* p-values [tests] of w, from the same weights. what: of the progress bar, or NULL. */
static pfx_status other_p(const rep_run *r, const pfx_wild *w, const char *what, double *p, pfx_err *err)
{
    pfx_draw_keep keep = {0};
    pfx_status st = pfx_draw_keep_init(&keep, r->n_terms, 1u << PFX_DRAW_STATISTIC, 0, r->reps, err);
    const pfx_draw_sink sink = pfx_draw_keep_sink(&keep);
    pfx_rep_run run = {.seed = (uint64_t)r->o->seed,
                       .last = r->reps,
                       .nth = (int)r->o->common.threads,
                       .what = what,
                       .n_sinks = 1,
                       .sinks = &sink};
    if (st == PFX_OK) st = pfx_rep_run_method(pfx_wild_method(w), &run, err);
    for (int t = 0; t < r->n_terms && st == PFX_OK; t++) {
        pfx_wild_out out;
        const pfx_wild_in in = summary_in(r, w, &keep, t);
        st = pfx_wild_summarise(&in, &out, err);
        p[t] = out.p_value;
    }
    pfx_draw_keep_free(&keep);
    return st;
}

/* The p-value under another null, with the same weights: ctx the run. */
static pfx_status p_under(void *ctx, double null, double *p, pfx_err *err)
{
    const rep_run *r = ctx;
    pfx_wild_options o = ((const wild_state *)r->state)->o;
    pfx_wild *w = NULL;
    o.null = &null;
    pfx_status st = pfx_wild_create(r->stat, &o, &w, err);
    if (st == PFX_OK) st = other_p(r, w, NULL, p, err);
    pfx_wild_free(w);
    return st;
}

static boot_wild_about about(const rep_run *r)
{
    const boot_options *o = r->own;
    const wild_state *s = r->state;
    const pfx_wild_info *info = pfx_wild_describe(s->wild);
    return (boot_wild_about){.type = type_names[o->type],
                             .weights = pfx_wild_weights_names[o->weights_type],
                             .bootcluster = s->boot_name,
                             .unrestricted = o->unrestricted,
                             .joint = o->joint,
                             .enumerated = info->enumerated,
                             .crossing = info->crossing,
                             .n_boot = info->n_boot,
                             .null = r->o->null,
                             .level = r->o->level,
                             .kind = (pfx_wild_p)o->ptype,
                             .instruments = has_instruments(r),
                             .invert = s->invert || s->search};
}

static boot_wild_test test_of(const rep_run *r, int t)
{
    const wild_state *s = r->state;
    const pfx_wild_info *info = pfx_wild_describe(s->wild);
    return (boot_wild_test){.estimate = ((const boot_options *)r->own)->joint ? NAN : r->stat->b[t],
                            .std_error = info->std_error[t],
                            .statistic = info->statistic[t],
                            .treated = s->treated[t]};
}

static void wild_full(const rep_run *r, int t, pfx_rep_values *v)
{
    const boot_wild_about a = about(r);
    const boot_wild_test test = test_of(r, t);
    boot_wild_store(&a, &test, v);
}

static pfx_status wild_summarise(rep_run *r, const pfx_draw_keep *d, pfx_rep_report *report, pfx_err *err)
{
    const wild_state *s = r->state;
    const boot_wild_about a = about(r);
    double other[64] = {0};
    pfx_status st = s->other ? other_p(r, s->other, "boot", other, err) : PFX_OK;
    for (int t = 0; t < r->n_terms && st == PFX_OK; t++) {
        const boot_wild_test test = test_of(r, t);
        pfx_wild_in in = summary_in(r, s->wild, d, t);
        if (s->invert) boot_wild_polynomials(&in, (const double *const *)d->field + PFX_DRAW_FIELDS, t);
        if (s->search) {
            in.p_at = p_under;
            in.p_ctx = r;
        }
        st = boot_wild_term(r->terms[t], &a, &test, &in, s->other ? &other[t] : NULL, &report->term[t], err);
    }
    if (st == PFX_OK) boot_wild_head(&a, report);
    return st;
}

const rep_method boot_wild = {.command = "boot",
                              .name = "wild",
                              .title = "Wild cluster bootstrap",
                              .name_key = "method",
                              .instruments = true,
                              .needs_stat = false, /* of cells of its own */
                              .family = true,
                              .rule = {.strict = true},
                              .open = wild_open,
                              .prepare = wild_prepare,
                              .ready = wild_ready,
                              .store = wild_store,
                              .release = wild_release,
                              .draws = wild_draws,
                              .describe = wild_describe,
                              .full = wild_full,
                              .keep = wild_keep,
                              .extreme = wild_extreme,
                              .summarise = wild_summarise};
