/* What the weights of the wild bootstrap are. */
#include "tests/est/wild_twin.h"

/* Mean, variance and third moment of 400,000 weights of each distribution, drawn one by one; that replicates
 * use the same ones is what the refits show. */
static void test_moments(void **state)
{
    static const double third[PFX_WILD_KINDS] = {0, 0, 1, 0, 1};
    enum { FIRMS = 200, REPS = 2000 };
    static const char *const terms[] = {"x0"};
    const double null = 0;
    (void)state;
    made_panel a = made_panel_new(FIRMS, 3);
    pfx_design *d = made_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE);
    pfx_clusterstat *s = wild_statistics(d, 1, terms, 1, pfx_cpu_best());
    for (int kind = 0; kind < PFX_WILD_KINDS; kind++) {
        pfx_err err = {0};
        pfx_wild *w = NULL;
        double m[3] = {0}, v[FIRMS];
        const pfx_wild_options o = {.type = 11,
                                    .null = &null,
                                    .weights = (pfx_wild_weights)kind,
                                    .reps = REPS,
                                    .n_errors = 1,
                                    .errors = {{.weight = 1}},
                                    .nth = 1,
                                    .isa = pfx_cpu_best()};
        assert_ok(pfx_wild_create(s, &o, &w, &err));
        for (pfx_idx r = 0; r < REPS; r++) {
            pfx_wild_draw(w, 11, r, v);
            for (int g = 0; g < FIRMS; g++) {
                m[0] += v[g] / (FIRMS * REPS);
                m[1] += v[g] * v[g] / (FIRMS * REPS);
                m[2] += v[g] * v[g] * v[g] / (FIRMS * REPS);
            }
        }
        assert_abs(m[0], 0, 0.008); /* five standard errors */
        assert_abs(m[1], 1, 0.015);
        assert_abs(m[2], third[kind], 0.06);
        pfx_wild_free(w);
    }
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
