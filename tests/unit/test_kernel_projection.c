/* The kernels of the projection against long double loops, any number of columns, rows around tile edges,
 * padding untouched, and the same bits on every instruction set. */
#include "tests/test.h"

#include "kernels/blockcg.h"
#include "kernels/outer.h"
#include "kernels/demean.h"
#include "kernels/gram.h"
#include "kernels/incidence.h"
#include "kernels/levels.h"
#include "kernels/moments.h"
#include "kernels/project.h"
#include "kernels/resid.h"
#include "kernels/score.h"
#include "kernels/within.h"

enum { MAXP = 70, MAXN = 90, GUARD = 12345 };

static double X[MAXN * (MAXP + 3)], W[MAXN], E[MAXN];
static const int columns[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14,
                              15, 16, 17, 20, 23, 24, 25, 31, 32, 33, 40, 41, 70};
static const pfx_idx rows[] = {0, 1, 2, 7, 8, 9, 40, 90};
enum { N_COLUMNS = sizeof columns / sizeof *columns, N_ROWS = sizeof rows / sizeof *rows };

static int setup(void **state)
{
    (void)state;
    for (int i = 0; i < MAXN * (MAXP + 3); i++) X[i] = test_uniform(1, (uint64_t)i) - 0.3;
    for (int i = 0; i < MAXN; i++)
        W[i] = 0.1 + test_uniform(2, (uint64_t)i), E[i] = test_uniform(3, (uint64_t)i) - 0.5;
    return 0;
}

static void fill(double *a, pfx_idx n)
{
    for (pfx_idx i = 0; i < n; i++) a[i] = GUARD;
}

/* Runs once per ISA that this CPU has; the first result is kept, the others must equal it bit by bit. */
#define EACH_ISA(isa)                                                                                        \
    for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++)                                           \
        if (pfx_cpu_has(isa))
static void same(pfx_isa isa, const double *got, double *first, pfx_idx n)
{
    if (isa == PFX_ISA_PORTABLE)
        memcpy(first, got, (size_t)n * sizeof *first);
    else
        assert_same_bits(got, first, n);
}

static void check_gram(int p, pfx_idx n, pfx_idx ld, const double *w)
{
    static double A[MAXP * MAXP], first[MAXP * MAXP];
    EACH_ISA(isa)
    {
        for (int i = 0; i < p * p; i++) A[i] = 0.25;
        pfx_k_gram(isa, n, p, ld, X, w, A);
        pfx_k_mirror(p, A);
        for (int j = 0; j < p; j++)
            for (int i = 0; i < p; i++) {
                long double s = 0.25L;
                for (pfx_idx r = 0; r < n; r++)
                    s += (long double)X[r * ld + i] * X[r * ld + j] * (w ? w[r] : 1.0);
                assert_abs(A[j * p + i], (double)s, 1e-13);
            }
        same(isa, A, first, p * p);
    }
}

static void test_gram(void **state)
{
    (void)state;
    for (int c = 0; c < N_COLUMNS; c++)
        for (int r = 0; r < N_ROWS; r++)
            for (int pad = 0; pad < 4; pad += 3) {
                check_gram(columns[c], rows[r], columns[c] + pad, NULL);
                check_gram(columns[c], rows[r], columns[c] + pad, W);
            }
}

static void test_resid(void **state)
{
    (void)state;
    double e[MAXN + 1], first[MAXN + 1];
    for (int c = 0; c < N_COLUMNS; c++)
        for (int r = 0; r < N_ROWS; r++) EACH_ISA(isa)
            {
                int p = columns[c];
                pfx_idx n = rows[r], ld = p + 1;
                fill(e, n + 1);
                pfx_k_resid(isa, n, p, ld, X, W, e);
                for (pfx_idx i = 0; i < n; i++) {
                    long double s = 0;
                    for (int k = 0; k < p; k++) s += (long double)X[i * ld + k] * W[k];
                    assert_abs(e[i], (double)s, 1e-13);
                }
                assert_true(e[n] == GUARD);
                same(isa, e, first, n);
            }
}

