/* Callaway-Sant'Anna: mpdta against the published effects, and every estimate and standard error against a
 * literal weighted estimator in long double, differentiated by the units' weights. */
#include <jansson.h>
#include "src/base/cpu.h"
#include "src/base/mem.h"
#include "src/est/event_cs.h"
#include "src/model/dataset.h"
#include "tests/est/event_data.h"
#include "tests/faults.h"

typedef struct cs_run {
    event_run open;
    pfx_cs_result result;
} cs_run;

static pfx_status run(event_data *d, const char *cohort, const char *formula, const char *cluster,
                      const pfx_cs_options *o, cs_run *out, pfx_err *err)
{
    const event_case c = {.formula = formula, .cohort = cohort, .cluster = cluster, .method = PFX_EVENT_CS};
    pfx_design *design = NULL;
    *out = (cs_run){0};
    pfx_status st = event_open(d, &c, &out->open, &design, err);
    if (st != PFX_OK) return st;
    st = pfx_cs_fit(&out->open.timing, design, o, &out->result, err);
    pfx_design_free(design);
    if (st != PFX_OK) event_run_clear(&out->open);
    return st;
}

static void cs_run_clear(cs_run *r)
{
    pfx_cs_result_clear(&r->result);
    event_run_clear(&r->open);
}

static pfx_cs_options options(pfx_cs_score score, pfx_cs_control control, pfx_cs_base base)
{
    return (pfx_cs_options){
        .score = score, .control = control, .base = base, .level = 0.95, .nth = 1, .isa = pfx_cpu_best()};
}

static void mpdta(void **state)
{
    (void)state;
    SKIP_WITHOUT("mpdta.csv");
    pfx_err err = {0};
    json_error_t e;
    cs_run r;
    event_data *d = event_data_read(test_refdata("mpdta.csv"), "countyreal", "year");
    json_t *all = json_load_file(test_refdata("mpdta.ref.json"), 0, &e);
    json_t *ref = json_object_get(all, "att_gt_nevertreated_varying_base");
    const pfx_cs_options o = options(PFX_CS_DR, PFX_CS_NEVER, PFX_CS_VARYING);
    assert_ok(run(d, "first_treat", "lemp ~ 1", NULL, &o, &r, &err));
    assert_int_equal(r.result.n_att, 12);
    assert_int_equal(json_object_size(ref), 12);
    for (int i = 0; i < r.result.n_att; i++) {
        char key[64];
        const pfx_cs_att *a = &r.result.att[i];
        snprintf(key, sizeof key, "ATT_g%.0f_t%.0f", r.open.timing.cohorts[a->cohort], a->time);
        assert_rel(a->e.estimate, json_number_value(json_object_get(ref, key)), 1e-9);
    }
    json_decref(all);
    cs_run_clear(&r);
    event_data_free(d);
}

/* ---- the twin ---- */

enum { UNITS = 84, PERIODS = 7, COHORTS = 3, MAX_THETA = 64 };
static const double cohorts[COHORTS] = {3, 5, 6};

typedef struct twin {
    double y[UNITS][PERIODS], x[UNITS][PERIODS], g[UNITS]; /* y NaN: not seen; g INFINITY: never treated */
    pfx_cs_options o;
    bool covariate;
} twin;

static bool seen(const twin *w, int u, int t, int base)
{
    return !isnan(w->y[u][t]) && !isnan(w->y[u][base]);
}

static bool is_control(const twin *w, int u, int t, int base)
{
    double later = 1 + (t > base ? t : base);
    return isinf(w->g[u]) || (w->o.control == PFX_CS_NOTYET && w->g[u] > later);
}

/* Two unknowns by Cramer. */
static void solve2(long double A[2][2], const long double *b, long double *x)
{
    long double det = A[0][0] * A[1][1] - A[0][1] * A[1][0];
    x[0] = (b[0] * A[1][1] - A[0][1] * b[1]) / det;
    x[1] = (A[0][0] * b[1] - b[0] * A[1][0]) / det;
}

