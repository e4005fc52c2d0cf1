/* Parsing a formula: outcomes ~ regressors | effects | endogenous ~ instruments. */
#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/model/formula_reader.h"

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
        if (!(effects ? read_effects_sum(r, &p->absorbed) : pfx_read_sum(r, &p->terms))) return false;
        if (!set_steps(effects ? &p->absorb_step : &p->term_step, from, effects ? p->absorbed.n : p->terms.n,
                       ++s->n, r->err))
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
        if (!pfx_read_product(r, &p->terms) || !set_steps(&p->term_step, from, p->terms.n, 0, r->err))
            return false;
        if (is(r, '/') || is(r, PFX_OP2('%', '%'))) return pfx_read_no_arithmetic(r);
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
        if (!found &&
            (!read_effect(r, &p->absorbed) || !set_steps(&p->absorb_step, from, p->absorbed.n, 0, r->err)))
            return false;
        if (is(r, '*')) return fail(r, "effects are combined by ^, as in industry^year");
        if (!is(r, '+')) return true;
        if (!next(r)) return false;
    }
}

/* a + b, or c(a, b) */
static bool read_iv_side(reader *r, pfx_term_list *out)
{
    if (!is_call(r, "c")) return pfx_read_sum(r, out);
    if (!next(r) || !expect(r, '(')) return false;
    for (;;) {
        if (!pfx_read_sum(r, out)) return false;
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
    if (!is(r, '~'))
        return fail(r, "'~' was expected between outcome and regressors, as in y ~ x | firm + year");
    if (!next(r) || !read_regressors(r, p)) return false;
    bool more = is(r, '|');
    if (more && !next(r)) return false;
    if (more && !is_iv_part(r)) {
        if (!read_effects(r, p)) return false;
        more = is(r, '|');
        if (more && !next(r)) return false;
        if (more && !is_iv_part(r))
            return fail(r, "instruments were expected, as in | endogenous ~ instruments; clusters are given "
                           "by --cluster");
    }
    if (more && (!read_iv_side(r, &p->endogenous) || !expect(r, '~') || !read_iv_side(r, &p->instruments)))
        return false;
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
