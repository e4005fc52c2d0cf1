/* The groups' rows as one design. */
#include <string.h>
#include "src/base/mem.h"
#include "src/est/compare_private.h"

static bool same_columns(int n, const pfx_design *const *d)
{
    for (int g = 1; g < n; g++) {
        if (d[g]->p != d[0]->p || d[g]->n_absorbed != d[0]->n_absorbed) return false;
        for (int j = 0; j < d[0]->p; j++)
            if (strcmp(d[g]->name[j], d[0]->name[j]) != 0) return false;
    }
    return true;
}

static pfx_status pool_columns(const stack *s)
{
    pfx_design *o = s->out;
    const pfx_design *first = s->d[0];
    o->p = first->p;
    o->intercept = first->intercept;
    o->Z = pfx_mem_alloc(o->n * o->p + 1, sizeof *o->Z, s->err);
    o->name = pfx_mem_calloc(o->p, sizeof *o->name, s->err);
    o->role = pfx_mem_calloc(o->p, sizeof *o->role, s->err);
    if (!o->Z || !o->name || !o->role) return PFX_ENOMEM;
    double *to = o->Z;
    for (int g = 0; g < s->n; to += s->d[g]->n * o->p, g++)
        memcpy(to, s->d[g]->Z, (size_t)(s->d[g]->n * o->p) * sizeof *to);
    for (int j = 0; j < o->p; j++) {
        if (!(o->name[j] = pfx_mem_strdup(first->name[j], s->err))) return PFX_ENOMEM;
        o->role[j] = first->role[j];
    }
    return PFX_OK;
}

static pfx_status pool_slopes(const stack *s, int e, pfx_absorbed *to)
{
    const pfx_absorbed *first = &s->d[0]->absorbed[e];
    to->slope = pfx_mem_calloc(first->n_slopes, sizeof *to->slope, s->err);
    to->slope_name = pfx_mem_calloc(first->n_slopes, sizeof *to->slope_name, s->err);
    if (!to->slope || !to->slope_name) return PFX_ENOMEM;
    for (; to->n_slopes < first->n_slopes;) {
        int k = to->n_slopes++;
        double *x = to->slope[k] = pfx_mem_alloc(s->out->n, sizeof *x, s->err);
        if (!x || !(to->slope_name[k] = pfx_mem_strdup(first->slope_name[k], s->err))) return PFX_ENOMEM;
        for (int g = 0; g < s->n; x += s->d[g++]->n)
            memcpy(x, s->d[g]->absorbed[e].slope[k], (size_t)s->d[g]->n * sizeof *x);
    }
    return PFX_OK;
}

static pfx_status pool_effects(const stack *s)
{
    pfx_design *o = s->out;
    const pfx_design *first = s->d[0];
    pfx_status st = PFX_OK;
    compare_origin *from = pfx_mem_alloc(s->n, sizeof *from, s->err);
    o->absorbed = pfx_mem_calloc(first->n_absorbed + 1, sizeof *o->absorbed, s->err);
    if (!from || !o->absorbed) st = PFX_ENOMEM;
    for (int e = 0; st == PFX_OK && e < first->n_absorbed; e++) {
        pfx_absorbed *to = &o->absorbed[o->n_absorbed++];
        for (int g = 0; g < s->n; g++)
            from[g] = (compare_origin){&s->d[g]->absorbed[e].factor, s->d[g]->effect_origin[e]};
        to->intercept = first->absorbed[e].intercept;
        st = compare_join(s, from, &to->factor);
        if (st == PFX_OK) st = pool_slopes(s, e, to);
    }
    pfx_mem_free(from);
    return st;
}

/* The group of each cluster; false: one lies in several. */
static bool groups_of(const stack *s, int32_t *group)
{
    const pfx_factor *f = &s->out->clusters[0];
    pfx_idx row = 0;
    for (pfx_idx l = 0; l < f->n_levels; l++) group[l] = -1;
    for (int g = 0; g < s->n; g++)
        for (pfx_idx i = 0; i < s->d[g]->n; i++) {
            int32_t *at = &group[f->code[row++]];
            if (*at >= 0 && *at != g) return false;
            *at = g;
        }
    return true;
}

pfx_status pfx_compare_pool(int n, const pfx_design *const *d, pfx_design **out, int32_t **group,
                            const char **why, pfx_err *err)
{
    *out = NULL;
    *group = NULL;
    *why = d[0]->n_clusters == 0 ? "groups change hands between clusters, and there are none"
           : !same_columns(n, d) ? "the groups have different regressors"
                                 : NULL;
    if (*why) return PFX_OK;
    stack s = {.n = n, .d = d, .err = err, .out = pfx_mem_calloc(1, sizeof(pfx_design), err)};
    if (!s.out) return PFX_ENOMEM;
    for (int g = 0; g < n; g++) s.out->n += d[g]->n;
    pfx_status st = pool_columns(&s);
    if (st == PFX_OK) st = pool_effects(&s);
    if (st == PFX_OK) st = compare_rest(&s);
    if (st == PFX_OK && !(*group = pfx_mem_alloc(s.out->clusters[0].n_levels, sizeof **group, err)))
        st = PFX_ENOMEM;
    if (st == PFX_OK && !groups_of(&s, *group)) *why = "there are clusters that lie in several groups";
    if (st == PFX_OK && !*why) {
        *out = s.out;
        return PFX_OK;
    }
    pfx_design_free(s.out);
    pfx_mem_free(*group);
    *group = NULL;
    return st;
}
