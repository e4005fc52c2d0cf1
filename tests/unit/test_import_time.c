/* Times: the calendar against the C library's, texts, and the choice of a unit. */
#include <time.h>
#include "src/data/import_time.h"
#include "tests/test.h"

static void test_calendar(void **unused)
{
    (void)unused;
    for (int64_t day = -800000; day < 800000; day += 37) {
        int y, m, d;
        time_t t = day * 86400;
        struct tm tm;
        gmtime_r(&t, &tm);
        pfx_time_civil(day, &y, &m, &d);
        if (y != tm.tm_year + 1900 || m != tm.tm_mon + 1 || d != tm.tm_mday)
            fail_msg("day %lld is %d-%d-%d", (long long)day, y, m, d);
        assert_int_equal(pfx_time_days(y, m, d), day);
    }
}

/* The unit that the texts give, and the step of the first. */
static pfx_time_unit unit_of(int n, const char *const *texts, double *first)
{
    pfx_time_scan s;
    pfx_time_plan p;
    pfx_err err = {0};
    pfx_time_scan_init(&s, true, (pfx_time_code){0});
    for (int i = 0; i < n; i++)
        if (!pfx_time_scan_text(&s, texts[i])) fail_msg("%s is no time", texts[i]);
    assert_ok(pfx_time_decide(&s, -1, "t", &p, &err));
    *first = pfx_time_of_text(&p, texts[0]);
    return p.unit;
}

static void expect_unit(const char *a, const char *b, const char *c, pfx_time_unit unit, double first)
{
    const char *texts[] = {a, b, c};
    double got;
    pfx_time_unit u = unit_of(3, texts, &got);
    if (u != unit || got != first)
        fail_msg("%s, %s, %s: unit %d, first %g; want %d, %g", a, b, c, (int)u, got, (int)unit, first);
}

static void test_texts(void **unused)
{
    (void)unused;
    expect_unit("2019q1", "2019Q2", "2019-Q4", PFX_TIME_QUARTER, 196);
    expect_unit("2019 Q1", "2019:q2", "2020q1", PFX_TIME_QUARTER, 196);
    expect_unit("2019m3", "2019M12", "2020-m1", PFX_TIME_MONTH, 590);
    expect_unit("2019-03", "2019/12", "2020-01", PFX_TIME_MONTH, 590);
    expect_unit("1969h2", "1970h1", "1970h2", PFX_TIME_HALF, -1);
    expect_unit("2019w1", "2019-W05", "2019w52", PFX_TIME_WEEK, 49 * 52);
    expect_unit("01", "02", "10", PFX_TIME_INDEX, 1);
    expect_unit("1999-12-31", "2000-12-31", "2002-12-31", PFX_TIME_YEAR, 1999);
    expect_unit("31dec1999", "31-Dec-2000", "31 DEC 2002", PFX_TIME_YEAR, 1999);
    expect_unit("2019-02-28", "2020-02-29", "2021-02-28", PFX_TIME_YEAR, 2019);
    expect_unit("2019-03-31", "2019-06-30", "2019-12-31", PFX_TIME_QUARTER, 196);
    expect_unit("2019-01-01", "2019-04-01", "2019-10-01", PFX_TIME_QUARTER, 196);
    expect_unit("2019-06-30", "2019-12-31", "2020-06-30", PFX_TIME_HALF, 98);
    expect_unit("2019-01-31", "2019-02-28", "2019-03-31", PFX_TIME_MONTH, 588);
    expect_unit("2019-01-01", "2019-02-01", "2019-03-01", PFX_TIME_MONTH, 588);
    expect_unit("1970-01-01", "1970-01-02", "1970-01-05", PFX_TIME_DAY, 0);
    expect_unit("1970/01/02", "1970.01.03", "1970-01-04T00:00:00", PFX_TIME_DAY, 1);
    expect_unit("19700102", "19700103", "19710104", PFX_TIME_DAY, 1);
    expect_unit("2019-12-31", "2019-12-31", "2019-12-31", PFX_TIME_DAY, 18261);
}

