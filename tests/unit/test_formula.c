#include "tests/faults.h"

#include "src/base/mem.h"
#include "src/model/expr.h"
#include "src/model/formula.h"

/* A formula, and the models it expands into. */
static void expands(const char *text, int n, const char *const *models)
{
    pfx_formula *f;
    pfx_err err = {0};
    if (pfx_formula_parse(text, &f, &err) != PFX_OK) fail_msg("%s: %s", text, err.msg);
    assert_string_equal(f->text, text);
    for (int m = 0; m < f->n_models && m < n; m++)
        if (strcmp(f->models[m].text, models[m]) != 0)
            fail_msg("%s: model %d is '%s', not '%s'", text, m, f->models[m].text, models[m]);
    if (f->n_models != n) fail_msg("%s: %d models, not %d", text, f->n_models, n);
    /* the canonical text of a model is a formula of that one model */
    for (int m = 0; m < n; m++) {
        pfx_formula *again;
        if (pfx_formula_parse(models[m], &again, &err) != PFX_OK) fail_msg("%s: %s", models[m], err.msg);
        assert_int_equal(again->n_models, 1);
        assert_string_equal(again->models[0].text, models[m]);
        assert_int_equal(again->models[0].intercept, f->models[m].intercept);
        pfx_formula_free(again);
    }
    pfx_formula_free(f);
}
#define EXPANDS(text, ...)                                                                                   \
    do {                                                                                                     \
        static const char *const m[] = {__VA_ARGS__};                                                        \
        expands((text), (int)(sizeof m / sizeof *m), m);                                                     \
    } while (0)

static void single_models(void **state)
{
    (void)state;
    EXPANDS("y ~ x1 + x2 | firm + year", "y ~ x1 + x2 | firm + year");
    EXPANDS("y~x1+x2|firm+year", "y ~ x1 + x2 | firm + year");
    EXPANDS("y ~ x", "y ~ x");
    EXPANDS("y ~ 1", "y ~ 1");
    EXPANDS("y ~ 1 + x", "y ~ x");
    EXPANDS("y ~ x - 1", "y ~ x - 1");
    EXPANDS("y ~ 0 + x", "y ~ x - 1");
    EXPANDS("y ~ -1 + x", "y ~ x - 1");
    EXPANDS("y ~ 0", "y ~ 0");
    EXPANDS("y ~ 1 | firm", "y ~ 1 | firm");
    EXPANDS("y ~ x | 0", "y ~ x");
    EXPANDS("log(y) ~ x", "log(y) ~ x");
    EXPANDS("y - z/2 ~ x", "y - z / 2 ~ x");
    EXPANDS("y ~ x + x + z + x", "y ~ x + z");
    EXPANDS("`odd y` ~ `a b`:\xe5\xb9\xb4", "`odd y` ~ `a b`:\xe5\xb9\xb4");
}

static void interactions(void **state)
{
    (void)state;
    EXPANDS("y ~ a:b", "y ~ a:b");
    EXPANDS("y ~ a*b", "y ~ a + b + a:b");
    EXPANDS("y ~ a*b + c", "y ~ a + b + c + a:b");
    EXPANDS("y ~ a*b*c", "y ~ a + b + c + a:b + a:c + b:c + a:b:c");
    EXPANDS("y ~ a:b + b:a", "y ~ a:b");
    EXPANDS("y ~ a:a", "y ~ a");
    EXPANDS("y ~ (a + b):c", "y ~ a:c + b:c");
    EXPANDS("y ~ (a + b)*c", "y ~ a + b + c + a:c + b:c");
    EXPANDS("y ~ a*b:c", "y ~ a + b:c + a:b:c");
    EXPANDS("y ~ x^2 + x", "y ~ I(x^2) + x");
    EXPANDS("y ~ x^2 + I(x^2)", "y ~ I(x^2)");
    EXPANDS("y ~ a:x^2", "y ~ a:I(x^2)");
    EXPANDS("y ~ I(a*b + 1) + log(a):b", "y ~ I(a * b + 1) + log(a):b");
    EXPANDS("y ~ I(a | b)", "y ~ I(a | b)");
    EXPANDS("y ~ if(a > 1, b, 0)", "y ~ if(a > 1, b, 0)");
}

