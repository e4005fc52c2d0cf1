#include "tests/faults.h"
#include "tests/frame_source.h"

#include "src/base/mem.h"
#include "src/model/expr.h"

enum { N = 12 };
static const char *const unit[N] = {"a", "a", "a", "a", "b", "b", "b", "c", "d", "d", "d", "d"};
static const double year[N] = {2017, 2018, 2020, 2021, 2017, 2019, 2020, 2018, 2017, 2018, 2019, 2020};
static const double x[N] = {1, 2, -3, 4.5, NAN, 0, 7, 8, -9, INFINITY, 11, 12};
static const double y[N] = {2, 0, 5, NAN, -4, 3, .5, 8, 9, 1, -2, 1e10};
static const char *const prov[N] = {"Anhui", "Hebei", NULL,       "Anhui", "Gansu", "Gansu",
                                    "Hebei", "Anhui", "\"q\" \\", "Hebei", "Anhui", NULL};
static const char *const home[N] = {"Hebei", "Hebei", "Anhui", "Anhui", NULL,    "Tibet",
                                    "Hebei", "Gansu", "Gansu", "Hebei", "Gansu", "Gansu"};

static void make_source(frame_source *s, bool with_time)
{
    frame_source_init(s, N, 0);
    frame_source_cat(s, "unit", unit);
    frame_source_num(s, "year", year);
    frame_source_num(s, "x", x);
    frame_source_num(s, "y", y);
    frame_source_cat(s, "prov", prov);
    frame_source_cat(s, "home", home);
    frame_source_num(s, "odd name", y);
    frame_source_num(s, "\xe5\xb9\xb4", year); /* the character for year */
    frame_source_num(s, "ln.x_1", x);
    if (with_time) frame_source_panel(s, "unit", "year");
}

static pfx_status eval_in(bool with_time, const char *text, double out[N], pfx_err *err)
{
    frame_source s;
    pfx_expr *e = NULL;
    pfx_program *p = NULL;
    const pfx_frame *f;
    make_source(&s, with_time);
    pfx_row_source src = frame_source_open(&s, 0, NULL);
    pfx_status st = pfx_expr_parse("--where", text, &e, err);
    if (st == PFX_OK) st = pfx_expr_bind(e, "--where", src.n_cols, src.cols, &src.panel, &p, err);
    if (st == PFX_OK) {
        assert_int_equal(src.rewind(src.ctx, err), PFX_OK);
        assert_int_equal(src.next(src.ctx, &f, err), PFX_OK);
        double *scratch = malloc((size_t)pfx_program_scratch(p, N) * sizeof *scratch + 8);
        st = pfx_program_eval(p, f, scratch, out, err);
        free(scratch);
    }
    pfx_program_free(p);
    pfx_expr_free(e);
    frame_source_free(&s);
    return st;
}

static void expect_rows(const char *text, const double *want)
{
    pfx_err err = {0};
    double got[N];
    if (eval_in(true, text, got, &err) != PFX_OK) fail_msg("%s: %s", text, err.msg);
    for (int i = 0; i < N; i++)
        if (!test_rel_equal(got[i], want[i], 1e-15))
            fail_msg("%s: row %d is %g, not %g", text, i, got[i], want[i]);
}

/* The value of an expression of constants. */
static void expect_constant(const char *text, double want)
{
    double all[N];
    for (int i = 0; i < N; i++) all[i] = want;
    expect_rows(text, all);
}

