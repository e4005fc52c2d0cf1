/* The absorber against dense dummies in long double, on every route, and its bits over threads and instruction
 * sets. */
#include "tests/faults.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/est/absorb.h"
#include "tests/unit/absorb_twin.h"

static const pfx_absorb_options defaults = {1e-12, 10000, 2, PFX_ISA_PORTABLE};

static pfx_absorber *absorb(pfx_design *d, int nth, pfx_isa isa)
{
    pfx_absorb_options o = defaults;
    pfx_err err = {0};
    pfx_absorber *a = NULL;
    o.nth = nth, o.isa = isa;
    if (pfx_absorber_create(d, &o, &a, &err) != PFX_OK) fail_msg("%s", err.msg);
    return a;
}

/* All demeaned rows [n x p]. */
static double *demeaned(const pfx_absorber *a, const pfx_design *d)
{
    double *z = malloc((size_t)(d->n * d->p) * sizeof *z);
    double *buf = malloc((size_t)(pfx_absorber_max_block_rows(a) * d->p) * sizeof *buf);
    pfx_idx next = 0;
    for (pfx_idx b = 0; b < pfx_absorber_n_blocks(a); b++) {
        pfx_idx row, n;
        pfx_absorber_block_rows(a, b, &row, &n);
        assert_int_equal(row, next);
        assert_true(n > 0 && n <= pfx_absorber_max_block_rows(a));
        pfx_absorber_block(a, b, buf);
        memcpy(z + row * d->p, buf, (size_t)(n * d->p) * sizeof *z);
        next = row + n;
    }
    assert_int_equal(next, d->n);
    free(buf);
    return z;
}

static double w_of(const pfx_design *d, pfx_idx i) { return d->w ? d->w[i] : 1.0; }

static void check_rows(const pfx_design *d, const twin *t, const double *z, double tol)
{
    for (int k = 0; k < d->p; k++) {
        long double size = 0, diff = 0;
        for (pfx_idx i = 0; i < d->n; i++) {
            long double r = t->resid[i * d->p + k], e = z[i * d->p + k] - r;
            size += r * r * w_of(d, i), diff += e * e * w_of(d, i);
        }
        if (!(sqrtl(diff) <= tol * sqrtl(size))) fail_msg("column %d: rows differ by %Lg of %Lg", k, sqrtl(diff), sqrtl(size));
        for (pfx_idx j = 0; j < t->rank; j++) {
            long double s = 0;
            for (pfx_idx i = 0; i < d->n; i++) s += t->effects[j * d->n + i] * z[i * d->p + k] * sqrtl(w_of(d, i));
            if (!(fabsl(s) <= tol * sqrtl(size))) fail_msg("column %d leans %Lg on effect %ld", k, s / sqrtl(size), (long)j);
        }
    }
}

static void check_sums(const pfx_design *d, const twin *t, const pfx_absorber *a, double tol)
{
    const double *gram = pfx_absorber_gram(a);
    for (int j = 0; j < d->p; j++) {
        long double W = 0, mean = 0, raw = 0, centred = 0;
        for (int k = 0; k < d->p; k++) {
            long double g = 0, gj = 0, gk = 0;
            for (pfx_idx i = 0; i < d->n; i++) {
                long double x = t->resid[i * d->p + j], y = t->resid[i * d->p + k], w = w_of(d, i);
                g += w * x * y, gj += w * x * x, gk += w * y * y;
            }
            if (!(fabsl(gram[j * d->p + k] - g) <= tol * sqrtl(gj * gk))) fail_msg("gram %d %d: %g, not %Lg", j, k, gram[j * d->p + k], g);
            assert_true(gram[j * d->p + k] == gram[k * d->p + j]);
        }
        for (pfx_idx i = 0; i < d->n; i++) {
            long double x = d->Z[i * d->p + j], w = w_of(d, i);
            W += w, mean += w * x, raw += w * x * x;
        }
        mean /= W;
        for (pfx_idx i = 0; i < d->n; i++) centred += w_of(d, i) * (d->Z[i * d->p + j] - mean) * (d->Z[i * d->p + j] - mean);
        assert_true(fabsl(pfx_absorber_mean(a)[j] - mean) <= 1e-15L * fabsl(mean) + 1e-14L * sqrtl(centred / W));
        assert_true(fabsl(pfx_absorber_raw(a)[j] - raw) <= 1e-13L * raw);
        assert_true(fabsl(pfx_absorber_centred(a)[j] - centred) <= 1e-13L * centred);
    }
}

