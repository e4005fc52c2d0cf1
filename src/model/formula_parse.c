/* Parsing a formula: tokens to lists of terms and effects. A sum is a list of terms; `:` and `*` are products of
 * lists, so that parentheses and l(x, 1:2) need no rules of their own. */
#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/model/formula_private.h"
#include "src/model/lexer.h"

#define MAX_OPEN 100        /* parentheses open at once */
#define MAX_DISTANCES 1000  /* of l(x, 1:k) */

typedef struct reader {
    pfx_lexer lx;
    int open;
    pfx_err *err;
} reader;

static bool next(reader *r) { return pfx_lex_next(&r->lx, r->err) == PFX_OK; }
static bool expect(reader *r, int op) { return pfx_lex_expect(&r->lx, op, r->err) == PFX_OK; }
static bool is(const reader *r, int op) { return pfx_lex_is(&r->lx, op); }

/* A function's name with its parenthesis comes next. */
static bool is_call(const reader *r, const char *name)
{
    return pfx_lex_is_name(&r->lx, name) && r->lx.p[strspn(r->lx.p, " \t\r\n")] == '(';
}

static bool fail(reader *r, const char *msg)
{
    (void)pfx_lex_fail(&r->lx, &r->lx.tok, r->err, "%s", msg);
    return false;
}

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
    if (r->lx.tok.kind != PFX_TOK_NUM || v != floor(v) || v > 1e6) return fail(r, "a whole number was expected");
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
    pfx_expr *number = t.kind == PFX_TOK_NUM ? pfx_expr_number(minus ? -t.num : t.num, t.column, r->err) : NULL;
    char *s = t.kind != PFX_TOK_NUM ? pfx_lex_value(&t, r->err) : number ? pfx_expr_text(number, r->err) : NULL;
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
                            : pfx_expr_read(&r->lx, &with, r->err) == PFX_OK && pfx_term_make(with, NULL, &x, r->err);
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

static bool read_sum(reader *r, pfx_term_list *out);

