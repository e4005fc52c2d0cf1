/* From the parsed formula to models: one for each outcome, step of the regressors and step of the effects. */
#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/model/formula_private.h"

static int n_steps(const pfx_steps *s)
{
    return s->used ? s->n + s->zero : 1;
}

/* Does alternative `alt` belong to step v (from 0)? */
static bool in_step(const pfx_steps *s, int alt, int v)
{
    int now = v + 1 - s->zero;
    return alt == 0 || (s->cumulative ? alt <= now : alt == now);
}

/* Terms of step v, by degree, each once. */
static bool take_terms(const pfx_term_list *from, const int *step, const pfx_steps *s, int v,
                       pfx_term_list *out, pfx_err *err)
{
    int max_degree = 0;
    for (int i = 0; i < from->n; i++)
        if (pfx_term_degree(&from->v[i]) > max_degree) max_degree = pfx_term_degree(&from->v[i]);
    for (int degree = 1; degree <= max_degree; degree++)
        for (int i = 0; i < from->n; i++) {
            bool seen = pfx_term_degree(&from->v[i]) != degree || (step && !in_step(s, step[i], v));
            for (int k = 0; k < out->n && !seen; k++) seen = pfx_term_equal(&out->v[k], &from->v[i]);
            pfx_term t;
            if (!seen && (!pfx_term_copy(&from->v[i], &t, err) || !pfx_terms_add(out, &t, err))) return false;
        }
    return true;
}

/* Add the slopes of `from` that a does not have. */
static bool merge_slopes(pfx_absorb_spec *a, const pfx_absorb_spec *from, pfx_err *err)
{
    for (int i = 0; i < from->n_slopes; i++) {
        bool seen = false;
        for (int k = 0; k < a->n_slopes; k++) seen |= strcmp(a->slope_text[k], from->slope_text[i]) == 0;
        if (seen) continue;
        int n = a->n_slopes + 1;
        pfx_expr **slopes = pfx_mem_realloc(a->slopes, n, sizeof *slopes, err);
        if (!slopes) return false;
        a->slopes = slopes;
        char **text = pfx_mem_realloc(a->slope_text, n, sizeof *text, err);
        if (!text) return false;
        a->slope_text = text;
        a->slopes[n - 1] = NULL;
        a->slope_text[n - 1] = NULL;
        a->n_slopes = n;
        if (!(a->slopes[n - 1] = pfx_expr_clone(from->slopes[i], err))) return false;
        if (!(a->slope_text[n - 1] = pfx_mem_strdup(from->slope_text[i], err))) return false;
    }
    return true;
}

/* Effects of step v; the same factor twice is one effect with the slopes of both. */
static bool take_effects(const pfx_parsed *p, int v, pfx_absorb_list *out, pfx_err *err)
{
    for (int i = 0; i < p->absorbed.n; i++) {
        const pfx_absorb_spec *a = &p->absorbed.v[i];
        if (!in_step(&p->fe_steps, p->absorb_step[i], v)) continue;
        int k = 0;
        while (k < out->n && strcmp(out->v[k].factor.text, a->factor.text) != 0) k++;
        pfx_absorb_spec one = {.intercept = a->intercept};
        if (k == out->n) {
            pfx_absorb_spec whole = *a;
            whole.n_slopes = 0; /* merged below, so that x stands once in firm[x, x] */
            if (!pfx_absorb_copy(&whole, &one, err) || !pfx_absorbs_add(out, &one, err)) return false;
        }
        out->v[k].intercept |= a->intercept;
        if (!merge_slopes(&out->v[k], a, err)) return false;
    }
    return true;
}

static void print_terms(pfx_str *s, int n, const pfx_term *terms)
{
    for (int i = 0; i < n; i++) pfx_str_addf(s, "%s%s", i ? " + " : "", terms[i].text);
}

