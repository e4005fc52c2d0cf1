#include "src/est/dist.h"
#include "src/est/wald.h"
#include "tests/test.h"

static const char *const terms[] = {"(Intercept)", "x1",     "x12",        "year::2019",
                                    "l(x1, 1)",    "x1:x12", "odd - name", "\xe6\x94\xb6\xe5\x85\xa5",
                                    "d(q)",        "d"};
enum { K = 10 };
static const char *const dropped[] = {"gone"};

static pfx_status parse(const char *text, pfx_restrictions *w, pfx_err *err)
{
    return pfx_restrictions_parse(text, K, terms, 1, dropped, w, err);
}

/* Row i of the restrictions is want [K] = r. */
static void row_is(const pfx_restrictions *w, int i, const double *want, double r)
{
    for (int j = 0; j < K; j++) assert_abs(w->R[i * K + j], want[j], 1e-15);
    assert_abs(w->r[i], r, 1e-15);
}

static void forms(void **state)
{
    (void)state;
    pfx_err err = {0};
    static const struct {
        const char *text;
        double row[K], r;
    } one[] = {
        {"x1 - x12 = 0", {0, 1, -1}, 0},
        {"x1 = x12", {0, 1, -1}, 0},
        {"x1", {0, 1}, 0},
        {"x1==1", {0, 1}, 1},
        {"2*x1 + x12/4 = 3 - 1.5e0", {0, 2, 0.25}, 1.5},
        {"(Intercept) + (x1 - 2*(x12 + 1)) = 0", {1, 1, -2}, 2},
        {"-x1 + - -x12 = .5", {0, -1, 1}, 0.5},
        {"x1*2*3 - 1 = x12 * (1 + 1)", {0, 6, -2}, 1},
        {"year::2019 = l(x1, 1)", {0, 0, 0, 1, -1}, 0},
        {"x1:x12 = x1", {0, -1, 0, 0, 0, 1}, 0},
        {"`odd - name` = x1", {0, -1, 0, 0, 0, 0, 1}, 0},
        {"\xe6\x94\xb6\xe5\x85\xa5 = 2", {0, 0, 0, 0, 0, 0, 0, 1}, 2},
        {"d(q) = d", {0, 0, 0, 0, 0, 0, 0, 0, 1, -1}, 0},
    };
    for (size_t i = 0; i < sizeof one / sizeof *one; i++) {
        pfx_restrictions w;
        assert_ok(parse(one[i].text, &w, &err));
        assert_int_equal(w.q, 1);
        row_is(&w, 0, one[i].row, one[i].r);
        pfx_restrictions_clear(&w);
    }
}

static void several(void **state)
{
    (void)state;
    pfx_err err = {0};
    pfx_restrictions w;
    assert_ok(parse("x1 = x12 = 1, l(x1, 1) = 2", &w, &err));
    assert_int_equal(w.q, 3);
    row_is(&w, 0, (const double[K]){0, 1}, 1);
    row_is(&w, 1, (const double[K]){0, 0, 1}, 1);
    row_is(&w, 2, (const double[K]){0, 0, 0, 0, 1}, 2);
    pfx_restrictions_clear(&w);
}

