/* Parsing the terms of a formula. A sum is a list of terms; `:` and `*` are products of lists, so that
 * parentheses and l(x, 1:2) need no rules of their own. */
#include <math.h>
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/model/formula_reader.h"

#define MAX_OPEN 100       /* parentheses open at once */
#define MAX_DISTANCES 1000 /* of l(x, 1:k) */

static bool add_expr(reader *r, pfx_term_list *out, pfx_expr *e, const char *text)
{
    pfx_term t;
    return pfx_term_make(e, text, &t, r->err) && pfx_terms_add(out, &t, r->err);
}

/* ['-'] whole number */
static bool read_whole(reader *r, int *k)
{
    bool minus = is(r, '-');
    if (minus && !next(r)) return false;
    double v = r->lx.tok.num;
    if (r->lx.tok.kind != PFX_TOK_NUM || v != floor(v) || v > 1e6)
        return fail(r, "a whole number was expected");
    *k = minus ? -(int)v : (int)v;
    return next(r);
}

/* Distances of l(): 2, 1:3, c(1, 3). */
static bool read_distances(reader *r, int *n, int *k)
{
    *n = 0;
    bool list = is_call(r, "c");
    if (list && (!next(r) || !expect(r, '('))) return false;
    do {
        int from, to;
        if (!read_whole(r, &from)) return false;
        to = from;
        if (is(r, ':') && (!next(r) || !read_whole(r, &to))) return false;
        int step = from <= to ? 1 : -1;
        if (step * (to - from) + *n >= MAX_DISTANCES) return fail(r, "too many distances");
        for (int v = from; v != to + step; v += step) k[(*n)++] = v;
    } while (list && is(r, ',') && next(r));
    return !list || expect(r, ')');
}

/* l(x, 1:2), f(x), d(x, c(1, 4)): one term for each distance. */
static bool read_shift(reader *r, pfx_expr_op op, pfx_term_list *out)
{
    int column = r->lx.tok.column, n = 1, k[MAX_DISTANCES] = {1};
    pfx_expr *of = NULL;
    bool ok = next(r) && expect(r, '(') && pfx_expr_read(&r->lx, &of, r->err) == PFX_OK;
    if (ok && is(r, ',')) ok = next(r) && read_distances(r, &n, k);
    ok = ok && expect(r, ')');
    for (int i = 0; ok && i < n; i++) {
        pfx_expr *e = pfx_expr_clone(of, r->err);
        if (e && (k[i] != 0 || op == PFX_X_DIFF)) e = pfx_expr_shift(op, column, e, k[i], r->err);
        ok = e && add_expr(r, out, e, NULL);
    }
    pfx_expr_free(of);
    return ok;
}

/* I(expression) */
static bool read_asis(reader *r, pfx_term_list *out)
{
    pfx_expr *e = NULL;
    if (!next(r) || !expect(r, '(') || pfx_expr_read(&r->lx, &e, r->err) != PFX_OK) return false;
    char *inner = is(r, ')') ? pfx_expr_text(e, r->err) : NULL;
    pfx_str s = {0};
    if (inner) pfx_str_addf(&s, "I(%s)", inner);
    bool ok = expect(r, ')') && s.s && !s.failed;
    if (ok)
        ok = add_expr(r, out, e, s.s);
    else
        pfx_expr_free(e);
    pfx_mem_free(inner);
    pfx_str_free(&s);
    return ok;
}

/* One reference level as text: a number, "text" or a bare name. */
static bool read_ref(reader *r, pfx_piece *p)
{
    pfx_token t = r->lx.tok;
    bool minus = is(r, '-');
    if (minus) {
        if (!next(r)) return false;
        t = r->lx.tok;
    }
    if (t.kind == PFX_TOK_END || t.kind == PFX_TOK_OP || (minus && t.kind != PFX_TOK_NUM))
        return fail(r, "a reference level was expected, as in ref = 2019 or ref = \"Anhui\"");
    if (!next(r)) return false;
    char **refs = pfx_mem_realloc(p->refs, p->n_refs + 1, sizeof *refs, r->err);
    if (!refs) return false;
    p->refs = refs;
    pfx_expr *number =
        t.kind == PFX_TOK_NUM ? pfx_expr_number(minus ? -t.num : t.num, t.column, r->err) : NULL;
    char *s = t.kind != PFX_TOK_NUM ? pfx_lex_value(&t, r->err)
              : number              ? pfx_expr_text(number, r->err)
                                    : NULL;
    pfx_expr_free(number);
    if (!s) return false;
    p->refs[p->n_refs++] = s;
    return true;
}