static void sums(long double w, const long double *x, long double z, long double A[2][2], long double *b,
                 long double v)
{
    for (int i = 0; i < 2; i++) {
        b[i] += z * x[i];
        for (int j = 0; j < 2; j++) A[i][j] += w * v * x[i] * x[j];
    }
}

/* One effect, units weighing as they are told. */
static long double effect(const twin *w, const long double *weight, double g, int t, int base)
{
    long double beta[2] = {0}, gamma[2] = {0}, top[2] = {0}, sum[2] = {0};
    int early = t < base ? t : base;
    if (w->covariate && w->o.score != PFX_CS_IPW) {
        long double A[2][2] = {{0}}, b[2] = {0};
        for (int u = 0; u < UNITS; u++) {
            if (!seen(w, u, t, base) || w->g[u] == g || !is_control(w, u, t, base)) continue;
            long double x[2] = {1, w->x[u][early]};
            sums(weight[u], x, weight[u] * ((long double)w->y[u][t] - w->y[u][base]), A, b, 1);
        }
        solve2(A, b, beta);
    }
    for (int step = 0; w->covariate && w->o.score != PFX_CS_REG && step < 30; step++) {
        long double A[2][2] = {{0}}, b[2] = {0}, add[2];
        for (int u = 0; u < UNITS; u++) {
            bool treated = w->g[u] == g;
            if (!seen(w, u, t, base) || (!treated && !is_control(w, u, t, base))) continue;
            long double x[2] = {1, w->x[u][early]}, ps = 1 / (1 + expl(-gamma[0] - gamma[1] * x[1]));
            sums(weight[u], x, weight[u] * (treated - ps), A, b, ps * (1 - ps));
        }
        solve2(A, b, add);
        for (int i = 0; i < 2; i++) gamma[i] += add[i];
    }
    for (int u = 0; u < UNITS; u++) {
        bool treated = w->g[u] == g;
        if (!seen(w, u, t, base) || (!treated && !is_control(w, u, t, base))) continue;
        long double x = w->x[u][early],
                    left = (long double)w->y[u][t] - w->y[u][base] - beta[0] - beta[1] * x, v = weight[u];
        if (!treated && w->covariate) v *= w->o.score == PFX_CS_REG ? 0 : expl(gamma[0] + gamma[1] * x);
        top[treated] += v * left;
        sum[treated] += v;
    }
    return top[1] / sum[1] - (sum[0] > 0 ? top[0] / sum[0] : 0);
}

/* Everything that is estimated, in a fixed order; *n of them. Cells first, then the averages. */
static int thetas(const twin *w, const long double *weight, long double *theta)
{
    int n = 0, cell_t[MAX_THETA], cell_g[MAX_THETA];
    long double share[COHORTS] = {0};
    for (int c = 0; c < COHORTS; c++)
        for (int u = 0; u < UNITS; u++)
            if (w->g[u] == cohorts[c]) share[c] += weight[u];
    for (int c = 0; c < COHORTS; c++)
        for (int t = 0; t < PERIODS; t++) {
            int last = (int)cohorts[c] - 2, base = w->o.base == PFX_CS_UNIVERSAL || t > last ? last : t - 1;
            if (base < 0) continue;
            bool any = false;
            for (int u = 0; u < UNITS; u++)
                any |= w->g[u] != cohorts[c] && seen(w, u, t, base) && is_control(w, u, t, base);
            if (!any) continue;
            cell_g[n] = c;
            cell_t[n] = t + 1;
            theta[n++] = base == t ? 0 : effect(w, weight, cohorts[c], t, base);
        }
    int cells = n;
    long double simple = 0, total = 0, dynamic = 0, group = 0, group_total = 0, calendar = 0;
    int n_e = 0, n_t = 0;
    for (int i = 0; i < cells; i++)
        if (cell_t[i] >= cohorts[cell_g[i]]) {
            simple += share[cell_g[i]] * theta[i];
            total += share[cell_g[i]];
        }
    for (int e = -PERIODS; e <= PERIODS; e++) {
        long double sum = 0, all = 0;
        for (int i = 0; i < cells; i++)
            if (cell_t[i] - cohorts[cell_g[i]] == e) {
                sum += share[cell_g[i]] * theta[i];
                all += share[cell_g[i]];
            }
        if (all == 0) continue;
        theta[n++] = sum / all;
        if (e >= 0) {
            dynamic += sum / all;
            n_e++;
        }
    }
    for (int c = 0; c < COHORTS; c++) {
        long double sum = 0;
        int k = 0;
        for (int i = 0; i < cells; i++)
            if (cell_g[i] == c && cell_t[i] >= cohorts[c]) {
                sum += theta[i];
                k++;
            }
        if (k == 0) continue;
        theta[n++] = sum / k;
        group += share[c] * sum / k;
        group_total += share[c];
    }
    for (int t = 1; t <= PERIODS; t++) {
        long double sum = 0, all = 0;
        for (int i = 0; i < cells; i++)
            if (cell_t[i] == t && t >= cohorts[cell_g[i]]) {
                sum += share[cell_g[i]] * theta[i];
                all += share[cell_g[i]];
            }
        if (all == 0) continue;
        theta[n++] = sum / all;
        calendar += sum / all;
        n_t++;
    }
    theta[n++] = simple / total;
    theta[n++] = dynamic / n_e;
    theta[n++] = group / group_total;
    theta[n++] = calendar / n_t;
    return n;
}

