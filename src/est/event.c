/* Effects by event time from a regression on cells. */
#include "src/est/event.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/est/dist.h"
#include "src/est/wald.h"
#include "src/model/design.h"

/* Rows and weights of each cell. */
typedef struct counts {
    pfx_idx *n;      /* [cells + 1] */
    double *w;       /* [cells + 1] */
    pfx_idx ref[2];  /* rows in the reference periods */
    pfx_idx control; /* rows of controls */
} counts;

static void counts_free(counts *c)
{
    pfx_mem_free(c->n);
    pfx_mem_free(c->w);
}

/* The rows of d ascend until it is fitted: units are found on the way. */
static pfx_status count(const pfx_event_plan *p, const pfx_design *d, counts *c, pfx_err *err)
{
    const pfx_event_timing *t = p->timing;
    int n_cells = pfx_event_n_cells(p);
    c->n = pfx_mem_calloc(n_cells + 1, sizeof *c->n, err);
    c->w = pfx_mem_calloc(n_cells + 1, sizeof *c->w, err);
    if (!c->n || !c->w) return PFX_ENOMEM;
    pfx_idx u = 0, treated = 0;
    for (pfx_idx i = 0; i < d->n; i++) {
        u = pfx_event_unit(t, d->row[i], u);
        int cell = pfx_event_cell(p, t->cohort[u], d->time[i]);
        bool is_control = isinf(t->cohort[u]) || (p->control >= 0 && t->cohort[u] == t->cohorts[p->control]);
        if (cell < 0) continue;
        c->n[cell]++;
        c->w[cell] += d->w ? d->w[i] : 1;
        treated += !is_control;
        c->control += is_control;
        double e = fmin(fmax(d->time[i] - t->cohort[u], p->low), p->high);
        for (int r = 0; r < p->n_refs && !is_control; r++) c->ref[r] += p->ref[r] == (int)e;
    }
    if (treated == 0) return pfx_fail(err, PFX_EDATA, "no rows of treated units are left in the sample");
    if (c->control == 0 && (p->control >= 0 || t->n_never > 0))
        return pfx_fail(err, PFX_EDATA,
                        "no rows of controls are left in the sample: no unit in it is never treated");
    if (c->ref[0] == 0)
        return pfx_fail(err, PFX_EDATA,
                        "no row of the sample has the reference event time %d; choose another with --ref",
                        p->ref[0]);
    return PFX_OK;
}

/* Columns of cells get names that a reader knows; cell [p] of each column, 0 for the user's own. */
static pfx_status name_columns(const pfx_event_plan *p, pfx_design *d, int *cell, pfx_err *err)
{
    static const char prefix[] = PFX_EVENT_CELL "::";
    for (int j = 0; j < d->p; j++) {
        cell[j] = 0;
        if (strncmp(d->name[j], prefix, sizeof prefix - 1) != 0) continue;
        char text[96];
        int e, g;
        cell[j] = atoi(d->name[j] + sizeof prefix - 1);
        pfx_event_of_cell(p, cell[j], &e, &g);
        if (g < 0)
            snprintf(text, sizeof text, "event::%d", e);
        else
            snprintf(text, sizeof text, "event::%d:cohort::%.15g", e, p->timing->cohorts[g]);
        char *name = pfx_mem_strdup(text, err);
        if (!name) return PFX_ENOMEM;
        pfx_mem_free(d->name[j]);
        d->name[j] = name;
    }
    return PFX_OK;
}

/* Which coefficient is which cell: coefficients stand in the order of the columns, without the collinear
 * ones. */
static pfx_status match_coefs(pfx_event_result *r, const pfx_design *d, const int *cell, const counts *c,
                              pfx_err *err)
{
    const pfx_fit *f = r->fit;
    if (!(r->part = pfx_mem_calloc(f->k + 1, sizeof *r->part, err))) return PFX_ENOMEM;
    for (int j = 0, i = f->k > 0 && strcmp(f->coef[0].term, "(Intercept)") == 0; j < d->p - 1 && i < f->k;
         j++) {
        if (strcmp(d->name[j], f->coef[i].term) != 0) continue;
        if (cell[j])
            r->part[r->n_cells++] = (struct pfx_event_part){
                .cell = cell[j], .coef = i, .n = c->n[cell[j]], .weight = c->w[cell[j]]};
        i++;
    }
    if (r->n_cells == 0)
        return pfx_fail(err, PFX_EIDENT,
                        "no effect by event time is identified beside the effects of the formula");
    return PFX_OK;
}

void pfx_event_test(pfx_event_effect *e, double variance, double df_t, double level)
{
    double half = pfx_dist_t_critical(level, df_t);
    e->std_error = sqrt(variance);
    e->statistic = e->estimate / e->std_error;
    e->p_value = pfx_dist_t_p(e->statistic, df_t);
    e->conf_low = e->estimate - half * e->std_error;
    e->conf_high = e->estimate + half * e->std_error;
}

/* W [n x cells]: shares of the cells in each event time, the last row those of all from 0 on. */
static int fill_weights(pfx_event_result *r, const counts *c, double *W)
{
    const pfx_event_plan *p = r->plan;
    int n = 0;
    for (int e = p->low; e <= p->high; e++) {
        pfx_event_effect *out = &r->effect[n];
        double sum = 0;
        *out = (pfx_event_effect){.at = e, .std_error = NAN, .statistic = NAN, .p_value = NAN};
        for (int i = 0; i < p->n_refs; i++)
            if (p->ref[i] == e) {
                out->reference = true;
                out->n = c->ref[i];
            }
        for (int i = 0; i < r->n_cells; i++) {
            int at, g;
            pfx_event_of_cell(p, r->part[i].cell, &at, &g);
            if (at != e) continue;
            W[n * r->n_cells + i] = r->part[i].weight;
            sum += r->part[i].weight;
            out->n += r->part[i].n;
        }
        if (sum == 0 && !(out->reference && out->n)) continue;
        for (int i = 0; i < r->n_cells && sum > 0; i++) W[n * r->n_cells + i] /= sum;
        n++;
    }
    double *all = W + (pfx_idx)n * r->n_cells, sum = 0;
    for (int i = 0; i < r->n_cells; i++) {
        int at, g;
        pfx_event_of_cell(p, r->part[i].cell, &at, &g);
        all[i] = at >= 0 ? r->part[i].weight : 0;
        if (at >= 0) r->overall.n += r->part[i].n;
        sum += all[i];
    }
    for (int i = 0; i < r->n_cells; i++) all[i] /= sum;
    return n;
}

