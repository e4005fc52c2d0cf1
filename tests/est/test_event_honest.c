/* Intervals under restrictions on differences in trends, against R's HonestDiD on Benzarti and Carloni
 * (2019), closed forms and brute force. */
#include <gsl/gsl_cdf.h>
#include "src/base/mem.h"
#include "src/est/event_honest.h"
#include "src/est/simplex.h"
#include "tests/faults.h"
#include "tests/test.h"

/* Effects of the French reform of restaurants' value-added tax on profits, 2004 to 2007 and 2009 to 2012, and
 * their covariance, as published with the R package. */
static const double BC_B[8] = {0.006696351804, 0.02934503369, -0.006472972222, 0.0730149895,
                               0.1959611177,   0.3120639026,  0.2395415455,    0.1260425001};
static const double BC_V[64] = {
    0.0008428358124, 0.0004768686777,  0.0002618051076,  0.0002354220342,  0.0001676371467, 0.0001128707663,
    1.992816215e-05, -0.0001368265366, 0.0004768686777,  0.0006425420288,  0.0003987425007, 0.0002435515198,
    0.0002201960306, 0.0001804591157,  3.84376508e-05,   -2.960421989e-05, 0.0002618051076, 0.0003987425007,
    0.0005229949602, 0.000211768609,   0.0001840722252,  0.000145852784,   7.005197403e-05, 5.952994979e-05,
    0.0002354220342, 0.0002435515198,  0.000211768609,   0.0003089595411,  0.0001197866077, 0.0001334081317,
    0.0001016335009, 0.0001079051726,  0.0001676371467,  0.0002201960306,  0.0001840722252, 0.0001197866077,
    0.000359970436,  0.0002478818642,  0.0001749579242,  0.0001654256921,  0.0001128707663, 0.0001804591157,
    0.000145852784,  0.0001334081317,  0.0002478818642,  0.0004263949813,  0.0002171437809, 0.0002892747871,
    1.992816215e-05, 3.84376508e-05,   7.005197403e-05,  0.0001016335009,  0.0001749579242, 0.0002171437809,
    0.0004886697861, 0.0003805322049,  -0.0001368265366, -2.960421989e-05, 5.952994979e-05, 0.0001079051726,
    0.0001654256921, 0.0002892747871,  0.0003805322049,  0.000761739444};
static const double FIRST_EFFECT[4] = {1, 0, 0, 0}, AVERAGE[4] = {0.25, 0.25, 0.25, 0.25};

static pfx_honest_in bc(const double *l)
{
    return (pfx_honest_in){.n_pre = 4, .n_post = 4, .b = BC_B, .V = BC_V, .l = l, .level = 0.95, .nth = 2};
}

/* R's table for the first effect; its quantile is simulated and its search coarse. */
static void smooth_reference(void **state)
{
    (void)state;
    static const double want[3][3] = {{0, 0.131411316, 0.2161696482},
                                      {0.1, 0.1194440001, 0.4185082143},
                                      {0.2, 0.01944400015, 0.5185082143}};
    pfx_err err = {0};
    const pfx_honest_in in = bc(FIRST_EFFECT);
    pfx_honest_interval i;
    for (int r = 0; r < 3; r++) {
        assert_ok(pfx_honest_smooth(&in, want[r][0], &i, &err));
        assert_abs(i.low, want[r][1], 1e-3);
        assert_abs(i.high, want[r][2], 1e-3);
    }
    double breakdown;
    bool above;
    assert_ok(pfx_honest_breakdown(&in, pfx_honest_smooth_zero, 0.01, &breakdown, &above, &err));
    assert_false(above);
    assert_ok(pfx_honest_smooth(&in, breakdown * 0.99, &i, &err));
    assert_true(i.low > 0);
    assert_ok(pfx_honest_smooth(&in, breakdown * 1.01, &i, &err));
    assert_true(i.low < 0);
}

/* R's, by the conditional test on a grid of 0.0038, Mbar = 1. */
static void relative_reference(void **state)
{
    (void)state;
    pfx_err err = {0};
    const pfx_honest_in in = bc(FIRST_EFFECT);
    pfx_honest_interval i;
    assert_ok(pfx_honest_conditional(&in, 1, &i, &err));
    assert_true(i.low > 0.07055244362 - 0.0039 && i.low < 0.07055244362 + 2e-5); /* its lowest point within */
    assert_true(i.high < 0.3184394077 + 0.0039 && i.high > 0.3184394077 - 2e-5);
    assert_ok(pfx_honest_relative(&in, 1, &i, &err));
    assert_abs(i.low, 0.07055244362, 0.008);
    assert_abs(i.high, 0.3184394077, 0.008);
}

