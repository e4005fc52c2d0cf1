/* Placebo in time: adoption some periods before the true one, on the rows before the true one. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/cmd/placebo.h"
#include "src/model/design.h"
#include "src/model/sample.h"

typedef struct cut {
    const pfx_design *d;
    const placebo_state *s;
    double *date;        /* [n_units] true adoption, NaN: none */
    unsigned char *keep; /* [n] */
    pfx_idx n;           /* kept */
    pfx_idx n_singletons;
} cut;

/* Rows before the true date, and all rows of units without one. Units treated from their first row on have
 * none. */
static pfx_status choose_rows(const rep_run *r, cut *c, pfx_err *err)
{
    const pfx_assign *a = c->s->assign;
    const pfx_design *d = c->d;
    const int32_t *code[64];
    pfx_idx levels[64];
    int groups = 0;
    c->date = pfx_mem_alloc(a->n_units, sizeof *c->date, err);
    c->keep = pfx_mem_alloc(d->n, 1, err);
    if (!c->date || !c->keep) return PFX_ENOMEM;
    for (pfx_idx u = 0; u < a->n_units; u++) c->date[u] = NAN;
    for (pfx_idx i = 0; i < a->n_places; i++) {
        uint32_t u = a->order[i];
        for (int t = a->own[u] < 0 ? a->n_periods : 0; t < a->n_periods && isnan(c->date[u]); t++)
            if (a->path[(pfx_idx)a->own[u] * a->n_periods + t] == 1) c->date[u] = c->s->time[t];
    }
    for (pfx_idx i = 0; i < a->n_fixed; i++) {
        const double *path = a->path + (pfx_idx)a->own[a->fixed[i]] * a->n_periods;
        for (int t = 1; t < a->n_periods; t++)
            if (path[t] == 1 && path[t - 1] == 0) c->date[a->fixed[i]] = c->s->time[t];
    }
    for (pfx_idx i = 0; i < d->n; i++) {
        double date = c->date[c->s->in.unit[i]];
        c->keep[i] = isnan(date) || c->s->time[c->s->period[i]] < date;
        c->n += c->keep[i];
    }
    for (int e = 0; e < d->n_absorbed && groups < 64; e++)
        if (d->absorbed[e].intercept) {
            code[groups] = d->absorbed[e].factor.code;
            levels[groups++] = d->absorbed[e].factor.n_levels;
        }
    if (groups == 0 || r->o->keep_singletons) return PFX_OK;
    pfx_status st = pfx_sample_singletons(d->n, NULL, groups, code, levels, c->keep, &c->n_singletons, err);
    c->n -= c->n_singletons;
    return st;
}

static pfx_status cut_factor(const cut *c, const pfx_factor *from, pfx_factor *to, pfx_err *err)
{
    int32_t *map = pfx_mem_alloc(from->n_levels, sizeof *map, err);
    to->name = pfx_mem_strdup(from->name, err);
    to->code = pfx_mem_alloc(c->n, sizeof *to->code, err);
    if (map && to->name && to->code) {
        pfx_idx at = 0;
        memset(map, 0xff, (size_t)from->n_levels * sizeof *map);
        for (pfx_idx i = 0; i < c->d->n; i++) {
            if (!c->keep[i]) continue;
            int32_t *l = &map[from->code[i]];
            if (*l < 0) *l = (int32_t)to->n_levels++;
            to->code[at++] = *l;
        }
    }
    pfx_mem_free(map);
    return map && to->name && to->code ? PFX_OK : PFX_ENOMEM;
}