/* The effects fit what the projection takes off a column. */
static void check_effects(const pfx_design *d, pfx_absorber *a, double tol)
{
    const pfx_absorb_info *info = pfx_absorber_info(a);
    pfx_err err = {0};
    double *r = malloc((size_t)d->n * sizeof *r), **alpha = calloc((size_t)info->n_effects + 1, sizeof *alpha);
    uint64_t seed = 77;
    for (pfx_idx i = 0; i < d->n; i++) r[i] = 5.0 + toy_uniform(&seed);
    for (int e = 0; e < info->n_effects; e++) alpha[e] = malloc((size_t)info->levels[e] * sizeof **alpha);
    assert_ok(pfx_absorber_effects(a, r, alpha, &err));
    twin t = twin_project(d, 1, r);
    for (pfx_idx i = 0; i < d->n; i++) {
        long double fit = 0;
        int at = 0;
        for (int e = 0; e < d->n_absorbed; e++) {
            int32_t c = d->absorbed[e].factor.code[i];
            if (d->absorbed[e].intercept) fit += alpha[at++][c];
            for (int k = 0; k < d->absorbed[e].n_slopes; k++) fit += alpha[at++][c] * (long double)d->absorbed[e].slope[k][i];
        }
        if (!(fabsl(r[i] - fit - t.resid[i]) <= tol * 100)) fail_msg("row %ld: effects leave %Lg, not %Lg", (long)i, r[i] - fit, t.resid[i]);
    }
    if (d->n_absorbed > 1 && d->absorbed[0].intercept && d->absorbed[1].intercept) {
        int second = 1 + d->absorbed[0].n_slopes;
        assert_true(alpha[second][0] == 0.0);
    }
    twin_free(&t);
    for (int e = 0; e < info->n_effects; e++) free(alpha[e]);
    free(alpha), free(r);
}

static void check_order(const pfx_design *d, const pfx_design *fresh)
{
    for (pfx_idx i = 0; i < d->n; i++) {
        pfx_idx from = d->row[i];
        for (int k = 0; k < d->p; k++) assert_true(d->Z[i * d->p + k] == fresh->Z[from * d->p + k]);
        if (d->w) assert_true(d->w[i] == fresh->w[from]);
        for (int e = 0; e < d->n_absorbed; e++)
            assert_int_equal(d->absorbed[e].factor.code[i], fresh->absorbed[e].factor.code[from]);
    }
}

static bool same_bits(const pfx_absorber *a, const pfx_absorber *b, const pfx_design *d)
{
    double *x = demeaned(a, d), *y = demeaned(b, d);
    bool same = memcmp(x, y, (size_t)(d->n * d->p) * sizeof *x) == 0 &&
                memcmp(pfx_absorber_gram(a), pfx_absorber_gram(b), (size_t)(d->p * d->p) * sizeof *x) == 0 &&
                memcmp(pfx_absorber_centred(a), pfx_absorber_centred(b), (size_t)d->p * sizeof *x) == 0 &&
                memcmp(pfx_absorber_mean(a), pfx_absorber_mean(b), (size_t)d->p * sizeof *x) == 0;
    free(x), free(y);
    return same;
}

/* Everything about one toy; route NULL: any. rank_known: info must state the exact rank. */
static void check(toy t, const char *route, bool rank_known, double tol)
{
    pfx_design *d = toy_design(&t), *fresh = toy_design(&t);
    pfx_absorber *a = absorb(d, 2, pfx_cpu_best());
    const pfx_absorb_info *info = pfx_absorber_info(a);

    check_order(d, fresh);
    twin tw = twin_project(d, d->p, d->Z);
    double *z = demeaned(a, d);
    check_rows(d, &tw, z, tol);
    check_sums(d, &tw, a, tol);
    if (t.n_effects > 0 && !t.intercept) check_effects(d, a, tol);
    if (route) assert_string_equal(info->route, route);
    assert_true(info->converged);
    if (rank_known || info->rank >= 0) assert_int_equal(info->rank, tw.rank);
    static const int threads[] = {1, 3, 7};
    for (int i = 0; i < 3; i++) {
        pfx_absorber *b = absorb(d, threads[i], pfx_cpu_best());
        assert_true(same_bits(a, b, d));
        pfx_absorber_free(b);
    }
    for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
        if (!pfx_cpu_has(isa)) continue;
        pfx_absorber *b = absorb(d, 2, isa);
        assert_true(same_bits(a, b, d));
        pfx_absorber_free(b);
    }
    free(z), twin_free(&tw), pfx_absorber_free(a), toy_free(d), toy_free(fresh);
}

