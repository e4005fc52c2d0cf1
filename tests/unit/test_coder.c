/* Levels: the short ways (the value before, small whole numbers, rising numbers) against a plain list. */
#include "src/model/coder.h"
#include "src/base/mem.h"
#include "tests/faults.h"

enum { N = 20000 };

/* Number i of a kind of sequence. */
static double value(int kind, int i)
{
    double u = test_uniform(3, (uint64_t)(i + kind * N));
    switch (kind) {
    case 0:
        return 2000 + i % 7; /* years */
    case 1:
        return floor(i / 5.0); /* sorted units, past the table of small ones */
    case 2:
        return floor(i / 5.0) + 0.5; /* sorted, not whole */
    case 3:
        return floor(u * 3000) - 1500; /* whole, any order */
    case 4:
        return floor(u * 300) * 1e15; /* large */
    case 5:
        return i < N / 2 ? i : floor(u * N); /* rises, then turns */
    case 6:
        return i % 3 == 0 ? NAN : i % 3 == 1 ? 1e300 * (i % 50) : -(double)(i % 11);
    case 7:
        return i % 2 ? -0.0 : i % 4 ? 0.0 : INFINITY;
    default:
        return i % 1000 == 999 ? u : 5000 + i / 3.0; /* rises, now and then below */
    }
}

static void as_a_list(void **state)
{
    static double x[N], seen[N];
    static int32_t code[N];
    (void)state;
    for (int kind = 0; kind <= 8; kind++) {
        pfx_err err = {0};
        pfx_coder c = {0};
        int n = 0;
        for (int i = 0; i < N; i++) x[i] = value(kind, i);
        for (int at = 0; at < N; at += 777) /* in blocks: nothing but the coder passes from one to the next */
            assert_ok(pfx_coder_numbers(&c, N - at < 777 ? N - at : 777, x + at, code + at, &err));
        for (int i = 0; i < N; i++) {
            int want = i > 0 && x[i] == x[i - 1] ? code[i - 1] : 0;
            if (!isfinite(x[i])) {
                assert_int_equal(code[i], PFX_NA_CODE);
                continue;
            }
            if (!(i > 0 && x[i] == x[i - 1]))
                while (want < n && seen[want] != x[i]) want++;
            if (want == n) seen[n++] = x[i];
            if (code[i] != want) fail_msg("kind %d, %d: code %d, want %d", kind, i, code[i], want);
        }
        assert_int_equal(c.n, n);
        for (int k = 0; k < n; k++) assert_true(pfx_coder_number(&c, k) == seen[k]);
        pfx_coder_free(&c);
    }
}

static void allocation_failures(void **state)
{
    double x[500];
    int32_t code[500];
    (void)state;
    for (int i = 0; i < 500; i++) x[i] = value(8, i * 7);
    test_faults f = {.least = 2};
    while (test_faults_next(&f)) {
        pfx_err err = {0};
        pfx_coder c = {0};
        pfx_status st = pfx_coder_numbers(&c, 500, x, code, &err);
        pfx_coder_free(&c);
        test_faults_done(&f, st);
    }
    assert_int_equal(pfx_mem_now(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_a_list), cmocka_unit_test(allocation_failures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