/* Levels of 1, 2, 3, ... rows. */
static int make_levels(pfx_idx n, pfx_idx *start)
{
    int g = 0;
    start[0] = 5; /* rows are counted from start[0] */
    for (pfx_idx at = 0; at < n; g++) {
        at = at + g + 1 < n ? at + g + 1 : n;
        start[g + 1] = 5 + at;
    }
    return g;
}

static void test_score(void **state)
{
    (void)state;
    static double S[MAXN * (MAXP + 1)], first[MAXN * (MAXP + 1)];
    pfx_idx start[MAXN + 1];
    for (int c = 0; c < N_COLUMNS; c++)
        for (int how = 0; how < 4; how++) EACH_ISA(isa)
            {
                int p = columns[c], G = make_levels(MAXN, start);
                const double *e = how & 1 ? E : NULL, *w = how & 2 ? W : NULL;
                fill(S, G * (p + 1));
                pfx_k_score(isa, G, start, p, p + 2, X, e, w, p + 1, S);
                for (int g = 0; g < G; g++)
                    for (int k = 0; k < p; k++) {
                        long double s = 0;
                        for (pfx_idx r = start[g] - 5; r < start[g + 1] - 5; r++)
                            s += (long double)X[r * (p + 2) + k] * (e ? e[r] : 1.0) * (w ? w[r] : 1.0);
                        assert_abs(S[g * (p + 1) + k], (double)s, 1e-13);
                        assert_true(S[g * (p + 1) + p] == GUARD);
                    }
                same(isa, S, first, G * (p + 1));
            }
}

static void test_scatter(void **state)
{
    (void)state;
    enum { G = 7 };
    static double S[G * (MAXP + 1)], first[G * (MAXP + 1)];
    int32_t code[MAXN];
    for (int r = 0; r < MAXN; r++) code[r] = (r * 5 + r / 3) % G;
    for (int c = 0; c < N_COLUMNS; c++)
        for (int how = 0; how < 4; how++) EACH_ISA(isa)
            {
                int p = columns[c];
                const double *e = how & 1 ? E : NULL, *w = how & 2 ? W : NULL;
                fill(S, G * (p + 1));
                pfx_k_scatter(isa, MAXN, p, p + 2, X, e, w, code, p + 1, S);
                for (int g = 0; g < G; g++) {
                    assert_true(S[g * (p + 1) + p] == GUARD);
                    for (int k = 0; k < p; k++) {
                        long double s = GUARD;
                        for (int r = 0; r < MAXN; r++)
                            if (code[r] == g)
                                s += (long double)X[r * (p + 2) + k] * (e ? e[r] : 1.0) * (w ? w[r] : 1.0);
                        assert_abs(S[g * (p + 1) + k], (double)s, 1e-10);
                    }
                }
                same(isa, S, first, G * (p + 1));
            }
}

/* d = (X - ref) - tables, in long double. */
static long double shifted(pfx_idx r, int k, pfx_idx ld, const double *ref, int nt, const pfx_k_table *t)
{
    long double d = (long double)X[r * ld + k] - (ref ? ref[k] : 0.0);
    for (int i = 0; i < nt; i++)
        d -= (long double)(t[i].value ? t[i].value[r] : 1.0) * t[i].G[t[i].code[r] * t[i].ld + k];
    return d;
}

