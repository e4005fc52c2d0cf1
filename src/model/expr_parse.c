/* Recursive descent over the grammar of expr.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/model/expr_private.h"
#include "src/model/lexer.h"

/* Levels of parentheses, calls and prefix operators that may stand open at once: bounds the recursion here.
 */
#define MAX_OPEN 200

typedef struct parser {
    pfx_lexer *lx;
    int open;
    pfx_err *err;
} parser;

static pfx_expr *parse_or(parser *ps);
static pfx_expr *parse_unary(parser *ps);

static bool next(parser *ps)
{
    return pfx_lex_next(ps->lx, ps->err) == PFX_OK;
}
static bool expect(parser *ps, int op)
{
    return pfx_lex_expect(ps->lx, op, ps->err) == PFX_OK;
}

static bool enter(parser *ps)
{
    if (++ps->open <= MAX_OPEN) return true;
    (void)pfx_lex_fail(ps->lx, &ps->lx->tok, ps->err, "nested deeper than %d", MAX_OPEN);
    return false;
}

static pfx_expr *drop(pfx_expr *e)
{
    pfx_expr_free(e);
    return NULL;
}

/* A growing list of arguments. */
typedef struct arg_list {
    int n, cap;
    pfx_expr **v;
} arg_list;

static bool push(parser *ps, arg_list *l, pfx_expr *e)
{
    if (!e) return false;
    if (l->n == l->cap) {
        int cap = l->cap ? 2 * l->cap : 4;
        pfx_expr **v = pfx_mem_realloc(l->v, cap, sizeof *v, ps->err);
        if (!v) return drop(e) != NULL;
        l->v = v;
        l->cap = cap;
    }
    l->v[l->n++] = e;
    return true;
}

static void list_free(arg_list *l)
{
    for (int i = 0; i < l->n; i++) pfx_expr_free(l->v[i]);
    pfx_mem_free(l->v);
}

/* The list becomes the arguments of a node. */
static pfx_expr *list_node(parser *ps, arg_list *l, pfx_expr_op op, int column)
{
    pfx_expr *e = pfx_expr_node(op, column, l->n, l->v, ps->err);
    pfx_mem_free(l->v);
    return e;
}

/* expr {, expr} ')' after the opening parenthesis. */
static bool parse_args(parser *ps, arg_list *l)
{
    if (pfx_lex_is(ps->lx, ')')) return next(ps);
    for (;;) {
        if (!push(ps, l, parse_or(ps))) return false;
        if (!pfx_lex_is(ps->lx, ',')) return expect(ps, ')');
        if (!next(ps)) return false;
    }
}

/* l(x, 2): the distance must be a whole number written out, so that it is known when the expression is read.
 */
static pfx_expr *make_shift(parser *ps, const pfx_token *name, pfx_expr_op op, arg_list *l)
{
    double k = 1;
    if (l->n == 2) {
        const pfx_expr *e = l->v[1];
        k = e->op == PFX_X_NUM                                  ? e->num
            : e->op == PFX_X_NEG && e->args[0]->op == PFX_X_NUM ? -e->args[0]->num
                                                                : NAN;
        bool window = op == PFX_X_ROLL_MEAN || op == PFX_X_ROLL_SD;
        if (!(fabs(k) <= 1e6) || k != floor(k) || (window && k < 1)) {
            (void)pfx_lex_fail(ps->lx, name, ps->err,
                               "the number of periods must be a whole number, as in %.*s(x, 2)", (int)name->n,
                               name->at);
            list_free(l);
            return NULL;
        }
        pfx_expr_free(l->v[--l->n]);
    }
    pfx_expr *e = list_node(ps, l, op, name->column);
    if (e) e->num = k + 0.0;
    return e;
}

static pfx_expr *parse_call(parser *ps, const pfx_token *name)
{
    const pfx_function *fn = pfx_function_by_name(name->at, name->n);
    if (!fn) {
        char text[64];
        const char *const *all;
        int n_all = pfx_function_names(&all);
        snprintf(text, sizeof text, "%.*s", name->n > 60 ? 60 : (int)name->n, name->at);
        const char *near = pfx_text_nearest(text, n_all, all);
        (void)pfx_lex_fail(ps->lx, name, ps->err, "no such function%s%s%s", near ? ", did you mean '" : "",
                           near ? near : "", near ? "'?" : "");
        return NULL;
    }
    arg_list l = {0};
    if (!enter(ps) || !next(ps) || !parse_args(ps, &l)) {
        list_free(&l);
        return NULL;
    }
    ps->open--;
    if (l.n < fn->min_args || l.n > fn->max_args) {
        if (fn->min_args == fn->max_args)
            (void)pfx_lex_fail(ps->lx, name, ps->err, "takes %d argument%s, not %d", fn->min_args,
                               fn->min_args == 1 ? "" : "s", l.n);
        else
            (void)pfx_lex_fail(ps->lx, name, ps->err, "takes %d to %d arguments, not %d", fn->min_args,
                               fn->max_args, l.n);
        list_free(&l);
        return NULL;
    }
    if (pfx_expr_has_periods(fn->op))
        return make_shift(ps, name, fn->op, &l);
    return list_node(ps, &l, fn->op, name->column);
}

