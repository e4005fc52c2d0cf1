#include "tests/test.h"
#include "src/base/mem.h"
#include "src/base/text.h"

/* The obvious twin: the C library's strtod over the trimmed text, if it takes all of it and if it is no nan
 * or hexadecimal number. */
static bool slow_double(const char *s, double *out)
{
    char *end;
    while (*s && strchr(" \t\r\n\v\f", *s)) s++;
    *out = strtod(s, &end);
    if (end == s || strpbrk(s, "xXpP") || (strpbrk(s, "nN") && !strpbrk(s, "iI"))) return false;
    while (*end && strchr(" \t\r\n\v\f", *end)) end++;
    return *end == '\0';
}

static void same_as_strtod(const char *s)
{
    double fast = 0, slow = 0;
    bool a = pfx_text_double(s, strlen(s), &fast), b = slow_double(s, &slow);
    if (a == b && (!a || memcmp(&fast, &slow, sizeof fast) == 0)) return;
    print_error("\"%s\": %d %.17g, strtod %d %.17g\n", s, a, fast, b, slow);
    fail();
}

static void doubles_by_hand(void **state)
{
    (void)state;
    static const char *const texts[] = {"0",
                                        "-0",
                                        "+0",
                                        "1",
                                        "-1",
                                        "+1.5",
                                        ".5",
                                        "5.",
                                        ".",
                                        "",
                                        " ",
                                        "  3.25\t",
                                        "\n7\r\n",
                                        "1 2",
                                        "1e5",
                                        "1E5",
                                        "1e+5",
                                        "1e-5",
                                        "1e",
                                        "1e+",
                                        "e5",
                                        "1e5.5",
                                        "--1",
                                        "+-1",
                                        "1,234",
                                        "12abc",
                                        "0x1A",
                                        "0x1p3",
                                        "nan",
                                        "NaN",
                                        "inf",
                                        "-Inf",
                                        "+INFINITY",
                                        "infinit",
                                        "in",
                                        "inff",
                                        "1e308",
                                        "1.7976931348623157e308",
                                        "1.7976931348623159e308",
                                        "1e309",
                                        "-1e400",
                                        "1e-400",
                                        "4.9e-324",
                                        "2.4703282292062327e-324",
                                        "2.4703282292062328e-324",
                                        "2.2250738585072011e-308",
                                        "9007199254740992",
                                        "9007199254740993",
                                        "9007199254740994",
                                        "18446744073709551615",
                                        "18446744073709551616",
                                        "0.1",
                                        "0.30000000000000004",
                                        "1e22",
                                        "1e23",
                                        "8.5e22",
                                        "123456789012345678901234567890",
                                        "000000000000000000001",
                                        "0.000000000000000000000000000000000001",
                                        "00012.5000000000000000000000000",
                                        "1e99999999999999999999",
                                        "1e-99999999999999999999",
                                        "0e999999999",
                                        "1_000",
                                        "1d5",
                                        "\302\2401",
                                        "9223372036854775807.5",
                                        "5e-1000000",
                                        "1.",
                                        "1.e3",
                                        ".e3",
                                        "+.5e1",
                                        "-.",
                                        "1e 5",
                                        "1 e5"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) same_as_strtod(texts[i]);
    double v;
    assert_true(pfx_text_double("12345", 3, &v)); /* n counts, not the NUL */
    assert_true(v == 123);
    assert_false(pfx_text_double("1\0"
                                 "2",
                                 3, &v));
}

/* A number with that many digits and power of ten. */
static void make_text(uint64_t i, char *s, size_t size)
{
    char digits[64];
    int n = 1 + (int)(test_uniform(1, i) * 25), power = (int)(test_uniform(2, i) * 80) - 50;
    for (int d = 0; d < n; d++) digits[d] = (char)('0' + (int)(test_uniform(100 + (uint64_t)d, i) * 10));
    digits[n] = '\0';
    int point = (int)(test_uniform(3, i) * (n + 1));
    if (test_uniform(4, i) < 0.5)
        snprintf(s, size, "%s%.*s.%se%d", i % 2 ? "-" : "", point, digits, digits + point, power);
    else
        snprintf(s, size, "%s%.*s.%s", i % 2 ? "-" : "", point, digits, digits + point);
}