static void test_demean(void **state)
{
    (void)state;
    enum { L = 72 };
    static double out[MAXN * L], mean[MAXN * L], first[MAXN * L], first_mean[MAXN * L], G[5 * L], C[5 * L], first_C[5 * L];
    pfx_idx start[MAXN + 1];
    int32_t code[MAXN];
    for (int r = 0; r < MAXN; r++) code[r] = (r * 3) % 5;
    for (int i = 0; i < 5 * L; i++) G[i] = test_uniform(9, (uint64_t)i);
    const pfx_k_table t[2] = {{code, NULL, L, G, true}, {code, E, L, G, false}};
    int levels = make_levels(MAXN, start);
    for (int c = 0; c < N_COLUMNS; c++)
        for (int how = 0; how < 16; how++) EACH_ISA(isa) {
                int p = columns[c], nt = how >> 1 & 3;
                const pfx_k_sums sums = {code, L, C, how & 1};
                const pfx_k_table *tab = nt == 3 ? t + 1 : t;
                if (nt == 3) nt = 1;
                pfx_idx ld = p + 1, ldo = p < L && how < 8 ? p + 1 : L;
                const double *w = how & 1 ? W : NULL;
                memset(C, 0, sizeof C);
                fill(out, MAXN * ldo);
                pfx_k_demean(isa, levels, start, p, ld, X, w, nt, tab, ldo, out, how < 8 ? NULL : &sums, E, mean);
                for (int g = 0; g < levels; g++)
                    for (int k = 0; k < p; k++) {
                        long double s = 0, ws = 0;
                        for (pfx_idx r = start[g] - 5; r < start[g + 1] - 5; r++) {
                            s += shifted(r, k, ld, NULL, nt, tab) * (w ? w[r] : 1.0);
                            ws += w ? w[r] : 1.0;
                        }
                        assert_abs(mean[g * ldo + k], (double)(s / ws - E[k]), 1e-13);
                        for (pfx_idx r = start[g] - 5; r < start[g + 1] - 5; r++) {
                            assert_abs(out[r * ldo + k], (double)(shifted(r, k, ld, NULL, nt, tab) - s / ws), 1e-13);
                            if (ldo > p && ldo < (p + 7) / 8 * 8) assert_true(out[r * ldo + p] == GUARD);
                            if (ldo >= (p + 7) / 8 * 8 + 1) assert_true(out[r * ldo + (p + 7) / 8 * 8] == GUARD);
                        }
                    }
                for (int j = 0; j < 5 && how >= 8; j++)
                    for (int k = 0; k < p; k++) {
                        long double s = 0;
                        for (int r = 0; r < MAXN; r++) s += code[r] == j ? out[r * ldo + k] * (w ? w[r] : 1.0L) : 0;
                        assert_abs(C[j * L + k], (double)s, 1e-13);
                    }
                same(isa, C, first_C, 5 * L);
                same(isa, out, first, MAXN * ldo);
                for (int g = 0; g < levels; g++) same(isa, mean + g * ldo, first_mean + g * ldo, p);
            }
}

/* Against demeaned rows, their residuals and scores. */
static void test_level_scores(void **state)
{
    (void)state;
    enum { L = 72 };
    static double d[MAXN * L], S[MAXN * L], first[MAXN * L], G[5 * L], e[MAXN], first_e[MAXN], c[L];
    double sum = 0;
    pfx_idx start[MAXN + 1];
    int32_t code[MAXN];
    for (int r = 0; r < MAXN; r++) code[r] = (r * 3) % 5;
    for (int i = 0; i < 5 * L; i++) G[i] = test_uniform(9, (uint64_t)i);
    for (int i = 0; i < L; i++) c[i] = test_uniform(10, (uint64_t)i) - 0.5;
    const pfx_k_table t[2] = {{code, NULL, L, G, true}, {code, E, L, G, false}};
    static const pfx_idx long_levels[] = {5, 25, 57, 90, 95}; /* of 20, 32, 33 and 5 rows */
    int levels = 0;
    for (int i = 0; i < N_COLUMNS; i++)
        for (int how = 0; how < 12; how++) EACH_ISA(isa) {
                int p = columns[i], nt = how % 6 >> 1;
                const double *w = how & 1 ? W : NULL;
                if (how < 6) levels = make_levels(MAXN, start);
                else memcpy(start, long_levels, sizeof long_levels), levels = 4;
                pfx_k_demean(PFX_ISA_PORTABLE, levels, start, p, p + 1, X, w, nt, t, L, d, NULL, NULL, NULL);
                double ssr = pfx_k_level_scores(isa, levels, start, p, p + 1, X, w, c, nt, t, e, L, S);
                long double want = 0;
                for (int g = 0; g < levels; g++)
                    for (int k = 0; k < p; k++) {
                        long double s = 0;
                        for (pfx_idx r = start[g] - 5; r < start[g + 1] - 5; r++) {
                            long double u = 0;
                            for (int l = 0; l < p; l++) u += (long double)d[r * L + l] * c[l];
                            if (k == 0) assert_abs(e[r], (double)u, 1e-12);
                            if (k == 0) want += (w ? w[r] : 1.0L) * u * u;
                            s += (w ? w[r] : 1.0L) * u * d[r * L + k];
                        }
                        assert_abs(S[g * L + k], (double)s, 1e-11);
                    }
                assert_abs(ssr / (double)want, 1.0, 1e-12);
                if (isa == PFX_ISA_PORTABLE) sum = ssr;
                assert_true(ssr == sum);
                same(isa, e, first_e, MAXN);
                for (int g = 0; g < levels; g++) same(isa, S + g * L, first + g * L, p);
            }
}

