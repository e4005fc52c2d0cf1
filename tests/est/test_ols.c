/* OLS by identities and against a slow twin: dummies in long double, clusters summed by hand. */
#include "src/base/cpu.h"
#include "src/base/mem.h"
#include "tests/est/refcase.h"

/* An unbalanced panel sorted by firm: 2..7 years each of 7, k regressors tied to firm and year. */
typedef struct panel {
    pfx_idx n, n_firms;
    int k, p;
    double *Z, *w;                                  /* w: whole numbers 1..3 */
    int32_t *firm, *year, *industry, *town, *group; /* industry, group scattered; town ten firms in a row */
    pfx_idx n_years, n_industries, n_towns, n_groups;
} panel;

static double normal(uint64_t stream, uint64_t i)
{
    return sqrt(-2 * log(test_uniform(stream, 2 * i))) * cos(2 * M_PI * test_uniform(stream, 2 * i + 1));
}

static panel make_panel(pfx_idx n_firms, int k)
{
    panel a = {.n_firms = n_firms, .k = k, .p = k + 1, .n_years = 7, .n_industries = 13, .n_towns = (n_firms + 9) / 10, .n_groups = 29};
    pfx_idx max = 7 * n_firms;
    a.Z = calloc((size_t)(max * a.p), sizeof *a.Z);
    a.w = calloc((size_t)max, sizeof *a.w);
    int32_t **codes[] = {&a.firm, &a.year, &a.industry, &a.town, &a.group};
    for (int c = 0; c < 5; c++) *codes[c] = calloc((size_t)max, sizeof **codes[c]);
    for (pfx_idx f = 0; f < n_firms; f++)
        for (int t = 0; t < 7; t++) {
            bool in = t == f % 6 || t == f % 6 + 1 || test_uniform(1, (uint64_t)(7 * f + t)) < 0.6;
            if (!in) continue;
            pfx_idx i = a.n++;
            double *z = a.Z + i * a.p, e = normal(2, (uint64_t)i) + 0.5 * normal(3, (uint64_t)f);
            a.firm[i] = (int32_t)f;
            a.year[i] = t;
            a.industry[i] = (int32_t)(f % 13);
            a.town[i] = (int32_t)(f / 10);
            a.group[i] = (int32_t)(test_uniform(4, (uint64_t)i) * 29);
            a.w[i] = 1 + floor(3 * test_uniform(5, (uint64_t)i));
            z[k] = 2 + normal(6, (uint64_t)f) + 0.3 * t;
            for (int j = 0; j < k; j++) {
                z[j] = 10 * j + normal(10 + (uint64_t)j, (uint64_t)i) + normal(30 + (uint64_t)j, (uint64_t)f) * (1 + 0.1 * t);
                z[k] += (j + 1) * 0.1 * z[j];
            }
            z[k] += e * (1 + 0.3 * fabs(z[0]));
        }
    return a;
}

static void free_panel(panel *a)
{
    int32_t *codes[] = {a->firm, a->year, a->industry, a->town, a->group};
    for (int c = 0; c < 5; c++) free(codes[c]);
    free(a->Z);
    free(a->w);
}

enum { FIRM = 1, YEAR = 2, INDUSTRY = 4, TOWN = 8, GROUP = 16 };

static void add_factors(pfx_design *d, const panel *a, int which, void (*add)(pfx_design *, const char *, pfx_idx, const int32_t *))
{
    if (which & FIRM) add(d, "firm", a->n_firms, a->firm);
    if (which & INDUSTRY) add(d, "industry", a->n_industries, a->industry);
    if (which & TOWN) add(d, "town", a->n_towns, a->town);
    if (which & GROUP) add(d, "group", a->n_groups, a->group);
    if (which & YEAR) add(d, "year", a->n_years, a->year);
}

static pfx_design *design(const panel *a, int effects, int clusters, pfx_weights_kind kind)
{
    pfx_design *d = ref_design_new(a->n, a->p, a->Z, effects == 0);
    add_factors(d, a, effects, ref_add_effect);
    add_factors(d, a, clusters, ref_add_cluster);
    d->weights_kind = kind;
    if (kind != PFX_W_NONE) {
        d->w = pfx_mem_alloc(a->n, sizeof *d->w, NULL);
        memcpy(d->w, a->w, (size_t)a->n * sizeof *d->w);
    }
    return d;
}

