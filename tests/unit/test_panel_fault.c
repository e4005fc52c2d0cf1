/* Every write step and every allocation fails in turn, and the disk is really full: one message, no file
 * under the final name, no temporary, nothing leaked (under asan), and the library goes on working. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/unit/panel_fixture.h"
#include "tests/faults.h"

static void every_write(void **state)
{
    fix_panel *p = fix_make(70000, 0);
    pfx_err err = {0};
    pfx_idx k;
    (void)state;
    for (k = 1;; k++) {
        pfx_status st;
        int before = test_count_files(test_tmpdir());
        pfx_err_clear(&err);
        pfx_fault_write_at(k, ENOSPC);
        st = fix_write(p, test_tmp("w.h5"), 65536, 0, false, &err);
        pfx_fault_write_at(0, 0);
        if (st == PFX_OK) break;
        assert_int_equal(st, PFX_EIO);
        assert_non_null(strstr(err.msg, "w.h5"));
        assert_non_null(strstr(err.msg, "No space left"));
        if (access(test_tmp("w.h5"), F_OK) == 0) {
            /* only the fsync of the folder comes after the rename: the file is whole */
            fix_compare(p, test_tmp("w.h5"), 0);
            assert_int_equal(remove(test_tmp("w.h5")), 0);
        }
        assert_int_equal(test_count_files(test_tmpdir()), before);
    }
    assert_true(k > 20);
    fix_compare(p, test_tmp("w.h5"), 0);
    fix_free(p);
}

static void every_allocation_of_a_writer(void **state)
{
    fix_panel *p = fix_make(2000, 0);
    pfx_err err = {0};
    (void)state;
    test_faults f = {0};
    while (test_faults_next(&f)) {
        pfx_err_clear(&err);
        pfx_status st = fix_write(p, test_tmp("a.h5"), 65536, 0, false, &err);
        test_faults_done(&f, st);
        assert_true(st == PFX_OK || access(test_tmp("a.h5"), F_OK) != 0);
    }
    fix_compare(p, test_tmp("a.h5"), 0);
    fix_free(p);
}

static pfx_status read_all(const char *path, pfx_err *err)
{
    static const char *const names[] = {"firm", "x32", "prov"};
    pfx_panel *p = NULL;
    pfx_row_source src = {0};
    const pfx_frame *f;
    pfx_status st;
    if ((st = pfx_panel_open(path, &p, err)) != PFX_OK) return st;
    if ((st = pfx_panel_source(p, 3, names, &(pfx_panel_source_options){.block_rows = 500}, &src, err)) ==
        PFX_OK) {
        do st = src.next(src.ctx, &f, err);
        while (st == PFX_OK && f);
        src.close(src.ctx);
    }
    if (st == PFX_OK) st = pfx_panel_check(p, err);
    pfx_panel_close(p);
    return st;
}

static void every_allocation_of_a_reader(void **state)
{
    fix_panel *p = fix_make(2000, 0);
    const char *path = test_tmp("r.h5");
    pfx_err err = {0};
    (void)state;
    assert_ok(fix_write(p, path, 65536, 0, true, &err));
    test_faults f = {.least = 40};
    while (test_faults_next(&f)) {
        pfx_err_clear(&err);
        test_faults_done(&f, read_all(path, &err));
    }
    fix_free(p);
}

/* The system itself refuses: HDF5 meets the error wherever it happens to write. */
static void full_disk(void **state)
{
    fix_panel *p = fix_make(70000, 0);
    struct rlimit was, limit;
    pfx_err err = {0};
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &was);
    limit = was;
    for (rlim_t bytes = 0; bytes < 3500000; bytes += bytes < 10000 ? 1000 : 200000) {
        pfx_status st;
        int before = test_count_files(test_tmpdir());
        pfx_err_clear(&err);
        limit.rlim_cur = bytes;
        setrlimit(RLIMIT_FSIZE, &limit);
        st = fix_write(p, test_tmp("full.h5"), 65536, 0, false, &err);
        setrlimit(RLIMIT_FSIZE, &was);
        assert_int_equal(st, PFX_EIO);
        assert_non_null(strstr(err.msg, "full.h5"));
        assert_non_null(strstr(err.msg, "File too large"));
        assert_int_equal(test_count_files(test_tmpdir()), before);
    }
    signal(SIGXFSZ, SIG_DFL);
    pfx_err_clear(&err);
    assert_ok(fix_write(p, test_tmp("full.h5"), 65536, 0, false, &err));
    fix_compare(p, test_tmp("full.h5"), 0);
    fix_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_write),
        cmocka_unit_test(every_allocation_of_a_writer),
        cmocka_unit_test(every_allocation_of_a_reader),
        cmocka_unit_test(full_disk),
    };
    pfx_err err = {0};
    if (pfx_h5_init(&err) != PFX_OK) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
