#include "tests/test.h"
#include "tests/frame_source.h"

#include <math.h>
#include "src/base/mem.h"
#include "src/model/dataset.h"

/* Five firms over 2017..2021, one gap (firm c lacks 2019), missing values here and there. */
enum { N = 16 };
static const char *const firm[N] = {"a", "a", "a", "b", "b", "b", "b", "c", "c", "c", "d", "d", "e", "f", "f", "f"};
static const double year[N] = {2017, 2018, 2019, 2017, 2018, 2019, 2020, 2017, 2018, 2020, 2018, 2019, 2017, 2019, 2020, 2021};
static const double y[N] = {1, 2, 3, 4, 5, 6, 7, 8, NAN, 10, 11, 12, 13, 14, 15, 16};
static const double x[N] = {2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, INFINITY, 16, 15};
static const double z[N] = {.5, .25, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610};
static const double w[N] = {1, 1, 2, 2, 0, 1, 1, 3, 1, 1, 1, 1, 1, 1, 1, NAN};
static const char *const prov[N] = {"Hebei", "Hebei", "Hebei", "Anhui", "Anhui", "Anhui", "Anhui", "Gansu",
                                    "Gansu", "Gansu", "Anhui", "Anhui", NULL,    "Hebei", "Hebei", "Hebei"};

static void make_source(frame_source *s, pfx_idx block_rows)
{
    frame_source_init(s, N, block_rows);
    frame_source_cat(s, "firm", firm);
    frame_source_num(s, "year", year);
    frame_source_num(s, "y", y);
    frame_source_num(s, "x", x);
    frame_source_num(s, "z", z);
    frame_source_num(s, "w", w);
    frame_source_cat(s, "prov", prov);
    frame_source_panel(s, "firm", "year");
}

/* Load a formula over the little panel. */
static pfx_status try_load(const char *text, pfx_dataset_options o, pfx_idx block_rows, pfx_formula **f, pfx_dataset **ds, pfx_err *err)
{
    frame_source s;
    char **names = NULL;
    int n = 0;
    *f = NULL;
    *ds = NULL;
    make_source(&s, block_rows);
    pfx_status st = pfx_formula_parse(text, f, err);
    if (st == PFX_OK) st = pfx_dataset_columns(*f, &o, &s.panel, s.n_cols, s.cols, &n, &names, err);
    if (st == PFX_OK) {
        pfx_row_source src = frame_source_open(&s, n, (const char *const *)names);
        st = pfx_dataset_load(&src, *f, &o, ds, err);
    }
    pfx_dataset_free_names(n, names);
    frame_source_free(&s);
    return st;
}

static pfx_design *design_of(const char *text, pfx_dataset_options o, bool last)
{
    pfx_formula *f;
    pfx_dataset *ds;
    pfx_design *d = NULL;
    pfx_err err = {0};
    if (try_load(text, o, 4, &f, &ds, &err) != PFX_OK || pfx_dataset_design(ds, 0, 0, last, &d, &err) != PFX_OK)
        fail_msg("%s: %s", text, err.msg);
    pfx_dataset_free(ds);
    pfx_formula_free(f);
    return d;
}

static void plain_two_way(void **state)
{
    (void)state;
    const char *clusters[] = {"firm"};
    for (int last = 0; last < 2; last++) {
        pfx_design *d = design_of("y ~ x + z | firm + year",
                                  (pfx_dataset_options){.n_clusters = 1, .clusters = clusters, .want_rows = true, .want_time = true}, last);
        /* missing: row 8 (y), 13 (x infinite). Singletons: e alone; f keeps 2020, 2021, of which 2021 is alone, then f
         * 2020 alone. */
        static const pfx_idx rows[] = {0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11};
        static const int firms[] = {0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3};
        static const int years[] = {0, 1, 2, 0, 1, 2, 3, 0, 3, 1, 2};
        assert_int_equal(d->n_missing, 2);
        assert_int_equal(d->n_singletons, 3);
        assert_int_equal(d->n, 11);
        assert_int_equal(d->p, 3);
        assert_string_equal(d->name[0], "x");
        assert_string_equal(d->name[1], "z");
        assert_string_equal(d->name[2], "y");
        assert_int_equal(d->role[0], PFX_REGRESSOR);
        assert_int_equal(d->role[2], PFX_OUTCOME);
        assert_int_equal(d->n_absorbed, 2);
        assert_string_equal(d->absorbed[1].factor.name, "year");
        assert_int_equal(d->absorbed[0].factor.n_levels, 4);
        assert_int_equal(d->absorbed[1].factor.n_levels, 4);
        assert_int_equal(d->clusters[0].n_levels, 4);
        assert_false(d->intercept);
        for (int i = 0; i < d->n; i++) {
            assert_int_equal(d->row[i], rows[i]);
            assert_int_equal(d->absorbed[0].factor.code[i], firms[i]);
            assert_int_equal(d->absorbed[1].factor.code[i], years[i]);
            assert_int_equal(d->clusters[0].code[i], firms[i]);
            assert_true(d->time[i] == year[rows[i]]);
            assert_true(d->Z[i * 3] == x[rows[i]]);
            assert_true(d->Z[i * 3 + 1] == z[rows[i]]);
            assert_true(d->Z[i * 3 + 2] == y[rows[i]]);
        }
        pfx_design_free(d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_two_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
