/* Every method on one panel, through the library as a command calls it. */
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stddef.h>
#include "bench/coverage/coverage.h"
#include "src/est/fit.h"
#include "src/model/design.h"
#include "src/rep/clusterstat.h"
#include "src/rep/intervals.h"
#include "src/rep/jackknife.h"
#include "src/rep/keep.h"
#include "src/rep/pairs.h"
#include "src/rep/placebo.h"
#include "src/rep/placebo_summary.h"
#include "src/rep/wild.h"
#include "src/rep/wild_summary.h"

const char *const cover_names[COVER_METHODS] = {
    "CRV1, t(G-1)",      "CV3 jackknife, t(G-1)", "pairs percentile",
    "pairs basic",       "pairs normal",          "pairs BCa",
    "pairs t",           "wild WCR, type 11",     "wild WCR, type 31",
    "wild WCU, type 11", "placebo by b",          "placebo by t"};

static const double LEVEL = 0.95, TOL = 1e-10, TRUTH = COVER_EFFECT;
enum { MAXITER = 10000 };
static const char *const term[] = {"D"};

/* What the methods share of one panel. */
typedef struct sample {
    const cover_cell *c;
    cover_panel p;
    pfx_fit *fit;
    pfx_clusterstat *stat;
    pfx_jackknife *jack;
    pfx_draw_keep keep;
    double b, se; /* of D, CRV1 */
} sample;

static void set_interval(double low, double high, cover_outcome *out)
{
    if (isnan(low) || isnan(high)) return;
    out->covers = low <= TRUTH && TRUTH <= high;
    out->length = high - low;
}

/* Run a method's replicates and keep these fields. */
static pfx_status draw(sample *s, const pfx_rep_method *m, pfx_idx reps, unsigned fields, pfx_err *err)
{
    pfx_draw_keep_free(&s->keep);
    pfx_status st = pfx_draw_keep_init(&s->keep, 1, fields, 0, reps, err);
    const pfx_draw_sink sink = pfx_draw_keep_sink(&s->keep);
    pfx_rep_run run = {.seed = s->p.seed, .last = reps, .nth = 1, .n_sinks = 1, .sinks = &sink};
    return st == PFX_OK ? pfx_rep_run_method(m, &run, err) : st;
}

static pfx_status prepare(sample *s, pfx_err *err)
{
    const pfx_fit_options fo = {.vcov = PFX_VCOV_CLUSTER,
                                .ssc = PFX_SSC_FIXEST,
                                .level = LEVEL,
                                .tol = TOL,
                                .maxiter = MAXITER,
                                .nth = 1,
                                .isa = s->c->isa};
    const pfx_clusterstat_options co = {
        .n_terms = 1, .terms = term, .tol = TOL, .maxiter = MAXITER, .nth = 1, .isa = s->c->isa};
    pfx_status st = pfx_fit_ols(s->p.d, &fo, &s->fit, err);
    if (st == PFX_OK) st = pfx_clusterstat_create(s->p.d, &co, &s->stat, err);
    if (st == PFX_OK) st = pfx_jackknife_run(s->stat, 1, s->c->isa, &s->jack, err);
    if (st != PFX_OK) return st;
    s->b = s->fit->coef[0].estimate;
    s->se = s->fit->coef[0].std_error;
    return PFX_OK;
}

/* Intervals from standard errors and Student's t. */
static void by_formula(const sample *s, double se, cover_outcome *out)
{
    double df = s->fit->df_t, q = gsl_cdf_tdist_Pinv((1 + LEVEL) / 2, df);
    if (!(se > 0)) return;
    set_interval(s->b - q * se, s->b + q * se, out);
    out->p = 2 * gsl_cdf_tdist_Q(fabs(s->b - TRUTH) / se, df);
}

