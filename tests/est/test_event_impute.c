/* Imputation against dummies and explicit weight matrices, and the Goodman-Bacon decomposition against the
 * coefficient that it takes apart. */
#include "src/base/mem.h"
#include "src/est/event_impute.h"
#include "tests/est/event_data.h"
#include "tests/faults.h"

/* ---- the twin: everything as dense matrices ---- */

enum { MAX_K = 120, MAX_H = 12 };

typedef struct twin {
    pfx_idx n, n_lost;
    double tau[MAX_H + 1], V[MAX_H + 1][MAX_H + 1]; /* the last: all rows */
    pfx_idx rows[MAX_H + 1];
} twin;

typedef struct dense {
    pfx_idx n;
    int k; /* columns: x, units, periods */
    double *Z, *y, *w, *g, *time, *unit, *cluster;
    bool *treated, *imputable;
    long double L[MAX_K][MAX_K];
    bool dropped[MAX_K];
} dense;

/* Rows that the estimator would have: unit and time columns, those of `keep`. */
static void dense_new(dense *m, const event_data *d, bool weighted, const char *cluster, const double *keep)
{
    const char *const names[] = {"unit", "time", "y", "x", "g", "w"};
    const double *c[6], *cl = event_data_column(d, cluster);
    for (int i = 0; i < 6; i++) c[i] = event_data_column(d, names[i]);
    memset(m, 0, sizeof *m);
    m->k = 1 + EVENT_MADE_UNITS + EVENT_MADE_PERIODS + 1;
    m->Z = calloc((size_t)(d->n * m->k), sizeof *m->Z);
    double **to[] = {&m->y, &m->w, &m->g, &m->time, &m->unit, &m->cluster};
    for (int i = 0; i < 6; i++) *to[i] = calloc((size_t)d->n, sizeof **to[i]);
    m->treated = calloc((size_t)d->n, sizeof *m->treated);
    m->imputable = calloc((size_t)d->n, sizeof *m->imputable);
    for (pfx_idx i = 0; i < d->n; i++) {
        if (keep && keep[i] == 0) continue;
        double *z = m->Z + m->n * m->k;
        z[0] = c[3][i];
        z[1 + (int)c[0][i]] = 1;
        z[1 + EVENT_MADE_UNITS + (int)c[1][i]] = 1;
        m->unit[m->n] = c[0][i];
        m->time[m->n] = c[1][i];
        m->y[m->n] = c[2][i];
        m->g[m->n] = isnan(c[4][i]) ? INFINITY : c[4][i];
        m->w[m->n] = weighted ? c[5][i] : 1;
        m->cluster[m->n] = cl[i];
        m->treated[m->n] = m->time[m->n] >= m->g[m->n];
        m->n++;
    }
}

static void dense_free(dense *m)
{
    double *all[] = {m->Z, m->y, m->w, m->g, m->time, m->unit, m->cluster};
    for (int i = 0; i < 7; i++) free(all[i]);
    free(m->treated);
    free(m->imputable);
}

/* Which units and periods hang together through untreated rows: the smallest node that each reaches. */
static void connect(dense *m)
{
    int node[MAX_K];
    bool seen[MAX_K] = {0}, changed = true;
    for (int i = 0; i < MAX_K; i++) node[i] = i;
    while (changed) {
        changed = false;
        for (pfx_idx i = 0; i < m->n; i++) {
            int u = (int)m->unit[i], t = EVENT_MADE_UNITS + (int)m->time[i];
            if (m->treated[i]) continue;
            seen[u] = seen[t] = true;
            int low = node[u] < node[t] ? node[u] : node[t];
            changed |= node[u] != low || node[t] != low;
            node[u] = node[t] = low;
        }
    }
    for (pfx_idx i = 0; i < m->n; i++) {
        int u = (int)m->unit[i], t = EVENT_MADE_UNITS + (int)m->time[i];
        m->imputable[i] = m->treated[i] && seen[u] && seen[t] && node[u] == node[t];
    }
}

