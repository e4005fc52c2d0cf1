#include "src/est/compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/est/dist.h"
#include "src/est/compare_private.h"
#include "src/est/wald.h"
#include "src/model/design.h"

static const char INTERCEPT[] = "(Intercept)";

static int find(const pfx_fit *f, const char *term)
{
    for (int i = 0; i < f->k; i++)
        if (strcmp(f->coef[i].term, term) == 0) return i;
    return -1;
}

/* ---- the joint design ---- */

static pfx_status stack_columns(const stack *s)
{
    pfx_design *o = s->out;
    int at = 0;
    o->Z = pfx_mem_calloc(o->n * o->p, sizeof *o->Z, s->err);
    o->name = pfx_mem_calloc(o->p, sizeof *o->name, s->err);
    o->role = pfx_mem_calloc(o->p, sizeof *o->role, s->err);
    if (!o->Z || !o->name || !o->role) return PFX_ENOMEM;
    pfx_idx row0 = 0;
    for (int g = 0; g < s->n; row0 += s->d[g++]->n) {
        const pfx_design *d = s->d[g];
        for (int j = 0; j < d->p; j++) {
            char name[512];
            bool outcome = j == d->p - 1;
            if (!outcome && find(s->fits[g], d->name[j]) < 0) continue;
            int to = outcome ? o->p - 1 : at++;
            for (pfx_idx i = 0; i < d->n; i++) o->Z[(row0 + i) * o->p + to] = d->Z[i * d->p + j];
            o->role[to] = outcome ? PFX_OUTCOME : PFX_REGRESSOR;
            snprintf(name, sizeof name, "%s = %s: %s", d->by_name, d->by_level, d->name[j]);
            if (!o->name[to] && !(o->name[to] = pfx_mem_strdup(outcome ? d->name[j] : name, s->err)))
                return PFX_ENOMEM;
        }
    }
    return PFX_OK;
}

/* Effect e of every group, levels of their own; e = -1: the groups themselves, for their constants. */
static pfx_status stack_effect(const stack *s, int e, pfx_absorbed *to)
{
    const pfx_absorbed *first = e < 0 ? NULL : &s->d[0]->absorbed[e];
    pfx_idx row0 = 0;
    to->intercept = e < 0 || first->intercept;
    to->factor.name = pfx_mem_strdup(e < 0 ? s->d[0]->by_name : first->factor.name, s->err);
    to->factor.code = pfx_mem_alloc(s->out->n, sizeof *to->factor.code, s->err);
    int n_slopes = e < 0 ? 0 : first->n_slopes;
    to->slope = pfx_mem_calloc(n_slopes, sizeof *to->slope, s->err);
    to->slope_name = pfx_mem_calloc(n_slopes, sizeof *to->slope_name, s->err);
    if (!to->factor.name || !to->factor.code || !to->slope || !to->slope_name) return PFX_ENOMEM;
    for (; first && to->n_slopes < n_slopes; to->n_slopes++) {
        to->slope_name[to->n_slopes] = pfx_mem_strdup(first->slope_name[to->n_slopes], s->err);
        to->slope[to->n_slopes] = pfx_mem_alloc(s->out->n, sizeof(double), s->err);
        if (!to->slope_name[to->n_slopes] || !to->slope[to->n_slopes]) {
            to->n_slopes++;
            return PFX_ENOMEM;
        }
    }
    for (int g = 0; g < s->n; row0 += s->d[g++]->n) {
        const pfx_absorbed *from = e < 0 ? NULL : &s->d[g]->absorbed[e];
        pfx_idx n = s->d[g]->n;
        for (pfx_idx i = 0; i < n; i++)
            to->factor.code[row0 + i] = (int32_t)(to->factor.n_levels + (from ? from->factor.code[i] : 0));
        to->factor.n_levels += from ? from->factor.n_levels : 1;
        for (int k = 0; k < n_slopes; k++)
            memcpy(to->slope[k] + row0, from->slope[k], (size_t)n * sizeof(double));
    }
    return PFX_OK;
}

