/* .dta, .sav and .sas7bdat files, written here by ReadStat's own writer, through the importer. */
#include <readstat.h>
#include "src/base/mem.h"
#include "tests/unit/import_help.h"
#include "tests/faults.h"

static memory_panel m;
static pfx_import_summary sum;
static pfx_err err;

static ssize_t write_bytes(const void *data, size_t n, void *ctx)
{
    return (ssize_t)fwrite(data, 1, n, ctx);
}

typedef readstat_error_t (*begin_fn)(readstat_writer_t *w, void *ctx, long rows);

/* Observations: firm (text), time (number with a format), x (double, missing in places), grade (labelled),
 * part (only some values labelled), f (float). */
static const char *const firms[] = {"000002", "000002", "000001", "000001", "000003"};
enum { ROWS = 5 };

static const char *write_file(const char *name, begin_fn begin, const char *time_format, const double *times)
{
    const char *path = test_tmp(name);
    FILE *f = fopen(path, "wb");
    bool dta = begin == readstat_begin_writing_dta, sas = begin == readstat_begin_writing_sas7bdat;
    readstat_writer_t *w = readstat_writer_init();
    assert_non_null(f);
    readstat_set_data_writer(w, write_bytes);
    readstat_variable_t *firm = readstat_add_variable(w, "firm", READSTAT_TYPE_STRING, 8);
    readstat_variable_t *time = readstat_add_variable(w, "time", READSTAT_TYPE_DOUBLE, 8);
    readstat_variable_t *x = readstat_add_variable(w, "x", READSTAT_TYPE_DOUBLE, 8);
    readstat_variable_t *grade =
        readstat_add_variable(w, "grade", sas ? READSTAT_TYPE_DOUBLE : READSTAT_TYPE_INT32, 8);
    readstat_variable_t *part = readstat_add_variable(w, "part", READSTAT_TYPE_DOUBLE, 8);
    readstat_variable_t *single =
        readstat_add_variable(w, "single", dta ? READSTAT_TYPE_FLOAT : READSTAT_TYPE_DOUBLE, 8);
    readstat_variable_set_label(x, "return on \xe4\xb8\xad");
    if (time_format) readstat_variable_set_format(time, time_format);
    if (!sas) {
        readstat_label_set_t *grades =
            readstat_add_label_set(w, READSTAT_TYPE_INT32, dta ? "grades" : "grades1");
        readstat_label_int32_value(grades, 3, "high");
        readstat_label_int32_value(grades, 1, "low");
        readstat_label_int32_value(grades, 2, "middle");
        readstat_label_int32_value(grades, 7, "never seen");
        readstat_variable_set_label_set(grade, grades);
        readstat_label_set_t *parts =
            readstat_add_label_set(w, READSTAT_TYPE_DOUBLE, dta ? "parts" : "parts1");
        readstat_label_double_value(parts, 1, "one");
        if (!dta) readstat_variable_set_label_set(part, parts);
    }
    if (!dta && !sas) readstat_variable_add_missing_double_value(x, 999);
    assert_int_equal(begin(w, f, ROWS), READSTAT_OK);
    for (int i = 0; i < ROWS; i++) {
        readstat_begin_row(w);
        readstat_insert_string_value(w, firm, firms[i]);
        readstat_insert_double_value(w, time, times[i]);
        if (i == 1)
            readstat_insert_missing_value(w, x);
        else if (i == 2 && dta)
            readstat_insert_tagged_missing_value(w, x, 'b');
        else
            readstat_insert_double_value(w, x, i == 2 ? (sas ? 2.5 : 999) : i + 0.5);
        if (sas)
            readstat_insert_double_value(w, grade, 1 + i % 3);
        else
            readstat_insert_int32_value(w, grade, 1 + i % 3);
        readstat_insert_double_value(w, part, i);
        if (dta)
            readstat_insert_float_value(w, single, 0.1f * (float)i);
        else
            readstat_insert_double_value(w, single, i);
        assert_int_equal(readstat_end_row(w), READSTAT_OK);
    }
    assert_int_equal(readstat_end_writing(w), READSTAT_OK);
    readstat_writer_free(w);
    assert_int_equal(fclose(f), 0);
    return path;
}

static pfx_status read_file(const char *path, int n_types, const char *const *types)
{
    pfx_import_options o = import_defaults(path);
    o.unit = "firm";
    o.time = "time";
    o.n_types = n_types;
    o.types = types;
    pfx_err_clear(&err);
    return import_into(&m, &o, &sum, &err);
}

static const double years[] = {2010, 2011, 2010, 2011, 2010};

