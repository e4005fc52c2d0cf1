/* The formula of interface.md, parsed and expanded into models. */
#ifndef PFX_MODEL_FORMULA_H
#define PFX_MODEL_FORMULA_H

#include <stdbool.h>
#include "src/base/status.h"

struct pfx_expr;    /* src/model/expr.h */

/* A factor as written: one or several columns combined, `industry^year`. */
typedef struct pfx_factor_spec {
    char *text;                     /* canonical: "industry^year" */
    int n_vars;
    struct pfx_expr **vars;         /* [n_vars] mostly plain columns; any expression is allowed */
} pfx_factor_spec;

/* An absorbed effect: levels, and for `firm[x, z]` slopes as well (`firm[[x]]`: slopes alone). */
typedef struct pfx_absorb_spec {
    pfx_factor_spec factor;
    bool intercept;                 /* false for firm[[x]] */
    int n_slopes;
    struct pfx_expr **slopes;       /* [n_slopes] */
    char **slope_text;              /* [n_slopes] */
} pfx_absorb_spec;

/* A product inside a term: a numeric expression, or i(var, ref=..). A category column by itself is a factor. */
typedef struct pfx_piece {
    struct pfx_expr *expr;
    bool is_factor;                 /* written i(...); a category column becomes one at binding */
    char *ref;                      /* reference level as written, NULL: the first */
    char *text;
} pfx_piece;

typedef struct pfx_term {
    char *text;                     /* as it will be named */
    int n_pieces;                   /* x1:x2 has two */
    pfx_piece *pieces;
} pfx_term;

/* One model, after c(), sw(), csw() and * have been expanded. */
typedef struct pfx_model_spec {
    char *text;                     /* canonical formula of this model alone */
    char *outcome_text;
    struct pfx_expr *outcome;
    bool intercept;                 /* true unless -1 or 0; without meaning when effects with levels are absorbed */
    int n_terms;      pfx_term *terms;
    int n_absorbed;   pfx_absorb_spec *absorbed;
    int n_endogenous; pfx_term *endogenous;     /* `| d ~ z` */
    int n_instruments; pfx_term *instruments;
} pfx_model_spec;

typedef struct pfx_formula {
    char *text;
    int n_models;
    pfx_model_spec *models;         /* [n_models] outcomes vary fastest, then right-hand sides, then effects */
} pfx_formula;

/* Parse and expand. USAGE: the message names the offending token and its column, counted from 1. */
pfx_status pfx_formula_parse(const char *text, pfx_formula **out, pfx_err *err) PFX_MUST;
void pfx_formula_free(pfx_formula *f);

#endif
