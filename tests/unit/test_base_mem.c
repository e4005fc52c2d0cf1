#include "tests/test.h"
#include "src/base/mem.h"

static void sizes_and_alignment(void **state)
{
    (void)state;
    pfx_err err = {0};
    static const pfx_idx n[] = {0, 1, 63, 64, 65, 4095, 4096, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, 9 << 20, (24 << 20) - 7};
    size_t before = pfx_mem_now();
    for (size_t i = 0; i < sizeof n / sizeof *n; i++) {
        char *p = pfx_mem_alloc(n[i], 1, &err), *z = pfx_mem_calloc(n[i], 1, &err);
        assert_non_null(p);
        assert_non_null(z);
        uintptr_t align = n[i] >= 4 << 20 ? 2 << 20 : 64;
        assert_int_equal((uintptr_t)p % align, 0);
        assert_int_equal((uintptr_t)z % align, 0);
        assert_true(pfx_mem_now() >= before + 2 * (size_t)n[i]);
        if (n[i] > 0) memset(p, 1, (size_t)n[i]);
        for (pfx_idx j = 0; j < n[i]; j++) assert_int_equal(z[j], 0);
        pfx_mem_free(p);
        pfx_mem_free(z);
        assert_int_equal(pfx_mem_now(), before);
    }
    assert_true(pfx_mem_peak() >= 18 << 20);
    pfx_mem_free(NULL);
}

static void overflow_is_refused(void **state)
{
    (void)state;
    static const struct {
        pfx_idx n;
        size_t size;
    } cases[] = {{INT64_MAX, 2}, {INT64_MAX / 8 + 1, 8}, {(pfx_idx)1 << 62, 8},
                 {-1, 8},        {INT64_MAX, 1000},      {INT64_MIN, 1}};
    void *p = pfx_mem_alloc(10, 8, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pfx_err err = {0};
        assert_null(pfx_mem_alloc(cases[i].n, cases[i].size, &err));
        assert_int_equal(err.status, PFX_ENOMEM);
        assert_null(pfx_mem_calloc(cases[i].n, cases[i].size, NULL));
        assert_null(pfx_mem_realloc(p, cases[i].n, cases[i].size, NULL));
    }
    pfx_mem_free(p);
    pfx_err err = {0}; /* addressable, but more than any machine has */
    assert_null(pfx_mem_alloc((pfx_idx)1 << 55, 8, &err));
    assert_non_null(strstr(err.msg, "288230376151711744 bytes"));
    void *none = pfx_mem_alloc(INT64_MAX, 0, NULL);
    assert_non_null(none);
    pfx_mem_free(none);
}

static void realloc_keeps_data_and_alignment(void **state)
{
    (void)state;
    pfx_err err = {0};
    size_t before = pfx_mem_now();
    int *p = NULL;
    pfx_idx had = 0;
    static const pfx_idx n[] = {1, 3, 100, 99, 5000, 2000000, 1999999, 10, 0, 700, 3000000, 64};
    for (size_t i = 0; i < sizeof n / sizeof *n; i++) {
        p = pfx_mem_realloc(p, n[i], sizeof *p, &err);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        pfx_idx kept = had < n[i] ? had : n[i];
        for (pfx_idx j = 0; j < kept; j++) assert_int_equal(p[j], (int)j);
        for (pfx_idx j = 0; j < n[i]; j++) p[j] = (int)j;
        had = n[i];
    }
    assert_true(pfx_mem_now() < before + 4096); /* shrinking gives memory back */
    pfx_mem_free(p);
    assert_int_equal(pfx_mem_now(), before);
}

static void strings(void **state)
{
    (void)state;
    pfx_err err = {0};
    char *a = pfx_mem_strdup("firm", &err), *b = pfx_mem_strndup("firm-year", 4, &err);
    char *c = pfx_mem_strndup("ab", 100, &err), *d = pfx_mem_strdup("", &err);
    assert_string_equal(a, "firm");
    assert_string_equal(b, "firm");
    assert_string_equal(c, "ab");
    assert_string_equal(d, "");
    assert_null(pfx_mem_strdup(NULL, &err));
    assert_int_equal(err.status, PFX_OK);
    pfx_mem_free(a), pfx_mem_free(b), pfx_mem_free(c), pfx_mem_free(d);
}

static void the_kth_allocation_fails(void **state)
{
    (void)state;
    for (int k = 1; k <= 6; k++) {
        pfx_mem_fail_at(k);
        void *p[5];
        for (int i = 0; i < 4; i++) {
            p[i] = i % 2 ? pfx_mem_calloc(1, 8, NULL) : pfx_mem_alloc(1, 8, NULL);
            assert_int_equal(p[i] == NULL, i == k - 1);
        }
        p[4] = pfx_mem_realloc(p[0], 2, 8, NULL); /* fits in place, counts all the same */
        assert_int_equal(p[4] == NULL, k == 5);
        pfx_mem_fail_at(0);
        for (int i = p[4] ? 1 : 0; i < 5; i++) pfx_mem_free(p[i]);
    }
}

static void threads_are_accounted(void **state)
{
    (void)state;
    size_t before = pfx_mem_now();
#pragma omp parallel for num_threads(7) default(none)
    for (int i = 0; i < 2000; i++) {
        void *p = pfx_mem_alloc(100 + i, 8, NULL);
        p = pfx_mem_realloc(p, 300 + i, 8, NULL);
        pfx_mem_free(p);
    }
    assert_int_equal(pfx_mem_now(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_and_alignment),
        cmocka_unit_test(overflow_is_refused),
        cmocka_unit_test(realloc_keeps_data_and_alignment),
        cmocka_unit_test(strings),
        cmocka_unit_test(the_kth_allocation_fails),
        cmocka_unit_test(threads_are_accounted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
