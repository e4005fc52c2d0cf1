/* Trees of expressions: nodes, copies, canonical text. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/model/expr_private.h"
#include "src/model/lexer.h"

#define MANY 1000 /* arguments of min and max */

static const pfx_function functions[] = {
    {"log", PFX_X_LOG, 1, 1},
    {"log2", PFX_X_LOG2, 1, 1},
    {"log10", PFX_X_LOG10, 1, 1},
    {"log1p", PFX_X_LOG1P, 1, 1},
    {"exp", PFX_X_EXP, 1, 1},
    {"expm1", PFX_X_EXPM1, 1, 1},
    {"sqrt", PFX_X_SQRT, 1, 1},
    {"abs", PFX_X_ABS, 1, 1},
    {"sign", PFX_X_SIGN, 1, 1},
    {"floor", PFX_X_FLOOR, 1, 1},
    {"ceil", PFX_X_CEIL, 1, 1},
    {"round", PFX_X_ROUND, 1, 2},
    {"min", PFX_X_MIN, 1, MANY},
    {"max", PFX_X_MAX, 1, MANY},
    {"pow", PFX_X_POW, 2, 2},
    {"missing", PFX_X_MISSING, 1, 1},
    {"if", PFX_X_IF, 3, 3},
    {"l", PFX_X_LAG, 1, 2},
    {"f", PFX_X_LEAD, 1, 2},
    {"d", PFX_X_DIFF, 1, 2},
    {"rollmean", PFX_X_ROLL_MEAN, 2, 2},
    {"rollsd", PFX_X_ROLL_SD, 2, 2},
    {"mean", PFX_X_GROUP_MEAN, 1, MANY},
    {"sum", PFX_X_GROUP_SUM, 1, MANY},
    {"count", PFX_X_GROUP_COUNT, 1, MANY},
    {"sd", PFX_X_GROUP_SD, 1, MANY},
    {"loo", PFX_X_GROUP_LOO, 1, MANY},
    {"share", PFX_X_GROUP_SHARE, 1, MANY},
    {"rank", PFX_X_GROUP_RANK, 1, MANY},
    {"growth", PFX_X_GROUP_GROWTH, 1, MANY},
};
enum { N_FUNCTIONS = sizeof functions / sizeof *functions };

const pfx_function *pfx_function_by_name(const char *name, size_t n)
{
    for (int i = 0; i < N_FUNCTIONS; i++)
        if (strlen(functions[i].name) == n && memcmp(functions[i].name, name, n) == 0) return &functions[i];
    return NULL;
}

const pfx_function *pfx_function_by_op(pfx_expr_op op)
{
    for (int i = 0; i < N_FUNCTIONS; i++)
        if (functions[i].op == op && op != PFX_X_POW) return &functions[i];
    return NULL;
}

int pfx_function_names(const char *const **names)
{
    static const char *const all[] = {
        "log",      "log2",   "log10", "log1p", "exp",   "expm1",   "sqrt", "abs",   "sign", "floor",
        "ceil",     "round",  "min",   "max",   "pow",   "missing", "if",   "l",     "f",    "d",
        "rollmean", "rollsd", "mean",  "sum",   "count", "sd",      "loo",  "share", "rank", "growth"};
    *names = all;
    return sizeof all / sizeof *all;
}

bool pfx_expr_has_periods(pfx_expr_op op)
{
    return op >= PFX_X_LAG && op <= PFX_X_ROLL_SD;
}

bool pfx_expr_is_group(pfx_expr_op op)
{
    return op >= PFX_X_GROUP_MEAN && op <= PFX_X_GROUP_GROWTH;
}

int pfx_expr_precedence(pfx_expr_op op)
{
    switch (op) {
    case PFX_X_OR:
        return 1;
    case PFX_X_AND:
        return 2;
    case PFX_X_NOT:
        return 3;
    case PFX_X_EQ:
    case PFX_X_NE:
    case PFX_X_LT:
    case PFX_X_LE:
    case PFX_X_GT:
    case PFX_X_GE:
    case PFX_X_IN:
        return 4;
    case PFX_X_ADD:
    case PFX_X_SUB:
        return 5;
    case PFX_X_MUL:
    case PFX_X_DIV:
        return 6;
    case PFX_X_MOD:
        return 7;
    case PFX_X_NEG:
        return 8;
    case PFX_X_POW:
        return 9;
    default:
        return 10;
    }
}