static pfx_expr *parse_name_or_text(parser *ps, const pfx_token *t)
{
    pfx_expr *e =
        pfx_expr_node(t->kind == PFX_TOK_TEXT ? PFX_X_TEXT : PFX_X_NAME, t->column, 0, NULL, ps->err);
    if (e && !(e->text = pfx_lex_value(t, ps->err))) return drop(e);
    return e;
}

static pfx_expr *parse_operand(parser *ps)
{
    pfx_token t = ps->lx->tok;
    if (t.kind == PFX_TOK_NUM) return next(ps) ? pfx_expr_number(t.num, t.column, ps->err) : NULL;
    if (t.kind == PFX_TOK_TEXT) return next(ps) ? parse_name_or_text(ps, &t) : NULL;
    if (t.kind == PFX_TOK_NAME && !pfx_lex_is_name(ps->lx, "in")) {
        if (!next(ps)) return NULL;
        return pfx_lex_is(ps->lx, '(') && !t.quoted ? parse_call(ps, &t) : parse_name_or_text(ps, &t);
    }
    if (pfx_lex_is(ps->lx, '(')) {
        if (!enter(ps) || !next(ps)) return NULL;
        pfx_expr *e = parse_or(ps);
        ps->open--;
        return e && !expect(ps, ')') ? drop(e) : e;
    }
    (void)pfx_lex_fail(ps->lx, &t, ps->err, "a column, a number or '(' was expected");
    return NULL;
}

static pfx_expr *binary(parser *ps, pfx_expr_op op, int column, pfx_expr *a, pfx_expr *b)
{
    if (!a || !b) {
        pfx_expr_free(a);
        return drop(b);
    }
    pfx_expr *args[2] = {a, b};
    return pfx_expr_node(op, column, 2, args, ps->err);
}

static pfx_expr *parse_power(parser *ps)
{
    pfx_expr *base = parse_operand(ps);
    if (!base || !pfx_lex_is(ps->lx, '^')) return base;
    int column = ps->lx->tok.column;
    if (!next(ps)) return drop(base);
    return binary(ps, PFX_X_POW, column, base, parse_unary(ps));
}

static pfx_expr *parse_unary(parser *ps)
{
    int column = ps->lx->tok.column;
    bool minus = pfx_lex_is(ps->lx, '-');
    if (!enter(ps)) return NULL;
    pfx_expr *e;
    if (!minus && !pfx_lex_is(ps->lx, '+')) {
        e = parse_power(ps);
    } else {
        e = next(ps) ? parse_unary(ps) : NULL;
        if (e && minus) e = pfx_expr_node(PFX_X_NEG, column, 1, &e, ps->err);
    }
    ps->open--;
    return e;
}

/* Operators of one precedence, left-associative: operand {op operand}. */
typedef struct op_row {
    int token;
    pfx_expr_op op;
} op_row;

static pfx_expr *parse_left(parser *ps, pfx_expr *(*operand)(parser *), int n, const op_row *rows)
{
    pfx_expr *e = operand(ps);
    for (int k = 0; e && k < n;) {
        if (!pfx_lex_is(ps->lx, rows[k].token)) {
            k++;
            continue;
        }
        int column = ps->lx->tok.column;
        if (!next(ps)) return drop(e);
        e = binary(ps, rows[k].op, column, e, operand(ps));
        k = 0;
    }
    return e;
}

static pfx_expr *parse_mod(parser *ps)
{
    static const op_row rows[] = {{PFX_OP2('%', '%'), PFX_X_MOD}};
    return parse_left(ps, parse_unary, 1, rows);
}

static pfx_expr *parse_product(parser *ps)
{
    static const op_row rows[] = {{'*', PFX_X_MUL}, {'/', PFX_X_DIV}};
    return parse_left(ps, parse_mod, 2, rows);
}