static void factors_and_lags(void **state)
{
    (void)state;
    EXPANDS("y ~ i(year)", "y ~ i(year)");
    EXPANDS("y ~ i(year, ref = 2019)", "y ~ i(year, ref = 2019)");
    EXPANDS("y ~ i(year,ref=-1)", "y ~ i(year, ref = -1)");
    EXPANDS("y ~ i(prov, ref=\"Anhui\")", "y ~ i(prov, ref = Anhui)");
    EXPANDS("y ~ i(prov, ref=\"Inner Mongolia\")", "y ~ i(prov, ref = \"Inner Mongolia\")");
    EXPANDS("y ~ i(year, x, ref = c(2018, 2019))", "y ~ i(year, x, ref = c(2018, 2019))");
    EXPANDS("y ~ z:w + i(year, x)", "y ~ i(year, x) + z:w");
    EXPANDS("y ~ i(year):x", "y ~ i(year):x");
    EXPANDS("y ~ i(ref)", "y ~ i(ref)");
    EXPANDS("y ~ l(x)", "y ~ l(x, 1)");
    EXPANDS("y ~ l(x, 1:3)", "y ~ l(x, 1) + l(x, 2) + l(x, 3)");
    EXPANDS("y ~ l(x, 0:1) + x", "y ~ x + l(x, 1)");
    EXPANDS("y ~ l(x, -1:1)", "y ~ l(x, -1) + x + l(x, 1)");
    EXPANDS("y ~ f(x, c(1, 3)) + d(x)", "y ~ f(x, 1) + f(x, 3) + d(x, 1)");
    EXPANDS("y ~ l(log(x), 1:2):z", "y ~ l(log(x), 1):z + l(log(x), 2):z");
    EXPANDS("d(y) ~ l(d(x), 2)", "d(y, 1) ~ l(d(x, 1), 2)");
    EXPANDS("l ~ f + d", "l ~ f + d");
}

static void effects(void **state)
{
    (void)state;
    EXPANDS("y ~ x | industry^year + firm", "y ~ x | industry^year + firm");
    EXPANDS("y ~ x | industry:year", "y ~ x | industry^year");
    EXPANDS("y ~ x | firm + firm", "y ~ x | firm");
    EXPANDS("y ~ x | firm[z, w] + year", "y ~ x | firm[z, w] + year");
    EXPANDS("y ~ x | firm[[z]]", "y ~ x | firm[[z]]");
    EXPANDS("y ~ x | firm + firm[[z]]", "y ~ x | firm[z]");
    EXPANDS("y ~ x | firm[z, z]", "y ~ x | firm[z]");
    EXPANDS("y ~ x | a^b[log(z)]", "y ~ x | a^b[log(z)]");
    EXPANDS("y ~ x | floor(year/5)^a", "y ~ x | floor(year / 5)^a");
    EXPANDS("y ~ x | (year + 1)", "y ~ x | (year + 1)");
}

static void several_models(void **state)
{
    (void)state;
    EXPANDS("c(TS, MD) ~ x", "TS ~ x", "MD ~ x");
    EXPANDS("y ~ sw(a, b + c)", "y ~ a", "y ~ b + c");
    EXPANDS("y ~ x + sw0(a, b) + z", "y ~ x + z", "y ~ x + a + z", "y ~ x + b + z");
    EXPANDS("y ~ csw(a, b, c)", "y ~ a", "y ~ a + b", "y ~ a + b + c");
    EXPANDS("y ~ csw0(a, b) - 1", "y ~ 0", "y ~ a - 1", "y ~ a + b - 1");
    EXPANDS("y ~ x | csw0(firm, year)", "y ~ x", "y ~ x | firm", "y ~ x | firm + year");
    EXPANDS("y ~ x | firm + sw(year, ind^year)", "y ~ x | firm + year", "y ~ x | firm + ind^year");
    EXPANDS("c(u, v) ~ sw(a, b) | sw(f, g)", "u ~ a | f", "v ~ a | f", "u ~ b | f", "v ~ b | f", "u ~ a | g",
            "v ~ a | g", "u ~ b | g", "v ~ b | g");
    EXPANDS("sw ~ csw", "sw ~ csw");
}

static void instruments(void **state)
{
    (void)state;
    EXPANDS("y ~ x | firm + year | IDC ~ Bartik", "y ~ x | firm + year | IDC ~ Bartik");
    EXPANDS("y ~ x | d ~ z", "y ~ x | d ~ z");
    EXPANDS("y ~ 1 | d1 + d2 ~ z1 + z2*z3", "y ~ 1 | d1 + d2 ~ z1 + z2 + z3 + z2:z3");
    EXPANDS("y ~ x | c(d1, d2) ~ z1 + z2", "y ~ x | d1 + d2 ~ z1 + z2");
    EXPANDS("y ~ x | firm[z | w] | d ~ log(z)", "y ~ x | firm[z | w] | d ~ log(z)");
}

