#include "tests/faults.h"
#include "tests/frame_source.h"

#include <math.h>
#include "src/base/mem.h"
#include "src/model/dataset.h"

/* Five firms over 2017..2021, one gap (firm c lacks 2019), missing values here and there. */
enum { N = 16 };
static const char *const firm[N] = {"a", "a", "a", "b", "b", "b", "b", "c",
                                    "c", "c", "d", "d", "e", "f", "f", "f"};
static const double year[N] = {2017, 2018, 2019, 2017, 2018, 2019, 2020, 2017,
                               2018, 2020, 2018, 2019, 2017, 2019, 2020, 2021};
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
static pfx_status try_load(const char *text, pfx_dataset_options o, pfx_idx block_rows, pfx_formula **f,
                           pfx_dataset **ds, pfx_err *err)
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
    if (try_load(text, o, 4, &f, &ds, &err) != PFX_OK ||
        pfx_dataset_design(ds, 0, 0, last, &d, &err) != PFX_OK)
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
        pfx_design *d =
            design_of("y ~ x + z | firm + year",
                      (pfx_dataset_options){
                          .n_clusters = 1, .clusters = clusters, .want_rows = true, .want_time = true},
                      last);
        /* missing: row 8 (y), 13 (x infinite). Singletons: e alone; f keeps 2020, 2021, of which 2021 is
         * alone, then f 2020 alone. */
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

static void where_and_lags(void **state)
{
    (void)state;
    /* The lag of 2019 is the row of 2018, which --where leaves out. */
    pfx_design *d = design_of("y ~ l(z) + d(x, 2)",
                              (pfx_dataset_options){.where = "year >= 2019", .want_rows = true}, false);
    assert_int_equal(d->n, 3); /* b: 2019, 2020, a: 2019; c 2020 has no 2019, f no x lag */
    assert_int_equal(d->row[0], 2);
    assert_int_equal(d->row[1], 5);
    assert_int_equal(d->row[2], 6);
    assert_true(d->Z[0] == .25 && d->Z[1] == x[2] - x[0]);
    assert_true(d->Z[3] == 3 && d->Z[4] == x[5] - x[3]);
    assert_int_equal(d->n_missing, 5); /* rows 2 5 6 9 11 13 14 15 are kept by --where */
    assert_string_equal(d->name[0], "l(z, 1)");
    assert_true(d->intercept);
    assert_null(d->time);
    pfx_design_free(d);
    d = design_of("y ~ z", (pfx_dataset_options){.where = "prov == \"Anhui\" | prov == \"Hebei\" & z < 1"},
                  false);
    assert_int_equal(d->n, 8);
    assert_int_equal(d->n_missing, 0); /* a missing province does not keep its row */
    pfx_design_free(d);
}

static void weights(void **state)
{
    (void)state;
    for (int last = 0; last < 2; last++) {
        pfx_design *d = design_of(
            "y ~ z",
            (pfx_dataset_options){.weights = "w", .weights_kind = PFX_W_FREQUENCY, .want_rows = true}, last);
        assert_int_equal(d->n_missing, 2);     /* y in row 8, w in row 15 */
        assert_int_equal(d->n_zero_weight, 1); /* row 4 */
        assert_int_equal(d->n, 13);
        assert_int_equal(d->weights_kind, PFX_W_FREQUENCY);
        for (int i = 0; i < d->n; i++) assert_true(d->w[i] == w[d->row[i]]);
        pfx_design_free(d);
        d = design_of("y ~ z | firm[w]",
                      (pfx_dataset_options){.weights = "w*2", .keep_singletons = true, .want_rows = true},
                      last);
        assert_int_equal(d->weights_kind, PFX_W_ANALYTIC);
        assert_string_equal(d->absorbed[0].slope_name[0], "w");
        for (int i = 0; i < d->n; i++)
            assert_true(d->w[i] == 2 * w[d->row[i]] && d->absorbed[0].slope[0][i] == w[d->row[i]]);
        pfx_design_free(d);
    }
}