static pfx_status by_pairs(sample *s, cover_outcome *out, pfx_err *err)
{
    static const cover_method at[PFX_CI_KINDS] = {[PFX_CI_PERCENTILE] = COVER_PERCENTILE,
                                                  [PFX_CI_BASIC] = COVER_BASIC,
                                                  [PFX_CI_NORMAL] = COVER_NORMAL,
                                                  [PFX_CI_BCA] = COVER_BCA,
                                                  [PFX_CI_T] = COVER_T};
    pfx_pairs *pairs = NULL;
    pfx_boot_out b;
    double full_se = NAN;
    pfx_status st =
        pfx_pairs_create(s->stat, &(pfx_pairs_options){.std_error = true, .isa = s->c->isa}, &pairs, err);
    if (st == PFX_OK) st = pfx_pairs_full(pairs, &full_se, err);
    if (st == PFX_OK)
        st = draw(s, pfx_pairs_method(pairs), s->c->reps, 1u << PFX_DRAW_ESTIMATE | 1u << PFX_DRAW_STATISTIC,
                  err);
    const pfx_boot_in in = {.reps = s->keep.n,
                            .stride = 1,
                            .b = s->keep.field[PFX_DRAW_ESTIMATE],
                            .t = s->keep.field[PFX_DRAW_STATISTIC],
                            .estimate = s->stat->b[0],
                            .std_error = full_se,
                            .null = TRUTH,
                            .level = LEVEL,
                            .acceleration = s->jack->acceleration[0]};
    if (st == PFX_OK) st = pfx_boot_summarise(&in, &b, err);
    for (int k = 0; k < PFX_CI_KINDS && st == PFX_OK; k++) set_interval(b.low[k], b.high[k], &out[at[k]]);
    if (st == PFX_OK) out[COVER_T].p = b.p_value;
    pfx_pairs_free(pairs);
    return st;
}

static void take_set(const pfx_wild_out *w, cover_outcome *out)
{
    out->p = w->p_value;
    out->covers = out->length = 0;
    for (int i = 0; i < w->n_sets; i++) {
        out->covers = fmax(out->covers, w->low[i] <= TRUTH && TRUTH <= w->high[i]);
        out->length += w->high[i] - w->low[i];
    }
}

static pfx_status by_wild(sample *s, int type, bool unrestricted, cover_outcome *out, pfx_err *err)
{
    const pfx_wild_options o = {.type = type,
                                .unrestricted = unrestricted,
                                .invert = true,
                                .null = &TRUTH,
                                .weights = PFX_WILD_RADEMACHER,
                                .reps = s->c->reps,
                                .n_errors = 1,
                                .errors = {{.weight = s->fit->factor[0]}},
                                .nth = 1,
                                .isa = s->c->isa};
    pfx_wild *wild = NULL;
    pfx_wild_out w;
    unsigned fields = 1u << PFX_DRAW_STATISTIC;
    for (int f = 0; f < PFX_WILD_EXTRA; f++) fields |= 1u << (PFX_DRAW_FIELDS + f);
    pfx_status st = pfx_wild_create(s->stat, &o, &wild, err);
    if (st == PFX_OK) st = draw(s, pfx_wild_method(wild), pfx_wild_describe(wild)->reps, fields, err);
    if (st == PFX_OK) {
        const pfx_wild_info *info = pfx_wild_describe(wild);
        double *const *extra = s->keep.field + PFX_DRAW_FIELDS;
        const pfx_wild_in in = {.reps = s->keep.n,
                                .stride = 1,
                                .t = s->keep.field[PFX_DRAW_STATISTIC],
                                .n0 = extra[PFX_WILD_N0],
                                .n1 = extra[PFX_WILD_N1],
                                .d0 = extra[PFX_WILD_D0],
                                .d1 = extra[PFX_WILD_D1],
                                .d2 = extra[PFX_WILD_D2],
                                .statistic = info->statistic[0],
                                .estimate = s->stat->b[0],
                                .std_error = info->std_error[0],
                                .level = LEVEL,
                                .nth = 1,
                                .isa = s->c->isa};
        st = pfx_wild_summarise(&in, &w, err);
    }
    if (st == PFX_OK && w.valid) take_set(&w, out);
    pfx_wild_free(wild);
    return st;
}

