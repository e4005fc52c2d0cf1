/* The wild bootstrap of two-stage least squares (WRE) against outcomes and endogenous variables that are
 * literally built and fitted again; the same bits over threads, ranges and instruction sets. */
#include "src/base/mem.h"
#include "src/est/fit.h"
#include "src/rep/wild.h"
#include "tests/est/iv_panel.h"
#include "tests/faults.h"

static const char *const both[] = {"x2", "x1"}; /* an endogenous variable, an exogenous one */

/* Residuals e [n] in the order of rows of column y on `m` columns of d (its roles and outcome aside), with
 * its effects; the coefficient of the last of them. */
static double residuals(const pfx_design *d, int m, const double *const *x, const double *y, double *e)
{
    pfx_err err = {0};
    pfx_fit *f = NULL;
    pfx_fit_options o = ref_options(PFX_VCOV_IID, PFX_SSC_NONE);
    double *Z = malloc((size_t)(d->n * (m + 1)) * sizeof *Z), b;
    for (pfx_idx i = 0; i < d->n; i++) {
        for (int j = 0; j < m; j++) Z[i * (m + 1) + j] = x[j][i];
        Z[i * (m + 1) + m] = y[i];
    }
    pfx_design *own = ref_design_new(d->n, m + 1, Z, d->intercept);
    for (int a = 0; a < d->n_absorbed; a++)
        ref_add_effect(own, d->absorbed[a].factor.name, d->absorbed[a].factor.n_levels,
                       d->absorbed[a].factor.code);
    if (d->w) {
        own->w = pfx_mem_alloc(d->n, sizeof *own->w, NULL);
        own->weights_kind = d->weights_kind;
        memcpy(own->w, d->w, (size_t)d->n * sizeof *d->w);
    }
    o.save = true;
    assert_ok(pfx_fit_ols(own, &o, &f, &err));
    memcpy(e, f->resid, (size_t)d->n * sizeof *e);
    b = f->coef[f->k - 1].estimate;
    pfx_fit_free(f);
    ref_design_free(own);
    free(Z);
    return b;
}

/* The literal bootstrap: y* and x* of every row, and a refit by 2SLS. n endogenous variables, l instruments.
 */
enum { MOST_N = 3 };
typedef struct wre {
    pfx_design *d;
    int n;
    double b[MOST_N], *u, *v[MOST_N]; /* coefficients that make the data, residuals */
} wre;

/* Sum of squares of columns 0 less columns 1 .. n times b, from products S [(n + 1) x (n + 1)], as a parabola
 * in b[j]. */
static void parabola(int n, const long double *S, const double *b, int j, long double *out)
{
    out[0] = out[1] = 0;
    for (int i = 0; i <= n; i++)
        for (int k = 0; k <= n; k++) {
            long double ci = i == 0 ? 1 : i - 1 == j ? 0 : -(long double)b[i - 1];
            long double ck = k == 0 ? 1 : k - 1 == j ? 0 : -(long double)b[k - 1];
            out[0] += ci * S[i * (n + 1) + k] * ck;
            if (k - 1 == j) out[1] -= 2 * ci * S[i * (n + 1) + k];
        }
    out[2] = S[(j + 1) * (n + 2)];
}

static long double value(const long double *p, long double x)
{
    return p[0] + x * (p[1] + x * p[2]);
}

/* The b[j], j not `fixed`, that minimise the ratio of what the exogenous columns leave (S1) to what all
 * instruments leave (S2), or their difference, one after the other until nothing moves. */
static void minimise(int n, const long double *S1, const long double *S2, bool ratio, int fixed, double *b)
{
    for (int sweep = 0; sweep < 2000; sweep++)
        for (int j = 0; j < n; j++) {
            long double p[3], q[3];
            if (j == fixed) continue;
            parabola(n, S1, b, j, p);
            parabola(n, S2, b, j, q);
            if (!ratio) {
                b[j] = (double)(-(p[1] - q[1]) / (2 * (p[2] - q[2])));
                continue;
            }
            long double c0 = p[1] * q[0] - p[0] * q[1], c1 = 2 * (p[2] * q[0] - p[0] * q[2]),
                        c2 = p[2] * q[1] - p[1] * q[2], root = sqrtl(c1 * c1 - 4 * c0 * c2);
            long double t = -(c1 + copysignl(root, c1)) / 2, x = t / c2, other = c0 / t;
            b[j] = (double)(value(p, x) / value(q, x) < value(p, other) / value(q, other) ? x : other);
        }
}

