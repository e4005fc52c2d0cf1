#include "src/est/event_impute.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/est/event_impute_private.h"
#include "src/model/design.h"

/* An estimate: one horizon, or all of them. */
typedef struct work {
    impute_rows rows;
    impute_stage stage;
    const pfx_event_plan *plan;
    const pfx_impute_options *o;
    pfx_impute_result *r;
    double *tau;    /* [n] effects, NaN: none */
    pfx_idx *order; /* [n_imputed] rows with one, by place, then cluster */
    double *w1;     /* [n] a target's weights */
    double *v;      /* [n0] */
    int n_targets;  /* horizons and the overall */
    double *score;  /* [clusters x n_targets] */
    double *b;      /* [n_targets] */
    bool *has;      /* [n_targets] */
    int *cells;     /* [n_targets] cohorts by event time in it, */
    int *lone;      /* [n_targets] and those of them with one cluster alone: the effect is its own average */
} work;

static void work_free(work *w)
{
    impute_stage_free(&w->stage);
    pfx_mem_free(w->rows.treated);
    pfx_mem_free(w->rows.place);
    pfx_mem_free(w->rows.unit);
    pfx_mem_free(w->tau);
    pfx_mem_free(w->order);
    pfx_mem_free(w->w1);
    pfx_mem_free(w->v);
    pfx_mem_free(w->score);
    pfx_mem_free(w->b);
    pfx_mem_free(w->has);
    pfx_mem_free(w->cells);
    pfx_mem_free(w->lone);
}

static pfx_status check(const pfx_design *d, pfx_err *err)
{
    if (d->n_absorbed == 0)
        return pfx_fail(err, PFX_EUSAGE, "imputation needs effects: outcome ~ controls | unit + time");
    for (int e = 0; e < d->n_absorbed; e++)
        if (d->absorbed[e].n_slopes || !d->absorbed[e].intercept)
            return pfx_fail(err, PFX_EUSAGE,
                            "%s has slopes: imputation takes effects without slopes in this version",
                            d->absorbed[e].factor.name);
    return PFX_OK;
}

/* What a treated row is averaged in. */
static int horizon(const impute_rows *r, pfx_idx i)
{
    int step = r->place[i] % r->n_steps;
    return step < r->n_horizons ? step : r->n_horizons - 1;
}

/* Columns of leads stand first; who is treated, and where. */
static pfx_status look(work *w, const pfx_design *d, pfx_err *err)
{
    static const char prefix[] = PFX_EVENT_CELL "::";
    const pfx_event_timing *t = w->plan->timing;
    impute_rows *r = &w->rows;
    r->d = d;
    while (r->n_cells < d->p - 1 && strncmp(d->name[r->n_cells], prefix, sizeof prefix - 1) == 0)
        r->n_cells++;
    r->k = d->p - 1 - r->n_cells;
    r->n_horizons = w->plan->high + 1;
    r->n_steps = 1 + (int)fmax(t->last - t->cohorts[0], w->plan->high);
    r->n_places = t->n_cohorts * r->n_steps;
    r->treated = pfx_mem_calloc(d->n + 1, 1, err);
    r->place = pfx_mem_alloc(d->n + 1, sizeof *r->place, err);
    r->unit = pfx_mem_alloc(d->n + 1, sizeof *r->unit, err);
    if (!r->treated || !r->place || !r->unit) return PFX_ENOMEM;
    pfx_idx u = 0, n = 0;
    for (pfx_idx i = 0; i < d->n; i++) {
        u = pfx_event_unit(t, d->row[i], u);
        r->unit[i] = (int32_t)u;
        r->place[i] = -1;
        if (!(d->time[i] >= t->cohort[u])) continue;
        r->treated[i] = 1;
        r->place[i] = pfx_event_cohort(t, t->cohort[u]) * r->n_steps + (int)(d->time[i] - t->cohort[u]);
        n++;
    }
    w->r->n_treated = n;
    w->r->n_untreated = d->n - n;
    if (n == 0) return pfx_fail(err, PFX_EDATA, "no rows of treated units are left in the sample");
    if (n == d->n)
        return pfx_fail(err, PFX_EDATA,
                        "no controls: all rows of the sample are treated, and outcomes without treatment are "
                        "imputed from those never or not yet treated");
    return PFX_OK;
}