static void by_levels(void **state)
{
    (void)state;
    pfx_formula *f;
    pfx_dataset *ds;
    pfx_err err = {0};
    assert_ok(
        try_load("y ~ x | firm", (pfx_dataset_options){.by = "prov", .want_rows = true}, 3, &f, &ds, &err));
    static const char *const level[] = {"Anhui", "Gansu", "Hebei"};
    static const int n[] = {6, 2, 5}, missing[] = {0, 1, 1};
    assert_int_equal(pfx_dataset_n_by(ds), 3);
    for (int b = 0; b < 3; b++) {
        pfx_design *d;
        assert_ok(pfx_dataset_design(ds, 0, b, b == 2, &d, &err));
        assert_string_equal(d->by_name, "prov");
        assert_string_equal(d->by_level, level[b]);
        assert_int_equal(d->n, n[b]);
        assert_int_equal(d->n_missing, missing[b]);
        for (int i = 0; i < d->n; i++) {
            assert_string_equal(prov[d->row[i]], level[b]);
            assert_true(d->Z[2 * i] == x[d->row[i]]);
            if (i) assert_true(d->row[i] > d->row[i - 1]);
        }
        pfx_design_free(d);
    }
    pfx_dataset_free(ds);
    pfx_formula_free(f);
    assert_ok(
        try_load("z ~ 1", (pfx_dataset_options){.by = "year", .where = "year != 2018"}, 3, &f, &ds, &err));
    assert_int_equal(pfx_dataset_n_by(ds), 4);
    pfx_design *d;
    assert_ok(pfx_dataset_design(ds, 0, 1, false, &d, &err));
    assert_string_equal(d->by_level, "2019");
    assert_int_equal(d->n, 4);
    pfx_design_free(d);
    pfx_dataset_free(ds);
    pfx_formula_free(f);
}

/* Several models share one load; each has its own missing rows, as if it had been loaded alone. */
static void several_models(void **state)
{
    (void)state;
    pfx_formula *f;
    pfx_dataset *ds;
    pfx_err err = {0};
    pfx_dataset_options o = {.want_rows = true};
    assert_ok(try_load("c(y, z) ~ sw(x, w) | sw(firm, prov)", o, 5, &f, &ds, &err));
    assert_int_equal(f->n_models, 8);
    for (int m = 0; m < 8; m++) {
        pfx_design *d, *alone = design_of(f->models[m].text, o, m & 1);
        assert_ok(pfx_dataset_design(ds, m, 0, m == 7, &d, &err));
        assert_string_equal(d->formula, alone->formula);
        assert_int_equal(d->n, alone->n);
        assert_int_equal(d->n_missing, alone->n_missing);
        assert_int_equal(d->n_singletons, alone->n_singletons);
        assert_int_equal(d->n + d->n_missing + d->n_singletons, N);
        assert_int_equal(d->p, 2);
        assert_same_bits(d->Z, alone->Z, d->n * 2);
        assert_memory_equal(d->row, alone->row, (size_t)d->n * sizeof *d->row);
        assert_memory_equal(d->absorbed[0].factor.code, alone->absorbed[0].factor.code, (size_t)d->n * 4);
        pfx_design_free(alone);
        pfx_design_free(d);
    }
    pfx_design *d;
    assert_int_equal(pfx_dataset_design(ds, 0, 0, false, &d, NULL), PFX_EUSAGE);
    pfx_dataset_free(ds);
    pfx_formula_free(f);
}

/* Rows of a block stay that lack a value of one model alone, after blocks whose levels were all known: they get their own. */
static void levels_beside_missing(void **state)
{
    enum { FIRMS = 6, YEARS = 4, ROWS = FIRMS * YEARS };
    static const char *const label[FIRMS] = {"a", "b", "c", "d", "e", "f"};
    const char *firms[ROWS], *cols[] = {"firm", "year", "y", "x", "z"};
    double years[ROWS], value[3][ROWS];
    (void)state;
    for (int i = 0; i < ROWS; i++) {
        firms[i] = label[i / YEARS];
        years[i] = 2017 + (i / YEARS % 2 ? i % YEARS : YEARS - 1 - i % YEARS);
        for (int k = 0; k < 3; k++) value[k][i] = test_uniform(5, (uint64_t)(3 * i + k));
    }
    value[1][ROWS - 2] = NAN;
    for (int nth = 1; nth <= 3; nth++) {
        frame_source s;
        pfx_formula *f;
        pfx_dataset *ds;
        pfx_design *d;
        pfx_err err = {0};
        pfx_dataset_options o = {.want_rows = true, .nth = nth};
        frame_source_init(&s, ROWS, YEARS);
        frame_source_cat(&s, "firm", firms);
        frame_source_num(&s, "year", years);
        for (int k = 0; k < 3; k++) frame_source_num(&s, cols[2 + k], value[k]);
        frame_source_panel(&s, "firm", "year");
        assert_ok(pfx_formula_parse("y ~ sw(x, z) | firm + year", &f, &err));
        pfx_row_source src = frame_source_open(&s, 5, cols);
        assert_ok(pfx_dataset_load(&src, f, &o, &ds, &err));
        for (int m = 0; m < 2; m++) {
            assert_ok(pfx_dataset_design(ds, m, 0, false, &d, &err));
            assert_int_equal(d->n, ROWS - (m == 0));
            for (pfx_idx i = 0; i < d->n; i++) {
                pfx_idx r = d->row[i];
                assert_int_equal(d->absorbed[0].factor.code[i], r / YEARS);
                assert_int_equal(d->absorbed[1].factor.code[i], 2020 - years[r]); /* in the order of firm a's rows */
            }
            pfx_design_free(d);
        }
        pfx_dataset_free(ds);
        pfx_formula_free(f);
        frame_source_free(&s);
    }
}

