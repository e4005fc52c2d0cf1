/* Philox against its published known answers, streams against their definition, distributions against theirs.
 */
#include "tests/test.h"
#include "src/base/rng.h"

/* Known answers of Philox4x32-10 in the Random123 distribution (kat_vectors). */
static void known_answers(void **state)
{
    static const struct {
        uint64_t seed;
        uint32_t c0;
        uint64_t index;
        uint32_t purpose, want[4];
    } kat[] = {
        {0, 0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT32_MAX, UINT64_MAX, UINT32_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {UINT64_C(0x299f31d0a4093822),
         0x243f6a88,
         UINT64_C(0x13198a2e85a308d3),
         0x03707344,
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof kat / sizeof kat[0]; i++) {
        uint32_t got[4];
        pfx_rng_block(kat[i].seed, kat[i].purpose, kat[i].index, kat[i].c0, got);
        assert_memory_equal(got, kat[i].want, sizeof got);
    }
}

/* Philox from its paper's equations, with nothing shared. */
static void philox_slow(uint64_t seed, uint32_t purpose, uint64_t index, uint32_t block, uint32_t c[4])
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    c[0] = block, c[1] = (uint32_t)index, c[2] = (uint32_t)(index >> 32), c[3] = purpose;
    for (int round = 0; round < 10; round++) {
        uint64_t a = UINT64_C(0xD2511F53) * c[0], b = UINT64_C(0xCD9E8D57) * c[2];
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k0, (uint32_t)b, (uint32_t)(a >> 32) ^ c[3] ^ k1,
                            (uint32_t)a};
        memcpy(c, next, sizeof next);
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
}

static void stream_is_its_definition(void **state)
{
    pfx_rng a, b;
    (void)state;
    pfx_rng_start(&a, 7, PFX_RNG_TEST, 12345678901);
    pfx_rng_start(&b, 7, PFX_RNG_TEST, 12345678901);
    for (uint32_t block = 0; block < 50; block++) {
        uint32_t want[4];
        philox_slow(7, PFX_RNG_TEST, 12345678901, block, want);
        for (int i = 0; i < 4; i++) assert_int_equal(pfx_rng_u32(&a), want[i]);
        for (int i = 0; i < 4; i += 2) {
            const uint64_t bits = want[i] | (uint64_t)want[i + 1] << 32;
            pfx_rng c = b;
            assert_true(pfx_rng_u64(&b) == bits);
            assert_true(pfx_rng_uniform(&c) == ldexp((double)(bits >> 12), -52) + ldexp(1, -53));
        }
    }
}

/* Seed, purpose and index each change the stream. */
static void streams_differ(void **state)
{
    uint32_t w[5][4];
    (void)state;
    pfx_rng_block(1, PFX_RNG_WILD, 3, 0, w[0]);
    pfx_rng_block(2, PFX_RNG_WILD, 3, 0, w[1]);
    pfx_rng_block(1, PFX_RNG_PLACEBO, 3, 0, w[2]);
    pfx_rng_block(1, PFX_RNG_WILD, 4, 0, w[3]);
    pfx_rng_block(1, PFX_RNG_WILD, 3 + (UINT64_C(1) << 32), 0, w[4]);
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < i; j++) assert_memory_not_equal(w[i], w[j], sizeof w[0]);
}

static void fill_equals_one_by_one(void **state)
{
    (void)state;
    for (pfx_idx n = 0; n <= 9; n++) {
        double fast[10], slow[10];
        pfx_rng r;
        for (int i = 0; i < 10; i++) fast[i] = slow[i] = -99;
        pfx_rng_fill_normal(3, PFX_RNG_TEST, 5, n, fast);
        pfx_rng_start(&r, 3, PFX_RNG_TEST, 5);
        for (pfx_idx i = 0; i < n; i++) slow[i] = pfx_rng_normal(&r);
        assert_same_bits(fast, slow, 10);
    }
}

