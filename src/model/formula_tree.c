/* The parts of a formula: making, copying, freeing. */
#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/model/formula_private.h"

void pfx_piece_clear(pfx_piece *p)
{
    pfx_expr_free(p->expr);
    pfx_mem_free(p->text);
    for (int i = 0; p->refs && i < p->n_refs; i++) pfx_mem_free(p->refs[i]);
    pfx_mem_free(p->refs);
    *p = (pfx_piece){0};
}

void pfx_term_clear(pfx_term *t)
{
    for (int i = 0; t->pieces && i < t->n_pieces; i++) pfx_piece_clear(&t->pieces[i]);
    pfx_mem_free(t->pieces);
    pfx_mem_free(t->text);
    *t = (pfx_term){0};
}

void pfx_factor_spec_free(pfx_factor_spec *s)
{
    for (int i = 0; s->vars && i < s->n_vars; i++) pfx_expr_free(s->vars[i]);
    pfx_mem_free(s->vars);
    pfx_mem_free(s->text);
    *s = (pfx_factor_spec){0};
}

void pfx_absorb_clear(pfx_absorb_spec *a)
{
    pfx_factor_spec_free(&a->factor);
    for (int i = 0; a->slopes && a->slope_text && i < a->n_slopes; i++) {
        pfx_expr_free(a->slopes[i]);
        pfx_mem_free(a->slope_text[i]);
    }
    pfx_mem_free(a->slopes);
    pfx_mem_free(a->slope_text);
    *a = (pfx_absorb_spec){0};
}

void pfx_terms_clear(pfx_term_list *l)
{
    for (int i = 0; i < l->n; i++) pfx_term_clear(&l->v[i]);
    pfx_mem_free(l->v);
    *l = (pfx_term_list){0};
}

void pfx_absorbs_clear(pfx_absorb_list *l)
{
    for (int i = 0; i < l->n; i++) pfx_absorb_clear(&l->v[i]);
    pfx_mem_free(l->v);
    *l = (pfx_absorb_list){0};
}

bool pfx_list_grow(void **v, int n, int *cap, size_t size, pfx_err *err)
{
    if (n < *cap) return true;
    int wider = *cap ? 2 * *cap : 4;
    void *w = pfx_mem_realloc(*v, wider, size, err);
    if (!w) return false;
    *v = w;
    *cap = wider;
    return true;
}

bool pfx_terms_add(pfx_term_list *l, pfx_term *t, pfx_err *err)
{
    void *v = l->v;
    bool ok = l->n < PFX_FORMULA_MAX_TERMS;
    if (!ok)
        (void)pfx_fail(err, PFX_EUSAGE, "formula: it expands to more than %d terms", PFX_FORMULA_MAX_TERMS);
    ok = ok && pfx_list_grow(&v, l->n, &l->cap, sizeof *l->v, err);
    l->v = v;
    if (!ok) {
        pfx_term_clear(t);
        return false;
    }
    l->v[l->n++] = *t;
    *t = (pfx_term){0};
    return true;
}

bool pfx_absorbs_add(pfx_absorb_list *l, pfx_absorb_spec *a, pfx_err *err)
{
    void *v = l->v;
    bool ok = pfx_list_grow(&v, l->n, &l->cap, sizeof *l->v, err);
    l->v = v;
    if (!ok) {
        pfx_absorb_clear(a);
        return false;
    }
    l->v[l->n++] = *a;
    *a = (pfx_absorb_spec){0};
    return true;
}

static bool piece_copy(const pfx_piece *p, pfx_piece *out, pfx_err *err)
{
    *out = (pfx_piece){.is_factor = p->is_factor, .all_levels = p->all_levels};
    if (!(out->expr = pfx_expr_clone(p->expr, err)) || !(out->text = pfx_mem_strdup(p->text, err)))
        return false;
    if (p->n_refs == 0) return true;
    if (!(out->refs = pfx_mem_calloc(p->n_refs, sizeof *out->refs, err))) return false;
    for (; out->n_refs < p->n_refs; out->n_refs++)
        if (!(out->refs[out->n_refs] = pfx_mem_strdup(p->refs[out->n_refs], err))) return false;
    return true;
}

static bool piece_equal(const pfx_piece *a, const pfx_piece *b)
{
    if (a->is_factor != b->is_factor || a->all_levels != b->all_levels || a->n_refs != b->n_refs)
        return false;
    for (int i = 0; i < a->n_refs; i++)
        if (strcmp(a->refs[i], b->refs[i]) != 0) return false;
    return strcmp(a->text, b->text) == 0;
}

