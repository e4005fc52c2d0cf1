/* Allocations that fail in turn:
 *     test_faults f = {0};
 *     while (test_faults_next(&f)) {
 *         st = what is tried, with all it made freed again;
 *         test_faults_done(&f, st);
 *     }
 * Each failure is NOMEM and leaves nothing allocated; the first success ends it. */
#ifndef PFX_TESTS_FAULTS_H
#define PFX_TESTS_FAULTS_H

#include "src/base/mem.h"
#include "tests/test.h"

typedef struct test_faults {
    pfx_idx sparse; /* the next one is 1 + k / sparse further; 0: each */
    pfx_idx k;      /* the allocation that fails now */
    int failed;
    bool over;
    size_t before; /* bytes allocated */
} test_faults;

static inline bool test_faults_next(test_faults *f)
{
    if (f->over) return false;
    if (f->k == 0) f->before = pfx_mem_now();
    f->k += 1 + (f->sparse ? f->k / f->sparse : 0);
    pfx_mem_fail_at(f->k);
    return true;
}

static inline void test_faults_done(test_faults *f, pfx_status st)
{
    pfx_mem_fail_at(0);
    assert_int_equal(pfx_mem_now(), f->before);
    f->over = st == PFX_OK;
    if (!f->over) assert_int_equal(st, PFX_ENOMEM);
    f->failed += !f->over;
}

#endif