static void messages(void **state)
{
    (void)state;
    pfx_err err = {0};
    pfx_restrictions w;
    assert_fails(parse("x1 - x13 = 0", &w, &err), PFX_EUSAGE, "no term 'x13' (column 6); did you mean 'x1");
    assert_fails(parse("gone = 0", &w, &err), PFX_EUSAGE, "gone (column 1) was dropped as collinear");
    assert_fails(parse("`x9", &w, &err), PFX_EUSAGE, "backtick at column 1");
    assert_fails(parse("`odd` = 0", &w, &err), PFX_EUSAGE, "no term 'odd'");
    assert_fails(parse("x1 * x12 = 0", &w, &err), PFX_EUSAGE, "'*' at column 4: a hypothesis must be linear");
    assert_fails(parse("1 / x1 = 0", &w, &err), PFX_EUSAGE, "linear");
    assert_fails(parse("x1 / 0 = 0", &w, &err), PFX_EUSAGE, "division by zero");
    assert_fails(parse("x1 =", &w, &err), PFX_EUSAGE, "ends where a term");
    assert_fails(parse("", &w, &err), PFX_EUSAGE, "ends where a term");
    assert_fails(parse("(x1 = 0", &w, &err), PFX_EUSAGE, "bracket at column 1");
    assert_fails(parse("x1 = 0 )", &w, &err), PFX_EUSAGE, "unexpected ')' at column 8");
    assert_fails(parse("x1 = 0, 1 = 1", &w, &err), PFX_EUSAGE, "the equation at column 8 says nothing");
    assert_fails(parse("x1 = 0, 2*x1 = 1", &w, &err), PFX_EUSAGE, "contradict");
    assert_fails(parse("x1 = 1.2.3", &w, &err), PFX_EUSAGE, "no number at column 6");
    assert_fails(parse("x1 = 2x12", &w, &err), PFX_EUSAGE, "no number at column 6");
    assert_fails(parse("x1 < 2", &w, &err), PFX_EUSAGE, "unexpected '<' at column 4");
    assert_fails(parse("\xe6\x94\xb6\xe5\x85\xa5 ? 2", &w, &err), PFX_EUSAGE, "'?' at column 4");
    char deep[200];
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_fails(parse(deep, &w, &err), PFX_EUSAGE, "nested too deeply");
}

static void statistic(void **state)
{
    (void)state;
    pfx_err err = {0};
    pfx_restrictions w;
    pfx_wald t;
    double b[K] = {1, 0.5, 0.3}, V[K * K] = {0};
    for (int i = 0; i < K; i++) V[i * K + i] = 0.04;
    V[1 * K + 2] = V[2 * K + 1] = 0.01;

    assert_ok(parse("x1 = x12 + 0.1", &w, &err));
    assert_ok(pfx_wald_test(&w, b, V, 30, &t, &err));
    assert_rel(t.estimate, 0.2, 1e-14);
    assert_rel(t.std_error, sqrt(0.04 + 0.04 - 0.02), 1e-14);
    assert_rel(t.statistic, 0.1 * 0.1 / 0.06, 1e-13);
    assert_rel(t.p_value, pfx_dist_t_p(0.1 / sqrt(0.06), 30), 1e-12);
    assert_true(t.df1 == 1 && t.df2 == 30);
    pfx_restrictions_clear(&w);

    /* Joint, by hand: inverse of [[.04, .01], [.01, .04]] is [[.04, -.01], [-.01, .04]] / .0015; a third,
     * redundant equation changes nothing. */
    double F = (0.04 * (0.25 + 0.09) - 2 * 0.01 * 0.15) / 0.0015 / 2;
    const char *text[] = {"x1 = x12 = 0", "x1 = 0, x12 = 0, x1 + x12 = 0"};
    for (int i = 0; i < 2; i++) {
        assert_ok(parse(text[i], &w, &err));
        assert_ok(pfx_wald_test(&w, b, V, 30, &t, &err));
        assert_rel(t.statistic, F, 1e-13);
        assert_true(t.df1 == 2 && isnan(t.estimate) && isnan(t.std_error));
        pfx_restrictions_clear(&w);
    }
    /* A variance of rank one bears no joint test. */
    V[1 * K + 2] = V[2 * K + 1] = 0.04;
    assert_ok(parse(text[0], &w, &err));
    assert_ok(pfx_wald_test(&w, b, V, 30, &t, &err));
    assert_true(isnan(t.statistic) && isnan(t.p_value));
    pfx_restrictions_clear(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(forms), cmocka_unit_test(several),
                                       cmocka_unit_test(messages), cmocka_unit_test(statistic)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
