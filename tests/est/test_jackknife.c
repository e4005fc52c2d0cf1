/* The cluster jackknife against references, literal refits without each cluster, and itself over threads. */
#include "src/base/mem.h"
#include "src/rep/clusterstat.h"
#include "src/rep/jackknife.h"
#include "src/rep/switching.h"
#include "tests/est/made_panel.h"
#include "tests/est/resample.h"

static pfx_clusterstat *statistics(const pfx_design *d, int n_terms, const char *const *terms)
{
    pfx_err err = {0};
    pfx_clusterstat *s = NULL;
    const pfx_clusterstat_options o = {
        .n_terms = n_terms, .terms = terms, .tol = 1e-12, .maxiter = 10000, .nth = 1, .isa = pfx_cpu_best()};
    assert_ok(pfx_clusterstat_create(d, &o, &s, &err));
    return s;
}

static pfx_jackknife *jackknife(const pfx_clusterstat *s, int nth, pfx_isa isa)
{
    pfx_err err = {0};
    pfx_jackknife *j = NULL;
    assert_ok(pfx_jackknife_run(s, nth, isa, &j, &err));
    return j;
}

static void check_reference(const char *csv, const ref_spec *spec, int n, const char *const *terms,
                            const double *cv3, const double *cv3j)
{
    ref_table *t = ref_read(csv);
    pfx_design *d = ref_design(t, spec);
    pfx_clusterstat *s = statistics(d, n, terms);
    pfx_jackknife *j = jackknife(s, 2, pfx_cpu_best());
    for (int i = 0; i < n; i++) {
        assert_rel(j->cv3[i], cv3[i], 1e-9);
        assert_rel(j->cv3j[i], cv3j[i], 1e-9);
        assert_int_equal(j->n_lost[i], 0);
    }
    pfx_jackknife_free(j);
    pfx_clusterstat_free(s);
    ref_design_free(d);
    ref_free(t);
}

static void test_references(void **state)
{
    static const char *const grunfeld[] = {"value", "capital"}, *const airlines[] = {"lout", "lprice",
                                                                                     "load"};
    const ref_spec firm = {.y = "inv", .x = "value capital", .effects = "firm", .clusters = "firm"};
    const ref_spec both = {.y = "inv", .x = "value capital", .effects = "firm year", .clusters = "firm"};
    const ref_spec air = {.y = "lcost", .x = "lout lprice load", .effects = "firm year", .clusters = "firm"};
    (void)state;
    check_reference(ref_own("grunfeld.csv"), &firm, 2, grunfeld,
                    (double[]){0.034093412192901, 0.139021790961481},
                    (double[]){0.0332880236795663, 0.135857705794812});
    check_reference(ref_own("grunfeld.csv"), &both, 2, grunfeld,
                    (double[]){0.0523302123015627, 0.246563284416111},
                    (double[]){0.0504487212348306, 0.237842501550569});
    SKIP_WITHOUT("usairlines.csv");
    check_reference(test_refdata("usairlines.csv"), &air, 3, airlines,
                    (double[]){0.0657585737486271, 0.291184229423549, 0.820600268357358},
                    (double[]){0.0656002472248195, 0.290427676706914, 0.819410130067297});
}

static void compare_refits(int effects, int cluster, pfx_weights_kind kind)
{
    static const char *const terms[] = {"x2", "x0"};
    made_panel a = made_panel_new(90, 3);
    pfx_design *d = made_design(&a, effects, cluster, kind);
    pfx_clusterstat *s = statistics(d, 2, terms);
    pfx_jackknife *j = jackknife(s, 1, pfx_cpu_best()), *other;
    uint8_t *count = malloc((size_t)s->G);
    double share[2] = {0}, total = 0;
    for (pfx_idx g = 0; g < s->G; g++) {
        total += j->leverage[g];
        for (int t = 0; t < 2; t++) share[t] += j->partial[2 * g + t];
        if (g % 7) continue;
        memset(count, 1, (size_t)s->G);
        count[g] = 0;
        pfx_fit *f = made_fit(resample_design(d, count), ref_options(PFX_VCOV_CLUSTER, PFX_SSC_NONE));
        for (int t = 0; t < 2; t++) assert_rel(j->b[2 * g + t], ref_coef(f, terms[t])->estimate, 1e-10);
        pfx_fit_free(f);
    }
    assert_rel(total, (double)s->k, 1e-10);
    for (int t = 0; t < 2; t++) {
        assert_rel(share[t], 1.0, 1e-10);
        assert_true(j->effective[t] > 1 && j->effective[t] < (double)s->G);
    }
    for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
        if (!pfx_cpu_has(isa)) continue;
        other = jackknife(s, 1 + (int)isa * 3, isa);
        assert_same_bits(j->b, other->b, 2 * s->G);
        assert_same_bits(j->cv3, other->cv3, 2);
        assert_same_bits(j->acceleration, other->acceleration, 2);
        pfx_jackknife_free(other);
    }
    free(count);
    pfx_jackknife_free(j);
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