/* The sweep in registers equals demeaning, then products, bit by bit; sets of codes against a loop. */
static void test_within(void **state)
{
    (void)state;
    enum { L = 72 };
    static double buf[MAXN * L], out[MAXN * L], mean[MAXN * L], mean1[MAXN * L], C[5 * L], C1[5 * L], A[MAXP * MAXP], A1[MAXP * MAXP];
    pfx_idx start[MAXN + 1];
    int32_t code[MAXN];
    uint64_t mask[MAXN];
    for (int r = 0; r < MAXN; r++) code[r] = (r * 3) % 5;
    int levels = make_levels(MAXN, start);
    for (int c = 0; c < N_COLUMNS; c++)
        for (int how = 0; how < 8; how++) EACH_ISA(isa) {
                int p = columns[c];
                const double *w = how & 1 ? W : NULL;
                const pfx_k_sums sums = {code, L, C, how & 4}, sums1 = {code, L, C1, how & 4};
                for (int i = 0; i < 5 * L; i++) C[i] = C1[i] = i % L < p ? 0.5 : 0.0;
                for (int i = 0; i < p * p; i++) A[i] = A1[i] = 0.25;
                pfx_k_within_args a = {levels, start, p, p + 1, X, w, how & 2 ? &sums : NULL, mask, E, L, mean, L, buf, A};
                if (!a.sums) a.mask = NULL;
                pfx_k_within(isa, &a);
                pfx_k_demean(PFX_ISA_PORTABLE, levels, start, p, p + 1, X, w, 0, NULL, L, out, how & 2 ? &sums1 : NULL, E, mean1);
                pfx_k_gram(PFX_ISA_PORTABLE, MAXN, p, L, out, w, A1);
                pfx_k_mirror(p, A), pfx_k_mirror(p, A1);
                assert_same_bits(A, A1, p * p);
                assert_same_bits(C, C1, 5 * L);
                for (int g = 0; g < levels; g++) {
                    uint64_t set = 0;
                    int n = 0;
                    assert_same_bits(mean + g * L, mean1 + g * L, p);
                    for (pfx_idx r = start[g] - 5; r < start[g + 1] - 5; r++) set |= 1ull << code[r], n++;
                    if (a.mask) assert_true(mask[g] == (__builtin_popcountll(set) == n ? set : 0));
                }
            }
}

static void test_shift(void **state)
{
    (void)state;
    enum { L = 72 };
    static double out[MAXN * L], first[MAXN * L], G[5 * L];
    int32_t code[MAXN];
    for (int r = 0; r < MAXN; r++) code[r] = (r * 3) % 5;
    for (int i = 0; i < 5 * L; i++) G[i] = test_uniform(9, (uint64_t)i);
    const pfx_k_table t[2] = {{code, NULL, L, G, true}, {code, E, L, G, false}};
    for (int c = 0; c < N_COLUMNS; c++)
        for (int how = 0; how < 4; how++) EACH_ISA(isa)
            {
                int p = columns[c];
                pfx_idx ldo = p + 1;
                const double *ref = how & 1 ? X : NULL, *m = how & 2 ? W : NULL;
                fill(out, MAXN * ldo);
                pfx_k_shift(isa, MAXN, p, p, X, ref, m, how > 1 ? 2 : 0, t, ldo, out);
                for (pfx_idx r = 0; r < MAXN; r++) {
                    for (int k = 0; k < p; k++)
                        assert_abs(out[r * ldo + k],
                                   (double)(shifted(r, k, p, ref, how > 1 ? 2 : 0, t) - (m ? m[k] : 0.0)),
                                   1e-13);
                    assert_true(out[r * ldo + p] == GUARD);
                }
                same(isa, out, first, MAXN * ldo);
            }
}