/* Fit and free the design. */
static pfx_fit *fit(pfx_design *d, pfx_fit_options o)
{
    pfx_err err = {0};
    pfx_fit *f = NULL;
    assert_ok(pfx_fit_ols(d, &o, &f, &err));
    ref_design_free(d);
    return f;
}

static pfx_vcov_type type_for(int clusters)
{
    int bits = __builtin_popcount((unsigned)clusters);
    return bits == 2 ? PFX_VCOV_TWOWAY : bits == 1 ? PFX_VCOV_CLUSTER : PFX_VCOV_HC1;
}

/* Coefficients, variance and statistics agree to tol. */
static void same_fit(const pfx_fit *f, const pfx_fit *g, double tol)
{
    assert_int_equal(f->k, g->k);
    for (int i = 0; i < f->k; i++) {
        assert_string_equal(f->coef[i].term, g->coef[i].term);
        assert_rel(f->coef[i].estimate, g->coef[i].estimate, tol);
        for (int j = 0; j < f->k; j++)
            assert_abs(f->V[i * f->k + j], g->V[i * f->k + j], tol * sqrt(f->V[i * f->k + i] * f->V[j * f->k + j]));
    }
    assert_rel(f->ssr, g->ssr, tol);
    assert_rel(f->tss, g->tss, tol);
    assert_rel(f->r2, g->r2, tol);
    assert_rel(f->adj_r2, g->adj_r2, tol);
    assert_rel(f->f, g->f, 10 * tol);
    assert_rel(f->log_likelihood, g->log_likelihood, tol);
    assert_true(f->df_residual == g->df_residual && f->df_t == g->df_t);
}

/* ---- the slow twin ---- */

typedef long double real;

/* Inverse of the symmetric positive definite A [m x m] in place, by Gauss-Jordan. */
static void invert(int m, real *A)
{
    for (int c = 0; c < m; c++) {
        real d = 1 / A[c * m + c];
        for (int j = 0; j < m; j++) A[c * m + j] *= j == c ? 0 : d;
        A[c * m + c] = d;
        for (int i = 0; i < m; i++) {
            if (i == c) continue;
            real f = A[i * m + c];
            for (int j = 0; j < m; j++) A[i * m + j] = (j == c ? 0 : A[i * m + j]) - f * A[c * m + j];
        }
    }
}

typedef struct twin { int m; pfx_idx n; real *X, *inv, *b, *e; const double *w; } twin;

/* Regressors, then a constant or all dummies but one of each effect beyond the first. */
static twin make_twin(const panel *a, int effects, bool weighted)
{
    pfx_design *d = design(a, effects, 0, PFX_W_NONE);
    twin t = {.m = a->k + (effects == 0), .n = a->n, .w = weighted ? a->w : NULL};
    for (int e = 0; e < d->n_absorbed; e++) t.m += (int)d->absorbed[e].factor.n_levels - (e > 0);
    int m = t.m;
    t.X = calloc((size_t)(a->n * m), sizeof(real));
    t.inv = calloc((size_t)(m * m), sizeof(real));
    t.b = calloc((size_t)m, sizeof(real));
    t.e = calloc((size_t)a->n, sizeof(real));
    real *g = calloc((size_t)m, sizeof(real));
    for (pfx_idx i = 0; i < a->n; i++) {
        real *x = t.X + i * m, w = weighted ? a->w[i] : 1;
        for (int j = 0; j < a->k; j++) x[j] = a->Z[i * a->p + j];
        if (effects == 0) x[a->k] = 1;
        int at = a->k;
        for (int e = 0; e < d->n_absorbed; e++) {
            int level = d->absorbed[e].factor.code[i] - (e > 0);
            if (level >= 0) x[at + level] = 1;
            at += (int)d->absorbed[e].factor.n_levels - (e > 0);
        }
        for (int r = 0; r < m; r++) {
            if (x[r] == 0) continue;
            g[r] += w * x[r] * a->Z[i * a->p + a->k];
            for (int c = 0; c < m; c++) t.inv[r * m + c] += w * x[r] * x[c];
        }
    }
    invert(m, t.inv);
    for (int r = 0; r < m; r++)
        for (int c = 0; c < m; c++) t.b[r] += t.inv[r * m + c] * g[c];
    for (pfx_idx i = 0; i < a->n; i++) {
        t.e[i] = a->Z[i * a->p + a->k];
        for (int r = 0; r < m; r++) t.e[i] -= t.X[i * m + r] * t.b[r];
    }
    free(g);
    ref_design_free(d);
    return t;
}