/* The same order from the library's result. */
static int collect(const pfx_cs_result *r, const pfx_event_effect **e)
{
    int n = 0;
    for (int i = 0; i < r->n_att; i++) e[n++] = &r->att[i].e;
    for (int i = 0; i < r->dynamic.n; i++) e[n++] = &r->dynamic.effect[i];
    for (int i = 0; i < r->group.n; i++) e[n++] = &r->group.effect[i];
    for (int i = 0; i < r->calendar.n; i++) e[n++] = &r->calendar.effect[i];
    e[n++] = &r->simple;
    e[n++] = &r->dynamic.overall;
    e[n++] = &r->group.overall;
    e[n++] = &r->calendar.overall;
    return n;
}

/* Units; the gaps are random where unbalanced. cluster of unit u: u % 12. */
static event_data *made(twin *w, bool unbalanced)
{
    static const char *const names[] = {"unit", "time", "y", "x", "g", "c"};
    double *x[6];
    pfx_idx n = 0;
    for (int c = 0; c < 6; c++) x[c] = malloc(UNITS * PERIODS * sizeof *x[c]);
    for (int u = 0; u < UNITS; u++)
        for (int t = 0; t < PERIODS; t++) {
            uint64_t i = (uint64_t)(u * 50 + t);
            w->g[u] = u % 4 == 3 ? INFINITY : cohorts[u % 4];
            w->y[u][t] = w->x[u][t] = NAN;
            if (unbalanced && test_uniform(11, i) < 0.1) continue;
            w->x[u][t] = test_uniform(12, i) + (isinf(w->g[u]) ? 0 : 0.2);
            w->y[u][t] = 0.1 * u + t * w->x[u][t] + (t + 1 >= w->g[u] ? 1 + t : 0) + test_uniform(13, i);
            x[0][n] = u;
            x[1][n] = t + 1;
            x[2][n] = w->y[u][t];
            x[3][n] = w->x[u][t];
            x[4][n] = isinf(w->g[u]) ? 0 : w->g[u];
            x[5][n++] = u % 12;
        }
    event_data *d = event_data_new(n, 6, names, (const double *const *)x, "unit", "time");
    for (int c = 0; c < 6; c++) free(x[c]);
    return d;
}