static void precedence(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double want;
    } t[] = {
        {"1 + 2 * 3", 7},
        {"(1 + 2) * 3", 9},
        {"10 - 4 - 3", 3},
        {"12 / 3 / 2", 2},
        {"2 ^ 3 ^ 2", 512},
        {"-2^2", -4},
        {"(-2)^2", 4},
        {"2^-1", .5},
        {"-2^-2", -.25},
        {"- -3", 3},
        {"+3", 3},
        {"2 * -3", -6},
        {"7 %% 3", 1},
        {"-7 %% 3", 2},
        {"7 %% -3", -2},
        {"6 * 7 %% 4", 18},
        {"5.5 %% 2", 1.5},
        {"1 %% 0", NAN},
        {"1 + 1 == 2", 1},
        {"1 < 2", 1},
        {"2 <= 1", 0},
        {"1 != 1", 0},
        {"3 > 2", 1},
        {"2 >= 3", 0},
        {"!1 == 2", 1},
        {"!(1 == 1)", 0},
        {"!!5", 1},
        {"1 | 0 & 0", 1},
        {"(1 | 0) & 0", 0},
        {"!0 & 0", 0},
        {"1 || 0 && 0", 1},
        {"0 == 1 | 2 > 1", 1},
        {"1e3 + .5", 1000.5},
        {"2.", 2},
        {"1.5E-1", .15},
        {"3 in (1, 2, 3)", 1},
        {"4 in (1, 2, 3)", 0},
        {"-1 in (-1)", 1},
        {"1 + 1 in (2)", 1},
        {"log(exp(2))", 2},
        {"log2(8)", 3},
        {"log10(1000)", 3},
        {"log1p(0)", 0},
        {"expm1(0)", 0},
        {"sqrt(16)", 4},
        {"abs(-3)", 3},
        {"sign(-3)", -1},
        {"floor(-1.5)", -2},
        {"ceil(1.2)", 2},
        {"round(2.5)", 2},
        {"round(3.5)", 4},
        {"round(3.14159, 2)", 3.14},
        {"round(1234, -2)", 1200},
        {"min(3, 1, 2)", 1},
        {"max(3, 1, 2)", 3},
        {"min(7)", 7},
        {"pow(2, 10)", 1024},
        {"if(1, 2, 3)", 2},
        {"if(0, 2, 3)", 3},
        {"missing(1)", 0},
        {"missing(0/0)", 1},
        {"log(0)", NAN},
        {"log(-1)", NAN},
        {"sqrt(-1)", NAN},
        {"log1p(-1)", NAN},
        {"1/0", INFINITY},
        {"if(0/0, 1, 2)", NAN},
        {"0/0 == 0/0", NAN},
        {"!(0/0)", NAN},
        {"0/0 & 0", 0},
        {"0/0 & 1", NAN},
        {"0/0 | 1", 1},
        {"0/0 | 0", NAN},
        {"0/0 | 0/0", NAN},
        {"min(1, 0/0)", NAN},
        {"(0/0)^0", NAN},
        {"0/0 in (1)", NAN},
    };
    for (size_t k = 0; k < sizeof t / sizeof *t; k++) expect_constant(t[k].text, t[k].want);
}

static void columns(void **state)
{
    (void)state;
    double want[N];
    for (int i = 0; i < N; i++) want[i] = x[i] + 2 * y[i];
    expect_rows("x + 2*y", want);
    expect_rows("ln.x_1+2 * `odd name`", want);
    for (int i = 0; i < N; i++) want[i] = year[i] >= 2018 && year[i] < 2020;
    expect_rows("year >= 2018 & \xe5\xb9\xb4 < 2020", want);
    for (int i = 0; i < N; i++) want[i] = isnan(x[i]);
    expect_rows("missing(x)", want);
    for (int i = 0; i < N; i++) want[i] = x[i] > 0 ? log(x[i]) : NAN;
    expect_rows("log(x)", want);
    for (int i = 0; i < N; i++) want[i] = isnan(x[i]) || isnan(y[i]) ? NAN : fmax(x[i], y[i]);
    expect_rows("max(x, y)", want);
    expect_rows("x", x);
}