pfx_status compare_join(const stack *s, const compare_origin *from, pfx_factor *to)
{
    int32_t most = 0, *place = NULL;
    pfx_idx row0 = 0;
    for (int g = 0; g < s->n; g++)
        for (pfx_idx l = 0; l < from[g].f->n_levels; l++)
            if (from[g].origin[l] > most) most = from[g].origin[l];
    to->name = pfx_mem_strdup(from[0].f->name, s->err);
    to->code = pfx_mem_alloc(s->out->n, sizeof *to->code, s->err);
    place = pfx_mem_alloc((pfx_idx)most + 1, sizeof *place, s->err);
    if (!to->name || !to->code || !place) {
        pfx_mem_free(place);
        return PFX_ENOMEM;
    }
    memset(place, 0xff, ((size_t)most + 1) * sizeof *place);
    for (int g = 0; g < s->n; row0 += s->d[g++]->n)
        for (pfx_idx i = 0; i < s->d[g]->n; i++) {
            int32_t origin = from[g].origin[from[g].f->code[i]];
            if (place[origin] < 0) place[origin] = (int32_t)to->n_levels++;
            to->code[row0 + i] = place[origin];
        }
    pfx_mem_free(place);
    return PFX_OK;
}

pfx_status compare_clusters(const stack *s)
{
    pfx_design *o = s->out;
    pfx_status st = PFX_OK;
    compare_origin *from = pfx_mem_alloc(s->n, sizeof *from, s->err);
    o->clusters = pfx_mem_calloc(s->d[0]->n_clusters, sizeof *o->clusters, s->err);
    if (!from || !o->clusters) st = PFX_ENOMEM;
    for (int c = 0; st == PFX_OK && c < s->d[0]->n_clusters; c++) {
        for (int g = 0; g < s->n; g++)
            from[g] = (compare_origin){&s->d[g]->clusters[c], s->d[g]->cluster_origin[c]};
        st = compare_join(s, from, &o->clusters[o->n_clusters++]);
    }
    pfx_mem_free(from);
    return st;
}

double *compare_array(const stack *s, size_t offset)
{
    double *to = pfx_mem_alloc(s->out->n, sizeof *to, s->err);
    pfx_idx row0 = 0;
    for (int g = 0; to && g < s->n; row0 += s->d[g++]->n)
        memcpy(to + row0, *(double *const *)((const char *)s->d[g] + offset),
               (size_t)s->d[g]->n * sizeof *to);
    return to;
}

pfx_status compare_rest(const stack *s)
{
    pfx_design *o = s->out;
    const pfx_design *first = s->d[0];
    o->weights_kind = first->weights_kind;
    if ((first->w && !(o->w = compare_array(s, offsetof(pfx_design, w)))) ||
        (first->time && !(o->time = compare_array(s, offsetof(pfx_design, time)))) ||
        !(o->formula = pfx_mem_strdup(first->formula, s->err)))
        return PFX_ENOMEM;
    return compare_clusters(s);
}

static pfx_status fill_stack(stack *s, double max_bytes)
{
    pfx_design *o = s->out;
    const pfx_design *first = s->d[0];
    pfx_status st = PFX_OK;
    o->p = 1;
    for (int g = 0; g < s->n; g++) {
        o->n += s->d[g]->n;
        o->p += s->fits[g]->k - (find(s->fits[g], INTERCEPT) >= 0);
    }
    double bytes = 8.0 * (double)o->n * (o->p + 2.0);
    if (max_bytes > 0 && bytes > max_bytes)
        return pfx_fail(
            s->err, PFX_ENOMEM,
            "--compare needs %.0f MiB for the joint regression of %d groups, %.0f MiB are allowed; give more "
            "--memory, or compare fewer groups",
            bytes / 1048576.0, s->n, max_bytes / 1048576.0);
    if ((st = stack_columns(s)) != PFX_OK) return st;
    o->absorbed = pfx_mem_calloc(first->n_absorbed + 1, sizeof *o->absorbed, s->err);
    if (!o->absorbed) return PFX_ENOMEM;
    if (first->intercept) st = stack_effect(s, -1, &o->absorbed[o->n_absorbed++]);
    for (int e = 0; e < first->n_absorbed && st == PFX_OK; e++)
        st = stack_effect(s, e, &o->absorbed[o->n_absorbed++]);
    return st == PFX_OK ? compare_rest(s) : st;
}

/* ---- the tests ---- */

typedef struct tests {
    const pfx_comparison *c;
    const pfx_fit *const *fits; /* of the groups */
    const pfx_fit *joint;       /* with the variance of the fits */
    const double *b, *V_suest;  /* [k], [k x k] of the joint regression */
} tests;