static pfx_status cut_effect(const cut *c, const pfx_absorbed *from, pfx_absorbed *to, pfx_err *err)
{
    pfx_status st = cut_factor(c, &from->factor, &to->factor, err);
    to->intercept = from->intercept;
    if (st != PFX_OK || from->n_slopes == 0) return st;
    to->slope = pfx_mem_calloc(from->n_slopes, sizeof *to->slope, err);
    to->slope_name = pfx_mem_calloc(from->n_slopes, sizeof *to->slope_name, err);
    if (!to->slope || !to->slope_name) return PFX_ENOMEM;
    for (to->n_slopes = 0; to->n_slopes < from->n_slopes;) {
        int k = to->n_slopes++;
        to->slope[k] = pfx_mem_alloc(c->n, sizeof **to->slope, err);
        to->slope_name[k] = pfx_mem_strdup(from->slope_name[k], err);
        if (!to->slope[k] || !to->slope_name[k]) return PFX_ENOMEM;
        for (pfx_idx i = 0, at = 0; i < c->d->n; i++)
            if (c->keep[i]) to->slope[k][at++] = from->slope[k][i];
    }
    return PFX_OK;
}

/* Number of a column among the drawn ones, -1. */
static int drawn_number(const placebo_state *s, const char *name)
{
    for (int a = 0; a < s->n_drawn; a++)
        if (strcmp(s->drawn[a], name) == 0) return a;
    return -1;
}

static void fill_rows(const cut *c, double shift, pfx_design *to)
{
    const pfx_design *d = c->d;
    const placebo_state *s = c->s;
    pfx_idx at = 0;
    for (pfx_idx i = 0; i < d->n; i++) {
        if (!c->keep[i]) continue;
        double *z = to->Z + at * d->p, date = c->date[s->in.unit[i]];
        /* Units without a date keep what they have: nothing, or treatment throughout. */
        double on = isnan(date) ? s->treatment[i] : s->time[s->period[i]] >= date - shift;
        memcpy(z, d->Z + i * d->p, (size_t)d->p * sizeof *z);
        for (int j = 0; j < d->p - 1; j++) {
            int a = drawn_number(s, d->name[j]);
            if (a >= 0) z[j] = on * (s->factor ? s->factor[(pfx_idx)a * d->n + i] : 1);
        }
        if (to->w) to->w[at] = d->w[i];
        at++;
    }
}

static pfx_status cut_design(const cut *c, double shift, pfx_design **out, pfx_err *err)
{
    const pfx_design *d = c->d;
    pfx_design *to = *out = pfx_mem_calloc(1, sizeof *to, err);
    pfx_status st = PFX_OK;
    if (!to) return PFX_ENOMEM;
    to->n = c->n;
    to->p = d->p;
    to->intercept = d->intercept;
    to->weights_kind = d->weights_kind;
    to->n_singletons = c->n_singletons;
    to->Z = pfx_mem_alloc(c->n * d->p, sizeof *to->Z, err);
    to->name = pfx_mem_calloc(d->p, sizeof *to->name, err);
    to->role = pfx_mem_alloc(d->p, sizeof *to->role, err);
    to->formula = pfx_mem_strdup(d->formula, err);
    to->absorbed = pfx_mem_calloc(d->n_absorbed, sizeof *to->absorbed, err);
    to->clusters = pfx_mem_calloc(1, sizeof *to->clusters, err);
    if (d->w) to->w = pfx_mem_alloc(c->n, sizeof *to->w, err);
    if (!to->Z || !to->name || !to->role || !to->formula || !to->absorbed || !to->clusters ||
        (d->w && !to->w))
        return PFX_ENOMEM;
    memcpy(to->role, d->role, (size_t)d->p * sizeof *to->role);
    for (int j = 0; j < d->p; j++)
        if (!(to->name[j] = pfx_mem_strdup(d->name[j], err))) return PFX_ENOMEM;
    fill_rows(c, shift, to);
    while (st == PFX_OK && to->n_absorbed < d->n_absorbed) {
        int e = to->n_absorbed++;
        st = cut_effect(c, &d->absorbed[e], &to->absorbed[e], err);
    }
    to->n_clusters = 1;
    return st == PFX_OK ? cut_factor(c, &d->clusters[0], &to->clusters[0], err) : st;
}

