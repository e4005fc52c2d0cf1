/* NIST StRD linear regression: certified digits reached. LRE = -log10 of the relative error, at most 15 (the
 * reference file's). Floors are what a QR in double precision reaches, a little below what was measured. */
#include <jansson.h>

#include "src/base/log.h"
#include "tests/est/refcase.h"

typedef struct nist_case {
    const char *name, *csv;
    int degree; /* of the polynomial in x; 0: the file's own columns */
    bool no_intercept;
    double coef, sd; /* digits asked for; sd = 0: certified zero */
    const char *solver;
} nist_case;

static double digits(double got, double want)
{
    if (got == want) return 15;
    double lre = -log10(fabs(got - want) / (want != 0 ? fabs(want) : 1));
    return lre > 15 ? 15 : lre;
}

static pfx_design *nist_design(const nist_case *c)
{
    ref_table *t = ref_read(ref_own(c->csv));
    int k = c->degree ? c->degree : t->n_cols - 1, p = k + 1;
    double *Z = calloc((size_t)(t->n * p), sizeof *Z);
    for (pfx_idx i = 0; i < t->n; i++) {
        Z[i * p + k] = strtod(t->cell[i][0], NULL);
        for (int j = 0; j < k; j++)
            Z[i * p + j] = c->degree ? (j ? Z[i * p + j - 1] : 1) * strtod(t->cell[i][1], NULL)
                                     : strtod(t->cell[i][j + 1], NULL);
    }
    pfx_design *d = ref_design_new(t->n, p, Z, !c->no_intercept);
    free(Z);
    ref_free(t);
    return d;
}

static void check(const nist_case *c)
{
    pfx_err err = {0};
    pfx_fit *f = NULL;
    pfx_design *d = nist_design(c);
    pfx_fit_options o = ref_options(PFX_VCOV_IID, PFX_SSC_FIXEST);
    json_t *file = json_load_file(ref_own("nist.ref.json"), 0, NULL), *ref = json_object_get(file, c->name);
    assert_non_null(ref);
    assert_ok(pfx_fit_ols(d, &o, &f, &err));
    assert_int_equal(f->n_collinear, 0);
    assert_int_equal(f->k, json_array_size(json_object_get(ref, "coef")));
    double coef = 15, sd = 15;
    for (int i = 0; i < f->k; i++) {
        double b = json_number_value(json_array_get(json_object_get(ref, "coef"), (size_t)i));
        double s = json_number_value(json_array_get(json_object_get(ref, "sd"), (size_t)i));
        coef = fmin(coef, digits(f->coef[i].estimate, b));
        sd = fmin(sd, s == 0 ? (f->coef[i].std_error < 1e-7 * fabs(b) ? 15 : 0)
                             : digits(f->coef[i].std_error, s));
    }
    double resid = strtod(json_string_value(json_array_get(json_object_get(ref, "resid_sd"), 0)), NULL);
    double r2 = digits(f->r2, strtod(json_string_value(json_object_get(ref, "r2")), NULL));
    double rs = resid == 0 ? 15 : digits(f->rmse_df, resid);
    print_message("%-9s digits: coef %4.1f  sd %4.1f  residual sd %4.1f  r2 %4.1f  condition %.1e  %s\n",
                  c->name, coef, sd, rs, r2, f->condition, f->solver);
    assert_true(coef >= c->coef);
    assert_true(sd >= c->sd);
    assert_true(rs >= fmin(c->sd, 11));
    assert_true(r2 >= 10);
    assert_string_equal(f->solver, c->solver);
    json_decref(file);
    pfx_fit_free(f);
    ref_design_free(d);
}

static void certified(void **state)
{
    (void)state;
    static const nist_case cases[] = {
        {"norris", "nist_norris.csv", 0, false, 12, 12, "cholesky"},
        {"pontius", "nist_pontius.csv", 2, false, 11, 11, "cholesky"},
        {"noint1", "nist_noint1.csv", 0, true, 14, 14, "cholesky"},
        {"noint2", "nist_noint2.csv", 0, true, 14, 14, "cholesky"},
        {"longley", "nist_longley.csv", 0, false, 11, 12.5, "cholesky"},
        {"wampler1", "nist_wampler1.csv", 5, false, 8, 0, "cholesky"},
        {"wampler2", "nist_wampler2.csv", 5, false, 10, 0, "cholesky"},
        {"wampler3", "nist_wampler3.csv", 5, false, 8, 12.5, "cholesky"},
        {"wampler4", "nist_wampler4.csv", 5, false, 7, 12.5, "cholesky"},
        {"wampler5", "nist_wampler5.csv", 5, false, 5, 12.5, "cholesky"},
        {"filip", "nist_filip.csv", 10, false, 6, 7, "qr"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check(&cases[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(certified)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
