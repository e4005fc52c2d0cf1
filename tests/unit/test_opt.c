#include "tests/test.h"
#include "src/base/cpu.h"
#include "src/cmd/opt.h"

/* Parsing writes help to stdout only where asked; everything else is looked at through the struct. */
typedef struct options {
    pfx_common common;
    bool flag;
    const char *text;
    pfx_opt_list list, names;
    pfx_idx count;
    double real;
    size_t size;
    int choice;
} options;

static const char *const choices[] = {"one", "two", "three", NULL};
static const pfx_opt table[] = {
    {"flag", 0, PFX_OPT_FLAG, offsetof(options, flag), NULL, "a flag", NULL, "First"},
    {"output", 'o', PFX_OPT_TEXT, offsetof(options, text), "FILE", "a text", NULL, NULL},
    {"list", 0, PFX_OPT_LIST, offsetof(options, list), "TEXT", "a list", NULL, NULL},
    {"vars", 0, PFX_OPT_NAMES, offsetof(options, names), "NAMES", "names", NULL, "Second"},
    {"count", 'n', PFX_OPT_INT, offsetof(options, count), "N", "an integer", NULL, NULL},
    {"real", 0, PFX_OPT_REAL, offsetof(options, real), "X", "a number", NULL, NULL},
    {"size", 0, PFX_OPT_SIZE, offsetof(options, size), "SIZE", "a size", NULL, NULL},
    {"choice", 0, PFX_OPT_CHOICE, offsetof(options, choice), "WORD", "a choice", choices, NULL},
    {0},
};
static pfx_status no_run(int argc, char **argv, pfx_err *err)
{
    (void)argc, (void)argv, (void)err;
    return PFX_OK;
}
static const pfx_command command = {"try", "FILE [MORE]", "tries", table, no_run, NULL};

enum { MAX_POS = 2 };
typedef struct parsed {
    options o;
    const char *pos[MAX_POS];
    int n_pos;
    pfx_err err;
    pfx_status st;
} parsed;

static int n_words(char **words)
{
    int n = 0;
    while (words[n]) n++;
    return n;
}

static void parse(parsed *p, char **words)
{
    *p = (parsed){.o = {.count = 7, .real = 0.5}};
    p->st = pfx_opt_parse(&command, n_words(words), words, &p->o, 1, MAX_POS, p->pos, &p->n_pos, &p->err);
}
#define assert_parsed(p) test_assert_status((p).st, PFX_OK, &(p).err, "parse", __FILE__, __LINE__)
#define PARSE(...)                                                                                           \
    parsed p;                                                                                                \
    parse(&p, (char *[]){"try", __VA_ARGS__, NULL})

static void test_every_kind(void **state)
{
    (void)state;
    PARSE("in.h5", "--flag", "--output", "a b", "--list", "x, y", "--list=z", "--vars", " a, b", "--vars=c",
          "--count", "-3", "--real=-1e-3", "--size", "4K", "--choice", "two");
    assert_parsed(p);
    assert_int_equal(p.n_pos, 1);
    assert_string_equal(p.pos[0], "in.h5");
    assert_true(p.o.flag);
    assert_string_equal(p.o.text, "a b");
    assert_int_equal(p.o.list.n, 2);
    assert_string_equal(p.o.list.v[0], "x, y");
    assert_string_equal(p.o.list.v[1], "z");
    assert_int_equal(p.o.names.n, 3);
    assert_string_equal(p.o.names.v[0], "a");
    assert_string_equal(p.o.names.v[1], "b");
    assert_string_equal(p.o.names.v[2], "c");
    assert_int_equal(p.o.count, -3);
    assert_true(p.o.real == -1e-3);
    assert_int_equal(p.o.size, 4096);
    assert_int_equal(p.o.choice, 1);
    pfx_opt_cleanup();
}