#define LEVELS(N, HOW) {N, true, 0, HOW, 0}
#define SLOPES(N, S, HOW, FLAT) {N, true, S, HOW, FLAT}

static void test_none(void **state)
{
    (void)state;
    check((toy){.n = 700, .p = 5, .intercept = true, .seed = 1, .offset = 3}, "none", true, 1e-13);
    check((toy){.n = 700, .p = 5, .intercept = false, .seed = 2}, "none", true, 1e-13);
    check((toy){.n = 6000, .p = 3, .intercept = true, .weights = true, .seed = 3, .offset = 1e5}, "none", true, 1e-13);
    check((toy){.n = 1, .p = 3, .intercept = false, .seed = 3}, "none", true, 1e-13);
}

static void test_one_way(void **state)
{
    (void)state;
    for (int p = 1; p <= 35; p += p < 18 ? 1 : 16)
        check((toy){.n = 300, .p = p, .n_effects = 1, .effect = {LEVELS(70, TOY_RUNS)}, .seed = 4, .tilt = 1}, "one-way", true, 1e-13);
    check((toy){.n = 400, .p = 4, .n_effects = 1, .effect = {LEVELS(90, TOY_RANDOM)}, .weights = true, .seed = 5, .tilt = 1}, "one-way", true, 1e-13);
    check((toy){.n = 400, .p = 12, .n_effects = 1, .effect = {LEVELS(90, TOY_RUNS)}, .seed = 6, .offset = 1e8}, "one-way", true, 1e-13);
    /* long levels, cut into pieces */
    check((toy){.n = 9500, .p = 4, .n_effects = 1, .effect = {LEVELS(2, TOY_RANDOM)}, .seed = 7, .tilt = 1, .offset = 1e6}, "one-way", true, 1e-13);
    check((toy){.n = 9500, .p = 3, .n_effects = 1, .effect = {LEVELS(2, TOY_RANDOM)}, .weights = true, .seed = 8, .tilt = 1}, "one-way", true, 1e-13);
}

static void test_two_way(void **state)
{
    (void)state;
    for (int how = TOY_RANDOM; how <= TOY_CYCLE; how++)
        for (int w = 0; w < 2; w++) {
            if (how == TOY_RUNS) continue;
            check((toy){.n = 420, .p = 12, .n_effects = 2, .effect = {LEVELS(80, TOY_RUNS), LEVELS(8, how)}, .weights = w, .seed = 9 + (uint64_t)how, .tilt = 1}, "two-way", true, 1e-13);
            check((toy){.n = 420, .p = 7, .n_effects = 2, .effect = {LEVELS(6, how), LEVELS(70, TOY_RANDOM)}, .weights = w, .seed = 19 + (uint64_t)how, .tilt = 1}, "two-way", true, 1e-13);
        }
    check((toy){.n = 300, .p = 4, .n_effects = 2, .effect = {LEVELS(60, TOY_RUNS), LEVELS(1, TOY_RANDOM)}, .seed = 30}, "two-way", true, 1e-13);
    check((toy){.n = 300, .p = 4, .n_effects = 2, .effect = {LEVELS(60, TOY_RUNS), LEVELS(7, TOY_CYCLE)}, .seed = 31, .offset = 1e8}, "two-way", true, 1e-12);
    check((toy){.n = 900, .p = 4, .n_effects = 2, .effect = {LEVELS(70, TOY_RUNS), LEVELS(64, TOY_RANDOM)}, .seed = 32, .tilt = 1}, "two-way", true, 1e-13);
    check((toy){.n = 9500, .p = 2, .n_effects = 2, .effect = {LEVELS(2, TOY_RANDOM), LEVELS(2, TOY_RANDOM)}, .seed = 33, .tilt = 1}, "two-way", true, 1e-13);
    /* both the same, and a second effect nested in the first */
    check((toy){.n = 200, .p = 3, .n_effects = 2, .effect = {LEVELS(40, TOY_RUNS), LEVELS(40, TOY_NESTED)}, .seed = 34, .tilt = 1}, NULL, true, 1e-13);
}