/* Draws of the outcome as it is, or less the planted effect: then the hypothesis of no effect is true. */
static pfx_status placebo_draws(sample *s, const pfx_assign_in *ai, const pfx_assign *a, bool less,
                                pfx_placebo_draws *out, pfx_err *err)
{
    pfx_design *d = s->p.d;
    const pfx_placebo_in in = {.d = d,
                               .assign = ai,
                               .n_drawn = 1,
                               .drawn = term,
                               .tol = TOL,
                               .maxiter = MAXITER,
                               .nth = 1,
                               .isa = s->c->isa,
                               .std_error = true,
                               .ssc = s->fit->factor[0]};
    const unsigned fields = 1u << PFX_DRAW_ESTIMATE | 1u << PFX_DRAW_STATISTIC | 1u << PFX_PLACEBO_SLOPE |
                            1u << PFX_PLACEBO_SWITCHERS;
    pfx_placebo *p = NULL;
    double *y = d->Z + d->p - 1, own[PFX_PLACEBO_FIELDS];
    for (pfx_idx i = 0; i < d->n && less; i++) y[i * d->p] -= TRUTH * s->p.treatment[i];
    pfx_status st = pfx_placebo_create(&in, a, &p, err);
    if (st == PFX_OK) st = pfx_placebo_own(p, own, err);
    if (st == PFX_OK)
        st = draw(s, pfx_placebo_method(p), a->enumerate ? (pfx_idx)a->assignments : s->c->reps, fields, err);
    for (pfx_idx i = 0; i < d->n && less; i++) y[i * d->p] += TRUTH * s->p.treatment[i];
    if (st == PFX_OK)
        *out = (pfx_placebo_draws){.reps = s->keep.n,
                                   .b = s->keep.field[PFX_DRAW_ESTIMATE],
                                   .t = s->keep.field[PFX_DRAW_STATISTIC],
                                   .slope = s->keep.field[PFX_PLACEBO_SLOPE],
                                   .switchers = s->keep.field[PFX_PLACEBO_SWITCHERS],
                                   .estimate = own[PFX_DRAW_ESTIMATE],
                                   .statistic = own[PFX_DRAW_STATISTIC],
                                   .level = LEVEL,
                                   .df_t = s->fit->df_t,
                                   .all = a->enumerate};
    pfx_placebo_free(p);
    return st;
}

static pfx_status by_placebo(sample *s, cover_outcome *out, pfx_err *err)
{
    pfx_design *d = s->p.d;
    const pfx_assign_in ai = {.n = d->n,
                              .treatment = s->p.treatment,
                              .n_units = d->clusters[0].n_levels,
                              .unit = d->clusters[0].code,
                              .n_periods = COVER_YEARS,
                              .period = s->p.period,
                              .unit_name = "firm",
                              .treatment_name = "D"};
    pfx_assign *a = NULL;
    pfx_placebo_draws draws;
    pfx_placebo_result r;
    pfx_status st = pfx_assign_create(&ai, &a, err);
    if (st == PFX_EDATA) { /* nothing to permute */
        pfx_err_clear(err);
        return PFX_OK;
    }
    if (st != PFX_OK) return st;
    a->enumerate = a->assignments <= (double)s->c->reps;
    if ((st = placebo_draws(s, &ai, a, false, &draws, err)) != PFX_OK) goto done;
    draws.null = TRUTH;
    if ((st = pfx_placebo_summarise(&draws, &r, err)) != PFX_OK) goto done;
    set_interval(r.conf_low, r.conf_high, &out[COVER_PLACEBO_B]);
    out[COVER_PLACEBO_B].p = r.p_value;
    if ((st = placebo_draws(s, &ai, a, true, &draws, err)) != PFX_OK) goto done;
    draws.by_t = true;
    draws.slope = NULL; /* the interval is by b alone */
    st = pfx_placebo_summarise(&draws, &r, err);
    out[COVER_PLACEBO_T].p = r.p_value;
done:
    pfx_assign_free(a);
    return st;
}

pfx_status cover_panel_run(const cover_cell *c, pfx_idx i, cover_outcome *out, double *estimate, pfx_err *err)
{
    sample s = {.c = c};
    for (int m = 0; m < COVER_METHODS; m++) out[m] = (cover_outcome){NAN, NAN, NAN};
    pfx_status st = cover_panel_make(c, i, &s.p, err);
    if (st == PFX_OK) st = prepare(&s, err);
    if (st == PFX_OK) {
        *estimate = s.b;
        by_formula(&s, s.se, &out[COVER_CRV1]);
        by_formula(&s, s.jack->cv3[0], &out[COVER_CV3]);
        st = by_pairs(&s, out, err);
    }
    if (st == PFX_OK) st = by_wild(&s, 11, false, &out[COVER_WCR11], err);
    if (st == PFX_OK) st = by_wild(&s, 31, false, &out[COVER_WCR31], err);
    if (st == PFX_OK) st = by_wild(&s, 11, true, &out[COVER_WCU11], err);
    if (st == PFX_OK) st = by_placebo(&s, out, err);
    pfx_draw_keep_free(&s.keep);
    pfx_jackknife_free(s.jack);
    pfx_clusterstat_free(s.stat);
    pfx_fit_free(s.fit);
    cover_panel_free(&s.p);
    return st;
}