static void fails_to_load(const char *text, pfx_dataset_options o, pfx_status want, const char *message)
{
    pfx_formula *f;
    pfx_dataset *ds;
    pfx_design *d = NULL;
    pfx_err err = {0};
    pfx_status st = try_load(text, o, 4, &f, &ds, &err);
    if (st == PFX_OK) st = pfx_dataset_design(ds, 0, 0, true, &d, &err);
    if (st != want || !strstr(err.msg, message))
        fail_msg("%s: status %d, '%s' does not say '%s'", text, st, err.msg, message);
    assert_null(d);
    pfx_dataset_free(ds);
    pfx_formula_free(f);
}

static void errors(void **state)
{
    (void)state;
    const pfx_dataset_options none = {0};
    const char *one[] = {"prov"}, *unknown[] = {"frim"}, *gap[] = {"firm^"};
    fails_to_load("y ~ xx", none, PFX_EUSAGE, "formula: no column 'xx' (at column 5): did you mean 'x'?");
    fails_to_load("y ~ x | frim", none, PFX_EUSAGE,
                  "formula: no column 'frim' (at column 9): did you mean 'firm'?");
    fails_to_load("y ~ x", (pfx_dataset_options){.where = "yeer > 1"}, PFX_EUSAGE,
                  "--where: no column 'yeer'");
    fails_to_load("y ~ x", (pfx_dataset_options){.where = "year >"}, PFX_EUSAGE,
                  "--where: the text ends at column 7");
    fails_to_load("y ~ x", (pfx_dataset_options){.where = "firm"}, PFX_EUSAGE,
                  "--where: 'firm' at column 1 is a category");
    fails_to_load("y ~ x", (pfx_dataset_options){.where = "year > 2030"}, PFX_EDATA,
                  "--where 'year > 2030' keeps none of the panel's 16 rows");
    fails_to_load("y ~ x", (pfx_dataset_options){.weights = "-w"}, PFX_EDATA,
                  "--weights -w: negative weight -1 in row 1 of the panel");
    fails_to_load("y ~ x", (pfx_dataset_options){.weights = "0*z"}, PFX_EDATA, "weights are zero");
    fails_to_load("y ~ x", (pfx_dataset_options){.weights = "prov"}, PFX_EUSAGE,
                  "'prov' at column 1 is a category");
    fails_to_load("y ~ x", (pfx_dataset_options){.n_clusters = 1, .clusters = unknown}, PFX_EUSAGE,
                  "--cluster: no column 'frim'");
    fails_to_load("y ~ x", (pfx_dataset_options){.n_clusters = 1, .clusters = gap}, PFX_EUSAGE,
                  "--cluster: the text ends at column 6");
    fails_to_load("y ~ x",
                  (pfx_dataset_options){.n_clusters = 1, .clusters = one, .where = "prov == \"Anhui\""},
                  PFX_EDATA, "--cluster prov: fewer than two clusters in the 6 rows");
    fails_to_load("y ~ x", (pfx_dataset_options){.by = "firm^year"}, PFX_EUSAGE,
                  "--by: 'firm^year': a single column is needed");
    fails_to_load("log(-z) ~ x", none, PFX_EDATA, "outcome 'log(-z)' is missing in all 16 rows");
    fails_to_load("y ~ log(-z) + x", none, PFX_EDATA, "'log(-z)' is missing in most, 16 of 16");
    fails_to_load("y ~ x | firm^year", none, PFX_EDATA,
                  "all 14 rows are alone in a level of an absorbed effect");
    fails_to_load("firm ~ x", none, PFX_EUSAGE,
                  "'firm' at column 1 is a category (text) and a number is needed");
    fails_to_load("y ~ log(firm)", none, PFX_EUSAGE, "'firm' at column 9 is a category");
    fails_to_load("y ~ x | firm[prov]", none, PFX_EUSAGE, "'prov' at column 14 is a category");
    fails_to_load("y ~ i(prov, ref = Anhi)", none, PFX_EUSAGE,
                  "formula: i(prov): no level 'Anhi' to be the reference: did you mean 'Anhui'?");
    /* a panel without time */
    frame_source s;
    pfx_formula *f;
    pfx_err err = {0};
    int n;
    char **names;
    make_source(&s, 0);
    s.panel.time = "";
    assert_ok(pfx_formula_parse("y ~ l(x)", &f, &err));
    assert_fails(pfx_dataset_columns(f, &none, &s.panel, s.n_cols, s.cols, &n, &names, &err), PFX_EUSAGE,
                 "lags need a panel with time");
    pfx_formula_free(f);
    frame_source_free(&s);
}