/* a'Vb over the cells' coefficients. */
static double product(const pfx_event_result *r, const double *a, const double *b)
{
    double v = 0;
    for (int i = 0; i < r->n_cells; i++)
        for (int j = 0; j < r->n_cells; j++)
            if (a[i] != 0 && b[j] != 0)
                v += a[i] * b[j] * r->fit->V[(pfx_idx)r->part[i].coef * r->fit->k + r->part[j].coef];
    return v;
}

static double average(const pfx_event_result *r, const double *a)
{
    double sum = 0;
    for (int i = 0; i < r->n_cells; i++)
        if (a[i] != 0) sum += a[i] * r->fit->coef[r->part[i].coef].estimate;
    return sum;
}

pfx_status pfx_event_pre_trend(int n, const pfx_event_effect *const *e, const double *V, double df2,
                               pfx_wald *out, pfx_err *err)
{
    pfx_idx k = n;
    pfx_restrictions w = {.k = n};
    w.R = pfx_mem_calloc(k * k + 1, sizeof *w.R, err);
    w.r = pfx_mem_calloc(k + 1, sizeof *w.r, err);
    double *b = pfx_mem_alloc(k + 1, sizeof *b, err);
    pfx_status st = w.R && w.r && b ? PFX_OK : PFX_ENOMEM;
    *out = (pfx_wald){.statistic = NAN, .p_value = NAN};
    for (int i = 0; i < n && st == PFX_OK; i++) {
        b[i] = e[i]->estimate;
        if (e[i]->at < 0 && !e[i]->reference) w.R[w.q++ * k + i] = 1;
    }
    if (st == PFX_OK && w.q > 0) st = pfx_wald_test(&w, b, V, df2, out, err);
    pfx_mem_free(b);
    pfx_restrictions_clear(&w);
    return st;
}

static pfx_status pre_trend(pfx_event_result *r, pfx_err *err)
{
    const pfx_event_effect **e = pfx_mem_alloc(r->n + 1, sizeof *e, err);
    if (!e) return PFX_ENOMEM;
    for (int i = 0; i < r->n; i++) e[i] = &r->effect[i];
    pfx_status st = pfx_event_pre_trend(r->n, e, r->V, r->df_t, &r->pre, err);
    pfx_mem_free(e);
    return st;
}

static pfx_status summarise(pfx_event_result *r, const counts *c, double level, pfx_err *err)
{
    pfx_idx n_bins = r->plan->high - r->plan->low + 1, k = r->n_cells;
    double *W = pfx_mem_calloc((n_bins + 1) * k, sizeof *W, err);
    r->effect = pfx_mem_calloc(n_bins, sizeof *r->effect, err);
    pfx_status st = W && r->effect ? PFX_OK : PFX_ENOMEM;
    if (st == PFX_OK) {
        r->n = fill_weights(r, c, W);
        if (!(r->V = pfx_mem_calloc((pfx_idx)r->n * r->n, sizeof *r->V, err))) st = PFX_ENOMEM;
    }
    if (st == PFX_OK) {
        for (pfx_idx i = 0; i < r->n; i++) {
            for (pfx_idx j = 0; j < r->n; j++) r->V[i * r->n + j] = product(r, W + i * k, W + j * k);
            if (r->effect[i].reference) continue;
            r->effect[i].estimate = average(r, W + i * k);
            pfx_event_test(&r->effect[i], r->V[i * r->n + i], r->df_t, level);
        }
        const double *all = W + r->n * k;
        r->overall.at = NAN;
        r->overall.estimate = r->overall.n ? average(r, all) : NAN;
        pfx_event_test(&r->overall, product(r, all, all), r->df_t, level);
        st = pre_trend(r, err);
    }
    pfx_mem_free(W);
    return st;
}

pfx_status pfx_event_fit(const pfx_event_plan *p, pfx_design *d, const pfx_fit_options *o,
                         pfx_event_result *out, pfx_err *err)
{
    counts c = {0};
    *out = (pfx_event_result){.plan = p};
    int *cell = pfx_mem_calloc(d->p, sizeof *cell, err);
    pfx_status st = cell ? count(p, d, &c, err) : PFX_ENOMEM;
    if (st == PFX_OK) st = name_columns(p, d, cell, err);
    if (st == PFX_OK) st = pfx_fit_ols(d, o, &out->fit, err);
    if (st == PFX_OK) {
        out->df_t = out->fit->df_t;
        out->n_control = c.control;
        st = match_coefs(out, d, cell, &c, err);
    }
    if (st == PFX_OK) st = summarise(out, &c, o->level, err);
    pfx_mem_free(cell);
    counts_free(&c);
    if (st != PFX_OK) pfx_event_result_clear(out);
    return st;
}

void pfx_event_result_clear(pfx_event_result *r)
{
    pfx_mem_free(r->effect);
    pfx_mem_free(r->V);
    pfx_mem_free(r->part);
    pfx_fit_free(r->fit);
    *r = (pfx_event_result){0};
}
