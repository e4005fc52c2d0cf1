/* Statistics of the instruments in the regression table. */
#include "src/report/regression_private.h"

#include <math.h>
#include <stdio.h>

#include "src/base/text.h"
#include "src/est/iv.h"

/* The number of a row for a column of the table; NaN leaves it empty. */
typedef double (*get_fn)(const pfx_fit *f);

static const pfx_iv *iv_of(const pfx_fit *f)
{
    return f->first_stage ? NULL : f->iv;
}

static double get_excluded(const pfx_fit *f)
{
    return f->first_stage ? f->first_stage->excluded.statistic : NAN;
}
static double get_sw(const pfx_fit *f)
{
    return f->first_stage && f->first_stage->sw.df1 < f->first_stage->excluded.df1
               ? f->first_stage->sw.statistic
               : NAN;
}
static double get_partial(const pfx_fit *f)
{
    return f->first_stage ? f->first_stage->partial_r2 : NAN;
}
static double get_kp_lm(const pfx_fit *f)
{
    return iv_of(f) ? f->iv->kp_lm.statistic : NAN;
}
static double get_kp_lm_p(const pfx_fit *f)
{
    return iv_of(f) ? f->iv->kp_lm.p_value : NAN;
}
static double get_kp_f(const pfx_fit *f)
{
    return iv_of(f) ? f->iv->kp_f : NAN;
}
static double get_cd_f(const pfx_fit *f)
{
    return iv_of(f) ? f->iv->cd_f : NAN;
}
static double get_effective(const pfx_fit *f)
{
    return iv_of(f) ? f->iv->effective_f : NAN;
}
static double get_j(const pfx_fit *f)
{
    return iv_of(f) && f->iv->j.df1 > 0 ? f->iv->j.statistic : NAN;
}
static double get_j_p(const pfx_fit *f)
{
    return iv_of(f) && f->iv->j.df1 > 0 ? f->iv->j.p_value : NAN;
}
static double get_ar(const pfx_fit *f)
{
    return iv_of(f) ? f->iv->ar_f.statistic : NAN;
}
static double get_ar_p(const pfx_fit *f)
{
    return iv_of(f) ? f->iv->ar_f.p_value : NAN;
}
static double get_wh(const pfx_fit *f)
{
    return iv_of(f) ? f->iv->wu_hausman.statistic : NAN;
}
static double get_wh_p(const pfx_fit *f)
{
    return iv_of(f) ? f->iv->wu_hausman.p_value : NAN;
}

static const struct {
    const char *label;
    get_fn get, p; /* p in brackets below, or NULL */
} rows[] = {
    {"F of the instruments", get_excluded, NULL},
    {"Sanderson-Windmeijer F", get_sw, NULL},
    {"Partial R2", get_partial, NULL},
    {"Kleibergen-Paap rk LM (p)", get_kp_lm, get_kp_lm_p},
    {"Kleibergen-Paap rk Wald F", get_kp_f, NULL},
    {"Cragg-Donald F", get_cd_f, NULL},
    {"Effective F", get_effective, NULL},
    {"Sargan-Hansen J (p)", get_j, get_j_p},
    {"Anderson-Rubin F (p)", get_ar, get_ar_p},
    {"Wu-Hausman F (p)", get_wh, get_wh_p},
};

static void cells(pfx_table *t, int n, pfx_fit *const *fits, get_fn get, int digits, bool bracket)
{
    for (int m = 0; m < n; m++) {
        double x = get(fits[m]);
        if (isnan(x))
            pfx_table_empty(t);
        else if (bracket)
            pfx_table_bracket(t, x, digits);
        else
            pfx_table_num(t, x, digits);
    }
}

void pfx_regression_iv_rows(pfx_table *t, int n, pfx_fit *const *fits, int digits)
{
    bool ruled = false;
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        bool any = false;
        for (int m = 0; m < n; m++) any |= !isnan(rows[r].get(fits[m]));
        if (!any) continue;
        if (!ruled) pfx_table_rule(t);
        ruled = true;
        pfx_table_row(t);
        pfx_table_text(t, rows[r].label);
        cells(t, n, fits, rows[r].get, digits, false);
        if (!rows[r].p) continue;
        pfx_table_row(t);
        pfx_table_empty(t);
        cells(t, n, fits, rows[r].p, digits, true);
    }
}

