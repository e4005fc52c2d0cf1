/* What benchmarks measure themselves against, and what they report. */
#include "tests/test.h"

#include "kernels/yardstick.h"
#include "src/report/bench.h"

static void test_yardsticks(void **state)
{
    (void)state;
    double a[200], b[200], c[200];
    for (int i = 0; i < 200; i++)
        b[i] = test_uniform(1, (uint64_t)i), c[i] = test_uniform(2, (uint64_t)i), a[i] = -1;
    for (pfx_idx n = 0; n < 199; n++) {
        long double sum = 0;
        for (pfx_idx i = 0; i < n; i++) sum += b[i];
        assert_abs(pfx_k_sum(n, b), (double)sum, 1e-13);
        pfx_k_triad(n, 3, b, c, a);
        for (pfx_idx i = 0; i < n; i++) assert_abs(a[i], b[i] + 3 * c[i], 0);
        assert_abs(a[n], -1, 0);
    }
}

static pfx_status count_calls(void *ctx, pfx_err *err)
{
    int *calls = ctx;
    if (++*calls == 1000) return pfx_fail(err, PFX_EDATA, "a thousand");
    return PFX_OK;
}

/* At least so many calls, more while there is time, no more than fifty; a failure ends it. */
static void test_best(void **state)
{
    (void)state;
    pfx_err err = {0};
    int calls = 0;
    double s = -1;
    assert_int_equal(pfx_bench_best(3, 0, count_calls, &calls, &s, &err), PFX_OK);
    assert_int_equal(calls, 3);
    assert_true(s >= 0 && s < 10);
    calls = 0;
    assert_int_equal(pfx_bench_best(3, 1e9, count_calls, &calls, &s, &err), PFX_OK);
    assert_int_equal(calls, 50);
    calls = 998;
    assert_int_equal(pfx_bench_best(3, 0, count_calls, &calls, &s, &err), PFX_EDATA);
    assert_int_equal(calls, 1000);
}

static int fields(const char *line)
{
    int n = 1;
    for (; *line && *line != '\n'; line++) n += *line == '\t';
    return n;
}

/* A message's tabs and line ends do not become fields and lines; what was not measured is empty. */
static void test_record(void **state)
{
    (void)state;
    const pfx_bench_machine machine = {2, "portable", "1.10"};
    pfx_bench_report r = {0};
    pfx_str out = {0};
    pfx_err err = {0};
    for (int i = 0; i < 70; i++) {
        pfx_bench_line l = pfx_bench_line_of(i ? "case" : "limit", i ? i : -1, i ? 12 : -1, 1);
        if (i) l.seconds = 0.5, l.rate = i, l.unit = "GB/s", l.limit = "read", l.limit_rate = 2.0 * i;
        if (i == 69) pfx_bench_verdict(&l, PFX_BENCH_FAIL, "one\ttwo\nthree");
        assert_int_equal(pfx_bench_add(&r, &l, &err), PFX_OK);
    }
    assert_int_equal(pfx_bench_failures(&r), 1);
    assert_int_equal(pfx_bench_record(&r, &machine, &out, &err), PFX_OK);
    assert_non_null(strstr(out.s, "# threads\t2\n"));
    assert_non_null(strstr(out.s, "\nlimit\t\t\t1\t\t\t\t\t\t\t\t\t\t\t\n"));
    assert_non_null(
        strstr(out.s, "\ncase\t69\t12\t1\t0.5\t69\tGB/s\t0.5\tread\t138\t\t\t\tFAIL\tone two three\n"));
    int lines = 0;
    for (const char *p = strstr(out.s, "\ncase\t"); p && p[1]; p = strchr(p + 1, '\n')) {
        assert_int_equal(fields(p + 1), 15);
        lines++;
    }
    assert_int_equal(lines, 71);
    pfx_str_free(&out);
    pfx_bench_report_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_yardsticks), cmocka_unit_test(test_best),
                                       cmocka_unit_test(test_record)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