static pfx_expr *parse_sum(parser *ps)
{
    static const op_row rows[] = {{'+', PFX_X_ADD}, {'-', PFX_X_SUB}};
    return parse_left(ps, parse_product, 2, rows);
}

static pfx_expr *parse_in(parser *ps, pfx_expr *what)
{
    arg_list l = {0};
    int column = ps->lx->tok.column;
    bool ok = push(ps, &l, what) && next(ps) && expect(ps, '(') && parse_args(ps, &l);
    if (ok && l.n < 2) {
        (void)pfx_fail(ps->err, PFX_EUSAGE, "%s: 'in' at column %d: the list is empty", ps->lx->what, column);
        ok = false;
    }
    if (!ok) {
        list_free(&l);
        return NULL;
    }
    return list_node(ps, &l, PFX_X_IN, column);
}

static const op_row comparisons[] = {{PFX_OP2('=', '='), PFX_X_EQ},
                                     {PFX_OP2('!', '='), PFX_X_NE},
                                     {'<', PFX_X_LT},
                                     {PFX_OP2('<', '='), PFX_X_LE},
                                     {'>', PFX_X_GT},
                                     {PFX_OP2('>', '='), PFX_X_GE}};

static const op_row *find_comparison(const parser *ps)
{
    for (size_t k = 0; k < sizeof comparisons / sizeof *comparisons; k++)
        if (pfx_lex_is(ps->lx, comparisons[k].token)) return &comparisons[k];
    return NULL;
}

static pfx_expr *parse_comparison(parser *ps)
{
    pfx_expr *e = parse_sum(ps);
    const op_row *row = e ? find_comparison(ps) : NULL;
    int column = ps->lx->tok.column;
    if (row)
        e = next(ps) ? binary(ps, row->op, column, e, parse_sum(ps)) : drop(e);
    else if (e && pfx_lex_is_name(ps->lx, "in"))
        e = parse_in(ps, e);
    else
        return e;
    if (e && (find_comparison(ps) || pfx_lex_is_name(ps->lx, "in"))) {
        (void)pfx_lex_fail(ps->lx, &ps->lx->tok, ps->err, "comparisons do not chain: join two with &");
        return drop(e);
    }
    return e;
}

static pfx_expr *parse_not(parser *ps)
{
    if (!pfx_lex_is(ps->lx, '!')) return parse_comparison(ps);
    int column = ps->lx->tok.column;
    if (!enter(ps) || !next(ps)) return NULL;
    pfx_expr *e = parse_not(ps);
    ps->open--;
    return e ? pfx_expr_node(PFX_X_NOT, column, 1, &e, ps->err) : NULL;
}

static pfx_expr *parse_and(parser *ps)
{
    static const op_row rows[] = {{'&', PFX_X_AND}};
    return parse_left(ps, parse_not, 1, rows);
}

static pfx_expr *parse_or(parser *ps)
{
    static const op_row rows[] = {{'|', PFX_X_OR}};
    return parse_left(ps, parse_and, 1, rows);
}

static pfx_status finish(pfx_expr *e, pfx_expr **out, pfx_err *err)
{
    *out = e;
    if (e) return PFX_OK;
    return pfx_fail(err, PFX_ENOMEM, "out of memory for an expression");
}

pfx_status pfx_expr_read(pfx_lexer *lx, pfx_expr **out, pfx_err *err)
{
    pfx_err own = {0};
    parser ps = {.lx = lx, .err = err ? err : &own};
    return finish(parse_or(&ps), out, ps.err);
}

pfx_status pfx_expr_read_operand(pfx_lexer *lx, pfx_expr **out, pfx_err *err)
{
    pfx_err own = {0};
    parser ps = {.lx = lx, .err = err ? err : &own};
    return finish(parse_operand(&ps), out, ps.err);
}

pfx_status pfx_expr_parse(const char *what, const char *text, pfx_expr **out, pfx_err *err)
{
    pfx_lexer lx;
    *out = NULL;
    pfx_status st = pfx_lex_begin(&lx, what, text, err);
    if (st == PFX_OK) st = pfx_expr_read(&lx, out, err);
    if (st != PFX_OK || lx.tok.kind == PFX_TOK_END) return st;
    pfx_expr_free(*out);
    *out = NULL;
    if (pfx_lex_is(&lx, '=')) return pfx_lex_fail(&lx, &lx.tok, err, "equality is written ==");
    return pfx_lex_fail(&lx, &lx.tok, err, "an operator or the end was expected");
}