/* Products of the residuals of the outcome and the endogenous variables on m columns. */
static void residual_products(const pfx_design *d, int m, const double *const *x, int n, const double *column,
                              long double *S)
{
    double *e = malloc((size_t)(d->n * (n + 1)) * sizeof *e);
    for (int i = 0; i <= n; i++)
        residuals(d, m, x, column + (i ? EXOG + i - 1 : d->p - 1) * d->n, e + i * d->n);
    for (int i = 0; i <= n; i++)
        for (int j = 0; j <= n; j++) {
            S[i * (n + 1) + j] = 0;
            for (pfx_idx r = 0; r < d->n; r++)
                S[i * (n + 1) + j] += (long double)(d->w ? d->w[r] : 1) * e[i * d->n + r] * e[j * d->n + r];
        }
    free(e);
}

/* b: the coefficients, where only that of `tested` is the null's the others are found. */
static wre wre_new(pfx_design *d, int n, int l, int tested, const double *b, bool unrestricted)
{
    wre t = {.d = d, .n = n};
    const double *x[16];
    double *column = malloc((size_t)(d->n * d->p) * sizeof *column), *y = malloc((size_t)d->n * sizeof *y);
    t.u = malloc((size_t)d->n * sizeof *t.u);
    for (int j = 0; j < d->p; j++)
        for (pfx_idx i = 0; i < d->n; i++) column[j * d->n + i] = d->Z[i * d->p + j];
    for (int j = 0; j < EXOG; j++) x[j] = column + j * d->n;
    for (int j = 0; j < l; j++) x[EXOG + j] = column + (EXOG + n + j) * d->n;
    memcpy(t.b, b, (size_t)n * sizeof *t.b);
    if (!unrestricted) {
        long double S1[16], S2[16];
        residual_products(d, EXOG, x, n, column, S1);
        residual_products(d, EXOG + l, x, n, column, S2);
        minimise(n, S1, S2, l > n, tested, t.b);
    }
    for (pfx_idx i = 0; i < d->n; i++) {
        y[i] = column[(d->p - 1) * d->n + i];
        for (int j = 0; j < n; j++) y[i] -= t.b[j] * column[(EXOG + j) * d->n + i];
    }
    residuals(d, EXOG, x, y, t.u);
    x[EXOG + l] = t.u;
    for (int j = 0; j < n; j++) {
        t.v[j] = malloc((size_t)d->n * sizeof *t.u);
        double phi = residuals(d, EXOG + l + 1, x, column + (EXOG + j) * d->n, t.v[j]);
        for (pfx_idx i = 0; i < d->n; i++) t.v[j][i] += phi * t.u[i];
    }
    free(column);
    free(y);
    return t;
}

static void wre_free(wre *t)
{
    free(t->u);
    for (int j = 0; j < t->n; j++) free(t->v[j]);
}

static pfx_fit *wre_refit(const wre *t, pfx_design *again, const double *weight)
{
    const pfx_design *d = t->d;
    for (pfx_idx i = 0; i < d->n; i++) {
        double w = weight[d->clusters[0].code[i]], *to = again->Z + i * d->p;
        to[d->p - 1] += (w - 1) * t->u[i];
        for (int j = 0; j < t->n; j++) {
            to[EXOG + j] += (w - 1) * t->v[j][i];
            to[d->p - 1] += t->b[j] * (w - 1) * t->v[j][i];
        }
    }
    pfx_err err = {0};
    pfx_fit *f = NULL;
    const pfx_fit_options o = ref_options(PFX_VCOV_CLUSTER, PFX_SSC_FIXEST);
    assert_ok(pfx_fit_model(again, &o, &f, &err));
    ref_design_free(again);
    return f;
}

static pfx_wild *wild(const pfx_clusterstat *s, double factor, double *null, pfx_wild_weights kind, bool full,
                      pfx_idx reps, pfx_isa isa)
{
    pfx_err err = {0};
    pfx_wild *w = NULL;
    const pfx_wild_options o = {.type = 11,
                                .unrestricted = full,
                                .null = null,
                                .weights = kind,
                                .reps = reps,
                                .n_errors = 1,
                                .errors = {{.n = s->G, .weight = factor}},
                                .nth = 1,
                                .isa = isa};
    assert_ok(pfx_wild_create(s, &o, &w, &err));
    return w;
}

