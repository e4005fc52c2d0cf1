/* Event studies on cells: two-way fixed effects against reference results, Sun-Abraham against the published
 * average and a regression on hand-made dummies, dates of treatment, controls and refusals. */
#include <jansson.h>
#include "src/base/log.h"
#include "src/base/mem.h"
#include "tests/est/event_data.h"
#include "tests/faults.h"

static json_t *reference(const char *file, const char *block)
{
    json_error_t e;
    json_t *all = json_load_file(test_refdata(file), 0, &e), *one;
    assert_non_null(all);
    one = json_incref(json_object_get(all, block));
    assert_non_null(one);
    json_decref(all);
    return one;
}

/* Every event time of a reference regression, whose terms are prefix + number: event time = number * sign +
 * shift. */
static void against_reference(const char *file, const event_run *r, const char *lead, int lead_sign,
                              int lead_shift, const char *lag, int lag_shift)
{
    json_t *ref = reference(file, "event"), *v;
    json_t *se = json_object_get(json_object_get(ref, "se"), "CL1_nested");
    const char *term;
    int n = 0;
    json_object_foreach(json_object_get(ref, "coef"), term, v)
    {
        bool is_lead = strncmp(term, lead, strlen(lead)) == 0;
        if (!is_lead && strncmp(term, lag, strlen(lag)) != 0) continue;
        int k = atoi(term + strlen(is_lead ? lead : lag));
        const pfx_event_effect *e =
            event_at(&r->result, is_lead ? lead_sign * k + lead_shift : k + lag_shift);
        assert_rel(e->estimate, json_number_value(v), 1e-9);
        assert_rel(e->std_error, json_number_value(json_object_get(se, term)), 1e-9);
        n++;
    }
    assert_int_equal(n + 1, r->result.n);
    json_decref(ref);
}

static void twfe_references(void **state)
{
    (void)state;
    SKIP_WITHOUT("base_stagg.csv");
    pfx_err err = {0};
    event_run r;
    event_data *d = event_data_read(test_refdata("base_stagg.csv"), "id", "year");
    event_case c = {.formula = "y ~ i(_event_cell, ref = 0) + x1 | id + year",
                    .cohort = "year_treated",
                    .cluster = "id",
                    .method = PFX_EVENT_TWFE};
    assert_ok(event_run_case(d, &c, &r, &err));
    against_reference("base_stagg.ref.json", &r, "rm", -1, 0, "r", 0);
    assert_int_equal(r.timing.n_never, 50);
    event_run_clear(&r);
    event_data_free(d);

    d = event_data_read(test_refdata("base_did.csv"), "id", "period");
    c = (event_case){.formula = "y ~ i(_event_cell, ref = 0) + x1 | id + period",
                     .treatment = "did",
                     .cluster = "id",
                     .method = PFX_EVENT_TWFE};
    assert_ok(event_run_case(d, &c, &r, &err));
    against_reference("base_did.ref.json", &r, "tp", 1, -6, "tp", -6);
    event_run_clear(&r);
    event_data_free(d);

    d = event_data_read(test_refdata("mpdta.csv"), "countyreal", "year");
    c = (event_case){.formula = "lemp ~ i(_event_cell, ref = 0) | countyreal + year",
                     .cohort = "first_treat",
                     .cluster = "countyreal",
                     .method = PFX_EVENT_TWFE};
    assert_ok(event_run_case(d, &c, &r, &err));
    against_reference("mpdta.ref.json", &r, "em", -1, 0, "e", 0);
    json_t *ref = reference("mpdta.ref.json", "event");
    json_t *V = json_object_get(json_object_get(ref, "vcov"), "CL1_nested");
    /* em4 em3 em2 e0 ..: the reference period stands between. The pre-trend test from the reference's
     * variance. */
    double S[3][3], b[3], x[3] = {0};
    for (int i = 0; i < 3; i++) {
        b[i] = r.result.effect[i].estimate;
        for (int j = 0; j < 3; j++)
            S[i][j] = json_number_value(json_array_get(json_array_get(V, (size_t)i), (size_t)j));
        assert_abs(r.result.V[i * r.result.n + 0], S[i][0], 1e-9 * sqrt(S[i][i] * S[0][0]));
    }
    double det = S[0][0] * (S[1][1] * S[2][2] - S[1][2] * S[2][1]) -
                 S[0][1] * (S[1][0] * S[2][2] - S[1][2] * S[2][0]) +
                 S[0][2] * (S[1][0] * S[2][1] - S[1][1] * S[2][0]);
    for (int k = 0; k < 3; k++) { /* Cramer */
        double M[3][3];
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++) M[i][j] = j == k ? b[i] : S[i][j];
        x[k] = (M[0][0] * (M[1][1] * M[2][2] - M[1][2] * M[2][1]) -
                M[0][1] * (M[1][0] * M[2][2] - M[1][2] * M[2][0]) +
                M[0][2] * (M[1][0] * M[2][1] - M[1][1] * M[2][0])) /
               det;
    }
    assert_rel(r.result.pre.statistic, (b[0] * x[0] + b[1] * x[1] + b[2] * x[2]) / 3, 1e-8);
    assert_true(r.result.pre.df1 == 3 && r.result.pre.df2 == 499);
    json_decref(ref);
    event_run_clear(&r);
    event_data_free(d);
}

