/* Descriptive statistics against a slow twin: long double, sorted copies, one group at a time. */
#include "tests/faults.h"
#include "tests/unit/memory_panel.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/report/summary.h"

enum { N_UNITS = 211, MAX_ROWS = N_UNITS * 9 };

/* A panel with missing and infinite cells, ties, a shifted column, and groups that change within units. */
static void make_panel(memory_panel *m)
{
    static const char *const levels[] = {"north", "south", "unused", "east"};
    static const pfx_col_spec cols[] = {
        {"firm", "", PFX_NUMERIC, PFX_I32, 0, NULL},    {"year", "", PFX_TIME, PFX_I32, 0, NULL},
        {"x", "", PFX_NUMERIC, PFX_F64, 0, NULL},       {"shifted", "", PFX_NUMERIC, PFX_F64, 0, NULL},
        {"ties", "", PFX_NUMERIC, PFX_F64, 0, NULL},    {"size", "", PFX_NUMERIC, PFX_F64, 0, NULL},
        {"region", "", PFX_CATEGORY, PFX_I32, 0, NULL}, {"empty", "", PFX_NUMERIC, PFX_F64, 0, NULL}};
    static const pfx_panel_spec panel = {"firm", "year", PFX_TIME_YEAR};
    static double num[8][MAX_ROWS];
    static int32_t region[MAX_ROWS];
    pfx_column column[8];
    pfx_rng r;
    pfx_idx n = 0;
    pfx_err err = {0};
    pfx_row_sink sink = memory_sink(m);

    pfx_rng_start(&r, 4, PFX_RNG_TEST, 0);
    for (int u = 0; u < N_UNITS; u++) {
        const int t = 1 + (int)pfx_rng_below(&r, 9);
        for (int k = 0; k < t; k++, n++) {
            const double z = pfx_rng_normal(&r);
            num[0][n] = u + 1;
            num[1][n] = 2000 + k;
            num[2][n] = n % 17 == 3 ? NAN : n % 97 == 5 ? INFINITY : exp(z);
            num[3][n] = 1e9 + z;
            num[4][n] = floor(2 * z);
            num[5][n] = n % 29 == 0 ? NAN : (double)(n % 3) - 0.5;
            region[n] = n % 31 == 0 ? PFX_NA_CODE : n % 5 == 0 ? 3 : u % 2;
            num[7][n] = NAN;
        }
    }
    for (int c = 0; c < 8; c++)
        column[c] = (pfx_column){cols[c], c == 6 ? NULL : num[c], c == 6 ? region : NULL};
    const pfx_frame f = {.n_rows = n, .n_cols = 8, .cols = column};
    assert_ok(sink.begin(sink.ctx, &panel, 8, cols, &err));
    assert_ok(sink.put(sink.ctx, &f, &err));
    assert_ok(sink.levels(sink.ctx, 6, 4, levels, &err));
}

typedef struct opener {
    const memory_panel *m;
    pfx_idx block_rows;
    int n_opened;
} opener;

static pfx_status open_memory(void *ctx, int n, const char *const *names, pfx_row_source *out, pfx_err *err)
{
    opener *o = ctx;
    (void)err;
    o->n_opened++;
    *out = memory_source(o->m, n, names, "firm", o->block_rows);
    return PFX_OK;
}

