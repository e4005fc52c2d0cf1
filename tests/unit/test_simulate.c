/* The synthetic panel against Table 2 and Table 3 (tests/data), and against what it promises: exact sizes,
 * absorbing treatment, the same bits at any thread count and choice of columns. */
#include "tests/faults.h"
#include "tests/unit/memory_panel.h"
#include "tests/unit/twfe.h"
#include "src/base/mem.h"
#include "src/data/simulate.h"

static const char *const regressors[] = {"IDC",  "lnEmployee", "lnFirmAge", "ROA",    "Assetturn", "Cashflow",
                                         "Dual", "Top1",       "Occupy",    "Mshare", "TobinQ"};
enum { N_REGRESSORS = 11 };

static memory_panel whole; /* the default panel, made once */

static pfx_simulate_info simulate(const pfx_simulate_options *o, memory_panel *m)
{
    pfx_err err = {0};
    pfx_simulate_info info;
    pfx_row_sink sink = memory_sink(m);
    assert_ok(pfx_simulate(o, &sink, &info, &err));
    return info;
}

typedef struct moments {
    pfx_idx n;
    double min, max, mean, sd;
} moments;

static moments moments_of(const double *x, pfx_idx n)
{
    moments m = {0, INFINITY, -INFINITY, 0, 0};
    long double sum = 0, squares = 0;
    for (pfx_idx i = 0; i < n; i++) {
        if (isnan(x[i])) continue;
        m.n++;
        sum += x[i];
        m.min = fmin(m.min, x[i]);
        m.max = fmax(m.max, x[i]);
    }
    m.mean = (double)(sum / m.n);
    for (pfx_idx i = 0; i < n; i++)
        if (!isnan(x[i])) squares += (x[i] - sum / m.n) * (x[i] - sum / m.n);
    m.sd = (double)sqrtl(squares / (m.n - 1));
    return m;
}

/* Each variable of a panel against table2.csv: N exactly, minimum and maximum to half a unit of their last
 * digit, mean and sd to 5 %. */
static void compare_table2(const memory_panel *p)
{
    FILE *f = fopen("tests/data/table2.csv", "r");
    char line[256];
    int n_seen = 0;
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    while (fgets(line, sizeof line, f)) {
        char group[32], name[32], sd[32] = "";
        long n;
        double min, max, mean;
        assert_true(sscanf(line, "%31[^,],%31[^,],%ld,%lf,%lf,%lf,%31s", group, name, &n, &min, &max, &mean,
                           sd) >= 6);
        moments m = moments_of(memory_num(p, name), p->n_rows);
        if (m.n != n || fabs(m.min - min) > 1e-9 || fabs(m.max - max) > 1e-9)
            fail_msg("%s: n %lld min %.9g max %.9g; want %ld %.9g %.9g", name, (long long)m.n, m.min, m.max,
                     n, min, max);
        assert_rel(m.mean, mean, 0.05);
        if (sd[0]) assert_rel(m.sd, strtod(sd, NULL), 0.05);
        n_seen++;
    }
    assert_int_equal(n_seen, 19);
    fclose(f);
}

static void table2_at_seed_1(void **state)
{
    (void)state;
    compare_table2(&whole);
}

static void table2_at_other_seeds(void **state)
{
    (void)state;
    for (uint64_t seed = 2; seed <= 9; seed++) {
        pfx_simulate_options o = pfx_simulate_defaults();
        memory_panel m;
        o.seed = seed;
        o.nth = 2;
        simulate(&o, &m);
        compare_table2(&m);
        memory_free(&m);
    }
}

static pfx_idx rows_where(const memory_panel *m, const char *column, const char *level)
{
    const int c = memory_find(m, column);
    const int32_t *code = memory_code(m, column);
    pfx_idx n = 0;
    for (pfx_idx r = 0; r < m->n_rows; r++) n += strcmp(m->levels[c][code[r]], level) == 0;
    return n;
}

static pfx_idx rows_equal(const memory_panel *m, const char *column, double x)
{
    const double *v = memory_num(m, column);
    pfx_idx n = 0;
    for (pfx_idx r = 0; r < m->n_rows; r++) n += v[r] == x || (isnan(x) && isnan(v[r]));
    return n;
}

