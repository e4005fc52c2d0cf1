/* Propensity scores and nearest neighbours: lalonde against published matches, a brute-force twin, ties,
 * strata. */
#include <jansson.h>
#include "src/base/mem.h"
#include "src/est/binary.h"
#include "src/est/neighbours.h"
#include "tests/est/refcase.h"
#include "tests/faults.h"

static pfx_binary_options options(pfx_link link)
{
    return (pfx_binary_options){.link = link, .maxiter = 100, .nth = 1, .isa = pfx_cpu_best()};
}

/* The obvious way: look at every control for each neighbour. */
static void twin(const pfx_match_in *in, pfx_idx *pair)
{
    bool *used = calloc((size_t)in->n, sizeof *used), *off = calloc((size_t)in->n, sizeof *off);
    pfx_idx nt = 0, *slot = calloc((size_t)in->n, sizeof *slot);
    for (pfx_idx i = 0; i < in->n; i++) {
        if (!in->treated[i]) continue;
        slot[i] = nt++;
        double low = INFINITY, high = -INFINITY;
        for (pfx_idx j = 0; j < in->n; j++)
            if (!in->treated[j] && (!in->stratum || in->stratum[i] == in->stratum[j])) {
                low = fmin(low, in->score[j]);
                high = fmax(high, in->score[j]);
            }
        off[i] = in->support && !(in->score[i] >= low - in->tie && in->score[i] <= high + in->tie);
        for (int k = 0; k < in->k; k++) pair[slot[i] * in->k + k] = -1;
    }
    for (int k = 0; k < in->k; k++) {
        bool *served = calloc((size_t)in->n, sizeof *served);
        for (pfx_idx turn = 0; turn < nt; turn++) {
            pfx_idx i = -1;
            for (pfx_idx j = 0; j < in->n; j++)
                if (in->treated[j] && !served[j] && (i < 0 || in->score[j] > in->score[i])) i = j;
            served[i] = true;
            pfx_idx *mine = pair + slot[i] * in->k, best = -1;
            if (off[i] || (k && mine[k - 1] < 0)) continue;
            for (pfx_idx j = 0; j < in->n; j++) {
                bool mine_already = false;
                for (int l = 0; l < k; l++) mine_already |= mine[l] == j;
                if (in->treated[j] || mine_already || (!in->replace && used[j])) continue;
                if (in->stratum && in->stratum[i] != in->stratum[j]) continue;
                double d = fabs(in->score[i] - in->score[j]);
                if (d <= in->caliper && (best < 0 || d < fabs(in->score[i] - in->score[best]) - in->tie))
                    best = j;
            }
            mine[k] = best;
            if (best >= 0) used[best] = true;
        }
        free(served);
    }
    free(used);
    free(off);
    free(slot);
}

/* Scores with many ties, strata of all sizes, every option. */
static void against_twin(void **state)
{
    (void)state;
    enum { N = 240, STRATA = 7 };
    double score[N];
    uint8_t treated[N];
    int32_t stratum[N];
    for (int c = 0; c < 96; c++) {
        pfx_err err = {0};
        pfx_match *m = NULL;
        for (pfx_idx i = 0; i < N; i++) {
            double u = test_uniform((uint64_t)(3 * c), (uint64_t)i);
            /* Equal but for rounding noise, where there are ties. */
            double noise = 1e-11 * test_uniform((uint64_t)(1000 + c), (uint64_t)i);
            score[i] = c % 3 ? floor(u * (c % 3 == 1 ? 12 : 60)) / 8 + noise : u;
            treated[i] = test_uniform((uint64_t)(3 * c + 1), (uint64_t)i) < (c % 2 ? 0.2 : 0.45);
            stratum[i] = (int32_t)(STRATA * pow(test_uniform((uint64_t)(3 * c + 2), (uint64_t)i), 2));
        }
        pfx_match_in in = {.n = N,
                           .score = score,
                           .treated = treated,
                           .stratum = c & 4 ? stratum : NULL,
                           .n_strata = STRATA,
                           .k = 1 + c % 4,
                           .replace = c & 8,
                           .support = c & 16,
                           .caliper = c & 32 ? 0.3 : INFINITY,
                           .tie = c % 3 ? 1e-9 : 0,
                           .nth = 1 + c % 3};
        assert_ok(pfx_match_run(&in, &m, &err));
        pfx_idx *pair = malloc((size_t)(m->n_treated * in.k) * sizeof *pair);
        twin(&in, pair);
        double total = 0, matched = 0;
        for (pfx_idx i = 0; i < m->n_treated * in.k; i++)
            if (pair[i] != m->pair[i])
                fail_msg("case %d: neighbour %lld is %lld, twin %lld", c, (long long)i, (long long)m->pair[i],
                         (long long)pair[i]);
        for (pfx_idx i = 0; i < N; i++) *(treated[i] ? &matched : &total) += m->weight[i];
        assert_rel(total, matched, 1e-12);
        assert_int_equal((pfx_idx)matched, m->n_matched);
        free(pair);
        pfx_match_free(m);
    }
}