static void trees(void **state)
{
    (void)state;
    pfx_formula *f;
    pfx_err err = {0};
    assert_ok(pfx_formula_parse(
        "y ~ i(year, x, ref = c(2018, \"b c\")) + prov:z | ind^year[w] + firm[[v]] | d ~ q", &f, &err));
    const pfx_model_spec *m = &f->models[0];
    assert_int_equal(m->n_terms, 2);
    assert_int_equal(m->terms[0].n_pieces, 2);
    assert_true(m->terms[0].pieces[0].is_factor && m->terms[0].pieces[0].all_levels);
    assert_string_equal(m->terms[0].pieces[0].text, "year");
    assert_int_equal(m->terms[0].pieces[0].n_refs, 2);
    assert_string_equal(m->terms[0].pieces[0].refs[0], "2018");
    assert_string_equal(m->terms[0].pieces[0].refs[1], "b c");
    assert_false(m->terms[0].pieces[1].is_factor);
    assert_false(m->terms[1].pieces[0].is_factor);
    assert_int_equal(m->n_absorbed, 2);
    assert_int_equal(m->absorbed[0].factor.n_vars, 2);
    assert_true(m->absorbed[0].intercept);
    assert_int_equal(m->absorbed[0].n_slopes, 1);
    assert_false(m->absorbed[1].intercept);
    assert_string_equal(m->absorbed[1].slope_text[0], "v");
    assert_string_equal(m->outcome_text, "y");
    assert_int_equal(m->n_endogenous, 1);
    assert_int_equal(m->n_instruments, 1);
    pfx_formula_free(f);

    pfx_factor_spec s;
    assert_ok(pfx_factor_parse("--cluster", "industry : year", &s, &err));
    assert_string_equal(s.text, "industry^year");
    pfx_factor_spec_free(&s);
    assert_fails(pfx_factor_parse("--cluster", "firm +", &s, &err), PFX_EUSAGE, "--cluster: '+' at column 6");
    assert_fails(pfx_factor_parse("--cluster", "", &s, &err), PFX_EUSAGE,
                 "--cluster: the text ends at column 1");
}

static void errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } t[] = {
        {"", "formula: the text ends at column 1"},
        {"y", "the text ends at column 2: '~' was expected"},
        {"y ~", "the text ends at column 4: a column"},
        {"~ x", "'~' at column 1"},
        {"y ~ x +", "the text ends at column 8"},
        {"y ~ x )", "')' at column 7: '+', '|' or the end"},
        {"y ~ (x", "the text ends at column 7: ')' was expected"},
        {"y ~ x z", "'z' at column 7"},
        {"y ~ x / 2", "'/' at column 7: arithmetic among regressors stands in I(..)"},
        {"y ~ x %% 2", "'%%' at column 7: arithmetic"},
        {"y ~ x - z", "'z' at column 9: only the constant can be taken out"},
        {"y ~ 2", "'2' at column 5: only 0 and 1"},
        {"y ~ x:2", "'2' at column 7: a column"},
        {"y ~ x^z", "'z' at column 7: a number"},
        {"y ~ (a + b)^2", "only a single column has powers"},
        {"y ~ \xe5\xb9\xb4 + ,", "',' at column 9"},
        {"y ~ fooo(x)", "'fooo' at column 5: no such function"},
        {"y ~ factor(x)", "'factor' at column 5: factors are written i(..)"},
        {"y ~ i(x", "the text ends at column 8"},
        {"y ~ i(x, ref = )", "')' at column 16: a reference level"},
        {"y ~ i(x, a, b)", "'b' at column 13: i() takes"},
        {"y ~ i(x, ref = 1, ref = 2)", "'ref' at column 19: ref is given twice"},
        {"y ~ l(x, z)", "'z' at column 10: a whole number"},
        {"y ~ l(x, 1.5)", "'1.5' at column 10: a whole number"},
        {"y ~ l(x, 1:5000)", "too many distances"},
        {"y ~ sw(a, b) + sw(c, d)", "'sw' at column 16: only one"},
        {"y ~ x:sw(a, b)", "'sw' at column 7: stepwise"},
        {"y ~ sw(a, )", "')' at column 11"},
        {"y ~ x | firm*year", "'*' at column 13: effects are combined by ^"},
        {"y ~ x | 1", "'1' at column 9: an effect is a column"},
        {"y ~ x | firm[", "the text ends at column 14"},
        {"y ~ x | firm[[z]", "']' was expected"},
        {"y ~ x | firm | cl", "'cl' at column 16: instruments were expected"},
        {"y ~ x | firm |", "the text ends at column 15"},
        {"y ~ x | firm | d ~", "the text ends at column 19"},
        {"y ~ x | d ~ z | firm", "'|' at column 15"},
        {"c(y, ) ~ x", "')' at column 6"},
        {"y ~ x | \"a\"", "'\"a\"' at column 9"},
        {"y ~ x |", "the text ends at column 8"},
        {"y ~ a*b*c*d*e*f*g*h*i*j*k*l*m*n*o*p*q", "more than 20000 terms"},
        {"y = x", "'=' at column 3"},
    };
    for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
        pfx_formula *f;
        pfx_err err = {0};
        pfx_status st = pfx_formula_parse(t[k].text, &f, &err);
        if (st != PFX_EUSAGE || f) fail_msg("'%s': status %d, %s", t[k].text, st, err.msg);
        if (!strstr(err.msg, t[k].message))
            fail_msg("'%s': '%s' does not say '%s'", t[k].text, err.msg, t[k].message);
    }
    pfx_formula *f;
    char deep[20000] = "y ~ ";
    for (int i = 0; i < 9000; i++) strcat(deep, "(");
    assert_int_equal(pfx_formula_parse(deep, &f, NULL), PFX_EUSAGE);
}