static void test_project(void **state)
{
    (void)state;
    static double Z[MAXN * MAXP], first[MAXN * MAXP];
    pfx_idx start[MAXN + 1];
    int levels = make_levels(MAXN, start);
    for (int c = 0; c < N_COLUMNS; c++)
        for (int weighted = 0; weighted < 2; weighted++) EACH_ISA(isa)
            {
                int p = columns[c];
                const double *w = weighted ? W : NULL;
                memcpy(Z, X, sizeof Z);
                pfx_k_project(isa, levels, start, p, p, Z, E, w);
                for (int g = 0; g < levels; g++)
                    for (int k = 0; k < p; k++) {
                        long double s = 0;
                        for (pfx_idx r = start[g] - 5; r < start[g + 1] - 5; r++)
                            s += (long double)X[r * p + k] * E[r] * (w ? w[r] : 1.0);
                        for (pfx_idx r = start[g] - 5; r < start[g + 1] - 5; r++)
                            assert_abs(Z[r * p + k], (double)(X[r * p + k] - s * E[r]), 1e-13);
                    }
                same(isa, Z, first, MAXN * p);
            }
}

static void test_moments(void **state)
{
    (void)state;
    double mean[MAXP + 1], m2[MAXP + 1], first[2 * MAXP];
    for (int c = 0; c < N_COLUMNS; c++)
        for (int how = 0; how < 4; how++) EACH_ISA(isa)
            {
                int p = columns[c], n = c % 2 ? MAXN : 1 + c;
                const double *w = how & 1 ? W : NULL, *origin = how & 2 ? X : NULL;
                long double total = 0;
                fill(mean, p + 1), fill(m2, p + 1);
                double got = pfx_k_moments(isa, n, p, p + 2, X, w, origin, mean, m2);
                for (int r = 0; r < n; r++) total += w ? w[r] : 1.0;
                assert_abs(got, (double)total, 1e-13);
                for (int k = 0; k < p; k++) {
                    long double m = 0, s = 0;
                    for (int r = 0; r < n; r++) m += (w ? w[r] : 1.0) * (long double)X[r * (p + 2) + k];
                    m /= total;
                    for (int r = 0; r < n; r++)
                        s += (w ? w[r] : 1.0) * (X[r * (p + 2) + k] - m) * (X[r * (p + 2) + k] - m);
                    assert_abs(mean[k], (double)(m - (origin ? origin[k] : 0.0)), 1e-14);
                    assert_abs(m2[k], (double)s, 1e-13);
                }
                assert_true(mean[p] == GUARD && m2[p] == GUARD);
                same(isa, mean, first, p);
                same(isa, m2, first + MAXP, p);
            }
}

