#include "tests/test.h"
#include "tests/frame_source.h"

#include "src/base/mem.h"
#include "src/model/dataset.h"

static pfx_design *design_from(frame_source *s, const char *text, pfx_dataset_options o, int m, bool last)
{
    pfx_formula *f = NULL;
    pfx_dataset *ds = NULL;
    pfx_design *d = NULL;
    pfx_err err = {0};
    char **names = NULL;
    int n = 0;
    pfx_status st = pfx_formula_parse(text, &f, &err);
    if (st == PFX_OK) st = pfx_dataset_columns(f, &o, &s->panel, s->n_cols, s->cols, &n, &names, &err);
    if (st == PFX_OK) {
        pfx_row_source src = frame_source_open(s, n, (const char *const *)names);
        st = pfx_dataset_load(&src, f, &o, &ds, &err);
    }
    if (st == PFX_OK) st = pfx_dataset_design(ds, m, 0, last, &d, &err);
    if (st != PFX_OK) fail_msg("%s: %s", text, err.msg);
    pfx_dataset_free_names(n, names);
    pfx_dataset_free(ds);
    pfx_formula_free(f);
    return d;
}

/* ---- columns of factors ---- */

enum { M = 8 };
static const char *const city[M] = {"c", "a", "b", "a", "c", "b", "a", NULL};
static const char *const kind[M] = {"u", "u", "v", "v", "u", "v", "u", "v"};
static const double when[M] = {10, 9, 10, 8.5, 9, 9, 10, 8.5};
static const double x[M] = {1, 2, 3, 4, 5, 6, 7, 8};
static const double y[M] = {3, 1, 4, 1, 5, 9, 2, 6};

static void make_little(frame_source *s)
{
    frame_source_init(s, M, 3);
    frame_source_cat(s, "city", city);
    frame_source_cat(s, "kind", kind);
    frame_source_num(s, "when", when);
    frame_source_num(s, "x", x);
    frame_source_num(s, "y", y);
}

/* Names of the columns before the outcome, and the sum of each. */
static void has_columns(const char *text, const char *names, int n, const double *sums)
{
    frame_source s;
    make_little(&s);
    for (int last = 0; last < 2; last++) {
        pfx_design *d = design_from(&s, text, (pfx_dataset_options){0}, 0, last);
        char all[1000] = "";
        for (int j = 0; j + 1 < d->p; j++) strcat(strcat(all, j ? " " : ""), d->name[j]);
        if (strcmp(all, names) != 0) fail_msg("%s: columns %s, not %s", text, all, names);
        assert_int_equal(d->p, n + 1);
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int i = 0; i < d->n; i++) sum += d->Z[i * d->p + j];
            if (sum != sums[j]) fail_msg("%s: %s sums to %g, not %g", text, d->name[j], sum, sums[j]);
        }
        pfx_design_free(d);
    }
    frame_source_free(&s);
}
#define COLUMNS(text, names, ...)                                                                            \
    do {                                                                                                     \
        const double sums[] = {__VA_ARGS__};                                                                 \
        has_columns((text), (names), (int)(sizeof sums / sizeof *sums), sums);                               \
    } while (0)

static void factor_columns(void **state)
{
    (void)state;
    COLUMNS("y ~ city", "city::b city::c", 2, 2);
    COLUMNS("y ~ x + city", "x city::b city::c", 28, 2, 2);
    COLUMNS("y ~ i(city, ref = \"b\")", "city::a city::c", 3, 2);
    COLUMNS("y ~ i(city, ref = c(a, c))", "city::b", 2);
    COLUMNS("y ~ city - 1", "city::a city::b city::c", 3, 2, 2);
    COLUMNS("y ~ city + kind - 1", "city::a city::b city::c kind::v", 3, 2, 2, 3);
    COLUMNS("y ~ city | kind", "city::b city::c", 2, 2);
    COLUMNS("y ~ i(when)", "when::9 when::10", 3, 3);
    COLUMNS("y ~ i(when, ref = 9)", "when::8.5 when::10", 2, 3);
    COLUMNS("y ~ i(when, x)", "when::8.5:x when::9:x when::10:x", 12, 13, 11);
    COLUMNS("y ~ i(when, x, ref = 10)", "when::8.5:x when::9:x", 12, 13);
    COLUMNS("y ~ city:x", "city::a:x city::b:x city::c:x", 13, 9, 6);
    COLUMNS("y ~ x:city + x", "x x:city::b x:city::c", 28, 9, 6);
    COLUMNS("y ~ city*x", "city::b city::c x city::b:x city::c:x", 2, 2, 28, 9, 6);
    /* combinations that never occur have no column */
    COLUMNS("y ~ city:kind", "city::a:kind::u city::a:kind::v city::b:kind::v city::c:kind::u", 2, 1, 2, 2);
    COLUMNS("y ~ city*kind", "city::b city::c kind::v city::b:kind::v", 2, 2, 3, 2);
    COLUMNS("y ~ i(floor(when / 5))", "floor(when / 5)::2", 3);
    COLUMNS("y ~ x^2 + log(x):x", "I(x^2) log(x):x", 204,
            1 * log(1) + 2 * log(2) + 3 * log(3) + 4 * log(4) + 5 * log(5) + 6 * log(6) + 7 * log(7) +
                8 * log(8));
}

