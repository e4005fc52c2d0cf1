/* The design behind cluster statistics: effects that are not nested in the clusters become columns. */
#include "src/rep/clusterstat_private.h"

#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/est/vcov.h"
#include "src/model/design.h"

static const char INTERCEPT[] = "(Intercept)";

typedef struct plan {
    const pfx_design *d;
    const pfx_clusterstat_options *o;
    bool *nested; /* [n_absorbed] */
    int *place;   /* [d->p] column of each regressor, -1: left out */
    bool ones;    /* a column of ones */
    int ones_at;  /* its place */
    int n_effect; /* columns of effects and constant that stand first */
    pfx_idx p;    /* columns in all, the outcome last */
} plan;

static bool listed(const char *name, int n, const char *const *list)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(name, list[i])) return true;
    return false;
}

static int find_regressor(const pfx_design *d, const char *name)
{
    for (int j = 0; j < d->p - 1; j++)
        if (!strcmp(d->name[j], name)) return j;
    return -1;
}

static pfx_status unknown_term(const plan *l, const char *name, pfx_err *err)
{
    const char *near = pfx_text_nearest(name, l->d->p - 1, (const char *const *)l->d->name);
    if (listed(name, l->o->n_collinear, l->o->collinear))
        return pfx_fail(err, PFX_EIDENT, "%s was left out as collinear: there is nothing to test", name);
    if (near)
        return pfx_fail(err, PFX_EUSAGE, "%s is no regressor of the formula; did you mean %s?", name, near);
    return pfx_fail(err, PFX_EUSAGE, "%s is no regressor of the formula", name);
}

static pfx_status check_terms(const plan *l, pfx_err *err)
{
    const pfx_clusterstat_options *o = l->o;
    for (int t = 0; t < o->n_terms; t++) {
        if (listed(o->terms[t], t, o->terms))
            return pfx_fail(err, PFX_EUSAGE, "%s is named twice; name each coefficient once", o->terms[t]);
        if (!strcmp(o->terms[t], INTERCEPT) && l->ones && l->d->n_absorbed == 0) continue;
        if (find_regressor(l->d, o->terms[t]) < 0 || listed(o->terms[t], o->n_collinear, o->collinear))
            return unknown_term(l, o->terms[t], err);
    }
    return PFX_OK;
}

static const pfx_factor *cells(const plan *l)
{
    return l->o->cell ? l->o->cell : &l->d->clusters[0];
}

static pfx_status is_nested(const plan *l, const pfx_factor *effect, bool *nested, pfx_err *err)
{
    if (l->o->n_within == 0) return pfx_factor_nested(l->d->n, effect, cells(l), 1, nested, err);
    pfx_status st = PFX_OK;
    *nested = false;
    for (int i = 0; i < l->o->n_within && st == PFX_OK && !*nested; i++)
        st = pfx_factor_nested(l->d->n, effect, l->o->within[i], 1, nested, err);
    return st;
}

/* Columns of the effects that are not nested: all levels but the first (the constant stands for it), all
 * levels of each slope. *widest: the entry with the most. */
static pfx_status count_columns(plan *l, pfx_idx *n, int *widest, pfx_err *err)
{
    const pfx_design *d = l->d;
    bool mean_out = false, mean = d->intercept;
    pfx_idx most = 0;
    *n = 0;
    for (int a = 0; a < d->n_absorbed; a++) {
        const pfx_absorbed *e = &d->absorbed[a];
        l->nested[a] = l->o->absorb;
        pfx_status st = l->nested[a] ? PFX_OK : is_nested(l, &e->factor, &l->nested[a], err);
        if (st != PFX_OK) return st;
        mean |= e->intercept;
        if (l->nested[a]) {
            mean_out |= e->intercept;
            continue;
        }
        pfx_idx more = e->intercept * (e->factor.n_levels - 1) + e->n_slopes * e->factor.n_levels;
        if (more > most) {
            most = more;
            *widest = a;
        }
        *n += more;
    }
    l->ones = mean && !mean_out;
    return PFX_OK;
}

