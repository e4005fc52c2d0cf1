/* Callaway and Sant'Anna: the cells, and the covariance of their effects from influence functions. */
#include "src/est/event_cs.h"

#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/est/event_cs_private.h"
#include "src/model/design.h"

const char *const pfx_cs_score_names[] = {"dr", "reg", "ipw", NULL};
const char *const pfx_cs_control_names[] = {"never", "notyet", NULL};
const char *const pfx_cs_base_names[] = {"varying", "universal", NULL};

typedef struct work {
    cs_panel p;
    const pfx_cs_options *o;
    pfx_cs_result *r;
    cs_cell *cell; /* [n_att] memory NULL at a reference */
    double *V;     /* [m x m], m = n_att + cohorts: effects, shares of cohorts */
    double *share; /* [cohorts] */
} work;

static void work_free(work *w)
{
    for (int a = 0; w->cell && a < w->r->n_att; a++) cs_cell_free(&w->cell[a]);
    pfx_mem_free(w->cell);
    pfx_mem_free(w->V);
    pfx_mem_free(w->share);
    cs_panel_free(&w->p);
}

/* The base period's index for a cohort in period t, -1: there is none. */
static int base_of(const work *w, double cohort, int t)
{
    int last = -1;
    while (last + 1 < w->p.n_periods && w->p.period[last + 1] < cohort) last++;
    return w->o->base == PFX_CS_UNIVERSAL || w->p.period[t] >= cohort ? last : t - 1;
}

static pfx_status fit_cells(work *w, pfx_err *err)
{
    pfx_cs_result *r = w->r;
    const pfx_event_timing *t = w->p.timing;
    pfx_idx most = (pfx_idx)t->n_cohorts * w->p.n_periods;
    r->att = pfx_mem_calloc(most + 1, sizeof *r->att, err);
    w->cell = pfx_mem_calloc(most + 1, sizeof *w->cell, err);
    if (!r->att || !w->cell) return PFX_ENOMEM;
    for (int g = 0; g < t->n_cohorts; g++)
        for (int s = 0; s < w->p.n_periods; s++) {
            pfx_cs_att *a = &r->att[r->n_att];
            cs_cell *c = &w->cell[r->n_att];
            int base = base_of(w, t->cohorts[g], s);
            bool skipped = false;
            if (base < 0 || w->p.size[g] == 0) continue;
            *a = (pfx_cs_att){.cohort = g, .time = w->p.period[s], .base = w->p.period[base]};
            a->e.at = a->time - t->cohorts[g];
            a->e.reference = base == s;
            *c = (cs_cell){.t = s, .base = base};
            if (a->e.reference) {
                a->e.n = a->n_treated = w->p.size[g];
            } else {
                pfx_status st = cs_cell_fit(&w->p, w->o, c, a, &skipped, &r->n_trimmed, err);
                if (st != PFX_OK) {
                    r->n_att++;
                    return st;
                }
            }
            if (skipped) {
                cs_cell_free(c);
                r->n_skipped++;
            } else
                r->n_att++;
        }
    for (int a = 0; a < r->n_att; a++)
        if (!r->att[a].e.reference) return PFX_OK;
    return pfx_fail(err, PFX_EDATA,
                    "no cohort can be compared in any period: no treated units and controls are seen in the "
                    "same two periods");
}

/* Sum over clusters of the products of their units' influences: [m x m] upper, over the squared number of
 * units. */
