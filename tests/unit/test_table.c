#include "tests/faults.h"
#include "src/base/mem.h"
#include "src/report/table.h"

static pfx_table *sample(void)
{
    pfx_table *t = pfx_table_create(3, NULL);
    assert_non_null(t);
    pfx_table_title(t, "A_title & more");
    pfx_table_heading(t);
    pfx_table_text(t, "name");
    pfx_table_text(t, "(1)");
    pfx_table_text(t, "a,\"b\"");
    pfx_table_row(t);
    pfx_table_text(t, "算力");
    pfx_table_starred(t, 0.30614, 3, 3);
    pfx_table_starred(t, -12.5, 1, 1);
    pfx_table_row(t);
    pfx_table_empty(t);
    pfx_table_bracket(t, 3.3629, 3);
    pfx_table_bracket(t, NAN, 3);
    pfx_table_rule(t);
    pfx_table_row(t);
    pfx_table_text(t, "N");
    pfx_table_int(t, 18599);
    pfx_table_int(t, -1234567);
    pfx_table_note(t, "50%% of %s", "x<y");
    return t;
}

static void check(pfx_format format, int width, const char *want)
{
    pfx_table *t = sample();
    pfx_str out = {0};
    pfx_err err = {0};
    assert_ok(pfx_table_render(t, format, width, &out, &err));
    assert_string_equal(out.s, want);
    pfx_str_free(&out);
    pfx_table_free(t);
}

static void test_text(void **state)
{
    (void)state;
    check(PFX_FORMAT_TEXT, 0,
          "A_title & more\n"
          "============================\n"
          "name     (1)          a,\"b\"\n"
          "----------------------------\n"
          "算力   0.306***       -12.5*\n"
          "      (3.363)            (.)\n"
          "----------------------------\n"
          "N     18,599     -1,234,567\n"
          "============================\n"
          "50% of x<y\n");
}

static void test_text_wraps(void **state)
{
    (void)state;
    check(PFX_FORMAT_TEXT, 20,
          "A_title & more\n"
          "===============\n"
          "name     (1)\n"
          "---------------\n"
          "算力   0.306***\n"
          "      (3.363)\n"
          "---------------\n"
          "N     18,599\n"
          "===============\n"
          "\n"
          "=================\n"
          "name       a,\"b\"\n"
          "-----------------\n"
          "算力       -12.5*\n"
          "              (.)\n"
          "-----------------\n"
          "N     -1,234,567\n"
          "=================\n"
          "50% of x<y\n");
}

static void test_csv(void **state)
{
    (void)state;
    check(PFX_FORMAT_CSV, 0,
          "name,(1),\"a,\"\"b\"\"\"\n"
          "算力,0.30614000000000002,-12.5\n"
          ",3.3628999999999998,\n"
          "N,18599,-1234567\n");
}

static void test_markup(void **state)
{
    (void)state;
    check(PFX_FORMAT_LATEX, 0,
          "% \\usepackage{booktabs}\n\\begin{table}[htbp]\n\\centering\n\\caption{A\\_title \\& more}\n"
          "\\begin{tabular}{lrr}\n\\toprule\nname & (1) & a,\"b\" \\\\\n\\midrule\n"
          "算力 & 0.306$^{***}$ & $-$12.5$^{*}$ \\\\\n & (3.363) & (.) \\\\\n\\midrule\n"
          "N & 18,599 & $-$1,234,567 \\\\\n\\bottomrule\n"
          "\\multicolumn{3}{p{0.9\\linewidth}}{\\footnotesize 50\\% of x$<$y} \\\\\n"
          "\\end{tabular}\n\\end{table}\n");
    check(PFX_FORMAT_MARKDOWN, 0,
          "**A\\_title & more**\n\n| name | (1) | a,\"b\" |\n| :--- | ---: | ---: |\n"
          "| 算力 | 0.306\\*\\*\\* | -12.5\\* |\n|  | (3.363) | (.) |\n| N | 18,599 | -1,234,567 |\n\n50% of "
          "x&lt;y\n");
}