/* ref = level, ref = c(level, level) */
static bool read_refs(reader *r, pfx_piece *p)
{
    if (p->n_refs) return fail(r, "ref is given twice");
    if (!next(r) || !expect(r, '=')) return false;
    if (!is_call(r, "c")) return read_ref(r, p);
    if (!next(r) || !expect(r, '(')) return false;
    for (;;) {
        if (!read_ref(r, p)) return false;
        if (!is(r, ',')) return expect(r, ')');
        if (!next(r)) return false;
    }
}

static bool at_ref(const reader *r)
{
    pfx_lexer ahead = r->lx;
    return pfx_lex_is_name(&r->lx, "ref") && pfx_lex_next(&ahead, NULL) == PFX_OK && pfx_lex_is(&ahead, '=');
}

/* The text of i(f, x, ref = c(a, b)). */
static char *factor_text(const pfx_piece *p, const char *with, pfx_err *err)
{
    pfx_str s = {0};
    pfx_str_addf(&s, "i(%s", p->text);
    if (with) pfx_str_addf(&s, ", %s", with);
    for (int i = 0; i < p->n_refs; i++) {
        const char *ref = p->refs[i];
        double v;
        bool bare = pfx_lex_is_plain_name(ref) || pfx_text_double(ref, strlen(ref), &v);
        pfx_str_add(&s, i ? ", " : p->n_refs > 1 ? ", ref = c(" : ", ref = ");
        pfx_str_addf(&s, bare ? "%s" : "\"%s\"", ref);
    }
    pfx_str_add(&s, p->n_refs > 1 ? "))" : ")");
    char *text = s.failed ? NULL : pfx_mem_strdup(s.s, err);
    if (!text) (void)pfx_fail(err, PFX_ENOMEM, "out of memory for a formula");
    pfx_str_free(&s);
    return text;
}

/* i(var), i(var, ref = level), i(var, x), i(var, x, ref = level) */
static bool read_factor_term(reader *r, pfx_term_list *out)
{
    pfx_expr *e = NULL, *with = NULL;
    pfx_term t = {0}, x = {0}, both;
    if (!next(r) || !expect(r, '(') || pfx_expr_read(&r->lx, &e, r->err) != PFX_OK) return false;
    if (!pfx_term_make(e, NULL, &t, r->err)) return false;
    pfx_piece *p = &t.pieces[0];
    p->is_factor = true;
    bool ok = true;
    while (ok && is(r, ',')) {
        ok = next(r);
        if (ok && at_ref(r)) {
            ok = read_refs(r, p);
        } else if (ok) {
            ok = x.n_pieces ? fail(r, "i() takes a factor, at most one more variable, and ref =")
                            : pfx_expr_read(&r->lx, &with, r->err) == PFX_OK &&
                                  pfx_term_make(with, NULL, &x, r->err);
        }
    }
    ok = ok && expect(r, ')');
    p->all_levels = x.n_pieces > 0;
    char *text = ok ? factor_text(p, x.n_pieces ? x.text : NULL, r->err) : NULL;
    ok = text != NULL;
    if (ok && x.n_pieces) {
        ok = pfx_term_product(&t, &x, &both, r->err);
        pfx_term_clear(&t);
        if (ok) t = both;
    }
    if (ok) {
        pfx_mem_free(t.text);
        t.text = text;
        ok = pfx_terms_add(out, &t, r->err);
    } else {
        pfx_mem_free(text);
    }
    pfx_term_clear(&t);
    pfx_term_clear(&x);
    return ok;
}

static bool read_primary(reader *r, pfx_term_list *out)
{
    if (is(r, '(')) {
        if (++r->open > MAX_OPEN) return fail(r, "too many open parentheses");
        bool ok = next(r) && pfx_read_sum(r, out) && expect(r, ')');
        r->open--;
        return ok;
    }
    if (is_call(r, "i")) return read_factor_term(r, out);
    if (is_call(r, "I")) return read_asis(r, out);
    if (is_call(r, "l")) return read_shift(r, PFX_X_LAG, out);
    if (is_call(r, "f")) return read_shift(r, PFX_X_LEAD, out);
    if (is_call(r, "d")) return read_shift(r, PFX_X_DIFF, out);
    if (is_call(r, "factor") || is_call(r, "as.factor")) return fail(r, "factors are written i(..)");
    if (is_call(r, "sw") || is_call(r, "csw") || is_call(r, "sw0") || is_call(r, "csw0"))
        return fail(
            r, "stepwise terms stand alone, joined by +, once in the regressors and once in the effects");
    if (r->lx.tok.kind != PFX_TOK_NAME) return fail(r, "a column or a function of columns was expected");
    pfx_expr *e;
    return pfx_expr_read_operand(&r->lx, &e, r->err) == PFX_OK && add_expr(r, out, e, NULL);
}