/* |N(t, 1)| by its distribution. */
static void folded(void **state)
{
    (void)state;
    for (double t = 0; t < 40; t = t * 1.7 + 0.1)
        for (double p = 0.5; p < 1; p += 0.09) {
            double c = pfx_honest_folded_quantile(t, p);
            assert_abs(gsl_cdf_ugaussian_Q(c - t) + gsl_cdf_ugaussian_Q(c + t), 1 - p, 1e-12);
        }
    assert_abs(pfx_honest_folded_quantile(0, 0.95), 1.959963984540054, 1e-12);
}

/* ---- twins ---- */

enum { PRE = 3, POST = 2, N = PRE + POST };

static void made(int which, double *b, double *V, double *l)
{
    double G[N][N];
    for (int i = 0; i < N; i++) {
        b[i] = 2 * test_uniform(20, (uint64_t)(which * 10 + i)) - 1 + (i >= PRE);
        for (int j = 0; j < N; j++)
            G[i][j] = test_uniform(21, (uint64_t)(which * 100 + i * N + j)) - 0.3 + 0.5 * (i == j);
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            V[i * N + j] = 0;
            for (int k = 0; k < N; k++) V[i * N + j] += 0.05 * G[i][k] * G[j][k];
        }
    l[0] = which % 2 ? 0.5 : 1;
    l[1] = which % 2 ? 0.5 : 0;
}

/* Largest bias of weights w over the vertices of the restriction (each change of slope +-M, no slope),
 * infinite if a slope moves it. */
static double largest_bias(const double *w, double M)
{
    double largest = 0, slope = 0;
    for (int t = -PRE; t <= POST; t++)
        if (t) slope += t * w[t < 0 ? t + PRE : t + PRE - 1];
    if (fabs(slope) > 1e-9) return INFINITY;
    for (int bits = 0; bits < 1 << (N - 1); bits++) {
        /* delta from 0 at the reference outwards, first slope zero there */
        double bias = 0, delta[2 * N + 1] = {0}, *d = delta + N;
        for (int t = 1; t < POST; t++) d[t + 1] = 2 * d[t] - d[t - 1] + (bits >> t & 1 ? M : -M);
        for (int t = 0, k = POST; t > -PRE; t--, k++) {
            double u = (t == 0 ? bits & 1 : bits >> k & 1) ? M : -M;
            d[t - 1] = 2 * d[t] - d[t + 1] + u;
        }
        for (int t = -PRE; t <= POST; t++)
            if (t) bias += w[t < 0 ? t + PRE : t + PRE - 1] * d[t];
        largest = fmax(largest, fabs(bias));
    }
    return largest;
}

/* Length of the interval about w'b, over all w with finite bias: two numbers are free; grids that close in.
 */
static void brute_smooth(const double *b, const double *V, const double *l, double M, double *low,
                         double *high)
{
    double w[N], at[2] = {0, 0}, width = 8, best = INFINITY, best_at[2] = {0};
    double target = l[0] + 2 * l[1];
    for (int round = 0; round < 60; round++, width *= 0.6) {
        for (int i = -6; i <= 6; i++)
            for (int j = -6; j <= 6; j++) {
                double x[2] = {at[0] + width * i / 6, at[1] + width * j / 6}, var = 0;
                w[0] = x[0], w[1] = x[1]; /* periods -3, -2 of the reference; -1 makes up for slopes */
                w[2] = target - 3 * x[0] - 2 * x[1];
                w[3] = l[0], w[4] = l[1];
                for (int a = 0; a < N; a++)
                    for (int c = 0; c < N; c++) var += w[a] * V[a * N + c] * w[c];
                double half = sqrt(var) * pfx_honest_folded_quantile(largest_bias(w, M) / sqrt(var), 0.9);
                if (half < best) best = half, best_at[0] = x[0], best_at[1] = x[1];
            }
        at[0] = best_at[0], at[1] = best_at[1];
    }
    double middle =
        at[0] * b[0] + at[1] * b[1] + (target - 3 * at[0] - 2 * at[1]) * b[2] + l[0] * b[3] + l[1] * b[4];
    *low = middle - best;
    *high = middle + best;
}