enum { UNITS = EVENT_MADE_UNITS, PERIODS = EVENT_MADE_PERIODS };

/* ---- Sun-Abraham ---- */

/* The same by hand: dummies for cells, units and periods, all as plain columns, no effect absorbed; cells
 * averaged in place. control: cohort that serves as control, rows from then on left out; 0: never treated. */
static void twin(const event_data *d, double control, bool weighted, pfx_event_effect *out,
                 pfx_event_effect *all, int low, int high)
{
    enum { MAX = 200 };
    const double *unit = event_data_column(d, "unit"), *time = event_data_column(d, "time"),
                 *y = event_data_column(d, "y"), *x = event_data_column(d, "x"),
                 *g = event_data_column(d, "g"), *w = event_data_column(d, "w");
    double *Z = calloc((size_t)d->n * MAX, sizeof *Z), *use_w = calloc((size_t)d->n, sizeof *use_w);
    int32_t *code = calloc((size_t)d->n, sizeof *code);
    int cell_e[MAX], n_cells = 0, codes[UNITS], n_codes = 0, p;
    double cell_g[MAX], share[MAX] = {0};
    pfx_idx n = 0;
    memset(codes, -1, sizeof codes);
    for (double cg = 4; cg <= PERIODS; cg++)
        for (int e = low; e <= high; e++) {
            if (cg == control || e == -1) continue;
            bool seen = false;
            for (pfx_idx i = 0; i < d->n; i++)
                seen |= g[i] == cg && time[i] - cg == e && (control == 0 || time[i] < control);
            if (!seen) continue;
            cell_e[n_cells] = e;
            cell_g[n_cells++] = cg;
        }
    p = n_cells + 1 + UNITS + PERIODS + 1;
    for (pfx_idx i = 0; i < d->n; i++) {
        if (control != 0 && time[i] >= control) continue;
        double *row = Z + n * p;
        int u = (int)unit[i];
        for (int c = 0; c < n_cells; c++)
            if (g[i] == cell_g[c] && time[i] - g[i] == cell_e[c]) {
                row[c] = 1;
                share[c] += weighted ? w[i] : 1;
            }
        row[n_cells] = x[i];
        row[n_cells + 1 + u] = 1;
        if (time[i] > 1) row[n_cells + 1 + UNITS + (int)time[i] - 1] = 1;
        row[p - 1] = y[i];
        if (codes[u] < 0) codes[u] = n_codes++;
        use_w[n] = w[i];
        code[n++] = codes[u];
    }
    pfx_design *design = ref_design_new(n, p, Z, false);
    ref_add_cluster(design, "unit", n_codes, code);
    if (weighted) {
        design->w = use_w;
        design->weights_kind = PFX_W_ANALYTIC;
    }
    pfx_err err = {0};
    pfx_fit_options o = ref_options(PFX_VCOV_CLUSTER, PFX_SSC_NONE);
    pfx_fit *f = NULL;
    assert_ok(pfx_fit_ols(design, &o, &f, &err));
    for (int e = low; e <= high + 1; e++) { /* the last: all from 0 on */
        double a[MAX] = {0}, sum = 0, b = 0, V = 0;
        for (int c = 0; c < n_cells; c++)
            if (e > high ? cell_e[c] >= 0 : cell_e[c] == e) sum += a[c] = share[c];
        for (int i = 0; i < n_cells; i++) {
            b += a[i] / sum * f->coef[i].estimate;
            for (int j = 0; j < n_cells; j++) V += a[i] / sum * a[j] / sum * f->V[i * f->k + j];
        }
        pfx_event_effect *to = e > high ? all : out + e - low;
        *to = (pfx_event_effect){.estimate = b, .std_error = sqrt(V)};
    }
    pfx_fit_free(f);
    if (weighted) design->w = NULL;
    ref_design_free(design);
    free(Z);
    free(use_w);
    free(code);
}