static void free_twin(twin *t)
{
    free(t->X);
    free(t->inv);
    free(t->b);
    free(t->e);
}

/* Add sign * inv M inv over the clusters code [n] of G levels (NULL: rows) to V [q x q], q leading coefficients. */
static void add_meat(const twin *t, pfx_idx G, const int64_t *code, bool frequency, real sign, int q, real *V)
{
    int m = t->m;
    if (!code) G = t->n;
    real *h = calloc((size_t)(G * q), sizeof(real));
    for (pfx_idx i = 0; i < t->n; i++) {
        real we = (t->w ? (frequency ? sqrtl(t->w[i]) : t->w[i]) : 1) * t->e[i];
        pfx_idx g = code ? code[i] : i;
        for (int r = 0; r < m; r++)
            if (t->X[i * m + r] != 0)
                for (int c = 0; c < q; c++) h[g * q + c] += t->inv[c * m + r] * t->X[i * m + r] * we;
    }
    for (pfx_idx g = 0; g < G; g++)
        for (int r = 0; r < q; r++)
            for (int c = 0; c < q; c++) V[r * q + c] += sign * h[g * q + r] * h[g * q + c];
    free(h);
}

static void against_twin(const panel *a, int effects, int clusters, pfx_weights_kind kind)
{
    pfx_vcov_type type = type_for(clusters);
    twin t = make_twin(a, effects, kind != PFX_W_NONE);
    pfx_design *d = design(a, effects, clusters, kind);
    int q = a->k + (effects == 0);
    real *V = calloc((size_t)(q * q), sizeof(real));
    int64_t *both = calloc((size_t)a->n, sizeof *both), *one = calloc((size_t)a->n, sizeof *one);
    if (type == PFX_VCOV_HC1) add_meat(&t, 0, NULL, kind == PFX_W_FREQUENCY, 1, q, V);
    for (int c = 0; c < d->n_clusters; c++) {
        for (pfx_idx i = 0; i < a->n; i++) one[i] = d->clusters[c].code[i];
        add_meat(&t, d->clusters[c].n_levels, one, false, 1, q, V);
    }
    if (type == PFX_VCOV_TWOWAY) {
        pfx_idx G2 = d->clusters[1].n_levels;
        for (pfx_idx i = 0; i < a->n; i++) both[i] = d->clusters[0].code[i] * G2 + d->clusters[1].code[i];
        add_meat(&t, d->clusters[0].n_levels * G2, both, false, -1, q, V);
    }
    pfx_fit *f = fit(d, ref_options(type, PFX_SSC_NONE));
    assert_int_equal(f->k, q);
    for (int r = 0; r < q; r++) {
        int i = effects ? r : r < a->k ? r + 1 : 0; /* the twin's constant stands last */
        assert_rel(f->coef[i].estimate, (double)t.b[r], 1e-11);
        for (int c = 0; c < q; c++) {
            int j = effects ? c : c < a->k ? c + 1 : 0;
            assert_abs(f->V[i * q + j], (double)V[r * q + c], 1e-11 * sqrt((double)(V[r * q + r] * V[c * q + c])));
        }
    }
    real ssr = 0, sw = 0;
    for (pfx_idx i = 0; i < a->n; i++) ssr += (t.w ? t.w[i] : 1) * t.e[i] * t.e[i], sw += t.w ? t.w[i] : 1;
    assert_rel(f->rmse, (double)sqrtl(ssr / sw), 1e-12);
    assert_false(f->v_floored);
    pfx_fit_free(f);
    free(V);
    free(both);
    free(one);
    free_twin(&t);
}

