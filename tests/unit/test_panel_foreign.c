/* HDF5 files that are whole but wrong: other formats, newer versions, parts absent or at odds with each
 * other. Each file is a good panel that HDF5 itself has changed. */
#include "hdf5_io/h5_private.h"
#include "src/base/mem.h"
#include "tests/unit/panel_fixture.h"

static hid_t file; /* the panel, open for changes */

static void begin(fix_panel *p, const char *path)
{
    pfx_err err = {0};
    assert_ok(fix_write(p, path, 1000, 0, true, &err));
    file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0);
}

static void end(const char *path, pfx_status status, const char *text)
{
    pfx_err err = {0};
    pfx_panel *p = NULL;
    assert_true(H5Fclose(file) >= 0);
    assert_fails(pfx_panel_open(path, &p, &err), status, text);
    assert_null(p);
}

/* Opens, but does not pass the check. */
static void end_check(const char *path, const char *text)
{
    pfx_err err = {0};
    pfx_panel *p = NULL;
    assert_true(H5Fclose(file) >= 0);
    assert_ok(pfx_panel_open(path, &p, &err));
    assert_fails(pfx_panel_check(p, &err), PFX_EFORMAT, text);
    pfx_panel_close(p);
}

static void set_text(const char *object, const char *name, const char *value)
{
    hid_t o = H5Oopen(file, object, H5P_DEFAULT), t = pfx_h5_text_type(strlen(value)),
          sp = H5Screate(H5S_SCALAR), a;
    assert_true(H5Adelete(o, name) >= 0);
    a = H5Acreate2(o, name, t, sp, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(a, t, value) >= 0);
    H5Aclose(a);
    H5Sclose(sp);
    H5Tclose(t);
    H5Oclose(o);
}

static void set_int(const char *name, long long value)
{
    hid_t a = H5Aopen(file, name, H5P_DEFAULT);
    assert_true(H5Awrite(a, H5T_NATIVE_LLONG, &value) >= 0);
    H5Aclose(a);
}

/* Element `row` of an integer dataset. */
static void set_cell(const char *dataset, hsize_t row, long long value)
{
    hsize_t one = 1;
    hid_t ds = H5Dopen2(file, dataset, H5P_DEFAULT), fsp = H5Dget_space(ds),
          msp = H5Screate_simple(1, &one, NULL);
    H5Sselect_hyperslab(fsp, H5S_SELECT_SET, &row, NULL, &one, NULL);
    assert_true(H5Dwrite(ds, H5T_NATIVE_LLONG, msp, fsp, H5P_DEFAULT, &value) >= 0);
    H5Sclose(msp);
    H5Sclose(fsp);
    H5Dclose(ds);
}

static void drop(const char *link)
{
    assert_true(H5Ldelete(file, link, H5P_DEFAULT) >= 0);
}

static void formats_and_versions(void **state)
{
    const char *path = test_tmp("v.h5");
    fix_panel *p = fix_make(50, 0);
    char *format = NULL;
    pfx_err err = {0};
    (void)state;
    begin(p, path), assert_true(H5Adelete(file, "format") >= 0), end(path, PFX_EFORMAT, "not one of panelfx");
    begin(p, path), set_text("/", "format", "panelfx-draws"),
        end(path, PFX_EFORMAT, "holds draws, not a panel");
    assert_ok(pfx_h5_format(path, &format, &err));
    assert_string_equal(format, "panelfx-draws");
    pfx_mem_free(format);
    begin(p, path), set_text("/", "format", "other"), end(path, PFX_EFORMAT, "its format is \"other\"");
    begin(p, path), set_int("version", 2),
        end(path, PFX_EFORMAT, "panel version 2 is newer than this panelfx knows (1)");
    begin(p, path), set_int("version", 0), end(path, PFX_EFORMAT, "version 0");
    fix_free(p);
}

static void parts_absent_or_at_odds(void **state)
{
    const char *path = test_tmp("a.h5");
    fix_panel *p = fix_make(50, 0);
    (void)state;
    begin(p, path), drop("columns"), end(path, PFX_EFORMAT, "/columns: no such group");
    begin(p, path), drop("columns/firm"), end(path, PFX_EFORMAT, "no column \"firm\", the panel's unit");
    begin(p, path), drop("columns/year"), end(path, PFX_EFORMAT, "no column \"year\", the panel's time");
    begin(p, path), drop("categories/prov"), end(path, PFX_EFORMAT, "/categories/prov: no such dataset");
    begin(p, path), drop("index/unit_start"), end(path, PFX_EFORMAT, "/index/unit_start: no such dataset");
    begin(p, path), drop("provenance"), end(path, PFX_EFORMAT, "/provenance");
    begin(p, path), set_int("n_rows", 49),
        end(path, PFX_EFORMAT, "/columns/firm: 50 rows where the panel has 49");
    begin(p, path), set_int("n_rows", -1), end(path, PFX_EFORMAT, "n_rows is -1");
    begin(p, path), set_int("n_units", 3), end(path, PFX_EFORMAT, "/index/unit_start: want int64, 4 rows");
    begin(p, path), set_text("/columns/x64", "kind", "odd"),
        end(path, PFX_EFORMAT, "/columns/x64: unknown kind \"odd\"");
    begin(p, path), set_text("/columns/x64", "kind", "category"),
        end(path, PFX_EFORMAT, "a category is int32");
    begin(p, path), set_text("/", "time_unit", "odd"), end(path, PFX_EFORMAT, "unknown time_unit \"odd\"");
    begin(p, path), drop("columns/x64");
    assert_true(H5Lcreate_hard(file, "categories/prov", file, "columns/x64", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    end(path, PFX_EFORMAT, "/columns/x64: 3 rows");
    begin(p, path), drop("categories/prov");
    assert_true(H5Lcreate_hard(file, "columns/i32", file, "categories/prov", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    end(path, PFX_EFORMAT, "/categories/prov: not text");
    fix_free(p);
}

/* 200 rows in units of seven. */
static void values_at_odds(void **state)
{
    const char *path = test_tmp("c.h5");
    fix_panel *p = fix_make(200, 7);
    (void)state;
    begin(p, path), set_cell("columns/prov", 100, 3),
        end_check(path, "/columns/prov: row 101: code 3, but there are 3 levels");
    begin(p, path), set_cell("columns/prov", 100, -5), end_check(path, "row 101: code -5");
    begin(p, path), set_cell("columns/year", 101, 2001),
        end_check(path, "row 102 (firm 000014, year 2001) comes after");
    begin(p, path), set_cell("columns/year", 101, 2002),
        end_check(path, "rows 101 and 102 are both firm 000014, year 2002");
    begin(p, path), set_cell("index/unit_start", 5, 36),
        end_check(path, "row 36 of the panel does not begin a unit in the index");
    begin(p, path), set_cell("index/unit_start", 5, 28),
        end_check(path, "/index/unit_start: row 6: not the first row of a unit");
    begin(p, path), set_cell("index/unit_start", 5, 999), end_check(path, "/index/unit_start: row 6");
    begin(p, path), set_cell("index/unit_start", 0, 1), end_check(path, "/index/unit_start: row 1");
    begin(p, path), set_cell("index/unit_start", 29, 199), end_check(path, "/index/unit_start: row 30");
    begin(p, path), set_int("n_periods", 8), end_check(path, "n_periods is 8, but there are 7 times");
    fix_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_and_versions),
        cmocka_unit_test(parts_absent_or_at_odds),
        cmocka_unit_test(values_at_odds),
    };
    pfx_err err = {0};
    if (pfx_h5_init(&err) != PFX_OK) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