static void test_not_times(void **unused)
{
    static const char *const texts[] = {"foo",        "2019q5",     "2019m13",         "2019-13",
                                        "2019-02-30", "31/12/1999", "2019q",           "2019w53",
                                        "",           "12abc",      "2019-12-31 10:00"};
    pfx_time_scan s;
    (void)unused;
    pfx_time_scan_init(&s, true, (pfx_time_code){0});
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (pfx_time_scan_text(&s, texts[i])) fail_msg("\"%s\" is taken for a time", texts[i]);
}

static pfx_status decide(int n, const double *v, int override, pfx_time_code code, pfx_time_plan *p,
                         pfx_err *err)
{
    pfx_time_scan s;
    pfx_time_scan_init(&s, false, code);
    for (int i = 0; i < n; i++) pfx_time_scan_number(&s, v[i]);
    return pfx_time_decide(&s, override, "t", p, err);
}

static void test_numbers(void **unused)
{
    pfx_time_plan p;
    pfx_err err = {0};
    const pfx_time_code none = {0}, stata_q = {true, PFX_TIME_QUARTER, 1, -40},
                        seconds = {true, PFX_TIME_DAY, 86400, -3653};
    (void)unused;
    assert_ok(decide(2, (double[]){2010, 2011}, -1, none, &p, &err));
    assert_int_equal(p.unit, PFX_TIME_YEAR);
    assert_ok(decide(2, (double[]){1, 2}, -1, none, &p, &err));
    assert_int_equal(p.unit, PFX_TIME_INDEX);
    assert_ok(decide(2, (double[]){1, 2}, PFX_TIME_QUARTER, none, &p, &err));
    assert_int_equal(p.unit, PFX_TIME_QUARTER);
    assert_true(pfx_time_of_number(&p, 2) == 2);
    assert_ok(decide(2, (double[]){201903, 201912}, -1, none, &p, &err));
    assert_int_equal(p.unit, PFX_TIME_MONTH);
    assert_true(pfx_time_of_number(&p, 201903) == 590);
    assert_ok(decide(2, (double[]){19991231, 20001231}, -1, none, &p, &err));
    assert_int_equal(p.unit, PFX_TIME_YEAR);
    assert_true(pfx_time_of_number(&p, 20001231) == 2000);
    assert_ok(decide(2, (double[]){19991231, 20001231}, PFX_TIME_DAY, none, &p, &err));
    assert_true(pfx_time_of_number(&p, 19991231) == (double)pfx_time_days(1999, 12, 31));
    assert_ok(decide(2, (double[]){19991231, 20001231}, PFX_TIME_INDEX, none, &p, &err));
    assert_true(pfx_time_of_number(&p, 19991231) == 19991231);
    assert_ok(decide(2, (double[]){200, 201}, -1, stata_q, &p, &err)); /* 2010q1, 2010q2 */
    assert_int_equal(p.unit, PFX_TIME_QUARTER);
    assert_true(pfx_time_of_number(&p, 200) == 160);
    assert_ok(decide(2, (double[]){86400.0 * 3653, 86400.0 * 3655}, -1, seconds, &p, &err));
    assert_true(p.unit == PFX_TIME_DAY && pfx_time_of_number(&p, 86400.0 * 3655) == 2);
    assert_ok(decide(2, (double[]){200, 204}, PFX_TIME_YEAR, stata_q, &p, &err));
    assert_true(pfx_time_of_number(&p, 204) == 2011);
    assert_fails(decide(2, (double[]){2010.5, 2011}, -1, none, &p, &err), PFX_EDATA, "not whole");
    assert_fails(decide(2, (double[]){200, 201}, PFX_TIME_MONTH, stata_q, &p, &err), PFX_EUSAGE, "coarser");
}

static void test_mixed_texts_fail(void **unused)
{
    pfx_time_scan s;
    pfx_time_plan p;
    pfx_err err = {0};
    (void)unused;
    pfx_time_scan_init(&s, true, (pfx_time_code){0});
    assert_true(pfx_time_scan_text(&s, "2019q1") && pfx_time_scan_text(&s, "2019m1"));
    assert_fails(pfx_time_decide(&s, -1, "t", &p, &err), PFX_EDATA, "different kinds");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_calendar), cmocka_unit_test(test_texts),
                                       cmocka_unit_test(test_not_times), cmocka_unit_test(test_numbers),
                                       cmocka_unit_test(test_mixed_texts_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