static pfx_status covariance(work *w, pfx_err *err)
{
    pfx_cs_result *r = w->r;
    const cs_panel *p = &w->p;
    int n_g = p->timing->n_cohorts;
    pfx_idx m = r->n_att + n_g, k = p->d->p;
    bool by_unit = p->by_unit;
    pfx_idx rows = by_unit ? 1 : p->n_clusters;
    double *sum = pfx_mem_calloc(rows * m + k, sizeof *sum, err);
    w->V = pfx_mem_calloc(m * m, sizeof *w->V, err);
    w->share = pfx_mem_alloc(n_g + 1, sizeof *w->share, err);
    if (!sum || !w->V || !w->share) {
        pfx_mem_free(sum);
        return PFX_ENOMEM;
    }
    double *x = sum + rows * m, n = (double)p->n;
    for (int g = 0; g < n_g; g++) w->share[g] = (double)p->size[g] / n;
    for (pfx_idx i = 0; i < p->n; i++) {
        double *s = by_unit ? sum : sum + p->cluster[i] * m;
        if (by_unit) memset(s, 0, (size_t)m * sizeof *s);
        for (int a = 0; a < r->n_att; a++) {
            if (r->att[a].e.reference) continue;
            int role = cs_role(p, w->o, r->att[a].cohort, &w->cell[a], i);
            if (role >= 0) s[a] += n / w->cell[a].n * cs_influence(p, w->o, &w->cell[a], i, role, x);
        }
        for (int g = 0; g < n_g; g++) s[r->n_att + g] += (p->cohort[i] == g) - w->share[g];
        for (pfx_idx a = 0; by_unit && a < m; a++)
            for (pfx_idx b = a; s[a] != 0 && b < m; b++) w->V[a * m + b] += s[a] * s[b];
    }
    for (pfx_idx c = 0; !by_unit && c < rows; c++)
        for (pfx_idx a = 0; a < m; a++)
            for (pfx_idx b = a; b < m; b++) w->V[a * m + b] += sum[c * m + a] * sum[c * m + b];
    for (pfx_idx a = 0; a < m; a++)
        for (pfx_idx b = a; b < m; b++) w->V[b * m + a] = w->V[a * m + b] /= n * n;
    pfx_mem_free(sum);
    return PFX_OK;
}

static pfx_status pre_trend(pfx_cs_result *r, pfx_err *err)
{
    const pfx_event_effect **e = pfx_mem_alloc(r->n_att + 1, sizeof *e, err);
    if (!e) return PFX_ENOMEM;
    for (int i = 0; i < r->n_att; i++) e[i] = &r->att[i].e;
    pfx_status st = pfx_event_pre_trend(r->n_att, e, r->V, INFINITY, &r->pre, err);
    pfx_mem_free(e);
    return st;
}

static pfx_status tests(work *w, pfx_err *err)
{
    pfx_cs_result *r = w->r;
    pfx_idx n = r->n_att, m = n + w->p.timing->n_cohorts;
    if (!(r->V = pfx_mem_alloc(n * n + 1, sizeof *r->V, err))) return PFX_ENOMEM;
    for (pfx_idx a = 0; a < n; a++) {
        memcpy(r->V + a * n, w->V + a * m, (size_t)n * sizeof *r->V);
        if (!r->att[a].e.reference) pfx_event_test(&r->att[a].e, r->V[a * n + a], INFINITY, w->o->level);
    }
    return pre_trend(r, err);
}

pfx_status pfx_cs_fit(const pfx_event_timing *t, const pfx_design *d, const pfx_cs_options *o,
                      pfx_cs_result *out, pfx_err *err)
{
    work w = {.o = o, .r = out};
    *out = (pfx_cs_result){0};
    pfx_status st = cs_panel_make(t, d, o->balanced, &w.p, err);
    if (st != PFX_OK) return st;
    pfx_idx never = 0;
    for (pfx_idx i = 0; i < w.p.n; i++) never += w.p.cohort[i] < 0;
    out->n_units = w.p.n;
    out->n_unbalanced = w.p.n_unbalanced;
    out->n_clusters = w.p.n_clusters;
    out->n_periods = w.p.n_periods;
    out->n_covariates = d->p - 1;
    if (w.p.n == 0)
        st =
            pfx_fail(err, PFX_EDATA, "no unit is left%s", o->balanced ? " that is seen in every period" : "");
    else if (o->control == PFX_CS_NEVER && never == 0)
        st = pfx_fail(err, PFX_EDATA,
                      "no controls: no unit in the sample is never treated; --control notyet compares with "
                      "those treated later");
    if (st == PFX_OK) st = fit_cells(&w, err);
    if (st == PFX_OK) st = covariance(&w, err);
    if (st == PFX_OK) st = tests(&w, err);
    if (st == PFX_OK) st = cs_average(&w.p, o, w.share, w.V, out, err);
    work_free(&w);
    if (st != PFX_OK) pfx_cs_result_clear(out);
    return st;
}

void pfx_cs_result_clear(pfx_cs_result *r)
{
    pfx_mem_free(r->att);
    pfx_mem_free(r->V);
    pfx_mem_free(r->V_dynamic);
    pfx_mem_free(r->dynamic.effect);
    pfx_mem_free(r->group.effect);
    pfx_mem_free(r->calendar.effect);
    *r = (pfx_cs_result){0};
}