void pfx_expr_free(pfx_expr *e)
{
    if (!e) return;
    for (int i = 0; i < e->n_args; i++) pfx_expr_free(e->args[i]);
    pfx_mem_free(e->args);
    pfx_mem_free(e->text);
    pfx_mem_free(e);
}

pfx_expr *pfx_expr_node(pfx_expr_op op, int column, int n_args, pfx_expr **args, pfx_err *err)
{
    pfx_expr *e = pfx_mem_calloc(1, sizeof *e, err);
    pfx_expr **own = e && n_args ? pfx_mem_alloc(n_args, sizeof *own, err) : NULL;
    int depth = 0;
    for (int i = 0; i < n_args; i++)
        if (args[i]->depth > depth) depth = args[i]->depth;
    if (e && depth >= PFX_EXPR_MAX_DEPTH) {
        (void)pfx_fail(err, PFX_EUSAGE, "expression nested deeper than %d at column %d: cut it into parts",
                       PFX_EXPR_MAX_DEPTH, column);
        pfx_mem_free(own);
        own = NULL;
    }
    if (!e || (n_args && !own)) {
        for (int i = 0; i < n_args; i++) pfx_expr_free(args[i]);
        pfx_mem_free(e);
        return NULL;
    }
    if (n_args) memcpy(own, args, (size_t)n_args * sizeof *own);
    *e = (pfx_expr){.op = op, .column = column, .depth = depth + 1, .n_args = n_args, .args = own};
    return e;
}

pfx_expr *pfx_expr_number(double v, int column, pfx_err *err)
{
    pfx_expr *e = pfx_expr_node(PFX_X_NUM, column, 0, NULL, err);
    if (e) e->num = v;
    return e;
}

pfx_expr *pfx_expr_name(const char *name, int column, pfx_err *err)
{
    pfx_expr *e = pfx_expr_node(PFX_X_NAME, column, 0, NULL, err);
    if (e && !(e->text = pfx_mem_strdup(name, err))) {
        pfx_expr_free(e);
        return NULL;
    }
    return e;
}

pfx_expr *pfx_expr_shift(pfx_expr_op op, int column, pfx_expr *of, double k, pfx_err *err)
{
    pfx_expr *e = pfx_expr_node(op, column, 1, &of, err);
    if (e) e->num = k;
    return e;
}

pfx_expr *pfx_expr_clone(const pfx_expr *e, pfx_err *err)
{
    pfx_expr *c = pfx_expr_node(e->op, e->column, 0, NULL, err);
    if (!c) return NULL;
    c->num = e->num;
    c->depth = e->depth;
    if (e->text && !(c->text = pfx_mem_strdup(e->text, err))) goto fail;
    if (e->n_args && !(c->args = pfx_mem_calloc(e->n_args, sizeof *c->args, err))) goto fail;
    for (int i = 0; i < e->n_args; i++, c->n_args++)
        if (!(c->args[i] = pfx_expr_clone(e->args[i], err))) goto fail;
    return c;
fail:
    pfx_expr_free(c);
    return NULL;
}

static void print_quoted(pfx_str *s, const char *text, char q)
{
    char c[2] = {q, 0};
    pfx_str_add(s, c);
    for (; *text; text++) {
        if (q == '"' && (*text == '"' || *text == '\\')) pfx_str_add(s, "\\");
        pfx_str_addn(s, text, 1);
    }
    pfx_str_add(s, c);
}

void pfx_expr_print_number(double v, char out[32])
{
    for (int digits = 15; digits <= 17; digits++) {
        double back;
        int n = snprintf(out, 32, "%.*g", digits, v);
        if (pfx_text_double(out, (size_t)n, &back) && back == v) break;
    }
}

static void print_number(pfx_str *s, double v)
{
    char buf[32];
    pfx_expr_print_number(v, buf);
    pfx_str_add(s, buf);
}

static void print(pfx_str *s, const pfx_expr *e, int min_precedence);