/* Place of a group's term in the joint regression, whose coefficients are the groups' slopes in order. */
static int place_of(const tests *t, int g, const char *term)
{
    int at = 0;
    for (int h = 0; h < g; h++) at += t->fits[h]->k - (find(t->fits[h], INTERCEPT) >= 0);
    for (int i = 0; i < t->fits[g]->k; i++) {
        if (strcmp(t->fits[g]->coef[i].term, INTERCEPT) == 0) continue;
        if (strcmp(t->fits[g]->coef[i].term, term) == 0) return at;
        at++;
    }
    return -1;
}

static pfx_status test_terms(const tests *t, int n, const pfx_compared *term, pfx_compared *out, pfx_err *err)
{
    int k = t->joint->k, groups = t->c->n_groups;
    double df = t->joint->df_t;
    pfx_wald suest = {0};
    pfx_restrictions w = {.q = n * (groups - 1), .k = k};
    w.R = pfx_mem_calloc((pfx_idx)w.q * k, sizeof *w.R, err);
    w.r = pfx_mem_calloc(w.q, sizeof *w.r, err);
    pfx_status st = w.R && w.r ? PFX_OK : PFX_ENOMEM;
    for (int i = 0; i < n && st == PFX_OK; i++)
        for (int g = 1; g < groups; g++) {
            double *row = w.R + ((pfx_idx)i * (groups - 1) + g - 1) * k;
            row[place_of(t, g, term[i].term)] = 1;
            row[place_of(t, 0, term[i].term)] = -1;
            if (!pfx_vcov_leaves_out(t->joint->vcov)) continue; /* else the least of those tested, as in a fit */
            df = fmin(df, t->joint->coef[place_of(t, g, term[i].term)].df);
            df = fmin(df, t->joint->coef[place_of(t, 0, term[i].term)].df);
        }
    if (st == PFX_OK) st = pfx_wald_test(&w, t->b, t->joint->V, df, &out->wald, err);
    if (st == PFX_OK) st = pfx_wald_test(&w, t->b, t->V_suest, t->joint->df_t, &suest, err);
    if (st == PFX_OK) {
        out->chi2_df = suest.df1;
        out->chi2 = suest.statistic * suest.df1;
        out->chi2_p = pfx_dist_chi2_p(out->chi2, out->chi2_df);
        out->difference = out->wald.estimate;
        out->std_error = out->wald.std_error;
        out->spread = out->permutation_p = NAN;
    }
    pfx_restrictions_clear(&w);
    return st;
}

/* Terms of the first fit that all others have too. */
static pfx_status list_terms(pfx_comparison *c, const pfx_fit *const *fits, pfx_err *err)
{
    if (!(c->term = pfx_mem_calloc(fits[0]->k, sizeof *c->term, err))) return PFX_ENOMEM;
    for (int i = 0; i < fits[0]->k; i++) {
        const char *term = fits[0]->coef[i].term;
        bool common = strcmp(term, INTERCEPT) != 0;
        for (int g = 1; g < c->n_groups; g++) common &= find(fits[g], term) >= 0;
        if (common && !(c->term[c->n_terms++].term = pfx_mem_strdup(term, err))) return PFX_ENOMEM;
    }
    if (c->n_terms == 0)
        return pfx_fail(err, PFX_EIDENT,
                        "%s: no regressor has an estimate in every level of %s: nothing to compare",
                        c->formula, c->by_name);
    return PFX_OK;
}

static pfx_status describe(pfx_comparison *c, int n, const pfx_fit *const *fits, pfx_err *err)
{
    c->formula = pfx_mem_strdup(fits[0]->formula ? fits[0]->formula : "formula", err);
    c->outcome = pfx_mem_strdup(fits[0]->outcome, err);
    c->by_name = pfx_mem_strdup(fits[0]->by_name, err);
    c->group = pfx_mem_calloc(n, sizeof *c->group, err);
    if (!c->formula || !c->outcome || !c->by_name || !c->group) return PFX_ENOMEM;
    for (; c->n_groups < n; c->n_groups++)
        if (!(c->group[c->n_groups] = pfx_mem_strdup(fits[c->n_groups]->by_level, err))) return PFX_ENOMEM;
    return list_terms(c, fits, err);
}