static pfx_summary *summarize(const memory_panel *m, const pfx_summary_options *o, pfx_idx block_rows)
{
    pfx_err err = {0};
    opener op = {m, block_rows, 0};
    const pfx_summary_input in = {&op, open_memory};
    pfx_summary *s = NULL;
    assert_ok(pfx_summarize(o, &in, &s, &err));
    return s;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* R's type 7 on a sorted copy. */
static double quantile_slow(const double *sorted, pfx_idx n, double p)
{
    const double h = (double)(n - 1) * p, k = floor(h);
    if (n == 0) return NAN;
    if (k + 1 >= (double)n) return sorted[n - 1];
    return sorted[(pfx_idx)k] + (h - k) * (sorted[(pfx_idx)k + 1] - sorted[(pfx_idx)k]);
}

/* All of a cell from its definition. in[r]: the row counts. */
static void check_cell(const memory_panel *m, const double *x, const bool *in, const pfx_summary *s,
                       const pfx_summary_var *v, pfx_idx g, double tol)
{
    const pfx_summary_cell *c = &v->cell[g];
    const double *firm = memory_num(m, "firm");
    double sorted[MAX_ROWS], min = INFINITY, max = -INFINITY;
    long double sum = 0, m2 = 0, means = 0, between = 0, within = 0;
    double bmin = INFINITY, bmax = -INFINITY, wmin = INFINITY, wmax = -INFINITY;
    long double unit_mean[N_UNITS + 2];
    pfx_idx n = 0, missing = 0, units = 0;
    for (pfx_idx r = 0; r < m->n_rows; r++) {
        if (!in[r]) continue;
        if (!isfinite(x[r])) {
            missing++;
            continue;
        }
        sorted[n++] = x[r];
        sum += x[r];
        min = fmin(min, x[r]);
        max = fmax(max, x[r]);
    }
    assert_int_equal(c->n, n);
    assert_int_equal(c->missing, missing);
    qsort(sorted, (size_t)n, sizeof *sorted, ascending);
    for (int j = 0; j < s->n_probs; j++)
        assert_rel(v->quantile[g * s->n_probs + j], quantile_slow(sorted, n, s->probs[j]), 1e-15);
    if (n == 0) {
        assert_true(isnan(c->min) && isnan(c->max) && isnan(c->mean) && isnan(c->sd));
        return;
    }
    const long double mean = sum / n;
    for (pfx_idx i = 0; i < n; i++) m2 += (sorted[i] - mean) * (sorted[i] - mean);
    assert_true(c->min == min && c->max == max);
    assert_rel(c->mean, (double)mean, 1e-13);
    assert_rel(c->sd, n > 1 ? (double)sqrtl(m2 / (n - 1)) : NAN, tol);
    if (!s->panel) return;
    for (int u = 1; u <= N_UNITS; u++) {
        long double us = 0;
        pfx_idx un = 0;
        for (pfx_idx r = 0; r < m->n_rows; r++)
            if (in[r] && isfinite(x[r]) && firm[r] == u) {
                us += x[r];
                un++;
            }
        if (!un) continue;
        unit_mean[units++] = us / un;
        means += us / un;
        bmin = fmin(bmin, (double)(us / un));
        bmax = fmax(bmax, (double)(us / un));
        for (pfx_idx r = 0; r < m->n_rows; r++)
            if (in[r] && isfinite(x[r]) && firm[r] == u) {
                const long double d = x[r] - us / un;
                within += d * d;
                wmin = fmin(wmin, (double)(d + mean));
                wmax = fmax(wmax, (double)(d + mean));
            }
    }
    for (pfx_idx u = 0; u < units; u++)
        between += (unit_mean[u] - means / units) * (unit_mean[u] - means / units);
    assert_int_equal(c->units, units);
    assert_rel(c->t_bar, (double)n / (double)units, 1e-15);
    assert_rel(c->min_between, bmin, 1e-13);
    assert_rel(c->max_between, bmax, 1e-13);
    assert_rel(c->min_within, wmin, 1e-12);
    assert_rel(c->max_within, wmax, 1e-12);
    assert_rel(c->sd_between, units > 1 ? (double)sqrtl(between / (units - 1)) : NAN, tol);
    assert_rel(c->sd_within, n > 1 ? (double)sqrtl(within / (n - 1)) : NAN, tol);
}

static const char *const vars[] = {"x", "shifted", "ties", "empty"};
/* The shifted column has a mean 1e9 times its sd: a naive sum of squares would keep no digit of it. 1e-11
 * is what the twin's long double leaves. */
static const double tols[] = {1e-12, 1e-11, 1e-12, 1e-12};
static const double probs[] = {0.5, 0, 0.25, 1, 0.333, 0.999};
static const pfx_summary_options plain = {
    .n_vars = 4, .vars = vars, .n_probs = 6, .probs = probs, .panel = true, .memory = 1 << 30, .nth = 1};

static void without_groups(void **state)
{
    memory_panel m;
    bool in[MAX_ROWS];
    (void)state;
    make_panel(&m);
    for (pfx_idx r = 0; r < m.n_rows; r++) in[r] = true;
    static const pfx_idx blocks[] = {1, 7, 64, 100000};
    for (int b = 0; b < 4; b++) {
        pfx_summary *s = summarize(&m, &plain, blocks[b]);
        assert_int_equal(s->n_groups, 1);
        assert_int_equal(s->n_rows, m.n_rows);
        for (int j = 1; j < s->n_probs; j++) assert_true(s->probs[j] > s->probs[j - 1]);
        for (int v = 0; v < 4; v++) check_cell(&m, memory_num(&m, vars[v]), in, s, &s->vars[v], 0, tols[v]);
        pfx_summary_free(s);
    }
    memory_free(&m);
}

static void by_a_category(void **state)
{
    static const int32_t code[] = {0, 1, 3}; /* the unused level is no group */
    static const char *const label[] = {"north", "south", "east"};
    memory_panel m;
    bool in[MAX_ROWS];
    pfx_summary_options o = plain;
    (void)state;
    make_panel(&m);
    o.by = "region";
    pfx_summary *s = summarize(&m, &o, 50);
    assert_int_equal(s->n_groups, 3);
    for (int g = 0; g < 3; g++) {
        assert_string_equal(s->groups[g], label[g]);
        for (pfx_idx r = 0; r < m.n_rows; r++) in[r] = memory_code(&m, "region")[r] == code[g];
        for (int v = 0; v < 4; v++) check_cell(&m, memory_num(&m, vars[v]), in, s, &s->vars[v], g, tols[v]);
    }
    assert_int_equal(s->n_no_group, (m.n_rows + 30) / 31);
    pfx_summary_free(s);
    memory_free(&m);
}

static void by_a_number_where(void **state)
{
    static const double value[] = {-0.5, 0.5, 1.5};
    static const char *const label[] = {"-0.5", "0.5", "1.5"};
    memory_panel m;
    bool in[MAX_ROWS];
    pfx_summary_options o = plain;
    pfx_idx kept = 0;
    (void)state;
    make_panel(&m);
    o.by = "size";
    o.where = "ties > -2 & region != \"east\"";
    pfx_summary *s = summarize(&m, &o, 50);
    const double *size = memory_num(&m, "size"), *ties = memory_num(&m, "ties");
    const int32_t *region = memory_code(&m, "region");
    assert_int_equal(s->n_groups, 3);
    for (int g = 0; g < 3; g++) {
        assert_string_equal(s->groups[g], label[g]);
        for (pfx_idx r = 0; r < m.n_rows; r++)
            in[r] = size[r] == value[g] && ties[r] > -2 && region[r] >= 0 && region[r] != 3;
        for (int v = 0; v < 4; v++) check_cell(&m, memory_num(&m, vars[v]), in, s, &s->vars[v], g, tols[v]);
    }
    for (pfx_idx r = 0; r < m.n_rows; r++) kept += ties[r] > -2 && region[r] >= 0 && region[r] != 3;
    assert_int_equal(s->n_kept, kept);
    pfx_summary_free(s);
    memory_free(&m);
}

static void categories_are_counted(void **state)
{
    static const char *const names[] = {"region"};
    memory_panel m;
    pfx_summary_options o = plain;
    (void)state;
    make_panel(&m);
    o.n_vars = 1;
    o.vars = names;
    o.by = "year";
    pfx_summary *s = summarize(&m, &o, 50);
    assert_int_equal(s->n_groups, 9);
    assert_true(s->vars[0].category);
    assert_int_equal(s->vars[0].n_levels, 4);
    for (pfx_idx g = 0; g < 9; g++) {
        pfx_idx count[4] = {0}, missing = 0;
        for (pfx_idx r = 0; r < m.n_rows; r++) {
            if (memory_num(&m, "year")[r] != 2000 + (double)g) continue;
            const int32_t c = memory_code(&m, "region")[r];
            if (c < 0)
                missing++;
            else
                count[c]++;
        }
        for (int l = 0; l < 4; l++) assert_int_equal(s->vars[0].count[g * 4 + l], count[l]);
        assert_int_equal(s->vars[0].cell[g].missing, missing);
        assert_int_equal(s->vars[0].cell[g].n, count[0] + count[1] + count[2] + count[3]);
    }
    pfx_summary_free(s);
    memory_free(&m);
}

/* Quantiles in as many passes as the memory asks for; too little is named. */
static void quantiles_in_batches(void **state)
{
    memory_panel m;
    pfx_summary_options o = plain;
    pfx_err err = {0};
    pfx_summary *s = NULL;
    (void)state;
    make_panel(&m);
    pfx_summary *one = summarize(&m, &plain, 50);
    opener op = {&m, 50, 0};
    const pfx_summary_input in = {&op, open_memory};
    o.memory = (size_t)m.n_rows * 8;
    assert_ok(pfx_summarize(&o, &in, &s, &err));
    assert_int_equal(op.n_opened, 4); /* moments; x; shifted; ties with the empty column */
    for (int v = 0; v < 4; v++) assert_same_bits(s->vars[v].quantile, one->vars[v].quantile, s->n_probs);
    pfx_summary_free(s);
    o.memory -= 8;
    assert_fails(pfx_summarize(&o, &in, &s, &err), PFX_ENOMEM, "quantiles of shifted");
    pfx_summary_free(one);
    memory_free(&m);
}

static void threads_do_not_matter(void **state)
{
    memory_panel m;
    pfx_summary_options o = plain;
    (void)state;
    make_panel(&m);
    o.by = "region";
    pfx_summary *one = summarize(&m, &o, 50);
    for (o.nth = 2; o.nth <= 7; o.nth++) {
        pfx_summary *s = summarize(&m, &o, 50);
        for (int v = 0; v < 4; v++) {
            assert_memory_equal(s->vars[v].cell, one->vars[v].cell,
                                (size_t)s->n_groups * sizeof *s->vars[v].cell);
            assert_same_bits(s->vars[v].quantile, one->vars[v].quantile, s->n_groups * s->n_probs);
        }
        pfx_summary_free(s);
    }
    pfx_summary_free(one);
    memory_free(&m);
}

static void bad_requests(void **state)
{
    static const double outside[] = {1.5};
    memory_panel m;
    pfx_err err = {0};
    pfx_summary *s = NULL;
    (void)state;
    make_panel(&m);
    opener op = {&m, 50, 0};
    const pfx_summary_input in = {&op, open_memory};
    pfx_summary_options o = plain;
    o.where = "x < -1";
    assert_fails(pfx_summarize(&o, &in, &s, &err), PFX_EDATA, "--where");
    o.where = "x >";
    assert_fails(pfx_summarize(&o, &in, &s, &err), PFX_EUSAGE, "--where");
    o = plain;
    o.by = "empty";
    assert_fails(pfx_summarize(&o, &in, &s, &err), PFX_EDATA, "--by");
    o = plain;
    o.n_probs = 1;
    o.probs = outside;
    assert_fails(pfx_summarize(&o, &in, &s, &err), PFX_EUSAGE, "--quantiles");
    memory_free(&m);
}

static void tables(void **state)
{
    static const char *const names[] = {"x", "region"}, *const lines[] = {"a note"};
    memory_panel m;
    pfx_err err = {0};
    pfx_str text = {0};
    pfx_summary_options o = plain;
    (void)state;
    make_panel(&m);
    o.vars = names;
    o.n_vars = 2;
    o.panel = false;
    pfx_summary *s = summarize(&m, &o, 50);
    for (int format = 0; format < 6; format++) {
        const pfx_summary_layout l = {(pfx_format)format, 0, 2, 1, lines};
        pfx_str_clear(&text);
        assert_ok(pfx_summary_render(s, &l, &text, &err));
        assert_non_null(strstr(text.s, "region"));
        assert_non_null(strstr(text.s, "north"));
        if (format != PFX_FORMAT_CSV) assert_non_null(strstr(text.s, "a note"));
        /* Programs get all levels, readers the largest two. */
        const bool program = format == PFX_FORMAT_CSV || format == PFX_FORMAT_JSON;
        assert_int_equal(strstr(text.s, "unused") != NULL, program);
        assert_int_equal(strstr(text.s, "east") != NULL, program);
    }
    pfx_str_free(&text);
    pfx_summary_free(s);
    memory_free(&m);
}

static void allocations_fail(void **state)
{
    memory_panel m;
    (void)state;
    make_panel(&m);
    opener op = {&m, 50, 0};
    const pfx_summary_input in = {&op, open_memory};
    test_faults f = {.least = 40};
    while (test_faults_next(&f)) {
        pfx_summary_options o = plain;
        pfx_err err = {0};
        pfx_summary *s = NULL;
        pfx_str text = {0};
        const pfx_summary_layout l = {PFX_FORMAT_TEXT, 0, 2, 0, NULL};
        o.by = "size";
        o.where = "ties > -2";
        pfx_status st = pfx_summarize(&o, &in, &s, &err);
        if (st == PFX_OK) st = pfx_summary_render(s, &l, &text, &err);
        pfx_str_free(&text);
        pfx_summary_free(s);
        test_faults_done(&f, st);
    }
    memory_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_groups),       cmocka_unit_test(by_a_category),
        cmocka_unit_test(by_a_number_where),    cmocka_unit_test(categories_are_counted),
        cmocka_unit_test(quantiles_in_batches), cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(bad_requests),         cmocka_unit_test(tables),
        cmocka_unit_test(allocations_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