static void categories(void **state)
{
    (void)state;
    double want[N];
    for (int i = 0; i < N; i++) want[i] = prov[i] ? strcmp(prov[i], "Anhui") == 0 : NAN;
    expect_rows("prov == \"Anhui\"", want);
    expect_rows("\"Anhui\" == prov", want);
    expect_rows("!(prov != \"Anhui\")", want);
    expect_rows("prov in (\"Anhui\")", want);
    for (int i = 0; i < N; i++)
        want[i] = prov[i] ? strcmp(prov[i], "Anhui") == 0 || strcmp(prov[i], "Hebei") == 0 : NAN;
    expect_rows("prov in (\"Anhui\", \"Hebei\")", want);
    for (int i = 0; i < N; i++) want[i] = prov[i] ? strcmp(prov[i], "\"q\" \\") == 0 : NAN;
    expect_rows("prov == \"\\\"q\\\" \\\\\"", want);
    for (int i = 0; i < N; i++) want[i] = prov[i] && home[i] ? strcmp(prov[i], home[i]) == 0 : NAN;
    expect_rows("prov == home", want);
    expect_rows("home == prov", want);
    for (int i = 0; i < N; i++) want[i] = prov[i] ? 0 : NAN;
    expect_rows("prov == \"Anhi\"", want); /* no such level: warned about, equal to nothing */
    for (int i = 0; i < N; i++) want[i] = !prov[i];
    expect_rows("missing(prov)", want);
    static const double before[N] = {NAN, 1, NAN, NAN, NAN, NAN, 0, NAN, NAN, 0, 0, 1};
    expect_rows("l(prov) == \"Anhui\"", before);
}

/* The obvious twin: look for the row of the same unit at time t - k. */
static double lag_of(const double *v, int i, double k)
{
    for (int j = 0; j < N; j++)
        if (strcmp(unit[j], unit[i]) == 0 && year[j] == year[i] - k) return v[j];
    return NAN;
}

static void lags(void **state)
{
    (void)state;
    double want[N], diff[N];
    char text[64];
    for (int k = -4; k <= 4; k++) {
        for (int i = 0; i < N; i++) want[i] = lag_of(x, i, k), diff[i] = x[i] - want[i];
        snprintf(text, sizeof text, "l(x, %d)", k);
        expect_rows(text, want);
        snprintf(text, sizeof text, "f(x, %d)", -k);
        expect_rows(text, want);
        snprintf(text, sizeof text, "d(x, %d)", k);
        expect_rows(text, diff);
        snprintf(text, sizeof text, "1 + (x - l(x + 0, %d)) - 1", k);
        if (k == 1) expect_rows(text, diff);
    }
    for (int i = 0; i < N; i++) want[i] = lag_of(x, i, 1);
    expect_rows("l(x)", want);
    for (int i = 0; i < N; i++) diff[i] = lag_of(want, i, 1); /* over a gap both steps must exist */
    expect_rows("l(l(x))", diff);
    for (int i = 0; i < N; i++) diff[i] = x[i] - want[i];
    for (int i = 0; i < N; i++) want[i] = diff[i] - lag_of(diff, i, 1);
    expect_rows("d(d(x))", want);
}

static void expect_error(const char *text, const char *message)
{
    pfx_err err = {0};
    double out[N];
    pfx_status st = eval_in(true, text, out, &err);
    if (st != PFX_EUSAGE) fail_msg("%s: status %d, %s", text, st, err.msg);
    if (!strstr(err.msg, message)) fail_msg("%s: '%s' does not say '%s'", text, err.msg, message);
}