/* Scores' covariance without any rule's factor, by the same clusters; robust where there are none. */
static pfx_status suest_variance(pfx_design *d, const pfx_fit_options *o, pfx_fit **out, pfx_err *err)
{
    pfx_fit_options plain = *o;
    int n_clusters = pfx_vcov_n_clusters(o->vcov);
    plain.vcov = n_clusters == 0              ? PFX_VCOV_HC1
                 : o->vcov == PFX_VCOV_TWOWAY ? PFX_VCOV_TWOWAY
                                              : PFX_VCOV_CLUSTER;
    plain.ssc = PFX_SSC_NONE;
    pfx_status st = pfx_fit_ols(d, &plain, out, err);
    if (st != PFX_OK) return st;
    pfx_fit *f = *out;
    double G = n_clusters ? f->df_t + 1 : (double)f->n_obs; /* df_t: of the smaller number of clusters */
    for (pfx_idx i = 0; i < (pfx_idx)f->k * f->k; i++) f->V[i] *= G / (G - 1);
    return PFX_OK;
}

static pfx_status run(pfx_comparison *c, int n, const pfx_design *const *d, const pfx_fit *const *fits,
                      const pfx_fit_options *o, pfx_err *err)
{
    pfx_fit *joint = NULL, *suest = NULL;
    double *b = NULL;
    pfx_fit_options own = *o;
    own.save = false;
    own.n_tests = 0;
    stack s = {.n = n, .d = d, .fits = fits, .err = err, .out = pfx_mem_calloc(1, sizeof(pfx_design), err)};
    pfx_status st = s.out ? describe(c, n, fits, err) : PFX_ENOMEM;
    if (st == PFX_OK) st = fill_stack(&s, o->max_bytes);
    if (st == PFX_OK) st = pfx_fit_ols(s.out, &own, &joint, err);
    if (st == PFX_OK) st = suest_variance(s.out, &own, &suest, err);
    if (st != PFX_OK) goto done;
    if (joint->k != s.out->p - 1) {
        st = pfx_fail(err, PFX_EIDENT,
                      "%s: --compare: %s is collinear in the joint regression, but not in its group",
                      c->formula, joint->n_collinear ? joint->collinear[0] : "a regressor");
        goto done;
    }
    c->n_obs = joint->n_obs;
    if (!(b = pfx_mem_alloc(joint->k, sizeof *b, err))) {
        st = PFX_ENOMEM;
        goto done;
    }
    for (int i = 0; i < joint->k; i++) b[i] = joint->coef[i].estimate;
    const tests t = {c, fits, joint, b, suest->V};
    for (int i = 0; i < c->n_terms && st == PFX_OK; i++)
        st = test_terms(&t, 1, &c->term[i], &c->term[i], err);
    if (st == PFX_OK) st = test_terms(&t, c->n_terms, c->term, &c->joint, err);
done:
    pfx_mem_free(b);
    pfx_fit_free(joint);
    pfx_fit_free(suest);
    pfx_design_free(s.out);
    return st;
}

pfx_status pfx_compare(int n, const pfx_design *const *d, const pfx_fit *const *fits,
                       const pfx_fit_options *o, pfx_comparison **out, pfx_err *err)
{
    for (int g = 0; g < n; g++)
        if (fits[g]->iv)
            return pfx_fail(err, PFX_EUSAGE,
                            "--compare is for least squares; leave it out for two-stage least squares");
    pfx_comparison *c = pfx_mem_calloc(1, sizeof *c, err);
    if (!c) return PFX_ENOMEM;
    pfx_status st = run(c, n, d, fits, o, err);
    if (st == PFX_OK)
        *out = c;
    else
        pfx_comparison_free(c);
    return st;
}

void pfx_comparison_free(pfx_comparison *c)
{
    if (!c) return;
    pfx_mem_free(c->formula);
    pfx_mem_free(c->outcome);
    pfx_mem_free(c->by_name);
    pfx_mem_free(c->why_not);
    pfx_mem_free(c->cluster);
    for (int g = 0; g < c->n_groups; g++) pfx_mem_free(c->group[g]);
    pfx_mem_free(c->group);
    for (int i = 0; i < c->n_terms; i++) pfx_mem_free(c->term[i].term);
    pfx_mem_free(c->term);
    pfx_mem_free(c);
}
