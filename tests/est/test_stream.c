/* A streamed fit has the bits of the fit in memory, whatever the windows and the number of threads. */
#include "tests/test.h"

#include "src/base/parallel.h"
#include "src/est/fit.h"
#include "src/model/dataset.h"
#include "tests/unit/memory_panel.h"

enum { MAX_K = 40 };

/* Unbalanced, sorted by firm: 1..6 of 9 years each; k regressors; missing cells; a year with one row, whose
 * firm then has one row left, in a year of two rows. */
static memory_panel make_panel(pfx_idx n_firms, int k, uint64_t seed)
{
    static const char *const fixed[] = {"firm", "year", "town", "region", "w", "f", "y"};
    memory_panel m = {.n_cols = 7 + k};
    pfx_idx cap = 6 * n_firms + 8;
    for (int c = 0; c < m.n_cols; c++) {
        if (c < 7)
            snprintf(m.name[c], sizeof m.name[c], "%s", fixed[c]);
        else
            snprintf(m.name[c], sizeof m.name[c], "x%d", c - 6);
        m.kind[c] = c == 1 ? PFX_TIME : PFX_NUMERIC;
        m.num[c] = malloc((size_t)cap * sizeof(double));
    }
    for (pfx_idx g = 0; g < n_firms; g++) {
        double level = 0;
        for (int t = 0, left = 1 + (int)(seed % 6); t < 9 && left > 0; t++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            if ((seed >> 33) % 9 >= (uint64_t)(left + 2)) continue;
            left--;
            pfx_idx r = m.n_rows++;
            double *row[7 + MAX_K];
            for (int c = 0; c < m.n_cols; c++) row[c] = m.num[c] + r;
            *row[0] = (double)(100 + 3 * g), *row[1] = 2000 + t;
            *row[2] = (double)(g / 7), *row[3] = (double)((g * 7919) % 23);
            *row[4] = 0.5 + (double)((seed >> 20) % 8) / 4 - ((seed >> 24) % 50 == 0 ? 10 : 0);
            if (*row[4] < 0) *row[4] = 0;
            *row[5] = (double)((seed >> 28) % 4);
            *row[6] = level + 0.3 * t;
            for (int j = 0; j < k; j++) {
                seed = seed * 6364136223846793005u + 1442695040888963407u;
                double x = (double)(seed >> 11) * 0x1p-53 + 0.2 * (double)(g % 5) + 0.1 * t;
                *row[7 + j] = (seed >> 5) % 997 == 0 ? NAN : x + 100;
                *row[6] += isnan(*row[7 + j]) ? 0 : x / (1 + j);
            }
            *row[6] += (double)((seed >> 40) % 1000) * 1e-3;
        }
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        seed ^= seed >> 29;
    }
    const double rare[][2] = {{1, 1980}, {1, 1981}, {2, 1981}, {2, 2003}, {2, 2004}};
    for (int i = 0; i < 5; i++, m.n_rows++)
        for (int c = 0; c < m.n_cols; c++)
            m.num[c][m.n_rows] = c == 0 ? 1e6 + rare[i][0] : c == 1 ? rare[i][1] : c < 6 ? 1 : 3 + i * c % 4;
    return m;
}

typedef struct spec {
    const char *formula, *cluster, *weights, *where, *by;
    pfx_weights_kind kind;
    pfx_vcov_type vcov;
    pfx_ssc ssc;
    bool keep_singletons, save;
} spec;

static pfx_dataset_options data_options(const spec *s)
{
    return (pfx_dataset_options){.where = s->where,
                                 .by = s->by,
                                 .weights = s->weights,
                                 .weights_kind = s->kind,
                                 .n_clusters = s->cluster != NULL,
                                 .clusters = &s->cluster,
                                 .keep_singletons = s->keep_singletons,
                                 .want_rows = s->save};
}

static pfx_fit_options fit_options(const spec *s, int nth)
{
    return (pfx_fit_options){.vcov = s->vcov,
                             .ssc = s->ssc,
                             .level = 0.95,
                             .tol = 1e-10,
                             .maxiter = 1000,
                             .nth = nth,
                             .isa = PFX_ISA_PORTABLE,
                             .save = s->save};
}

static pfx_row_source open_source(const memory_panel *m, pfx_idx block_rows)
{
    const char *names[MEMORY_MAX_COLS];
    for (int c = 0; c < m->n_cols; c++) names[c] = m->name[c];
    return memory_source(m, m->n_cols, names, "firm", block_rows);
}