static void test_blockcg(void **state)
{
    (void)state;
    enum { Q = 9, MAXLD = 48 };
    static double P[Q * MAXLD], Y[Q * MAXLD], R[Q * MAXLD], sum[MAXLD], inv[Q], V[Q * MAXLD],
        first[4][Q * MAXLD];
    pfx_idx ptr[Q + 1];
    int32_t col[Q * Q];
    double val[Q * Q];
    ptr[0] = 0;
    for (int i = 0; i < Q; i++) {
        ptr[i + 1] = ptr[i];
        for (int j = 0; j < Q; j++)
            if ((i + j) % 3)
                col[ptr[i + 1]] = j, val[ptr[i + 1]++] = test_uniform(4, (uint64_t)(i * j)) - 0.5;
        inv[i] = i ? 1.0 / i : 0.0;
    }
    for (int ld = 8; ld <= MAXLD; ld += 8) EACH_ISA(isa)
        {
            for (int i = 0; i < Q * ld; i++) P[i] = X[i], R[i] = X[i + 50], V[i] = X[i + 90];
            pfx_k_spmm(isa, 2, Q - 1, ptr, col, val, ld, P, Y, sum);
            for (int k = 0; k < ld; k++) {
                long double dot = 0;
                for (int i = 2; i < Q - 1; i++) {
                    long double y = 0;
                    for (pfx_idx e = ptr[i]; e < ptr[i + 1]; e++)
                        y += (long double)val[e] * P[col[e] * ld + k];
                    assert_abs(Y[i * ld + k], (double)y, 1e-14);
                    dot += y * P[i * ld + k];
                }
                assert_abs(sum[k], (double)dot, 1e-13);
            }
            same(isa, Y + 2 * ld, first[0], (Q - 3) * ld);
            pfx_k_cg_step(isa, 2, Q - 1, ld, X + 7, P, Y, inv, V, R, sum);
            for (int k = 0; k < ld; k++) {
                long double rr = 0;
                for (int i = 2; i < Q - 1; i++) {
                    int at = i * ld + k;
                    assert_abs(V[at], X[at + 90] + X[7 + k] * P[at], 1e-14);
                    assert_abs(R[at], X[at + 50] - X[7 + k] * Y[at], 1e-14);
                    rr += (long double)R[at] * R[at] * inv[i];
                }
                assert_abs(sum[k], (double)rr, 1e-13);
            }
            same(isa, R, first[1], Q * ld);
            same(isa, sum, first[2], ld);
            pfx_k_cg_turn(isa, 2, Q - 1, ld, W, R, inv, P);
            for (int i = 0; i < Q * ld; i++)
                assert_abs(P[i], i / ld < 2 || i / ld == Q - 1 ? X[i] : inv[i / ld] * R[i] + W[i % ld] * X[i],
                           1e-14);
            same(isa, P, first[3], Q * ld);
        }
}

static void test_cg_families(void **state)
{
    (void)state;
    enum { Q = 9, MAXLD = 40 };
    static double Z[Q * MAXLD], first[Q * MAXLD];
    static const pfx_idx ptr[] = {0, 3, 4, 8}, at[] = {0, 9, 10, 26};
    static const int32_t member[] = {5, 0, 2, 8, 1, 7, 4, 3}; /* row 6 belongs to none */
    double rz[MAXLD], first_rz[MAXLD];
    for (int ld = 8; ld <= MAXLD; ld += 8)
        for (int f0 = 0; f0 < 2; f0++) EACH_ISA(isa)
            {
                fill(Z, Q * ld);
                pfx_k_cg_families(isa, f0, 3, ptr, member, at, W, ld, X, Z, rz);
                for (int k = 0; k < ld; k++) {
                    long double dot = 0;
                    for (int f = f0; f < 3; f++)
                        for (pfx_idx i = ptr[f]; i < ptr[f + 1]; i++) {
                            long double z = 0;
                            for (pfx_idx j = ptr[f]; j < ptr[f + 1]; j++)
                                z += (long double)W[at[f] + (i - ptr[f]) * (ptr[f + 1] - ptr[f]) + j - ptr[f]] *
                                     X[member[j] * ld + k];
                            assert_abs(Z[member[i] * ld + k], (double)z, 1e-14);
                            dot += z * X[member[i] * ld + k];
                        }
                    assert_abs(rz[k], (double)dot, 1e-13);
                    assert_true(Z[6 * ld + k] == GUARD && (f0 == 0 || Z[5 * ld + k] == GUARD));
                }
                same(isa, Z, first, Q * ld);
                same(isa, rz, first_rz, ld);
            }
}