static const char covariates[] = "age educ black hispan married nodegree re74 re75";

/* Where two groups of controls lie at one distance on either side (age and schooling differ by multiples of
 * the same step), the tie rule takes the lowest row; the reference was left to its rounding, which took the
 * other side. Rows from 0; checked by hand: both distances agree to 17 digits. */
static void take_other_side(pfx_match *m, int k)
{
    static const struct {
        int k;
        pfx_idx treated, ours, theirs;
    } swaps[] = {
        {1, 70, 576, 584}, {4, 28, 551, 590}, {4, 30, 551, 590}, {4, 55, 551, 590}, {4, 91, 551, 590}};
    for (size_t s = 0; s < sizeof swaps / sizeof *swaps; s++) {
        if (swaps[s].k != k) continue;
        pfx_idx slot = 0, *pair;
        while (m->row[slot] != swaps[s].treated) slot++;
        pair = m->pair + slot * k;
        assert_int_equal(pair[k - 1], swaps[s].ours);
        m->weight[swaps[s].ours] -= 1.0 / k;
        m->weight[swaps[s].theirs] += 1.0 / k;
    }
}

/* The twelve matches of lalonde on the index of a logit: counts and effects on the treated. */
static void lalonde(void **state)
{
    (void)state;
    pfx_err err = {0};
    ref_table *t = ref_read(ref_own("lalonde.csv"));
    ref_spec spec = {.y = "treat", .x = covariates}, outcome = {.y = "re78", .x = covariates};
    pfx_design *d = ref_design(t, &spec), *dy = ref_design(t, &outcome);
    pfx_binary *f = NULL;
    pfx_binary_options o = options(PFX_LOGIT);
    assert_ok(pfx_binary_fit(d, &o, &f, &err));
    json_t *ref = json_load_file(ref_own("lalonde.ref.json"), 0, NULL), *one;
    const char *key;
    int cases = 0;
    assert_non_null(ref);
    uint8_t *treated = malloc((size_t)d->n);
    double mean = 0, sd = 0, n = (double)d->n;
    for (pfx_idx i = 0; i < d->n; i++) {
        treated[i] = d->Z[i * d->p + d->p - 1] == 1;
        mean += f->index[i] / n;
    }
    for (pfx_idx i = 0; i < d->n; i++) sd += (f->index[i] - mean) * (f->index[i] - mean) / (n - 1);
    sd = sqrt(sd);
    json_object_foreach(ref, key, one)
    {
        pfx_match *m = NULL;
        pfx_match_in in = {.n = d->n,
                           .score = f->index,
                           .treated = treated,
                           .nth = 1,
                           .k = strstr(key, "1to4")   ? 4
                                : strstr(key, "1to2") ? 2
                                                      : 1,
                           .replace = strncmp(key, "no", 2) != 0,
                           .tie = 1e-10 * sd,
                           .caliper = strstr(key, "cal0.2") ? 0.2 * sd : INFINITY};
        for (int j = 0; j < f->k; j++)
            assert_rel(f->b[j],
                       json_real_value(json_object_get(json_object_get(one, "logit_coef"), f->term[j])),
                       1e-9);
        assert_rel(f->loglik, json_real_value(json_object_get(one, "logit_loglik")), 1e-12);
        for (size_t i = 0; i < 5; i++)
            assert_rel(pfx_link_probability(PFX_LOGIT, f->index[i]),
                       json_real_value(json_array_get(json_object_get(one, "pscore_first5"), i)), 1e-10);
        assert_ok(pfx_match_run(&in, &m, &err));
        assert_int_equal(m->n_treated, json_integer_value(json_object_get(one, "n_treated")));
        assert_int_equal(m->n_matched, json_integer_value(json_object_get(one, "matched_treated")));
        if (in.replace) take_other_side(m, in.k);
        pfx_idx used = 0;
        for (pfx_idx i = 0; i < d->n; i++) used += !treated[i] && m->weight[i] > 1e-12;
        assert_int_equal(used, json_integer_value(json_object_get(one, "distinct_controls_used")));
        double y1 = 0, y0 = 0;
        for (pfx_idx i = 0; i < d->n; i++)
            *(treated[i] ? &y1 : &y0) += m->weight[i] * dy->Z[i * dy->p + dy->p - 1] / (double)m->n_matched;
        assert_rel(y1 - y0, json_real_value(json_object_get(json_object_get(one, "att"), "re78")), 1e-9);
        pfx_match_free(m);
        cases++;
    }
    assert_int_equal(cases, 12);
    json_decref(ref);
    free(treated);
    pfx_binary_free(f);
    ref_design_free(d);
    ref_design_free(dy);
    ref_free(t);
}

