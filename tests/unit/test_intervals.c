/* Intervals and p-values from draws, against what they are by definition. */
#include "src/rep/intervals.h"
#include "tests/test.h"

enum { N = 999 };

/* P(at least x of n) where each has probability p, term by term. */
static double tail_of(int x, int n, double p)
{
    double sum = 0;
    for (int i = x; i <= n; i++)
        sum += exp(lgamma(n + 1) - lgamma(i + 1) - lgamma(n - i + 1) + i * log(p) + (n - i) * log1p(-p));
    return sum;
}

static void test_share(void **state)
{
    static const struct {
        int x, n;
        double level;
    } c[] = {{1, 20, 0.95}, {7, 20, 0.9}, {400, 999, 0.95}, {998, 999, 0.99}};
    double low, high;
    (void)state;
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        double tail = (1 - c[i].level) / 2;
        pfx_share_interval(c[i].x, c[i].n, c[i].level, &low, &high);
        assert_rel(tail_of(c[i].x, c[i].n, low), tail, 1e-9);
        assert_rel(1 - tail_of(c[i].x + 1, c[i].n, high), tail, 1e-9);
    }
    pfx_share_interval(0, 20, 0.95, &low, &high);
    assert_true(low == 0);
    assert_rel(high, 1 - pow(0.025, 1.0 / 20), 1e-12);
    pfx_share_interval(20, 20, 0.95, &low, &high);
    assert_true(high == 1);
    assert_rel(low, pow(0.025, 1.0 / 20), 1e-12);
}

static void test_known_quantiles(void **state)
{
    double b[2 * N], t[2 * N];
    pfx_err err = {0};
    pfx_boot_out o;
    (void)state;
    for (int i = 0; i < N; i++) { /* 1 .. 999 out of order, the other term beside it */
        b[2 * i] = 1 + i * 7 % N;
        t[2 * i] = (b[2 * i] - 500) / 100;
        b[2 * i + 1] = t[2 * i + 1] = NAN;
    }
    pfx_boot_in in = {
        .reps = N, .stride = 2, .b = b, .t = t, .estimate = 500, .std_error = 50, .level = 0.95};
    assert_ok(pfx_boot_summarise(&in, &o, &err));
    assert_int_equal(o.valid, N);
    assert_rel(o.low[PFX_CI_PERCENTILE], 25.0, 1e-14); /* (n + 1) p is a whole number */
    assert_rel(o.high[PFX_CI_PERCENTILE], 975.0, 1e-14);
    assert_rel(o.low[PFX_CI_BASIC], 25.0, 1e-14);
    assert_rel(o.high[PFX_CI_BASIC], 975.0, 1e-14);
    assert_rel(o.low[PFX_CI_T], 500 - 4.75 * 50, 1e-14);
    assert_rel(o.high[PFX_CI_T], 500 + 4.75 * 50, 1e-14);
    assert_rel(o.std_error, sqrt(N * (N + 1) / 12.0), 1e-12);
    assert_rel(o.high[PFX_CI_NORMAL], 500 + 1.959963984540054 * o.std_error, 1e-12);
    assert_rel(o.low[PFX_CI_BCA], 25.0, 1e-10); /* no bias, no acceleration: percentile */
    assert_rel(o.high[PFX_CI_BCA], 975.0, 1e-10);
    assert_rel(o.statistic, 10.0, 1e-15);
    assert_int_equal(o.count, 0);
    assert_rel(o.p_value, 1.0 / 1000, 1e-15);
    in.null = 350; /* t = 3: |t_r| >= 3 for b <= 200 and b >= 800, ties counted */
    assert_ok(pfx_boot_summarise(&in, &o, &err));
    assert_int_equal(o.count, 400);
    assert_rel(o.p_value, 401.0 / 1000, 1e-15);
    double low, high;
    pfx_share_interval(400, N, 0.95, &low, &high);
    assert_true(o.p_low == low && o.p_high == high);
    in.acceleration = 0.05;
    assert_ok(pfx_boot_summarise(&in, &o, &err));
    /* Levels Phi(z / (1 - a z)) at z = -+1.96. */
    double z = 1.959963984540054, lo = 0.5 * erfc(z / (1 + 0.05 * z) / sqrt(2)),
           hi = 0.5 * erfc(-z / (1 - 0.05 * z) / sqrt(2));
    assert_rel(o.low[PFX_CI_BCA], 1000 * lo, 1e-10);
    assert_rel(o.high[PFX_CI_BCA], 1000 * hi, 1e-10);
}

/* Draws of 1 in 4 clusters: everything but t is that of draws half as far from the estimate. */
static void test_scale(void **state)
{
    double b[N], half[N], t[N];
    pfx_err err = {0};
    (void)state;
    for (int i = 0; i < N; i++) {
        b[i] = 1 + i * 7 % N;
        half[i] = 450 + (b[i] - 450) / 2;
        t[i] = (b[i] - 450) / 100;
    }
    for (int by_t = 0; by_t < 2; by_t++) {
        pfx_boot_in in = {.reps = N,
                          .stride = 1,
                          .b = b,
                          .t = by_t ? t : NULL,
                          .estimate = 450,
                          .std_error = 50,
                          .null = 300,
                          .level = 0.95,
                          .scale = 0.5};
        pfx_boot_in other = in;
        pfx_boot_out x, y;
        other.b = half;
        other.scale = 0;
        assert_ok(pfx_boot_summarise(&in, &x, &err));
        assert_ok(pfx_boot_summarise(&other, &y, &err));
        assert_rel(x.std_error, sqrt(N * (N + 1) / 12.0) / 2, 1e-12);
        assert_int_equal(x.count, y.count);
        assert_in_range(x.count, 100, 900);
        assert_rel(x.statistic, y.statistic, 1e-12);
        for (int k = 0; k < PFX_CI_KINDS; k++) {
            if (isnan(y.low[k]) && isnan(x.low[k])) continue;
            assert_rel(x.low[k], y.low[k], 1e-12);
            assert_rel(x.high[k], y.high[k], 1e-12);
        }
    }
}

static void test_missing(void **state)
{
    double b[10] = {1, NAN, 3, 2, NAN, 5, 4, 7, 6, NAN};
    pfx_err err = {0};
    pfx_boot_out o;
    (void)state;
    pfx_boot_in in = {.reps = 10, .stride = 1, .b = b, .estimate = 4, .level = 0.5};
    assert_ok(pfx_boot_summarise(&in, &o, &err));
    assert_int_equal(o.valid, 7);
    assert_rel(o.low[PFX_CI_PERCENTILE], 2.0, 1e-14);
    assert_rel(o.high[PFX_CI_PERCENTILE], 6.0, 1e-14);
    assert_true(isnan(o.low[PFX_CI_T]));
    assert_rel(o.std_error, sqrt(28.0 / 6), 1e-14);
    assert_rel(o.p_value, 1.0 / 8, 1e-15); /* |b_r - 4| >= 4: none */
    for (int i = 0; i < 10; i++) b[i] = NAN;
    assert_ok(pfx_boot_summarise(&in, &o, &err));
    assert_int_equal(o.valid, 0);
    assert_true(isnan(o.std_error) && isnan(o.p_value) && isnan(o.p_low) && isnan(o.low[PFX_CI_BCA]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_share), cmocka_unit_test(test_known_quantiles),
                                       cmocka_unit_test(test_scale), cmocka_unit_test(test_missing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