static void errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } t[] = {
        {"x + ", "the text ends at column 5: a column, a number or '(' was expected"},
        {"x + * y", "'*' at column 5"},
        {"(x + y", "the text ends at column 7: ')' was expected"},
        {"x y", "'y' at column 3"},
        {"", "the text ends at column 1"},
        {"x = 3", "'=' at column 3: equality is written =="},
        {"prov == 'Anhui'", "''' at column 9: texts stand in double quotes"},
        {"prov == \"Anhui", "the closing \" is missing"},
        {"\xe5\xb9\xb4 + $", "'$' at column 5"},
        {"2x", "'2x' at column 1"},
        {"1 < 2 < 3", "'<' at column 7: comparisons do not chain"},
        {"yeer > 2", "--where: no column 'yeer' (at column 1): did you mean 'year'?"},
        {"lgo(x)", "'lgo' at column 1: no such function, did you mean 'log'?"},
        {"log(x, y)", "'log' at column 1: takes 1 argument, not 2"},
        {"round(x, 1, 2)", "takes 1 to 2 arguments, not 3"},
        {"if(1, 2)", "takes 3 arguments, not 2"},
        {"log()", "takes 1 argument, not 0"},
        {"prov + 1", "'prov' at column 1 is a category (text) and a number is needed"},
        {"log(prov)", "'prov' at column 5"},
        {"x == \"Anhui\"", "\"Anhui\" at column 6"},
        {"prov == 3", "column 'prov' is a category (text) and is compared with a number at column 6"},
        {"prov < \"B\"", "'prov' at column 1"},
        {"prov in (1)", "compared with a number"},
        {"x in (\"a\")", "\"a\" at column 7"},
        {"x in ()", "the list is empty"},
        {"x in (y)", "at column 7: the list"},
        {"l(x, y)", "'l' at column 1: the number of periods"},
        {"l(x, 1.5)", "the number of periods"},
        {"\"a\" == \"b\"", "texts can only be compared"},
        {"x[1]", "'[' at column 2"},
        {"``", "an empty name"},
        {"`x", "the closing ` is missing"},
        {"1e999", "not a number that fits"},
        {"x ~ y", "'~' at column 3"},
        {"d(prov)", "'prov' at column 3"},
    };
    for (size_t k = 0; k < sizeof t / sizeof *t; k++) expect_error(t[k].text, t[k].message);
    pfx_err err = {0};
    double out[N];
    assert_int_equal(eval_in(false, "l(x)", out, &err), PFX_EUSAGE);
    assert_non_null(strstr(err.msg, "lags (at column 1) need a panel with time"));
}

/* Deep nesting ends in a message, wide expressions work up to the bound. */
static void nesting(void **state)
{
    (void)state;
    static const char *const open[] = {"(", "-", "!", "log(", "2^", "l("};
    for (size_t k = 0; k < sizeof open / sizeof *open; k++) {
        size_t n = strlen(open[k]);
        char *text = malloc(n * 100000 + 2);
        for (size_t i = 0; i < 100000; i++) memcpy(text + i * n, open[k], n);
        memcpy(text + n * 100000, "x", 2);
        expect_error(text, "nested deeper");
        free(text);
    }
    char wide[2 * 2000 + 2] = "1";
    for (int i = 0; i < 900; i++) strcat(wide, "+1");
    expect_constant(wide, 901);
    for (int i = 0; i < 200; i++) strcat(wide, "+1");
    expect_error(wide, "nested deeper");
}

/* ---- random trees: canonical text reads back, and the compiled program agrees with a tree walk ---- */

static uint64_t rng_state = 88172645463325252u;
static int rnd(int n)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return (int)(rng_state % (uint64_t)n);
}

