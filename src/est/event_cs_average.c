/* Averages of effects over cohorts and periods. Each is a function of the effects and of the cohorts' shares;
 * its variance is by the delta method over both. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/ascending.h"
#include "src/base/mem.h"
#include "src/est/event_cs_private.h"

typedef struct averager {
    const cs_panel *p;
    const pfx_cs_options *o;
    const double *share, *V;
    pfx_cs_result *r;
    pfx_idx m;
    double *gradient; /* [(most + 1) x m]: of each part, then of the overall */
    double *key;      /* [most] */
} averager;

/* What an effect is filed under; NAN: not at all. */
typedef double key_fn(const averager *a, const pfx_cs_att *att);

static double event_time(const averager *a, const pfx_cs_att *att)
{
    return a->o->windowed && (att->e.at < a->o->low || att->e.at > a->o->high) ? NAN : att->e.at;
}

static double cohort(const averager *a, const pfx_cs_att *att)
{
    return att->e.at >= 0 ? a->p->timing->cohorts[att->cohort] : NAN;
}

static double period(const averager *a, const pfx_cs_att *att)
{
    (void)a;
    return att->e.at >= 0 ? att->time : NAN;
}

static double anything(const averager *a, const pfx_cs_att *att)
{
    (void)a;
    return att->e.at >= 0 ? 0 : NAN;
}

static double variance(const averager *a, const double *x, const double *y)
{
    double v = 0;
    for (pfx_idx i = 0; i < a->m; i++)
        for (pfx_idx j = 0; x[i] != 0 && j < a->m; j++)
            if (y[j] != 0) v += x[i] * a->V[i * a->m + j] * y[j];
    return v;
}

/* The average of effects under one key, cohorts by their shares: value sum(p theta) / sum(p), and its
 * gradient. */
static pfx_event_effect part(const averager *a, key_fn *key, double at, double *gradient)
{
    const pfx_cs_result *r = a->r;
    pfx_event_effect e = {.at = at, .reference = true};
    double sum = 0, value = 0;
    memset(gradient, 0, (size_t)a->m * sizeof *gradient);
    for (int i = 0; i < r->n_att; i++) {
        if (key(a, &r->att[i]) != at) continue;
        double p = a->share[r->att[i].cohort];
        sum += p;
        value += p * r->att[i].e.estimate;
        gradient[i] = p;
        e.n += r->att[i].n_treated;
        e.reference &= r->att[i].e.reference;
    }
    e.estimate = value / sum;
    for (int i = 0; i < r->n_att; i++) {
        if (key(a, &r->att[i]) != at) continue;
        gradient[i] /= sum;
        gradient[r->n_att + r->att[i].cohort] += (r->att[i].e.estimate - e.estimate) / sum;
    }
    if (!e.reference) pfx_event_test(&e, variance(a, gradient, gradient), INFINITY, a->o->level);
    return e;
}

static int list_keys(averager *a, key_fn *key)
{
    int n = 0, distinct = 0;
    for (int i = 0; i < a->r->n_att; i++) {
        double k = key(a, &a->r->att[i]);
        if (!isnan(k)) a->key[n++] = k;
    }
    qsort(a->key, (size_t)n, sizeof *a->key, pfx_ascending);
    for (int i = 0; i < n; i++)
        if (i == 0 || a->key[i] != a->key[i - 1]) a->key[distinct++] = a->key[i];
    return distinct;
}

/* Parts, and the mean of those from `from` on; with shares of cohorts as weights where by_share. */
static pfx_status average(averager *a, key_fn *key, double from, bool by_share, pfx_cs_average *out,
                          pfx_err *err)
{
    const pfx_event_timing *t = a->p->timing;
    int n = list_keys(a, key);
    if (!(out->effect = pfx_mem_calloc(n + 1, sizeof *out->effect, err))) return PFX_ENOMEM;
    out->n = n;
    double *all = a->gradient + n * a->m, sum = 0, value = 0;
    memset(all, 0, (size_t)a->m * sizeof *all);
    for (int i = 0; i < n; i++) out->effect[i] = part(a, key, a->key[i], a->gradient + i * a->m);
    out->overall = (pfx_event_effect){.at = NAN, .estimate = NAN};
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < n; i++) {
            if (a->key[i] < from) continue;
            int g = 0;
            while (by_share && t->cohorts[g] != a->key[i]) g++;
            double w = by_share ? a->share[g] : 1;
            if (pass == 0) {
                sum += w;
                value += w * out->effect[i].estimate;
                out->overall.n += out->effect[i].n;
                out->overall.estimate = value / sum;
                continue;
            }
            for (pfx_idx j = 0; j < a->m; j++) all[j] += w / sum * a->gradient[i * a->m + j];
            if (by_share) all[a->r->n_att + g] += (out->effect[i].estimate - out->overall.estimate) / sum;
        }
    pfx_event_test(&out->overall, sum > 0 ? variance(a, all, all) : NAN, INFINITY, a->o->level);
    return PFX_OK;
}

pfx_status cs_average(const cs_panel *p, const pfx_cs_options *o, const double *share, const double *V,
                      pfx_cs_result *r, pfx_err *err)
{
    averager a = {.p = p, .o = o, .share = share, .V = V, .r = r, .m = r->n_att + p->timing->n_cohorts};
    a.gradient = pfx_mem_alloc((r->n_att + 1) * a.m, sizeof *a.gradient, err);
    a.key = pfx_mem_alloc(r->n_att + 1, sizeof *a.key, err);
    pfx_status st = a.gradient && a.key ? PFX_OK : PFX_ENOMEM;
    if (st == PFX_OK) {
        r->simple = part(&a, anything, 0, a.gradient);
        r->simple.at = NAN;
        st = average(&a, event_time, 0, false, &r->dynamic, err);
    }
    pfx_idx n = r->dynamic.n;
    if (st == PFX_OK && !(r->V_dynamic = pfx_mem_alloc(n * n + 1, sizeof *r->V_dynamic, err)))
        st = PFX_ENOMEM;
    for (pfx_idx i = 0; st == PFX_OK && i < n; i++)
        for (pfx_idx j = 0; j < n; j++)
            r->V_dynamic[i * n + j] = variance(&a, a.gradient + i * a.m, a.gradient + j * a.m);
    if (st == PFX_OK) st = average(&a, cohort, -INFINITY, true, &r->group, err);
    if (st == PFX_OK) st = average(&a, period, -INFINITY, false, &r->calendar, err);
    pfx_mem_free(a.gradient);
    pfx_mem_free(a.key);
    return st;
}
