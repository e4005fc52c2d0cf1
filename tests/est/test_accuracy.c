/* Digits of a fit against quadruple precision on hard designs, and what a fit says about its own accuracy. */
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "tests/est/hard_designs.h"
#include "tests/est/refcase.h"
#include "tests/est/wide_ols.h"

static pfx_fit *fit(pfx_design *d)
{
    pfx_err err = {0};
    pfx_fit *f = NULL;
    pfx_fit_options o = ref_options(PFX_VCOV_CLUSTER, PFX_SSC_NONE);
    assert_ok(pfx_fit_ols(d, &o, &f, &err));
    return f;
}

/* Of both, at least the floors, and what the condition and the loss in absorbing leave of 15, less one. The
 * condition is right to a factor of p. */
static void digits(void **state)
{
    (void)state;
    for (int i = 0; i < n_hard_designs; i++) {
        const hard_design *h = &hard_designs[i];
        pfx_design *d = h->make(h->size);
        wide_fit w = wide_ols(d);
        pfx_fit *f = fit(d);
        wide_digits g = wide_compare(&w, f);
        double due = 14 - log10(w.kappa * w.loss);
        if (g.b < h->b_digits || g.se < h->se_digits || g.b < due)
            fail_msg("%s %g: %.1f digits of coefficients (floor %.1f, due %.1f), %.1f of standard errors "
                     "(floor %.1f)",
                     h->name, h->size, g.b, h->b_digits, due, g.se, h->se_digits);
        if (f->condition > w.kappa * 1.01 || f->condition * d->p < w.kappa)
            fail_msg("%s %g: condition %.3e, singular values say %.3e", h->name, h->size, f->condition,
                     w.kappa);
        assert_int_equal(f->n_collinear, 0);
        pfx_fit_free(f);
        pfx_design_free(d);
    }
}

/* The yardstick itself: y = 3 x + firm effect exactly, T = 2; by hand, one more row with an error. */
static void yardstick(void **state)
{
    (void)state;
    double Z[] = {1, 13, 2, 16, 4, 112, 8, 124.5};
    int32_t firm[] = {0, 0, 1, 1};
    pfx_design *d = ref_design_new(4, 2, Z, false);
    ref_add_effect(d, "firm", 2, firm);
    ref_add_cluster(d, "firm", 2, firm);
    wide_fit w = wide_ols(d);
    /* Within differences: x 1, 4; y 3, 12.5. b = (3 + 50) / 17; residuals of the differences e; h = x / 17 */
    double b = 53.0 / 17, e0 = 3 - b, e1 = 12.5 - 4 * b;
    assert_rel(w.b[0], b, 1e-15);
    assert_rel(w.ssr, (e0 * e0 + e1 * e1) / 2, 1e-12);
    assert_rel(w.se[0], sqrt(e0 * e0 + 16 * e1 * e1) / 17, 1e-12);
    assert_rel(w.kappa, 1, 1e-15);
    ref_design_free(d);
}

static int count_warnings(void)
{
    int n = 0;
    while (pfx_warning(n)) n++;
    return n;
}

static pfx_design *named(const char *name, double size)
{
    for (int i = 0; i < n_hard_designs; i++)
        if (strcmp(hard_designs[i].name, name) == 0) return hard_designs[i].make(size);
    fail_msg("no design %s", name);
    return NULL;
}

/* A warning beyond a pivot ratio of 1e5 (1.1 times the size here), a QR beyond 1e4, neither short of it. */
static void warns(void **state)
{
    (void)state;
    static const double sizes[] = {10, 8.5e3, 9.5e3, 8.5e4, 9.5e4, 1e7};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pfx_design *d = named("near collinear, firm + year", sizes[i]);
        int before = count_warnings();
        pfx_fit *f = fit(d);
        assert_int_equal(count_warnings() - before, sizes[i] > 9e4);
        if (sizes[i] > 9e4) assert_non_null(strstr(pfx_warning(before), "ill-conditioned"));
        assert_string_equal(f->solver, sizes[i] > 9e3 ? "qr" : "cholesky");
        pfx_fit_free(f);
        pfx_design_free(d);
    }
}

/* Numbers whose squares leave the range are refused by name, not turned into nonsense. */
static void range(void **state)
{
    (void)state;
    static const double sizes[] = {1e160, 1e-150};
    for (int i = 0; i < 4; i++) {
        pfx_err err = {0};
        pfx_fit *f = NULL;
        pfx_fit_options o = ref_options(PFX_VCOV_CLUSTER, PFX_SSC_NONE);
        pfx_design *d = named("plain", 1);
        int col = i < 2 ? 1 : d->p - 1;
        for (pfx_idx r = 0; r < d->n; r++) d->Z[r * d->p + col] *= sizes[i % 2];
        assert_fails(pfx_fit_ols(d, &o, &f, &err), PFX_EDATA,
                     i < 2 ? "x1: its numbers are too" : "y: its numbers are too");
        pfx_design_free(d);
    }
}