static void uniform_is_open_and_flat(void **state)
{
    enum { N = 200000, BINS = 50 };
    int count[BINS] = {0};
    double mean = 0, chi2 = 0;
    pfx_rng r;
    (void)state;
    pfx_rng_start(&r, 1, PFX_RNG_TEST, 0);
    for (int i = 0; i < N; i++) {
        double u = pfx_rng_uniform(&r);
        assert_true(u > 0 && u < 1);
        mean += u / N;
        count[(int)(u * BINS)]++;
    }
    assert_abs(mean, 0.5, 5 / sqrt(12.0 * N));
    for (int b = 0; b < BINS; b++) chi2 += pow(count[b] - (double)N / BINS, 2) / ((double)N / BINS);
    assert_true(chi2 > 20 && chi2 < 95); /* 49 degrees of freedom */
}

/* The quantile inverts the distribution function of libm to the accuracy that p itself allows. */
static void quantile_inverts(void **state)
{
    (void)state;
    for (double p = 1e-300; p < 0.5; p = p < 1e-4 ? p * 7.3 : p + 0.00137) {
        double x = pfx_normal_quantile(p);
        assert_rel(0.5 * erfc(-x / sqrt(2)), p, 1e-15 * (4 + x * x)); /* x^2 is the condition of p in x */
        if (p > 1e-10) assert_rel(-pfx_normal_quantile(1 - p), x, 1e-6);
    }
    assert_true(pfx_normal_quantile(0.5) == 0);
}

static void normal_has_its_moments(void **state)
{
    enum { N = 400000 };
    double m[5] = {0};
    pfx_rng r;
    (void)state;
    pfx_rng_start(&r, 9, PFX_RNG_TEST, 1);
    for (int i = 0; i < N; i++) {
        double z = pfx_rng_normal(&r), p = 1;
        for (int k = 0; k < 5; k++, p *= z) m[k] += p / N;
    }
    const double se = 1 / sqrt(N);
    assert_abs(m[1], 0, 5 * se);
    assert_abs(m[2], 1, 5 * sqrt(2) * se);
    assert_abs(m[3], 0, 5 * sqrt(15) * se);
    assert_abs(m[4], 3, 5 * sqrt(96) * se);
}

static void below_is_fair(void **state)
{
    static const pfx_idx sizes[] = {1, 2, 3, 7, 10};
    pfx_rng r;
    (void)state;
    pfx_rng_start(&r, 1, PFX_RNG_TEST, 2);
    for (size_t s = 0; s < 5; s++) {
        int count[10] = {0};
        const int n = 60000;
        for (int i = 0; i < n; i++) {
            pfx_idx k = pfx_rng_below(&r, sizes[s]);
            assert_true(k >= 0 && k < sizes[s]);
            count[k]++;
        }
        for (pfx_idx k = 0; k < sizes[s]; k++) {
            double p = 1.0 / (double)sizes[s];
            assert_abs(count[k], n * p, 5 * sqrt(n * p * (1 - p)));
        }
    }
    /* Beyond 32 bits: three quarters of 2^63 rejects often, and halves are equally likely. */
    const pfx_idx big = (INT64_C(3) << 61) + 1;
    int upper = 0;
    for (int i = 0; i < 10000; i++) {
        pfx_idx k = pfx_rng_below(&r, big);
        assert_true(k >= 0 && k < big);
        upper += k >= big / 2;
    }
    assert_abs(upper, 5000, 250);
}

static void shuffle_is_fair(void **state)
{
    enum { N = 4, TRIES = 24000 };
    int count[N][N] = {{0}};
    pfx_rng r;
    (void)state;
    pfx_rng_start(&r, 1, PFX_RNG_TEST, 3);
    for (int t = 0; t < TRIES; t++) {
        pfx_idx a[N] = {0, 1, 2, 3};
        int seen = 0;
        pfx_rng_shuffle(&r, N, a);
        for (int i = 0; i < N; i++) {
            count[i][a[i]]++;
            seen |= 1 << a[i];
        }
        assert_int_equal(seen, 15);
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) assert_abs(count[i][j], TRIES / 4.0, 5 * sqrt(TRIES * 3.0 / 16));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(stream_is_its_definition),
        cmocka_unit_test(streams_differ),
        cmocka_unit_test(fill_equals_one_by_one),
        cmocka_unit_test(uniform_is_open_and_flat),
        cmocka_unit_test(quantile_inverts),
        cmocka_unit_test(normal_has_its_moments),
        cmocka_unit_test(below_is_fair),
        cmocka_unit_test(shuffle_is_fair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