static pfx_expr *random_tree(int depth)
{
    static const pfx_expr_op ops[] = {
        PFX_X_OR,  PFX_X_AND, PFX_X_NOT,  PFX_X_EQ,    PFX_X_NE,  PFX_X_LT,  PFX_X_LE,
        PFX_X_GT,  PFX_X_GE,  PFX_X_ADD,  PFX_X_SUB,   PFX_X_MUL, PFX_X_DIV, PFX_X_MOD,
        PFX_X_NEG, PFX_X_POW, PFX_X_SQRT, PFX_X_FLOOR, PFX_X_MIN, PFX_X_MAX, PFX_X_MISSING,
        PFX_X_IF,  PFX_X_LAG, PFX_X_LEAD, PFX_X_DIFF,  PFX_X_IN};
    static const char *const names[] = {"x", "y", "year", "odd name", "ln.x_1"};
    pfx_err err = {0};
    if (depth == 0 || rnd(6) == 0)
        return rnd(2) ? pfx_expr_number(rnd(9) * 0.5, 1, &err) : pfx_expr_name(names[rnd(5)], 1, &err);
    pfx_expr_op op = ops[rnd(sizeof ops / sizeof *ops)];
    int n = op == PFX_X_IF ? 3
            : op == PFX_X_NOT || op == PFX_X_NEG || op == PFX_X_SQRT || op == PFX_X_FLOOR ||
                    op == PFX_X_MISSING || op >= PFX_X_LAG
                ? 1
                : 2;
    pfx_expr *a[3];
    for (int i = 0; i < n; i++)
        a[i] = op == PFX_X_IN && i ? pfx_expr_number(rnd(5), 1, &err) : random_tree(depth - 1);
    pfx_expr *e = pfx_expr_node(op, 1, n, a, &err);
    if (op >= PFX_X_LAG) e->num = rnd(4);
    return e;
}

static double truth(double v)
{
    return v != v ? NAN : v != 0;
}

static double remainder_of(double a, double b)
{
    double r = fmod(a, b);
    if (r < 0 && b > 0) r += b;
    if (r > 0 && b < 0) r += b;
    return r == 0 ? 0 : r;
}

static double walk(const pfx_expr *e, int i)
{
    double a = NAN, b = NAN;
    if (e->op >= PFX_X_LAG) {
        double k = e->op == PFX_X_LEAD ? -e->num : e->num, lag = NAN;
        for (int j = 0; j < N; j++)
            if (strcmp(unit[j], unit[i]) == 0 && year[j] == year[i] - k) lag = walk(e->args[0], j);
        return e->op == PFX_X_DIFF ? walk(e->args[0], i) - lag : lag;
    }
    if (e->n_args > 0) a = walk(e->args[0], i);
    if (e->n_args > 1) b = walk(e->args[1], i);
    bool na = isnan(a) || isnan(b);
    switch (e->op) {
    case PFX_X_NUM:
        return e->num;
    case PFX_X_NAME:
        return strcmp(e->text, "year") == 0 ? year[i] : e->text[0] == 'x' || e->text[0] == 'l' ? x[i] : y[i];
    case PFX_X_OR:
        return truth(a) == 1 || truth(b) == 1 ? 1 : na ? NAN : 0;
    case PFX_X_AND:
        return truth(a) == 0 || truth(b) == 0 ? 0 : na ? NAN : 1;
    case PFX_X_NOT:
        return isnan(a) ? NAN : a == 0;
    case PFX_X_EQ:
    case PFX_X_IN:
        return na ? NAN : a == b;
    case PFX_X_NE:
        return na ? NAN : a != b;
    case PFX_X_LT:
        return na ? NAN : a < b;
    case PFX_X_LE:
        return na ? NAN : a <= b;
    case PFX_X_GT:
        return na ? NAN : a > b;
    case PFX_X_GE:
        return na ? NAN : a >= b;
    case PFX_X_ADD:
        return a + b;
    case PFX_X_SUB:
        return a - b;
    case PFX_X_MUL:
        return a * b;
    case PFX_X_DIV:
        return a / b;
    case PFX_X_MOD:
        return remainder_of(a, b);
    case PFX_X_NEG:
        return -a;
    case PFX_X_POW:
        return na ? NAN : pow(a, b);
    case PFX_X_SQRT:
        return sqrt(a);
    case PFX_X_FLOOR:
        return floor(a);
    case PFX_X_MIN:
        return na ? NAN : fmin(a, b);
    case PFX_X_MAX:
        return na ? NAN : fmax(a, b);
    case PFX_X_MISSING:
        return isnan(a);
    default:
        return isnan(a) ? NAN : a != 0 ? b : walk(e->args[2], i); /* IF */
    }
}