static bool has_piece(const pfx_term *t, const pfx_piece *p)
{
    for (int i = 0; i < t->n_pieces; i++)
        if (piece_equal(&t->pieces[i], p)) return true;
    return false;
}

/* Copy the pieces of t behind those of out, which has room; those that out already has are left out. */
static bool append_pieces(const pfx_term *t, pfx_term *out, pfx_err *err)
{
    for (int i = 0; i < t->n_pieces; i++) {
        if (has_piece(out, &t->pieces[i])) continue;
        pfx_piece p;
        if (!piece_copy(&t->pieces[i], &p, err)) {
            pfx_piece_clear(&p);
            return false;
        }
        out->pieces[out->n_pieces++] = p;
    }
    return true;
}

int pfx_term_degree(const pfx_term *t)
{
    int degree = t->n_pieces;
    for (int i = 0; i < t->n_pieces; i++) degree -= t->pieces[i].all_levels;
    return degree;
}

bool pfx_term_equal(const pfx_term *a, const pfx_term *b)
{
    if (a->n_pieces != b->n_pieces) return false;
    for (int i = 0; i < a->n_pieces; i++)
        if (!has_piece(b, &a->pieces[i])) return false;
    return true;
}

bool pfx_term_copy(const pfx_term *t, pfx_term *out, pfx_err *err)
{
    *out = (pfx_term){0};
    if ((out->text = pfx_mem_strdup(t->text, err)) &&
        (out->pieces = pfx_mem_alloc(t->n_pieces, sizeof *out->pieces, err)) && append_pieces(t, out, err))
        return true;
    pfx_term_clear(out);
    return false;
}

bool pfx_term_make(pfx_expr *e, const char *text, pfx_term *out, pfx_err *err)
{
    *out = (pfx_term){0};
    if (!(out->pieces = pfx_mem_calloc(1, sizeof *out->pieces, err))) {
        pfx_expr_free(e);
        return false;
    }
    out->n_pieces = 1;
    out->pieces[0].expr = e;
    if ((out->pieces[0].text = text ? pfx_mem_strdup(text, err) : pfx_expr_text(e, err)) &&
        (out->text = pfx_mem_strdup(out->pieces[0].text, err)))
        return true;
    pfx_term_clear(out);
    return false;
}

bool pfx_term_product(const pfx_term *a, const pfx_term *b, pfx_term *out, pfx_err *err)
{
    if (pfx_term_equal(a, b)) return pfx_term_copy(a, out, err);
    pfx_str s = {0};
    pfx_str_addf(&s, "%s:%s", a->text, b->text);
    *out = (pfx_term){0};
    bool ok = !s.failed && (out->text = pfx_mem_strdup(s.s, err)) &&
              (out->pieces = pfx_mem_alloc(a->n_pieces + b->n_pieces, sizeof *out->pieces, err)) &&
              append_pieces(a, out, err) && append_pieces(b, out, err);
    pfx_str_free(&s);
    if (!ok) {
        (void)pfx_fail(err, PFX_ENOMEM, "out of memory for a formula");
        pfx_term_clear(out);
    }
    return ok;
}

bool pfx_absorb_copy(const pfx_absorb_spec *a, pfx_absorb_spec *out, pfx_err *err)
{
    *out = (pfx_absorb_spec){.intercept = a->intercept};
    pfx_factor_spec *f = &out->factor;
    if (!(f->text = pfx_mem_strdup(a->factor.text, err))) goto fail;
    if (!(f->vars = pfx_mem_calloc(a->factor.n_vars, sizeof *f->vars, err))) goto fail;
    for (; f->n_vars < a->factor.n_vars; f->n_vars++)
        if (!(f->vars[f->n_vars] = pfx_expr_clone(a->factor.vars[f->n_vars], err))) goto fail;
    if (a->n_slopes == 0) return true;
    if (!(out->slopes = pfx_mem_calloc(a->n_slopes, sizeof *out->slopes, err))) goto fail;
    if (!(out->slope_text = pfx_mem_calloc(a->n_slopes, sizeof *out->slope_text, err))) goto fail;
    for (int i = 0; i < a->n_slopes; i++) {
        out->n_slopes = i + 1;
        if (!(out->slopes[i] = pfx_expr_clone(a->slopes[i], err))) goto fail;
        if (!(out->slope_text[i] = pfx_mem_strdup(a->slope_text[i], err))) goto fail;
    }
    return true;
fail:
    pfx_absorb_clear(out);
    return false;
}