static void doubles_of_all_lengths(void **state)
{
    (void)state;
    char s[128];
    for (uint64_t i = 0; i < 300000; i++) {
        make_text(i, s, sizeof s);
        same_as_strtod(s);
    }
}

/* Where the last digit decides: numbers that lie halfway between two doubles, and their neighbours. */
static void doubles_near_halfway(void **state)
{
    (void)state;
    char s[64];
    for (uint64_t i = 0; i < 100000; i++) {
        double a = floor(test_uniform(5, i) * 9e15);
        uint64_t halfway = 2 * (uint64_t)(a + 9007199254740992.0) + 1;
        for (int shift = -1; shift <= 1; shift++) {
            int scale = (int)(test_uniform(6, i) * 20);
            snprintf(s, sizeof s, "%llue-%d",
                     (unsigned long long)halfway + (unsigned long long)(long long)shift, scale);
            same_as_strtod(s);
        }
    }
    for (uint64_t i = 0; i < 100000; i++) { /* what %.17g writes comes back */
        double a = (test_uniform(7, i) - 0.5) * pow(10, floor(test_uniform(8, i) * 30) - 15), b = 0;
        snprintf(s, sizeof s, "%.17g", a);
        assert_true(pfx_text_double(s, strlen(s), &b));
        assert_same_bits(&a, &b, 1);
    }
}

static void integers(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        bool ok;
        pfx_idx v;
    } cases[] = {{"0", true, 0},
                 {"-0", true, 0},
                 {" 42 ", true, 42},
                 {"+7", true, 7},
                 {"-13", true, -13},
                 {"", false, 0},
                 {"-", false, 0},
                 {"1.0", false, 0},
                 {"1e3", false, 0},
                 {"12a", false, 0},
                 {"9223372036854775807", true, INT64_MAX},
                 {"9223372036854775808", false, 0},
                 {"-9223372036854775808", true, INT64_MIN},
                 {"-9223372036854775809", false, 0},
                 {"99999999999999999999", false, 0},
                 {"000000000000000000000000012", true, 12}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pfx_idx v = 0;
        assert_int_equal(pfx_text_idx(cases[i].s, strlen(cases[i].s), &v), cases[i].ok);
        if (cases[i].ok) assert_true(v == cases[i].v);
    }
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        bool ok;
        size_t v;
    } cases[] = {{"0", true, 0},
                 {"1048576", true, 1048576},
                 {"64K", true, 65536},
                 {"512M", true, 512u << 20},
                 {"2g", true, (size_t)2 << 30},
                 {"1T", true, (size_t)1 << 40},
                 {"1.5G", true, (size_t)3 << 29},
                 {"2GiB", true, (size_t)2 << 30},
                 {"2GB", true, (size_t)2 << 30},
                 {"100 M", true, 100u << 20},
                 {"M", false, 0},
                 {"", false, 0},
                 {"-1G", false, 0},
                 {"1X", false, 0},
                 {"1e30", false, 0},
                 {"inf", false, 0},
                 {"12abc", false, 0},
                 {"99999999T", false, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t v = 0;
        if (pfx_text_size(cases[i].s, &v) != cases[i].ok || (cases[i].ok && v != cases[i].v)) {
            print_error("%s: %zu\n", cases[i].s, v);
            fail();
        }
    }
}