static void test_html(void **state)
{
    (void)state;
    pfx_table *t = sample();
    pfx_str out = {0};
    assert_int_equal(pfx_table_render(t, PFX_FORMAT_HTML, 0, &out, NULL), PFX_OK);
    assert_non_null(strstr(out.s, "<meta charset=\"utf-8\">"));
    assert_non_null(strstr(out.s, "<caption>A_title &amp; more</caption>"));
    assert_non_null(strstr(out.s, "<td>0.306<sup>***</sup></td>"));
    assert_non_null(strstr(out.s, "<th>a,&quot;b&quot;</th>"));
    assert_non_null(strstr(out.s, "<p>50% of x&lt;y</p>"));
    pfx_str_free(&out);
    pfx_table_free(t);
}

static void test_json(void **state)
{
    (void)state;
    check(PFX_FORMAT_JSON, 0,
          "{\"title\": \"A_title & more\",\n \"rows\": [\n"
          "  {\"name\": \"算力\", \"(1)\": 0.30614000000000002, \"a,\\\"b\\\"\": -12.5},\n"
          "  {\"name\": null, \"(1)\": 3.3628999999999998, \"a,\\\"b\\\"\": null},\n"
          "  {\"name\": \"N\", \"(1)\": 18599, \"a,\\\"b\\\"\": -1234567}],\n"
          " \"notes\": [\"50% of x<y\"]}\n");
}

static const char *shown(double x, int decimals)
{
    static char text[200];
    pfx_table *t = pfx_table_create(1, NULL);
    pfx_str out = {0};
    pfx_table_align(t, "l");
    pfx_table_row(t);
    pfx_table_num(t, x, decimals);
    assert_int_equal(pfx_table_render(t, PFX_FORMAT_TEXT, 0, &out, NULL), PFX_OK);
    const char *line = strchr(out.s, '\n') + 1;
    snprintf(text, sizeof text, "%.*s", (int)(strchr(line, '\n') - line), line);
    pfx_str_free(&out);
    pfx_table_free(t);
    return text;
}

static void test_numbers(void **state)
{
    (void)state;
    assert_string_equal(shown(0, 4), "0.0000");
    assert_string_equal(shown(1.23456, 4), "1.2346");
    assert_string_equal(shown(0.00005, 4), "0.0001");
    assert_string_equal(shown(0.0000491, 4), "4.910e-05");
    assert_string_equal(shown(-3e20, 2), "-3.0e+20");
    assert_string_equal(shown(INFINITY, 2), "inf");
    assert_string_equal(shown(NAN, 2), ".");
    assert_string_equal(shown(12345.6, 0), "12346");
}

static void test_too_many_cells(void **state)
{
    (void)state;
    pfx_table *t = pfx_table_create(1, NULL);
    pfx_str out = {0};
    pfx_err err = {0};
    pfx_table_row(t);
    pfx_table_text(t, "a");
    pfx_table_text(t, "b");
    assert_int_equal(pfx_table_render(t, PFX_FORMAT_TEXT, 0, &out, &err), PFX_EUSAGE);
    pfx_table_free(t);
}

/* Whichever allocation fails, the table says so and leaks nothing. */
static void test_out_of_memory(void **state)
{
    (void)state;
    test_faults f = {0};
    while (test_faults_next(&f)) {
        pfx_str out = {0};
        pfx_table *t = pfx_table_create(2, NULL);
        pfx_status st = PFX_ENOMEM;
        if (t) {
            pfx_table_title(t, "x");
            for (int i = 0; i < 20; i++) {
                pfx_table_row(t);
                pfx_table_text(t, "a");
                pfx_table_starred(t, 1, 2, 1);
            }
            for (int i = 0; i < 9; i++) pfx_table_note(t, "n");
            st = pfx_table_render(t, PFX_FORMAT_TEXT, 0, &out, NULL);
        }
        pfx_table_free(t);
        pfx_str_free(&out);
        test_faults_done(&f, st);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),          cmocka_unit_test(test_text_wraps),
        cmocka_unit_test(test_csv),           cmocka_unit_test(test_markup),
        cmocka_unit_test(test_html),          cmocka_unit_test(test_json),
        cmocka_unit_test(test_numbers),       cmocka_unit_test(test_too_many_cells),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