static void same_effect(const pfx_event_effect *a, const pfx_event_effect *b)
{
    assert_rel(a->estimate, b->estimate, 1e-9);
    assert_rel(a->std_error, b->std_error, 1e-9);
}

static void sunab_twin(void **state)
{
    (void)state;
    pfx_err err = {0};
    for (int v = 0; v < 4; v++) {
        event_data *d = event_data_made(v % 2 == 0);
        event_case c = {.formula = "y ~ i(_event_cell, ref = 0) + x | unit + time",
                        .treatment = v < 2 ? "D" : NULL,
                        .cohort = v < 2 ? NULL : "g",
                        .cluster = "unit",
                        .weights = v < 2 ? NULL : "w",
                        .method = PFX_EVENT_SUNAB,
                        .ssc = PFX_SSC_NONE};
        pfx_event_effect want[32], all;
        event_run r, r7;
        if (v <
            2) { /* dates as seen; no first period of treatment may be missing, else the twin's g differs */
            const double *unit = event_data_column(d, "unit"), *D = event_data_column(d, "D");
            double *g = (double *)event_data_column(d, "g");
            const double *time = event_data_column(d, "time");
            for (pfx_idx i = 0; i < d->n; i++)
                for (pfx_idx j = d->n - 1; j >= 0; j--)
                    if (unit[j] == unit[i] && D[j] == 1) g[i] = time[j];
        }
        assert_ok(event_run_case(d, &c, &r, &err));
        if (v < 2) assert_true(r.timing.n_censored == 0);
        twin(d, v % 2 ? r.plan.until : 0, c.weights != NULL, want, &all, r.plan.low, r.plan.high);
        for (int i = 0; i < r.result.n; i++)
            if (!r.result.effect[i].reference)
                same_effect(&r.result.effect[i], &want[(int)r.result.effect[i].at - r.plan.low]);
        same_effect(&r.result.overall, &all);
        assert_true(r.result.n >= 6);
        c.nth = 7;
        assert_ok(event_run_case(d, &c, &r7, &err));
        assert_same_bits(r.result.V, r7.result.V, (pfx_idx)r.result.n * r.result.n);
        event_run_clear(&r7);
        event_run_clear(&r);
        event_data_free(d);
    }
}

/* The average effect and x1 that fixest 0.14.2 gives for base_stagg. */
static void sunab_reference(void **state)
{
    (void)state;
    SKIP_WITHOUT("base_stagg.csv");
    pfx_err err = {0};
    event_run r;
    event_data *d = event_data_read(test_refdata("base_stagg.csv"), "id", "year");
    event_case c = {.formula = "y ~ i(_event_cell, ref = 0) + x1 | id + year",
                    .cohort = "year_treated",
                    .cluster = "id",
                    .method = PFX_EVENT_SUNAB};
    assert_ok(event_run_case(d, &c, &r, &err));
    assert_abs(r.result.overall.estimate, -1.1337494488, 5e-11);
    assert_abs(ref_coef(r.result.fit, "x1")->estimate, 0.9946783109, 5e-11);
    assert_int_equal(r.result.overall.n, 225);
    event_run_clear(&r);
    event_data_free(d);
}

/* "treated" of base_stagg marks units that are ever treated, which unit effects absorb. The 2.80 that the
 * reference has for it is what is left where a unit's dummy is dropped in its stead: the difference of two
 * units' effects. */