static void sizes_are_exact(void **state)
{
    (void)state;
    const memory_panel *m = &whole;
    assert_int_equal(m->n_rows, 18599);
    assert_int_equal(rows_where(m, "ownership", "joint venture"), 2456);
    assert_int_equal(rows_where(m, "ownership", "private"), 12446);
    assert_int_equal(rows_where(m, "ownership", "state"), 3477);
    assert_int_equal(rows_equal(m, "regulated", 1), 2178);
    assert_int_equal(rows_equal(m, "regulated", 0), 16421);
    assert_int_equal(rows_equal(m, "opendata", 1), 14674);
    assert_int_equal(rows_equal(m, "opendata", 0), 1580);
    assert_int_equal(rows_equal(m, "opendata", NAN), 18599 - 14674 - 1580);
    assert_int_equal(rows_equal(m, "IDC", 1), 333);
    for (int j = 0; j < N_REGRESSORS; j++) assert_int_equal(rows_equal(m, regressors[j], NAN), 0);
    assert_int_equal(rows_equal(m, "EXPY", NAN), 0);
}

/* Rows sorted, years without gaps, at least two a firm, treatment absorbing, attributes the firm's own. */
static void check_structure(const memory_panel *m, int year0, int year1, pfx_idx firms)
{
    const double *firm = memory_num(m, "firm"), *year = memory_num(m, "year"), *idc = memory_num(m, "IDC");
    const int32_t *industry = memory_code(m, "industry"), *city = memory_code(m, "city"),
                  *province = memory_code(m, "province");
    pfx_idx n_firms = 0;
    for (pfx_idx r = 0; r < m->n_rows; r++) {
        const bool first = r == 0 || firm[r] != firm[r - 1];
        const bool last = r + 1 == m->n_rows || firm[r + 1] != firm[r];
        n_firms += first;
        assert_true(firm[r] == (double)n_firms);
        assert_false(first && last);
        assert_true(year[r] >= year0 && year[r] <= year1);
        assert_int_equal(city[r] / 9, province[r]);
        if (first) continue;
        assert_true(year[r] == year[r - 1] + 1);
        assert_true(idc[r] >= idc[r - 1]);
        assert_int_equal(industry[r], industry[r - 1]);
        assert_int_equal(city[r], city[r - 1]);
    }
    assert_int_equal(n_firms, firms);
}

static void structure_of_the_default(void **state)
{
    const double *year = memory_num(&whole, "year"), *idc = memory_num(&whole, "IDC"),
                 *firm = memory_num(&whole, "firm");
    int adopted[7] = {0}, always = 0, entered = 0, left = 0;
    (void)state;
    check_structure(&whole, 2017, 2023, 3500);
    for (pfx_idx r = 0; r < whole.n_rows; r++) {
        const bool first = r == 0 || firm[r] != firm[r - 1];
        const bool last = r + 1 == whole.n_rows || firm[r + 1] != firm[r];
        always += first && idc[r] == 1;
        entered += first && year[r] > 2017;
        left += last && year[r] < 2023;
        if (!first && idc[r] > idc[r - 1]) adopted[(int)year[r] - 2017]++;
    }
    for (int t = 1; t < 7; t++) assert_true(adopted[t] >= 3); /* staggered */
    assert_true(always >= 10 && entered > 500 && left > 300);
}

static void logs_are_logs(void **state)
{
    static const struct {
        const char *log, *raw;
        double plus;
    } pairs[] = {
        {"lnEmployee", "Employee", 0}, {"lnFirmAge", "FirmAge", 1}, {"lnCTI", "CTI", 1}, {"lnDSI", "DSI", 0}};
    (void)state;
    for (int j = 0; j < 4; j++) {
        const double *l = memory_num(&whole, pairs[j].log), *x = memory_num(&whole, pairs[j].raw);
        for (pfx_idx r = 0; r < whole.n_rows; r++) {
            assert_rel(l[r], log(x[r] + pairs[j].plus), 1e-15);
            if (j != 3 && !isnan(x[r])) assert_true(x[r] == floor(x[r]));
        }
    }
}