static void smooth_twin(void **state)
{
    (void)state;
    pfx_err err = {0};
    for (int which = 0; which < 6; which++) {
        double b[N], V[N * N], l[POST], low, high;
        pfx_honest_interval i;
        made(which, b, V, l);
        const pfx_honest_in in = {
            .n_pre = PRE, .n_post = POST, .b = b, .V = V, .l = l, .level = 0.9, .nth = 1};
        for (double M = 0; M < 0.5; M = 3 * M + 0.02) {
            brute_smooth(b, V, l, M, &low, &high);
            assert_ok(pfx_honest_smooth(&in, M, &i, &err));
            assert_rel(i.high - i.low, high - low, 1e-7);
            assert_abs(0.5 * (i.high + i.low), 0.5 * (high + low), 2e-3); /* flat about its minimum */
            assert_true(i.low <= i.estimate && i.estimate <= i.high);
        }
        /* M = 0: weighted least squares of the trend on the effects before treatment and the others' own
         * coefficients */
        double A[N + 1][N + 2] = {{0}};
        for (int a = 0; a < N; a++) { /* minimise w'Vw, w of l after, with the slope's multiplier */
            for (int c = 0; c < N; c++) A[a][c] = V[a * N + c];
            A[a][N] = A[N][a] = a < PRE ? a - PRE : a - PRE + 1;
        }
        for (int a = PRE; a < N; a++) { /* fixed ones */
            for (int c = 0; c <= N + 1; c++) A[a][c] = 0;
            A[a][a] = 1;
            A[a][N + 1] = l[a - PRE];
        }
        for (int p = 0; p <= N; p++) { /* Gauss with pivots */
            int best = p;
            for (int r = p; r <= N; r++)
                if (fabs(A[r][p]) > fabs(A[best][p])) best = r;
            for (int c = 0; c <= N + 1; c++) {
                double x = A[p][c];
                A[p][c] = A[best][c], A[best][c] = x;
            }
            for (int r = 0; r <= N; r++)
                for (int c = N + 1; r != p && c >= p; c--) A[r][c] -= A[r][p] / A[p][p] * A[p][c];
        }
        double middle = 0, var = 0;
        for (int a = 0; a < N; a++) {
            middle += A[a][N + 1] / A[a][a] * b[a];
            for (int c = 0; c < N; c++) var += A[a][N + 1] / A[a][a] * A[c][N + 1] / A[c][c] * V[a * N + c];
        }
        assert_ok(pfx_honest_smooth(&in, 0, &i, &err));
        assert_abs(i.estimate, middle, 1e-10);
        assert_rel(i.high - i.low, 2 * sqrt(var) * pfx_honest_folded_quantile(0, 0.9), 1e-10);
    }
}

/* With hardly any noise the interval is the identified set: the effect less what changes up to Mbar times the
 * largest one before can add up to. */
static void relative_twin(void **state)
{
    (void)state;
    pfx_err err = {0};
    for (int which = 0; which < 6; which++) {
        double b[N], V[N * N], l[POST], largest = 0;
        pfx_honest_interval i;
        made(which, b, V, l);
        for (int k = 0; k < N * N; k++) V[k] *= 1e-8;
        for (int k = 0; k < PRE; k++) largest = fmax(largest, fabs(b[k] - (k + 1 < PRE ? b[k + 1] : 0)));
        const pfx_honest_in in = {
            .n_pre = PRE, .n_post = POST, .b = b, .V = V, .l = l, .level = 0.95, .nth = 1};
        for (double Mbar = 0; Mbar < 2.5; Mbar += 0.8) {
            double middle = l[0] * b[3] + l[1] * b[4], reach = Mbar * largest * (l[0] + 2 * l[1]);
            assert_ok(pfx_honest_relative(&in, Mbar, &i, &err));
            assert_abs(i.low, middle - reach, 2e-3);
            assert_abs(i.high, middle + reach, 2e-3);
            assert_true(i.low < middle - reach && i.high > middle + reach);
        }
    }
    /* Mbar = 0 and one effect: nothing to allow for but noise. The interval is near the plain one. */
    static const double b[2] = {0.1, 1}, V[4] = {0.04, 0.01, 0.01, 0.09}, one[1] = {1};
    const pfx_honest_in in = {.n_pre = 1, .n_post = 1, .b = b, .V = V, .l = one, .level = 0.95, .nth = 1};
    pfx_honest_interval i;
    assert_ok(pfx_honest_relative(&in, 0, &i, &err));
    assert_true(i.low > 1 - 3 * 0.3 && i.low < 1 - 1.5 * 0.3 && i.high < 1 + 3 * 0.3 &&
                i.high > 1 + 1.5 * 0.3);
    /* Mbar = 0 and moments of the effects alone: the plain interval, if the first stage's critical value is
     * right. Of PFX_HONEST_TAIL draws beyond it 15 % are chance, which is 1.5 % of the level and 0.5 % of the
     * length. */
    static const double b3[3] = {0.1, 1, 2}, V3[9] = {0.04, 0.01, 0, 0.01, 0.09, 0.02, 0, 0.02, 0.16},
                        l3[2] = {1, 0};
    static const double levels[] = {0.9, 0.95, 0.99};
    for (int k = 0; k < 3; k++) {
        const pfx_honest_in plain = {
            .n_pre = 1, .n_post = 2, .b = b3, .V = V3, .l = l3, .level = levels[k], .nth = 1};
        double half = 0.3 * pfx_honest_folded_quantile(0, levels[k]);
        assert_ok(pfx_honest_relative(&plain, 0, &i, &err));
        assert_abs(i.low, 1 - half, 0.006 * half);
        assert_abs(i.high, 1 + half, 0.006 * half);
    }
}