static pfx_status make_plan(plan *l, pfx_err *err)
{
    const pfx_design *d = l->d;
    const pfx_clusterstat_options *o = l->o;
    pfx_idx n_effect = 0;
    int widest = 0;
    pfx_status st = count_columns(l, &n_effect, &widest, err);
    if (st != PFX_OK) return st;
    if (n_effect > PFX_CLUSTERSTAT_MAX_COLUMNS)
        return pfx_fail(
            err, PFX_EUSAGE,
            "effect %s is not nested in the clusters (%s) and has %lld levels: this version resamples "
            "beside nested effects at most %d columns of others; cluster by it, or leave it out",
            d->absorbed[widest].factor.name, d->clusters[0].name,
            (long long)d->absorbed[widest].factor.n_levels, PFX_CLUSTERSTAT_MAX_COLUMNS);
    if ((st = check_terms(l, err)) != PFX_OK) return st;
    bool ones_tested = listed(INTERCEPT, o->n_terms, o->terms);
    if (l->ones && !ones_tested) l->ones_at = (int)n_effect++;
    l->n_effect = (int)n_effect;
    pfx_idx tested0 = n_effect;
    for (int j = 0; j < d->p - 1; j++) {
        bool out =
            listed(d->name[j], o->n_collinear, o->collinear) || listed(d->name[j], o->n_terms, o->terms);
        l->place[j] = out ? -1 : (int)tested0++;
    }
    for (int t = 0; t < o->n_terms; t++) {
        int j = find_regressor(d, o->terms[t]);
        if (j >= 0)
            l->place[j] = (int)tested0 + t;
        else
            l->ones_at = (int)tested0 + t;
    }
    l->p = tested0 + o->n_terms + 1;
    l->place[d->p - 1] = (int)l->p - 1;
    return PFX_OK;
}

static void fill_effects(const plan *l, pfx_design *c)
{
    const pfx_design *d = l->d;
    pfx_idx at = 0;
    for (int a = 0; a < d->n_absorbed; a++) {
        const pfx_absorbed *e = &d->absorbed[a];
        if (l->nested[a]) continue;
        if (e->intercept) {
            for (pfx_idx i = 0; i < d->n; i++)
                if (e->factor.code[i] > 0) c->Z[i * c->p + at + e->factor.code[i] - 1] = 1;
            at += e->factor.n_levels - 1;
        }
        for (int s = 0; s < e->n_slopes; s++, at += e->factor.n_levels)
            for (pfx_idx i = 0; i < d->n; i++) c->Z[i * c->p + at + e->factor.code[i]] = e->slope[s][i];
    }
}

static void fill_regressors(const plan *l, pfx_design *c)
{
    const pfx_design *d = l->d;
    for (pfx_idx i = 0; i < d->n; i++) {
        double *z = c->Z + i * c->p;
        for (int j = 0; j < d->p; j++)
            if (l->place[j] >= 0) z[l->place[j]] = d->Z[i * d->p + j];
        if (l->ones) z[l->ones_at] = 1;
    }
}

static pfx_status name_columns(const plan *l, pfx_design *c, pfx_err *err)
{
    const pfx_design *d = l->d;
    for (int j = 0; j < c->p; j++) c->role[j] = j == c->p - 1 ? PFX_OUTCOME : PFX_REGRESSOR;
    for (int j = 0; j < d->p; j++)
        if (l->place[j] >= 0 && !(c->name[l->place[j]] = pfx_mem_strdup(d->name[j], err))) return PFX_ENOMEM;
    for (int j = 0; j < c->p; j++)
        if (!c->name[j] &&
            !(c->name[j] = pfx_mem_strdup(l->ones && j == l->ones_at ? INTERCEPT : "(effect)", err)))
            return PFX_ENOMEM;
    return PFX_OK;
}

static void *copy(pfx_idx n, size_t size, const void *from, pfx_err *err)
{
    void *to = pfx_mem_alloc(n, size, err);
    if (to) memcpy(to, from, (size_t)n * size);
    return to;
}

static pfx_status copy_factor(pfx_idx n, const pfx_factor *from, pfx_factor *to, pfx_err *err)
{
    to->n_levels = from->n_levels;
    to->name = pfx_mem_strdup(from->name, err);
    to->code = copy(n, sizeof *to->code, from->code, err);
    return (from->name && !to->name) || !to->code ? PFX_ENOMEM : PFX_OK;
}

