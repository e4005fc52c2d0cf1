/* Codes of rows: what a loop over the rows finds, on every instruction set and number of threads, at the
 * edges of vectors and chunks. */
#include "tests/test.h"

#include <stdlib.h>
#include "kernels/codes.h"
#include "src/est/codes.h"

enum { MAXN = 70000, LONGEST = 9 };

static int32_t f[MAXN], g[MAXN];
static pfx_idx start[MAXN + 1];

/* Levels of 1 to LONGEST rows; g: clusters of whole levels. Returns the number of levels. */
static pfx_idx make_codes(pfx_idx n, uint64_t seed)
{
    pfx_idx level = 0, left = 1 + (pfx_idx)(LONGEST * test_uniform(seed, 0));
    for (pfx_idx r = 0; r < n; r++) {
        if (left-- == 0) level++, left = (pfx_idx)(LONGEST * test_uniform(seed, (uint64_t)r));
        f[r] = (int32_t)level;
        g[r] = (int32_t)(level / 3);
    }
    return n > 0 ? level + 1 : 0;
}

static void check_starts(pfx_idx r0, pfx_idx r1)
{
    for (pfx_idx r = r0; r < r1; r++)
        if (r == 0 || f[r] != f[r - 1]) assert_int_equal(start[f[r]], r);
}

static int flags_of(pfx_idx r0, pfx_idx r1, const int32_t *b)
{
    int flags = 0;
    for (pfx_idx r = r0 > 0 ? r0 : 1; r < r1; r++) {
        if (f[r] < f[r - 1]) flags |= PFX_K_CODES_FALL;
        if (b && b[r] < b[r - 1]) flags |= PFX_K_CODES_G_FALL;
        if (b && f[r] == f[r - 1] && b[r] != b[r - 1]) flags |= PFX_K_CODES_SPLIT;
    }
    return flags;
}

static void test_kernel(void **state)
{
    (void)state;
    for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++)
        for (pfx_idx n = 1; n < 70 && pfx_cpu_has(isa); n++) {
            pfx_idx levels = make_codes(n, (uint64_t)n);
            for (pfx_idx r0 = 0; r0 <= n; r0 += 7) {
                for (pfx_idx i = 0; i <= levels; i++) start[i] = -7;
                assert_int_equal(pfx_k_codes(isa, r0, n, f, g, levels, start), 0);
                check_starts(r0, n);
                assert_int_equal(start[levels],
                                 -7); /* nothing past the last level, nothing before the first */
                for (pfx_idx i = 0; i < (r0 < n ? f[r0] : levels); i++) assert_int_equal(start[i], -7);
            }
            for (pfx_idx at = 1; at < n; at++) { /* one row that spoils it, anywhere */
                int32_t was = f[at], other = g[at];
                f[at] = was > 0 ? was - 1 : was, g[at] = 1 - other;
                assert_int_equal(pfx_k_codes(isa, 0, n, f, g, levels, NULL), flags_of(0, n, g));
                assert_int_equal(pfx_k_codes(isa, 0, n, f, NULL, levels, NULL), flags_of(0, n, NULL));
                g[at] = other;
                bool falls = flags_of(0, n, NULL) & PFX_K_CODES_FALL;
                int flags = pfx_k_codes(isa, 0, n, f, NULL, levels, start);
                if (falls) assert_true(flags & PFX_K_CODES_FALL);
                f[at] = was;
            }
        }
}

static void test_scan(void **state)
{
    (void)state;
    const pfx_idx sizes[] = {1, 15, 16, 17, 32767, 32768, 32769, 65536, MAXN};
    const int32_t *others[2] = {g, f};
    pfx_codes_order order[2];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int nth = 1; nth < 8; nth++) {
            pfx_idx n = sizes[i], levels = make_codes(n, i + 100);
            assert_true(pfx_codes_scan(n, f, levels, 2, others, nth, start, order));
            check_starts(0, n);
            assert_int_equal(start[levels], n);
            assert_false(order[0].g_falls || order[0].splits || order[1].g_falls || order[1].splits);
            if (n < 3) continue;
            f[n - 1] = f[n - 2], g[n - 1] = g[n - 2] + 1; /* the last row of a level in another cluster */
            levels = f[n - 1] + 1;
            assert_true(pfx_codes_scan(n, f, levels, 1, others, nth, start, order));
            assert_true(order[0].splits && !order[0].g_falls);
            f[n - 1] = 0;
            assert_true(n < 20 || !pfx_codes_scan(n, f, levels, 0, NULL, nth, start, NULL));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kernel), cmocka_unit_test(test_scan)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
