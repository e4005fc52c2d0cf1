#include "src/est/dist.h"
#include "tests/test.h"

static void t_against_closed_forms(void **state)
{
    (void)state;
    /* df = 1: Cauchy; df = 2: algebraic. Far tails keep their digits. */
    for (double t = 1e-3; t < 1e9; t *= 3.7) {
        assert_rel(pfx_dist_t_p(t, 1), 2 / M_PI * atan(1 / t), 1e-13);
        double s = sqrt(2 + t * t);
        assert_rel(pfx_dist_t_p(-t, 2), 2 / (s * (s + t)), 1e-12);
    }
    /* Stata 13, stata_simpanel: 2 * ttail(2994, 26.996903601) and 2 * ttail(999, 26.507222888) */
    assert_rel(pfx_dist_t_p(26.996903601, 2994), 7.38871e-144, 1e-5);
    assert_rel(pfx_dist_t_p(26.507222888, 999), 1.14542e-117, 1e-5);
}

static void critical_value_inverts_p(void **state)
{
    (void)state;
    const double df[] = {1, 2, 3, 9, 49, 499, 1e5}, level[] = {0.5, 0.9, 0.95, 0.99, 0.999999};
    for (size_t i = 0; i < sizeof df / sizeof *df; i++)
        for (size_t j = 0; j < sizeof level / sizeof *level; j++)
            assert_rel(pfx_dist_t_p(pfx_dist_t_critical(level[j], df[i]), df[i]), 1 - level[j], 1e-12);
    assert_rel(pfx_dist_t_critical(0.95, 9), 2.2621571627982049, 1e-13); /* by 50-digit arithmetic */
}

static void tails_by_long_arithmetic(void **state)
{
    (void)state;
    /* Incomplete beta function to 60 digits. */
    assert_rel(pfx_dist_t_p(8.875036810000003, 49), 9.0598107012254167e-12, 1e-12);
    assert_rel(pfx_dist_t_p(26.996903601, 2994), 7.3887055207716649e-144, 1e-11);
    assert_rel(pfx_dist_t_p(2.2621571627982049, 9), 0.05000000000000000525, 1e-13);
    assert_rel(pfx_dist_f_p(3.5, 4, 20), 0.025385230866441275, 1e-12);
}

static void undefined_is_nan(void **state)
{
    (void)state;
    assert_true(isnan(pfx_dist_t_p(NAN, 5)) && isnan(pfx_dist_t_p(1, 0)) &&
                isnan(pfx_dist_t_critical(0.95, 0)));
    assert_true(isnan(pfx_dist_f_p(NAN, 1, 5)) && isnan(pfx_dist_f_p(1, 0, 5)) &&
                isnan(pfx_dist_f_p(1, 1, 0)));
    assert_true(pfx_dist_t_p(-INFINITY, 3) == 0 && pfx_dist_f_p(INFINITY, 1, 3) == 0);
}

/* The noncentral tail as an integral over the one normal variable that is not central: X = (Z +
 * sqrt(lambda))^2 + a central one of df - 1. Simpson's rule over the angle at which Z + sqrt(lambda) stands
 * to sqrt(x): smooth up to the ends. */
static double slow_tail(double x, double df, double lambda)
{
    enum { STEPS = 4000 };
    double r = sqrt(x), m = sqrt(lambda), h = M_PI / STEPS, inside = 0;
    for (int i = 0; i <= STEPS; i++) {
        double a = -M_PI / 2 + i * h, u = r * sin(a), left = x * cos(a) * cos(a), z = u - m;
        double y = r * cos(a) * exp(-z * z / 2) / sqrt(2 * M_PI) * (1 - pfx_dist_chi2_p(left, df - 1));
        inside += y * h / 3 * (i == 0 || i == STEPS ? 1 : i % 2 ? 4 : 2);
    }
    return 1 - inside;
}

static void test_noncentral(void **state)
{
    static const double df[] = {2, 3.5, 7, 12.25, 30}, lambda[] = {0, 1, 20, 140, 600};
    (void)state;
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++) {
            double x = pfx_dist_noncentral_chi2_critical(0.95, df[i], lambda[j]);
            assert_abs(slow_tail(x, df[i], lambda[j]), 0.05, 1e-8);
        }
    /* One degree of freedom: P(|Z + m| > c). */
    double m = sqrt(10), c = sqrt(pfx_dist_noncentral_chi2_critical(0.95, 1, 10));
    assert_rel(0.5 * erfc((c - m) / M_SQRT2) + 0.5 * erfc((c + m) / M_SQRT2), 0.05, 1e-12);
    /* A central one is the quantile that the tail inverts. */
    assert_rel(pfx_dist_chi2_p(pfx_dist_noncentral_chi2_critical(0.9, 4, 0), 4), 0.1, 1e-12);
    assert_true(isnan(pfx_dist_noncentral_chi2_critical(0.95, 0, 1)));
    assert_true(isnan(pfx_dist_noncentral_chi2_critical(0.95, 1, NAN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_against_closed_forms),   cmocka_unit_test(critical_value_inverts_p),
        cmocka_unit_test(tails_by_long_arithmetic), cmocka_unit_test(undefined_is_nan),
        cmocka_unit_test(test_noncentral),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
