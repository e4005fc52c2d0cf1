/* 2SLS and its statistics against ivreg2 4.1's own output, 15 digits and more: coefficients, variances, first
 * stages, rank tests, J, Anderson-Rubin, endogeneity. Stata held the data in single precision. Its F of the
 * model keeps the small-sample factor without `small`; we have it with the rule. */
#include "src/est/iv.h"
#include "tests/est/refcase.h"

typedef struct ivreg2_case {
    const char *stem, *data, *kind; /* files stem_WHAT_kind.csv */
    const char *x, *d, *z, *y, *clusters, *weights;
    pfx_vcov_type vcov;
    double tol; /* the CSV's eight digits leave some numbers a bit off Stata's: see below */
} ivreg2_case;

#define CARD "exper expersq black south", "educ"
static const ivreg2_case cases[] = {
    {"card_just_id", "card_data", "iid", CARD, "nearc4", "lwage", NULL, NULL, PFX_VCOV_IID, 1e-9},
    {"card_just_id", "card_data", "hc1", CARD, "nearc4", "lwage", NULL, NULL, PFX_VCOV_HC1, 1e-9},
    {"card_overid", "card_data", "iid", CARD, "nearc2 nearc4", "lwage", NULL, NULL, PFX_VCOV_IID, 1e-9},
    {"card_overid", "card_data", "hc1", CARD, "nearc2 nearc4", "lwage", NULL, NULL, PFX_VCOV_HC1, 1e-9},
    {"sim_multi_endo", "sim_multi_endo_data", "iid", "x1 x2", "endo1 endo2", "z1 z2 z3 z4", "y", NULL, NULL,
     PFX_VCOV_IID, 1e-8},
    {"sim_multi_endo", "sim_multi_endo_data", "hc1", "x1 x2", "endo1 endo2", "z1 z2 z3 z4", "y", NULL, NULL,
     PFX_VCOV_HC1, 1e-8},
    {"sim_cluster", "sim_cluster_data", "iid", "x1", "endo1", "z1 z2", "y", NULL, NULL, PFX_VCOV_IID, 1e-8},
    {"sim_cluster", "sim_cluster_data", "hc1", "x1", "endo1", "z1 z2", "y", NULL, NULL, PFX_VCOV_HC1, 1e-8},
    {"sim_cluster", "sim_cluster_data", "cl", "x1", "endo1", "z1 z2", "y", "cluster_id", NULL,
     PFX_VCOV_CLUSTER, 1e-8},
    {"sim_twoway", "sim_twoway_data", "cl2", "x1", "endo1", "z1 z2", "y", "firm_id year_id", NULL,
     PFX_VCOV_TWOWAY, 1e-8},
    {"sim_twoway", "sim_twoway_data", "cl2_wt", "x1", "endo1", "z1 z2", "y", "firm_id year_id", "wt",
     PFX_VCOV_TWOWAY, 1e-8},
};

static ref_table *fixture(const ivreg2_case *c, const char *what, bool small)
{
    char name[256];
    snprintf(name, sizeof name, "ivreg2_fixtures/%s_%s_%s%s.csv", c->stem, what, c->kind,
             small ? "_small" : "");
    return ref_read(test_refdata(name));
}

static int compared;

/* Nothing where ivreg2 has nothing. A p-value is as sensitive as its statistic is large: twice ln(1/p) + 2.
 */
static void same(const ivreg2_case *c, const char *what, const char *text, double got)
{
    double want = strtod(text, NULL);
    if (!*text || strcmp(text, ".") == 0) return;
    compared++;
    if (test_rel_equal(got, want, c->tol) || fabs(got - want) < 1e-12 * fabs(want) + 1e-300) return;
    print_error("%s %s: %s: %.15g, ivreg2 %s\n", c->stem, c->kind, what, got, text);
    fail();
}

static void same_p(const ivreg2_case *c, const char *what, const char *text, double got)
{
    double want = strtod(text, NULL);
    if (!*text || want == 0) return;
    compared++;
    if (test_rel_equal(got, want, c->tol * 2 * (1 - log(want)))) return;
    print_error("%s %s: %s: %.15g, ivreg2 %s\n", c->stem, c->kind, what, got, text);
    fail();
}

static const char *cell(const ref_table *t, pfx_idx row, const char *name)
{
    for (int j = 0; j < t->n_cols; j++)
        if (strcmp(t->name[j], name) == 0) return t->cell[row][j];
    fail_msg("no column %s", name);
    return "";
}

static const char *term_of(const char *name)
{
    return strcmp(name, "_cons") == 0 ? "(Intercept)" : name;
}

