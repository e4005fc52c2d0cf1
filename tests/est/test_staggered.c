/* Staggered treatments and the weights that two-way fixed effects give them. */
#include <math.h>
#include <stdlib.h>
#include "src/est/fit.h"
#include "src/est/staggered.h"
#include "src/model/design.h"
#include "tests/est/refcase.h"

/* Dates of a treatment in a design, and the weights of its coefficient: in a balanced panel D less its means
 * by unit and period, plus the mean. */
static void staggered(void **state)
{
    (void)state;
    enum { U = 6, T = 5 };
    static const int date[U] = {9, 2, 3, 3, 9, 1}; /* from this period on, counted from 0 */
    double Z[U * T * 2], mean_u[U] = {0}, mean_t[T] = {0}, mean = 0, sum = 0, negative = 0;
    int32_t unit[U * T], time[U * T];
    for (int i = 0; i < U * T; i++) {
        unit[i] = i / T;
        time[i] = i % T;
        Z[2 * i] = Z[2 * i + 1] = time[i] >= date[unit[i]];
        mean_u[i / T] += Z[2 * i] / T;
        mean_t[i % T] += Z[2 * i] / U;
        mean += Z[2 * i] / (U * T);
    }
    pfx_err err = {0};
    pfx_idx n, positive = 0, below = 0;
    pfx_design *d = ref_design_new(U * T, 2, Z, true);
    ref_add_effect(d, "unit", U, unit);
    ref_add_effect(d, "time", T, time);
    assert_ok(pfx_staggered_dates(d, 0, 1, 0, 1, &n, &err));
    assert_int_equal(n, 3);
    d->Z[2 * 9] = 0; /* unit 1 falls in its last period */
    assert_ok(pfx_staggered_dates(d, 0, 1, 0, 1, &n, &err));
    assert_int_equal(n, 0);
    d->Z[2 * 9] = 0.5;
    assert_ok(pfx_staggered_dates(d, 0, 1, 0, 1, &n, &err));
    assert_int_equal(n, 0);
    ref_design_free(d);

    double one[U * T];
    for (int i = 0; i < U * T; i++) one[i] = Z[2 * i];
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < U * T; i++) {
            double w = one[i] - mean_u[i / T] - mean_t[i % T] + mean;
            if (one[i] == 0) continue;
            if (pass == 0) {
                sum += w;
                continue;
            }
            positive += w > 1e-12;
            below += w < -1e-12;
            if (w < 0) negative += w / sum;
        }
    assert_true(below > 0);
    d = ref_design_new(U * T, 1, one, true);
    ref_add_effect(d, "unit", U, unit);
    ref_add_effect(d, "time", T, time);
    const pfx_fit_options o = ref_options(PFX_VCOV_IID, PFX_SSC_NONE);
    pfx_twfe_weights w;
    assert_ok(pfx_twfe_weights_of(d, &o, &w, &err));
    assert_int_equal(w.n_positive, positive);
    assert_int_equal(w.n_negative, below);
    assert_rel(w.sum_negative, negative, 1e-9);
    ref_design_free(d);
}

/* The same at any number of threads and in any order of the units; the unit that a thread's rows end in
 * changes at that very row. */
static void staggered_threads(void **state)
{
    (void)state;
    enum { U = 30000, T = 7, N = U * T, CUT = 65536 };
    double *Z = calloc(2 * N, sizeof *Z);
    int32_t *unit = calloc(N, sizeof *unit), *time = calloc(N, sizeof *time);
    assert_true(Z && unit && time && CUT % T == 2);
    for (int falls = 0; falls < 2; falls++)
        for (int down = 0; down < 2; down++) {
            for (int i = 0; i < N; i++) {
                unit[i] = down ? U - 1 - i / T : i / T;
                time[i] = i % T;
                Z[2 * i] = i / T == CUT / T ? time[i] >= CUT % T : i / T % 3 ? time[i] >= 4 : 0;
            }
            if (falls) Z[2 * (N - 2)] = 0, Z[2 * (N - 3)] = 1;
            pfx_design *d = ref_design_new(N, 2, Z, true);
            ref_add_effect(d, "unit", U, unit);
            ref_add_effect(d, "time", T, time);
            for (int nth = 1; nth <= 4; nth++) {
                pfx_err err = {0};
                pfx_idx n = -1;
                assert_ok(pfx_staggered_dates(d, 0, 1, 0, nth, &n, &err));
                assert_int_equal(n, falls ? 0 : 2);
            }
            ref_design_free(d);
        }
    free(Z), free(unit), free(time);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(staggered), cmocka_unit_test(staggered_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