static pfx_status fit_in_memory(const memory_panel *m, const spec *s, pfx_idx by, pfx_fit **fit, pfx_err *err)
{
    pfx_formula *f = NULL;
    pfx_dataset *ds = NULL;
    pfx_design *d = NULL;
    pfx_dataset_options o = data_options(s);
    pfx_fit_options fo = fit_options(s, 1);
    pfx_row_source src = open_source(m, 1000);
    assert_int_equal(pfx_formula_parse(s->formula, &f, err), PFX_OK);
    pfx_status st = pfx_dataset_load(&src, f, &o, &ds, err);
    if (st == PFX_OK) st = pfx_dataset_design(ds, 0, by, true, &d, err);
    if (st == PFX_OK) st = pfx_fit_ols(d, &fo, fit, err);
    pfx_design_free(d), pfx_dataset_free(ds), pfx_formula_free(f);
    src.close(src.ctx);
    return st;
}

static size_t memory_bound; /* 0: none */

static pfx_status fit_streamed(const memory_panel *m, const spec *s, pfx_idx by, pfx_idx block_rows,
                               pfx_idx window_rows, int nth, pfx_fit **fit, int *passes, pfx_err *err)
{
    pfx_formula *f = NULL;
    pfx_dataset_stream *stream = NULL;
    const char *why = NULL;
    pfx_dataset_options o = data_options(s);
    pfx_fit_options fo = fit_options(s, nth);
    pfx_row_source src = open_source(m, block_rows);
    assert_int_equal(pfx_formula_parse(s->formula, &f, err), PFX_OK);
    assert_int_equal(pfx_dataset_stream_open(&src, f, 0, &o, window_rows, memory_bound, &stream, &why, err),
                     PFX_OK);
    if (!stream) fail_msg("%s: %s", s->formula, why);
    pfx_status st;
    do {
        pfx_err_clear(err);
        pfx_design *d = NULL;
        st = pfx_dataset_stream_design(stream, by, &d, err);
        if (st == PFX_OK) st = pfx_fit_ols(d, &fo, fit, err);
    } while (st != PFX_OK && pfx_dataset_stream_again(stream));
    *passes = pfx_dataset_stream_passes(stream);
    pfx_dataset_stream_free(stream), pfx_formula_free(f);
    src.close(src.ctx);
    return st;
}

static void same_value(const char *what, const char *field, double a, double b)
{
    if (memcmp(&a, &b, sizeof a)) fail_msg("%s: %s: %.17g %.17g", what, field, a, b);
}
#define SAME(field) same_value(what, #field, (double)a->field, (double)b->field)

static void same_fit(const char *what, const pfx_fit *a, const pfx_fit *b)
{
    SAME(n_obs), SAME(n_rows), SAME(n_missing), SAME(n_singletons), SAME(n_zero_weight), SAME(k),
        SAME(n_collinear);
    SAME(df_residual), SAME(df_absorbed), SAME(rank_absorbed), SAME(df_t), SAME(k_adj), SAME(f), SAME(f_p),
        SAME(r2);
    SAME(adj_r2), SAME(within_r2), SAME(adj_within_r2), SAME(rmse), SAME(ssr), SAME(tss),
        SAME(log_likelihood);
    SAME(condition), SAME(n_effects), SAME(n_clusters);
    assert_string_equal(a->solver, b->solver);
    assert_string_equal(a->route, b->route);
    for (int i = 0; i < a->k; i++) {
        SAME(coef[i].estimate), SAME(coef[i].std_error), SAME(coef[i].p_value);
        assert_string_equal(a->coef[i].term, b->coef[i].term);
    }
    for (int i = 0; i < a->k * a->k; i++) SAME(V[i]);
    for (int e = 0; e < a->n_effects; e++)
        SAME(effects[e].levels), SAME(effects[e].redundant), SAME(effects[e].nested_in_cluster);
    for (int c = 0; c < a->n_clusters; c++) SAME(clusters[c].levels);
}

/* What --save keeps. */
static void same_rows(const char *what, const pfx_fit *a, const pfx_fit *b)
{
    if (!a->row) return;
    for (pfx_idx i = 0; i < a->n_rows; i++) SAME(row[i]), SAME(resid[i]), SAME(fitted[i]);
    SAME(n_saved_effects);
    for (int e = 0; e < a->n_saved_effects; e++) {
        assert_string_equal(a->saved[e].name, b->saved[e].name);
        SAME(saved[e].n_levels);
        for (pfx_idx l = 0; l < a->saved[e].n_levels; l++)
            SAME(saved[e].first_row[l]), SAME(saved[e].alpha[l]);
    }
}