static bool read_primary(reader *r, pfx_term_list *out)
{
    if (is(r, '(')) {
        if (++r->open > MAX_OPEN) return fail(r, "too many open parentheses");
        bool ok = next(r) && read_sum(r, out) && expect(r, ')');
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
        return fail(r, "stepwise terms stand alone, joined by +, once in the regressors and once in the effects");
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
        ok = next(r) && (r->lx.tok.kind == PFX_TOK_NUM || fail(r, "a number was expected; in the regressors ^ is a power"));
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
            if (!pfx_term_product(&a->v[i], &b->v[j], &t, r->err) || !pfx_terms_add(out, &t, r->err)) return false;
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

static bool read_interaction(reader *r, pfx_term_list *out) { return read_products(r, ':', read_power, out); }
static bool read_star(reader *r, pfx_term_list *out) { return read_products(r, '*', read_interaction, out); }

static bool no_arithmetic(reader *r)
{
    if (is(r, '/') || is(r, PFX_OP2('%', '%'))) return fail(r, "arithmetic among regressors stands in I(..)");
    if (is(r, '-')) return fail(r, "only the constant can be taken out, by -1; arithmetic stands in I(..)");
    return true;
}

static bool read_sum(reader *r, pfx_term_list *out)
{
    for (;;) {
        if (!read_star(r, out) || !no_arithmetic(r)) return false;
        if (!is(r, '+')) return true;
        if (!next(r)) return false;
    }
}

static bool read_effect(reader *r, pfx_absorb_list *out);

static bool read_effects_sum(reader *r, pfx_absorb_list *out)
{
    for (;;) {
        if (!read_effect(r, out)) return false;
        if (!is(r, '+')) return true;
        if (!next(r)) return false;
    }
}

static bool set_steps(int **step, int from, int to, int alternative, pfx_err *err)
{
    int *s = pfx_mem_realloc(*step, to > 0 ? to : 1, sizeof *s, err);
    if (!s) return false;
    *step = s;
    for (int i = from; i < to; i++) s[i] = alternative;
    return true;
}

/* sw(..), csw(..), sw0(..), csw0(..): false in *found if none starts here. */
static bool read_steps(reader *r, pfx_parsed *p, bool effects, bool *found)
{
    static const char *const names[] = {"sw", "csw", "sw0", "csw0"};
    pfx_steps *s = effects ? &p->fe_steps : &p->x_steps;
    int k = 0;
    while (k < 4 && !is_call(r, names[k])) k++;
    *found = k < 4;
    if (k == 4) return true;
    if (s->used) return fail(r, "only one stepwise function in each part");
    *s = (pfx_steps){.used = true, .cumulative = k % 2 == 1, .zero = k >= 2};
    if (!next(r) || !expect(r, '(')) return false;
    for (;;) {
        int from = effects ? p->absorbed.n : p->terms.n;
        if (s->n == PFX_MAX_STEPS) return fail(r, "too many stepwise alternatives");
        if (!(effects ? read_effects_sum(r, &p->absorbed) : read_sum(r, &p->terms))) return false;
        if (!set_steps(effects ? &p->absorb_step : &p->term_step, from, effects ? p->absorbed.n : p->terms.n, ++s->n, r->err))
            return false;
        if (!is(r, ',')) return expect(r, ')');
        if (!next(r)) return false;
    }
}

/* The constant: 1, 0, -1, -0; false in *found if something else comes. */
static bool read_constant(reader *r, bool minus, pfx_parsed *p, bool *found)
{
    const pfx_token *t = &r->lx.tok;
    *found = t->kind == PFX_TOK_NUM;
    if (*found && t->num != 0 && t->num != 1) return fail(r, "only 0 and 1 are terms: the constant");
    if (!*found) return minus ? fail(r, "only the constant can be taken out, by -1") : true;
    p->intercept = (t->num == 1) != minus;
    return next(r);
}

static bool read_regressors(reader *r, pfx_parsed *p)
{
    for (bool first = true;; first = false) {
        bool minus = is(r, '-'), found;
        if (minus || is(r, '+')) {
            if (!next(r)) return false;
        } else if (!first) {
            return true;
        }
        if (!read_constant(r, minus, p, &found)) return false;
        if (!found && !read_steps(r, p, false, &found)) return false;
        if (found) continue;
        int from = p->terms.n;
        if (!read_star(r, &p->terms) || !set_steps(&p->term_step, from, p->terms.n, 0, r->err)) return false;
        if (is(r, '/') || is(r, PFX_OP2('%', '%'))) return no_arithmetic(r);
    }
}

/* One variable of a factor: a column or a function of columns. */
static bool read_factor_var(reader *r, pfx_factor_spec *f)
{
    pfx_expr *e = NULL;
    if (r->lx.tok.kind != PFX_TOK_NAME && !is(r, '(')) return fail(r, "a column was expected");
    pfx_expr **vars = pfx_mem_realloc(f->vars, f->n_vars + 1, sizeof *vars, r->err);
    if (!vars) return false;
    f->vars = vars;
    if (pfx_expr_read_operand(&r->lx, &e, r->err) != PFX_OK) return false;
    f->vars[f->n_vars++] = e;
    return true;
}

static bool read_factor(reader *r, pfx_factor_spec *f)
{
    pfx_str s = {0};
    bool ok = true, more;
    do {
        ok = read_factor_var(r, f);
        char *text = ok ? pfx_expr_text(f->vars[f->n_vars - 1], r->err) : NULL;
        /* an expression that is more than a column stands in parentheses, so that the text reads back */
        bool call = ok && f->vars[f->n_vars - 1]->op != PFX_X_NAME && text[strlen(text) - 1] != ')';
        if (text) pfx_str_addf(&s, call ? "%s(%s)" : "%s%s", f->n_vars > 1 ? "^" : "", text);
        ok = text && !s.failed;
        pfx_mem_free(text);
        more = ok && (is(r, '^') || is(r, ':'));
    } while (more && (ok = next(r)));
    if (ok) ok = (f->text = pfx_mem_strdup(s.s, r->err)) != NULL;
    pfx_str_free(&s);
    return ok;
}

/* x, z] or x, z]] after the opening bracket(s). */
static bool read_slopes(reader *r, pfx_absorb_spec *a)
{
    for (;;) {
        int n = a->n_slopes + 1;
        pfx_expr **slopes = pfx_mem_realloc(a->slopes, n, sizeof *slopes, r->err);
        if (!slopes) return false;
        a->slopes = slopes;
        char **text = pfx_mem_realloc(a->slope_text, n, sizeof *text, r->err);
        if (!text) return false;
        a->slope_text = text;
        pfx_expr *e = NULL;
        if (pfx_expr_read(&r->lx, &e, r->err) != PFX_OK) return false;
        a->slopes[n - 1] = e;
        a->slope_text[n - 1] = NULL;
        a->n_slopes = n;
        if (!(a->slope_text[n - 1] = pfx_expr_text(e, r->err))) return false;
        if (!is(r, ',')) break;
        if (!next(r)) return false;
    }
    return expect(r, ']') && (a->intercept || expect(r, ']'));
}

/* industry^year, firm[x], firm[[x]] */
static bool read_effect(reader *r, pfx_absorb_list *out)
{
    pfx_absorb_spec a = {.intercept = true};
    bool ok = read_factor(r, &a.factor);
    if (ok && is(r, '[')) {
        ok = next(r);
        if (ok && is(r, '[')) {
            a.intercept = false;
            ok = next(r);
        }
        ok = ok && read_slopes(r, &a);
    }
    if (ok) return pfx_absorbs_add(out, &a, r->err);
    pfx_absorb_clear(&a);
    return false;
}

static bool read_effects(reader *r, pfx_parsed *p)
{
    for (;;) {
        bool found = r->lx.tok.kind == PFX_TOK_NUM;
        if (found && r->lx.tok.num != 0) return fail(r, "an effect is a column; 0 stands for none");
        if (found ? !next(r) : !read_steps(r, p, true, &found)) return false;
        int from = p->absorbed.n;
        if (!found && (!read_effect(r, &p->absorbed) || !set_steps(&p->absorb_step, from, p->absorbed.n, 0, r->err)))
            return false;
        if (is(r, '*')) return fail(r, "effects are combined by ^, as in industry^year");
        if (!is(r, '+')) return true;
        if (!next(r)) return false;
    }
}

/* a + b, or c(a, b) */
static bool read_iv_side(reader *r, pfx_term_list *out)
{
    if (!is_call(r, "c")) return read_sum(r, out);
    if (!next(r) || !expect(r, '(')) return false;
    for (;;) {
        if (!read_sum(r, out)) return false;
        if (!is(r, ',')) return expect(r, ')');
        if (!next(r)) return false;
    }
}

/* True if a ~ comes before the next | outside parentheses. */
static bool is_iv_part(const reader *r)
{
    int open = 0;
    for (pfx_lexer ahead = r->lx; ahead.tok.kind != PFX_TOK_END;) {
        open += pfx_lex_is(&ahead, '(') - pfx_lex_is(&ahead, ')');
        if (pfx_lex_is(&ahead, '~')) return true;
        if (open == 0 && pfx_lex_is(&ahead, '|')) return false;
        if (pfx_lex_next(&ahead, NULL) != PFX_OK) return false;
    }
    return false;
}

static bool add_outcome(reader *r, pfx_parsed *p)
{
    void *v = p->outcomes;
    bool ok = pfx_list_grow(&v, p->n_outcomes, &p->cap_outcomes, sizeof *p->outcomes, r->err);
    p->outcomes = v;
    if (!ok || pfx_expr_read(&r->lx, &p->outcomes[p->n_outcomes], r->err) != PFX_OK) return false;
    p->n_outcomes++;
    return true;
}

static bool read_outcomes(reader *r, pfx_parsed *p)
{
    if (!is_call(r, "c")) return add_outcome(r, p);
    if (!next(r) || !expect(r, '(')) return false;
    for (;;) {
        if (!add_outcome(r, p)) return false;
        if (!is(r, ',')) return expect(r, ')');
        if (!next(r)) return false;
    }
}

static bool read_formula(reader *r, pfx_parsed *p)
{
    if (!read_outcomes(r, p)) return false;
    if (!is(r, '~')) return fail(r, "'~' was expected between outcome and regressors, as in y ~ x | firm + year");
    if (!next(r) || !read_regressors(r, p)) return false;
    bool more = is(r, '|');
    if (more && !next(r)) return false;
    if (more && !is_iv_part(r)) {
        if (!read_effects(r, p)) return false;
        more = is(r, '|');
        if (more && !next(r)) return false;
        if (more && !is_iv_part(r))
            return fail(r, "instruments were expected, as in | endogenous ~ instruments; clusters are given by --cluster");
    }
    if (more && (!read_iv_side(r, &p->endogenous) || !expect(r, '~') || !read_iv_side(r, &p->instruments))) return false;
    return r->lx.tok.kind == PFX_TOK_END || fail(r, "'+', '|' or the end was expected");
}

void pfx_parsed_free(pfx_parsed *p)
{
    for (int i = 0; i < p->n_outcomes; i++) pfx_expr_free(p->outcomes[i]);
    pfx_mem_free(p->outcomes);
    pfx_terms_clear(&p->terms);
    pfx_absorbs_clear(&p->absorbed);
    pfx_terms_clear(&p->endogenous);
    pfx_terms_clear(&p->instruments);
    pfx_mem_free(p->term_step);
    pfx_mem_free(p->absorb_step);
    *p = (pfx_parsed){0};
}

/* The parser stops by its error: make sure that there is one. */
static pfx_status outcome_of(bool ok, pfx_err *err)
{
    return ok ? PFX_OK : pfx_fail(err, PFX_ENOMEM, "out of memory for a formula");
}

pfx_status pfx_formula_read(const char *text, pfx_parsed *out, pfx_err *err)
{
    reader r = {.err = err};
    *out = (pfx_parsed){.intercept = true};
    return outcome_of(pfx_lex_begin(&r.lx, "formula", text, err) == PFX_OK && read_formula(&r, out), err);
}

pfx_status pfx_factor_parse(const char *what, const char *text, pfx_factor_spec *out, pfx_err *err)
{
    pfx_err own = {0};
    reader r = {.err = err ? err : &own};
    *out = (pfx_factor_spec){0};
    bool ok = pfx_lex_begin(&r.lx, what, text, r.err) == PFX_OK && read_factor(&r, out) &&
              (r.lx.tok.kind == PFX_TOK_END || fail(&r, "'^' or the end was expected"));
    if (!ok) pfx_factor_spec_free(out);
    return outcome_of(ok, r.err);
}
