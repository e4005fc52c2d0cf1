/* The weights of the two-way fixed-effects coefficient, and the Goodman-Bacon decomposition against the
 * coefficient that it takes apart. */
#include <jansson.h>
#include "src/base/mem.h"
#include "src/est/event_bacon.h"
#include "tests/est/event_data.h"
#include "tests/faults.h"

static pfx_status bacon(event_data *d, const event_case *c, bool balanced, event_run *r,
                        pfx_bacon_result *out, pfx_err *err)
{
    pfx_design *design = NULL;
    const pfx_fit_options o = ref_options(PFX_VCOV_CLUSTER, PFX_SSC_FIXEST);
    pfx_status st = event_open(d, c, r, &design, err);
    if (st != PFX_OK) return st;
    st = pfx_bacon_fit(design, balanced, &o, out, err);
    pfx_design_free(design);
    if (st != PFX_OK) event_run_clear(r);
    return st;
}

/* Mean of y over a group's rows in a span of time. */
static double mean(const event_data *d, double group, double from, double before)
{
    const double *y = event_data_column(d, "y"), *g = event_data_column(d, "g"),
                 *t = event_data_column(d, "time");
    double sum = 0, n = 0;
    for (pfx_idx i = 0; i < d->n; i++)
        if (g[i] == group && t[i] >= from && t[i] < before) {
            sum += y[i];
            n++;
        }
    return sum / n;
}

/* 24 units, 8 periods, groups of different sizes; 99 never, 0 in all periods of a sample from period 2 on. */
static event_data *made(void)
{
    static const char *const names[] = {"unit", "time", "y", "g"};
    static const double dates[24] = {3,  3,  3,  5, 5, 6, 6, 6, 6, 8,  99, 99,
                                     99, 99, 99, 3, 8, 2, 2, 2, 5, 99, 6,  3};
    double x[4][24 * 8], *p[4] = {x[0], x[1], x[2], x[3]};
    pfx_idx n = 0;
    for (int u = 0; u < 24; u++)
        for (int t = 1; t <= 8; t++, n++) {
            x[0][n] = u;
            x[1][n] = t;
            x[3][n] = dates[u];
            x[2][n] = 0.2 * u + 0.1 * t * t + (t >= dates[u] ? dates[u] - 1 + 0.5 * t : 0) +
                      test_uniform(9, (uint64_t)n);
        }
    return event_data_new(n, 4, names, (const double *const *)p, "unit", "time");
}

static void bacon_sum(void **state)
{
    (void)state;
    pfx_err err = {0};
    event_run r;
    pfx_bacon_result a;
    event_data *d = made();
    /* with a sample from period 2 on the group of 2 is treated all along */
    for (int from = 1; from <= 2; from++) {
        event_case c = {.formula = "y ~ _event_on | unit + time",
                        .cohort = "g",
                        .cluster = "unit",
                        .where = from == 2 ? "time >= 2" : NULL,
                        .method = PFX_EVENT_BACON};
        double total = 0;
        assert_ok(bacon(d, &c, false, &r, &a, &err));
        /* groups treated 2, 3, 5, 6, 8, never: each pair of the switching ones twice */
        assert_int_equal(a.n, from == 1 ? 5 + 2 * 10 : 4 + 2 * 6 + 4);
        assert_rel(a.sum, a.fit->coef[0].estimate, 1e-10);
        for (int i = 0; i < a.n; i++) {
            const pfx_bacon_pair *p = &a.pair[i];
            double k = p->treated, l = isinf(p->control) ? (p->control > 0 ? 99 : 2) : p->control,
                   start = from, end = 9;
            if (p->type == PFX_BACON_EARLIER) end = l;
            if (p->type == PFX_BACON_LATER) start = l;
            double want =
                mean(d, k, k, end) - mean(d, k, start, k) - (mean(d, l, k, end) - mean(d, l, start, k));
            assert_rel(p->estimate, want, 1e-10);
            assert_true(p->weight > 0);
            total += p->weight;
        }
        assert_rel(total, 1, 1e-12);
        assert_true((a.total[PFX_BACON_ALWAYS].weight > 0) == (from == 2));
        pfx_bacon_result_clear(&a);
        event_run_clear(&r);
    }
    event_case c = {.formula = "y ~ _event_on | unit + time",
                    .cohort = "g",
                    .cluster = "unit",
                    .where = "!(unit == 3 & time == 4)",
                    .method = PFX_EVENT_BACON};
    assert_fails(bacon(d, &c, false, &r, &a, &err), PFX_EDATA, "1 of 24 units are not seen in all 8 periods");
    /* without that unit, as if it had never been there */
    pfx_bacon_result b;
    event_run r2;
    assert_ok(bacon(d, &c, true, &r, &a, &err));
    c.where = "unit != 3";
    assert_ok(bacon(d, &c, false, &r2, &b, &err));
    assert_true(a.n_dropped == 1 && b.n_dropped == 0 && a.n_units == 23 && a.n == b.n);
    assert_rel(a.sum, a.fit->coef[0].estimate, 1e-10);
    assert_true(a.sum == b.sum);
    assert_rel(a.fit->coef[0].std_error, b.fit->coef[0].std_error, 1e-12);
    assert_int_equal(a.fit->clusters[0].levels, 23);
    pfx_bacon_result_clear(&a);
    pfx_bacon_result_clear(&b);
    event_run_clear(&r);
    event_run_clear(&r2);
    c.where = "time == 1 + unit - 8 * floor(unit / 8) | time == 8 - unit + 8 * floor(unit / 8)";
    assert_fails(bacon(d, &c, true, &r, &a, &err), PFX_EDATA, "no unit is seen in all 8 periods");
    c.where = "g == 5";
    assert_fails(bacon(d, &c, false, &r, &a, &err), PFX_EDATA, "nothing to compare");
    event_data_free(d);
}