/* Of 150 firm dummies and 15 dummies of groups of firms, ahead of or behind two regressors: the groups that
 * firms imply go, and the rest is the fit with firms absorbed. near: one more regressor is all but collinear.
 */
static void dense(bool weighted, bool near)
{
    enum { FIRMS = 150, YEARS = 4, N = FIRMS * YEARS, GROUPS = 15 };
    int k = FIRMS - 1 + GROUPS + 2 + near, p = k + 1, pa = 3 + near;
    double *Z = calloc((size_t)N * (size_t)p, sizeof *Z), *Za = calloc((size_t)N * (size_t)pa, sizeof *Za);
    int32_t firm[N];
    for (pfx_idx i = 0; i < N; i++) {
        double *z = Z + i * p, *za = Za + i * pa;
        firm[i] = (int32_t)(i / YEARS);
        za[0] = test_uniform(1, (uint64_t)i) + test_uniform(2, (uint64_t)firm[i]);
        za[1] = test_uniform(3, (uint64_t)i);
        if (near) za[2] = za[1] + 1e-6 * test_uniform(6, (uint64_t)i);
        za[2 + near] = za[0] - za[1] + test_uniform(4, (uint64_t)i) + test_uniform(5, (uint64_t)firm[i]);
        z[0] = za[0];
        if (firm[i] > 0) z[firm[i]] = 1;
        z[FIRMS + firm[i] % GROUPS] = 1;
        for (int j = 1; j < pa; j++) z[FIRMS + GROUPS + j - 1] = za[j];
    }
    pfx_design *d[2] = {ref_design_new(N, p, Z, true), ref_design_new(N, pa, Za, false)};
    ref_add_effect(d[1], "firm", FIRMS, firm);
    pfx_fit *f[2];
    int before = count_warnings();
    for (int m = 0; m < 2; m++) {
        ref_add_cluster(d[m], "firm", FIRMS, firm);
        d[m]->w = weighted ? pfx_mem_alloc(N, sizeof *d[m]->w, NULL) : NULL;
        d[m]->weights_kind = weighted ? PFX_W_ANALYTIC : PFX_W_NONE;
        for (pfx_idx i = 0; weighted && i < N; i++) d[m]->w[i] = 0.1 + test_uniform(7, (uint64_t)i);
        f[m] = fit(d[m]);
    }
    assert_int_equal(f[0]->n_collinear, GROUPS);
    assert_string_equal(f[0]->collinear[0], "x150");
    assert_non_null(strstr(pfx_warning(before), "x154 (collinear with the terms before it), and 10 more"));
    assert_string_equal(f[0]->solver, near ? "qr" : "cholesky");
    for (int j = 0; j < pa - 1; j++) {
        const pfx_coef *c = &f[0]->coef[j == 0 ? 1 : f[0]->k - pa + 1 + j], *want = &f[1]->coef[j];
        double tol = near ? 1e-7 : 1e-11;
        assert_rel(c->estimate, want->estimate, tol);
        assert_rel(c->std_error, want->std_error, tol);
    }
    for (int m = 0; m < 2; m++) {
        pfx_fit_free(f[m]);
        ref_design_free(d[m]);
    }
    free(Z);
    free(Za);
}

static void many_dense(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) dense(i & 1, i & 2);
}

/* The same bits at any number of threads where the rows are whitened and where a QR serves. */
static void threads(void **state)
{
    (void)state;
    static const double sizes[] = {1e3, 1e6};
    for (int i = 0; i < 2; i++) {
        double first[6];
        for (int nth = 1; nth <= 7; nth += 3) {
            pfx_err err = {0};
            pfx_fit *f = NULL;
            pfx_fit_options o = ref_options(PFX_VCOV_CLUSTER, PFX_SSC_NONE);
            pfx_design *d = named("near collinear, firm + year", sizes[i]);
            o.nth = nth;
            assert_ok(pfx_fit_ols(d, &o, &f, &err));
            double now[6];
            for (int j = 0; j < 3; j++) now[j] = f->coef[j].estimate, now[3 + j] = f->coef[j].std_error;
            if (nth == 1) memcpy(first, now, sizeof now);
            assert_same_bits(now, first, 6);
            pfx_fit_free(f);
            pfx_design_free(d);
        }
    }
}

int main(void)
{
    pfx_err err = {0};
    if (pfx_par_single_thread_blas(&err) != PFX_OK) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(yardstick),  cmocka_unit_test(digits),
                                       cmocka_unit_test(warns),      cmocka_unit_test(range),
                                       cmocka_unit_test(many_dense), cmocka_unit_test(threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