static pfx_fit *reference(const memory_panel *m, const spec *s, pfx_idx by)
{
    pfx_err err = {0};
    pfx_fit *a = NULL;
    if (fit_in_memory(m, s, by, &a, &err) != PFX_OK) fail_msg("%s: %s", s->formula, err.msg);
    return a;
}

/* Passes of the streamed fit. */
static int compare(const memory_panel *m, const spec *s, pfx_idx by, const pfx_fit *a, pfx_idx block_rows,
                   pfx_idx window_rows, int nth)
{
    pfx_err err = {0};
    pfx_fit *b = NULL;
    char what[200];
    int passes = 0;
    snprintf(what, sizeof what, "%s, %s clusters, blocks of %ld, windows of %ld, %d threads", s->formula,
             s->cluster ? s->cluster : "no", (long)block_rows, (long)window_rows, nth);
    if (fit_streamed(m, s, by, block_rows, window_rows, nth, &b, &passes, &err) != PFX_OK)
        fail_msg("%s: %s", what, err.msg);
    same_fit(what, a, b);
    same_rows(what, a, b);
    pfx_fit_free(b);
    return passes;
}

#define MODEL "y ~ x1 + x2 + x3"
static const spec specs[] = {
    {.formula = MODEL " | firm + year", .cluster = "firm", .vcov = PFX_VCOV_CLUSTER},
    {.formula = MODEL " | year + firm", .cluster = "town", .vcov = PFX_VCOV_CLUSTER, .ssc = PFX_SSC_REGHDFE},
    {.formula = MODEL " | firm + year", .cluster = "region", .vcov = PFX_VCOV_CLUSTER, .ssc = PFX_SSC_STATA},
    {.formula = MODEL " | firm + year", .cluster = "year", .vcov = PFX_VCOV_CLUSTER},
    {.formula = MODEL " | firm + year", .vcov = PFX_VCOV_HC1, .where = "year >= 2002"},
    {.formula = MODEL " | firm + year", .vcov = PFX_VCOV_IID, .keep_singletons = true},
    {.formula = MODEL " | firm + year",
     .cluster = "firm",
     .vcov = PFX_VCOV_CLUSTER,
     .weights = "w",
     .kind = PFX_W_ANALYTIC},
    {.formula = MODEL " | firm + region", .vcov = PFX_VCOV_HC1, .weights = "f", .kind = PFX_W_FREQUENCY},
    {.formula = "log(y + 50) ~ x1 + x2:x3 + x1 | firm", .cluster = "firm", .vcov = PFX_VCOV_CLUSTER},
    {.formula = "y ~ x1 + x2 + w | firm", .vcov = PFX_VCOV_IID, .weights = "w", .kind = PFX_W_PROBABILITY},
    {.formula = MODEL, .cluster = "firm", .vcov = PFX_VCOV_CLUSTER},
    {.formula = MODEL, .cluster = "region", .vcov = PFX_VCOV_CLUSTER, .weights = "w", .kind = PFX_W_ANALYTIC},
    {.formula = MODEL " - 1", .vcov = PFX_VCOV_HC1},
    {.formula = "y ~ x1 + x2 + I(x1 + x2) + town | firm + year",
     .cluster = "firm",
     .vcov = PFX_VCOV_CLUSTER}, /* collinear */
    {.formula = "y ~ x1 + I(x1 + 1e-3*x2) + x3 | firm + year",
     .cluster = "firm",
     .vcov = PFX_VCOV_CLUSTER}, /* whitened */
    {.formula = "y ~ x1 + I(x1 + 1e-6*x2) + I(2*x1) | firm + year",
     .cluster = "town",
     .vcov = PFX_VCOV_CLUSTER}, /* QR */
};

static void bits_are_those_in_memory(void **state)
{
    (void)state;
    memory_panel m = make_panel(4000, 3, 7);
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        pfx_fit *a = reference(&m, &specs[i], 0);
        for (int nth = 1; nth <= 7; nth += nth < 3 ? 1 : 4) {
            compare(&m, &specs[i], 0, a, 50, 0, nth);
            compare(&m, &specs[i], 0, a, 3000, 5000, nth);
        }
        pfx_fit_free(a);
    }
    memory_free(&m);
}

