/* Equality over groups: the joint variance by explicit sums over clusters that span the groups. */
#include "src/base/mem.h"
#include "src/est/compare.h"
#include "src/est/dist.h"
#include "src/rep/clusterstat.h"
#include "src/rep/permute.h"
#include "tests/est/dense_vcov.h"
#include "tests/est/made_panel.h"

enum { GROUPS = 3, K = 2 };

static int group_of(const made_panel *a, pfx_idx i)
{
    return a->group[i] % GROUPS;
}

/* Codes of the rows, in the order of first rows; origin [levels]. */
static pfx_idx take_codes(pfx_idx n, const pfx_idx *row, const int32_t *from, int32_t *code, int32_t *origin)
{
    pfx_idx levels = 0;
    for (pfx_idx i = 0; i < n; i++) {
        pfx_idx l = 0;
        while (l < levels && origin[l] != from[row[i]]) l++;
        if (l == levels) origin[levels++] = from[row[i]];
        code[i] = (int32_t)l;
    }
    return levels;
}

/* The rows of group g, effects of firm and year or none, clustered by firm or by town and year. */
static pfx_design *group_design(const made_panel *a, int g, bool effects, int n_clusters)
{
    pfx_idx *row = calloc((size_t)a->n, sizeof *row), n = 0;
    int32_t *code = calloc((size_t)a->n, sizeof *code), *origin = calloc((size_t)a->n, sizeof *origin);
    for (pfx_idx i = 0; i < a->n; i++)
        if (group_of(a, i) == g) row[n++] = i;
    double *Z = calloc((size_t)(n * a->p), sizeof *Z);
    for (pfx_idx i = 0; i < n; i++) memcpy(Z + i * a->p, a->Z + row[i] * a->p, (size_t)a->p * sizeof *Z);
    pfx_design *d = ref_design_new(n, a->p, Z, !effects);
    d->effect_origin = pfx_mem_calloc(2, sizeof *d->effect_origin, NULL);
    for (int e = 0; e < 2 && effects; e++) {
        pfx_idx levels = take_codes(n, row, e ? a->year : a->firm, code, origin);
        ref_add_effect(d, e ? "year" : "firm", levels, code);
        d->effect_origin[e] = pfx_mem_alloc(levels, sizeof **d->effect_origin, NULL);
        memcpy(d->effect_origin[e], origin, (size_t)levels * sizeof *origin);
    }
    d->cluster_origin = pfx_mem_calloc(2, sizeof *d->cluster_origin, NULL);
    for (int c = 0; c < n_clusters; c++) {
        pfx_idx levels = take_codes(n, row, n_clusters == 1 ? a->firm : c ? a->year : a->town, code, origin);
        ref_add_cluster(d, n_clusters == 1 ? "firm" : c ? "year" : "town", levels, code);
        d->cluster_origin[c] = pfx_mem_alloc(levels, sizeof **d->cluster_origin, NULL);
        memcpy(d->cluster_origin[c], origin, (size_t)levels * sizeof *origin);
    }
    d->formula = pfx_mem_strdup("y ~ x0 + x1", NULL);
    d->by_name = pfx_mem_strdup("g", NULL);
    d->by_level = pfx_mem_strdup((const char *[]){"a", "b", "c"}[g], NULL);
    free(row);
    free(code);
    free(origin);
    free(Z);
    return d;
}

static void free_group(pfx_design *d)
{
    for (int c = 0; c < 2; c++) {
        pfx_mem_free(d->cluster_origin[c]);
        pfx_mem_free(d->effect_origin[c]);
    }
    pfx_mem_free(d->effect_origin);
    d->effect_origin = NULL;
    pfx_mem_free(d->cluster_origin);
    pfx_mem_free(d->by_name);
    pfx_mem_free(d->by_level);
    ref_design_free(d);
}

/* Sum over clusters of both groups' influences: rows that share a cluster, whatever their group. */
static void joint_covariance(int n, pfx_design *const *d, const dense_ols *o, int c, double *V)
{
    int k = n * K;
    memset(V, 0, (size_t)(k * k) * sizeof *V);
    for (int g = 0; g < n; g++)
        for (int h = 0; h < n; h++)
            for (int i = 0; i < o[g].n; i++)
                for (int j = 0; j < o[h].n; j++) {
                    if (c < 2 && d[g]->cluster_origin[c][d[g]->clusters[c].code[i]] !=
                                     d[h]->cluster_origin[c][d[h]->clusters[c].code[j]])
                        continue;
                    if (c == 2 && (g != h || i != j)) continue; /* each row */
                    int shift[2] = {o[g].k - K, o[h].k - K};    /* the intercept stands first */
                    for (int a = 0; a < K; a++)
                        for (int b = 0; b < K; b++)
                            V[(g * K + a) * k + h * K + b] += o[g].l[(a + shift[0]) * o[g].n + i] *
                                                              o[g].e[i] *
                                                              o[h].l[(b + shift[1]) * o[h].n + j] * o[h].e[j];
                }
}