static void twin_of_everything(void **state)
{
    (void)state;
    panel a = make_panel(61, 3);
    const int effects[] = {0, FIRM, YEAR, FIRM | YEAR, INDUSTRY | YEAR};
    const int clusters[] = {0, FIRM, YEAR, INDUSTRY, TOWN, GROUP, FIRM | YEAR, INDUSTRY | YEAR, TOWN | GROUP};
    const pfx_weights_kind kinds[] = {PFX_W_NONE, PFX_W_ANALYTIC, PFX_W_FREQUENCY, PFX_W_PROBABILITY};
    for (int e = 0; e < 5; e++)
        for (int c = 0; c < 9; c++)
            for (int k = 0; k < 4; k++) against_twin(&a, effects[e], clusters[c], kinds[k]);
    free_panel(&a);
}

/* Enough rows for several chunks, with clusters that their bounds cut. */
static void twin_of_many_rows(void **state)
{
    (void)state;
    panel a = make_panel(1500, 3);
    const int effects[] = {0, YEAR}, clusters[] = {0, FIRM, TOWN, INDUSTRY, FIRM | YEAR};
    for (int e = 0; e < 2; e++)
        for (int c = 0; c < 5; c++) against_twin(&a, effects[e], clusters[c], c % 2 ? PFX_W_NONE : PFX_W_ANALYTIC);
    free_panel(&a);
}

/* ---- identities ---- */

static void dummies_or_absorbed(void **state)
{
    (void)state;
    panel a = make_panel(40, 2);
    int extra = (int)a.n_years - 1, p = a.p + extra;
    double *Z = calloc((size_t)(a.n * p), sizeof *Z);
    for (pfx_idx i = 0; i < a.n; i++) {
        for (int j = 0; j < a.k; j++) Z[i * p + j] = a.Z[i * a.p + j];
        if (a.year[i]) Z[i * p + a.k + a.year[i] - 1] = 1;
        Z[i * p + p - 1] = a.Z[i * a.p + a.k];
    }
    /* Two-way only where the larger variance, with the dummies in it, is not floored. */
    const int clusters[] = {0, FIRM, YEAR, FIRM | GROUP};
    for (int c = 0; c < 4; c++) {
        pfx_fit_options o = ref_options(type_for(clusters[c]), PFX_SSC_STATA);
        pfx_design *d = ref_design_new(a.n, p, Z, false);
        add_factors(d, &a, FIRM, ref_add_effect);
        add_factors(d, &a, clusters[c], ref_add_cluster);
        pfx_fit *f = fit(d, o), *g = fit(design(&a, FIRM | YEAR, clusters[c], PFX_W_NONE), o);
        assert_false(f->v_floored || g->v_floored);
        for (int i = 0; i < a.k; i++) {
            assert_rel(f->coef[i].estimate, g->coef[i].estimate, 1e-11);
            assert_rel(f->coef[i].std_error, g->coef[i].std_error, 1e-11);
            assert_rel(f->coef[i].p_value, g->coef[i].p_value, 1e-9);
        }
        assert_rel(f->adj_r2, g->adj_r2, 1e-12);
        assert_true(f->df_residual == g->df_residual);
        pfx_fit_free(f);
        pfx_fit_free(g);
    }
    free(Z);
    free_panel(&a);
}

/* The same panel with rows in another order; codes renumbered. */
static pfx_design *permuted(const panel *a, int effects, int clusters)
{
    pfx_design *d = design(a, effects, clusters, PFX_W_ANALYTIC);
    pfx_idx n = a->n, step = 1009; /* coprime to n: a permutation */
    while (n % step == 0) step += 2;
    for (pfx_idx i = 0; i < n; i++) {
        pfx_idx from = (i * step + 7) % n;
        memcpy(d->Z + i * a->p, a->Z + from * a->p, (size_t)a->p * sizeof(double));
        d->w[i] = a->w[from];
        d->row[i] = from;
        const int32_t *codes[] = {a->firm, a->industry, a->town, a->group, a->year};
        for (int pass = 0; pass < 2; pass++) {
            int which = pass ? clusters : effects, at = 0;
            for (int c = 0; c < 5; c++)
                if (which & (const int[]){FIRM, INDUSTRY, TOWN, GROUP, YEAR}[c])
                    (pass ? d->clusters[at++].code : d->absorbed[at++].factor.code)[i] = codes[c][from];
        }
    }
    return d;
}