static void stagg_treated(void **state)
{
    (void)state;
    SKIP_WITHOUT("base_stagg.csv");
    ref_table *t = ref_read(test_refdata("base_stagg.csv"));
    const ref_spec s = {.y = "y", .x = "x1", .effects = "id year", .clusters = "id"};
    json_t *ref = reference("base_stagg.ref.json", "twfe"), *coef = json_object_get(ref, "coef");
    pfx_fit_options o = ref_options(PFX_VCOV_CLUSTER, PFX_SSC_FIXEST);
    o.save = true;
    pfx_fit *f = ref_fit(t, &s, o);
    double *alpha = f->saved[0].alpha; /* levels by their first row: unit 90 stands first */
    int one = -1, ninety = -1;
    for (pfx_idx i = 0, level = 0; i < t->n; i++) {
        bool seen = false;
        for (pfx_idx j = 0; j < i; j++) seen |= strcmp(t->cell[j][0], t->cell[i][0]) == 0;
        if (seen) continue;
        if (strcmp(t->cell[i][0], "1") == 0) one = (int)level;
        if (strcmp(t->cell[i][0], "90") == 0) ninety = (int)level;
        level++;
    }
    assert_true(one >= 0 && ninety >= 0);
    assert_rel(f->coef[0].estimate, json_number_value(json_object_get(coef, "x1")), 1e-9);
    assert_rel(alpha[ninety] - alpha[one], json_number_value(json_object_get(coef, "treated")), 1e-9);
    json_decref(ref);
    pfx_fit_free(f);
    ref_free(t);
}

/* With one cohort the two estimators are the same. */
static void one_cohort(void **state)
{
    (void)state;
    pfx_err err = {0};
    event_run a, b;
    event_data *d = event_data_made(true);
    event_case c = {.formula = "y ~ i(_event_cell, ref = 0) + x | unit + time",
                    .cohort = "g",
                    .cluster = "unit",
                    .where = "unit == 6 * floor(unit / 6) | unit == 6 * floor(unit / 6) + 1",
                    .method = PFX_EVENT_SUNAB,
                    .windowed = true,
                    .low = -2,
                    .high = 3};
    assert_ok(event_run_case(d, &c, &a, &err));
    c.method = PFX_EVENT_TWFE;
    assert_ok(event_run_case(d, &c, &b, &err));
    assert_int_equal(a.result.n, 6);
    for (int i = 0; i < 6; i++)
        if (!a.result.effect[i].reference) same_effect(&a.result.effect[i], &b.result.effect[i]);
    same_effect(&a.result.overall, &b.result.overall);
    assert_true(a.plan.low_binned && a.plan.high_binned);
    /* the last bin holds all that lies beyond it */
    const double *g = event_data_column(d, "g"), *time = event_data_column(d, "time");
    pfx_idx n = 0;
    for (pfx_idx i = 0; i < d->n; i++) n += g[i] == 4 && time[i] >= 7;
    assert_int_equal(event_at(&a.result, 3)->n, n);
    event_run_clear(&a);
    event_run_clear(&b);
    event_data_free(d);
}

/* ---- dates, controls, refusals ---- */

static event_data *by_hand(int n, const double *unit, const double *time, const double *D)
{
    static const char *const names[] = {"unit", "time", "D"};
    const double *x[] = {unit, time, D};
    return event_data_new(n, 3, names, x, "unit", "time");
}

static pfx_status timing(event_data *d, bool is_cohort, bool allow, pfx_event_timing *t, pfx_err *err)
{
    pfx_row_source s = frame_source_open(&d->source, 0, NULL);
    return pfx_event_timing_read(&s, "D", is_cohort, allow, t, err);
}