static uint64_t rng_state = 88172645463325252u;
static int rnd(int n)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return (int)(rng_state % (uint64_t)n);
}

/* Random token soup ends in a status; what parses prints as something that parses to the same text. */
static void random_strings(void **state)
{
    (void)state;
    static const char *const bits[] = {
        "x",          "y",    "z",  "a",     " + ",   "+",      ":",        "*",  "|",       "~",
        "(",          ")",    "-1", "0",     "1",     "2",      "^",        "^2", "[",       "[[",
        "]",          "]]",   ",",  "=",     "i(",    "I(",     "l(x,1:2)", "l(", "sw(a,b)", "csw(",
        "csw0(a, b)", "ref=", "c(", "\"t\"", "`q r`", "log(x)", "d(",       "&",  "/",       "\xe5\xb9\xb4",
        "\xff",       "-",    "in"};
    size_t used = pfx_mem_now();
    int fine = 0;
    for (int rep = 0; rep < 60000; rep++) {
        char text[600] = "";
        int n = 1 + rnd(12);
        if (rep & 1) strcat(text, "y ~ x");
        for (int i = 0; i < n; i++) strcat(text, bits[rnd(sizeof bits / sizeof *bits)]);
        pfx_err err = {0};
        pfx_formula *f, *again;
        pfx_status st = pfx_formula_parse(text, &f, &err);
        assert_true(st == PFX_OK || (st == PFX_EUSAGE && err.msg[0] && !f));
        if (st != PFX_OK) continue;
        fine++;
        for (int m = 0; m < f->n_models; m++) {
            if (pfx_formula_parse(f->models[m].text, &again, &err) != PFX_OK)
                fail_msg("'%s' gives '%s': %s", text, f->models[m].text, err.msg);
            if (strcmp(again->models[0].text, f->models[m].text) != 0)
                fail_msg("'%s' gives '%s' gives '%s'", text, f->models[m].text, again->models[0].text);
            pfx_formula_free(again);
        }
        pfx_formula_free(f);
    }
    assert_true(fine > 300);
    assert_int_equal(pfx_mem_now(), used);
}

static void allocation_failures(void **state)
{
    (void)state;
    test_faults faults = {0};
    while (test_faults_next(&faults)) {
        pfx_formula *f;
        pfx_err err = {0};
        pfx_status st = pfx_formula_parse("c(log(u), v) ~ a*b + x^2 + I(a+b) + i(t, x, ref = c(1, \"two\")) "
                                          "+ sw0(l(x, 0:2), z) | f^g[x, w] + f^g[[q]] + csw(k, m) | d ~ z*q",
                                          &f, &err);
        if (st == PFX_OK)
            assert_int_equal(f->n_models, 12);
        else
            assert_null(f);
        pfx_formula_free(f);
        test_faults_done(&faults, st);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_models),
        cmocka_unit_test(interactions),
        cmocka_unit_test(factors_and_lags),
        cmocka_unit_test(effects),
        cmocka_unit_test(several_models),
        cmocka_unit_test(instruments),
        cmocka_unit_test(trees),
        cmocka_unit_test(errors),
        cmocka_unit_test(random_strings),
        cmocka_unit_test(allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