static void permuted_rows(void **state)
{
    (void)state;
    panel a = make_panel(300, 3);
    assert_true(a.n > 1009);
    const int effects[] = {0, FIRM, FIRM | YEAR}, clusters[] = {0, FIRM, INDUSTRY, FIRM | YEAR};
    for (int e = 0; e < 3; e++)
        for (int c = 0; c < 4; c++) {
            pfx_fit_options o = ref_options(type_for(clusters[c]), PFX_SSC_FIXEST);
            o.save = true;
            pfx_fit *f = fit(design(&a, effects[e], clusters[c], PFX_W_ANALYTIC), o);
            pfx_fit *g = fit(permuted(&a, effects[e], clusters[c]), o);
            same_fit(f, g, 1e-11);
            for (pfx_idx i = 0; i < a.n; i++) {
                assert_int_equal(f->row[i], i);
                assert_int_equal(g->row[i], i);
                assert_abs(f->resid[i], g->resid[i], 1e-11);
            }
            pfx_fit_free(f);
            pfx_fit_free(g);
        }
    free_panel(&a);
}

static void scaled_columns(void **state)
{
    (void)state;
    panel a = make_panel(50, 3);
    const double by[] = {1e9, 1e-7, 3}, shift[] = {0, 0, 1e5};
    const int clusters[] = {0, FIRM, FIRM | YEAR};
    for (int c = 0; c < 3; c++)
        for (int effects = 0; effects <= FIRM; effects += FIRM) {
            pfx_fit_options o = ref_options(type_for(clusters[c]), PFX_SSC_FIXEST);
            pfx_fit *f = fit(design(&a, effects, clusters[c], PFX_W_NONE), o);
            pfx_design *d = design(&a, effects, clusters[c], PFX_W_NONE);
            for (pfx_idx i = 0; i < a.n; i++)
                for (int j = 0; j < 3; j++) d->Z[i * a.p + j] = by[j] * d->Z[i * a.p + j] + shift[j];
            pfx_fit *g = fit(d, o);
            for (int j = 0; j < 3; j++) {
                int i = j + (effects == 0);
                assert_rel(f->coef[i].estimate, by[j] * g->coef[i].estimate, 1e-9);
                assert_rel(f->coef[i].statistic, g->coef[i].statistic, 1e-9);
            }
            assert_rel(f->r2, g->r2, 1e-10);
            pfx_fit_free(f);
            pfx_fit_free(g);
        }
    free_panel(&a);
}

static void weights(void **state)
{
    (void)state;
    panel a = make_panel(50, 2), unit = make_panel(50, 2), twice;
    for (pfx_idx i = 0; i < unit.n; i++) unit.w[i] = 1;
    twice = a;
    twice.w = calloc((size_t)a.n, sizeof *twice.w);
    for (pfx_idx i = 0; i < a.n; i++) twice.w[i] = 0.037 * a.w[i];
    const int clusters[] = {0, FIRM, GROUP, FIRM | YEAR};
    for (int c = 0; c < 4; c++)
        for (int effects = 0; effects < 4; effects++) {
            pfx_fit_options o = ref_options(type_for(clusters[c]), PFX_SSC_FIXEST);
            for (int kind = PFX_W_ANALYTIC; kind <= PFX_W_PROBABILITY; kind++) {
                pfx_fit *f = fit(design(&unit, effects, clusters[c], PFX_W_NONE), o);
                pfx_fit *g = fit(design(&unit, effects, clusters[c], (pfx_weights_kind)kind), o);
                same_fit(f, g, 1e-11);
                pfx_fit_free(f);
                pfx_fit_free(g);
            }
            /* The scale of analytic weights has no meaning. */
            pfx_fit *f = fit(design(&a, effects, clusters[c], PFX_W_ANALYTIC), o);
            pfx_fit *g = fit(design(&twice, effects, clusters[c], PFX_W_ANALYTIC), o);
            same_fit(f, g, 1e-11);
            pfx_fit_free(f);
            pfx_fit_free(g);
        }
    free(twice.w);
    free_panel(&a);
    free_panel(&unit);
}

