/* CSV files of known cells through the whole importer, into memory. */
#include "src/base/mem.h"
#include "src/data/csv_input.h"
#include "src/data/csv_parse.h"
#include "tests/unit/import_help.h"
#include "tests/faults.h"

static memory_panel m;
static pfx_import_summary sum;
static pfx_err err;

static pfx_status read_text(const char *text, const char *unit, const char *time)
{
    pfx_import_options o = import_defaults(put_file("t.csv", text, strlen(text)));
    o.unit = unit;
    o.time = time;
    pfx_err_clear(&err);
    return import_into(&m, &o, &sum, &err);
}

static const char *label(const char *column, int row)
{
    int32_t code = memory_code(&m, column)[row];
    return code == PFX_NA_CODE ? "(missing)" : m.levels[memory_find(&m, column)][code];
}

static void test_types(void **unused)
{
    (void)unused;
    assert_ok(read_text("i,big,f,s,zero,id,empty,whole\n"
                        "1,3000000000,1.5,x,001,12345678901234567,,2.0\n"
                        "-2,4,.,y,2,3,NA,3.0\n"
                        "NA,5,1e-3,,3,4,,1e2\n",
                        NULL, NULL));
    assert_int_equal(m.n_rows, 3);
    assert_int_equal(m.dtype[memory_find(&m, "i")], PFX_I32);
    assert_int_equal(m.dtype[memory_find(&m, "big")], PFX_I64);
    assert_int_equal(m.dtype[memory_find(&m, "f")], PFX_F64);
    assert_int_equal(m.dtype[memory_find(&m, "whole")], PFX_I32);
    assert_int_equal(m.dtype[memory_find(&m, "empty")], PFX_F64);
    assert_int_equal(m.kind[memory_find(&m, "s")], PFX_CATEGORY);
    assert_int_equal(m.kind[memory_find(&m, "zero")], PFX_CATEGORY);
    assert_int_equal(m.kind[memory_find(&m, "id")], PFX_CATEGORY);
    assert_true(memory_num(&m, "i")[1] == -2 && isnan(memory_num(&m, "i")[2]));
    assert_true(memory_num(&m, "big")[0] == 3e9 && isnan(memory_num(&m, "f")[1]) &&
                memory_num(&m, "f")[2] == 1e-3);
    assert_string_equal(label("zero", 0), "001");
    assert_string_equal(label("zero", 1), "2");
    assert_string_equal(label("id", 0), "12345678901234567");
    assert_string_equal(label("s", 2), "(missing)");
    assert_true(isnan(memory_num(&m, "empty")[0]));
}

static void test_layouts(void **unused)
{
    static const char *const texts[] = {"a,b\n1,\"x, y\"\n2,\"say \"\"hi\"\"\"\n",
                                        "\357\273\277a,b\r\n1,\"x, y\"\r\n2,\"say \"\"hi\"\"\"\r\n",
                                        "a;b\n1;x, y\n2;\"say \"\"hi\"\"\"",
                                        "a\tb\n1\tx, y\n2\tsay \"hi\"\n",
                                        "a|b\r1|x, y\r2|say \"hi\"\r",
                                        "\n\na,b\n\n1,\"x, y\"\n\r\n\n2 ,  \"say \"\"hi\"\"\"  \n\n"};
    (void)unused;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_ok(read_text(texts[i], NULL, NULL));
        assert_int_equal(m.n_cols, 2);
        assert_int_equal(m.n_rows, 2);
        assert_true(memory_num(&m, "a")[0] == 1 && memory_num(&m, "a")[1] == 2);
        assert_string_equal(label("b", 0), "x, y");
        assert_string_equal(label("b", 1), "say \"hi\"");
    }
    assert_ok(read_text("a,b\n1,\"x\ny\"\n2,\"\r\n\"\n", NULL, NULL));
    assert_string_equal(label("b", 0), "x\ny");
    assert_string_equal(label("b", 1), "\r\n");
}

static void test_encodings(void **unused)
{
    static const char text[] = "\xff\xfe"
                               "a\0,\0b\0\n\0001\0,\0\x2d\x4e\n\0"; /* a,b / 1, U+4E2D */
    pfx_import_options o = import_defaults(put_file("u.csv", text, sizeof text - 1));
    (void)unused;
    assert_ok(import_into(&m, &o, &sum, &err));
    assert_string_equal(label("b", 0), "\xe4\xb8\xad");
    static const char gbk[] = "a,b\n1,\xd6\xd0\n";
    o = import_defaults(put_file("g.csv", gbk, sizeof gbk - 1));
    o.encoding = "GBK";
    assert_ok(import_into(&m, &o, &sum, &err));
    assert_string_equal(label("b", 0), "\xe4\xb8\xad");
}