static twfe fit(const memory_panel *m, const char *outcome)
{
    const double *x[N_REGRESSORS];
    for (int j = 0; j < N_REGRESSORS; j++) x[j] = memory_num(m, regressors[j]);
    return twfe_fit(m->n_rows, memory_num(m, outcome), N_REGRESSORS, x, memory_num(m, "firm"),
                    memory_num(m, "year"));
}

/* Standard errors of Table 3; lnFirmAge's cannot be had, since age advances with the calendar. */
static const double planted[N_REGRESSORS] = {0.3061,  0.5686,  -0.0286, 2.6136,  0.8173, -0.6577,
                                             -0.0320, -0.3328, 1.7319,  -0.4208, -0.0415};
static const double paper_se[N_REGRESSORS] = {0.0910, 0.0119, NAN,    0.1250, 0.0402, 0.1282,
                                              0.0208, 0.0868, 0.4792, 0.0551, 0.0088};

static void baseline_of_the_default(void **state)
{
    (void)state;
    twfe f = fit(&whole, "EXPY");
    assert_int_equal(f.n, 18599);
    assert_int_equal(f.firms, 3500);
    assert_abs(f.adj_r2, 0.5933, 0.02);
    for (int j = 0; j < N_REGRESSORS; j++) {
        assert_abs(f.b[j], planted[j], 2 * f.se[j]);
        if (!isnan(paper_se[j])) assert_rel(f.se[j], paper_se[j], 0.25);
    }
}

/* A panel 17 times as large finds every planted coefficient within three much smaller standard errors: the
 * bounds of EXPY, the integers and the missing cells bias nothing. */
static void planted_effects_are_unbiased(void **state)
{
    static const struct {
        const char *outcome;
        double b;
    } mechanism[] = {{"TS", 0.1106},  {"MD", 0.0160},     {"INVEST", 0.1981},   {"IB", 0.0599},
                     {"lnCTI", 0.82}, {"lnDSI", -0.1447}, {"Bullwhip", -0.1323}};
    pfx_simulate_options o = pfx_simulate_defaults();
    memory_panel m;
    (void)state;
    o.firms = 60000;
    o.nth = 2;
    simulate(&o, &m);
    twfe f = fit(&m, "EXPY");
    for (int j = 0; j < N_REGRESSORS; j++)
        if (fabs(f.b[j] - planted[j]) > 3 * f.se[j])
            fail_msg("%s: %.5f (%.5f), planted %.5f", regressors[j], f.b[j], f.se[j], planted[j]);
    for (int j = 0; j < 7; j++) {
        f = fit(&m, mechanism[j].outcome);
        if (fabs(f.b[0] - mechanism[j].b) > 3 * f.se[0])
            fail_msg("%s: %.5f (%.5f), planted %.5f", mechanism[j].outcome, f.b[0], f.se[0], mechanism[j].b);
    }
    memory_free(&m);
}

/* Moments hold on average where the sizes are not the paper's. */
static void other_sizes_hold_on_average(void **state)
{
    static const struct {
        const char *name;
        double mean, sd;
    } want[] = {{"EXPY", 10.17, 1.088},  {"IDC", 0.0179, 0.133},   {"Employee", 3927, 6464},
                {"ROA", 0.0374, 0.0727}, {"TobinQ", 2.003, 1.232}, {"TS", 0.181, 0.134},
                {"DSI", 153.3, 138.1},   {"FirmAge", 20.15, 5.729}};
    pfx_simulate_options o = pfx_simulate_defaults();
    memory_panel m;
    (void)state;
    o.firms = 60000;
    o.nth = 2;
    pfx_simulate_info info = simulate(&o, &m);
    assert_false(info.exact);
    assert_int_equal(info.rows, m.n_rows);
    assert_true(m.n_puts > 1);
    check_structure(&m, 2017, 2023, 60000);
    assert_rel((double)m.n_rows, 18599.0 / 3500 * 60000, 0.01);
    for (size_t j = 0; j < sizeof want / sizeof want[0]; j++) {
        moments got = moments_of(memory_num(&m, want[j].name), m.n_rows);
        assert_rel(got.mean, want[j].mean, 0.05);
        assert_rel(got.sd, want[j].sd, 0.05);
    }
    assert_rel((double)moments_of(memory_num(&m, "TS"), m.n_rows).n / (double)m.n_rows, 15201.0 / 18599,
               0.01);
    memory_free(&m);
}

