/* The JSON block "iv": first stages, and the statistics of the instruments. */
#include <stdio.h>

#include "src/est/iv.h"
#include "src/report/json_private.h"

static json_t *chi2(maker *k, pfx_iv_test t)
{
    json_t *o = need(k, json_object());
    set(k, o, "statistic", real(t.statistic));
    set(k, o, "df", whole(t.df1));
    set(k, o, "p_value", real(t.p_value));
    return o;
}

static json_t *f_test(maker *k, pfx_iv_test t)
{
    json_t *o = need(k, json_object());
    set(k, o, "statistic", real(t.statistic));
    set(k, o, "df1", whole(t.df1));
    set(k, o, "df2", whole(t.df2));
    set(k, o, "p_value", real(t.p_value));
    return o;
}

static json_t *stages(maker *k, const pfx_iv *iv)
{
    json_t *a = need(k, json_array());
    for (int j = 0; j < iv->n_endogenous; j++) {
        const pfx_iv_stage *s = &iv->stage[j];
        json_t *o = need(k, json_object());
        set(k, o, "endogenous", text(s->fit->outcome));
        set(k, o, "coefficients", pfx_json_coefficients(k, s->fit));
        set(k, o, "f_statistic", real(s->excluded.statistic));
        set(k, o, "f", f_test(k, s->excluded));
        set(k, o, "partial_r2", real(s->partial_r2));
        set(k, o, "shea_partial_r2", real(s->shea_r2));
        set(k, o, "sanderson_windmeijer", f_test(k, s->sw));
        set(k, o, "r2", real(s->fit->r2));
        set(k, o, "adj_r2", real(s->fit->adj_r2));
        set(k, o, "within_r2", real(s->fit->within_r2));
        set(k, o, "rmse", real(s->fit->rmse));
        push(k, a, o);
    }
    return a;
}

static json_t *critical(maker *k, const pfx_stock_yogo *c)
{
    json_t *o = need(k, json_object()), *bias = need(k, json_object()), *size = need(k, json_object());
    char key[16];
    for (int i = 0; i < PFX_STOCK_YOGO_BIAS; i++) {
        snprintf(key, sizeof key, "%.2f", pfx_stock_yogo_bias[i]);
        set(k, bias, key, real(c->bias[i]));
    }
    for (int i = 0; i < PFX_STOCK_YOGO_SIZE; i++) {
        snprintf(key, sizeof key, "%.2f", pfx_stock_yogo_size[i]);
        set(k, size, key, real(c->size[i]));
    }
    set(k, o, "maximal_bias", bias);
    set(k, o, "maximal_size", size);
    return o;
}

static json_t *effective_critical(maker *k, const pfx_iv *iv)
{
    json_t *o = need(k, json_object());
    char key[16];
    for (int i = 0; i < PFX_EFFECTIVE_BIAS; i++) {
        snprintf(key, sizeof key, "%.2f", pfx_effective_bias[i]);
        set(k, o, key, real(iv->effective_critical[i]));
    }
    return o;
}

/* Null for an end that is infinite. */
static json_t *anderson_rubin(maker *k, const pfx_iv *iv)
{
    static const char *const shape[] = {"none", "empty", "bounded", "unbounded"};
    json_t *o = f_test(k, iv->ar_f), *sets = need(k, json_array());
    set(k, o, "chi2", chi2(k, iv->ar_chi2));
    for (int i = 0; i < iv->ar_set.n; i++) {
        json_t *ends = need(k, json_array());
        for (int e = 0; e < 2; e++) push(k, ends, real(iv->ar_set.bounds[i][e]));
        push(k, sets, ends);
    }
    set(k, o, "set_shape", text(shape[iv->ar_set.shape]));
    set(k, o, "set", sets);
    return o;
}

json_t *pfx_json_iv(maker *k, const pfx_fit *f)
{
    const pfx_iv *iv = f->iv;
    json_t *o = need(k, json_object());
    set(k, o, "n_endogenous", count(iv->n_endogenous));
    set(k, o, "n_instruments", count(iv->n_instruments));
    set(k, o, "first_stage", stages(k, iv));
    set(k, o, "kp_rk_lm", chi2(k, iv->kp_lm));
    set(k, o, "kp_rk_wald_f", real(iv->kp_f));
    set(k, o, "cd_wald_f", real(iv->cd_f));
    set(k, o, "stock_yogo", critical(k, &iv->critical));
    set(k, o, "effective_f", real(iv->effective_f));
    set(k, o, "effective_f_df", real(iv->effective_df));
    set(k, o, "effective_f_critical", effective_critical(k, iv));
    json_t *j = chi2(k, iv->j);
    set(k, j, "type", text(f->vcov == PFX_VCOV_IID ? "sargan" : "hansen"));
    set(k, o, "sargan_hansen_j", j);
    set(k, o, "anderson_rubin", anderson_rubin(k, iv));
    set(k, o, "wu_hausman", f_test(k, iv->wu_hausman));
    set(k, o, "endogeneity", chi2(k, iv->endogeneity));
    return o;
}