static void test_many_periods(void **state)
{
    (void)state;
    for (int w = 0; w < 2; w++)
        for (int how = 0; how < 2; how++)
            check((toy){.n = 600, .p = 9, .n_effects = 2, .effect = {LEVELS(130, TOY_RUNS), LEVELS(90, how ? TOY_SPLIT : TOY_RANDOM)}, .weights = w, .seed = 40 + (uint64_t)how, .tilt = 1}, NULL, true, 1e-11);
}

static void test_three_way(void **state)
{
    (void)state;
    for (int w = 0; w < 2; w++) {
        check((toy){.n = 500, .p = 6, .n_effects = 3, .effect = {LEVELS(80, TOY_RUNS), LEVELS(9, TOY_RANDOM), LEVELS(7, TOY_CYCLE)}, .weights = w, .seed = 50, .tilt = 1}, "schur-cholesky", true, 1e-12);
        check((toy){.n = 800, .p = 6, .n_effects = 3, .effect = {LEVELS(120, TOY_RUNS), LEVELS(60, TOY_RANDOM), LEVELS(40, TOY_CYCLE)}, .weights = w, .seed = 51, .tilt = 1}, NULL, false, 1e-11);
        check((toy){.n = 800, .p = 3, .n_effects = 4, .effect = {LEVELS(20, TOY_CYCLE), LEVELS(60, TOY_RANDOM), LEVELS(40, TOY_SPLIT), LEVELS(100, TOY_RUNS)}, .weights = w, .seed = 52, .tilt = 1}, NULL, false, 1e-11);
    }
}

static void test_slopes(void **state)
{
    (void)state;
    for (int w = 0; w < 2; w++) {
        /* firm[x]: flat in some levels, levels of one row */
        check((toy){.n = 400, .p = 5, .n_effects = 1, .effect = {SLOPES(70, 1, TOY_RUNS, 0.2)}, .weights = w, .seed = 60, .tilt = 1}, "one-way", true, 1e-12);
        check((toy){.n = 400, .p = 5, .n_effects = 1, .effect = {SLOPES(60, 3, TOY_RUNS, 0)}, .weights = w, .seed = 61, .tilt = 1, .offset = 100}, "one-way", true, 1e-10);
        check((toy){.n = 400, .p = 5, .n_effects = 2, .effect = {SLOPES(60, 1, TOY_RUNS, 0.1), LEVELS(8, TOY_CYCLE)}, .weights = w, .seed = 62, .tilt = 1}, NULL, true, 1e-11);
        /* slopes of the smaller effect */
        check((toy){.n = 400, .p = 5, .n_effects = 2, .effect = {LEVELS(60, TOY_RUNS), SLOPES(8, 1, TOY_CYCLE, 0)}, .weights = w, .seed = 63, .tilt = 1}, NULL, true, 1e-11);
        check((toy){.n = 900, .p = 5, .n_effects = 2, .effect = {LEVELS(100, TOY_RUNS), SLOPES(50, 1, TOY_RANDOM, 0)}, .weights = w, .seed = 64, .tilt = 1}, NULL, false, 1e-10);
        /* firm[[x]] */
        check((toy){.n = 400, .p = 5, .n_effects = 1, .effect = {{70, false, 1, TOY_RUNS, 0}}, .weights = w, .seed = 65}, NULL, true, 1e-12);
        check((toy){.n = 400, .p = 5, .n_effects = 1, .effect = {{70, false, 1, TOY_RUNS, 0}}, .weights = w, .intercept = true, .seed = 66}, NULL, true, 1e-12);
        check((toy){.n = 400, .p = 5, .n_effects = 2, .effect = {{70, false, 1, TOY_RUNS, 0}, LEVELS(7, TOY_CYCLE)}, .weights = w, .seed = 67}, NULL, true, 1e-11);
    }
}

/* A column that keeps a millionth of its spread is still orthogonal to the effects to its own size. */
static void test_nearly_absorbed(void **state)
{
    (void)state;
    toy t = {.n = 500, .p = 3, .n_effects = 2, .effect = {LEVELS(80, TOY_RUNS), LEVELS(8, TOY_CYCLE)}, .seed = 70, .tilt = 1e6};
    check(t, "two-way", true, 1e-8);
    t.n_effects = 3, t.effect[2] = (toy_effect)LEVELS(5, TOY_RANDOM);
    check(t, NULL, true, 1e-8);
}