/* A group of blocks has about 600 rows here: windows by the dozen. */
static void many_windows(void **state)
{
    (void)state;
    char formula[600] = "y ~ x1";
    memory_panel m = make_panel(12000, MAX_K, 11);
    for (int j = 2; j <= MAX_K; j++) snprintf(formula + strlen(formula), 16, " + x%d", j);
    strcat(formula, " | firm + year");
    const spec s = {.formula = formula, .cluster = "town", .vcov = PFX_VCOV_CLUSTER};
    pfx_fit *a = reference(&m, &s, 0);
    compare(&m, &s, 0, a, 20, 0, 3);
    pfx_fit_free(a);
    memory_free(&m);
}

/* Models whose codes lie in memory while the values are streamed: effects of many levels, three of them,
 * terms of factors, levels of --by. */
static const spec resident[] = {
    {.formula = MODEL " | firm + region^year", .cluster = "firm", .vcov = PFX_VCOV_CLUSTER},
    {.formula = MODEL " | firm + region^year",
     .vcov = PFX_VCOV_HC1,
     .keep_singletons = true,
     .where = "year >= 2001"},
    {.formula = MODEL " | year + firm + region",
     .cluster = "region",
     .vcov = PFX_VCOV_CLUSTER,
     .weights = "f",
     .kind = PFX_W_FREQUENCY},
    {.formula = MODEL " | firm + region^year^w + f^year",
     .cluster = "town",
     .vcov = PFX_VCOV_CLUSTER,
     .weights = "w",
     .kind = PFX_W_ANALYTIC},
    {.formula = MODEL " | town + year",
     .where = "firm < 900000",
     .cluster = "firm",
     .vcov = PFX_VCOV_CLUSTER,
     .ssc = PFX_SSC_REGHDFE},
    {.formula = "y ~ x1 + i(year) + i(region):x2 | firm", .cluster = "town", .vcov = PFX_VCOV_CLUSTER},
    {.formula = "y ~ x1 + i(region, ref = 3) + x1:x2",
     .cluster = "firm",
     .vcov = PFX_VCOV_CLUSTER,
     .weights = "w",
     .kind = PFX_W_ANALYTIC},
    {.formula = "y ~ x1 + x2 + i(year) | firm + region^year",
     .cluster = "year",
     .vcov = PFX_VCOV_CLUSTER}, /* collinear */
    {.formula = MODEL " | firm + year", .cluster = "firm", .vcov = PFX_VCOV_CLUSTER, .by = "region"},
    {.formula = "y ~ x1 + i(region) | town",
     .vcov = PFX_VCOV_HC1,
     .by = "year",
     .where = "region < 9 & firm < 900000"},
};

/* Residuals, fitted values and effects. */
static const spec saved[] = {
    {.formula = MODEL " | firm + year", .cluster = "firm", .vcov = PFX_VCOV_CLUSTER, .save = true},
    {.formula = MODEL " | firm + region^year + w",
     .vcov = PFX_VCOV_HC1,
     .weights = "f",
     .kind = PFX_W_FREQUENCY,
     .save = true},
    {.formula = "y ~ x1 + i(region)", .cluster = "firm", .vcov = PFX_VCOV_CLUSTER, .save = true},
    {.formula = "y ~ x1 + x2 | firm",
     .cluster = "town",
     .vcov = PFX_VCOV_CLUSTER,
     .save = true,
     .by = "region"},
};

static void what_is_saved(void **state)
{
    (void)state;
    memory_panel m = make_panel(3000, 3, 7);
    for (size_t i = 0; i < sizeof saved / sizeof *saved; i++)
        for (pfx_idx by = 0; by < (saved[i].by ? 2 : 1); by++) {
            pfx_fit *a = reference(&m, &saved[i], by);
            assert_true(a->row && a->n_rows > 0 && (a->n_saved_effects > 0 || a->n_effects == 0));
            compare(&m, &saved[i], by, a, 50, 0, 1);
            compare(&m, &saved[i], by, a, 700, 1500, 3);
            pfx_fit_free(a);
        }
    memory_free(&m);
}

