/* Counts of the small-sample rules on small made-up fits; the reference tests hold them against other
 * software. */
#include "src/est/ssc.h"
#include "tests/test.h"

/* firm (nested) 50 levels, year 7, industry^year 30 with 8 redundant by pairs, firm[x] 50 (nested). */
static const pfx_idx levels[] = {50, 7, 30, 50}, redundant[] = {0, 1, 8, 0};
static const bool is_slope[] = {false, false, false, true}, none[] = {false, false, false, false};
static const bool nested[] = {true, false, false, true};

static pfx_ssc_out count(pfx_ssc rule, pfx_vcov_type vcov, int n_effects)
{
    bool clustered = vcov == PFX_VCOV_CLUSTER || vcov == PFX_VCOV_TWOWAY;
    pfx_ssc_in in = {.rule = rule,
                     .vcov = vcov,
                     .n = 1000,
                     .k = 3,
                     .n_effects = n_effects,
                     .levels = levels,
                     .redundant = redundant,
                     .is_slope = is_slope,
                     .nested = clustered ? nested : none,
                     .rank = -1,
                     .G = {50, 7, 350}};
    pfx_ssc_out o;
    pfx_ssc_count(&in, &o);
    return o;
}

static void fixest(void **state)
{
    (void)state;
    pfx_ssc_out o = count(PFX_SSC_FIXEST, PFX_VCOV_CLUSTER, 3);
    assert_true(o.df_absorbed == 50 + 7 + 30 - 2);
    assert_true(o.df_residual == 1000 - 3 - 85);
    assert_true(o.k_adj == 3 + 85 - 49);
    assert_true(o.df_t == 49);
    assert_rel(o.factor[0], 999.0 / (1000 - 39) * 50 / 49, 1e-15);
    o = count(PFX_SSC_FIXEST, PFX_VCOV_CLUSTER, 1);
    assert_true(o.k_adj == 4); /* all nested: the constant remains */
    o = count(PFX_SSC_FIXEST, PFX_VCOV_CLUSTER, 4);
    assert_true(o.df_absorbed == 135 && o.k_adj == 3 + 135 - 49); /* slopes stay counted */
    o = count(PFX_SSC_FIXEST, PFX_VCOV_TWOWAY, 3);
    assert_true(o.df_t == 6);
    for (int c = 0; c < 3; c++) assert_rel(o.factor[c], 999.0 / (1000 - 39) * 7 / 6, 1e-15);
    o = count(PFX_SSC_FIXEST, PFX_VCOV_HC1, 3);
    assert_true(o.k_adj == 88 && o.df_t == 912);
    assert_rel(o.factor[0], 1000.0 / 912, 1e-15);
    o = count(PFX_SSC_FIXEST, PFX_VCOV_IID, 0);
    assert_true(o.k_adj == 3 && o.df_residual == 997);
    assert_rel(o.factor[0], 1.0 / 997, 1e-15);
}

static void reghdfe(void **state)
{
    (void)state;
    pfx_ssc_out o = count(PFX_SSC_REGHDFE, PFX_VCOV_CLUSTER, 4);
    assert_true(o.df_absorbed == 50 + 6 + 22 + 50);
    assert_true(o.k_adj == 3 + 6 + 22 + 1);
    o = count(PFX_SSC_REGHDFE, PFX_VCOV_TWOWAY, 3);
    assert_rel(o.factor[2], 999.0 / (1000 - 32) * 7 / 6, 1e-15);
}

static void stata(void **state)
{
    (void)state;
    pfx_ssc_out o = count(PFX_SSC_STATA, PFX_VCOV_TWOWAY, 3);
    const double G[] = {50, 7, 350};
    assert_true(o.k_adj == 3 + 78);
    for (int c = 0; c < 3; c++) assert_rel(o.factor[c], 999.0 / (1000 - 81) * G[c] / (G[c] - 1), 1e-15);
    pfx_ssc_in in = {.rule = PFX_SSC_STATA,
                     .vcov = PFX_VCOV_HC1,
                     .n = 1000,
                     .k = 3,
                     .n_effects = 3,
                     .levels = levels,
                     .redundant = redundant,
                     .is_slope = is_slope,
                     .nested = none,
                     .rank = 77};
    pfx_ssc_count(&in, &o);
    assert_true(o.df_absorbed == 77); /* the exact rank where it is known */
}

static void no_rule(void **state)
{
    (void)state;
    pfx_ssc_out o = count(PFX_SSC_NONE, PFX_VCOV_TWOWAY, 3);
    assert_true(o.factor[0] == 1 && o.factor[1] == 1 && o.factor[2] == 1 && o.df_t == 6);
    o = count(PFX_SSC_NONE, PFX_VCOV_HC1, 3);
    assert_true(o.factor[0] == 1);
    o = count(PFX_SSC_NONE, PFX_VCOV_IID, 3);
    assert_rel(o.factor[0], 1e-3, 1e-15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fixest), cmocka_unit_test(reghdfe),
                                       cmocka_unit_test(stata), cmocka_unit_test(no_rule)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
