/* Tokens of formulas and expressions. */
#ifndef PFX_MODEL_LEXER_H
#define PFX_MODEL_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include "src/base/status.h"

typedef enum pfx_token_kind {
    PFX_TOK_END,
    PFX_TOK_NUM,
    PFX_TOK_NAME,
    PFX_TOK_TEXT,
    PFX_TOK_OP
} pfx_token_kind;

/* Operators of two characters: PFX_OP2('=', '='). `&&` and `||` are read as '&' and '|'. */
#define PFX_OP2(a, b) ((a) | (b) << 8)

typedef struct pfx_token {
    pfx_token_kind kind;
    int op;         /* PFX_TOK_OP: the character, or PFX_OP2 */
    int column;     /* in characters, from 1 */
    const char *at; /* as written, [n] bytes; quotes and backticks included */
    size_t n;
    double num;  /* PFX_TOK_NUM */
    bool quoted; /* PFX_TOK_NAME in backticks: never a keyword or a function */
} pfx_token;

/* A position in a text. Copying the struct is how to look further ahead. */
typedef struct pfx_lexer {
    const char *what; /* what the text is, for messages: "formula", "--where" */
    const char *text, *p;
    int column;
    pfx_token tok; /* the current token */
} pfx_lexer;

/* Start at the first token; text must be UTF-8 and outlive the lexer. USAGE: a character that starts no
 * token, an open quote. */
pfx_status pfx_lex_begin(pfx_lexer *lx, const char *what, const char *text, pfx_err *err) PFX_MUST;
/* Go to the next token; at the end it stays PFX_TOK_END. */
pfx_status pfx_lex_next(pfx_lexer *lx, pfx_err *err) PFX_MUST;
bool pfx_lex_is(const pfx_lexer *lx, int op);
bool pfx_lex_is_name(const pfx_lexer *lx, const char *name);
/* Go past the operator op, or fail: `formula: expected ')' but found 'x' at column 9`. */
pfx_status pfx_lex_expect(pfx_lexer *lx, int op, pfx_err *err) PFX_MUST;
/* The value of a name or text token, without quotes and escapes, as a new string; NULL: out of memory. */
char *pfx_lex_value(const pfx_token *t, pfx_err *err) PFX_MUST;

/* `WHAT: 'TOKEN' at column N: MESSAGE`, PFX_EUSAGE. */
pfx_status pfx_lex_fail(const pfx_lexer *lx, const pfx_token *t, pfx_err *err, const char *fmt, ...)
    PFX_PRINTF(4, 5);

/* True if name can be written without backticks. */
bool pfx_lex_is_plain_name(const char *name);

#endif