static void print_list(pfx_str *s, const pfx_expr *e, int from)
{
    pfx_str_add(s, "(");
    for (int i = from; i < e->n_args; i++) {
        if (i > from) pfx_str_add(s, ", ");
        print(s, e->args[i], 0);
    }
}

static void print_call(pfx_str *s, const pfx_expr *e)
{
    pfx_str_add(s, pfx_function_by_op(e->op)->name);
    print_list(s, e, 0);
    if (pfx_expr_has_periods(e->op)) {
        pfx_str_add(s, ", ");
        print_number(s, e->num);
    }
    pfx_str_add(s, ")");
}

static void print_operator(pfx_str *s, const pfx_expr *e)
{
    static const char *const symbol[] = {
        [PFX_X_OR] = " | ",   [PFX_X_AND] = " & ", [PFX_X_EQ] = " == ", [PFX_X_NE] = " != ",
        [PFX_X_LT] = " < ",   [PFX_X_LE] = " <= ", [PFX_X_GT] = " > ",  [PFX_X_GE] = " >= ",
        [PFX_X_ADD] = " + ",  [PFX_X_SUB] = " - ", [PFX_X_MUL] = " * ", [PFX_X_DIV] = " / ",
        [PFX_X_MOD] = " %% ", [PFX_X_POW] = "^"};
    int p = pfx_expr_precedence(e->op);
    if (e->op == PFX_X_NOT || e->op == PFX_X_NEG) {
        pfx_str_add(s, e->op == PFX_X_NOT ? "!" : "-");
        print(s, e->args[0], p);
    } else if (e->op == PFX_X_IN) {
        print(s, e->args[0], p + 1);
        pfx_str_add(s, " in ");
        print_list(s, e, 1);
        pfx_str_add(s, ")");
    } else if (e->op == PFX_X_POW) { /* the exponent may start with a minus, and powers group to the right */
        print(s, e->args[0], p + 1);
        pfx_str_add(s, symbol[e->op]);
        print(s, e->args[1], p - 1);
    } else {
        bool compares = p == pfx_expr_precedence(PFX_X_EQ);
        print(s, e->args[0], compares ? p + 1 : p);
        pfx_str_add(s, symbol[e->op]);
        print(s, e->args[1], p + 1);
    }
}

static void print(pfx_str *s, const pfx_expr *e, int min_precedence)
{
    bool paren = pfx_expr_precedence(e->op) < min_precedence;
    if (paren) pfx_str_add(s, "(");
    switch (e->op) {
    case PFX_X_NUM:
        print_number(s, e->num);
        break;
    case PFX_X_TEXT:
        print_quoted(s, e->text, '"');
        break;
    case PFX_X_NAME:
        if (pfx_lex_is_plain_name(e->text))
            pfx_str_add(s, e->text);
        else
            print_quoted(s, e->text, '`');
        break;
    default:
        if (pfx_expr_precedence(e->op) < 10)
            print_operator(s, e);
        else
            print_call(s, e);
    }
    if (paren) pfx_str_add(s, ")");
}

char *pfx_expr_text(const pfx_expr *e, pfx_err *err)
{
    pfx_str s = {0};
    print(&s, e, 0);
    char *text = s.failed || !s.s ? NULL : pfx_mem_strndup(s.s, s.len, err);
    if (!text) (void)pfx_fail(err, PFX_ENOMEM, "out of memory for the text of an expression");
    pfx_str_free(&s);
    return text;
}

pfx_status pfx_expr_each_name(const pfx_expr *e, pfx_expr_name_fn fn, void *ctx, pfx_err *err)
{
    pfx_status st = PFX_OK;
    if (e->op == PFX_X_NAME) return fn(ctx, e->text, e->column, err);
    for (int i = 0; i < e->n_args && st == PFX_OK; i++) st = pfx_expr_each_name(e->args[i], fn, ctx, err);
    return st;
}

bool pfx_expr_needs_time(const pfx_expr *e)
{
    if (pfx_expr_has_periods(e->op) || e->op == PFX_X_GROUP_GROWTH) return true;
    for (int i = 0; i < e->n_args; i++)
        if (pfx_expr_needs_time(e->args[i])) return true;
    return false;
}