static pfx_status fit_shift(const rep_run *r, const cut *c, pfx_idx k, pfx_fit **out, pfx_err *err)
{
    const pfx_fit_options fo = {.vcov = r->vcov.type,
                                .ssc = (pfx_ssc)r->o->ssc,
                                .level = r->o->level,
                                .tol = r->o->tol,
                                .maxiter = (int)r->o->maxiter,
                                .nth = (int)r->o->common.threads,
                                .isa = (pfx_isa)r->o->common.isa};
    pfx_design *d = NULL;
    pfx_status st = cut_design(c, (double)k, &d, err);
    if (st == PFX_OK && d->clusters[0].n_levels < 2)
        st = pfx_fail(err, PFX_EDATA, "fewer than two clusters are left before adoption");
    if (st == PFX_OK) st = pfx_fit_ols(d, &fo, out, err);
    pfx_design_free(d);
    return st;
}

pfx_status placebo_in_time(rep_run *r, const pfx_design *d, pfx_err *err)
{
    placebo_state *s = r->state;
    cut c = {.d = d, .s = s};
    pfx_status st = choose_rows(r, &c, err);
    s->shifted = pfx_mem_calloc(s->o->periods, sizeof *s->shifted, err);
    s->shifted_name = pfx_mem_calloc(s->o->periods, sizeof *s->shifted_name, err);
    if (!s->shifted || !s->shifted_name) st = PFX_ENOMEM;
    for (pfx_idx k = 0; k < s->o->periods && st == PFX_OK; k++) {
        pfx_str name = {0};
        pfx_str_addf(&name, "%s, %lld earlier", s->drawn[s->tested], (long long)k + 1);
        s->shifted_name[k] = name.failed ? NULL : pfx_mem_strdup(name.s, err);
        pfx_str_free(&name);
        st = s->shifted_name[k] ? fit_shift(r, &c, k + 1, &s->shifted[k], err) : PFX_ENOMEM;
    }
    pfx_mem_free(c.date);
    pfx_mem_free(c.keep);
    r->n_terms = (int)s->o->periods;
    r->terms = (const char *const *)s->shifted_name;
    return st;
}

pfx_status placebo_in_time_report(const rep_run *r, pfx_rep_report *report, pfx_err *err)
{
    const placebo_state *s = r->state;
    (void)err;
    pfx_rep_add_text(&report->more, NULL, "treatment", "treatment", s->o->treatment);
    pfx_rep_add_real(&report->more, NULL, "true_estimate", "true estimate, all rows", s->estimate);
    pfx_rep_add_count(&report->more, NULL, "n_switchers", "units that switch", s->assign->n_switch);
    pfx_rep_add_count(&report->more, NULL, "n_always_treated", "treated from the start", s->assign->n_always);
    for (int k = 0; k < r->n_terms; k++) {
        const pfx_fit *f = s->shifted[k];
        pfx_rep_term *t = &report->term[k];
        for (int i = 0; i < f->k; i++) {
            if (strcmp(f->coef[i].term, s->drawn[s->tested]) != 0) continue;
            t->estimate = f->coef[i].estimate;
            t->std_error = f->coef[i].std_error;
            t->statistic = f->coef[i].statistic;
            pfx_rep_add_interval(t, "t", f->coef[i].conf_low, f->coef[i].conf_high);
        }
        pfx_rep_add_count(&t->more, NULL, "n_obs", "rows", f->n_obs);
        pfx_rep_add_count(&t->more, NULL, "periods_earlier", NULL, k + 1);
    }
    pfx_str_add(&report->note, "Adoption is moved earlier and the treated units' rows from the true adoption "
                               "on are left out: estimates\n"
                               "far from zero say that outcomes moved before treatment. Nothing is drawn, "
                               "and there is no p-value.\n");
    return PFX_OK;
}