static void roles(void **state)
{
    (void)state;
    frame_source s;
    make_little(&s);
    pfx_design *d = design_from(&s, "y ~ x | kind | when ~ city", (pfx_dataset_options){0}, 0, false);
    static const pfx_role want[] = {PFX_REGRESSOR, PFX_ENDOGENOUS, PFX_INSTRUMENT, PFX_INSTRUMENT,
                                    PFX_OUTCOME};
    assert_int_equal(d->p, 5);
    for (int j = 0; j < 5; j++) assert_int_equal(d->role[j], want[j]);
    assert_string_equal(d->name[1], "when");
    assert_string_equal(d->name[2], "city::b");
    assert_int_equal(d->n, 7);
    assert_int_equal(d->n_missing, 1);
    pfx_design_free(d);
    frame_source_free(&s);
}

/* Columns of levels are taken over the sample: a level only in rows left out has no column, and is no
 * reference. */
static void levels_of_the_sample(void **state)
{
    (void)state;
    frame_source s;
    make_little(&s);
    pfx_design *d = design_from(&s, "y ~ city", (pfx_dataset_options){.where = "city != \"a\""}, 0, true);
    assert_int_equal(d->p, 2);
    assert_string_equal(d->name[0], "city::c");
    pfx_design_free(d);
    frame_source_free(&s);
}

/* ---- a random panel against the obvious way ---- */

enum { R = 3000 };
static uint64_t rng_state = 88172645463325252u;
static int rnd(int n)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return (int)(rng_state % (uint64_t)n);
}

typedef struct world {
    int n;
    double unit[R], time[R], x[R], w[R], y[R], big[R];
    char label[R][8];
    const char *ind[R];
} world;

static void make_world(world *v, int n)
{
    v->n = n;
    double unit = 0, time = 0;
    for (int i = 0; i < n; i++) {
        if (rnd(4) == 0) unit++, time = rnd(3);
        time += 1 + (rnd(5) == 0);
        v->unit[i] = unit;
        v->time[i] = time;
        v->x[i] = rnd(20) == 0 ? NAN : rnd(1000) - 500;
        v->y[i] = rnd(25) == 0 ? INFINITY : rnd(1000) / 8.0;
        v->w[i] = rnd(15) == 0 ? NAN : rnd(8);
        v->big[i] = rnd(1000) * 1e6;
        snprintf(v->label[i], sizeof v->label[i], "k%d", rnd(4));
        v->ind[i] = rnd(40) == 0 ? NULL : v->label[i];
    }
}

static void make_panel(const world *v, frame_source *s, pfx_idx block_rows)
{
    frame_source_init(s, v->n, block_rows);
    frame_source_num(s, "unit", v->unit);
    frame_source_num(s, "time", v->time);
    frame_source_num(s, "x", v->x);
    frame_source_num(s, "y", v->y);
    frame_source_num(s, "w", v->w);
    frame_source_num(s, "big", v->big);
    frame_source_cat(s, "ind", v->ind);
    frame_source_panel(s, "unit", "time");
}

static double lag_x(const world *v, int i)
{
    for (int j = 0; j < v->n; j++)
        if (v->unit[j] == v->unit[i] && v->time[j] == v->time[i] - 1) return v->x[j];
    return NAN;
}

/* Do rows i and j share the level of effect e of the formula below? */
static bool same_level(const world *v, int e, int i, int j)
{
    if (e == 0) return v->unit[i] == v->unit[j];
    if (e == 1) return strcmp(v->ind[i], v->ind[j]) == 0 && v->time[i] == v->time[j];
    return v->big[i] == v->big[j];
}