static void test_coupling(void **state)
{
    (void)state;
    enum { Q = 14, N = 16, MAXLD = 40 };
    static double Y[Q * MAXLD], T[N * MAXLD], pq[MAXLD], first[3][N * MAXLD];
    static const int32_t row[Q] = {4, -1, 0, 9, 1, -1, 2, 3, 5, 6, -1, 8, 7, 10};
    const double *P = X + 3, *B = X + 700, *N0 = X + 2000; /* B: the rows of P that N's columns stand for */
    for (int ld = 8; ld <= MAXLD; ld += 8) EACH_ISA(isa)
        {
            for (int i = 0; i < Q * ld; i++) Y[i] = W[i % 50];
            for (int i = 0; i < N * ld; i++) T[i] = W[i % 40];
            for (int k = 0; k < ld; k++) pq[k] = E[k];
            pfx_k_coupling(isa, 1, Q - 1, row, N, N0, ld, P, B, Y, T, pq);
            for (int k = 0; k < ld; k++) {
                long double dot = 0;
                for (int i = 0; i < Q; i++) {
                    long double y = 0;
                    for (int j = 0; j < N && i > 0 && i < Q - 1 && row[i] >= 0; j++)
                        y += (long double)N0[row[i] * N + j] * B[j * ld + k];
                    assert_abs(Y[i * ld + k], (double)(W[(i * ld + k) % 50] + y), 1e-13);
                    dot += y * P[i * ld + k];
                }
                assert_abs(pq[k], (double)(E[k] + 2 * dot), 1e-12);
                for (int j = 0; j < N; j++) {
                    long double t = W[(j * ld + k) % 40];
                    for (int i = 1; i < Q - 1; i++)
                        if (row[i] >= 0) t += (long double)N0[row[i] * N + j] * P[i * ld + k];
                    assert_abs(T[j * ld + k], (double)t, 1e-13);
                }
            }
            same(isa, Y, first[0], Q * ld);
            same(isa, T, first[1], N * ld);
            same(isa, pq, first[2], ld);
        }
}

static void test_outer(void **state)
{
    (void)state;
    enum { ROWS = 5, LDA = 24, LDB = 8 };
    static double A[ROWS * LDA], B[ROWS * LDB], first[2][ROWS * LDA];
    static const int32_t row[] = {3, 0, 3, 4};
    static const pfx_idx stride[] = {LDA, LDB};
    double *base[] = {A + 8, B};
    for (int n = 0; n <= 4; n++) EACH_ISA(isa)
        {
            for (int i = 0; i < ROWS * LDA; i++) A[i] = W[i % 50];
            for (int i = 0; i < ROWS * LDB; i++) B[i] = W[i % 30];
            pfx_k_outer(isa, n, row, E, 2, base, stride, 16, X);
            for (int r = 0; r < ROWS; r++)
                for (int j = 0; j < 8; j++) {
                    double a = W[(r * LDA + 8 + j) % 50], b = W[(r * LDB + j) % 30];
                    for (int i = 0; i < n; i++)
                        if (row[i] == r) a = fma(-E[i], X[j], a), b = fma(-E[i], X[16 + j], b);
                    assert_true(A[r * LDA + 8 + j] == a && B[r * LDB + j] == b);
                    assert_true(A[r * LDA + j] == W[(r * LDA + j) % 50] && A[r * LDA + 16 + j] == W[(r * LDA + 16 + j) % 50]);
                }
            same(isa, A, first[0], ROWS * LDA);
            same(isa, B, first[1], ROWS * LDB);
        }
}

enum { INNER_TILES = 4, OUTER_TILES = 2, TILES = INNER_TILES + OUTER_TILES, SLOTS = 8 * TILES, LEVELS = 60 };

