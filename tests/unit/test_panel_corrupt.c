/* Files that are not what they should be: cut short, with a byte changed, of another kind. Nothing crashes,
 * and the fault is named. */
#include <sys/stat.h>
#include "tests/unit/panel_fixture.h"

/* HDF5 1.10 leaks an object header whose checksum is wrong; LeakSanitizer asks here what to overlook. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

typedef struct bytes {
    unsigned char *b;
    long n;
} bytes;

static bytes slurp(const char *path)
{
    bytes x = {NULL, 0};
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    x.n = ftell(f);
    rewind(f);
    x.b = malloc((size_t)x.n);
    assert_int_equal(fread(x.b, 1, (size_t)x.n, f), x.n);
    fclose(f);
    return x;
}

static void spill(const char *path, const void *b, long n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(b, 1, (size_t)n, f), n);
    fclose(f);
}

static pfx_status open_and_check(const char *path, pfx_err *err)
{
    pfx_panel *p = NULL;
    pfx_status st;
    pfx_err_clear(err);
    st = pfx_panel_open(path, &p, err);
    if (st == PFX_OK) st = pfx_panel_check(p, err);
    pfx_panel_close(p);
    return st;
}

static void truncated(void **state)
{
    pfx_err err = {0};
    fix_panel *p = fix_make(100, 0);
    const char *path = test_tmp("t.h5"), *cut = test_tmp("cut.h5");
    bytes x;
    (void)state;
    assert_ok(fix_write(p, path, 1000, 0, true, &err));
    x = slurp(path);
    for (long n = 0; n < x.n; n += n < 200 ? 1 : 37) {
        spill(cut, x.b, n);
        assert_int_equal(open_and_check(cut, &err), PFX_EFORMAT);
        assert_non_null(strstr(err.msg, cut));
    }
    spill(cut, x.b, x.n - 1);
    assert_int_equal(open_and_check(cut, &err), PFX_EFORMAT);
    assert_non_null(strstr(err.msg, "truncated"));
    spill(cut, x.b, 0);
    assert_int_equal(open_and_check(cut, &err), PFX_EFORMAT);
    assert_non_null(strstr(err.msg, "empty"));
    free(x.b);
    fix_free(p);
}

/* A changed byte is found, or lies in the zeros between two parts of the file. */
static void any_byte_changed(void **state)
{
    pfx_err err = {0};
    fix_panel *p = fix_make(60, 0);
    const char *path = test_tmp("f.h5"), *bad = test_tmp("bad.h5");
    bytes x;
    long padding = 0;
    (void)state;
    assert_ok(fix_write(p, path, 1000, 0, true, &err));
    x = slurp(path);
    for (long i = 0; i < x.n; i += 17) {
        unsigned char was = x.b[i];
        x.b[i] ^= (unsigned char)(1u << (i % 8));
        spill(bad, x.b, x.n);
        if (open_and_check(bad, &err) == PFX_OK) {
            assert_int_equal(was, 0);
            padding++;
        }
        x.b[i] = was;
    }
    assert_true(padding < x.n / 17 / 4);
    free(x.b);
    fix_free(p);
}

static long find(const bytes *x, const void *what, size_t n)
{
    for (long i = 0; i + (long)n <= x->n; i++)
        if (!memcmp(x->b + i, what, n)) return i;
    return -1;
}

/* In a panel of several chunks, the message names the column and the rows. */
static void changed_value_is_named(void **state)
{
    pfx_err err = {0};
    fix_panel *p = fix_make(150000, 0);
    const char *path = test_tmp("v.h5"), *bad = test_tmp("vbad.h5");
    bytes x;
    long at;
    (void)state;
    assert_ok(fix_write(p, path, 65536, 0, true, &err));
    x = slurp(path);
    at = find(&x, p->cols[FIX_F64].num + 70000, 64);
    assert_true(at > 0);
    x.b[at + 3] ^= 0x10;
    spill(bad, x.b, x.n);
    assert_int_equal(open_and_check(bad, &err), PFX_EFORMAT);
    assert_non_null(strstr(err.msg, "vbad.h5:/columns/x64: cannot read rows 6553"));
    assert_non_null(strstr(err.msg, "checksum wrong"));
    x.b[at + 3] ^= 0x10;
    at = find(&x, p->unit_start + 100, 64); /* the index */
    assert_true(at > 0);
    x.b[at] ^= 1;
    spill(bad, x.b, x.n);
    assert_int_equal(open_and_check(bad, &err), PFX_EFORMAT);
    assert_non_null(strstr(err.msg, "/index/unit_start"));
    free(x.b);
    fix_free(p);
}

static void not_a_panel(void **state)
{
    pfx_err err = {0};
    const char *path = test_tmp("x.h5"), *csv = "firm,year\n1,2017\n", *stata = "<stata_dta><header>";
    const unsigned char junk[16] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n', 9, 9, 9, 9, 9, 9, 9, 9};
    pfx_panel *p;
    (void)state;
    assert_fails(pfx_panel_open(test_tmp("absent.h5"), &p, &err), PFX_EIO, "No such file");
    assert_fails(pfx_panel_open(test_tmpdir(), &p, &err), PFX_EIO, "is a folder");
    spill(path, csv, (long)strlen(csv));
    assert_fails(pfx_panel_open(path, &p, &err), PFX_EFORMAT, "looks like text: run panelfx import");
    spill(path, stata, (long)strlen(stata));
    assert_fails(pfx_panel_open(path, &p, &err), PFX_EFORMAT, "Stata");
    spill(path, "\x1f\x8b\x08\0", 4);
    assert_fails(pfx_panel_open(path, &p, &err), PFX_EFORMAT, "gzip");
    spill(path, junk, 16);
    assert_fails(pfx_panel_open(path, &p, &err), PFX_EFORMAT, "x.h5");
    chmod(path, 0);
    if (geteuid() != 0) assert_fails(pfx_panel_open(path, &p, &err), PFX_EIO, "Permission denied");
}

/* Read-only folder, read-only file. */
static void read_only(void **state)
{
    pfx_err err = {0};
    fix_panel *p = fix_make(1000, 0);
    char folder[4096], path[4200];
    (void)state;
    snprintf(folder, sizeof folder, "%s", test_tmp("ro"));
    assert_int_equal(mkdir(folder, 0755), 0);
    snprintf(path, sizeof path, "%s/p.h5", folder);
    assert_ok(fix_write(p, path, 1000, 0, true, &err));
    chmod(path, 0444);
    chmod(folder, 0555);
    fix_compare(p, path, 0);
    chmod(folder, 0755);
    fix_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truncated),
        cmocka_unit_test(any_byte_changed),
        cmocka_unit_test(changed_value_is_named),
        cmocka_unit_test(not_a_panel),
        cmocka_unit_test(read_only),
    };
    pfx_err err = {0};
    if (pfx_h5_init(&err) != PFX_OK) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