/* The score equations hold at the solution, in long double; standard errors from the information; any nth,
 * any ISA. */
static void score_equations(void **state)
{
    (void)state;
    enum { N = 5000, P = 4 };
    double *Z = malloc(N * P * sizeof *Z);
    for (pfx_idx i = 0; i < N; i++) {
        double *z = Z + i * P, u = test_uniform(9, (uint64_t)i);
        for (int j = 0; j < 3; j++) z[j] = 1000 * j + test_uniform((uint64_t)j, (uint64_t)i);
        z[3] = u < 1 / (1 + exp(-(z[0] - 2 * (z[1] - 1000) + 0.3)));
    }
    for (int link = PFX_LOGIT; link <= PFX_PROBIT; link++)
        for (int intercept = 0; intercept < 2; intercept++) {
            pfx_err err = {0};
            pfx_design *d = ref_design_new(N, P, Z, intercept);
            pfx_binary *f = NULL, *g = NULL;
            pfx_binary_options o = options((pfx_link)link);
            assert_ok(pfx_binary_fit(d, &o, &f, &err));
            for (int j = 0; j < f->k; j++) {
                long double sum = 0, size = 0;
                for (pfx_idx i = 0; i < N; i++) {
                    long double v = 0, x[P], y = Z[i * P + 3];
                    for (int l = 0; l < f->k; l++) {
                        x[l] = intercept ? (l ? Z[i * P + l - 1] : 1) : Z[i * P + l];
                        v += x[l] * (long double)f->b[l];
                    }
                    long double s = link ? (y != 0 ? 1 : -1) * expl(-v * v / 2) / sqrtl(2 * acosl(-1)) /
                                               (erfcl((y != 0 ? -v : v) / sqrtl(2)) / 2)
                                         : y - 1 / (1 + expl(-v));
                    sum += s * x[j];
                    size += fabsl(s * x[j]);
                }
                assert_true(fabsl(sum) < 1e-10L * size);
            }
            for (int nth = 2; nth <= 7; nth++) {
                o.nth = nth;
                o.isa = nth % 2 ? PFX_ISA_PORTABLE : pfx_cpu_best();
                assert_ok(pfx_binary_fit(d, &o, &g, &err));
                assert_same_bits(f->b, g->b, f->k);
                assert_same_bits(f->se, g->se, f->k);
                assert_same_bits(f->index, g->index, N);
                pfx_binary_free(g);
            }
            pfx_binary_free(f);
            ref_design_free(d);
        }
    free(Z);
}

/* A 2 x 2 table has its logit in closed form, with its standard errors. */
static void closed_form(void **state)
{
    (void)state;
    enum { A = 17, B = 5, C = 8, D = 40, N = A + B + C + D };
    double Z[N * 2];
    pfx_err err = {0};
    pfx_binary *f = NULL;
    for (int i = 0; i < N; i++) {
        Z[2 * i] = i < A + B;
        Z[2 * i + 1] = i < A || (i >= A + B && i < A + B + C);
    }
    pfx_design *d = ref_design_new(N, 2, Z, true);
    pfx_binary_options o = options(PFX_LOGIT);
    assert_ok(pfx_binary_fit(d, &o, &f, &err));
    assert_rel(f->b[0], log((double)C / D), 1e-13);
    assert_rel(f->b[1], log((double)A * D / B / C), 1e-13);
    assert_rel(f->se[0], sqrt(1.0 / C + 1.0 / D), 1e-12);
    assert_rel(f->se[1], sqrt(1.0 / A + 1.0 / B + 1.0 / C + 1.0 / D), 1e-12);
    assert_rel(f->loglik0, 25 * log(25.0 / N) + 45 * log(45.0 / N), 1e-13);
    pfx_binary_free(f);
    ref_design_free(d);
}

