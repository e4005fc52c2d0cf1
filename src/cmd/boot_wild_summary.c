/* What draws of the wild bootstrap say, for boot, which has drawn them, and for inference, which reads them.
 */
#include <math.h>
#include <string.h>

#include "src/base/log.h"
#include "src/cmd/boot.h"

pfx_status boot_wild_choose_ci(const pfx_opt_list *ci, bool joint, bool *invert, pfx_err *err)
{
    *invert = !joint;
    if (ci->n == 0) return PFX_OK;
    if (ci->n > 1 || (strcmp(ci->v[0], "invert") && strcmp(ci->v[0], "none")))
        return pfx_fail(err, PFX_EUSAGE, "--ci %s: the wild bootstrap has invert or none", ci->v[0]);
    *invert = strcmp(ci->v[0], "invert") == 0;
    if (*invert && joint)
        return pfx_fail(err, PFX_EUSAGE,
                        "--ci invert: a joint test has no confidence interval; use --ci none");
    return PFX_OK;
}

pfx_status boot_wild_check_p(pfx_wild_p kind, bool joint, bool family, pfx_err *err)
{
    if (joint && kind > PFX_P_SYMMETRIC)
        return pfx_fail(err, PFX_EUSAGE, "--ptype %s: a joint test has no tails", pfx_wild_p_names[kind]);
    if (family && kind > PFX_P_SYMMETRIC)
        return pfx_fail(err, PFX_EUSAGE, "--ptype %s: the p-values of a family are symmetric",
                        pfx_wild_p_names[kind]);
    return PFX_OK;
}

void boot_wild_polynomials(pfx_wild_in *in, const double *const *extra, int t)
{
    in->n0 = extra[PFX_WILD_N0] + t;
    in->n1 = extra[PFX_WILD_N1] + t;
    in->d0 = extra[PFX_WILD_D0] + t;
    in->d1 = extra[PFX_WILD_D1] + t;
    in->d2 = extra[PFX_WILD_D2] + t;
}

/* The confidence set, and what is odd about it. */
static void add_set(const char *term, const boot_wild_about *a, const pfx_wild_out *w, pfx_rep_term *out)
{
    for (int i = 0; i < w->n_sets; i++) pfx_rep_add_interval(out, "invert", w->low[i], w->high[i]);
    bool two_sided = a->kind <= PFX_P_EQUAL_TAILED;
    bool open = w->n_sets && (isinf(w->low[0]) || isinf(w->high[w->n_sets - 1]));
    pfx_rep_add_count(&out->more, NULL, "n_sets", NULL, w->n_sets);
    pfx_rep_add_flag(&out->more, NULL, "unbounded", NULL, open);
    if (w->n_sets == 0) pfx_warn("%s: every null value is rejected; the confidence set is empty", term);
    if (w->n_sets > 1)
        pfx_warn("%s: the confidence set is disjoint, %d intervals; all are listed", term, w->n_sets);
    if (open && two_sided) pfx_warn("%s: the confidence set is unbounded", term);
}

static void add_treated(const pfx_treated *x, pfx_rep_values *v)
{
    if (!x->binary) return;
    pfx_rep_add_count(v, NULL, "n_switching", "switching clusters", x->n_switching);
    pfx_rep_add_count(v, NULL, "n_treated", NULL, x->n_treated);
    pfx_rep_add_count(v, NULL, "n_control", NULL, x->n_control);
}