/* One effect after treatment, two before: no nuisance, and the test has a closed form (Andrews, Roth and
 * Pakes, section 4.1). With d = (b2 - b1, -b2, b3 - theta) the changes, moments are those |d_t| <= sign d_s
 * before and |d_3| <= Mbar sign d_s. */
static bool closed_form(const double *b, const double *V, double theta, double Mbar, int s, double sign,
                        double first, double level)
{
    static const double change[3][3] = {{-1, 1, 0}, {0, -1, 0}, {0, 0, 1}};
    double A[6][3], Y[6], sd[6] = {0}, S[6][6], d[3] = {b[1] - b[0], -b[1], b[2] - theta}, low = -INFINITY;
    int m = 0, top = 0;
    for (int t = 0; t < 3; t++)
        for (int way = -1; way <= 1; way += 2) {
            double f = t == 2 ? Mbar : 1;
            bool any = false;
            for (int i = 0; i < 3; i++) {
                A[m][i] = way * change[t][i] - f * sign * change[s][i];
                any |= A[m][i] != 0;
            }
            Y[m] = way * d[t] - f * sign * d[s];
            m += any;
        }
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++) {
            S[i][j] = 0;
            for (int a = 0; a < 3; a++)
                for (int c = 0; c < 3; c++) S[i][j] += A[i][a] * V[a * 3 + c] * A[j][c];
        }
    for (int i = 0; i < m; i++) {
        sd[i] = sqrt(S[i][i]);
        if (Y[i] / sd[i] > Y[top] / sd[top]) top = i;
    }
    double eta = Y[top] / sd[top];
    if (eta > first) return true;
    if (eta <= 0) return false;
    for (int i = 0; i < m; i++) {
        double rho = S[i][top] / (sd[i] * sd[top]);
        if (i != top && rho < 1 - 1e-9) low = fmax(low, (Y[i] / sd[i] - rho * eta) / (1 - rho));
    }
    double tail = isinf(first) ? 0 : gsl_cdf_ugaussian_Q(first);
    return (gsl_cdf_ugaussian_Q(eta) - tail) / (gsl_cdf_ugaussian_Q(low) - tail) < level;
}

static void one_effect_twin(void **state)
{
    (void)state;
    pfx_err err = {0};
    static const double l[1] = {1};
    int mattered = 0;
    for (int which = 0; which < 12; which++) {
        double b[3], V[9], G[3][3], Mbar = 0.4 * (which % 4), end[2], sd;
        for (int i = 0; i < 3; i++) {
            b[i] = 0.6 * test_uniform(50, (uint64_t)(which * 10 + i)) - 0.3 + (i == 2);
            for (int j = 0; j < 3; j++)
                G[i][j] = 0.5 * test_uniform(51, (uint64_t)(which * 100 + i * 3 + j)) - 0.1;
        }
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++) {
                V[i * 3 + j] = 0;
                for (int k = 0; k < 3; k++) V[i * 3 + j] += G[i][k] * G[j][k];
            }
        sd = sqrt(V[8]);
        const pfx_honest_in in = {.n_pre = 2, .n_post = 1, .b = b, .V = V, .l = l, .level = 0.95, .nth = 1};
        for (int side = 0; side < 2; side++) { /* from far, in fine steps */
            bool all = true;
            for (double theta = b[2] + (side ? 12 : -12) * sd; all; theta += (side ? -1e-3 : 1e-3) * sd) {
                for (int k = 0; k < 4; k++)
                    all &= closed_form(b, V, theta, Mbar, k / 2, k % 2 ? -1 : 1, INFINITY, 0.05);
                end[side] = theta;
            }
        }
        pfx_honest_interval i, h;
        assert_ok(pfx_honest_conditional(&in, Mbar, &i, &err));
        assert_abs(i.low, end[0], 3e-3 * sd);
        assert_abs(i.high, end[1], 3e-3 * sd);
        assert_ok(pfx_honest_relative(&in, Mbar, &h, &err));
        mattered += fabs(h.low - i.low) > 3e-3 * sd;
    }
    assert_true(mattered > 0);
}