static void frequencies_or_repeated_rows(void **state)
{
    (void)state;
    panel a = make_panel(50, 2), b = make_panel(150, 2); /* room for three times the rows */
    b.n = 0;
    for (pfx_idx i = 0; i < a.n; i++)
        for (int r = 0; r < (int)a.w[i]; r++, b.n++) {
            memcpy(b.Z + b.n * b.p, a.Z + i * a.p, (size_t)a.p * sizeof *a.Z);
            b.firm[b.n] = a.firm[i], b.year[b.n] = a.year[i], b.group[b.n] = a.group[i];
        }
    b.n_firms = a.n_firms;
    const int clusters[] = {0, FIRM, GROUP, FIRM | YEAR};
    const pfx_ssc rules[] = {PFX_SSC_FIXEST, PFX_SSC_REGHDFE, PFX_SSC_STATA, PFX_SSC_NONE};
    for (int c = 0; c < 4; c++)
        for (int effects = 0; effects < 4; effects++)
            for (int r = 0; r < 4; r++) {
                pfx_fit_options o = ref_options(type_for(clusters[c]), rules[r]);
                if (c == 0 && r % 2) o.vcov = PFX_VCOV_IID;
                pfx_fit *f = fit(design(&a, effects, clusters[c], PFX_W_FREQUENCY), o);
                pfx_fit *g = fit(design(&b, effects, clusters[c], PFX_W_NONE), o);
                assert_int_equal(f->n_obs, g->n_obs);
                assert_int_equal(f->n_rows, a.n);
                same_fit(f, g, 1e-11);
                pfx_fit_free(f);
                pfx_fit_free(g);
            }
    free_panel(&a);
    free_panel(&b);
}

static void constant_effect_or_intercept(void **state)
{
    (void)state;
    panel a = make_panel(50, 2);
    int32_t *zero = calloc((size_t)a.n, sizeof *zero);
    const int clusters[] = {0, FIRM, FIRM | YEAR};
    for (int c = 0; c < 3; c++) {
        pfx_fit_options o = ref_options(type_for(clusters[c]), PFX_SSC_STATA);
        pfx_design *d = ref_design_new(a.n, a.p, a.Z, false);
        ref_add_effect(d, "one", 1, zero);
        add_factors(d, &a, clusters[c], ref_add_cluster);
        pfx_fit *f = fit(d, o), *g = fit(design(&a, 0, clusters[c], PFX_W_NONE), o);
        assert_int_equal(g->k, f->k + 1);
        for (int i = 0; i < f->k; i++) {
            assert_rel(f->coef[i].estimate, g->coef[i + 1].estimate, 1e-12);
            assert_rel(f->coef[i].std_error, g->coef[i + 1].std_error, 1e-12);
        }
        assert_rel(f->f, g->f, 1e-11);
        assert_true(f->df_residual == g->df_residual);
        pfx_fit_free(f);
        pfx_fit_free(g);
    }
    free(zero);
    free_panel(&a);
}