/* Rows in 1, why out else: 0 by --where, 2 missing, 3 zero weight, 4 singleton. */
static void obvious_sample(const world *v, char *why, bool keep_singletons)
{
    for (int i = 0; i < v->n; i++) {
        bool missing = isnan(v->x[i]) || isnan(lag_x(v, i)) || isinf(v->y[i]) || isnan(v->w[i]) || !v->ind[i];
        why[i] = !(v->time[i] < 6) ? 0 : missing ? 2 : v->w[i] == 0 ? 3 : 1;
    }
    for (bool again = !keep_singletons; again;) {
        again = false;
        for (int i = 0; i < v->n; i++)
            for (int e = 0; e < 2 && why[i] == 1; e++) {
                int same = 0;
                for (int j = 0; j < v->n && same < 2; j++) same += why[j] == 1 && same_level(v, e, i, j);
                if (same < 2) why[i] = 4, again = true;
            }
    }
}

static void check_factor(const world *v, const pfx_design *d, const pfx_factor *f, int e)
{
    int32_t next = 0;
    for (pfx_idx i = 0; i < d->n; i++) {
        assert_true(f->code[i] >= 0 && f->code[i] <= next && next <= f->n_levels);
        if (f->code[i] == next) next++;
        for (pfx_idx j = i < 30 ? 0 : i - 30; j < i; j++)
            assert_int_equal(f->code[i] == f->code[j], same_level(v, e, (int)d->row[i], (int)d->row[j]));
    }
    assert_int_equal(next, f->n_levels);
}

static void against_the_obvious(void **state)
{
    (void)state;
    static world v;
    static char why[R];
    static const int sizes[] = {400, 800, 1200};
    const char *clusters[] = {"big", "ind^time"};
    for (int k = 0; k < 3; k++)
        for (int keep = 0; keep < 2; keep++) {
            make_world(&v, sizes[k]);
            obvious_sample(&v, why, keep);
            pfx_idx count[5] = {0};
            for (int i = 0; i < v.n; i++) count[(int)why[i]]++;
            assert_true(count[0] > 5 && count[1] > 5 && count[2] > 5 && count[3] > 5 &&
                        (keep || count[4] > 5));
            for (int variant = 0; variant < 6; variant++) {
                frame_source s;
                make_panel(&v, &s, variant % 3 == 0 ? 1 : variant % 3 == 1 ? 64 : 0);
                pfx_design *d = design_from(&s, "y ~ x:w + l(x) + x | unit + ind^time + ind[[x]]",
                                            (pfx_dataset_options){.where = "time < 6",
                                                                  .weights = "w",
                                                                  .n_clusters = 2,
                                                                  .clusters = clusters,
                                                                  .keep_singletons = keep,
                                                                  .want_rows = true,
                                                                  .want_time = true},
                                            0, variant < 3);
                assert_int_equal(d->n, count[1]);
                assert_int_equal(d->n_missing, count[2]);
                assert_int_equal(d->n_zero_weight, count[3]);
                assert_int_equal(d->n_singletons, count[4]);
                pfx_idx at = 0;
                for (int i = 0; i < v.n; i++) {
                    if (why[i] != 1) continue;
                    assert_int_equal(d->row[at], i);
                    const double *z = d->Z + 4 * at;
                    assert_true(z[0] == lag_x(&v, i) && z[1] == v.x[i] && z[2] == v.x[i] * v.w[i] &&
                                z[3] == v.y[i]);
                    assert_true(d->w[at] == v.w[i] && d->time[at] == v.time[i] &&
                                d->absorbed[2].slope[0][at] == v.x[i]);
                    at++;
                }
                check_factor(&v, d, &d->absorbed[0].factor, 0);
                check_factor(&v, d, &d->absorbed[1].factor, 1);
                check_factor(&v, d, &d->clusters[0], 2);
                check_factor(&v, d, &d->clusters[1], 1);
                pfx_design_free(d);
                frame_source_free(&s);
            }
        }
}