/* Cholesky of Z0'WZ0, columns that add nothing left out. */
static void factor(dense *m)
{
    for (int a = 0; a < m->k; a++)
        for (int b = 0; b <= a; b++) {
            long double s = 0;
            for (pfx_idx i = 0; i < m->n; i++)
                if (!m->treated[i]) s += (long double)m->w[i] * m->Z[i * m->k + a] * m->Z[i * m->k + b];
            for (int l = 0; l < b; l++) s -= m->L[a][l] * m->L[b][l];
            if (a == b) {
                m->dropped[a] = s < 1e-10L;
                m->L[a][a] = m->dropped[a] ? 1 : sqrtl(s);
            } else
                m->L[a][b] = m->dropped[b] ? 0 : s / m->L[b][b];
            if (a == b && m->dropped[a])
                for (int l = 0; l < a; l++) m->L[a][l] = 0;
        }
}

static void solve(const dense *m, long double *x)
{
    for (int a = 0; a < m->k; a++) {
        if (m->dropped[a]) x[a] = 0;
        for (int l = 0; l < a; l++) x[a] -= m->dropped[a] ? 0 : m->L[a][l] * x[l];
        x[a] /= m->L[a][a];
    }
    for (int a = m->k - 1; a >= 0; a--) {
        for (int l = a + 1; l < m->k; l++) x[a] -= m->L[l][a] * x[l];
        x[a] /= m->L[a][a];
        if (m->dropped[a]) x[a] = 0;
    }
}

/* v and residuals of a target, summed by cluster. */
static void scores(const dense *m, const double *v, const double *tau, const double *e, bool leave_out,
                   double *sum)
{
    for (int c = 0; c < EVENT_MADE_UNITS; c++) sum[c] = 0;
    for (pfx_idx i = 0; i < m->n; i++)
        if (!m->treated[i]) sum[(int)m->cluster[i]] += v[i] * e[i];
    for (pfx_idx i = 0; i < m->n; i++) {
        if (!m->imputable[i] || v[i] == 0) continue;
        /* the average over cohort and event time, by sums over all pairs of its rows in one cluster */
        double top = 0, bottom = 0;
        for (pfx_idx a = 0; a < m->n; a++)
            for (pfx_idx b = 0; b < m->n; b++)
                if (m->imputable[a] && m->imputable[b] && m->g[a] == m->g[i] && m->g[b] == m->g[i] &&
                    m->time[a] == m->time[i] && m->time[b] == m->time[i] && m->cluster[a] == m->cluster[b] &&
                    !(leave_out && m->cluster[a] == m->cluster[i])) {
                    top += v[a] * v[b] * tau[a];
                    bottom += v[a] * v[b];
                }
        sum[(int)m->cluster[i]] += v[i] * (tau[i] - top / bottom);
    }
}

static void twin_make(dense *m, bool leave_out, twin *t)
{
    long double b[MAX_K] = {0};
    double *tau = calloc((size_t)m->n, sizeof *tau), *e = calloc((size_t)m->n, sizeof *e),
           *v = calloc((size_t)m->n, sizeof *v), sum[MAX_H + 1][EVENT_MADE_UNITS];
    memset(t, 0, sizeof *t);
    connect(m);
    factor(m);
    for (pfx_idx i = 0; i < m->n; i++)
        for (int a = 0; a < m->k && !m->treated[i]; a++)
            b[a] += (long double)m->w[i] * m->Z[i * m->k + a] * m->y[i];
    solve(m, b);
    for (pfx_idx i = 0; i < m->n; i++) {
        long double fitted = 0;
        for (int a = 0; a < m->k; a++) fitted += m->Z[i * m->k + a] * b[a];
        *(m->treated[i] ? &tau[i] : &e[i]) = (double)(m->y[i] - fitted);
        t->n_lost += m->treated[i] && !m->imputable[i];
    }
    for (int h = 0; h <= MAX_H; h++) {
        long double x[MAX_K] = {0};
        double total = 0;
        for (pfx_idx i = 0; i < m->n; i++) {
            v[i] = m->imputable[i] && (h == MAX_H || m->time[i] - m->g[i] == h) ? m->w[i] : 0;
            total += v[i];
            t->rows[h] += v[i] > 0;
        }
        if (total == 0) continue;
        for (pfx_idx i = 0; i < m->n; i++) {
            if (v[i] == 0) continue;
            v[i] /= total;
            t->tau[h] += v[i] * tau[i];
            for (int a = 0; a < m->k; a++) x[a] += (long double)v[i] * m->Z[i * m->k + a];
        }
        solve(m, x); /* (Z0'WZ0)^-1 Z1'w */
        for (pfx_idx i = 0; i < m->n; i++) {
            long double z = 0;
            for (int a = 0; a < m->k; a++) z += m->Z[i * m->k + a] * x[a];
            if (!m->treated[i]) v[i] = (double)(-m->w[i] * z);
        }
        scores(m, v, tau, e, leave_out, sum[h]);
    }
    for (int h = 0; h <= MAX_H; h++)
        for (int k = 0; k <= MAX_H; k++)
            for (int c = 0; c < EVENT_MADE_UNITS && t->rows[h] && t->rows[k]; c++)
                t->V[h][k] += sum[h][c] * sum[k][c];
    free(tau);
    free(e);
    free(v);
}