static pfx_status copy_effect(pfx_idx n, const pfx_absorbed *from, pfx_absorbed *to, pfx_err *err)
{
    pfx_status st = copy_factor(n, &from->factor, &to->factor, err);
    to->intercept = from->intercept;
    if (st != PFX_OK || !from->n_slopes) return st;
    to->slope = pfx_mem_calloc(from->n_slopes, sizeof *to->slope, err);
    to->slope_name = pfx_mem_calloc(from->n_slopes, sizeof *to->slope_name, err);
    if (!to->slope || !to->slope_name) return PFX_ENOMEM;
    for (to->n_slopes = 0; to->n_slopes < from->n_slopes;) {
        int s = to->n_slopes++;
        to->slope[s] = copy(n, sizeof **to->slope, from->slope[s], err);
        to->slope_name[s] = pfx_mem_strdup(from->slope_name[s], err);
        if (!to->slope[s] || !to->slope_name[s]) return PFX_ENOMEM;
    }
    return PFX_OK;
}

static pfx_status copy_rest(const plan *l, pfx_design *c, pfx_err *err)
{
    const pfx_design *d = l->d;
    pfx_status st = PFX_OK;
    c->weights_kind = d->weights_kind;
    c->formula = pfx_mem_strdup(d->formula, err);
    if ((d->formula && !c->formula) || (d->w && !(c->w = copy(d->n, sizeof *c->w, d->w, err))) ||
        (d->row && !(c->row = copy(d->n, sizeof *c->row, d->row, err))) ||
        !(c->clusters = pfx_mem_calloc(1, sizeof *c->clusters, err)) ||
        !(c->absorbed = pfx_mem_calloc(d->n_absorbed, sizeof *c->absorbed, err)))
        return PFX_ENOMEM;
    c->n_clusters = 1;
    st = copy_factor(d->n, cells(l), &c->clusters[0], err);
    for (int a = 0; a < d->n_absorbed && st == PFX_OK; a++)
        if (l->nested[a]) st = copy_effect(d->n, &d->absorbed[a], &c->absorbed[c->n_absorbed++], err);
    return st;
}

static pfx_status build(const plan *l, pfx_design **out, pfx_err *err)
{
    pfx_status st = PFX_OK;
    pfx_design *c = pfx_mem_calloc(1, sizeof *c, err);
    if (!c) return PFX_ENOMEM;
    c->n = l->d->n;
    c->p = (int)l->p;
    c->Z = pfx_mem_calloc(c->n * c->p, sizeof *c->Z, err);
    c->name = pfx_mem_calloc(c->p, sizeof *c->name, err);
    c->role = pfx_mem_calloc(c->p, sizeof *c->role, err);
    if (!c->Z || !c->name || !c->role || name_columns(l, c, err) != PFX_OK) {
        st = PFX_ENOMEM;
        goto done;
    }
    if ((st = copy_rest(l, c, err)) != PFX_OK) goto done;
    fill_effects(l, c);
    fill_regressors(l, c);
    *out = c;
    c = NULL;
done:
    pfx_design_free(c);
    return st;
}

pfx_status pfx_clusterstat_design(const pfx_design *d, const pfx_clusterstat_options *o, pfx_design **out,
                                  int *n_effect, pfx_err *err)
{
    plan l = {.d = d, .o = o, .ones_at = -1};
    pfx_status st = PFX_ENOMEM;
    l.nested = pfx_mem_calloc(d->n_absorbed + 1, sizeof *l.nested, err);
    l.place = pfx_mem_alloc(d->p, sizeof *l.place, err);
    if (l.nested && l.place && (st = make_plan(&l, err)) == PFX_OK) st = build(&l, out, err);
    *n_effect = l.n_effect;
    pfx_mem_free(l.nested);
    pfx_mem_free(l.place);
    return st;
}

pfx_status pfx_clusterstat_columns(const pfx_design *d, const pfx_clusterstat_options *o, pfx_idx *columns,
                                   pfx_err *err)
{
    int widest = 0;
    plan l = {.d = d, .o = o, .nested = pfx_mem_calloc(d->n_absorbed + 1, sizeof *l.nested, err)};
    pfx_status st = l.nested ? count_columns(&l, columns, &widest, err) : PFX_ENOMEM;
    pfx_mem_free(l.nested);
    return st;
}