static void test_refits(void **state)
{
    (void)state;
    compare_refits(FIRM | YEAR, FIRM, PFX_W_NONE);
    compare_refits(FIRM | YEAR, TOWN, PFX_W_ANALYTIC);
    compare_refits(0, FIRM, PFX_W_NONE);
    compare_refits(YEAR | INDUSTRY, FIRM, PFX_W_NONE);
}

/* A regressor that one cluster alone identifies. */
static void test_lost(void **state)
{
    static const char *const terms[] = {"x1", "x0"};
    (void)state;
    made_panel a = made_panel_new(30, 3);
    for (pfx_idx i = 0; i < a.n; i++) a.Z[i * a.p + 1] = a.firm[i] == 4 ? a.Z[i * a.p + 1] : 0;
    pfx_design *d = made_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE);
    pfx_clusterstat *s = statistics(d, 2, terms);
    pfx_jackknife *j = jackknife(s, 1, pfx_cpu_best());
    assert_int_equal(j->n_lost[0], 1);
    assert_int_equal(j->first_lost[0], 4);
    assert_true(isnan(j->b[2 * 4]));
    assert_int_equal(j->n_lost[1], 0);
    assert_true(j->partial[2 * 4] > 0.5);
    pfx_jackknife_free(j);
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

/* Clusters by the values that a column takes in them, one by one. switching: where effects say it, else -1.
 */
static void compare_treated(const pfx_design *d, int x, pfx_idx switching)
{
    pfx_err err = {0};
    pfx_treated got;
    double low = INFINITY, high = -INFINITY;
    pfx_idx both = 0, treated = 0, control = 0;
    bool binary = true;
    for (pfx_idx i = 0; i < d->n; i++) {
        low = fmin(low, d->Z[i * d->p + x]);
        high = fmax(high, d->Z[i * d->p + x]);
    }
    for (pfx_idx i = 0; i < d->n; i++) binary &= d->Z[i * d->p + x] == low || d->Z[i * d->p + x] == high;
    for (int g = 0; g < d->clusters[0].n_levels; g++) {
        bool has_low = false, has_high = false;
        for (pfx_idx i = 0; i < d->n; i++)
            if (d->clusters[0].code[i] == g) *(d->Z[i * d->p + x] == low ? &has_low : &has_high) = true;
        both += has_low && has_high;
        treated += has_high && !has_low;
        control += has_low && !has_high;
    }
    assert_ok(pfx_treated_count(d, d->name[x], &got, &err));
    assert_int_equal(got.binary, binary);
    assert_int_equal(binary, x == 1);
    if (!binary) return;
    assert_int_equal(got.n_switching, switching >= 0 ? switching : both);
    assert_int_equal(got.n_treated, treated);
    assert_int_equal(got.n_control, control);
}

/* Clusters in which a regressor varies within firms, counted pair by pair. */
static void test_switching(void **state)
{
    (void)state;
    made_panel a = made_panel_new(120, 3);
    for (pfx_idx i = 0; i < a.n; i++) {
        a.Z[i * a.p + 1] = a.firm[i] % 17 == 3 && a.year[i] > 3;
        a.Z[i * a.p + 2] = a.firm[i] % 3; /* varies between firms alone */
    }
    for (int town = 0; town < 2; town++) {
        pfx_err err = {0};
        pfx_design *d = made_design(&a, FIRM | YEAR, town ? TOWN : FIRM, PFX_W_NONE);
        const int32_t *code = d->clusters[0].code, *firm = d->absorbed[0].factor.code;
        for (int x = 0; x < 3; x++) {
            char seen[120] = {0};
            pfx_idx n, want = 0;
            for (pfx_idx i = 0; i < d->n; i++)
                for (pfx_idx j = 0; j < i; j++)
                    if (firm[i] == firm[j] && d->Z[i * d->p + x] != d->Z[j * d->p + x]) seen[code[i]] = 1;
            for (int g = 0; g < 120; g++) want += seen[g];
            for (int down = 0; down < 2; down++) { /* the second time in falling order of firms */
                assert_ok(pfx_switching_clusters(d, d->name[x], &n, &err));
                assert_int_equal(n, want);
                for (pfx_idx enough = 1; enough < 12; enough += 5) {
                    assert_ok(pfx_switching_few(d, d->name[x], enough, &n, &err));
                    assert_int_equal(n, want < enough ? want : enough);
                }
                for (pfx_idx i = 0; i < d->n; i++)
                    d->absorbed[0].factor.code[i] = (int32_t)d->absorbed[0].factor.n_levels - 1 - firm[i];
            }
            n = want;
            compare_treated(d, x, n);
            assert_true(x == 0 || (x == 2 ? n == 0 : n > 0 && n < d->clusters[0].n_levels));
        }
        ref_design_free(d);
    }
    pfx_err err = {0};
    pfx_idx n = 0;
    pfx_design *d = made_design(&a, YEAR, FIRM, PFX_W_NONE);
    assert_ok(pfx_switching_clusters(d, "x1", &n, &err));
    assert_int_equal(n, -1);
    for (int x = 0; x < 3; x++) compare_treated(d, x, -1); /* nothing nested: by values */
    ref_design_free(d);
    made_panel_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_refits),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_switching),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