/* ---- imputation ---- */

static const char FORMULA[] = "y ~ i(_event_cell, ref = 0) + x | unit + time";

static pfx_status impute(event_data *d, const event_case *c, bool leave_out, event_run *r,
                         pfx_impute_result *out, pfx_err *err)
{
    pfx_design *design = NULL;
    pfx_impute_options o = {.fit = ref_options(PFX_VCOV_CLUSTER, PFX_SSC_FIXEST), .leave_out = leave_out};
    o.fit.nth = c->nth ? c->nth : 1;
    pfx_status st = event_open(d, c, r, &design, err);
    if (st != PFX_OK) return st;
    st = pfx_impute_fit(&r->plan, design, &o, out, err);
    pfx_design_free(design);
    if (st != PFX_OK) event_run_clear(r);
    return st;
}

static void against_twin(const pfx_impute_result *r, const twin *t)
{
    int n_lost = 0, at = 0, first = 0;
    while (first < r->n && r->effect[first].at < 0) first++;
    for (int h = 0; h <= r->plan->high; h++) {
        if (t->rows[h] == 0) {
            assert_true(n_lost < r->n_lost && r->lost[n_lost++] == h);
            continue;
        }
        const pfx_event_effect *e = &r->effect[first + at++];
        assert_true(e->at == h);
        assert_int_equal(e->n, t->rows[h]);
        assert_rel(e->estimate, t->tau[h], 1e-9);
        assert_rel(e->std_error, sqrt(t->V[h][h]), 1e-9);
        for (int i = first, k = 0; i < r->n; i++, k++) {
            k = (int)r->effect[i].at;
            assert_abs(r->V[(first + at - 1) * r->n + i], t->V[h][k], 1e-9 * sqrt(t->V[h][h] * t->V[k][k]));
        }
    }
    assert_int_equal(first + at, r->n);
    assert_int_equal(n_lost, r->n_lost);
    assert_int_equal(r->overall.n, t->rows[MAX_H]);
    assert_int_equal(r->n_treated - r->n_imputed, t->n_lost);
    assert_rel(r->overall.estimate, t->tau[MAX_H], 1e-9);
    assert_rel(r->overall.std_error, sqrt(t->V[MAX_H][MAX_H]), 1e-9);
}