static void test_order_and_labels(void **unused)
{
    (void)unused;
    assert_ok(read_text("f,t,x\nb,2,1\na,3,2\nb,1,3\na,1,4\n", "f", "t"));
    assert_false(sum.was_sorted);
    static const double x[] = {4, 2, 3, 1}, t[] = {1, 3, 1, 2};
    for (int i = 0; i < 4; i++) assert_true(memory_num(&m, "x")[i] == x[i] && memory_num(&m, "t")[i] == t[i]);
    assert_string_equal(label("f", 0), "a");
    assert_string_equal(m.levels[0][1], "b");
    /* within a unit and no time, file order */
    assert_ok(read_text("f,x\n2,1\n1,2\n2,3\n1,4\n", "f", NULL));
    static const double y[] = {2, 4, 1, 3};
    for (int i = 0; i < 4; i++) assert_true(memory_num(&m, "x")[i] == y[i]);
    /* huge unit numbers with huge times do not fit one key */
    assert_ok(read_text(
        "f,t\n512,9007199254740991\n-5,0\n1,3\n512,-9007199254740991\n9007199254740991,3\n0,0\n", "f", "t"));
    static const double u[] = {-5, 0, 1, 512, 512, 9007199254740991},
                        v[] = {0, 0, 3, -9007199254740991, 9007199254740991, 3};
    for (int i = 0; i < 6; i++) assert_true(memory_num(&m, "f")[i] == u[i] && memory_num(&m, "t")[i] == v[i]);
    /* labels that differ behind their eighth byte, and where one is the beginning of another */
    assert_ok(read_text("f\nprefix00b\nprefix00\nprefix00a\nprefix0\nprefix00b\n\xc3\xa9\n", "f", NULL));
    static const char *const order[] = {"prefix0", "prefix00", "prefix00a", "prefix00b", "\xc3\xa9"};
    assert_int_equal(m.n_levels[0], 5);
    for (int i = 0; i < 5; i++) assert_string_equal(m.levels[0][i], order[i]);
}

