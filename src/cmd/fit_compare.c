/* --by with --compare: the groups' fits of a model against each other. */
#include <math.h>
#include <string.h>

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cmd/fit_private.h"
#include "src/est/compare.h"
#include "src/model/design.h"

pfx_status fit_compare_model(pfx_dataset *data, int m, int n, pfx_fit *const *fits, const pfx_fit_options *o,
                             const fit_permutations *p, pfx_comparison **out, pfx_err *err)
{
    pfx_status st = PFX_OK;
    pfx_idx n_by = pfx_dataset_n_by(data);
    int have = 0;
    *out = NULL;
    if (n < 2) {
        pfx_warn("%s: %s: one group alone was fitted, there is nothing to compare it with",
                 n ? fits[0]->formula : "formula", n ? fits[0]->by_name : "--by");
        return PFX_OK;
    }
    pfx_design **d = pfx_mem_calloc(n, sizeof *d, err);
    if (!d) return PFX_ENOMEM;
    for (pfx_idx by = 0; by < n_by && have < n && st == PFX_OK; by++) {
        pfx_err left_out = {0};
        pfx_design *one = NULL;
        /* A level that was left out is so again. */
        if (pfx_dataset_design(data, m, by, false, &one, &left_out) != PFX_OK) {
            if (left_out.status == PFX_ENOMEM) st = pfx_fail(err, PFX_ENOMEM, "%s", left_out.msg);
            continue;
        }
        if (strcmp(one->by_level, fits[have]->by_level) == 0)
            d[have++] = one;
        else
            pfx_design_free(one);
    }
    if (st == PFX_OK)
        st = pfx_compare(n, (const pfx_design *const *)d, (const pfx_fit *const *)fits, o, out, err);
    if (st == PFX_OK && p->reps) st = fit_permute(n, (const pfx_design *const *)d, o, p, *out, err);
    if (st != PFX_OK) {
        pfx_comparison_free(*out);
        *out = NULL;
    }
    for (int g = 0; g < have; g++) pfx_design_free(d[g]);
    pfx_mem_free(d);
    return st;
}

static void add_test(pfx_str *to, const pfx_compared *c)
{
    pfx_str_addf(to, "F(%g, %g) = %.4f, p = %.4f; joint covariance (suest) chi2(%g) = %.4f, p = %.4f",
                 c->wald.df1, c->wald.df2, c->wald.statistic, c->wald.p_value, c->chi2_df, c->chi2,
                 c->chi2_p);
}

pfx_status fit_compare_notes(const pfx_comparison *c, int *n, const char **notes, pfx_str *text, pfx_err *err)
{
    if (c->why_not) pfx_note("%s: no permutation test over %s: %s", c->formula, c->by_name, c->why_not);
    for (int t = 0; t <= c->n_terms; t++) {
        const pfx_compared *x = t < c->n_terms ? &c->term[t] : &c->joint;
        pfx_str *s = &text[*n];
        if (t == c->n_terms && c->n_terms == 1) break;
        pfx_str_addf(s, "Equal over %s (%s): %s: ", c->by_name, c->outcome,
                     x->term ? x->term : "all together");
        if (!isnan(x->difference))
            pfx_str_addf(s, "difference %s - %s %.4f (s.e. %.4f), ", c->group[1], c->group[0], x->difference,
                         x->std_error);
        add_test(s, x);
        if (!isnan(x->permutation_p))
            pfx_str_addf(
                s, "; permutation of %s p = %.4f (%lld draws, seed %llu; exact if clusters are exchangeable)",
                c->cluster, x->permutation_p, (long long)x->valid, (unsigned long long)c->seed);
        pfx_str_add(s, ".");
        if (s->failed) return pfx_fail(err, PFX_ENOMEM, "out of memory for the notes of --compare");
        notes[(*n)++] = s->s;
    }
    return PFX_OK;
}