static void imputation_twin(void **state)
{
    (void)state;
    pfx_err err = {0};
    for (int v = 0; v < 6; v++) {
        event_data *d = event_data_made(v != 1);
        bool weighted = v == 2, leave_out = v == 3;
        const char *cluster = v == 4 ? "town" : "unit";
        event_case c = {.formula = FORMULA,
                        .cohort = "g",
                        .cluster = cluster,
                        .weights = weighted ? "w" : NULL,
                        .where = v == 5 ? "keep == 1" : NULL,
                        .method = PFX_EVENT_IMPUTATION};
        double *keep = calloc((size_t)d->n, sizeof *keep), *town = calloc((size_t)d->n, sizeof *town);
        for (pfx_idx i = 0; i < d->n; i++) {
            double u = event_data_column(d, "unit")[i], time = event_data_column(d, "time")[i];
            /* unit 1 without untreated rows; 7 and 13 untreated in period 1 alone, where nobody else is seen
             */
            bool apart = u == 7 || u == 13;
            keep[i] = !(u == 1 && time < 4) && !(apart && time > 1 && time < 4) && (apart || time > 1);
            town[i] = (int)u % 17;
        }
        event_data_add(d, "keep", keep);
        event_data_add(d, "town", town);
        dense *m = malloc(sizeof *m);
        twin *t = malloc(sizeof *t);
        dense_new(m, d, weighted, cluster, v == 5 ? keep : NULL);
        twin_make(m, leave_out, t);
        event_run r, r7;
        pfx_impute_result a, b;
        assert_ok(impute(d, &c, leave_out, &r, &a, &err));
        against_twin(&a, t);
        if (v == 1) assert_true(a.n_lost > 0 && t->n_lost > 0);
        if (v == 5) /* and without rows at -6 the earliest lead, -5, is left out */
            assert_true(a.n_lost_units == 3 && a.effect[0].at == -4 && a.effect[3].at == -1);
        c.nth = 7;
        assert_ok(impute(d, &c, leave_out, &r7, &b, &err));
        for (int i = 0; i < a.n; i++)
            assert_true(a.effect[i].estimate == b.effect[i].estimate &&
                        a.effect[i].std_error == b.effect[i].std_error);
        pfx_impute_result_clear(&a);
        pfx_impute_result_clear(&b);
        event_run_clear(&r);
        event_run_clear(&r7);
        dense_free(m);
        free(keep);
        free(town);
        free(m);
        free(t);
        event_data_free(d);
    }
}

/* Leads: the untreated rows alone, as a fit of them by hand. */
static void leads(void **state)
{
    (void)state;
    pfx_err err = {0};
    event_data *d = event_data_made(true);
    const event_case c = {.formula = FORMULA,
                          .cohort = "g",
                          .cluster = "unit",
                          .method = PFX_EVENT_IMPUTATION,
                          .windowed = true,
                          .low = -3,
                          .high = 2};
    event_run r;
    pfx_impute_result a;
    assert_ok(impute(d, &c, false, &r, &a, &err));
    const double *unit = event_data_column(d, "unit"), *time = event_data_column(d, "time"),
                 *y = event_data_column(d, "y"), *x = event_data_column(d, "x"),
                 *g = event_data_column(d, "g");
    double *Z = calloc((size_t)d->n * 5, sizeof *Z);
    int32_t *u = calloc((size_t)d->n, sizeof *u), *t = calloc((size_t)d->n, sizeof *t);
    int units[EVENT_MADE_UNITS], n_units = 0;
    pfx_idx n = 0;
    memset(units, -1, sizeof units);
    for (pfx_idx i = 0; i < d->n; i++) {
        if (time[i] >= g[i]) continue;
        for (int k = 0; k < 3; k++) Z[n * 5 + k] = time[i] - g[i] == k - 3;
        Z[n * 5 + 3] = x[i];
        Z[n * 5 + 4] = y[i];
        if (units[(int)unit[i]] < 0) units[(int)unit[i]] = n_units++;
        u[n] = units[(int)unit[i]];
        t[n++] = (int32_t)time[i] - 1;
    }
    pfx_design *f = ref_design_new(n, 5, Z, false);
    pfx_fit *fit = NULL;
    const pfx_fit_options o = ref_options(PFX_VCOV_CLUSTER, PFX_SSC_FIXEST);
    ref_add_effect(f, "unit", n_units, u);
    ref_add_effect(f, "time", EVENT_MADE_PERIODS, t);
    ref_add_cluster(f, "unit", n_units, u);
    assert_ok(pfx_fit_ols(f, &o, &fit, &err));
    assert_true(a.plan->high_binned && a.n == 6 && a.n_covariates == 1);
    for (int k = 0; k < 3; k++) {
        assert_true(a.effect[k].at == k - 3);
        assert_rel(a.effect[k].estimate, fit->coef[k].estimate, 1e-9);
        assert_rel(a.effect[k].std_error, fit->coef[k].std_error, 1e-9);
    }
    assert_true(a.pre.df1 == 3 && a.pre.p_value > 0);
    /* the last horizon holds those beyond; the average of all is as it was, error and all */
    event_case whole = c;
    event_run r2;
    pfx_impute_result b;
    whole.windowed = false;
    assert_ok(impute(d, &whole, false, &r2, &b, &err));
    double sum = 0, rows = 0;
    for (int i = 0; i < b.n; i++)
        if (b.effect[i].at >= 2)
            sum += (double)b.effect[i].n * b.effect[i].estimate, rows += (double)b.effect[i].n;
    assert_true((double)a.effect[a.n - 1].n == rows);
    assert_rel(a.effect[a.n - 1].estimate, sum / rows, 1e-9);
    assert_rel(a.overall.std_error, b.overall.std_error, 1e-12);
    pfx_impute_result_clear(&b);
    event_run_clear(&r2);
    pfx_fit_free(fit);
    ref_design_free(f);
    free(Z);
    free(u);
    free(t);
    pfx_impute_result_clear(&a);
    event_run_clear(&r);
    event_data_free(d);
}