static void dates(void **state)
{
    (void)state;
    pfx_err err = {0};
    pfx_event_timing t;
    /* 1: treated at 3. 2: never. 3: always. 4: after a gap in the treatment. 5: all missing. */
    const double unit[] = {1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 4, 5, 5},
                 time[] = {1, 2, 3, 4, 1, 2, 2, 3, 1, 2, 3, 1, 2},
                 D[] = {0, 0, 1, 1, 0, 0, 1, 1, 0, NAN, 1, NAN, NAN};
    event_data *d = by_hand(13, unit, time, D);
    assert_ok(timing(d, false, false, &t, &err));
    assert_true(t.cohort[0] == 3 && isinf(t.cohort[1]) && isnan(t.cohort[2]) && isnan(t.cohort[3]) &&
                isnan(t.cohort[4]));
    assert_int_equal(t.n_censored, 3);
    assert_int_equal(t.n_censored_rows, 7);
    assert_true(t.n_cohorts == 1 && t.cohort_units[0] == 1 && t.n_never == 1 && t.n_treated == 1);
    pfx_event_timing_clear(&t);
    event_data_free(d);

    const double off[] = {0, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 1};
    d = by_hand(13, unit, time, off);
    assert_fails(timing(d, false, false, &t, &err), PFX_EDATA, "switches off for 2 units (unit 1, unit 4)");
    assert_ok(timing(d, false, true, &t, &err));
    assert_true(t.cohort[0] == 2 && t.cohort[3] == 2 && t.n_reversed == 2);
    pfx_event_timing_clear(&t);
    event_data_free(d);

    const double two[] = {0, 0, 2, 1, 0, 0, 1, 1, 0, 0, 1, 0, 0};
    d = by_hand(13, unit, time, two);
    assert_fails(timing(d, false, false, &t, &err), PFX_EDATA, "D is 2 for unit 1 in time 3");
    event_data_free(d);

    /* As cohorts: 3; never as 0, as missing, as later than the last period; 1 is treated from the start. */
    const double g[] = {3, 3, 3, 3, 0, 0, NAN, NAN, 9, 9, 9, 1, 1};
    d = by_hand(13, unit, time, g);
    assert_ok(timing(d, true, false, &t, &err));
    assert_true(t.cohort[0] == 3 && t.n_never == 3 && t.n_censored == 1 && isnan(t.cohort[4]));
    pfx_event_timing_clear(&t);
    event_data_free(d);

    const double varies[] = {3, 3, 4, 3, 0, 0, NAN, NAN, 9, 9, 9, 1, 1},
                 half[] = {3, 3, 3, 3, 0, 0, 1.5, 1.5, 9, 9, 9, 1, 1};
    d = by_hand(13, unit, time, varies);
    assert_fails(timing(d, true, false, &t, &err), PFX_EDATA,
                 "D is 4 for unit 1 in time 3: a cohort does not change");
    event_data_free(d);
    d = by_hand(13, unit, time, half);
    assert_fails(timing(d, true, false, &t, &err), PFX_EDATA, "whole number");
    event_data_free(d);
}

static void refusals(void **state)
{
    (void)state;
    pfx_err err = {0};
    event_run r;
    event_data *d = event_data_made(true);
    event_case c = {.formula = "y ~ i(_event_cell, ref = 0) | unit + time",
                    .cohort = "g",
                    .cluster = "unit",
                    .method = PFX_EVENT_SUNAB,
                    .ref = -20};
    assert_fails(event_run_case(d, &c, &r, &err), PFX_EUSAGE, "event times run from -6 to 5");
    c.ref = -1;
    c.where = "unit == 6 * floor(unit / 6) + 1";
    assert_fails(event_run_case(d, &c, &r, &err), PFX_EDATA, "no rows of controls");
    c.where = "unit == 6 * floor(unit / 6)";
    assert_fails(event_run_case(d, &c, &r, &err), PFX_EDATA, "no rows of treated units");
    c.where = "time < 2";
    assert_fails(event_run_case(d, &c, &r, &err), PFX_EDATA, "no row");
    event_data_free(d);
    /* one cohort and nobody else */
    const double unit[] = {1, 1, 1, 2, 2, 2}, time[] = {1, 2, 3, 1, 2, 3}, D[] = {0, 0, 1, 0, 0, 1};
    pfx_event_timing t;
    pfx_event_plan p;
    d = by_hand(6, unit, time, D);
    assert_ok(timing(d, false, false, &t, &err));
    assert_fails(pfx_event_plan_make(&t, PFX_EVENT_TWFE, false, 0, 0, -1, &p, &err), PFX_EDATA,
                 "no controls: all 2 units");
    pfx_event_timing_clear(&t);
    event_data_free(d);
}

/* Every allocation that fails is said, and nothing leaks. */
static void faults(void **state)
{
    (void)state;
    event_data *d = event_data_made(false);
    const event_case c = {.formula = "y ~ i(_event_cell, ref = 0) | unit + time",
                          .cohort = "g",
                          .cluster = "unit",
                          .method = PFX_EVENT_SUNAB};
    test_faults f = {0};
    while (test_faults_next(&f)) {
        pfx_err err = {0};
        event_run r;
        pfx_status st = event_run_case(d, &c, &r, &err);
        if (st == PFX_OK) event_run_clear(&r);
        test_faults_done(&f, st);
    }
    event_data_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twfe_references), cmocka_unit_test(sunab_twin), cmocka_unit_test(sunab_reference),
        cmocka_unit_test(stagg_treated),   cmocka_unit_test(one_cohort), cmocka_unit_test(dates),
        cmocka_unit_test(refusals),        cmocka_unit_test(faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