/* firm[x1]: a constant and a slope for each firm, against columns of dummies and of dummies times x1. */
static void slopes_or_columns(void **state)
{
    (void)state;
    panel a = make_panel(12, 2);
    int nf = (int)a.n_firms;
    for (int with_year = 0; with_year < 2; with_year++) {
        int p = 1 + 2 * nf + (with_year ? (int)a.n_years - 1 : 0) + 1;
        double *Z = calloc((size_t)(a.n * p), sizeof *Z), *z2 = calloc((size_t)(2 * a.n), sizeof *z2);
        for (pfx_idx i = 0; i < a.n; i++) {
            double x1 = a.Z[i * a.p + 1], *z = Z + i * p;
            z2[2 * i] = z[0] = a.Z[i * a.p];
            z[1 + a.firm[i]] = 1;
            z[1 + nf + a.firm[i]] = x1;
            if (with_year && a.year[i]) z[2 * nf + a.year[i]] = 1;
            z2[2 * i + 1] = z[p - 1] = a.Z[i * a.p + 2];
        }
        const pfx_vcov_type types[] = {PFX_VCOV_IID, PFX_VCOV_HC1, PFX_VCOV_CLUSTER};
        for (int t = 0; t < 3; t++) {
            pfx_fit_options o = ref_options(types[t], PFX_SSC_STATA);
            pfx_design *d = ref_design_new(a.n, 2, z2, false), *e = ref_design_new(a.n, p, Z, false);
            ref_add_effect(d, "firm", a.n_firms, a.firm);
            pfx_absorbed *ab = &d->absorbed[0];
            ab->n_slopes = 1;
            ab->slope = pfx_mem_calloc(1, sizeof *ab->slope, NULL);
            ab->slope_name = pfx_mem_calloc(1, sizeof *ab->slope_name, NULL);
            ab->slope[0] = pfx_mem_alloc(a.n, sizeof **ab->slope, NULL);
            ab->slope_name[0] = pfx_mem_strdup("x1", NULL);
            for (pfx_idx i = 0; i < a.n; i++) ab->slope[0][i] = a.Z[i * a.p + 1];
            if (with_year) ref_add_effect(d, "year", a.n_years, a.year);
            ref_add_cluster(d, "firm", a.n_firms, a.firm);
            ref_add_cluster(e, "firm", a.n_firms, a.firm);
            pfx_fit *f = fit(d, o), *g = fit(e, o);
            assert_int_equal(f->k, 1);
            assert_int_equal(f->n_effects, 2 + with_year);
            assert_string_equal(f->effects[1].name, "firm[x1]");
            assert_int_equal(f->effects[1].nested_in_cluster, types[t] == PFX_VCOV_CLUSTER);
            assert_int_equal(g->n_collinear, 0);
            assert_rel(f->coef[0].estimate, g->coef[0].estimate, 1e-10);
            assert_rel(f->coef[0].std_error, g->coef[0].std_error, 1e-10);
            assert_rel(f->ssr, g->ssr, 1e-10);
            assert_true(f->df_residual == g->df_residual);
            pfx_fit_free(f);
            pfx_fit_free(g);
        }
        free(Z);
        free(z2);
    }
    free_panel(&a);
}

/* ---- determinism ---- */

static void same_bits(const pfx_fit *f, const pfx_fit *g)
{
    assert_int_equal(f->k, g->k);
    assert_same_bits(f->V, g->V, (pfx_idx)f->k * f->k);
    for (int i = 0; i < f->k; i++) assert_same_bits(&f->coef[i].estimate, &g->coef[i].estimate, 6);
    assert_same_bits(&f->f, &g->f, 1);
    assert_same_bits(&f->r2, &g->r2, 10);
}

static void same_bits_any_threads_any_isa(void **state)
{
    (void)state;
    panel a = make_panel(4000, 11); /* more than 64 blocks of rows */
    const int effects[] = {0, FIRM, FIRM | YEAR}, clusters[] = {0, FIRM, TOWN, INDUSTRY, FIRM | YEAR, TOWN | INDUSTRY};
    for (int e = 0; e < 3; e++)
        for (int c = 0; c < 6; c++) {
            pfx_fit_options o = ref_options(type_for(clusters[c]), PFX_SSC_FIXEST);
            o.nth = 1;
            pfx_fit *f = fit(design(&a, effects[e], clusters[c], c % 2 ? PFX_W_ANALYTIC : PFX_W_NONE), o);
            const int nth[] = {2, 3, 7};
            for (int t = 0; t < 3; t++) {
                o.nth = nth[t];
                pfx_fit *g = fit(design(&a, effects[e], clusters[c], c % 2 ? PFX_W_ANALYTIC : PFX_W_NONE), o);
                same_bits(f, g);
                pfx_fit_free(g);
            }
            for (int isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
                if (!pfx_cpu_has((pfx_isa)isa)) continue;
                o.isa = (pfx_isa)isa;
                pfx_fit *g = fit(design(&a, effects[e], clusters[c], c % 2 ? PFX_W_ANALYTIC : PFX_W_NONE), o);
                same_bits(f, g);
                pfx_fit_free(g);
            }
            pfx_fit_free(f);
        }
    free_panel(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twin_of_everything),
        cmocka_unit_test(twin_of_many_rows),
        cmocka_unit_test(dummies_or_absorbed),
        cmocka_unit_test(permuted_rows),
        cmocka_unit_test(scaled_columns),
        cmocka_unit_test(weights),
        cmocka_unit_test(frequencies_or_repeated_rows),
        cmocka_unit_test(constant_effect_or_intercept),
        cmocka_unit_test(slopes_or_columns),
        cmocka_unit_test(same_bits_any_threads_any_isa),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
