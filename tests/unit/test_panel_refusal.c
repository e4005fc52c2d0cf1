/* What the sink refuses: order, duplicates, values that do not fit, names, labels. Each names the place, and
 * no file is left. */
#include <limits.h>
#include "tests/unit/panel_fixture.h"

static void refuse(const fix_panel *p, pfx_status status, const char *text)
{
    pfx_err err = {0};
    int before = test_count_files(test_tmpdir());
    assert_fails(fix_write(p, test_tmp("refused.h5"), 1000, 0, false, &err), status, text);
    assert_int_equal(test_count_files(test_tmpdir()), before);
}

/* Rows 100000 and 100001 (counted from 1) lie in one unit of seven, in the second chunk. */
enum { ROW = 100000 };
static fix_panel *make(void)
{
    fix_panel *p = fix_make(120000, 7);
    assert_int_equal(p->cols[FIX_FIRM].code[ROW], p->cols[FIX_FIRM].code[ROW - 1]);
    return p;
}

static void duplicates(void **state)
{
    fix_panel *p = make();
    (void)state;
    p->cols[FIX_YEAR].num[ROW] = p->cols[FIX_YEAR].num[ROW - 1];
    refuse(p, PFX_EDATA, "rows 100000 and 100001 are both firm code 14285, year 2004");
    fix_free(p);
}

static void unsorted(void **state)
{
    fix_panel *p = make();
    (void)state;
    p->cols[FIX_YEAR].num[ROW] = 1999;
    refuse(p, PFX_EDATA, "row 100001 (firm code 14285, year 1999) comes after firm code 14285, year 2004");
    fix_free(p);
    p = make();
    p->cols[FIX_FIRM].code[ROW] = 3;
    refuse(p, PFX_EDATA, "row 100001 (firm code 3, year 2005) comes after firm code 14285");
    p->specs[FIX_FIRM].levels = (const char *const *)p->firm_labels; /* with labels the unit has its name */
    refuse(p, PFX_EDATA, "row 100001 (firm 000003, year 2005)");
    fix_free(p);
}

static void missing_keys(void **state)
{
    fix_panel *p = make();
    (void)state;
    p->cols[FIX_YEAR].num[ROW] = NAN;
    refuse(p, PFX_EDATA, "row 100001: year is missing");
    p->cols[FIX_FIRM].code[ROW] = PFX_NA_CODE;
    refuse(p, PFX_EDATA, "row 100001: firm is missing");
    fix_free(p);
}

static void values_that_do_not_fit(void **state)
{
    fix_panel *p = make();
    (void)state;
    static const struct {
        int col;
        double value;
        const char *text;
    } cases[] = {
        {FIX_I32, 2147483648.0, "column \"i32\", row 100001: 2147483648 does not fit into int32"},
        {FIX_I32, -2147483648.0, "row 100001: -2147483648 does not fit into int32"},
        {FIX_I32, 1.5, "row 100001: 1.5 is not a whole number, for int32"},
        {FIX_I32, INFINITY, "inf does not fit into int32"},
        {FIX_I64, 18014398509481984.0,
         "column \"i64\", row 100001: 18014398509481984 does not fit into int64"},
        {FIX_F32, 1e39, "column \"x32\", row 100001: 9.9999999999999994e+38 does not fit into float32"},
        {FIX_YEAR, 2005.5, "column \"year\", row 100001: 2005.5 is not a whole number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double was = p->cols[cases[i].col].num[ROW];
        p->cols[cases[i].col].num[ROW] = cases[i].value;
        refuse(p, PFX_EDATA, cases[i].text);
        p->cols[cases[i].col].num[ROW] = was;
    }
    p->cols[FIX_PROV].code[ROW] = -1;
    refuse(p, PFX_EDATA, "column \"prov\", row 100001: -1 is no level code");
    p->cols[FIX_PROV].code[ROW] = 3;
    refuse(p, PFX_EDATA, "column \"prov\", row 100001: code 3, but there are 3 labels");
    fix_free(p);
}

static void names_and_labels(void **state)
{
    fix_panel *p = fix_make(10, 0);
    char longer[300];
    (void)state;
    memset(longer, 'x', 299);
    longer[299] = 0;
    p->specs[FIX_F64].name = "R&D/Sales";
    refuse(p, PFX_EDATA, "column \"R&D/Sales\": a panel file takes no \"/\"");
    p->specs[FIX_F64].name = "";
    refuse(p, PFX_EDATA, "no name");
    p->specs[FIX_F64].name = "x32";
    refuse(p, PFX_EDATA, "two columns are named \"x32\"");
    p->specs[FIX_F64].name = longer;
    refuse(p, PFX_EDATA, "longer than 255 bytes");
    p->specs[FIX_F64].name = "\xc4\xe3";
    refuse(p, PFX_EDATA, "not UTF-8");
    p->specs[FIX_F64].name = "x64";
    p->firm_labels[1][0] = '\xff';
    refuse(p, PFX_EDATA, "column \"firm\": the label of level 1 is not UTF-8");
    p->firm_labels[1][0] = '0';
    p->spec.unit = "company";
    refuse(p, PFX_EUSAGE, "no column \"company\" for the unit");
    p->spec.unit = "firm";
    p->spec.time = "x64";
    refuse(p, PFX_EDATA, "column \"x64\" is no time");
    fix_free(p);
}

static void existing_file(void **state)
{
    fix_panel *p = fix_make(10, 0), *q = fix_make(20, 0);
    pfx_err err = {0};
    const char *path = test_tmp("there.h5");
    (void)state;
    assert_ok(fix_write(p, path, 10, 0, false, &err));
    assert_fails(fix_write(q, path, 10, 0, false, &err), PFX_EUSAGE, "--force");
    fix_compare(p, path, 0);
    q->cols[FIX_YEAR].num[5] = NAN; /* a failed run leaves the old file as it was */
    assert_fails(fix_write(q, path, 10, 0, true, &err), PFX_EDATA, "missing");
    fix_compare(p, path, 0);
    assert_fails(fix_write(p, test_tmp("no/such/folder.h5"), 10, 0, false, &err), PFX_EIO, "folder.h5");
    fix_free(p);
    fix_free(q);
}

/* Unit numbers beyond 2^24, which a float would round, are told apart. */
static void large_unit_numbers(void **state)
{
    fix_panel *p = fix_make(1000, 1);
    pfx_panel *panel;
    pfx_err err = {0};
    const char *path = test_tmp("large.h5");
    (void)state;
    p->spec.unit = "i32";
    for (int r = 0; r < 1000; r++) p->cols[FIX_I32].num[r] = 2147482647.0 + r;
    assert_ok(fix_write(p, path, 1000, 0, false, &err));
    assert_ok(pfx_panel_open(path, &panel, &err));
    assert_int_equal(pfx_panel_n_units(panel), 1000);
    assert_ok(pfx_panel_check(panel, &err));
    pfx_panel_close(panel);
    fix_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(duplicates),         cmocka_unit_test(unsorted),
        cmocka_unit_test(missing_keys),       cmocka_unit_test(values_that_do_not_fit),
        cmocka_unit_test(names_and_labels),   cmocka_unit_test(existing_file),
        cmocka_unit_test(large_unit_numbers),
    };
    pfx_err err = {0};
    if (pfx_h5_init(&err) != PFX_OK) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