static void against_twin(twin *w, event_data *d, bool clustered)
{
    pfx_err err = {0};
    cs_run r;
    long double theta[MAX_THETA], up[MAX_THETA], down[MAX_THETA], weight[UNITS], V[12 + UNITS][MAX_THETA];
    const pfx_event_effect *e[MAX_THETA];
    assert_ok(run(d, "g", w->covariate ? "y ~ x" : "y ~ 1", clustered ? "c" : NULL, &w->o, &r, &err));
    for (int u = 0; u < UNITS; u++) weight[u] = 1;
    int n = thetas(w, weight, theta), groups = clustered ? 12 : UNITS;
    assert_int_equal(collect(&r.result, e), n);
    memset(V, 0, sizeof V);
    static const long double h = 1e-6L;
    for (int u = 0; u < UNITS; u++) {
        weight[u] = 1 + h;
        thetas(w, weight, up);
        weight[u] = 1 - h;
        thetas(w, weight, down);
        weight[u] = 1;
        for (int k = 0; k < n; k++) V[clustered ? u % 12 : u][k] += (up[k] - down[k]) / (2 * h);
    }
    for (int k = 0; k < n; k++) {
        long double v = 0;
        for (int c = 0; c < groups; c++) v += V[c][k] * V[c][k];
        assert_abs(e[k]->estimate, (double)theta[k], 1e-9);
        if (!e[k]->reference) assert_rel(e[k]->std_error, (double)sqrtl(v), 1e-8);
    }
    cs_run_clear(&r);
}

static void twins(void **state)
{
    (void)state;
    twin w = {0};
    for (int unbalanced = 0; unbalanced < 2; unbalanced++) {
        event_data *d = made(&w, unbalanced);
        for (int v = 0; v < 12; v++) {
            w.o = options((pfx_cs_score)(v % 3), (pfx_cs_control)(v / 3 % 2), (pfx_cs_base)(v / 6));
            w.covariate = true;
            against_twin(&w, d, v % 2);
            w.covariate = false;
            if (v % 3 == 0) against_twin(&w, d, v % 2);
        }
        event_data_free(d);
    }
}

/* Only whole units: the same as leaving the others out by hand. */
static void balanced(void **state)
{
    (void)state;
    twin w = {0};
    pfx_err err = {0};
    cs_run r;
    event_data *d = made(&w, true);
    int left = 0;
    for (int u = 0; u < UNITS; u++) {
        bool whole = true;
        for (int t = 0; t < PERIODS; t++) whole &= !isnan(w.y[u][t]);
        for (int t = 0; t < PERIODS && !whole; t++) w.y[u][t] = NAN;
        if (!whole) w.g[u] = NAN;
        left += !whole;
    }
    w.o = options(PFX_CS_DR, PFX_CS_NOTYET, PFX_CS_VARYING);
    w.o.balanced = true;
    w.covariate = true;
    against_twin(&w, d, false);
    assert_ok(run(d, "g", "y ~ x", NULL, &w.o, &r, &err));
    assert_int_equal(r.result.n_unbalanced, left);
    assert_true(left > 10 && r.result.n_units == UNITS - left);
    cs_run_clear(&r);
    event_data_free(d);
}

static void refusals(void **state)
{
    (void)state;
    twin w = {0};
    pfx_err err = {0};
    cs_run r;
    event_data *d = made(&w, false);
    pfx_cs_options o = options(PFX_CS_DR, PFX_CS_NEVER, PFX_CS_VARYING);
    assert_fails(run(d, "g", "y ~ x + I(2 * x)", NULL, &o, &r, &err), PFX_EIDENT,
                 "collinear among the controls");
    o.score = PFX_CS_IPW;
    assert_fails(run(d, "g", "y ~ g", NULL, &o, &r, &err), PFX_ENOCONV, "--score reg needs none");
    assert_fails(run(d, "g", "y ~ x", "time", &o, &r, &err), PFX_EDATA, "time varies within a unit");
    event_data_free(d);
}

static void faults(void **state)
{
    (void)state;
    twin w = {0};
    event_data *d = made(&w, false);
    const pfx_cs_options o = options(PFX_CS_DR, PFX_CS_NEVER, PFX_CS_VARYING);
    test_faults f = {0};
    while (test_faults_next(&f)) {
        pfx_err err = {0};
        cs_run r;
        pfx_status st = run(d, "g", "y ~ x", "c", &o, &r, &err);
        if (st == PFX_OK) cs_run_clear(&r);
        test_faults_done(&f, st);
    }
    event_data_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mpdta),    cmocka_unit_test(twins),  cmocka_unit_test(balanced),
        cmocka_unit_test(refusals), cmocka_unit_test(faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
