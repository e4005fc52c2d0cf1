/* OLS against a slow twin: all effects as dummies in long double, clusters summed by hand. */
#include "src/base/mem.h"
#include "tests/est/made_panel.h"

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

typedef struct twin {
    int m;
    pfx_idx n;
    real *X, *inv, *b, *e;
    const double *w;
} twin;

/* Regressors, then a constant or all dummies but one of each effect beyond the first. */
static twin make_twin(const made_panel *a, int effects, bool weighted)
{
    pfx_design *d = made_design(a, effects, 0, PFX_W_NONE);
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

/* Add sign * inv M inv over the clusters code [n] of G levels (NULL: rows) to V [q x q], q leading
 * coefficients. */
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

static void against_twin(const made_panel *a, int effects, int clusters, pfx_weights_kind kind)
{
    pfx_vcov_type type = made_vcov(clusters);
    twin t = make_twin(a, effects, kind != PFX_W_NONE);
    pfx_design *d = made_design(a, effects, clusters, kind);
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
    pfx_fit *f = made_fit(d, ref_options(type, PFX_SSC_NONE));
    assert_int_equal(f->k, q);
    for (int r = 0; r < q; r++) {
        int i = effects ? r : r < a->k ? r + 1 : 0; /* the twin's constant stands last */
        assert_rel(f->coef[i].estimate, (double)t.b[r], 1e-11);
        for (int c = 0; c < q; c++) {
            int j = effects ? c : c < a->k ? c + 1 : 0;
            assert_abs(f->V[i * q + j], (double)V[r * q + c],
                       1e-11 * sqrt((double)(V[r * q + r] * V[c * q + c])));
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
    made_panel a = made_panel_new(61, 3);
    const int effects[] = {0, FIRM, YEAR, FIRM | YEAR, INDUSTRY | YEAR};
    const int clusters[] = {0, FIRM, YEAR, INDUSTRY, TOWN, GROUP, FIRM | YEAR, INDUSTRY | YEAR, TOWN | GROUP};
    const pfx_weights_kind kinds[] = {PFX_W_NONE, PFX_W_ANALYTIC, PFX_W_FREQUENCY, PFX_W_PROBABILITY};
    for (int e = 0; e < 5; e++)
        for (int c = 0; c < 9; c++)
            for (int k = 0; k < 4; k++) against_twin(&a, effects[e], clusters[c], kinds[k]);
    made_panel_free(&a);
}

/* Enough rows for several chunks, with clusters that their bounds cut. */
static void twin_of_many_rows(void **state)
{
    (void)state;
    made_panel a = made_panel_new(1500, 3);
    const int effects[] = {0, YEAR}, clusters[] = {0, FIRM, TOWN, INDUSTRY, FIRM | YEAR};
    for (int e = 0; e < 2; e++)
        for (int c = 0; c < 5; c++)
            against_twin(&a, effects[e], clusters[c], c % 2 ? PFX_W_NONE : PFX_W_ANALYTIC);
    made_panel_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(twin_of_everything),
                                       cmocka_unit_test(twin_of_many_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