static void test_exponents(void **state)
{
    (void)state;
    char *words[][2] = {
        {"1e6", "1000000"}, {"2.5E3", "2500"}, {"-1e2", "-100"}, {"9007199254740993", "9007199254740993"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        PARSE("a", "--count", words[i][0]);
        assert_parsed(p);
        assert_true(p.o.count == strtoll(words[i][1], NULL, 10));
        pfx_opt_cleanup();
    }
}

static void test_defaults_stay(void **state)
{
    (void)state;
    PARSE("in.h5");
    assert_parsed(p);
    assert_int_equal(p.o.count, 7);
    assert_true(p.o.real == 0.5);
    assert_null(p.o.text);
    assert_true(p.o.common.threads >= 1);
    assert_true(p.o.common.memory > 0);
    assert_non_null(p.o.common.tmpdir);
    assert_int_equal(p.o.common.isa, (int)pfx_cpu_best());
}

static void test_places_and_spellings(void **state)
{
    (void)state;
    char *ways[][6] = {{"try", "-o", "f", "a", "b", NULL},
                       {"try", "a", "-of", "b", NULL},
                       {"try", "a", "b", "--output=f", NULL},
                       {"try", "--output=f", "--", "a", "b", NULL}};
    for (int i = 0; i < 4; i++) {
        parsed p;
        parse(&p, ways[i]);
        assert_parsed(p);
        assert_int_equal(p.n_pos, 2);
        assert_string_equal(p.pos[0], "a");
        assert_string_equal(p.pos[1], "b");
        assert_string_equal(p.o.text, "f");
    }
}

static void test_after_the_dashes(void **state)
{
    (void)state;
    PARSE("--", "--flag", "-o");
    assert_parsed(p);
    assert_int_equal(p.n_pos, 2);
    assert_string_equal(p.pos[0], "--flag");
    assert_false(p.o.flag);
}

static void test_numbers_are_no_options(void **state)
{
    (void)state;
    PARSE("-1", "-.5");
    assert_parsed(p);
    assert_int_equal(p.n_pos, 2);
}

/* Each wrong line, and what its message must hold. */
static void test_wrong_lines(void **state)
{
    (void)state;
    static const struct {
        char *words[5];
        const char *says;
    } cases[] = {
        {{"try", "a", "--coutn", "3"}, "did you mean --count"},
        {{"try", "a", "--zzzzzz"}, "see panelfx try --help"},
        {{"try", "a", "--cou=3"}, "did you mean --count"},
        {{"try", "a", "-x"}, "unknown option -x"},
        {{"try", "a", "--count", "3x"}, "--count 3x: not a whole number"},
        {{"try", "a", "--count", "1.5e0"}, "--count 1.5e0: not a whole number"},
        {{"try", "a", "--count", "1e17"}, "--count 1e17: not a whole number"},
        {{"try", "a", "--count", "2.0"}, "--count 2.0: not a whole number"},
        {{"try", "a", "--count"}, "--count needs a value: --count N"},
        {{"try", "a", "--output", "--flag"}, "--output needs a value"},
        {{"try", "a", "--real", "1,5"}, "not a number"},
        {{"try", "a", "--size", "lots"}, "not a size"},
        {{"try", "a", "--choice", "four"}, "choose one of one, two, three"},
        {{"try", "a", "--flag=yes"}, "takes no value"},
        {{"try", "a", "--vars", "a,,b"}, "an empty name"},
        {{"try", "a", "--threads", "0"}, "--threads 0"},
        {{"try", "a", "--isa", "sparc"}, "choose one of portable"},
        {{"try", "a", "b", "c"}, "unexpected argument c; usage: panelfx try FILE [MORE]"},
        {{"try"}, "too few arguments; usage: panelfx try FILE [MORE]"},
        {{"try", "a", "--tmp", "/x"}, "unknown option --tmp"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        parsed p;
        parse(&p, (char **)cases[i].words);
        if (p.st != PFX_EUSAGE || !strstr(p.err.msg, cases[i].says))
            fail_msg("case %zu: status %d, \"%s\", want \"%s\"", i, (int)p.st, p.err.msg, cases[i].says);
        assert_null(strchr(p.err.msg, '\n'));
    }
    pfx_opt_cleanup();
}

static void test_too_many_in_a_list(void **state)
{
    (void)state;
    char *words[2 * 65 + 3] = {"try", "a"};
    for (int i = 0; i < 65; i++) {
        words[2 + 2 * i] = "--list";
        words[3 + 2 * i] = "x";
    }
    parsed p;
    parse(&p, words);
    assert_int_equal(p.st, PFX_EUSAGE);
    words[2 + 2 * 64] = NULL;
    parse(&p, words);
    assert_parsed(p);
    assert_int_equal(p.o.list.n, 64);
}

static void test_help_page(void **state)
{
    (void)state;
    pfx_str out = {0};
    pfx_opt_help(&command, &out);
    assert_false(out.failed);
    assert_non_null(strstr(out.s, "Usage: panelfx try FILE [MORE] [OPTIONS]\n"));
    for (const pfx_opt *o = table; o->name; o++) {
        char name[32];
        snprintf(name, sizeof name, "--%s", o->name);
        assert_non_null(strstr(out.s, name));
    }
    assert_non_null(strstr(out.s, "\nFirst:\n"));
    assert_non_null(strstr(out.s, "\nSecond:\n"));
    assert_non_null(strstr(out.s, "\nCommon options:\n"));
    assert_non_null(strstr(out.s, "  -o, --output FILE"));
    pfx_str_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind),       cmocka_unit_test(test_exponents),
        cmocka_unit_test(test_defaults_stay),    cmocka_unit_test(test_places_and_spellings),
        cmocka_unit_test(test_after_the_dashes), cmocka_unit_test(test_numbers_are_no_options),
        cmocka_unit_test(test_wrong_lines),      cmocka_unit_test(test_too_many_in_a_list),
        cmocka_unit_test(test_help_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