/* Level g, packed where g % 3 is 0, and its slots [rows x blocks]. Returns the cells it takes. */
static uint32_t make_level(int g, uint64_t *cell, uint16_t *slot)
{
    static uint64_t draw;
    pfx_k_incidence *l = (pfx_k_incidence *)(void *)cell;
    bool packed = g % 3 == 0;
    *l = (pfx_k_incidence){g, (uint8_t)(1 + g % (packed ? 8 : 11)), packed, (uint8_t)(g % 4 % 3), (uint8_t)(1 + g % 2)};
    if (g == 20) l->rows = 32, l->inner = l->outer = 1;
    for (int b = 0, i = 0; b < l->inner + l->outer; b++) {
        int first = b < l->inner ? 0 : INNER_TILES, tiles = b < l->inner ? INNER_TILES : OUTER_TILES;
        int tile = first + (int)(test_uniform(4, draw++) * tiles);
        uint32_t lanes = 0, set = 0;
        for (int r = 0; r < l->rows; r++, i++) {
            int lane = packed ? (5 * r + g + b) % 8 : (int)(8 * test_uniform(5, draw++));
            if (!packed && g % 5 < 2) tile = first + (int)(test_uniform(4, draw++) * tiles);
            lanes |= (uint32_t)lane << 4 * r % 32, set |= 1u << lane;
            slot[i] = (uint16_t)(8 * tile + lane);
            if (!packed) l->slot[i] = slot[i];
        }
        if (packed) cell[1 + b] = pfx_k_incidence_cell((uint32_t)tile, lanes, set);
    }
    return 1 + (uint32_t)(l->inner + l->outer) * (packed ? 1 : l->rows);
}

/* Levels of up to 64 places in columns that may come back, in tiles of their own or shared ones. */
static void test_incidence(void **state)
{
    (void)state;
    static uint64_t cells[LEVELS * 65];
    static uint16_t slots[LEVELS][64];
    static double zero[SLOTS], S[SLOTS * SLOTS], diag[SLOTS], first[2][SLOTS * SLOTS];
    static long double want[SLOTS * SLOTS];
    uint32_t list[LEVELS], used = 0;

    for (int g = 0; g < LEVELS; g++) list[g] = used, used += make_level(g, cells + used, slots[g]);
    for (int outer = 0; outer < 2; outer++) EACH_ISA(isa)
        {
            /* A panel of the inner slots, whose columns begin after those of the outer tiles, and the outer slots. */
            int32_t at[TILES], met[TILES];
            for (int t = 0; t < TILES; t++) at[t] = t < INNER_TILES ? -1 : 8 * (t - INNER_TILES);
            pfx_k_incidence_target t = {.slot0 = outer ? 8 * INNER_TILES : 8, .slot1 = outer ? SLOTS : 24, .outer = outer,
                                        .ld = SLOTS, .S = S, .diag = diag, .at = at, .next_at = 8 * OUTER_TILES, .met = met};
            memset(S, 0, sizeof S), memset(diag, 0, sizeof diag), memset(want, 0, sizeof want);
            pfx_k_incidence_add(isa, LEVELS, list, cells, &t);
            assert_int_equal(t.n_met, outer ? 0 : INNER_TILES);
            for (int g = 0; g < LEVELS; g++) {
                const pfx_k_incidence *l = (const pfx_k_incidence *)(const void *)(cells + list[g]);
                int n = l->rows, b0 = outer ? l->inner : 0, b1 = l->inner + l->outer, rows_to = outer ? b1 : l->inner;
                for (int i = b0 * n; i < rows_to * n; i++)
                    for (int j = b0 * n; j < b1 * n; j++) {
                        int row = slots[g][i] - (int)t.slot0, lane = slots[g][j] % 8, tile = slots[g][j] / 8;
                        if (row < 0 || slots[g][i] >= t.slot1) continue;
                        want[row * SLOTS + at[tile] + lane] += (i % n == j % n) - 1.0L / n;
                        if (i == j) diag[row] -= 1;
                    }
            }
            for (int i = 0; i < SLOTS * SLOTS; i++) assert_abs(S[i], (double)want[i], 1e-13);
            assert_memory_equal(diag, zero, sizeof zero);
            same(isa, S, first[outer], SLOTS * SLOTS);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_incidence), cmocka_unit_test(test_cg_families), cmocka_unit_test(test_coupling), cmocka_unit_test(test_outer),
        
        cmocka_unit_test(test_gram), cmocka_unit_test(test_resid), cmocka_unit_test(test_score),
        cmocka_unit_test(test_scatter), cmocka_unit_test(test_demean), cmocka_unit_test(test_within), cmocka_unit_test(test_level_scores), cmocka_unit_test(test_shift),
        cmocka_unit_test(test_project), cmocka_unit_test(test_moments), cmocka_unit_test(test_blockcg)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