static void compare_wre(pfx_idx firms, int effects, int cluster, pfx_weights_kind kind, int n, int l,
                        int tested, pfx_wild_weights weights, bool unrestricted)
{
    static const char *const endogenous[] = {"x2", "x3", "x4"};
    made_panel a = iv_panel_new(firms, n, l);
    pfx_design *d = iv_design(&a, effects, cluster, kind, n, l);
    pfx_clusterstat *s = iv_statistics(d, 1, endogenous + tested, 1, pfx_cpu_best());
    pfx_err err = {0};
    pfx_fit *full = NULL;
    pfx_design *again = iv_design(&a, effects, cluster, kind, n, l);
    const pfx_fit_options o = ref_options(PFX_VCOV_CLUSTER, PFX_SSC_FIXEST);
    assert_ok(pfx_fit_model(again, &o, &full, &err));
    ref_design_free(again);
    const pfx_coef *c = ref_coef(full, endogenous[tested]);
    double null = c->estimate + 1.3 * c->std_error, center = unrestricted ? c->estimate : null, b[MOST_N];
    for (int j = 0; j < n; j++) b[j] = j == tested ? center : ref_coef(full, endogenous[j])->estimate;
    wre t = wre_new(d, n, l, tested, b, unrestricted);
    pfx_wild *w = wild(s, full->factor[0], &null, weights, unrestricted, 300, pfx_cpu_best());
    static iv_kept k;
    iv_draw(pfx_wild_method(w), 0, 300, 2, &k);
    assert_rel(pfx_wild_describe(w)->std_error[0], c->std_error, 1e-10);
    assert_rel(pfx_wild_describe(w)->statistic[0], -1.3, 1e-10);
    double *v = malloc((size_t)s->G * sizeof *v);
    for (pfx_idx r = 0; r < 300; r += 37) {
        pfx_wild_draw(w, 5, r, v);
        pfx_fit *f = wre_refit(&t, iv_design(&a, effects, cluster, kind, n, l), v);
        const pfx_coef *x = ref_coef(f, endogenous[tested]);
        assert_rel(k.out[PFX_DRAW_ESTIMATE][r], x->estimate, 1e-10);
        assert_rel(k.out[PFX_DRAW_STD_ERROR][r], x->std_error, 1e-10);
        assert_true(fabs(k.out[PFX_DRAW_STATISTIC][r] - (x->estimate - center) / x->std_error) < 1e-9);
        pfx_fit_free(f);
    }
    free(v);
    wre_free(&t);
    pfx_wild_free(w);
    pfx_fit_free(full);
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

static void test_wre_refits(void **state)
{
    (void)state;
    compare_wre(100, FIRM | YEAR, FIRM, PFX_W_NONE, 1, 1, 0, PFX_WILD_RADEMACHER, false);
    compare_wre(100, FIRM | YEAR, FIRM, PFX_W_NONE, 1, 3, 0, PFX_WILD_WEBB, false);
    compare_wre(100, FIRM | YEAR, FIRM, PFX_W_ANALYTIC, 1, 2, 0, PFX_WILD_RADEMACHER, false);
    compare_wre(200, FIRM | YEAR, TOWN, PFX_W_ANALYTIC, 1, 2, 0, PFX_WILD_MAMMEN, false);
    compare_wre(100, FIRM | YEAR | INDUSTRY, FIRM, PFX_W_NONE, 1, 2, 0, PFX_WILD_NORMAL, false);
    compare_wre(100, YEAR, FIRM, PFX_W_NONE, 1, 1, 0, PFX_WILD_GAMMA, false);
    compare_wre(100, 0, FIRM, PFX_W_NONE, 1, 2, 0, PFX_WILD_RADEMACHER, false);
    compare_wre(100, FIRM | YEAR, FIRM, PFX_W_NONE, 1, 2, 0, PFX_WILD_RADEMACHER, true);
    compare_wre(60, FIRM | YEAR, TOWN, PFX_W_NONE, 1, 2, 0, PFX_WILD_RADEMACHER, false); /* enumerated */
}

/* Several endogenous variables: the others' coefficients under the null are found by descent, one by one. */
static void test_wre_of_several(void **state)
{
    (void)state;
    compare_wre(100, FIRM | YEAR, FIRM, PFX_W_NONE, 2, 2, 0, PFX_WILD_RADEMACHER, false);
    compare_wre(100, FIRM | YEAR, FIRM, PFX_W_NONE, 2, 2, 1, PFX_WILD_WEBB, false);
    compare_wre(100, FIRM | YEAR, FIRM, PFX_W_ANALYTIC, 2, 3, 0, PFX_WILD_RADEMACHER, false);
    compare_wre(100, FIRM | YEAR, FIRM, PFX_W_NONE, 2, 4, 1, PFX_WILD_MAMMEN, false);
    compare_wre(200, 0, TOWN, PFX_W_ANALYTIC, 2, 3, 1, PFX_WILD_RADEMACHER, false);
    compare_wre(100, FIRM | YEAR, FIRM, PFX_W_NONE, 2, 3, 0, PFX_WILD_RADEMACHER, true);
    compare_wre(100, FIRM, FIRM, PFX_W_NONE, 3, 3, 1, PFX_WILD_RADEMACHER, false);
    compare_wre(100, FIRM | YEAR, FIRM, PFX_W_NONE, 3, 4, 2, PFX_WILD_RADEMACHER, false);
}

static void test_wre_same_bits(void **state)
{
    static const pfx_wild_weights kinds[] = {PFX_WILD_RADEMACHER, PFX_WILD_WEBB};
    static const pfx_idx ranges[][2] = {{0, 3000}, {0, 1}, {2039, 2041}, {191, 2500}};
    (void)state;
    made_panel a = iv_panel_new(333, 2, 3);
    pfx_design *d = iv_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE, 2, 3);
    static iv_kept whole, part;
    double null = 0;
    for (int i = 0; i < 2; i++) {
        pfx_clusterstat *s = iv_statistics(d, 1, both, 1, PFX_ISA_PORTABLE);
        pfx_wild *w = wild(s, 1, &null, kinds[i], false, 3000, PFX_ISA_PORTABLE);
        iv_draw(pfx_wild_method(w), 0, 3000, 1, &whole);
        pfx_wild_free(w);
        for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
            if (!pfx_cpu_has(isa)) continue;
            w = wild(s, 1, &null, kinds[i], false, 3000, isa);
            for (int nth = 1; nth <= 7; nth += 3)
                for (size_t j = 0; j < sizeof ranges / sizeof *ranges; j++) {
                    iv_draw(pfx_wild_method(w), ranges[j][0], ranges[j][1], nth, &part);
                    for (int f = 0; f < PFX_DRAW_FIELDS; f++)
                        assert_same_bits(part.out[f], whole.out[f] + ranges[j][0],
                                         ranges[j][1] - ranges[j][0]);
                }
            pfx_wild_free(w);
        }
        pfx_clusterstat_free(s);
    }
    ref_design_free(d);
    made_panel_free(&a);
}