/* The table of R's bacondecomp for castle, to its five digits, and the reference's coefficient. */
static void castle(void **state)
{
    (void)state;
    SKIP_WITHOUT("castle.csv");
    pfx_err err = {0};
    event_run r;
    pfx_bacon_result a;
    json_error_t e;
    event_data *d = event_data_read(test_refdata("castle.csv"), "sid", "year");
    const event_case c = {.formula = "l_homicide ~ _event_on | sid + year",
                          .treatment = "post",
                          .cluster = "sid",
                          .method = PFX_EVENT_BACON};
    json_t *ref = json_load_file(test_refdata("castle.ref.json"), 0, &e),
           *twfe = json_object_get(ref, "twfe");
    double want = json_number_value(json_object_get(json_object_get(twfe, "coef"), "post"));
    assert_ok(bacon(d, &c, false, &r, &a, &err));
    assert_rel(a.sum, want, 1e-10);
    assert_rel(a.fit->coef[0].estimate, want, 1e-10);
    assert_abs(a.total[PFX_BACON_EARLIER].weight, 0.05976, 5e-6);
    assert_abs(a.total[PFX_BACON_EARLIER].estimate, -0.00554, 5e-6);
    assert_abs(a.total[PFX_BACON_LATER].weight, 0.03190, 5e-6);
    assert_abs(a.total[PFX_BACON_LATER].estimate, 0.07032, 5e-6);
    assert_abs(a.total[PFX_BACON_NEVER].weight, 0.90834, 5e-6);
    assert_abs(a.total[PFX_BACON_NEVER].estimate, 0.08796, 5e-6);
    json_decref(ref);
    pfx_bacon_result_clear(&a);
    event_run_clear(&r);
    event_data_free(d);
}

/* Every allocation that fails is said, and nothing leaks. */
static void faults(void **state)
{
    (void)state;
    event_data *d = made();
    const event_case c = {.formula = "y ~ _event_on | unit + time",
                          .cohort = "g",
                          .cluster = "unit",
                          .where = "!(unit == 3 & time == 4)",
                          .method = PFX_EVENT_BACON};
    test_faults f = {0};
    while (test_faults_next(&f)) {
        pfx_err err = {0};
        event_run r;
        pfx_bacon_result a = {0};
        pfx_status st = bacon(d, &c, true, &r, &a, &err);
        pfx_bacon_result_clear(&a);
        if (st == PFX_OK) event_run_clear(&r);
        test_faults_done(&f, st);
    }
    event_data_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(castle),
        cmocka_unit_test(bacon_sum),
        cmocka_unit_test(faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