/* The rows by firm and time: observations 3, 4, 1, 2, 5. */
static void check_common(bool has_labels, double third)
{
    static const char *const in_order[] = {"000001", "000001", "000002", "000002", "000003"};
    static const int obs[] = {2, 3, 0, 1, 4};
    assert_int_equal(m.n_rows, ROWS);
    for (int i = 0; i < ROWS; i++) {
        assert_string_equal(m.levels[0][memory_code(&m, "firm")[i]], in_order[i]);
        assert_true(memory_num(&m, "part")[i] == obs[i]);
        double x = memory_num(&m, "x")[i];
        if (obs[i] == 1)
            assert_true(isnan(x));
        else if (obs[i] == 2)
            assert_true(isnan(third) ? isnan(x) : x == third);
        else
            assert_true(x == obs[i] + 0.5);
        if (!has_labels) continue;
        static const char *const grades[] = {"low", "middle", "high"}; /* in the order of the values */
        assert_int_equal(memory_code(&m, "grade")[i], obs[i] % 3);
        assert_string_equal(m.levels[3][obs[i] % 3], grades[obs[i] % 3]);
        assert_int_equal(m.n_levels[3], 3);
    }
}

static void test_stata(void **unused)
{
    (void)unused;
    assert_ok(read_file(write_file("a.dta", readstat_begin_writing_dta, NULL, years), 0, NULL));
    check_common(true, NAN);
    assert_int_equal(m.dtype[memory_find(&m, "single")], PFX_F32);
    assert_true(memory_num(&m, "single")[1] == 0.1f * 3.0f);
    assert_true(memory_num(&m, "time")[0] == 2010);
    /* the labelled column as numbers, a number as text */
    assert_ok(read_file(test_tmp("a.dta"), 2, (const char *const[]){"grade=numeric", "part=category"}));
    assert_true(memory_num(&m, "grade")[0] == 3);
    assert_string_equal(m.levels[4][memory_code(&m, "part")[0]], "2");
    assert_ok(read_file(test_tmp("a.dta"), 1, (const char *const[]){"firm=numeric"}));
    assert_true(memory_num(&m, "firm")[0] == 1 && memory_num(&m, "firm")[4] == 3);
}

static void test_stata_times(void **unused)
{
    static const double quarters[] = {200, 201, 200, 201, 200}, days[] = {14609, 14975, 14609, 14975, 14609};
    (void)unused;
    assert_ok(read_file(write_file("q.dta", readstat_begin_writing_dta, "%tq", quarters), 0, NULL));
    assert_true(memory_num(&m, "time")[0] == 160); /* 2010q1 */
    assert_ok(read_file(write_file("d.dta", readstat_begin_writing_dta, "%td", days), 0, NULL));
    assert_true(memory_num(&m, "time")[0] == 1999 &&
                memory_num(&m, "time")[1] == 2000); /* 31dec1999, 31dec2000 */
}

static void test_spss(void **unused)
{
    static const double seconds[] = {13488940800, 13488940800 + 86400, 13488940800, 13488940800 + 86400,
                                     13488940800};
    (void)unused;
    assert_ok(read_file(write_file("a.sav", readstat_begin_writing_sav, NULL, years), 0, NULL));
    check_common(true, NAN); /* 999 is missing by the file's own rule */
    assert_ok(read_file(write_file("d.sav", readstat_begin_writing_sav, "DATE11", seconds), 0, NULL));
    assert_true(memory_num(&m, "time")[1] - memory_num(&m, "time")[0] == 1);
    assert_true(memory_num(&m, "time")[0] == 13488940800 / 86400 - 141428);
}

static void test_sas(void **unused)
{
    (void)unused;
    assert_ok(read_file(write_file("a.sas7bdat", readstat_begin_writing_sas7bdat, NULL, years), 0, NULL));
    check_common(false, 2.5);
}

static void test_refusals(void **unused)
{
    static const double same[] = {2010, 2010, 2010, 2011, 2010};
    (void)unused;
    assert_fails(read_file(write_file("s.dta", readstat_begin_writing_dta, NULL, same), 0, NULL), PFX_EDATA,
                 "observations 1 and 2 have the same firm 000002, time 2010");
    assert_fails(read_file(put_file("no.dta", "firm,x\n1,2\n", 11), 0, NULL), PFX_EFORMAT,
                 "cannot be read as a .dta file");
    assert_fails(read_file(test_tmp("absent.dta"), 0, NULL), PFX_EIO, "absent.dta");
    const char *path = write_file("cut.dta", readstat_begin_writing_dta, NULL, years);
    assert_int_equal(truncate(path, 1500), 0);
    assert_fails(read_file(path, 0, NULL), PFX_EFORMAT, "cut.dta");
}

/* Every allocation of ours fails in turn: ENOMEM, and nothing is left allocated. */
static void test_out_of_memory(void **unused)
{
    const char *path = write_file("m.dta", readstat_begin_writing_dta, NULL, years);
    test_faults f = {0};
    (void)unused;
    while (test_faults_next(&f)) test_faults_done(&f, read_file(path, 0, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stata),    cmocka_unit_test(test_stata_times),
                                       cmocka_unit_test(test_spss),     cmocka_unit_test(test_sas),
                                       cmocka_unit_test(test_refusals), cmocka_unit_test(test_out_of_memory)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    memory_free(&m);
    return failed;
}