static void test_wre_refusals(void **state)
{
    (void)state;
    pfx_err err = {0};
    pfx_clusterstat *s = NULL;
    made_panel a = iv_panel_new(40, 1, 1);
    pfx_design *two = iv_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE, 1, 1);
    s = iv_statistics(two, 2, both, 1, PFX_ISA_PORTABLE);
    pfx_wild *w = NULL;
    pfx_wild_options wo = {.type = 11, .reps = 9, .n_errors = 1, .nth = 1};
    assert_fails(pfx_wild_create(s, &wo, &w, &err), PFX_EUSAGE, "one endogenous variable");
    pfx_clusterstat_free(s);
    s = iv_statistics(two, 1, both, 1, PFX_ISA_PORTABLE);
    wo.type = 31;
    assert_fails(pfx_wild_create(s, &wo, &w, &err), PFX_EUSAGE, "type 11");
    pfx_clusterstat_free(s);
    ref_design_free(two);
    made_panel_free(&a);
}

/* Every allocation failing in turn leaves nothing behind. */
static void test_wre_allocations(void **state)
{
    (void)state;
    made_panel a = iv_panel_new(30, 2, 3);
    pfx_design *d = iv_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE, 2, 3);
    pfx_clusterstat *s = iv_statistics(d, 1, both, 1, PFX_ISA_PORTABLE);
    double null = 0;
    const pfx_wild_options o = {
        .type = 11, .null = &null, .reps = 99, .n_errors = 1, .errors = {{.n = s->G, .weight = 1}}, .nth = 1};
    test_faults f = {.least = 10};
    while (test_faults_next(&f)) {
        pfx_err err = {0};
        pfx_wild *w = NULL;
        pfx_status st = pfx_wild_create(s, &o, &w, &err);
        pfx_wild_free(w);
        test_faults_done(&f, st);
    }
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wre_refits),      cmocka_unit_test(test_wre_of_several),
        cmocka_unit_test(test_wre_same_bits),   cmocka_unit_test(test_wre_refusals),
        cmocka_unit_test(test_wre_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
