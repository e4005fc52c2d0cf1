/* Allocations, or write steps, that fail in turn:
 *     test_faults f = {0};
 *     while (test_faults_next(&f)) {
 *         st = what is tried, with all it made freed again;
 *         test_faults_done(&f, st);
 *     }
 * Each failure is NOMEM (of a write: IO) and leaves nothing allocated. The loop ends where all that was tried
 * is over before the one that was to fail: success alone is not the end, for an allocation may be done
 * without. By then more than `least` of them must have failed, or there was nothing to see. */
#ifndef PFX_TESTS_FAULTS_H
#define PFX_TESTS_FAULTS_H

#include <errno.h>
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/test.h"

typedef struct test_faults {
    bool writes; /* steps of writing instead of allocations */
    int least;   /* 0: 20 */
    pfx_idx k;   /* the one that fails now */
    int failed;  /* tries that failed */
    bool over;
    size_t before; /* bytes allocated */
} test_faults;

static inline bool test_faults_next(test_faults *f)
{
    if (f->over) return false;
    if (f->k == 0) f->before = pfx_mem_now();
    f->k++;
    assert_true(f->failed > 0 || f->k <= 20); /* else what should fail does not */
    if (f->writes)
        pfx_fault_write_at(f->k, f->k % 2 ? ENOSPC : EIO);
    else
        pfx_mem_fail_at(f->k);
    return true;
}

/* Was the failure not met? Then the next one fails. */
static inline bool test_faults_ahead(const test_faults *f)
{
    if (f->writes) return pfx_fault_write() != 0;
    void *p = pfx_mem_alloc(1, 1, NULL);
    pfx_mem_free(p);
    return !p;
}

static inline void test_faults_done(test_faults *f, pfx_status st)
{
    bool ahead = test_faults_ahead(f);
    pfx_mem_fail_at(0);
    pfx_fault_write_at(0, 0);
    assert_int_equal(pfx_mem_now(), f->before);
    if (ahead || st != PFX_OK || f->writes)
        assert_int_equal(st, ahead ? PFX_OK : f->writes ? PFX_EIO : PFX_ENOMEM);
    f->failed += st != PFX_OK;
    f->over = ahead;
    if (f->over) assert_true(f->failed > (f->least ? f->least : 20));
}

#endif
