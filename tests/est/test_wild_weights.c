/* What the weights of the wild bootstrap are. */
#include "kernels/wild.h"
#include "src/rep/wild_private.h"
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

/* What replicates use is what is drawn one by one, words that are refused among them (one in 23,000 by Webb).
 */
static void test_fill(void **state)
{
    enum { FIRMS = 600, REPS = 24 * 60, LANES = 24, ROWS = 512 };
    static const char *const terms[] = {"x0"};
    static double W[ROWS * LANES];
    static uint8_t code[LANES * PFX_WILD_SIGNS];
    const double null = 0;
    (void)state;
    made_panel a = made_panel_new(FIRMS, 3);
    pfx_design *d = made_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE);
    pfx_clusterstat *s = wild_statistics(d, 1, terms, 1, pfx_cpu_best());
    for (int kind = 0; kind < PFX_WILD_KINDS; kind++)
        for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
            pfx_err err = {0};
            pfx_wild *w = NULL;
            double v[FIRMS];
            const pfx_wild_options o = {.type = 11,
                                        .null = &null,
                                        .weights = (pfx_wild_weights)kind,
                                        .reps = REPS,
                                        .n_errors = 1,
                                        .errors = {{.weight = 1}},
                                        .nth = 1,
                                        .isa = isa};
            if (!pfx_cpu_has(isa)) continue;
            assert_ok(pfx_wild_create(s, &o, &w, &err));
            for (pfx_idx rep0 = 0; rep0 < (kind == PFX_WILD_WEBB ? REPS : 4 * LANES); rep0 += LANES)
                for (pfx_idx first = 0; first < FIRMS; first += ROWS) {
                    pfx_idx n = FIRMS - first < ROWS ? FIRMS - first : ROWS;
                    pfx_wild_fill(w, 11, rep0, first, n, code, W);
                    for (int l = 0; l < LANES; l++) {
                        pfx_wild_draw(w, 11, rep0 + l, v);
                        for (pfx_idx g = 0; g < n; g++) assert_rel(W[g * LANES + l], v[first + g], 1e-15);
                    }
                }
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
        cmocka_unit_test(test_fill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