static void codes_lie_in_memory(void **state)
{
    (void)state;
    memory_panel m = make_panel(4000, 3, 7);
    for (size_t i = 0; i < sizeof resident / sizeof *resident; i++)
        for (pfx_idx by = 0; by < (resident[i].by ? 3 : 1); by++) {
            pfx_fit *a = reference(&m, &resident[i], by);
            compare(&m, &resident[i], by, a, 50, 0, 1 + (int)by % 2);
            compare(&m, &resident[i], by, a, 700, 3000, 3);
            pfx_fit_free(a);
        }
    memory_free(&m);
}

/* Two passes; one more for each round of singletons of the year. */
static void passes(void **state)
{
    (void)state;
    memory_panel m = make_panel(2000, 3, 5);
    spec s = specs[0];
    pfx_fit *all = reference(&m, &s, 0);
    assert_true(compare(&m, &s, 0, all, 100, 0, 2) > 2);
    s.where = "year >= 2000";
    pfx_fit *most = reference(&m, &s, 0);
    assert_int_equal(compare(&m, &s, 0, most, 100, 0, 2), 2);
    s = (spec){.formula = MODEL, .cluster = "firm", .vcov = PFX_VCOV_CLUSTER};
    pfx_fit *none = reference(&m, &s, 0);
    assert_int_equal(compare(&m, &s, 0, none, 100, 0, 2), 2);
    pfx_fit_free(all), pfx_fit_free(most), pfx_fit_free(none);
    memory_free(&m);
}

/* What a stream cannot do is refused before it is done: more levels of another effect than units, rows that
 * do not lie by the largest effect, a unit that is longer than a block may be, codes that --memory has no
 * room for. */
static void refusals(void **state)
{
    (void)state;
    memory_panel m = make_panel(2000, 3, 5);
    const spec more = {.formula = MODEL " | firm + year",
                       .vcov = PFX_VCOV_HC1,
                       .where = "firm <= 109",
                       .keep_singletons = true};
    const spec order = {.formula = MODEL " | region", .vcov = PFX_VCOV_HC1};
    const spec large = {.formula = MODEL " | firm + region + year", .vcov = PFX_VCOV_HC1};
    const struct {
        const spec *s;
        const char *text;
        size_t max_bytes;
    } cases[] = {{&more, "year has as many levels as firm", 0},
                 {&order, "do not lie in its order", 0},
                 {&large, "need about", 1000},
                 {&specs[0], "cannot be streamed", 0}};
    for (int i = 0; i < 4; i++) {
        pfx_err err = {0};
        pfx_fit *fit = NULL;
        int n = 0;
        for (pfx_idx r = 0; i == 3 && r < m.n_rows; r++) m.num[0][r] = 1;
        memory_bound = cases[i].max_bytes;
        assert_int_equal(fit_streamed(&m, cases[i].s, 0, 100, 0, 2, &fit, &n, &err), PFX_ENOMEM);
        memory_bound = 0;
        if (!strstr(err.msg, cases[i].text)) fail_msg("%s", err.msg);
    }
    memory_free(&m);
}

/* Models that are told at once to lie in memory. */
static void what_cannot_be_streamed(void **state)
{
    (void)state;
    static const char *const formulas[] = {"y ~ x1 | firm", "y ~ x1 | firm[x2] + year"}, *const clusters[] = {
                                                                                             "firm", "year"};
    memory_panel m = make_panel(50, 3, 5);
    for (int i = 0; i < 2; i++) {
        pfx_err err = {0};
        pfx_formula *f = NULL;
        pfx_dataset_stream *stream = NULL;
        const char *why = NULL;
        const pfx_dataset_options o = {.n_clusters = i ? 0 : 2, .clusters = clusters};
        pfx_row_source src = open_source(&m, 100);
        assert_ok(pfx_formula_parse(formulas[i], &f, &err));
        assert_ok(pfx_dataset_stream_open(&src, f, 0, &o, 0, 0, &stream, &why, &err));
        if (!why || stream) fail_msg("%s was streamed", formulas[i]);
        pfx_formula_free(f);
        src.close(src.ctx);
    }
    memory_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_are_those_in_memory),
        cmocka_unit_test(codes_lie_in_memory),
        cmocka_unit_test(what_is_saved),
        cmocka_unit_test(many_windows),
        cmocka_unit_test(passes),
        cmocka_unit_test(refusals),
        cmocka_unit_test(what_cannot_be_streamed),
    };
    pfx_err err = {0};
    if (pfx_par_single_thread_blas(&err) != PFX_OK) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
