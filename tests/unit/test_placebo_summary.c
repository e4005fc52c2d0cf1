/* p-values and intervals of placebo draws, against their definitions by brute force. */
#include "src/rep/placebo_summary.h"
#include "tests/test.h"

enum { R = 199 };

typedef struct sample {
    double b[R], t[R], slope[R];
    pfx_placebo_draws d;
} sample;

static void fill(sample *s, double width)
{
    for (int r = 0; r < R; r++) {
        s->b[r] = 4 * test_uniform(1, (uint64_t)r) - 2;
        s->t[r] = s->b[r] * (0.5 + test_uniform(2, (uint64_t)r));
        s->slope[r] = width * (2 * test_uniform(3, (uint64_t)r) - 1);
    }
    s->d = (pfx_placebo_draws){.reps = R,
                               .b = s->b,
                               .t = s->t,
                               .slope = s->slope,
                               .estimate = 1.7,
                               .statistic = 1.9,
                               .level = 0.95,
                               .df_t = 30};
}

/* p of effect H by its definition. */
static double p_of(const sample *s, double H)
{
    int count = 0;
    for (int r = 0; r < R; r++)
        count += fabs(s->b[r] - H * s->slope[r]) >= fabs(s->d.estimate - H) * (1 - 1e-9);
    return s->d.all ? (double)count / R : (count + 1.0) / (R + 1.0);
}

static void test_p_values(void **state)
{
    (void)state;
    pfx_err err = {0};
    sample s;
    pfx_placebo_result x;
    fill(&s, 0.3);
    assert_ok(pfx_placebo_summarise(&s.d, &x, &err));
    assert_rel(x.p_value, p_of(&s, 0), 0);
    s.d.null = 0.5;
    assert_ok(pfx_placebo_summarise(&s.d, &x, &err));
    assert_rel(x.p_value, p_of(&s, 0.5), 0);
    s.d.null = 0;
    s.d.by_t = true;
    int count = 0, left = 0, right = 0;
    for (int r = 0; r < R; r++) {
        count += fabs(s.t[r]) >= 1.9;
        left += s.t[r] <= 1.9;
        right += s.t[r] >= 1.9;
    }
    assert_ok(pfx_placebo_summarise(&s.d, &x, &err));
    assert_int_equal(x.count, count);
    assert_rel(x.p_left, (left + 1) / 200.0, 1e-15);
    assert_rel(x.p_right, (right + 1) / 200.0, 1e-15);
    /* Ties count, missing draws do not. */
    s.t[0] = -1.9 * (1 - 1e-12);
    s.t[1] = NAN;
    s.d.statistic = 1.9;
    pfx_placebo_result y;
    assert_ok(pfx_placebo_summarise(&s.d, &y, &err));
    assert_int_equal(y.valid, R - 1);
    s.t[0] = 0;
    assert_ok(pfx_placebo_summarise(&s.d, &x, &err));
    assert_int_equal(y.count, x.count + 1);
}

/* Binomial tails at the ends are what Clopper and Pearson ask for. */
static double tail(int n, int from, int to, double p)
{
    double sum = 0;
    for (int k = from; k <= to; k++)
        sum +=
            exp(lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0) + k * log(p) + (n - k) * log1p(-p));
    return sum;
}

static void test_clopper_pearson(void **state)
{
    (void)state;
    for (int c = 0; c <= R; c += c == 0 ? 1 : 33) {
        pfx_err err = {0};
        sample s;
        pfx_placebo_result x;
        fill(&s, 0.3);
        for (int r = 0; r < R; r++) s.b[r] = r < c ? 3 : 0.1;
        assert_ok(pfx_placebo_summarise(&s.d, &x, &err));
        assert_int_equal(x.count, c);
        if (c > 0) assert_rel(tail(R, c, R, x.p_low), 0.025, 1e-9);
        if (c < R) assert_rel(tail(R, 0, c, x.p_high), 0.025, 1e-9);
        assert_true(x.p_low <= (double)c / R && x.p_high >= (double)c / R);
    }
}

/* Inside the interval no effect is rejected, a step outside all are. */
static void test_interval(void **state)
{
    (void)state;
    for (int all = 0; all < 2; all++) {
        pfx_err err = {0};
        sample s;
        pfx_placebo_result x;
        fill(&s, 0.6);
        s.d.all = all;
        assert_ok(pfx_placebo_summarise(&s.d, &x, &err));
        double alpha = 1 - s.d.level, width = x.conf_high - x.conf_low;
        assert_true(isfinite(width) && width > 0);
        for (int i = 0; i <= 1000; i++) {
            double in = x.conf_low + width * (1e-6 + (1 - 2e-6) * i / 1000), out = (1e-6 + 0.01 * i) * width;
            assert_true(p_of(&s, in) > alpha);
            assert_false(p_of(&s, x.conf_low - out) > alpha);
            assert_false(p_of(&s, x.conf_high + out) > alpha);
        }
    }
    /* Slopes beyond one: effects that cannot be rejected. */
    pfx_err err = {0};
    sample s;
    pfx_placebo_result x;
    fill(&s, 3);
    assert_ok(pfx_placebo_summarise(&s.d, &x, &err));
    assert_true(isinf(x.conf_low) && isinf(x.conf_high));
    fill(&s, 0.3);
    s.d.reps = 10; /* too few for 5 % */
    assert_ok(pfx_placebo_summarise(&s.d, &x, &err));
    assert_true(isinf(x.conf_low) && isinf(x.conf_high));
}

static void test_significant(void **state)
{
    (void)state;
    pfx_err err = {0};
    sample s;
    pfx_placebo_result x;
    fill(&s, 0.3);
    /* t(30): 1.697261, 2.042272, 2.749996. */
    for (int r = 0; r < R; r++) s.t[r] = r < 20 ? 2.75 : r < 50 ? -2.0423 : r < 90 ? 1.6973 : 1.697;
    assert_ok(pfx_placebo_summarise(&s.d, &x, &err));
    assert_rel(x.significant[0], 90.0 / R, 1e-15);
    assert_rel(x.significant[1], 50.0 / R, 1e-15);
    assert_rel(x.significant[2], 20.0 / R, 1e-15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p_values),
        cmocka_unit_test(test_clopper_pearson),
        cmocka_unit_test(test_interval),
        cmocka_unit_test(test_significant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