static char *model_text(const pfx_model_spec *m, pfx_err *err)
{
    pfx_str s = {0};
    pfx_str_addf(&s, "%s ~ ", m->outcome_text);
    print_terms(&s, m->n_terms, m->terms);
    if (m->n_terms == 0) pfx_str_add(&s, m->intercept ? "1" : "0");
    if (m->n_terms > 0 && !m->intercept) pfx_str_add(&s, " - 1");
    for (int i = 0; i < m->n_absorbed; i++) {
        const pfx_absorb_spec *a = &m->absorbed[i];
        pfx_str_addf(&s, "%s%s", i ? " + " : " | ", a->factor.text);
        for (int k = 0; k < a->n_slopes; k++)
            pfx_str_addf(&s, "%s%s", k ? ", " : a->intercept ? "[" : "[[", a->slope_text[k]);
        if (a->n_slopes) pfx_str_add(&s, a->intercept ? "]" : "]]");
    }
    if (m->n_endogenous) {
        pfx_str_add(&s, " | ");
        print_terms(&s, m->n_endogenous, m->endogenous);
        pfx_str_add(&s, " ~ ");
        print_terms(&s, m->n_instruments, m->instruments);
    }
    char *text = s.failed ? NULL : pfx_mem_strdup(s.s, err);
    if (!text) (void)pfx_fail(err, PFX_ENOMEM, "out of memory for a formula");
    pfx_str_free(&s);
    return text;
}

static bool make_model(const pfx_parsed *p, int y, int x_step, int fe_step, pfx_model_spec *m, pfx_err *err)
{
    pfx_term_list x = {0}, endo = {0}, inst = {0};
    pfx_absorb_list fe = {0};
    m->intercept = p->intercept;
    bool ok = (m->outcome = pfx_expr_clone(p->outcomes[y], err)) &&
              (m->outcome_text = pfx_expr_text(m->outcome, err)) &&
              take_terms(&p->terms, p->term_step, &p->x_steps, x_step, &x, err) &&
              take_effects(p, fe_step, &fe, err) && take_terms(&p->endogenous, NULL, NULL, 0, &endo, err) &&
              take_terms(&p->instruments, NULL, NULL, 0, &inst, err);
    m->n_terms = x.n, m->terms = x.v;
    m->n_absorbed = fe.n, m->absorbed = fe.v;
    m->n_endogenous = endo.n, m->endogenous = endo.v;
    m->n_instruments = inst.n, m->instruments = inst.v;
    return ok && (m->text = model_text(m, err));
}

static bool expand(const pfx_parsed *p, pfx_formula *f, pfx_err *err)
{
    int nx = n_steps(&p->x_steps), nfe = n_steps(&p->fe_steps);
    double all = (double)p->n_outcomes * nx * nfe;
    if (all > PFX_FORMULA_MAX_MODELS) {
        (void)pfx_fail(err, PFX_EUSAGE, "formula: it expands to %.0f models, more than %d", all,
                       PFX_FORMULA_MAX_MODELS);
        return false;
    }
    if (!(f->models = pfx_mem_calloc((pfx_idx)all, sizeof *f->models, err))) return false;
    for (int fe = 0; fe < nfe; fe++)
        for (int x = 0; x < nx; x++)
            for (int y = 0; y < p->n_outcomes; y++)
                if (!make_model(p, y, x, fe, &f->models[f->n_models++], err)) return false;
    return true;
}

static void clear_terms(int n, pfx_term *v)
{
    pfx_term_list l = {n, n, v};
    pfx_terms_clear(&l);
}

static void clear_model(pfx_model_spec *m)
{
    pfx_mem_free(m->text);
    pfx_mem_free(m->outcome_text);
    pfx_expr_free(m->outcome);
    clear_terms(m->n_terms, m->terms);
    clear_terms(m->n_endogenous, m->endogenous);
    clear_terms(m->n_instruments, m->instruments);
    pfx_absorb_list fe = {m->n_absorbed, m->n_absorbed, m->absorbed};
    pfx_absorbs_clear(&fe);
}

void pfx_formula_free(pfx_formula *f)
{
    if (!f) return;
    for (int i = 0; i < f->n_models; i++) clear_model(&f->models[i]);
    pfx_mem_free(f->models);
    pfx_mem_free(f->text);
    pfx_mem_free(f);
}

pfx_status pfx_formula_parse(const char *text, pfx_formula **out, pfx_err *err)
{
    pfx_err own = {0};
    pfx_parsed p = {0};
    if (!err) err = &own;
    *out = NULL;
    pfx_formula *f = pfx_mem_calloc(1, sizeof *f, err);
    bool ok = f && (f->text = pfx_mem_strdup(text, err)) && pfx_formula_read(text, &p, err) == PFX_OK &&
              expand(&p, f, err);
    pfx_parsed_free(&p);
    if (!ok) {
        pfx_formula_free(f);
        return pfx_fail(err, PFX_ENOMEM, "out of memory for a formula");
    }
    *out = f;
    return PFX_OK;
}