/* ---- leads ---- */

static pfx_status name_leads(const pfx_event_plan *p, pfx_design *d, int n_cells, pfx_err *err)
{
    for (int j = 0; j < n_cells; j++) {
        char text[32];
        int e, g;
        pfx_event_of_cell(p, atoi(d->name[j] + sizeof PFX_EVENT_CELL + 1), &e, &g);
        snprintf(text, sizeof text, "event::%d", e);
        char *name = pfx_mem_strdup(text, err);
        if (!name) return PFX_ENOMEM;
        pfx_mem_free(d->name[j]);
        d->name[j] = name;
    }
    return PFX_OK;
}

/* Rows of each lead among the untreated. */
static pfx_idx count_lead(const work *w, int e)
{
    const pfx_design *d = w->rows.d;
    const pfx_event_timing *t = w->plan->timing;
    pfx_idx n = 0;
    for (pfx_idx i = 0; i < d->n; i++) n += d->time[i] - t->cohort[w->rows.unit[i]] == e;
    return n;
}

/* The untreated rows' regression with leads, and their part of the effects and of V [n_all x n_all]. */
static pfx_status fit_leads(work *w, int32_t **level, pfx_err *err)
{
    pfx_impute_result *r = w->r;
    pfx_design *d1 = NULL;
    if (w->rows.n_cells == 0) return PFX_OK;
    pfx_status st = impute_take(&w->rows, true, &d1, level, err);
    if (st == PFX_OK) st = name_leads(w->plan, d1, w->rows.n_cells, err);
    if (st == PFX_OK) st = pfx_fit_ols(d1, &w->o->fit, &r->leads, err);
    pfx_design_free(d1);
    return st;
}

static bool is_lead(const pfx_coef *c, int *e)
{
    return sscanf(c->term, "event::%d", e) == 1;
}

static pfx_idx count_reference(const work *w, double first)
{
    const pfx_design *d = w->rows.d;
    const pfx_event_timing *t = w->plan->timing;
    pfx_idx n = 0;
    for (pfx_idx i = 0; i < d->n; i++) n += d->time[i] - t->cohort[w->rows.unit[i]] < first;
    return n;
}

static void add_leads(work *w, pfx_idx n_all)
{
    pfx_impute_result *r = w->r;
    const pfx_fit *f = r->leads;
    for (int i = f ? f->k - 1 : -1; i >= 0; i--) { /* the earliest last */
        int e, n2 = 0;
        if (!is_lead(&f->coef[i], &e)) continue;
        const pfx_coef *c = &f->coef[i];
        r->effect[r->n] = (pfx_event_effect){.at = e,
                                             .n = count_lead(w, e),
                                             .estimate = c->estimate,
                                             .std_error = c->std_error,
                                             .statistic = c->statistic,
                                             .p_value = c->p_value,
                                             .conf_low = c->conf_low,
                                             .conf_high = c->conf_high};
        for (int j = f->k - 1; j >= 0; j--) {
            int other;
            if (is_lead(&f->coef[j], &other)) r->V[r->n * n_all + n2++] = f->V[i * f->k + j];
        }
        r->n++;
    }
    if (r->n > 0) r->n_reference = count_reference(w, r->effect[0].at);
}

/* ---- averages of effects ---- */

/* Rows from[n] by key, stably, into to; start [keys + 1] scratch. */
static void sort_by(pfx_idx n, const pfx_idx *from, const int32_t *key, pfx_idx keys, pfx_idx *start,
                    pfx_idx *to)
{
    memset(start, 0, (size_t)(keys + 1) * sizeof *start);
    for (pfx_idx a = 0; a < n; a++) start[key[from[a]] + 1]++;
    for (pfx_idx k = 0; k < keys; k++) start[k + 1] += start[k];
    for (pfx_idx a = 0; a < n; a++) to[start[key[from[a]]]++] = from[a];
}