/* chi-squared that coefficient t is the same in all groups. */
static double equal_chi2(int n, const double *b, const double *V, int t)
{
    double x[GROUPS], S[GROUPS][GROUPS];
    int k = n * K;
    for (int g = 1; g < n; g++) {
        x[g - 1] = b[g * K + t] - b[t];
        for (int h = 1; h < n; h++)
            S[g - 1][h - 1] =
                V[(g * K + t) * k + h * K + t] - V[(g * K + t) * k + t] - V[t * k + h * K + t] + V[t * k + t];
    }
    if (n == 2) return x[0] * x[0] / S[0][0];
    double det = S[0][0] * S[1][1] - S[0][1] * S[1][0];
    return (x[0] * x[0] * S[1][1] - 2 * x[0] * x[1] * S[0][1] + x[1] * x[1] * S[0][0]) / det;
}

/* chi-squared that every coefficient is: x'S^-1 x of all differences from the first group, by elimination. */
static double all_equal_chi2(int n, const double *b, const double *V)
{
    enum { MOST = (GROUPS - 1) * K };
    int m = (n - 1) * K, k = n * K;
    double S[MOST][MOST + 1], x[MOST], chi2 = 0;
    for (int i = 0; i < m; i++) {
        int at = i + K, first = i % K;
        S[i][m] = x[i] = b[at] - b[first];
        for (int j = 0; j < m; j++)
            S[i][j] = V[at * k + j + K] - V[at * k + j % K] - V[first * k + j + K] + V[first * k + j % K];
    }
    for (int i = 0; i < m; i++)
        for (int l = 0; l < m; l++) {
            double times = S[l][i] / S[i][i];
            for (int j = i; j <= m && l != i; j++) S[l][j] -= times * S[i][j];
        }
    for (int i = 0; i < m; i++) chi2 += x[i] * S[i][m] / S[i][i];
    return chi2;
}

static void check(const made_panel *a, int n, bool effects, pfx_vcov_type vcov)
{
    pfx_err err = {0};
    pfx_design *d[GROUPS];
    pfx_fit *f[GROUPS];
    dense_ols o[GROUPS];
    double b[GROUPS * K], V[36], rows = 0, G = 0;
    int n_clusters = pfx_vcov_n_clusters(vcov), firms = 0, years = 0;
    const pfx_fit_options fo = ref_options(vcov, PFX_SSC_FIXEST);
    char seen[64] = {0};
    for (int g = 0; g < n; g++) {
        d[g] = group_design(a, g, effects, n_clusters);
        o[g] = dense_ols_new(d[g]);
        pfx_design *again = group_design(a, g, effects, n_clusters); /* a fit may sort the rows */
        assert_ok(pfx_fit_ols(again, &fo, &f[g], &err));
        free_group(again);
        rows += (double)d[g]->n;
        if (effects)
            firms += (int)d[g]->absorbed[0].factor.n_levels, years += (int)d[g]->absorbed[1].factor.n_levels;
        for (int t = 0; t < K; t++) b[g * K + t] = f[g]->coef[f[g]->k - K + t].estimate;
        for (pfx_idx l = 0; n_clusters && l < d[g]->clusters[0].n_levels; l++)
            seen[d[g]->cluster_origin[0][l]] = 1;
    }
    joint_covariance(n, d, o, n_clusters ? 0 : 2, V);
    for (int l = 0; l < 64; l++) G += seen[l];
    double suest = n_clusters ? G / (G - 1) : rows / (rows - 1),
           K_all = n * K + (effects ? firms + years - 1 : n);
    /* Firm effects of each group are nested in the clusters of firms: only the constant they carry is
     * counted. */
    double wald = n_clusters ? G / (G - 1) * (rows - 1) / (rows - (n * K + years)) : rows / (rows - K_all);
    pfx_comparison *c = NULL;
    assert_ok(pfx_compare(n, (const pfx_design *const *)d, (const pfx_fit *const *)f, &fo, &c, &err));
    assert_int_equal(c->n_terms, K);
    assert_int_equal(c->n_groups, n);
    assert_true(c->n_obs == (pfx_idx)rows);
    for (int t = 0; t < K; t++) {
        double chi2 = equal_chi2(n, b, V, t);
        assert_string_equal(c->term[t].term, t ? "x1" : "x0");
        assert_rel(c->term[t].chi2, chi2 / suest, 1e-9);
        assert_true(c->term[t].chi2_df == n - 1);
        assert_rel(c->term[t].chi2_p, pfx_dist_chi2_p(chi2 / suest, n - 1), 1e-8);
        assert_rel(c->term[t].wald.statistic, chi2 / wald / (n - 1), 1e-9);
        assert_true(c->term[t].wald.df1 == n - 1);
        assert_true(c->term[t].wald.df2 == (n_clusters ? G - 1 : rows - K_all));
        if (n != 2) continue;
        assert_abs(c->term[t].difference, b[K + t] - b[t], 1e-12);
        assert_rel(c->term[t].std_error, fabs(b[K + t] - b[t]) / sqrt(chi2 / wald), 1e-9);
    }
    double all = all_equal_chi2(n, b, V);
    int df = K * (n - 1);
    assert_rel(c->joint.chi2, all / suest, 1e-10);
    assert_true(c->joint.chi2_df == df);
    assert_rel(c->joint.chi2_p, pfx_dist_chi2_p(all / suest, df), 1e-9);
    assert_rel(c->joint.wald.statistic, all / wald / df, 1e-10);
    assert_true(c->joint.wald.df1 == df);
    assert_true(c->joint.wald.df2 == c->term[0].wald.df2);
    pfx_comparison_free(c);
    for (int g = 0; g < n; g++) {
        free_group(d[g]);
        dense_ols_free(&o[g]);
        pfx_fit_free(f[g]);
    }
}