/* x^2 is I(x^2). */
static bool read_power(reader *r, pfx_term_list *out)
{
    pfx_term_list l = {0};
    bool ok = read_primary(r, &l);
    if (ok && is(r, '^')) {
        int column = r->lx.tok.column;
        ok = next(r) && (r->lx.tok.kind == PFX_TOK_NUM ||
                         fail(r, "a number was expected; in the regressors ^ is a power"));
        if (ok && (l.n != 1 || l.v[0].n_pieces != 1 || l.v[0].pieces[0].is_factor))
            ok = fail(r, "only a single column has powers: write I(..)");
        pfx_expr *args[2] = {0}, *e = NULL;
        if (ok) {
            args[0] = pfx_expr_clone(l.v[0].pieces[0].expr, r->err);
            args[1] = args[0] ? pfx_expr_number(r->lx.tok.num, r->lx.tok.column, r->err) : NULL;
            if (!args[1]) pfx_expr_free(args[0]);
            e = args[1] ? pfx_expr_node(PFX_X_POW, column, 2, args, r->err) : NULL;
        }
        char *inner = e ? pfx_expr_text(e, r->err) : NULL;
        pfx_str s = {0};
        if (inner) pfx_str_addf(&s, "I(%s)", inner);
        pfx_mem_free(inner);
        ok = s.s && !s.failed && next(r);
        pfx_terms_clear(&l);
        if (ok)
            ok = add_expr(r, &l, e, s.s);
        else
            pfx_expr_free(e);
        pfx_str_free(&s);
    }
    for (int i = 0; ok && i < l.n; i++) ok = pfx_terms_add(out, &l.v[i], r->err);
    pfx_terms_clear(&l);
    return ok;
}

/* All products of a term of a with a term of b. */
static bool add_products(reader *r, const pfx_term_list *a, const pfx_term_list *b, pfx_term_list *out)
{
    for (int i = 0; i < a->n; i++)
        for (int j = 0; j < b->n; j++) {
            pfx_term t;
            if (!pfx_term_product(&a->v[i], &b->v[j], &t, r->err) || !pfx_terms_add(out, &t, r->err))
                return false;
        }
    return true;
}

/* Operands joined by `op`: ':' leaves the products, '*' also what was multiplied. */
static bool read_products(reader *r, int op, bool (*operand)(reader *, pfx_term_list *), pfx_term_list *out)
{
    pfx_term_list a = {0};
    bool ok = operand(r, &a);
    while (ok && is(r, op)) {
        pfx_term_list b = {0}, ab = {0};
        ok = next(r) && operand(r, &b) && add_products(r, &a, &b, &ab);
        if (op == ':') {
            pfx_terms_clear(&a);
        } else {
            for (int i = 0; ok && i < b.n; i++) ok = pfx_terms_add(&a, &b.v[i], r->err);
        }
        for (int i = 0; ok && i < ab.n; i++) ok = pfx_terms_add(&a, &ab.v[i], r->err);
        pfx_terms_clear(&b);
        pfx_terms_clear(&ab);
    }
    for (int i = 0; ok && i < a.n; i++) ok = pfx_terms_add(out, &a.v[i], r->err);
    pfx_terms_clear(&a);
    return ok;
}

static bool read_interaction(reader *r, pfx_term_list *out)
{
    return read_products(r, ':', read_power, out);
}
bool pfx_read_product(reader *r, pfx_term_list *out)
{
    return read_products(r, '*', read_interaction, out);
}

bool pfx_read_no_arithmetic(reader *r)
{
    if (is(r, '/') || is(r, PFX_OP2('%', '%'))) return fail(r, "arithmetic among regressors stands in I(..)");
    if (is(r, '-')) return fail(r, "only the constant can be taken out, by -1; arithmetic stands in I(..)");
    return true;
}

bool pfx_read_sum(reader *r, pfx_term_list *out)
{
    for (;;) {
        if (!pfx_read_product(r, out) || !pfx_read_no_arithmetic(r)) return false;
        if (!is(r, '+')) return true;
        if (!next(r)) return false;
    }
}