/* Imputed rows by cohort and event time, then cluster. */
static pfx_status sort_imputed(work *w, pfx_err *err)
{
    const pfx_factor *cluster = &w->rows.d->clusters[0];
    pfx_idx n = w->r->n_imputed,
            keys = cluster->n_levels > w->rows.n_places ? cluster->n_levels : w->rows.n_places;
    pfx_idx *one = pfx_mem_alloc(n + keys + 1, sizeof *one, err);
    if (!one || !(w->order = pfx_mem_alloc(n, sizeof *w->order, err))) {
        pfx_mem_free(one);
        return PFX_ENOMEM;
    }
    for (pfx_idx i = 0, at = 0; i < w->rows.d->n; i++)
        if (!isnan(w->tau[i])) w->order[at++] = i;
    sort_by(n, w->order, cluster->code, cluster->n_levels, one + n, one);
    sort_by(n, one, w->rows.place, w->rows.n_places, one + n, w->order);
    pfx_mem_free(one);
    return PFX_OK;
}

static pfx_status impute(work *w, pfx_err *err)
{
    const pfx_design *d = w->rows.d;
    pfx_impute_result *r = w->r;
    if (!(w->tau = pfx_mem_alloc(d->n + 1, sizeof *w->tau, err))) return PFX_ENOMEM;
    pfx_status st = impute_effects(&w->rows, &w->stage, w->tau, err);
    if (st != PFX_OK) return st;
    for (pfx_idx i = 0; i < d->n; i++) r->n_imputed += !isnan(w->tau[i]);
    if (r->n_imputed == 0)
        return pfx_fail(err, PFX_EIDENT,
                        "no treated row can be imputed: none has its effects among the untreated rows");
    if ((st = sort_imputed(w, err)) != PFX_OK) return st;
    for (pfx_idx i = 0, from = 0; i < d->n; i++) { /* units, one after the other */
        if (i + 1 < d->n && w->rows.unit[i + 1] == w->rows.unit[i]) continue;
        bool any = false, have = false;
        for (pfx_idx j = from; j <= i; j++) {
            any |= w->rows.treated[j];
            have |= !isnan(w->tau[j]);
        }
        r->n_lost_units += any && !have;
        from = i + 1;
    }
    return PFX_OK;
}

/* One cohort and event time, order[from .. to): add v (tau - average) to the clusters' scores. */
static pfx_status add_place(work *w, int target, pfx_idx from, pfx_idx to, pfx_err *err)
{
    const int32_t *cluster = w->rows.d->clusters[0].code;
    double square = 0, product = 0;
    int clusters = 0;
    for (int pass = 0; pass < 2; pass++)
        for (pfx_idx a = from, b; a < to; a = b) {
            double V = 0, S = 0;
            for (b = a; b < to && cluster[w->order[b]] == cluster[w->order[a]]; b++) {
                V += w->w1[w->order[b]];
                S += w->w1[w->order[b]] * w->tau[w->order[b]];
            }
            if (V == 0) continue;
            if (pass == 0) {
                clusters++;
                square += V * V;
                product += V * S;
                continue;
            }
            double left = S - V * (product / square);
            if (w->o->leave_out) {
                if (!(square - V * V > 1e-12 * square)) {
                    int place = w->rows.place[w->order[a]];
                    return pfx_fail(
                        err, PFX_EDATA,
                        "--leave-out: cohort %.15g has one cluster alone at event time %d, so there are no "
                        "others to average; run without it, or leave that cohort out with --where",
                        w->plan->timing->cohorts[place / w->rows.n_steps], place % w->rows.n_steps);
                }
                left *= square / (square - V * V);
            }
            w->score[cluster[w->order[a]] * w->n_targets + target] += left;
        }
    w->cells[target] += clusters > 0;
    w->lone[target] += clusters == 1;
    return PFX_OK;
}