static void check_coefficients(const ivreg2_case *c, const pfx_fit *f, bool small)
{
    ref_table *b = fixture(c, "coef", small), *V = fixture(c, "vcov", small);
    assert_int_equal(b->n, f->k);
    for (pfx_idx i = 0; i < b->n; i++) {
        const pfx_coef *x = ref_coef(f, term_of(cell(b, i, "term")));
        same(c, x->term, cell(b, i, "estimate"), x->estimate);
        same(c, "its standard error", cell(b, i, "std_error"), x->std_error);
    }
    for (pfx_idx i = 0; i < V->n; i++)
        for (pfx_idx j = 0; j < V->n; j++) {
            const char *ti = term_of(cell(V, i, "term")), *tj = term_of(cell(V, j, "term"));
            pfx_idx a = ref_coef(f, ti) - f->coef, e = ref_coef(f, tj) - f->coef;
            /* ivreg2 wrote 16 decimals; an entry that cancels is as exact as the diagonal */
            assert_abs(f->V[a * f->k + e], strtod(V->cell[i][1 + j], NULL),
                       2e-16 + c->tol * sqrt(f->V[a * f->k + a] * f->V[e * f->k + e]));
        }
    ref_free(b);
    ref_free(V);
}

static void check_diagnostics(const ivreg2_case *c, const pfx_fit *f, bool small)
{
    ref_table *t = fixture(c, "diagnostics", small);
    const pfx_iv *iv = f->iv;
#define SAME(key, x) same(c, key, cell(t, 0, key), x)
#define SAME_P(key, x) same_p(c, key, cell(t, 0, key), x)
    SAME("N", (double)f->n_obs);
    SAME("r2", f->r2);
    SAME("rss", f->ssr);
    SAME("rmse", small ? f->rmse_df : sqrt(f->ssr / f->n_obs));
    if (small) {
        SAME("F_stat", f->f);
        SAME("F_df2", f->f_df2);
        SAME_P("F_p", f->f_p);
    }
    if (iv->j.df1 > 0) SAME("j", iv->j.statistic);
    SAME("jdf", iv->j.df1);
    SAME_P("jp", iv->j.p_value);
    SAME("idstat", iv->kp_lm.statistic);
    SAME("iddf", iv->kp_lm.df1);
    SAME_P("idp", iv->kp_lm.p_value);
    SAME("cdf", iv->cd_f);
    SAME("widstat", iv->kp_f);
    SAME("arf", iv->ar_f.statistic);
    SAME_P("arfp", iv->ar_f.p_value);
    SAME("archi2", iv->ar_chi2.statistic);
    SAME_P("archi2p", iv->ar_chi2.p_value);
    SAME("ardf", iv->ar_f.df1);
    SAME("ardf_r", iv->ar_f.df2);
    SAME("estat", iv->endogeneity.statistic);
    SAME_P("estatp", iv->endogeneity.p_value);
    SAME("estatdf", iv->endogeneity.df1);
    ref_free(t);
}

static void check_first_stages(const ivreg2_case *c, const pfx_fit *f, bool small)
{
    ref_table *t = fixture(c, "firststage", small);
    assert_int_equal(t->n_cols, 1 + f->iv->n_endogenous);
    for (pfx_idx r = 0; r < t->n; r++)
        for (int j = 0; j < f->iv->n_endogenous; j++) {
            const pfx_iv_stage *s = &f->iv->stage[j];
            const char *key = t->cell[r][0], *want = t->cell[r][1 + j];
            assert_string_equal(t->name[1 + j], s->fit->outcome);
            if (strcmp(key, "F") == 0) same(c, key, want, s->excluded.statistic);
            if (strcmp(key, "df") == 0) same(c, key, want, s->excluded.df1);
            if (strcmp(key, "df_r") == 0) same(c, key, want, s->excluded.df2);
            if (strcmp(key, "pvalue") == 0) same_p(c, key, want, s->excluded.p_value);
            if (strcmp(key, "rmse") == 0) same(c, key, want, s->fit->rmse_df);
            if (strcmp(key, "pr2") == 0) same(c, key, want, s->partial_r2);
            if (strcmp(key, "sheapr2") == 0) same(c, key, want, s->shea_r2);
            if (strcmp(key, "SWF") == 0) same(c, key, want, s->sw.statistic);
            if (strcmp(key, "SWFdf1") == 0) same(c, key, want, s->sw.df1);
            if (strcmp(key, "SWFp") == 0) same_p(c, key, want, s->sw.p_value);
        }
    ref_free(t);
}

static void test_ivreg2(void **state)
{
    (void)state;
    SKIP_WITHOUT("ivreg2_fixtures/card_data.csv");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int small = 0; small < 2; small++) {
            const ivreg2_case *c = &cases[i];
            char name[256];
            snprintf(name, sizeof name, "ivreg2_fixtures/%s.csv", c->data);
            ref_table *t = ref_read(test_refdata(name));
            ref_spec s = {.y = c->y,
                          .x = c->x,
                          .endogenous = c->d,
                          .instruments = c->z,
                          .clusters = c->clusters,
                          .weights = c->weights,
                          .single = true};
            pfx_fit *f = ref_fit(t, &s, ref_options(c->vcov, small ? PFX_SSC_FIXEST : PFX_SSC_NONE));
            compared = 0;
            check_coefficients(c, f, small);
            check_diagnostics(c, f, small);
            check_first_stages(c, f, small);
            assert_true(compared >= 30);
            print_message("%s %s%s: %d numbers\n", c->stem, c->kind, small ? " small" : "", compared);
            pfx_fit_free(f);
            ref_free(t);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ivreg2)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