static void imputation_refusals(void **state)
{
    (void)state;
    pfx_err err = {0};
    event_run r;
    pfx_impute_result a;
    event_data *d = event_data_made(true);
    double *only = calloc((size_t)d->n, sizeof *only);
    for (pfx_idx i = 0; i < d->n; i++) only[i] = event_data_column(d, "D")[i] * event_data_column(d, "x")[i];
    event_data_add(d, "only", only);
    free(only);
    event_case c = {.formula = FORMULA, .cohort = "g", .cluster = "unit", .method = PFX_EVENT_IMPUTATION};
    c.where = "D == 0";
    assert_fails(impute(d, &c, false, &r, &a, &err), PFX_EDATA, "no rows of treated units");
    c.where = "D == 1";
    c.formula = "y ~ x | unit + time";
    assert_fails(impute(d, &c, false, &r, &a, &err), PFX_EDATA, "no controls");
    c.where = "time >= 4 & time <= 5 & (g == 4 | unit == 6 * floor(unit / 6))";
    c.formula = "y ~ 1 | unit + time";
    assert_fails(impute(d, &c, false, &r, &a, &err), PFX_EIDENT, "no treated row can be imputed");
    c.where = NULL;
    c.formula = "y ~ only | unit + time";
    assert_fails(impute(d, &c, false, &r, &a, &err), PFX_EIDENT, "only is collinear");
    c.formula = "y ~ x | unit[x] + time";
    assert_fails(impute(d, &c, false, &r, &a, &err), PFX_EUSAGE, "has slopes");
    c.formula = FORMULA;
    c.where = "g > 4 | unit == 1 | unit == 6 * floor(unit / 6)";
    assert_fails(impute(d, &c, true, &r, &a, &err), PFX_EDATA, "cohort 4 has one cluster alone");
    event_data_free(d);
}

/* The average effect that R's didimputation and did2s give for mpdta's log employment, to the digits they
 * print. */
static void mpdta(void **state)
{
    (void)state;
    SKIP_WITHOUT("mpdta.csv");
    pfx_err err = {0};
    event_run r;
    pfx_impute_result a;
    event_data *d = event_data_read(test_refdata("mpdta.csv"), "countyreal", "year");
    const event_case c = {.formula = "lemp ~ 1 | countyreal + year",
                          .cohort = "first_treat",
                          .cluster = "countyreal",
                          .method = PFX_EVENT_IMPUTATION};
    assert_ok(impute(d, &c, false, &r, &a, &err));
    assert_abs(a.overall.estimate, -0.0477, 5e-5);
    assert_int_equal(a.n_untreated, 2209);
    pfx_impute_result_clear(&a);
    event_run_clear(&r);
    event_data_free(d);
}

/* Every allocation that fails is said, and nothing leaks. */
static void faults(void **state)
{
    (void)state;
    event_data *d = event_data_made(false);
    const event_case c = {
        .formula = FORMULA, .cohort = "g", .cluster = "unit", .method = PFX_EVENT_IMPUTATION};
    test_faults f = {0};
    while (test_faults_next(&f)) {
        pfx_err err = {0};
        event_run r;
        pfx_impute_result a = {0};
        pfx_status st = impute(d, &c, false, &r, &a, &err);
        pfx_impute_result_clear(&a);
        if (st == PFX_OK) event_run_clear(&r);
        test_faults_done(&f, st);
    }
    event_data_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(imputation_twin), cmocka_unit_test(leads),  cmocka_unit_test(imputation_refusals),
        cmocka_unit_test(mpdta),           cmocka_unit_test(faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