/* Estimate and clusters' scores of a target; the last one is all of them. */
static pfx_status add_target(work *w, int target, pfx_err *err)
{
    const impute_rows *r = &w->rows;
    const pfx_design *d = r->d, *d0 = w->stage.d0;
    bool all = target == w->n_targets - 1;
    double sum = 0;
    memset(w->w1, 0, (size_t)d->n * sizeof *w->w1);
    for (pfx_idx a = 0; a < w->r->n_imputed; a++) {
        pfx_idx i = w->order[a];
        if (!all && horizon(r, i) != target) continue;
        sum += w->w1[i] = d->w ? d->w[i] : 1;
    }
    if (!(w->has[target] = sum > 0)) return PFX_OK;
    for (pfx_idx i = 0; i < d->n; i++) {
        if (w->w1[i] == 0) continue;
        w->w1[i] /= sum;
        w->b[target] += w->w1[i] * w->tau[i];
    }
    pfx_status st = impute_weights(r, &w->stage, w->w1, w->v, err);
    for (pfx_idx i = 0; i < d0->n && st == PFX_OK; i++)
        w->score[d->clusters[0].code[d0->row[i]] * w->n_targets + target] += w->v[i] * w->stage.e[i];
    for (pfx_idx a = 0, b; a < w->r->n_imputed && st == PFX_OK; a = b) {
        for (b = a; b < w->r->n_imputed && r->place[w->order[b]] == r->place[w->order[a]]; b++)
            ;
        st = add_place(w, target, a, b, err);
    }
    return st;
}

static double covariance(const work *w, int a, int b)
{
    double sum = 0;
    for (pfx_idx c = 0; c < w->r->n_clusters; c++)
        sum += w->score[c * w->n_targets + a] * w->score[c * w->n_targets + b];
    return sum;
}

/* NaN where every cell has one cluster alone: nothing says how its effects vary. */
static double variance(const work *w, int target)
{
    return w->lone[target] < w->cells[target] ? covariance(w, target, target) : NAN;
}

static void add_horizons(work *w, pfx_idx n_all)
{
    pfx_impute_result *r = w->r;
    int n0 = r->n;
    for (int h = 0; h < w->rows.n_horizons; h++) {
        if (!w->has[h]) {
            r->lost[r->n_lost++] = h;
            continue;
        }
        pfx_event_effect *e = &r->effect[r->n++];
        *e = (pfx_event_effect){.at = h, .estimate = w->b[h]};
        for (pfx_idx a = 0; a < r->n_imputed; a++) e->n += horizon(&w->rows, w->order[a]) == h;
        pfx_event_test(e, variance(w, h), INFINITY, w->o->fit.level);
    }
    for (int i = n0; i < r->n; i++) /* an effect's event time is its target's number */
        for (int j = n0; j < r->n; j++) {
            int a = (int)r->effect[i].at, b = (int)r->effect[j].at;
            r->V[i * n_all + j] = i == j ? variance(w, a) : covariance(w, a, b);
        }
    int all = w->n_targets - 1;
    r->overall = (pfx_event_effect){.at = NAN, .estimate = w->b[all], .n = r->n_imputed};
    r->n_places = w->cells[all];
    r->n_lone = w->lone[all];
    pfx_event_test(&r->overall, variance(w, all), INFINITY, w->o->fit.level);
}

/* ---- all ---- */