/* The values that are not rejected hold the truth as often as they say, at a difference in trends on the
 * bound. */
static void relative_coverage(void **state)
{
    (void)state;
    enum { DRAWS = 300 };
    double b[N], V[N * N], l[POST], L[N][N] = {{0}};
    pfx_err err = {0};
    int covered = 0;
    made(1, b, V, l);
    for (int i = 0; i < N; i++)
        for (int j = 0; j <= i; j++) {
            double x = V[i * N + j];
            for (int k = 0; k < j; k++) x -= L[i][k] * L[j][k];
            L[i][j] = i == j ? sqrt(x) : x / L[j][j];
        }
    const double delta[N] = {0.1, 0.4, 0.3, 0.3, 0.6}; /* changes .3 -.1 -.3 | .3 .3 of the reference's 0 */
    for (int r = 0; r < DRAWS; r++) {
        bool holds;
        for (int i = 0; i < N; i++) {
            b[i] = delta[i];
            for (int j = 0; j <= i; j++)
                b[i] += L[i][j] * gsl_cdf_ugaussian_Pinv(test_uniform(30, (uint64_t)(r * N + j)));
        }
        const pfx_honest_in in = {
            .n_pre = PRE, .n_post = POST, .b = b, .V = V, .l = l, .level = 0.9, .nth = 1};
        assert_ok(pfx_honest_relative_zero(&in, 1, &holds, &err));
        covered += holds;
    }
    assert_true(covered >= 255); /* 0.9 less 3 standard errors is 0.848 */
}

/* Vertices by enumeration of the bases. */
static void simplex_twin(void **state)
{
    (void)state;
    enum { M = 7, K = 3 };
    pfx_err err = {0};
    for (int which = 0; which < 40; which++) {
        double W[M * K], y[M], best = -INFINITY, g[M], value = 0;
        for (int i = 0; i < M * K; i++)
            W[i] = test_uniform(40, (uint64_t)(which * 100 + i)) - (i % K ? 0.5 : 0);
        for (int i = 0; i < M; i++) y[i] = test_uniform(41, (uint64_t)(which * 10 + i)) - 0.5;
        for (int a = 0; a < M; a++)
            for (int b = a + 1; b < M; b++)
                for (int c = b + 1; c < M; c++) {
                    const double *r[3] = {W + a * K, W + b * K, W + c * K};
                    double x[3], det = 0;
                    for (int i = 0; i < 3; i++) {
                        const double *p = r[(i + 1) % 3], *q = r[(i + 2) % 3];
                        x[i] = p[1] * q[2] - p[2] * q[1]; /* Cramer with (1, 0, 0) */
                        det += r[i][0] * x[i];
                    }
                    if (x[0] / det < 0 || x[1] / det < 0 || x[2] / det < 0) continue;
                    best = fmax(best, (x[0] * y[a] + x[1] * y[b] + x[2] * y[c]) / det);
                }
        pfx_simplex s;
        assert_ok(pfx_simplex_create(M, K, W, &s, &err));
        assert_true(s.feasible == (best > -INFINITY));
        if (s.feasible) {
            assert_abs(pfx_simplex_max(&s, y, g), best, 1e-9);
            for (int i = 0; i < M; i++) value += g[i] * y[i];
            assert_abs(value, best, 1e-9);
        }
        pfx_simplex_free(&s);
    }
}

static void faults(void **state)
{
    (void)state;
    const pfx_honest_in in = bc(AVERAGE);
    for (int which = 0; which < 2; which++) {
        test_faults f = {.least = which ? 20 : 4};
        while (test_faults_next(&f)) {
            pfx_err err = {0};
            bool holds;
            pfx_status st = which ? pfx_honest_relative_zero(&in, 0.5, &holds, &err)
                                  : pfx_honest_smooth_zero(&in, 0.1, &holds, &err);
            test_faults_done(&f, st);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folded),
        cmocka_unit_test(simplex_twin),
        cmocka_unit_test(smooth_reference),
        cmocka_unit_test(smooth_twin),
        cmocka_unit_test(relative_reference),
        cmocka_unit_test(relative_twin),
        cmocka_unit_test(relative_coverage),
        cmocka_unit_test(one_effect_twin),
        cmocka_unit_test(faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
