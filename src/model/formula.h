/* The formula of interface.md, parsed and expanded into models.
 *
 *     outcome ~ regressors [| effects] [| endogenous ~ instruments]
 * outcome      an expression (expr.h), or c(y1, y2) for one model each
 * regressors   terms joined by +; `1` is understood, `0` or `-1` leaves the constant out. A term is a column,
 * a function of columns, I(any expression), x^2 (short for I(x^2)), i(..), or a product of these: a:b is the
 * product alone, a*b is a + b + a:b; parentheses group: (a + b):c is a:c + b:c. As in R, terms stand in the
 * order of their degree (a*b + c is a, b, c, a:b), and a repeated one counts once. l(x, 1:2), f(x, c(1, 3))
 * and d(..) give one term for each distance. i(var)       one column for each level of var but one; i(var,
 * ref = 2019) or ref = c("a", "b") chooses which; i(var, x) levels times x, no level left out unless ref says
 * so. A category column by itself is i() of it. The level left out by default is the first, sorted by value
 * or by the bytes of the label, and one is left out only if the term without the factor is in the model (R's
 * rule): with a constant or absorbed effects for i(var), with x for var:x. Columns are named as fixest does:
 * year::2019, year::2019:x, prov::Anhui:sector::44. effects      firm + year; industry^year (or
 * industry:year) combines; firm[x, z] adds a slope on x and z for each firm, firm[[x]] has only the slope; 0
 * stands for none sw(a, b)     one model each, in regressors or effects; csw(a, b) one after the other,
 * cumulated; sw0, csw0 begin with nothing. One of them in each part. */
#ifndef PFX_MODEL_FORMULA_H
#define PFX_MODEL_FORMULA_H

#include <stdbool.h>
#include "src/base/status.h"

struct pfx_expr; /* src/model/expr.h */

/* A factor as written: one or several columns combined, `industry^year`. */
typedef struct pfx_factor_spec {
    char *text; /* canonical: "industry^year" */
    int n_vars;
    struct pfx_expr **vars; /* [n_vars] mostly plain columns; any expression is allowed */
} pfx_factor_spec;

/* An absorbed effect: levels, and for `firm[x, z]` slopes as well (`firm[[x]]`: slopes alone). */
typedef struct pfx_absorb_spec {
    pfx_factor_spec factor;
    bool intercept; /* false for firm[[x]] */
    int n_slopes;
    struct pfx_expr **slopes; /* [n_slopes] */
    char **slope_text;        /* [n_slopes] */
} pfx_absorb_spec;

/* A factor of the product that a term is: a numeric expression, or levels. A category column is always
 * levels. */
typedef struct pfx_piece {
    struct pfx_expr *expr;
    char *text;      /* "year" for i(year, ref = 2019), "I(x^2)" */
    bool is_factor;  /* written i(..); a category column becomes one at binding */
    bool all_levels; /* i(var, x): no level is left out unless ref names it */
    int n_refs;
    char **refs; /* [n_refs] reference levels as written; none: see below */
} pfx_piece;

typedef struct pfx_term {
    char *text;   /* as it will be named */
    int n_pieces; /* x1:x2 has two */
    pfx_piece *pieces;
} pfx_term;

/* One model, after c(), sw(), csw() and * have been expanded. */
typedef struct pfx_model_spec {
    char *text; /* canonical formula of this model alone */
    char *outcome_text;
    struct pfx_expr *outcome;
    bool intercept; /* true unless -1 or 0; without meaning when effects with levels are absorbed */
    int n_terms;
    pfx_term *terms;
    int n_absorbed;
    pfx_absorb_spec *absorbed;
    int n_endogenous;
    pfx_term *endogenous; /* `| d ~ z` */
    int n_instruments;
    pfx_term *instruments;
} pfx_model_spec;

typedef struct pfx_formula {
    char *text;
    int n_models;
    pfx_model_spec *models; /* [n_models] outcomes vary fastest, then right-hand sides, then effects */
} pfx_formula;

/* Parse and expand. USAGE: the message names the offending token and its column, counted from 1. */
pfx_status pfx_formula_parse(const char *text, pfx_formula **out, pfx_err *err) PFX_MUST;
void pfx_formula_free(pfx_formula *f);

/* A factor alone, as an option gives it: "firm", "industry^year". `what` names the option in messages. */
pfx_status pfx_factor_parse(const char *what, const char *text, pfx_factor_spec *out, pfx_err *err) PFX_MUST;
void pfx_factor_spec_free(pfx_factor_spec *s); /* what it holds, not s itself */

#endif
