/* Shared by the files of the formula module: what parsing gives and expansion turns into models. */
#ifndef PFX_MODEL_FORMULA_PRIVATE_H
#define PFX_MODEL_FORMULA_PRIVATE_H

#include <stddef.h>
#include "src/model/expr.h"
#include "src/model/formula.h"

/* Limits that only a slip reaches. */
#define PFX_FORMULA_MAX_TERMS 20000
#define PFX_FORMULA_MAX_MODELS 10000

typedef struct pfx_term_list {
    int n, cap;
    pfx_term *v;
} pfx_term_list;
typedef struct pfx_absorb_list {
    int n, cap;
    pfx_absorb_spec *v;
} pfx_absorb_list;

/* A part with sw() or csw(): alternative 0 holds what is always there. */
typedef struct pfx_steps {
    bool used, cumulative, zero;
    int n;
} pfx_steps;
#define PFX_MAX_STEPS 200

typedef struct pfx_parsed {
    int n_outcomes, cap_outcomes;
    pfx_expr **outcomes;
    bool intercept;
    pfx_steps x_steps, fe_steps;
    pfx_term_list terms;
    int *term_step; /* [terms.n] its alternative */
    pfx_absorb_list absorbed;
    int *absorb_step; /* [absorbed.n] */
    pfx_term_list endogenous, instruments;
} pfx_parsed;

/* formula_parse.c */
pfx_status pfx_formula_read(const char *text, pfx_parsed *out, pfx_err *err) PFX_MUST;
void pfx_parsed_free(pfx_parsed *p);

/* formula_tree.c: building blocks. Lists take over what is added, and free it if it cannot be added. */
void pfx_piece_clear(pfx_piece *p);
void pfx_term_clear(pfx_term *t);
void pfx_absorb_clear(pfx_absorb_spec *a);
void pfx_terms_clear(pfx_term_list *l);
void pfx_absorbs_clear(pfx_absorb_list *l);
/* Room for one more of `size` bytes in *v, which holds n of *cap. */
bool pfx_list_grow(void **v, int n, int *cap, size_t size, pfx_err *err);
bool pfx_terms_add(pfx_term_list *l, pfx_term *t, pfx_err *err);
bool pfx_absorbs_add(pfx_absorb_list *l, pfx_absorb_spec *a, pfx_err *err);
bool pfx_term_copy(const pfx_term *t, pfx_term *out, pfx_err *err);
bool pfx_absorb_copy(const pfx_absorb_spec *a, pfx_absorb_spec *out, pfx_err *err);
/* A term of one numeric piece; takes e. text NULL: the text of e. */
bool pfx_term_make(pfx_expr *e, const char *text, pfx_term *out, pfx_err *err);
/* The product a:b, common pieces once. */
bool pfx_term_product(const pfx_term *a, const pfx_term *b, pfx_term *out, pfx_err *err);
/* Factors in the product; i(var, x) counts as one. */
int pfx_term_degree(const pfx_term *t);
/* The same pieces, in any order. */
bool pfx_term_equal(const pfx_term *a, const pfx_term *b);

#endif