/* Whole, partial and rare separation end with the column's name; the same table one row short of it fits. */
static void separation(void **state)
{
    (void)state;
    enum { N = 4000 };
    double *Z = malloc(N * 3 * sizeof *Z);
    for (int link = PFX_LOGIT; link <= PFX_PROBIT; link++)
        for (int c = 0; c < 6; c++) {
            pfx_err err = {0};
            pfx_binary *f = NULL;
            for (pfx_idx i = 0; i < N; i++) {
                double *z = Z + 3 * i, u = test_uniform(1, (uint64_t)i);
                z[0] = test_uniform(2, (uint64_t)i);
                z[2] = test_uniform(3, (uint64_t)i) < 0.3 + 0.3 * z[0];
                /* whole; its mend: one row on the wrong side; a dummy of five rows, all treated; all but one
                 * treated; a dummy of 1,000 rows without a treated one; with one. */
                z[1] = c < 2 ? z[2] + 0.5 * u : c < 4 ? i < 5 : i < 1000;
                if (c == 1 && i == 7) z[1] = 1 - z[2] + 0.5 * u;
                if (c >= 2 && z[1] != 0) z[2] = c < 4 ? !(c == 3 && i == 0) : c == 5 && i == 0;
            }
            pfx_design *d = ref_design_new(N, 3, Z, true);
            pfx_binary_options o = options((pfx_link)link);
            if (c % 2 == 0)
                assert_fails(pfx_binary_fit(d, &o, &f, &err), PFX_ENOCONV, "x1 above all");
            else
                assert_ok(pfx_binary_fit(d, &o, &f, &err));
            pfx_binary_free(f);
            ref_design_free(d);
        }
    free(Z);
}

static void collinear_and_bad(void **state)
{
    (void)state;
    enum { N = 60 };
    double Z[N * 5];
    pfx_err err = {0};
    pfx_binary *f = NULL;
    for (pfx_idx i = 0; i < N; i++) {
        double *z = Z + 5 * i;
        z[0] = test_uniform(1, (uint64_t)i);
        z[1] = 3;
        z[2] = test_uniform(2, (uint64_t)i);
        z[3] = 2 * z[0] - z[2] + 7;
        z[4] = test_uniform(3, (uint64_t)i) < 0.5;
    }
    pfx_design *d = ref_design_new(N, 5, Z, true);
    pfx_binary_options o = options(PFX_LOGIT);
    assert_ok(pfx_binary_fit(d, &o, &f, &err));
    assert_int_equal(f->n_collinear, 2);
    assert_string_equal(f->collinear[0], "x1");
    assert_string_equal(f->collinear[1], "x3");
    assert_int_equal(f->k, 3);
    assert_string_equal(f->term[2], "x2");
    pfx_binary_free(f);
    d->Z[4] = 2;
    assert_fails(pfx_binary_fit(d, &o, &f, &err), PFX_EDATA, "want 0 or 1");
    for (pfx_idx i = 0; i < N; i++) d->Z[5 * i + 4] = 1;
    assert_fails(pfx_binary_fit(d, &o, &f, &err), PFX_EDATA, "nothing to compare");
    ref_design_free(d);
}

static void allocations(void **state)
{
    (void)state;
    double Z[80], score[40];
    uint8_t treated[40];
    for (int i = 0; i < 40; i++) {
        score[i] = Z[2 * i] = test_uniform(1, (uint64_t)i);
        Z[2 * i + 1] = treated[i] = i % 3 == 0;
    }
    pfx_design *d = ref_design_new(40, 2, Z, true);
    pfx_match_in in = {.n = 40, .score = score, .treated = treated, .k = 2, .caliper = INFINITY, .nth = 1};
    pfx_binary_options o = options(PFX_LOGIT);
    test_faults faults = {0};
    while (test_faults_next(&faults)) {
        pfx_err err = {0};
        pfx_binary *f = NULL;
        pfx_match *m = NULL;
        pfx_status st = pfx_binary_fit(d, &o, &f, &err);
        if (st == PFX_OK) st = pfx_match_run(&in, &m, &err);
        pfx_binary_free(f);
        pfx_match_free(m);
        test_faults_done(&faults, st);
    }
    ref_design_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lalonde),     cmocka_unit_test(against_twin), cmocka_unit_test(score_equations),
        cmocka_unit_test(closed_form), cmocka_unit_test(separation),   cmocka_unit_test(collinear_and_bad),
        cmocka_unit_test(allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