static pfx_status average(work *w, pfx_err *err)
{
    const pfx_design *d = w->rows.d;
    pfx_impute_result *r = w->r;
    w->n_targets = w->rows.n_horizons + 1;
    r->n_clusters = d->clusters[0].n_levels;
    w->w1 = pfx_mem_alloc(d->n, sizeof *w->w1, err);
    w->v = pfx_mem_alloc(r->n_untreated + 1, sizeof *w->v, err);
    w->score = pfx_mem_calloc(r->n_clusters * w->n_targets, sizeof *w->score, err);
    w->b = pfx_mem_calloc(w->n_targets, sizeof *w->b, err);
    w->has = pfx_mem_calloc(w->n_targets, sizeof *w->has, err);
    w->cells = pfx_mem_calloc(w->n_targets, sizeof *w->cells, err);
    w->lone = pfx_mem_calloc(w->n_targets, sizeof *w->lone, err);
    if (!w->w1 || !w->v || !w->score || !w->b || !w->has || !w->cells || !w->lone) return PFX_ENOMEM;
    pfx_status st = PFX_OK;
    for (int t = 0; t < w->n_targets && st == PFX_OK; t++) st = add_target(w, t, err);
    return st;
}

/* Leads and horizons side by side, their covariance compacted. */
static pfx_status assemble(work *w, pfx_err *err)
{
    pfx_impute_result *r = w->r;
    pfx_idx most = w->rows.n_cells + w->rows.n_horizons;
    const pfx_event_effect **e = pfx_mem_alloc(most + 1, sizeof *e, err);
    r->effect = pfx_mem_calloc(most + 1, sizeof *r->effect, err);
    r->V = pfx_mem_alloc(most * most + 1, sizeof *r->V, err);
    r->lost = pfx_mem_alloc(w->rows.n_horizons + 1, sizeof *r->lost, err);
    r->beta = pfx_mem_alloc(w->rows.k + 1, sizeof *r->beta, err);
    pfx_status st = e && r->effect && r->V && r->lost && r->beta ? PFX_OK : PFX_ENOMEM;
    if (st == PFX_OK) {
        r->n_covariates = w->rows.k;
        memcpy(r->beta, w->stage.b, (size_t)w->rows.k * sizeof *r->beta);
        for (pfx_idx i = 0; i < most * most; i++) r->V[i] = NAN;
        add_leads(w, most);
        int n_leads = r->n;
        add_horizons(w, most);
        for (int i = 0; i < r->n; i++) {
            memmove(r->V + (pfx_idx)i * r->n, r->V + i * most, (size_t)r->n * sizeof *r->V);
            e[i] = &r->effect[i];
        }
        /* Of the leads alone: their own covariance. */
        double *V = pfx_mem_alloc((pfx_idx)n_leads * n_leads + 1, sizeof *V, err);
        if (!V) st = PFX_ENOMEM;
        for (int i = 0; st == PFX_OK && i < n_leads; i++)
            memcpy(V + (pfx_idx)i * n_leads, r->V + (pfx_idx)i * r->n, (size_t)n_leads * sizeof *V);
        if (st == PFX_OK)
            st = pfx_event_pre_trend(n_leads, e, V, r->leads ? r->leads->df_t : INFINITY, &r->pre, err);
        pfx_mem_free(V);
    }
    pfx_mem_free(e);
    return st;
}

pfx_status pfx_impute_fit(const pfx_event_plan *p, pfx_design *d, const pfx_impute_options *o,
                          pfx_impute_result *out, pfx_err *err)
{
    work w = {.plan = p, .o = o, .r = out};
    *out = (pfx_impute_result){.plan = p};
    pfx_status st = check(d, err);
    if (st == PFX_OK) st = look(&w, d, err);
    if (st == PFX_OK) st = impute_stage_fit(&w.rows, o, &w.stage, err);
    if (st == PFX_OK) st = impute(&w, err);
    if (st == PFX_OK) st = average(&w, err);
    if (st == PFX_OK) st = fit_leads(&w, w.stage.level, err);
    if (st == PFX_OK) st = assemble(&w, err);
    work_free(&w);
    if (st != PFX_OK) pfx_impute_result_clear(out);
    return st;
}

void pfx_impute_result_clear(pfx_impute_result *r)
{
    pfx_mem_free(r->lost);
    pfx_mem_free(r->beta);
    pfx_mem_free(r->effect);
    pfx_mem_free(r->V);
    pfx_fit_free(r->leads);
    *r = (pfx_impute_result){0};
}