/* What each faulty text is answered with. */
static void test_refusals(void **unused)
{
    static const struct {
        const char *text, *unit, *time;
        pfx_status status;
        const char *says;
    } cases[] = {
        {"a,b\n1,2\n\n3\n", NULL, NULL, PFX_EDATA, "row 4 has 1 fields, but the header has 2"},
        {"a,b\r\n1,2\r\n\r\n3\r\n", NULL, NULL, PFX_EDATA, "row 4 has 1 fields"},
        {"a,b\r1,2\r\r3\r", NULL, NULL, PFX_EDATA, "row 4 has 1 fields"},
        {"a,b\n1,2\n3,4,5\n", NULL, NULL, PFX_EDATA, "row 3 has 3 fields"},
        {"a,a\n1,2\n", NULL, NULL, PFX_EDATA, "columns 1 and 2 are both called a"},
        {"a,b\n", NULL, NULL, PFX_EDATA, "no data rows"},
        {"a,b", NULL, NULL, PFX_EDATA, "no data rows"},
        {"", NULL, NULL, PFX_EFORMAT, "empty"},
        {"\n\n", NULL, NULL, PFX_EDATA, "no header row"},
        {"1,2\n3,4\n", NULL, NULL, PFX_EDATA, "row 1 holds numbers alone"},
        {"a,b\n1,\"2\n3,4\n", NULL, NULL, PFX_EDATA, "row 2, column b: a quote opens here"},
        {"a,\"b\n1,2\n", NULL, NULL, PFX_EDATA, "header is never closed"},
        {"x\n1\n\"1,234\"\n3\n", NULL, NULL, PFX_EDATA,
         "row 3, column x: \"1,234\" has a thousands separator"},
        {"x\n\"1,5\"\n2\n", NULL, NULL, PFX_EDATA, "row 2, column x: \"1,5\" has a decimal comma"},
        {"x;y\n1,5;2\n2,5;2\n", NULL, NULL, PFX_EDATA, "row 2, column x: \"1,5\" has a decimal comma"},
        {"x\n1\n2\n12abc\n", NULL, NULL, PFX_EDATA, "row 4, column x: \"12abc\" is no number"},
        {"x\n1\n5%\n", NULL, NULL, PFX_EDATA, "row 3, column x: \"5%\" has a currency or percent sign"},
        {"x,y\n1,1\n2,b\n3,1\na,1\n", NULL, NULL, PFX_EDATA, "row 3, column y"},
        {"f,t\n1,1\n2,1\n1,1\n", "f", "t", PFX_EDATA, "rows 2 and 4 have the same f 1, t 1"},
        {"f,t\na,2019q1\na,2019q2\na,2019q2\n", "f", "t", PFX_EDATA,
         "rows 3 and 4 have the same f a, t 2019q2"},
        {"f,t\n1,1\n,2\n", "f", "t", PFX_EDATA, "row 3, column f: missing, but --unit"},
        {"f,t\n1,1\n1,NA\n", "f", "t", PFX_EDATA, "row 3, column t: missing, but --time"},
        {"f,t\n1.5,1\n", "f", "t", PFX_EDATA, "row 2, column f: 1.5 is no whole number"},
        {"f,t\n1,1.5\n", "f", "t", PFX_EDATA, "some are not whole"},
        {"f,t\n1,2019q1\n1,foo\n", "f", "t", PFX_EDATA, "row 3, column t: \"foo\" is no time"},
        {"firm,t\n1,1\n", "frim", "t", PFX_EUSAGE, "did you mean firm?"},
        {"firm,t\n1,1\n", NULL, "t", PFX_EUSAGE, "--time t without --unit"},
        {"a,b\n1,\xc4\xe3\n", NULL, NULL, PFX_EDATA,
         "row 2, column b: byte 0xc4 is not valid UTF-8; say which encoding the file has, for example "
         "--encoding GB18030"},
        {"a,\xc4\xe3\n1,2\n", NULL, NULL, PFX_EDATA, "row 1, field 2 is not valid UTF-8"},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_fails(read_text(cases[i].text, cases[i].unit, cases[i].time), cases[i].status, cases[i].says);
}

/* ---- large files: many chunks, any number of threads, less memory than rows ---- */

enum { ROWS = 240000, UNITS = 10000, YEARS = 24 };

/* Row i of the file is unit and year number perm(i): a bijection that mixes the order. */
static int shuffled(int i)
{
    return (int)((int64_t)i * 77773 % ROWS);
}

static double x_of(int cell)
{
    return floor(test_uniform(7, (uint64_t)cell) * 1e6) / 1024;
}

static const char *big_file(bool in_order)
{
    static const char *const names[] = {"plain", "\"with, comma\"", "\"two\nlines\"", "\"a \"\"quote\"\"\"",
                                        ""};
    const char *path = test_tmp(in_order ? "sorted.csv" : "mixed.csv");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("firm,year,x,name,cell\n", f);
    for (int i = 0; i < ROWS; i++) {
        int cell = in_order ? i : shuffled(i);
        if (i % 1000 == 7) fputs("\n", f);
        fprintf(f, "%05d,%d,%.17g,%s,%d\n", cell / YEARS, 1990 + cell % YEARS, x_of(cell), names[cell % 5],
                cell);
    }
    assert_int_equal(fclose(f), 0);
    return path;
}

static void check_big(const char *path, int threads, size_t memory, bool in_order, bool spills)
{
    static const char *const names[] = {"plain", "with, comma", "two\nlines", "a \"quote\"", "(missing)"};
    pfx_import_options o = import_defaults(path);
    o.unit = "firm";
    o.time = "year";
    o.threads = threads;
    o.memory = memory;
    assert_ok(import_into(&m, &o, &sum, &err));
    assert_int_equal(m.n_rows, ROWS);
    assert_int_equal(sum.was_sorted, in_order);
    assert_int_equal(sum.spilled, spills);
    for (int i = 0; i < ROWS; i++) {
        assert_int_equal(memory_code(&m, "firm")[i], i / YEARS);
        assert_true(memory_num(&m, "year")[i] == 1990 + i % YEARS);
        assert_true(memory_num(&m, "x")[i] == x_of(i) && memory_num(&m, "cell")[i] == i);
        assert_string_equal(label("name", i), names[i % 5]);
    }
    assert_int_equal(m.n_levels[0], UNITS);
    assert_string_equal(m.levels[0][UNITS - 1], "09999");
}

static void test_large(void **unused)
{
    (void)unused;
    for (int in_order = 0; in_order < 2; in_order++) {
        const char *path = big_file(in_order);
        for (int threads = 1; threads <= 5; threads += 2) {
            check_big(path, threads, (size_t)1 << 30, in_order, false);
            check_big(path, threads, 1, in_order, true);
        }
    }
}

/* The last row is wrong: its number counts blank lines, and no thread count changes the message. */
static void test_row_numbers_far_into_a_file(void **unused)
{
    const char *path = big_file(true);
    FILE *f = fopen(path, "a");
    (void)unused;
    fputs("99999,1990,1\n1,2\n", f);
    assert_int_equal(fclose(f), 0);
    for (int threads = 1; threads <= 4; threads++) {
        pfx_import_options o = import_defaults(path);
        o.threads = threads;
        o.memory = threads % 2 ? 1 : 1 << 30;
        assert_fails(import_into(&m, &o, &sum, &err), PFX_EDATA, "row 240242 has 3 fields");
    }
}

/* A column that looks numeric for long and then is not: the file is read again, and all cells keep their
 * text. */
static void test_type_from_the_whole_column(void **unused)
{
    const char *path = test_tmp("late.csv");
    FILE *f = fopen(path, "w");
    (void)unused;
    fputs("late_zero,late_text,mixed\n", f);
    for (int i = 0; i < 200000; i++)
        fprintf(f, i < 150000 ? "%d,,%d\n" : i % 2 ? "0%d,t%d,v%d\n" : "%d,t%d,%d\n", i, i, i);
    for (int i = 0; i < 10; i++) fputs("1,1,1\n", f);
    assert_int_equal(fclose(f), 0);
    pfx_import_options o = import_defaults(path);
    assert_ok(import_into(&m, &o, &sum, &err));
    assert_string_equal(label("late_zero", 5), "5");
    assert_string_equal(label("late_zero", 150001), "0150001");
    assert_string_equal(label("late_text", 5), "(missing)");
    assert_string_equal(label("mixed", 7), "7");
    assert_string_equal(label("mixed", 150001), "v150001");
}

static void test_options(void **unused)
{
    static const char text[] = "f,t,x,y,z\n1,1,-99,7,1\n1,2,5,x,2\n1,2,6,8,3\n";
    pfx_import_options o = import_defaults(put_file("o.csv", text, sizeof text - 1));
    (void)unused;
    o.unit = "f";
    o.time = "t";
    o.drop_duplicates = true;
    o.n_missing = 2;
    o.missing = (const char *const[]){"-99", "x"};
    o.n_columns = 2;
    o.columns = (const char *const[]){"x", "y"};
    o.n_types = 1;
    o.types = (const char *const[]){"x=float32"};
    assert_ok(import_into(&m, &o, &sum, &err));
    assert_int_equal(m.n_cols, 4);
    assert_int_equal(m.n_rows, 2);
    assert_int_equal(sum.n_dropped, 1);
    assert_int_equal(m.dtype[memory_find(&m, "x")], PFX_F32);
    assert_true(isnan(memory_num(&m, "x")[0]) && memory_num(&m, "x")[1] == 5 &&
                isnan(memory_num(&m, "y")[1]));
    o.types = (const char *const[]){"x=words"};
    assert_fails(import_into(&m, &o, &sum, &err), PFX_EUSAGE, "unknown kind words");
    o.types = (const char *const[]){"y=numeric"};
    o.n_missing = 1;
    assert_fails(import_into(&m, &o, &sum, &err), PFX_EDATA, "row 3, column y: \"x\" is no number");
    o.encoding = "no-such";
    assert_fails(import_into(&m, &o, &sum, &err), PFX_EUSAGE, "--encoding no-such");
}

static void test_cuts_against_libcsv_rows(void **unused)
{
    static const char text[] = "a,\"b\nc\"\n\"d\"\"\n\",e\nf\"g,h\n\"i\" ,j\n\"k\"x\n\",l\nm\n";
    size_t cut[64];
    (void)unused;
    int n = pfx_csv_cuts(text, sizeof text - 1, ',', '\n', 1, 64, cut);
    static const size_t want[] = {8, 17, 23, 30, 39, 41};
    assert_int_equal(n, 6);
    for (int i = 0; i < n; i++) assert_int_equal(cut[i], want[i]);
}

/* Every allocation fails in turn: ENOMEM, and nothing is left allocated. */
static void test_out_of_memory(void **unused)
{
    static const char text[] =
        "firm,year,x,\n0002,2019q1,1.5,a\n0001,2019q2,NA,b\n0002,2019q2,2,\n0001,2019q2,7,c\n";
    pfx_import_options o = import_defaults(put_file("m.csv", text, sizeof text - 1));
    (void)unused;
    o.unit = "firm";
    o.time = "year";
    o.drop_duplicates = true;
    o.encoding = "latin1";
    test_faults f = {0};
    while (test_faults_next(&f)) {
        pfx_err_clear(&err);
        test_faults_done(&f, import_into(&m, &o, &sum, &err));
    }
    assert_int_equal(m.n_rows, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_types),
                                       cmocka_unit_test(test_layouts),
                                       cmocka_unit_test(test_encodings),
                                       cmocka_unit_test(test_order_and_labels),
                                       cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_large),
                                       cmocka_unit_test(test_row_numbers_far_into_a_file),
                                       cmocka_unit_test(test_type_from_the_whole_column),
                                       cmocka_unit_test(test_options),
                                       cmocka_unit_test(test_cuts_against_libcsv_rows),
                                       cmocka_unit_test(test_out_of_memory)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    memory_free(&m);
    return failed;
}