static void test_not_converged(void **state)
{
    (void)state;
    toy t = {.n = 9000, .p = 4, .n_effects = 2, .effect = {LEVELS(2500, TOY_RUNS), LEVELS(1200, TOY_RANDOM)}, .seed = 40, .tilt = 1};
    pfx_design *d = toy_design(&t);
    pfx_absorb_options o = {1e-13, 2, 1, PFX_ISA_PORTABLE};
    pfx_absorber *a;
    pfx_err err = {0};
    assert_int_equal(pfx_absorber_create(d, &o, &a, &err), PFX_ENOCONV);
    assert_non_null(strstr(err.msg, "f0, f1"));
    assert_null(a);
    toy_free(d);
}

/* Blocks are as many whole levels as fit 384 rows of 8 columns, level by level; a longer level is a block. */
static void test_blocks(void **state)
{
    (void)state;
    static const pfx_idx levels[] = {6000, 900, 130, 12, 3};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        toy t = {.n = 6000, .p = 8, .n_effects = 1, .effect = {LEVELS(levels[i], TOY_RUNS)}, .seed = 90 + i};
        pfx_design *d = toy_design(&t);
        pfx_absorber *a = absorb(d, 1, pfx_cpu_best());
        const int32_t *code = d->absorbed[0].factor.code;
        for (pfx_idx b = 0, row = 0; b < pfx_absorber_n_blocks(a); b++) {
            pfx_idx end = row, at, n;
            for (pfx_idx next = row; next < d->n && (end == row || next - row < 384);) {
                for (next++; next < d->n && code[next] == code[next - 1];) next++;
                if (end == row || next - row <= 384) end = next;
            }
            pfx_absorber_block_rows(a, b, &at, &n);
            assert_int_equal(at, row);
            assert_int_equal(n, end - row);
            row = end;
        }
        pfx_absorber_free(a), toy_free(d);
    }
}

/* Each allocation fails in turn: a status and a message, and nothing left behind; or the same sums without it. */
static void test_out_of_memory(void **state)
{
    (void)state;
    static const toy list[] = {
        {.n = 200, .p = 3, .n_effects = 2, .effect = {LEVELS(40, TOY_RANDOM), LEVELS(6, TOY_CYCLE)}, .seed = 80},
        {.n = 9000, .p = 2, .n_effects = 1, .effect = {LEVELS(2, TOY_RANDOM)}, .seed = 81},
        {.n = 300, .p = 3, .n_effects = 2, .effect = {SLOPES(60, 1, TOY_RUNS, 0), LEVELS(8, TOY_CYCLE)}, .seed = 82},
        {.n = 600, .p = 4, .n_effects = 2, .effect = {LEVELS(130, TOY_RUNS), LEVELS(90, TOY_RANDOM)}, .seed = 83},
        {.n = 6000, .p = 2, .n_effects = 2, .effect = {LEVELS(2500, TOY_RUNS), LEVELS(1200, TOY_RANDOM)}, .seed = 84},
        {.n = 600, .p = 2, .n_effects = 3, .effect = {LEVELS(130, TOY_RUNS), LEVELS(60, TOY_RANDOM), LEVELS(20, TOY_CYCLE)}, .seed = 85}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        const pfx_absorb_options o = {1e-10, 10000, 1, PFX_ISA_PORTABLE};
        const int cells = list[i].p * list[i].p;
        double want[16];
        pfx_err err = {0};
        pfx_absorber *a;
        pfx_design *whole = toy_design(&list[i]);
        assert_ok(pfx_absorber_create(whole, &o, &a, &err));
        memcpy(want, pfx_absorber_gram(a), (size_t)cells * sizeof *want);
        pfx_absorber_free(a);
        toy_free(whole);
        test_faults f = {0};
        while (test_faults_next(&f)) {
            pfx_design *d = toy_design(&list[i]);
            pfx_err_clear(&err);
            pfx_status st = pfx_absorber_create(d, &o, &a, &err);
            assert_true(st == PFX_OK || (err.msg[0] && !a));
            if (st == PFX_OK) assert_same_bits(pfx_absorber_gram(a), want, cells);
            pfx_absorber_free(a);
            toy_free(d);
            test_faults_done(&f, st);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none), cmocka_unit_test(test_one_way), cmocka_unit_test(test_two_way),
        cmocka_unit_test(test_many_periods), cmocka_unit_test(test_three_way), cmocka_unit_test(test_slopes),
        cmocka_unit_test(test_nearly_absorbed), cmocka_unit_test(test_not_converged),
        cmocka_unit_test(test_blocks), cmocka_unit_test(test_out_of_memory)};
    pfx_err err = {0};
    if (pfx_par_single_thread_blas(&err) != PFX_OK) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
