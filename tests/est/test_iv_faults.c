/* Two-stage least squares where memory runs out: every allocation failing in turn leaves nothing behind, on
 * each route of the rows and with each kind of variance. */
#include "src/base/mem.h"
#include "src/est/iv.h"
#include "src/rep/cluster_vcov.h"
#include "tests/est/iv_panel.h"

static void each_allocation(int effects, int clusters, pfx_vcov_type vcov, bool delicate)
{
    made_panel a = iv_panel_new(24, 1, 2);
    for (pfx_idx i = 0; i < a.n && delicate; i++) a.Z[i * a.p + 1] = a.Z[i * a.p] + 0.004 * a.Z[i * a.p + 1];
    pfx_fit_options o = ref_options(vcov, PFX_SSC_FIXEST);
    o.cluster_vcov = pfx_cluster_vcov;
    size_t before = pfx_mem_now();
    for (pfx_idx k = 1;; k++) {
        pfx_err err = {0};
        pfx_fit *f = NULL;
        pfx_design *d = iv_design(&a, effects, clusters, PFX_W_NONE, 1, 2);
        if (pfx_vcov_is_hac(vcov)) {
            d->time = pfx_mem_alloc(d->n, sizeof *d->time, NULL);
            for (pfx_idx i = 0; i < d->n; i++) d->time[i] = a.year[i];
        }
        pfx_mem_fail_at(k);
        pfx_status st = pfx_fit_iv(d, &o, &f, &err);
        /* The first that the fit does not ask for fails here. What fails and can be done without is none of
         * ours. */
        void *next = pfx_mem_alloc(1, 1, NULL);
        pfx_mem_fail_at(0);
        if (st == PFX_OK) pfx_fit_free(f);
        ref_design_free(d);
        pfx_mem_free(next);
        assert_int_equal(pfx_mem_now(), before);
        if (st == PFX_OK && !next) {
            assert_true(k > 100);
            break;
        }
        assert_true(st == PFX_OK || (st == PFX_ENOMEM && strlen(err.msg) > 0));
    }
    made_panel_free(&a);
}

static void test_allocations(void **state)
{
    (void)state;
    each_allocation(FIRM | YEAR, FIRM, PFX_VCOV_CLUSTER, false);
    each_allocation(FIRM | YEAR, FIRM, PFX_VCOV_CLUSTER, true);
    each_allocation(0, 0, PFX_VCOV_HC1, false);
    each_allocation(FIRM, FIRM | YEAR, PFX_VCOV_TWOWAY, false);
    each_allocation(FIRM, FIRM | YEAR, PFX_VCOV_NW, false);
    each_allocation(FIRM | YEAR, FIRM, PFX_VCOV_CRV3, false);
    each_allocation(FIRM | YEAR, FIRM, PFX_VCOV_CR2, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_allocations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
