#include "tests/test.h"
#include "src/cmd/fit_private.h"

static const pfx_panel_spec firm_year = {"firm", "year", PFX_TIME_YEAR},
                            firm_only = {"firm", "", PFX_TIME_INDEX}, no_unit = {"", "", PFX_TIME_INDEX};

typedef struct vcov_case {
    const char *vcov, *cluster;
    const pfx_panel_spec *panel;
    pfx_vcov_type type;
    const char *clusters; /* joined by +, as they come out */
} vcov_case;

static void test_vcov_and_clusters(void **state)
{
    (void)state;
    static const vcov_case cases[] = {
        {NULL, NULL, &firm_year, PFX_VCOV_CLUSTER, "firm"},
        {NULL, NULL, &no_unit, PFX_VCOV_IID, ""},
        {NULL, "prov", &no_unit, PFX_VCOV_CLUSTER, "prov"},
        {NULL, "industry^year", &firm_year, PFX_VCOV_CLUSTER, "industry^year"},
        {NULL, " firm + year ", &firm_year, PFX_VCOV_TWOWAY, "firm+year"},
        {NULL, "firm,year", &firm_year, PFX_VCOV_TWOWAY, "firm+year"},
        {"cluster", NULL, &firm_year, PFX_VCOV_CLUSTER, "firm"},
        {"CRV1", "year", &firm_year, PFX_VCOV_CLUSTER, "year"},
        {"cluster", "firm+year", &firm_year, PFX_VCOV_TWOWAY, "firm+year"},
        {"twoway", NULL, &firm_year, PFX_VCOV_TWOWAY, "firm+year"},
        {"twoway", "prov+year", &firm_year, PFX_VCOV_TWOWAY, "prov+year"},
        {"iid", NULL, &firm_year, PFX_VCOV_IID, ""},
        {"hetero", NULL, &firm_year, PFX_VCOV_HC1, ""},
        {"HC1", NULL, &no_unit, PFX_VCOV_HC1, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const vcov_case *c = &cases[i];
        fit_options o = fit_defaults();
        fit_vcov v;
        pfx_err err = {0};
        char joined[100] = "";
        o.vcov = c->vcov;
        o.cluster = c->cluster;
        assert_ok(fit_choose_vcov(&o, c->panel, &v, &err));
        for (int k = 0; k < v.n_clusters; k++) {
            if (k) strcat(joined, "+");
            strcat(joined, v.clusters[k]);
        }
        if (v.type != c->type || strcmp(joined, c->clusters) != 0)
            fail_msg("case %zu: type %d, clusters \"%s\"", i, (int)v.type, joined);
    }
}

static void test_vcov_refused(void **state)
{
    (void)state;
    static const struct {
        const char *vcov, *cluster;
        const pfx_panel_spec *panel;
        const char *says;
    } cases[] = {
        {"CRV4", NULL, &firm_year, "choose from iid, hetero (HC1), cluster (CRV1), twoway, CRV3, CV3J, CR2"},
        {"CRV3", "a+b", &firm_year, "one cluster variable"},
        {"nw(2)", NULL, &firm_only, "the panel has no time"},
        {"dk", "firm", &firm_year, "takes no --cluster"},
        {"iid", "firm", &firm_year, "takes no --cluster"},
        {"HC1", "firm", &firm_year, "takes no --cluster"},
        {"twoway", "firm", &firm_year, "needs two cluster variables"},
        {"twoway", NULL, &firm_only, "needs two cluster variables"},
        {"cluster", NULL, &no_unit, "no unit to cluster by"},
        {"twoway", NULL, &no_unit, "no unit to cluster by"},
        {NULL, "a+b+c", &firm_year, "more than two"},
        {NULL, "a++b", &firm_year, "an empty name"},
        {NULL, "", &firm_year, "an empty name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fit_options o = fit_defaults();
        fit_vcov v;
        pfx_err err = {0};
        o.vcov = cases[i].vcov;
        o.cluster = cases[i].cluster;
        assert_fails(fit_choose_vcov(&o, cases[i].panel, &v, &err), PFX_EUSAGE, cases[i].says);
    }
}

static pfx_status plan(const char *output, const char *a, const char *b, fit_save *s, pfx_err *err)
{
    fit_options o = fit_defaults();
    o.output = output;
    if (a) o.save.v[o.save.n++] = a;
    if (b) o.save.v[o.save.n++] = b;
    return fit_save_plan(&o, s, err);
}

static void test_where_saved_values_go(void **state)
{
    (void)state;
    char csv[4200], other[4200], effects[4300];
    fit_save s;
    pfx_err err = {0};
    snprintf(csv, sizeof csv, "%s/a.csv", test_tmpdir());
    snprintf(other, sizeof other, "%s/a.dat", test_tmpdir());

    assert_ok(plan(NULL, NULL, NULL, &s, &err));
    assert_string_equal(s.rows_path, "");
    assert_string_equal(s.effects_path, "");

    assert_ok(plan(csv, "resid", "effects", &s, &err));
    snprintf(effects, sizeof effects, "%s/a.effects.csv", test_tmpdir());
    assert_string_equal(s.rows_path, csv);
    assert_string_equal(s.effects_path, effects);
    assert_true(s.resid && s.effects && !s.fitted);

    assert_ok(plan(other, "fitted", "effects", &s, &err));
    snprintf(effects, sizeof effects, "%s/a.dat.effects.csv", test_tmpdir());
    assert_string_equal(s.effects_path, effects);

    assert_ok(plan(csv, "effects", NULL, &s, &err));
    assert_string_equal(s.rows_path, "");
    assert_string_equal(s.effects_path, csv);

    assert_fails(plan(csv, "residuals", NULL, &s, &err), PFX_EUSAGE, "choose from resid, fitted, effects");
    assert_fails(plan(NULL, "resid", NULL, &s, &err), PFX_EUSAGE, "needs a file");
    assert_fails(plan("-", "resid", NULL, &s, &err), PFX_EUSAGE, "needs a file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vcov_and_clusters),
        cmocka_unit_test(test_vcov_refused),
        cmocka_unit_test(test_where_saved_values_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
