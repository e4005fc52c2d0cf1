/* Numbers from cells: against strtod, and what their text tells. */
#include "src/data/csv_number.h"
#include "tests/test.h"

static uint64_t bits_of(double v)
{
    uint64_t b;
    memcpy(&b, &v, sizeof b);
    return b;
}

static void check(const char *text)
{
    double got = 0, want = strtod(text, NULL);
    if (!pfx_cell_is_number(pfx_csv_number(text, strlen(text), &got)) || bits_of(got) != bits_of(want))
        fail_msg("\"%s\": %a, strtod gives %a", text, got, want);
}

static uint64_t state = 42;
static uint64_t next_u64(void)
{
    state += 0x9E3779B97F4A7C15u;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Doubles of every size as printed with 15 to 17 digits, and decimals with a random point and exponent. */
static void test_random_against_strtod(void **unused)
{
    char s[64];
    (void)unused;
    for (int i = 0; i < 1000000; i++) {
        double v;
        uint64_t b = next_u64();
        memcpy(&v, &b, sizeof v);
        if (!isfinite(v)) continue;
        snprintf(s, sizeof s, "%.*g", 15 + i % 3, v);
        check(s);
        v = ((double)(b >> 11) * 0x1p-53 - 0.5) * exp2((double)(b % 60));
        snprintf(s, sizeof s, "%.*g", 15 + i % 3, v);
        check(s);
    }
    for (int i = 0; i < 1000000; i++) {
        int n = 1 + (int)(next_u64() % 20), point = (int)(next_u64() % (unsigned)(n + 1)), k = 0;
        if (next_u64() % 2) s[k++] = '-';
        for (int j = 0; j < n; j++) {
            if (j == point) s[k++] = '.';
            s[k++] = (char)('0' + next_u64() % 10);
        }
        s[k] = '\0';
        if (i % 3 == 0) snprintf(s + k, sizeof s - (size_t)k, "e%d", (int)(next_u64() % 60) - 30);
        check(s);
    }
}

/* Halfway between two doubles: ties go to the even one, and a digit far behind decides. */
static void test_halves(void **unused)
{
    static const char *const texts[] = {"9007199254740993",
                                        "9007199254740993.0000000001",
                                        "9007199254740995",
                                        "0.1",
                                        "1e23",
                                        "8.5e22",
                                        "4.35",
                                        "1.7976931348623157e308",
                                        "4.9e-324",
                                        "2.2250738585072011e-308",
                                        "123456789012345678901234567890",
                                        "0.000001",
                                        "1e-5",
                                        "-0",
                                        "5.",
                                        ".5"};
    (void)unused;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) check(texts[i]);
}

static pfx_cell_class class_of(const char *s)
{
    double v;
    pfx_cell_class c = pfx_csv_number(s, strlen(s), &v);
    return c == PFX_CELL_TEXT ? pfx_csv_formatted(s, strlen(s)) : c;
}

static void test_classes(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        pfx_cell_class cls;
    } cases[] = {{"12", PFX_CELL_NUMBER},
                 {" 12 ", PFX_CELL_NUMBER},
                 {"0", PFX_CELL_NUMBER},
                 {"0.5", PFX_CELL_NUMBER},
                 {"-0.5e-3", PFX_CELL_NUMBER},
                 {"inf", PFX_CELL_NUMBER},
                 {"000001", PFX_CELL_ZERO_LED},
                 {"-01", PFX_CELL_ZERO_LED},
                 {"01.11", PFX_CELL_ZERO_LED},
                 {"9007199254740991", PFX_CELL_NUMBER},
                 {"9007199254740993", PFX_CELL_BIG},
                 {"12345678901234567890", PFX_CELL_BIG},
                 {"1e300", PFX_CELL_NUMBER},
                 {"1,234", PFX_CELL_THOUSANDS},
                 {"-1,234,567.8", PFX_CELL_THOUSANDS},
                 {"3,14", PFX_CELL_DECIMAL_COMMA},
                 {"1,2345", PFX_CELL_DECIMAL_COMMA},
                 {"12,34,56", PFX_CELL_TEXT},
                 {"5%", PFX_CELL_CURRENCY},
                 {"$5.20", PFX_CELL_CURRENCY},
                 {"$1,000", PFX_CELL_THOUSANDS},
                 {"12abc", PFX_CELL_TEXT},
                 {"", PFX_CELL_TEXT},
                 {"-", PFX_CELL_TEXT},
                 {".", PFX_CELL_TEXT},
                 {"1e", PFX_CELL_TEXT},
                 {"0x1A", PFX_CELL_TEXT},
                 {"nan", PFX_CELL_TEXT},
                 {"1 2", PFX_CELL_TEXT},
                 {"%", PFX_CELL_TEXT}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (class_of(cases[i].text) != cases[i].cls)
            fail_msg("\"%s\": class %d, want %d", cases[i].text, (int)class_of(cases[i].text),
                     (int)cases[i].cls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_against_strtod),
                                       cmocka_unit_test(test_halves), cmocka_unit_test(test_classes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