static bool tree_equal(const pfx_expr *a, const pfx_expr *b)
{
    if (a->op != b->op || a->n_args != b->n_args || a->num != b->num) return false;
    if (a->text && strcmp(a->text, b->text) != 0) return false;
    for (int i = 0; i < a->n_args; i++)
        if (!tree_equal(a->args[i], b->args[i])) return false;
    return true;
}

static void random_trees(void **state)
{
    (void)state;
    for (int rep = 0; rep < 5000; rep++) {
        pfx_err err = {0};
        pfx_expr *e = random_tree(1 + rep % 6), *back = NULL;
        char *text = pfx_expr_text(e, &err);
        assert_non_null(text);
        if (pfx_expr_parse("test", text, &back, &err) != PFX_OK) fail_msg("%s: %s", text, err.msg);
        if (!tree_equal(e, back)) fail_msg("%s reads back as another tree", text);
        double got[N];
        if (eval_in(true, text, got, &err) != PFX_OK) fail_msg("%s: %s", text, err.msg);
        for (int i = 0; i < N; i++) {
            double want = walk(e, i);
            if (!test_rel_equal(got[i], want, 1e-9))
                fail_msg("%s: row %d: %.17g, by walking the tree %.17g", text, i, got[i], want);
        }
        pfx_mem_free(text);
        pfx_expr_free(e);
        pfx_expr_free(back);
    }
}

/* Random token soup must end in a status, never in a crash. */
static void random_strings(void **state)
{
    (void)state;
    static const char *const bits[] = {"x",
                                       "y",
                                       "prov",
                                       "home",
                                       "unit",
                                       " ",
                                       "(",
                                       ")",
                                       ",",
                                       "+",
                                       "-",
                                       "*",
                                       "/",
                                       "^",
                                       "%%",
                                       "==",
                                       "!=",
                                       "<",
                                       "<=",
                                       "&",
                                       "&&",
                                       "|",
                                       "!",
                                       "in",
                                       "\"Anhui\"",
                                       "\"",
                                       "`",
                                       "1",
                                       "2.5",
                                       "1e",
                                       "log(",
                                       "l(",
                                       "d(",
                                       "if(",
                                       "min(",
                                       "missing(",
                                       "\xe5\xb9\xb4",
                                       "\xe5",
                                       "=",
                                       "~",
                                       "[",
                                       "]",
                                       ":",
                                       "round(x,1)",
                                       "prov in (",
                                       "l(prov)"};
    size_t used = pfx_mem_now();
    int fine = 0;
    for (int rep = 0; rep < 30000; rep++) {
        char text[600] = "";
        int n = 1 + rnd(14);
        for (int i = 0; i < n; i++) strcat(text, bits[rnd(sizeof bits / sizeof *bits)]);
        pfx_err err = {0};
        double out[N];
        pfx_status st = eval_in(rep & 1, text, out, &err);
        assert_true(st == PFX_OK || (st == PFX_EUSAGE && err.msg[0]));
        fine += st == PFX_OK;
    }
    assert_true(fine > 100);
    assert_int_equal(pfx_mem_now(), used);
}

static void allocation_failures(void **state)
{
    (void)state;
    test_faults f = {0};
    while (test_faults_next(&f)) {
        pfx_err err = {0};
        double out[N];
        pfx_status st = eval_in(true,
                                "if(l(x, 2) > 3 & prov == home, min(x, y, 3), d(y)) + (year in (2018, 2019)) "
                                "^ 2 - log(`odd name`)",
                                out, &err);
        test_faults_done(&f, st);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precedence),
        cmocka_unit_test(columns),
        cmocka_unit_test(categories),
        cmocka_unit_test(lags),
        cmocka_unit_test(errors),
        cmocka_unit_test(nesting),
        cmocka_unit_test(random_trees),
        cmocka_unit_test(random_strings),
        cmocka_unit_test(allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
