/* The simulation behind docs/coverage.md: its panels are what they are said to be, and its intervals are
 * those of the tests beside them. */
#include "bench/coverage/coverage.h"
#include "src/model/design.h"
#include "tests/test.h"

enum { PANELS = 60, REPS = 399 };

static cover_cell cell(pfx_idx treated, int nth)
{
    return (cover_cell){.G = 60,
                        .treated = treated,
                        .panels = PANELS,
                        .reps = REPS,
                        .seed = 7,
                        .nth = nth,
                        .isa = pfx_cpu_best()};
}

static void run(const cover_cell *c, cover_summary *s, cover_outcome *o)
{
    pfx_err err = {0};
    assert_ok(cover_cell_run(c, s, o, &err));
}

static double coverage(const cover_summary *s, int m)
{
    return (double)s[m].covers / (double)s[m].sets;
}

static double size(const cover_summary *s, int m)
{
    return (double)s[m].rejects / (double)s[m].tests;
}

static void test_panels(void **state)
{
    (void)state;
    const cover_cell c = cell(6, 1);
    pfx_err err = {0};
    for (pfx_idx i = 0; i < 20; i++) {
        cover_panel p;
        bool treated[60] = {false}, before[60] = {false}, full = true;
        int n = 0, rows[60] = {0};
        assert_ok(cover_panel_make(&c, i, &p, &err));
        const pfx_design *d = p.d;
        for (pfx_idx r = 0; r < d->n; r++) {
            int32_t g = d->clusters[0].code[r];
            bool again = r && d->clusters[0].code[r - 1] == g;
            rows[g]++;
            assert_true(d->Z[r * d->p] == p.treatment[r]);
            if (again) assert_true(p.period[r] > p.period[r - 1] && p.treatment[r] >= p.treatment[r - 1]);
            treated[g] |= p.treatment[r] == 1;
            before[g] |= p.treatment[r] == 0;
        }
        for (int g = 0; g < 60; g++) {
            n += treated[g];
            assert_true(rows[g] >= 2 && before[g]);
            full &= rows[g] == COVER_YEARS;
        }
        assert_int_equal(n, 6);
        assert_false(full);
        cover_panel_free(&p);
    }
}

/* The estimate is about the planted effect: within four standard errors of the mean of the estimates. */
static void test_planted(void **state)
{
    (void)state;
    cover_cell c = cell(30, 1);
    c.reps = 19;
    cover_outcome o[COVER_METHODS];
    double sum = 0, squares = 0, b = 0;
    pfx_err err = {0};
    for (pfx_idx i = 0; i < PANELS; i++) {
        assert_ok(cover_panel_run(&c, i, o, &b, &err));
        sum += b;
        squares += b * b;
    }
    double mean = sum / PANELS, var = (squares / PANELS - mean * mean) / PANELS;
    assert_true(fabs(mean - COVER_EFFECT) < 4 * sqrt(var));
    assert_true(sqrt(var) < 0.05);
}

static void test_threads(void **state)
{
    (void)state;
    cover_outcome *o[2];
    cover_summary s[COVER_METHODS];
    for (int k = 0; k < 2; k++) {
        cover_cell c = cell(3, k + 1);
        c.panels = 20;
        o[k] = calloc(20 * COVER_METHODS, sizeof **o);
        run(&c, s, o[k]);
    }
    assert_memory_equal(o[0], o[1], 20 * COVER_METHODS * sizeof **o);
    free(o[0]);
    free(o[1]);
}

/* A value is in an interval by inversion exactly where its own test does not reject it; so for t(G-1) too. */
static void test_duality(void **state)
{
    (void)state;
    static const cover_method dual[] = {COVER_CRV1,  COVER_CV3,   COVER_WCR11,
                                        COVER_WCR31, COVER_WCU11, COVER_PLACEBO_B};
    cover_outcome *o = calloc(PANELS * COVER_METHODS, sizeof *o);
    cover_summary s[COVER_METHODS];
    for (int treated = 1; treated <= 5; treated += 2) {
        const cover_cell c = cell(treated, 2);
        pfx_idx inside = 0, outside = 0;
        run(&c, s, o);
        for (pfx_idx i = 0; i < PANELS; i++)
            for (size_t k = 0; k < sizeof dual / sizeof *dual; k++) {
                const cover_outcome *x = &o[i * COVER_METHODS + (pfx_idx)dual[k]];
                if (isnan(x->covers)) continue;
                assert_true((x->p <= 0.05 * (1 + 1e-9)) == (x->covers == 0));
                inside += x->covers > 0;
                outside += x->covers == 0;
            }
        assert_true(inside > PANELS && outside > 0);
    }
    free(o);
}

/* Where half of the firms are treated every method is about right; where one is, the known failures. */
static void test_bounds(void **state)
{
    (void)state;
    cover_summary many[COVER_METHODS], one[COVER_METHODS];
    cover_cell c = cell(30, 2);
    c.panels = 200;
    run(&c, many, NULL);
    for (int m = 0; m < COVER_METHODS; m++) {
        if (many[m].tests) assert_true(size(many, m) < 0.12);
        if (!many[m].sets) continue;
        assert_int_equal(many[m].bounded, 200);
        assert_true(coverage(many, m) > 0.88 && coverage(many, m) < 1);
        double ratio = many[m].length / many[COVER_CRV1].length;
        assert_true(ratio > 0.93 && ratio < 1.1);
    }
    c = cell(1, 2);
    c.panels = 200;
    run(&c, one, NULL);
    assert_true(size(one, COVER_CRV1) > 0.6 && size(one, COVER_WCU11) > 0.6);
    assert_true(size(one, COVER_WCR11) < 0.03 && coverage(one, COVER_WCR11) > 0.97);
    assert_true(size(one, COVER_PLACEBO_B) < 0.1 && size(one, COVER_PLACEBO_T) < 0.1);
    assert_true(one[COVER_PLACEBO_B].bounded < one[COVER_PLACEBO_B].sets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_panels), cmocka_unit_test(test_planted),
                                       cmocka_unit_test(test_threads), cmocka_unit_test(test_duality),
                                       cmocka_unit_test(test_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
