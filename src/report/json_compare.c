/* The comparison of groups in the JSON of fit. */
#include <math.h>
#include "src/est/compare.h"
#include "src/report/json_private.h"

static json_t *compared(maker *k, const pfx_compared *c)
{
    json_t *o = need(k, json_object()), *w = need(k, json_object()), *s = need(k, json_object());
    if (c->term) set(k, o, "term", text(c->term));
    set(k, w, "statistic", real(c->wald.statistic));
    set(k, w, "df1", whole(c->wald.df1));
    set(k, w, "df2", whole(c->wald.df2));
    set(k, w, "p_value", real(c->wald.p_value));
    set(k, o, "wald", w);
    set(k, s, "chi2", real(c->chi2));
    set(k, s, "df", whole(c->chi2_df));
    set(k, s, "p_value", real(c->chi2_p));
    set(k, o, "suest", s);
    set(k, o, "difference", real(c->difference));
    set(k, o, "std_error", real(c->std_error));
    if (c->term && !isnan(c->permutation_p)) {
        json_t *p = need(k, json_object());
        set(k, p, "statistic", real(c->spread));
        set(k, p, "draws", count(c->valid));
        set(k, p, "count", count(c->extreme));
        set(k, p, "p_value", real(c->permutation_p));
        set(k, o, "permutation", p);
    }
    return o;
}

json_t *pfx_json_comparisons(maker *k, int n, pfx_comparison *const *all)
{
    json_t *a = need(k, json_array());
    for (int i = 0; i < n; i++) {
        const pfx_comparison *c = all[i];
        json_t *o = need(k, json_object()), *groups = need(k, json_array()), *terms = need(k, json_array());
        set(k, o, "formula", text(c->formula));
        set(k, o, "outcome", text(c->outcome));
        set(k, o, "by", text(c->by_name));
        for (int g = 0; g < c->n_groups; g++) push(k, groups, text(c->group[g]));
        set(k, o, "groups", groups);
        set(k, o, "n_obs", count(c->n_obs));
        if (c->reps) {
            set(k, o, "permutations", count(c->reps));
            set(k, o, "permuted", text(c->cluster));
            set(k, o, "seed", count((pfx_idx)c->seed));
        }
        if (c->why_not) set(k, o, "no_permutation_test", text(c->why_not));
        for (int t = 0; t < c->n_terms; t++) push(k, terms, compared(k, &c->term[t]));
        set(k, o, "terms", terms);
        set(k, o, "joint", compared(k, &c->joint));
        push(k, a, o);
    }
    return a;
}