static void assert_same_panel(const memory_panel *a, const memory_panel *b)
{
    assert_int_equal(a->n_rows, b->n_rows);
    for (int c = 0; c < b->n_cols; c++) {
        if (b->num[c])
            assert_same_bits(memory_num(a, b->name[c]), b->num[c], b->n_rows);
        else
            assert_memory_equal(memory_code(a, b->name[c]), b->code[c], (size_t)b->n_rows * sizeof(int32_t));
    }
}

static void threads_do_not_matter(void **state)
{
    static const int threads[] = {2, 3, 7};
    (void)state;
    for (int big = 0; big < 2; big++) {
        pfx_simulate_options o = pfx_simulate_defaults();
        memory_panel one;
        if (big) o.firms = 20001; /* two blocks, the second ragged */
        simulate(&o, &one);
        for (int j = 0; j < 3; j++) {
            memory_panel m;
            o.memory = (size_t)j << 20; /* blocks of other sizes, too */
            o.nth = threads[j];
            simulate(&o, &m);
            assert_same_panel(&one, &m);
            memory_free(&m);
        }
        memory_free(&one);
    }
}

/* Every column alone equals its twin in the whole panel. */
static void columns_do_not_depend_on_others(void **state)
{
    int n;
    const pfx_col_spec *cols = pfx_simulate_columns(&n);
    (void)state;
    assert_int_equal(n, whole.n_cols);
    for (int c = 0; c < n; c++) {
        pfx_simulate_options o = pfx_simulate_defaults();
        memory_panel m;
        o.n_vars = 1;
        o.vars = &cols[c].name;
        pfx_simulate_info info = simulate(&o, &m);
        assert_int_equal(info.n_cols,
                         strcmp(cols[c].name, "firm") == 0 || strcmp(cols[c].name, "year") == 0 ? 2 : 3);
        assert_same_panel(&whole, &m);
        memory_free(&m);
    }
}

/* A firm's values depend on (seed, firm) alone: a larger panel begins with a smaller one. */
static void firms_do_not_depend_on_others(void **state)
{
    pfx_simulate_options o = pfx_simulate_defaults();
    memory_panel small, large;
    (void)state;
    o.firms = 1000;
    simulate(&o, &small);
    o.firms = 19000;
    simulate(&o, &large);
    large.n_rows = small.n_rows;
    assert_same_panel(&large, &small);
    memory_free(&small);
    memory_free(&large);
}

static void options_do_what_they_say(void **state)
{
    pfx_simulate_options o = pfx_simulate_defaults();
    memory_panel m;
    (void)state;
    o.effect = 1;
    o.treated_share = 0.2;
    o.seed = 5;
    pfx_simulate_info info = simulate(&o, &m);
    assert_int_equal(info.treated_rows, 3720); /* round(0.2 x 18,599) */
    assert_int_equal(rows_equal(&m, "IDC", 1), 3720);
    twfe f = fit(&m, "EXPY");
    assert_abs(f.b[0], 1, 3 * f.se[0]);
    memory_free(&m);

    o = pfx_simulate_defaults();
    o.firms = 500;
    o.year0 = 1990;
    o.year1 = 2029;
    o.treated_share = 0;
    simulate(&o, &m);
    check_structure(&m, 1990, 2029, 500);
    assert_int_equal(rows_equal(&m, "IDC", 1), 0);
    memory_free(&m);

    o.firms = 1;
    o.year1 = 1991;
    simulate(&o, &m);
    assert_int_equal(m.n_rows, 2);
    memory_free(&m);
}