static void explicit_sums(void **state)
{
    (void)state;
    made_panel a = made_panel_new(45, K);
    check(&a, 2, true, PFX_VCOV_CLUSTER);
    check(&a, 3, true, PFX_VCOV_CLUSTER);
    check(&a, 3, true, PFX_VCOV_HC1);
    check(&a, 2, false, PFX_VCOV_HC1);
    made_panel_free(&a);
}

/* ---- permutation ---- */

/* The pooled rows whose cluster has the label, as a regression of its own. */
static void refit(const pfx_design *pool, const int32_t *label, int g, double *b)
{
    pfx_idx n = 0, levels[3] = {0};
    int32_t *code[3], *place[3];
    const pfx_factor *f[3] = {&pool->absorbed[0].factor, &pool->absorbed[1].factor, &pool->clusters[0]};
    double *Z = calloc((size_t)(pool->n * pool->p), sizeof *Z);
    for (int i = 0; i < 3; i++) {
        code[i] = calloc((size_t)pool->n, sizeof **code);
        place[i] = malloc((size_t)f[i]->n_levels * sizeof **place);
        memset(place[i], 0xff, (size_t)f[i]->n_levels * sizeof **place);
    }
    for (pfx_idx i = 0; i < pool->n; i++) {
        if (label[f[2]->code[i]] != g) continue;
        memcpy(Z + n * pool->p, pool->Z + i * pool->p, (size_t)pool->p * sizeof *Z);
        for (int j = 0; j < 3; j++) {
            int32_t *at = &place[j][f[j]->code[i]];
            if (*at < 0) *at = (int32_t)levels[j]++;
            code[j][n] = *at;
        }
        n++;
    }
    pfx_err err = {0};
    pfx_fit *fit = NULL;
    pfx_design *d = ref_design_new(n, pool->p, Z, false);
    const pfx_fit_options o = ref_options(PFX_VCOV_IID, PFX_SSC_NONE);
    ref_add_effect(d, "firm", levels[0], code[0]);
    ref_add_effect(d, "year", levels[1], code[1]);
    assert_ok(pfx_fit_ols(d, &o, &fit, &err));
    for (int t = 0; t < K; t++) b[t] = fit->coef[t].estimate;
    pfx_fit_free(fit);
    ref_design_free(d);
    for (int i = 0; i < 3; i++) {
        free(code[i]);
        free(place[i]);
    }
    free(Z);
}

static void compare_groups(int n, const pfx_design *pool, const int32_t *label, double *out)
{
    double b[GROUPS][K];
    for (int g = 0; g < n; g++) refit(pool, label, g, b[g]);
    for (int t = 0; t < K; t++) {
        double mean = 0;
        out[t] = b[1][t] - b[0][t];
        if (n == 2) continue;
        for (int g = 0; g < n; g++) mean += b[g][t] / n;
        out[t] = 0;
        for (int g = 0; g < n; g++) out[t] += (b[g][t] - mean) * (b[g][t] - mean);
    }
}