/* A chain: dropping one singleton leaves the next one alone, to the end. */
static void singleton_chain(void **state)
{
    (void)state;
    enum { L = 500 };
    double a[L], b[L], out[L];
    for (int i = 0; i < L; i++) a[i] = (i + 1) / 2, b[i] = i / 2, out[i] = i;
    frame_source s;
    frame_source_init(&s, L, 7);
    frame_source_num(&s, "a", a);
    frame_source_num(&s, "b", b);
    frame_source_num(&s, "y", out);
    pfx_formula *f;
    pfx_dataset *ds;
    pfx_design *d;
    pfx_err err = {0};
    assert_ok(pfx_formula_parse("y ~ 1 | a + b", &f, &err));
    for (int keep = 0; keep < 2; keep++) {
        pfx_dataset_options o = {.keep_singletons = keep};
        pfx_row_source src = frame_source_open(&s, 0, NULL);
        assert_ok(pfx_dataset_load(&src, f, &o, &ds, &err));
        if (keep) {
            assert_ok(pfx_dataset_design(ds, 0, 0, true, &d, &err));
            assert_int_equal(d->n, L);
            pfx_design_free(d);
        } else {
            assert_fails(pfx_dataset_design(ds, 0, 0, true, &d, &err), PFX_EDATA, "all 500 rows are alone");
        }
        pfx_dataset_free(ds);
    }
    pfx_formula_free(f);
    frame_source_free(&s);
}

/* Many levels: the hash grows, codes stay in the order of first rows. */
static void many_levels(void **state)
{
    (void)state;
    enum { L = 70000 };
    double *id = malloc(L * sizeof *id), *out = malloc(L * sizeof *out);
    for (int i = 0; i < L; i++) {
        id[i] = (double)(((int64_t)i * 7919) % 35003) * (i & 1 ? -1e-3 : 1e7); /* 0 and -0 are one level */
        out[i] = i;
    }
    frame_source s;
    frame_source_init(&s, L, 1000);
    frame_source_num(&s, "id", id);
    frame_source_num(&s, "y", out);
    pfx_formula *f;
    pfx_dataset *ds;
    pfx_design *d;
    pfx_err err = {0};
    pfx_row_source src = frame_source_open(&s, 0, NULL);
    assert_ok(pfx_formula_parse("y ~ i(id)", &f, &err));
    assert_ok(pfx_dataset_load(&src, f, &(pfx_dataset_options){0}, &ds, &err));
    assert_fails(pfx_dataset_design(ds, 0, 0, true, &d, &err), PFX_EUSAGE,
                 "i(id) would be 69998 dense columns of 70000 rows, 36.51 GiB: absorb");
    pfx_dataset_free(ds);
    pfx_formula_free(f);
    d = design_from(&s, "y ~ 1 | id", (pfx_dataset_options){.keep_singletons = true}, 0, true);
    assert_int_equal(d->n, L);
    int32_t next = 0;
    double *value = malloc(L * sizeof *value);
    for (int i = 0; i < L; i++) {
        int32_t c = d->absorbed[0].factor.code[i];
        assert_true(c <= next);
        if (c == next) value[next++] = id[i];
        assert_true(value[c] == id[i]);
    }
    assert_int_equal(next, d->absorbed[0].factor.n_levels);
    free(value);
    free(id);
    free(out);
    pfx_design_free(d);
    frame_source_free(&s);
}

/* Combined factors with many levels on both sides: as many levels as pairs that occur. */
static void many_pairs(void **state)
{
    (void)state;
    enum { A = 300, B = 70, L = A * B };
    static double a[L], b[L], c[L];
    for (int i = 0; i < L; i++) a[i] = i % A, b[i] = i / A, c[i] = (i % A + i / A) % 2;
    frame_source s;
    frame_source_init(&s, L, 999);
    frame_source_num(&s, "a", a);
    frame_source_num(&s, "b", b);
    frame_source_num(&s, "c", c);
    pfx_design *d = design_from(&s, "c ~ a + i(c^a) | a^b + c^b^c + c^a",
                                (pfx_dataset_options){.keep_singletons = true}, 0, true);
    assert_int_equal(d->absorbed[0].factor.n_levels, L);
    assert_string_equal(d->name[1], "c^a::1"); /* a power of two numbers beside combinations of levels */
    assert_int_equal(d->absorbed[1].factor.n_levels, 2 * B);
    for (int i = 0; i < L; i++) assert_int_equal(d->absorbed[0].factor.code[i], i);
    pfx_design_free(d);
    frame_source_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factor_columns),       cmocka_unit_test(roles),
        cmocka_unit_test(levels_of_the_sample), cmocka_unit_test(against_the_obvious),
        cmocka_unit_test(singleton_chain),      cmocka_unit_test(many_levels),
        cmocka_unit_test(many_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