/* First-order autocorrelation of the residuals' ingredients grows with --serial-correlation. */
static void errors_are_serially_correlated(void **state)
{
    static const double rho[] = {0, 0.8};
    double got[2];
    (void)state;
    for (int k = 0; k < 2; k++) {
        pfx_simulate_options o = pfx_simulate_defaults();
        memory_panel m;
        double num = 0, den = 0;
        o.firms = 20000;
        o.serial_correlation = rho[k];
        simulate(&o, &m);
        const double *firm = memory_num(&m, "firm"), *y = memory_num(&m, "EXPY");
        double *d = calloc((size_t)m.n_rows, sizeof *d);
        for (pfx_idx r = 0; r < m.n_rows; r++) {
            d[r] = y[r];
            for (int j = 0; j < N_REGRESSORS; j++) d[r] -= planted[j] * memory_num(&m, regressors[j])[r];
        }
        const double mean = moments_of(d, m.n_rows).mean;
        for (pfx_idx r = 1; r < m.n_rows; r++) {
            if (firm[r] != firm[r - 1]) continue;
            num += (d[r] - mean) * (d[r - 1] - mean);
            den += (d[r] - mean) * (d[r] - mean);
        }
        got[k] = num / den;
        free(d);
        memory_free(&m);
    }
    assert_abs(got[0], 0, 0.05);
    assert_abs(got[1], 0.8, 0.06);
}

static void says_that_it_is_synthetic(void **state)
{
    bool synthetic = false, seed = false;
    (void)state;
    for (int i = 0; i < whole.n_lines; i++) {
        synthetic |= strcmp(whole.key[i], "synthetic") == 0 && strcmp(whole.value[i], "yes") == 0;
        seed |= strcmp(whole.key[i], "seed") == 0 && strcmp(whole.value[i], "1") == 0;
    }
    assert_true(synthetic && seed);
}

static void bad_options(void **state)
{
    static const char *const unknown[] = {"EXPX"};
    pfx_err err = {0};
    pfx_simulate_info info;
    memory_panel m;
    pfx_row_sink sink = memory_sink(&m);
    (void)state;
#define REFUSES(field, value, text)                                                                          \
    do {                                                                                                     \
        pfx_simulate_options o = pfx_simulate_defaults();                                                    \
        o.field = value;                                                                                     \
        assert_fails(pfx_simulate(&o, &sink, &info, &err), PFX_EUSAGE, text);                                \
    } while (0)
    REFUSES(firms, 0, "--firms");
    REFUSES(year1, 2017, "--years");
    REFUSES(year1, 2000, "--years");
    REFUSES(year1, 4000, "--years");
    REFUSES(treated_share, 0.6, "--treated-share");
    REFUSES(treated_share, NAN, "--treated-share");
    REFUSES(serial_correlation, 1, "--serial-correlation");
    REFUSES(effect, INFINITY, "--effect");
    pfx_simulate_options o = pfx_simulate_defaults();
    o.n_vars = 1;
    o.vars = unknown;
    assert_fails(pfx_simulate(&o, &sink, &info, &err), PFX_EUSAGE, "did you mean EXPY?");
}

/* Every allocation fails once: reported, nothing lost. */
static void allocations_fail(void **state)
{
    (void)state;
    test_faults f = {.least = 40};
    while (test_faults_next(&f)) {
        pfx_err err = {0};
        pfx_simulate_options o = pfx_simulate_defaults();
        pfx_simulate_info info;
        memory_panel m;
        pfx_row_sink sink = memory_sink(&m);
        pfx_status st = pfx_simulate(&o, &sink, &info, &err);
        memory_free(&m);
        assert_true(st == PFX_OK || err.msg[0] != 0);
        test_faults_done(&f, st);
    }
}

static int make_whole(void **state)
{
    pfx_simulate_options o = pfx_simulate_defaults();
    (void)state;
    simulate(&o, &whole);
    return 0;
}

static int drop_whole(void **state)
{
    (void)state;
    memory_free(&whole);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table2_at_seed_1),
        cmocka_unit_test(table2_at_other_seeds),
        cmocka_unit_test(sizes_are_exact),
        cmocka_unit_test(structure_of_the_default),
        cmocka_unit_test(logs_are_logs),
        cmocka_unit_test(baseline_of_the_default),
        cmocka_unit_test(planted_effects_are_unbiased),
        cmocka_unit_test(other_sizes_hold_on_average),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(columns_do_not_depend_on_others),
        cmocka_unit_test(firms_do_not_depend_on_others),
        cmocka_unit_test(options_do_what_they_say),
        cmocka_unit_test(errors_are_serially_correlated),
        cmocka_unit_test(says_that_it_is_synthetic),
        cmocka_unit_test(bad_options),
        cmocka_unit_test(allocations_fail),
    };
    return cmocka_run_group_tests(tests, make_whole, drop_whole);
}
