/* Figures: the density against its definition, what the script says, and what cannot be drawn. */
#include "src/report/plot.h"
#include "tests/test.h"

enum { N = 400, GRID = 513 };

static void test_density(void **state)
{
    double x[N], grid[GRID], density[GRID], mean = 0, square = 0, area = 0;
    (void)state;
    for (int i = 0; i < N; i++) x[i] = sin(i * 12.9898) * (i % 3) + 5;
    x[7] = NAN;
    double h = pfx_plot_density(N, x, GRID, grid, density);
    for (int i = 0; i < N; i++) mean += i == 7 ? 0 : x[i] / (N - 1);
    for (int i = 0; i < N; i++) square += i == 7 ? 0 : (x[i] - mean) * (x[i] - mean);
    assert_rel(h, 1.06 * sqrt(square / (N - 2)) * pow(N - 1, -0.2), 1e-12);
    for (int g = 0; g < GRID; g++) {
        double sum = 0;
        for (int i = 0; i < N; i++)
            if (i != 7) sum += exp(-0.5 * (grid[g] - x[i]) * (grid[g] - x[i]) / (h * h));
        /* Putting values to a grid of step h/80 or finer moves the density by less than (step / h)^2 / 8 of
         * its peak. */
        assert_abs(density[g], sum / ((N - 1) * h * 2.5066282746310002), 2e-4);
        area += density[g] * (grid[1] - grid[0]);
    }
    assert_abs(area, 1, 2e-3);
    for (int i = 0; i < N; i++) x[i] = 2;
    assert_true(pfx_plot_density(N, x, GRID, grid, density) == 0);
}

static void test_script(void **state)
{
    pfx_err err = {0};
    pfx_str s = {0};
    const double x[] = {1, NAN, 3}, y[] = {0.5, 0.25, 0.125}, lo[] = {0, 1, 2}, hi[] = {2, 3, 4};
    const char *const label[] = {"a_b", "it's", "\xe5\x87\xba"};
    pfx_plot p = {.kind = PFX_PLOT_SCATTER,
                  .title = "it's `date` {x}",
                  .n = 3,
                  .x = x,
                  .y = y,
                  .low = lo,
                  .high = hi,
                  .label = label,
                  .mark = 2,
                  .mark_label = "estimate 2"};
    (void)state;
    assert_ok(pfx_plot_script(&p, PFX_PLOT_SVG, "a'b.svg", &s, &err));
    assert_non_null(strstr(s.s, "set output 'a''b.svg'"));
    assert_non_null(strstr(s.s, "set title 'it''s `date` {x}' noenhanced"));
    assert_non_null(strstr(s.s, "1 0.5\n3 0.125\nEND\n"));
    assert_non_null(strstr(s.s, "from first 2, graph 0"));
    pfx_str_free(&s);
    p.kind = PFX_PLOT_COEF;
    p.mark = NAN;
    assert_ok(pfx_plot_script(&p, PFX_PLOT_PDF, "b.pdf", &s, &err));
    assert_non_null(strstr(s.s, "set ytics ('a_b' 3, 'it''s' 2, '\xe5\x87\xba' 1) noenhanced"));
    assert_non_null(strstr(s.s, "1 3 0 2\n3 1 2 4\nEND\n"));
    pfx_str_free(&s);
    p.kind = PFX_PLOT_LOVE;
    assert_ok(pfx_plot_script(&p, PFX_PLOT_SVG, "b.svg", &s, &err));
    assert_non_null(strstr(s.s, "set xrange [0:3.15]"));
    assert_non_null(strstr(s.s, "1 0.5 3\n3 0.125 1\nEND\n"));
    assert_non_null(strstr(s.s, "set arrow 2 from first 0.1, graph 0"));
    assert_non_null(strstr(s.s, "using 2:3 with points pt 7 ps 1.5 lc rgb '#2166ac' title 'after matching'"));
    pfx_str_free(&s);
    p.kind = PFX_PLOT_DENSITY;
    p.n = 1;
    assert_fails(pfx_plot_script(&p, PFX_PLOT_PDF, "b.pdf", &s, &err), PFX_EDATA, "nothing to draw");
    pfx_str_free(&s);
    pfx_plot_format f;
    assert_ok(pfx_plot_format_of("x.pdf", &f, &err));
    assert_int_equal(f, PFX_PLOT_PDF);
    assert_fails(pfx_plot_format_of("x.jpg", &f, &err), PFX_EUSAGE, ".svg, .png or .pdf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_density), cmocka_unit_test(test_script)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
