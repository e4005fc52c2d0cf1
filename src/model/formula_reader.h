/* The parser's position and small steps, shared by the two files that parse formulas. */
#ifndef PFX_MODEL_FORMULA_READER_H
#define PFX_MODEL_FORMULA_READER_H

#include <string.h>
#include "src/model/formula_private.h"
#include "src/model/lexer.h"

typedef struct reader {
    pfx_lexer lx;
    int open; /* parentheses */
    pfx_err *err;
} reader;

static inline bool next(reader *r)
{
    return pfx_lex_next(&r->lx, r->err) == PFX_OK;
}
static inline bool expect(reader *r, int op)
{
    return pfx_lex_expect(&r->lx, op, r->err) == PFX_OK;
}
static inline bool is(const reader *r, int op)
{
    return pfx_lex_is(&r->lx, op);
}

/* A function's name with its parenthesis comes next. */
static inline bool is_call(const reader *r, const char *name)
{
    return pfx_lex_is_name(&r->lx, name) && r->lx.p[strspn(r->lx.p, " \t\r\n")] == '(';
}

static inline bool fail(reader *r, const char *msg)
{
    (void)pfx_lex_fail(&r->lx, &r->lx.tok, r->err, "%s", msg);
    return false;
}

/* formula_terms.c: append to out the terms of a product a*b:c, or of a sum of such. */
bool pfx_read_product(reader *r, pfx_term_list *out);
bool pfx_read_sum(reader *r, pfx_term_list *out);
/* Fail if arithmetic comes next, which among regressors stands in I(..). */
bool pfx_read_no_arithmetic(reader *r);

#endif
