/* Columns to rows, and elements to doubles, on every instruction set, against the loop that says what they
 * are. */
#include "tests/test.h"

#include "hdf5_io/widen.h"
#include "kernels/columns.h"

enum { MAX_P = 35, MAX_N = 700 };

static double number(int j, pfx_idx r)
{
    return 1e-3 * (double)((j * 7919 + r * 104729) % 100003) - 40;
}

/* Columns that begin at odd places; a table that is wider than they are, and whose other cells stay as they
 * were. */
static void check_interleave(pfx_isa isa, pfx_idx n, int p, pfx_idx ldo, double *cells, double *out)
{
    const double *x[MAX_P];
    for (int j = 0; j < p; j++) {
        double *c = cells + j * (MAX_N + 9) + j % 5;
        for (pfx_idx r = 0; r < n; r++) c[r] = number(j, r);
        x[j] = c;
    }
    for (pfx_idx i = 0; i < n * ldo + 8; i++) out[i] = -777;
    assert_true(pfx_k_interleave(isa, n, p, x, ldo, out));
    for (pfx_idx r = 0; r < n; r++)
        for (int j = 0; j < ldo; j++)
            if (out[r * ldo + j] != (j < p ? number(j, r) : -777))
                fail_msg("%s, %ld rows, %d columns: row %ld column %d: %g", pfx_isa_name(isa), (long)n, p,
                         (long)r, j, out[r * ldo + j]);
    for (int i = 0; i < 8; i++) assert_true(out[n * ldo + i] == -777);
    if (n == 0) return;
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    for (int b = 0; b < 3; b++) { /* one cell, its column and row by turns */
        int j = (int)((n * 3 + b) % p);
        pfx_idx r = (n * 5 + 7 * b + p) % n;
        double *c = cells + j * (MAX_N + 9) + j % 5;
        c[r] = bad[b];
        assert_false(pfx_k_interleave(isa, n, p, x, ldo, out));
        assert_true(isnan(bad[b]) ? isnan(out[r * ldo + j]) : out[r * ldo + j] == bad[b]);
        assert_false(pfx_k_finite(isa, n, c));
        c[r] = number(j, r);
    }
    assert_true(pfx_k_finite(isa, n, x[p - 1]));
}

static void rows_are_those_of_the_columns(void **state)
{
    (void)state;
    static const pfx_idx sizes[] = {0, 1, 7, 8, 9, 63, 64, 65, 71, 128, 300, MAX_N};
    double *cells = calloc((size_t)MAX_P * (MAX_N + 9), sizeof *cells),
           *out = malloc((size_t)(MAX_N * (MAX_P + 3) + 8) * sizeof *out);
    for (int isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
        if (!pfx_cpu_has((pfx_isa)isa)) continue;
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
            for (int p = 1; p <= MAX_P; p += p < 18 ? 1 : 5)
                for (int more = 0; more < 4; more += 3)
                    check_interleave((pfx_isa)isa, sizes[k], p, p + more, cells, out);
    }
    free(cells), free(out);
}

static void elements_are_widened(void **state)
{
    (void)state;
    enum { N = 1003 };
    static float f[N];
    static int32_t i[N];
    static int64_t l[N];
    static double out[N];
    for (int r = 0; r < N; r++) {
        f[r] = (float)number(1, r), i[r] = r % 13 ? (r - 500) * 4001 : INT32_MIN;
        l[r] = r % 17 ? (int64_t)(r - 500) * 8796093022207 : INT64_MIN;
    }
    f[3] = NAN, i[5] = INT32_MAX, i[6] = INT32_MIN + 1, l[7] = (1LL << 53) - 1;
    for (int isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
        if (!pfx_cpu_has((pfx_isa)isa)) continue;
        pfx_widen((pfx_isa)isa, PFX_F32, N - 1, f + 1, out);
        for (int r = 0; r < N - 1; r++)
            assert_true(out[r] == (double)f[r + 1] || (isnan(out[r]) && isnan(f[r + 1])));
        pfx_widen((pfx_isa)isa, PFX_I32, N - 1, i + 1, out);
        for (int r = 0; r < N - 1; r++)
            assert_true(i[r + 1] == INT32_MIN ? isnan(out[r]) : out[r] == (double)i[r + 1]);
        pfx_widen((pfx_isa)isa, PFX_I64, N - 1, l + 1, out);
        for (int r = 0; r < N - 1; r++)
            assert_true(l[r + 1] == INT64_MIN ? isnan(out[r]) : out[r] == (double)l[r + 1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_those_of_the_columns),
        cmocka_unit_test(elements_are_widened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
