/* Sorting against qsort, in memory and on disk. */
#include "src/data/sort.h"
#include "tests/test.h"

static int by_key(const void *a, const void *b)
{
    const pfx_sort_pair *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->value > y->value) - (x->value < y->value); /* stable: values are positions */
}

static void test_pairs(void **unused)
{
    enum { N = 3000 };
    static pfx_sort_pair p[N], q[N], tmp[N];
    static const uint64_t masks[] = {0, 7, 0xffff, 0xff00ff0000000000u, UINT64_MAX};
    (void)unused;
    for (int n = 0; n <= N; n += n < 5 ? 1 : 599)
        for (size_t m = 0; m < sizeof masks / sizeof *masks; m++) {
            for (int i = 0; i < n; i++)
                p[i] = q[i] =
                    (pfx_sort_pair){(uint64_t)(test_uniform(m, (uint64_t)i) * 0x1p64) & masks[m], i};
            pfx_sort_pairs(n, p, tmp);
            qsort(q, (size_t)n, sizeof *q, by_key);
            for (int i = 0; i < n; i++) assert_true(p[i].key == q[i].key && p[i].value == q[i].value);
        }
}

typedef struct record {
    uint64_t hi, lo;
    int64_t at;
    double payload;
} record;

static int by_record(const void *a, const void *b)
{
    const record *x = a, *y = b;
    if (x->hi != y->hi) return x->hi < y->hi ? -1 : 1;
    if (x->lo != y->lo) return x->lo < y->lo ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* n records through a sorter that holds `held` of them at once. */
static void check_external(int n, int held)
{
    record *want = malloc((size_t)(n + 1) * sizeof *want);
    pfx_sort_external *s = NULL;
    pfx_err err = {0};
    assert_ok(pfx_sort_external_new(sizeof(record),
                                    (size_t)held * (sizeof(record) + 2 * sizeof(pfx_sort_pair)),
                                    test_tmpdir(), &s, &err));
    for (int i = 0; i < n; i++) {
        void *room;
        want[i] = (record){(uint64_t)(test_uniform(1, (uint64_t)i) * 50),
                           (uint64_t)(test_uniform(2, (uint64_t)i) * 7), i, 0.5 * i};
        assert_ok(pfx_sort_external_add(s, &room, &err));
        memcpy(room, &want[i], sizeof *want);
    }
    assert_ok(pfx_sort_external_finish(s, &err));
    qsort(want, (size_t)n, sizeof *want, by_record);
    const void *got;
    for (int i = 0; i < n; i++) {
        assert_ok(pfx_sort_external_next(s, &got, &err));
        assert_non_null(got);
        assert_memory_equal(got, &want[i], sizeof *want);
    }
    assert_ok(pfx_sort_external_next(s, &got, &err));
    assert_null(got);
    pfx_sort_external_free(s);
    free(want);
}

static void test_external(void **unused)
{
    (void)unused;
    static const int sizes[] = {0, 1, 63, 64, 65, 127, 128, 129, 5000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check_external(sizes[i], 64);
        check_external(sizes[i], 1000);
    }
    check_external(100000, 64); /* more runs than a buffer of each run has records */
    assert_int_equal(test_count_files(test_tmpdir()), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pairs), cmocka_unit_test(test_external)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