static void add_set(pfx_str *s, const pfx_iv_set *set)
{
    if (set->shape == PFX_IV_EMPTY) pfx_str_add(s, "empty: no value is accepted");
    for (int i = 0; i < set->n; i++) {
        const double *b = set->bounds[i];
        pfx_str_add(s, i ? " and " : "");
        if (isinf(b[0]) && isinf(b[1]))
            pfx_str_add(s, "the whole line");
        else if (isinf(b[0]))
            pfx_str_addf(s, "(-inf, %.6g]", b[1]);
        else if (isinf(b[1]))
            pfx_str_addf(s, "[%.6g, inf)", b[0]);
        else
            pfx_str_addf(s, "[%.6g, %.6g]", b[0], b[1]);
    }
    if (set->shape == PFX_IV_UNBOUNDED)
        pfx_str_add(s, ", unbounded: the instruments are weak");
    else if (set->n > 1)
        pfx_str_add(s, ", disjoint");
}

static void critical_values(pfx_table *t, const pfx_iv *iv, const char *who)
{
    pfx_str s = {0};
    for (int i = 0; i < PFX_STOCK_YOGO_BIAS; i++)
        if (!isnan(iv->critical.bias[i]))
            pfx_str_addf(&s, "%s%.2f (%.0f %% bias)", s.len ? ", " : "", iv->critical.bias[i],
                         100 * pfx_stock_yogo_bias[i]);
    for (int i = 0; i < PFX_STOCK_YOGO_SIZE; i++)
        if (!isnan(iv->critical.size[i]))
            pfx_str_addf(&s, "%s%.2f (%.0f %% size)", s.len ? ", " : "", iv->critical.size[i],
                         100 * pfx_stock_yogo_size[i]);
    if (s.len)
        pfx_table_note(
            t, "%sStock-Yogo critical values of the Cragg-Donald F (for independent, identical errors): %s.",
            who, s.s);
    pfx_str_free(&s);
}

static void effective_values(pfx_table *t, const pfx_iv *iv, const char *who)
{
    const double *c = iv->effective_critical, *tau = pfx_effective_bias;
    if (isnan(iv->effective_df)) return;
    pfx_table_note(t,
                   "%sCritical values of the effective F (Montiel Olea and Pflueger 2013, simplified): %.2f "
                   "(%.0f %% bias), "
                   "%.2f (%.0f %%), %.2f (%.0f %%), %.2f (%.0f %%).",
                   who, c[0], 100 * tau[0], c[1], 100 * tau[1], c[2], 100 * tau[2], c[3], 100 * tau[3]);
}

void pfx_regression_iv_notes(pfx_table *t, const pfx_fit *f, const char *who)
{
    const pfx_iv *iv = f->iv;
    pfx_str names = {0}, set = {0};
    for (int j = 0; j < iv->n_endogenous; j++)
        pfx_str_addf(&names, "%s%s", j ? ", " : "", iv->stage[j].fit->outcome);
    pfx_table_note(t, "%sTwo-stage least squares, endogenous: %s; %d excluded instrument%s.", who,
                   names.s ? names.s : "", iv->n_instruments, iv->n_instruments == 1 ? "" : "s");
    if (pfx_vcov_leaves_out(f->vcov))
        pfx_table_note(t, "%sFirst stages and statistics of the instruments: clustered by %s (CRV1).", who,
                       f->clusters[0].name);
    critical_values(t, iv, who);
    effective_values(t, iv, who);
    if (iv->ar_set.shape != PFX_IV_NONE) {
        add_set(&set, &iv->ar_set);
        pfx_table_note(t, "%sAnderson-Rubin %g %% confidence set of %s: %s.", who, 100 * iv->level,
                       names.s ? names.s : "", set.s ? set.s : "");
    }
    pfx_str_free(&names);
    pfx_str_free(&set);
}