pfx_status boot_wild_term(const char *term, const boot_wild_about *a, const boot_wild_test *test,
                          const pfx_wild_in *in, const double *other, pfx_rep_term *out, pfx_err *err)
{
    pfx_wild_out w;
    pfx_status st = pfx_wild_summarise(in, &w, err);
    if (st == PFX_OK) st = rep_check_lost(term, w.valid, in->reps, err);
    if (st != PFX_OK) return st;
    out->estimate = in->estimate;
    out->std_error = in->std_error;
    out->statistic = in->statistic;
    out->valid = w.valid;
    out->count = w.count;
    out->p_value = w.p_value;
    if (!a->enumerated) {
        out->p_low = w.p_low;
        out->p_high = w.p_high;
    }
    if (a->invert) add_set(term, a, &w, out);
    if (a->enumerated || w.ties) {
        pfx_rep_add_real(&out->more, NULL, "p_value_ties", "p-value, ties counted", w.p_value_ties);
        pfx_rep_add_count(&out->more, NULL, "ties", NULL, w.ties);
    }
    if (!a->joint) {
        pfx_rep_add_real(&out->more, NULL, "p_symmetric", NULL, w.p[PFX_P_SYMMETRIC]);
        pfx_rep_add_real(&out->more, NULL, "p_equal_tailed", NULL, w.p[PFX_P_EQUAL_TAILED]);
        pfx_rep_add_real(&out->more, NULL, "p_left", NULL, w.p[PFX_P_LEFT]);
        pfx_rep_add_real(&out->more, NULL, "p_right", NULL, w.p[PFX_P_RIGHT]);
        add_treated(&test->treated, &out->more);
    }
    if (other) {
        pfx_rep_add_real(&out->more, NULL, "p_wcr", "p-value, restricted (WCR)",
                         a->unrestricted ? *other : w.p_value);
        pfx_rep_add_real(&out->more, NULL, "p_wcu", "p-value, unrestricted (WCU)",
                         a->unrestricted ? w.p_value : *other);
    }
    return PFX_OK;
}

static void add_design(const boot_wild_about *a, pfx_rep_values *v)
{
    pfx_rep_add_text(v, NULL, "type", NULL, a->type);
    pfx_rep_add_flag(v, NULL, "restricted", NULL, !a->unrestricted);
    pfx_rep_add_text(v, NULL, "weights_type", NULL, a->weights);
    pfx_rep_add_flag(v, NULL, "enumerated", NULL, a->enumerated);
    pfx_rep_add_flag(v, NULL, "effects_cross_clusters", NULL, a->crossing);
    pfx_rep_add_count(v, NULL, "n_boot_clusters", NULL, a->n_boot);
}

void boot_wild_store(const boot_wild_about *a, const boot_wild_test *test, pfx_rep_values *v)
{
    pfx_rep_add_real(v, NULL, "estimate", NULL, test->estimate);
    pfx_rep_add_real(v, NULL, "std_error", NULL, test->std_error);
    pfx_rep_add_real(v, NULL, "statistic", NULL, test->statistic);
    add_treated(&test->treated, v);
    pfx_rep_add_real(v, NULL, "null", NULL, a->null);
    pfx_rep_add_flag(v, NULL, "joint", NULL, a->joint);
    if (a->instruments) pfx_rep_add_flag(v, NULL, "instruments", NULL, true);
    if (a->bootcluster) pfx_rep_add_text(v, NULL, "bootcluster", NULL, a->bootcluster);
    add_design(a, v);
}

void boot_wild_head(const boot_wild_about *a, pfx_rep_report *report)
{
    pfx_rep_add_text(&report->more, NULL, "p_value_type", NULL, pfx_wild_p_names[a->kind]);
    add_design(a, &report->more);
    pfx_str_addf(
        &report->note,
        "%s residuals (%s%s), type %s, %s weights of %lld clusters%s%s%s%s. Std. error: %s.\np-value: %s, %s "
        "against %g, by the share of replicates beyond the statistic.\n",
        a->unrestricted ? "Unrestricted" : "Restricted", a->unrestricted ? "WCU" : "WCR",
        a->instruments ? ", of both stages: WRE" : "", a->type, a->weights, (long long)a->n_boot,
        a->bootcluster ? " (" : "", a->bootcluster ? a->bootcluster : "", a->bootcluster ? ")" : "",
        a->enumerated ? ", all patterns of signs" : "",
        a->type[1] == '3' ? "CV3, by the jackknife" : "clustered", pfx_wild_p_names[a->kind],
        a->joint ? "F of all coefficients" : "t", a->null);
    if (a->invert)
        pfx_str_addf(&report->note, "invert: null values that are not rejected at %g %%.\n",
                     100 * (1 - a->level));
}
