/* Tables of an OLS fit: coefficients, fit statistics, F, hypotheses. */
#include "src/est/ols_private.h"

#include <math.h>
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/est/dist.h"
#include "src/est/wald.h"
#include "src/model/design.h"

static pfx_status fill_coefficients(pfx_ols *m, pfx_err *err)
{
    pfx_fit *f = m->f;
    if (!(f->coef = pfx_mem_calloc(m->k, sizeof *f->coef, err))) return PFX_ENOMEM;
    for (int i = 0; i < m->k; i++, f->k++) {
        int j = i - m->intercept;
        pfx_coef *c = &f->coef[i];
        if (!(c->term = pfx_mem_strdup(j < 0 ? "(Intercept)" : m->d->name[m->s->keep[j]], err)))
            return PFX_ENOMEM;
        c->estimate = j < 0 ? m->b0 : m->s->b[j];
        c->std_error = sqrt(f->V[i * m->k + i]);
        c->statistic = c->estimate / c->std_error;
        c->df = m->df ? m->df[i] : m->ssc.df_t;
        c->p_value = pfx_dist_t_p(c->statistic, c->df);
        double critical = pfx_dist_t_critical(m->o->level, c->df);
        c->conf_low = c->estimate - critical * c->std_error;
        c->conf_high = c->estimate + critical * c->std_error;
    }
    return PFX_OK;
}

static void fill_statistics(pfx_ols *m)
{
    /* As in solve.c: what is left of a constant (or absorbed) outcome is rounding. */
    static const double constant2 = 1e-26, absorbed2 = 1e-18, perfect2 = 1e-26;
    const double *gram = pfx_absorber_gram(m->a);
    int y = m->y;
    bool mean_out = pfx_design_removes_mean(m->d);
    double raw = pfx_absorber_raw(m->a)[y], centred = pfx_absorber_centred(m->a)[y],
           within = gram[y * m->p + y];
    double tss = mean_out ? centred : raw, df = m->ssc.df_residual;
    double removed = m->d->n_absorbed > 0 ? m->ssc.df_absorbed : m->intercept;
    bool varies = tss > 0 && (!mean_out || centred > constant2 * raw);
    pfx_fit *f = m->f;

    f->df_residual = df;
    f->df_absorbed = (pfx_idx)m->ssc.df_absorbed;
    f->df_t = m->ssc.df_t;
    f->k_adj = m->ssc.k_adj;
    f->ssr = m->ssr * m->w_scale;
    f->tss = tss * m->w_scale;
    f->r2 = varies ? 1 - m->ssr / tss : NAN;
    f->adj_r2 = varies ? 1 - (m->ssr / df) / (tss / (m->n - mean_out)) : NAN;
    const char *formula = m->d->formula ? m->d->formula : "formula";
    if (!varies) pfx_warn("%s: the outcome is constant in the sample, there is nothing to explain", formula);
    varies = varies && within > absorbed2 * tss;
    if (varies && m->ssr < perfect2 * within && !f->first_stage)
        pfx_warn("%s: a perfect fit up to rounding: its standard errors and tests mean nothing", formula);
    f->within_r2 = varies ? 1 - m->ssr / within : NAN;
    f->adj_within_r2 = varies ? 1 - (m->ssr / df) / (within / (m->n - removed)) : NAN;
    f->rmse = sqrt(m->ssr / m->sum_w);
    f->rmse_df = sqrt(f->ssr / df);
    f->log_likelihood = -0.5 * m->n * (log(2 * M_PI) + log(f->ssr / m->n) + 1);
}

/* Degrees of freedom of a test of restrictions R [q x k] (NULL: of all slopes): where each coefficient has its own, the
 * least of those tested. */
static double test_df(const pfx_ols *m, int q, const double *R)
{
    double df = m->ssc.df_t;
    for (int j = R ? 0 : m->intercept; m->df && j < m->k; j++) {
        bool tested = !R;
        for (int i = 0; i < q; i++) tested |= R && R[(pfx_idx)i * m->k + j] != 0;
        if (tested && !(m->df[j] >= df)) df = m->df[j];
    }
    return df;
}

/* All slopes are zero. */
static pfx_status fill_f(pfx_ols *m, pfx_err *err)
{
    pfx_fit *f = m->f;
    int k = m->k, i0 = m->intercept, q = k - i0;
    f->f = f->f_p = NAN;
    f->f_df1 = q;
    f->f_df2 = test_df(m, 0, NULL);
    if (q == 0) return PFX_OK;
    pfx_idx qq = (pfx_idx)q * q;
    double *S = pfx_mem_alloc(2 * qq + 2 * q, sizeof *S, err);
    if (!S) return PFX_ENOMEM;
    double *b = S + qq, *work = b + q;
    for (int i = 0; i < q; i++) {
        b[i] = f->coef[i + i0].estimate;
        for (int j = 0; j < q; j++) S[i * q + j] = f->V[(i + i0) * k + j + i0];
    }
    f->f = pfx_quadratic_form(q, S, b, work) / q;
    f->f_p = pfx_dist_f_p(f->f, f->f_df1, f->f_df2);
    pfx_mem_free(S);
    return PFX_OK;
}

static pfx_status fill_tests(pfx_ols *m, pfx_err *err)
{
    pfx_status st = PFX_OK;
    pfx_fit *f = m->f;
    if (m->o->n_tests == 0) return PFX_OK;
    const char **terms = pfx_mem_alloc(m->k, sizeof *terms, err);
    double *b = pfx_mem_alloc(m->k, sizeof *b, err);
    if (!terms || !b || !(f->tests = pfx_mem_calloc(m->o->n_tests, sizeof *f->tests, err))) {
        st = PFX_ENOMEM;
        goto done;
    }
    for (int i = 0; i < m->k; i++) {
        terms[i] = f->coef[i].term;
        b[i] = f->coef[i].estimate;
    }
    for (int t = 0; t < m->o->n_tests && st == PFX_OK; t++) {
        pfx_restrictions w = {0};
        pfx_wald *test = &f->tests[f->n_tests++];
        st = pfx_restrictions_parse(m->o->tests[t], m->k, terms, f->n_collinear,
                                    (const char *const *)f->collinear, &w, err);
        if (st == PFX_OK) st = pfx_wald_test(&w, b, f->V, test_df(m, w.q, w.R), test, err);
        if (st == PFX_OK && !(test->hypothesis = pfx_mem_strdup(m->o->tests[t], err))) st = PFX_ENOMEM;
        pfx_restrictions_clear(&w);
    }
done:
    pfx_mem_free(terms);
    pfx_mem_free(b);
    return st;
}

pfx_status pfx_ols_tables(pfx_ols *m, pfx_err *err)
{
    pfx_status st = fill_coefficients(m, err);
    if (st != PFX_OK) return st;
    fill_statistics(m);
    if ((st = fill_f(m, err)) != PFX_OK) return st;
    return fill_tests(m, err);
}