static void nearest_name(void **state)
{
    (void)state;
    static const char *const names[] = {"firm", "year", "lnEmployee", "lnFirmAge", "ROA", "TobinQ", "IDC"};
    static const struct {
        const char *typed, *want;
    } cases[] = {{"lnEmploye", "lnEmployee"},
                 {"lnemployee", "lnEmployee"},
                 {"lnFrimAge", "lnFirmAge"},
                 {"roa", "ROA"},
                 {"frim", "firm"},
                 {"yaer", "year"},
                 {"Tobinq", "TobinQ"},
                 {"IDD", "IDC"},
                 {"xyz", NULL},
                 {"", NULL},
                 {"employees", "lnEmployee"},
                 {"employer", NULL},
                 {"lnE", NULL},
                 {"q", NULL},
                 {"firms", "firm"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = pfx_text_nearest(cases[i].typed, 7, names);
        if (!got != !cases[i].want || (got && strcmp(got, cases[i].want) != 0)) {
            print_error("%s: %s, want %s\n", cases[i].typed, got, cases[i].want);
            fail();
        }
    }
    assert_null(pfx_text_nearest("firm", 0, names));
    char longest[600];
    memset(longest, 'a', sizeof longest - 1);
    longest[599] = '\0';
    const char *two[] = {longest, "a"};
    assert_null(pfx_text_nearest(longest, 2, two));
}

static void utf8(void **state)
{
    (void)state;
    assert_int_equal(pfx_text_width(""), 0);
    assert_int_equal(pfx_text_width("abc"), 3);
    assert_int_equal(pfx_text_width("\xe5\xae\x89\xe5\xbe\xbd"), 4); /* two Chinese characters */
    assert_int_equal(pfx_text_width("e\xcc\x81"), 1);                /* a combining accent */
    assert_int_equal(pfx_text_width("\xc3\xa9t\xc3\xa9"), 3);
    assert_int_equal(pfx_text_width("\xef\xbc\xa1"), 2); /* fullwidth A */
    assert_int_equal(pfx_text_width("\xff\xfe"), 2);     /* not UTF-8: a column a byte */
    static const struct {
        const char *s;
        bool ok;
    } cases[] = {
        {"plain", true},         {"\xe5\xae\x89", true},  {"\xf0\x9f\x98\x80", true},  {"\xc0\x80", false},
        {"\xe0\x80\x80", false}, {"\xed\xa0\x80", false}, {"\xf4\x90\x80\x80", false}, {"\x80", false},
        {"\xe5\xae", false},     {"\xff", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(pfx_text_is_utf8(cases[i].s, strlen(cases[i].s)), cases[i].ok);
    assert_false(pfx_text_is_utf8("\xe5\xae\x89", 2));
}

static void growing_string(void **state)
{
    (void)state;
    pfx_str b = {0};
    char want[20000] = "";
    size_t len = 0;
    for (int i = 0; i < 2000; i++) {
        pfx_str_addf(&b, "%d,", i);
        len += (size_t)sprintf(want + len, "%d,", i);
    }
    pfx_str_addn(&b, "xyz", 2);
    pfx_str_add(&b, "");
    assert_int_equal(b.len, len + 2);
    assert_memory_equal(b.s, want, len);
    assert_string_equal(b.s + len, "xy");
    pfx_str_clear(&b);
    assert_int_equal(b.len, 0);
    assert_string_equal(b.s, "");
    pfx_str_free(&b);
    assert_null(b.s);
    /* Out of memory is remembered, and what was there stays. */
    pfx_str_add(&b, "kept");
    char big[1000];
    memset(big, 'x', sizeof big);
    pfx_mem_fail_at(1);
    pfx_str_addn(&b, big, sizeof big);
    assert_true(b.failed);
    pfx_str_add(&b, "more");
    assert_string_equal(b.s, "kept");
    pfx_mem_fail_at(0);
    pfx_str_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_by_hand),
        cmocka_unit_test(doubles_of_all_lengths),
        cmocka_unit_test(doubles_near_halfway),
        cmocka_unit_test(integers),
        cmocka_unit_test(sizes),
        cmocka_unit_test(nearest_name),
        cmocka_unit_test(utf8),
        cmocka_unit_test(growing_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