static void needed_columns(void **state)
{
    (void)state;
    frame_source s;
    pfx_formula *f;
    pfx_err err = {0};
    int n;
    char **names;
    const char *clusters[] = {"prov^firm"};
    static const char *const want[] = {"year", "y", "x", "z", "firm", "w", "prov"};
    make_source(&s, 0);
    assert_ok(pfx_formula_parse("y ~ l(x) + y:z | firm[w]", &f, &err));
    pfx_dataset_options o = {.where = "y > 0", .weights = "w", .n_clusters = 1, .clusters = clusters};
    assert_ok(pfx_dataset_columns(f, &o, &s.panel, s.n_cols, s.cols, &n, &names, &err));
    assert_int_equal(n, 7);
    for (int i = 0; i < 7; i++) assert_string_equal(names[i], want[i]);
    pfx_dataset_free_names(n, names);
    pfx_formula_free(f);
    frame_source_free(&s);
}

static void allocation_failures(void **state)
{
    (void)state;
    const char *clusters[] = {"firm", "prov^year"};
    pfx_dataset_options o = {.where = "year > 2000",
                             .weights = "w",
                             .by = "prov",
                             .n_clusters = 2,
                             .clusters = clusters,
                             .want_rows = true,
                             .want_time = true};
    for (int round = 0; round < 3; round++) {
        static const char *const text[] = {
            "c(y, z) ~ x:z + i(prov, x) + l(z) | firm^year[z] + prov | w ~ z^2",
            "c(y, z) ~ x:z + i(prov, x) + l(z) | firm^year[z] + prov | w ~ z^2",
            "c(y, z) ~ x:z + i(prov, x) | firm + year[z] | w ~ z^2"};
        test_faults faults = {.least = 300};
        o.by = round == 0 ? "prov" : NULL;
        o.keep_singletons = round < 2; /* else firm^year has no row left */
        while (test_faults_next(&faults)) {
            pfx_formula *f;
            pfx_dataset *ds;
            pfx_design *d = NULL;
            pfx_err err = {0};
            pfx_status st = try_load(text[round], o, 6, &f, &ds, &err);
            if (st == PFX_OK) st = pfx_dataset_design(ds, 1, 0, false, &d, &err);
            pfx_design_free(d);
            d = NULL;
            if (st == PFX_OK) st = pfx_dataset_design(ds, 0, 0, true, &d, &err);
            pfx_design_free(d);
            pfx_dataset_free(ds);
            pfx_formula_free(f);
            test_faults_done(&faults, st);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_two_way),  cmocka_unit_test(where_and_lags),      cmocka_unit_test(weights),
        cmocka_unit_test(by_levels),      cmocka_unit_test(several_models),      cmocka_unit_test(levels_beside_missing), cmocka_unit_test(errors),
        cmocka_unit_test(needed_columns), cmocka_unit_test(allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