/* Labels permuted, every group fitted again; the data's own the same way. */
static void permutations(void **state)
{
    (void)state;
    static const char *const terms[] = {"x0", "x1"};
    pfx_err err = {0};
    made_panel a = made_panel_new(60, K);
    for (pfx_idx i = 0; i < a.n; i++) a.group[i] = a.firm[i] * 7 / 3; /* firms lie in one group */
    for (int n = 2; n <= GROUPS; n++) {
        pfx_design *d[GROUPS], *pool = NULL;
        int32_t *group = NULL;
        const char *why = NULL;
        for (int g = 0; g < n; g++) d[g] = group_design(&a, g, true, 1);
        assert_ok(pfx_compare_pool(n, (const pfx_design *const *)d, &pool, &group, &why, &err));
        assert_null(why);
        pfx_idx row[600], at = 0;
        for (int g = 0; g < n; g++)
            for (pfx_idx i = 0; i < a.n; i++)
                if (group_of(&a, i) == g) row[at++] = i;
        assert_int_equal(at, pool->n);
        for (pfx_idx i = 0; i < at; i++) {
            assert_true((pool->absorbed[1].factor.code[i] == pool->absorbed[1].factor.code[0]) ==
                        (a.year[row[i]] == a.year[row[0]]));
            assert_true((pool->clusters[0].code[i] == pool->clusters[0].code[at / 2]) ==
                        (a.firm[row[i]] == a.firm[row[at / 2]]));
            assert_true(pool->Z[i * pool->p + K] == a.Z[row[i] * a.p + K]);
        }
        const pfx_clusterstat_options so = {
            .n_terms = K, .terms = terms, .tol = 1e-10, .maxiter = 10000, .nth = 1, .isa = pfx_cpu_best()};
        pfx_clusterstat *s = NULL;
        pfx_permute *p = NULL;
        assert_ok(pfx_clusterstat_create(pool, &so, &s, &err));
        assert_ok(pfx_permute_create(s, n, group, pfx_cpu_best(), &p, &err));
        const pfx_rep_method *m = pfx_permute_method(p);
        double *value = calloc((size_t)(m->width * K * 3), sizeof *value), own[K], want[K];
        double *field[3] = {value, value + m->width * K, value + 2 * m->width * K};
        void *scratch = pfx_mem_alloc(m->scratch, 1, NULL);
        pfx_idx *order = calloc((size_t)s->G, sizeof *order);
        int32_t *label = calloc((size_t)s->G, sizeof *label);
        assert_ok(pfx_permute_own(p, own, &err));
        compare_groups(n, pool, group, want);
        for (int t = 0; t < K; t++) assert_rel(own[t], want[t], 1e-9);
        m->batch(m->ctx, 5, m->width, scratch, field);
        for (int r = 0; r < m->width; r += 17) {
            int sizes[GROUPS] = {0}, all[GROUPS] = {0};
            pfx_permute_labels(p, 5, m->width + r, order, label);
            for (pfx_idx g = 0; g < s->G; g++) sizes[label[g]]++, all[group[g]]++;
            for (int g = 0; g < n; g++) assert_int_equal(sizes[g], all[g]);
            compare_groups(n, pool, label, want);
            for (int t = 0; t < K; t++) assert_rel(field[0][r * K + t], want[t], 1e-9);
        }
        free(value);
        free(order);
        free(label);
        pfx_mem_free(scratch);
        pfx_permute_free(p);
        pfx_clusterstat_free(s);
        pfx_design_free(pool);
        pfx_mem_free(group);
        for (int g = 0; g < n; g++) free_group(d[g]);
    }
    made_panel_free(&a);
}

/* Clusters that lie in several groups have no label. */
static void no_permutations(void **state)
{
    (void)state;
    pfx_err err = {0};
    made_panel a = made_panel_new(45, K);
    pfx_design *d[2], *pool = NULL;
    int32_t *group = NULL;
    const char *why = NULL;
    for (int c = 0; c < 2; c++) {
        for (int g = 0; g < 2; g++) d[g] = group_design(&a, g, true, c ? 1 : 0);
        assert_ok(pfx_compare_pool(2, (const pfx_design *const *)d, &pool, &group, &why, &err));
        assert_null(pool);
        assert_true(strstr(why, c ? "several groups" : "there are none") != NULL);
        for (int g = 0; g < 2; g++) free_group(d[g]);
    }
    made_panel_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(explicit_sums), cmocka_unit_test(permutations),
                                       cmocka_unit_test(no_permutations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
