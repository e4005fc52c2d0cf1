/* Stopping when decided: boundaries against the distribution of all paths in long double, the risk of a wrong
 * decision by counting, and decisions that do not come. */
#include "src/base/rng.h"
#include "src/rep/decide.h"
#include "tests/test.h"

enum { STEPS = 600 };

/* Slow twin: the probability of each count on the paths that have not crossed, and what was spent on each
 * side, from the definition: the least U with P(tau < n, up) + P(tau >= n, S_n >= U) <= eps_n, and L
 * likewise. */
static void boundaries(double alpha, int *low, int *high)
{
    static long double p[STEPS + 2], q[STEPS + 2];
    long double above = 0, below = 0;
    memset(p, 0, sizeof p);
    p[0] = 1;
    for (int n = 1; n <= STEPS; n++) {
        long double eps = 1e-3L * n / (n + 1000.0L), tail = 0;
        for (int j = 0; j <= n; j++)
            q[j] = (1 - (long double)alpha) * p[j] + (j ? (long double)alpha * p[j - 1] : 0);
        int u = n + 1, l = -1;
        for (tail = above; u > 0 && tail + q[u - 1] <= eps;) tail += q[--u];
        above = tail;
        for (tail = below; l + 1 < u && tail + q[l + 1] <= eps;) tail += q[++l];
        below = tail;
        for (int j = 0; j <= n; j++) p[j] = j > l && j < u ? q[j] : 0;
        low[n] = l;
        high[n] = u;
    }
}

static void test_boundaries(void **state)
{
    static int low[STEPS + 1], high[STEPS + 1];
    const double alphas[] = {0.05, 0.01, 0.5, 0.9};
    pfx_err err = {0};
    (void)state;
    for (size_t a = 0; a < sizeof alphas / sizeof *alphas; a++) {
        pfx_decide d;
        boundaries(alphas[a], low, high);
        assert_ok(pfx_decide_init(&d, alphas[a], &err));
        for (int n = 1; n <= STEPS; n++) {
            /* On the way of the expected count nothing is decided. */
            assert_ok(pfx_decide_add(&d, floor(n * alphas[a]) > floor((n - 1) * alphas[a]), &err));
            assert_int_equal(d.low, low[n]);
            assert_int_equal(d.high, high[n]);
            assert_int_equal(d.decided, 0);
        }
        assert_int_equal(d.n, STEPS);
        pfx_decide_free(&d);
    }
}

/* Draws with p on one side of alpha: all decide, and right up to the risk of 0.001. */
static void test_risk(void **state)
{
    pfx_err err = {0};
    int wrong = 0;
    (void)state;
    for (int i = 0; i < 400; i++) {
        double p = i % 2 ? 0.1 : 0.02;
        pfx_rng g;
        pfx_decide d;
        pfx_rng_start(&g, 11, PFX_RNG_TEST, (uint64_t)i);
        assert_ok(pfx_decide_init(&d, 0.05, &err));
        for (int n = 0; n < 20000 && !d.decided; n++)
            assert_ok(pfx_decide_add(&d, pfx_rng_uniform(&g) <= p, &err));
        assert_int_not_equal(d.decided, 0);
        wrong += d.decided != (i % 2 ? 1 : -1);
        pfx_idx n = d.n;
        assert_ok(pfx_decide_add(&d, true, &err));
        assert_int_equal(d.n, n);
        pfx_decide_free(&d);
    }
    assert_true(wrong <= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_boundaries), cmocka_unit_test(test_risk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
