#include "src/model/lexer.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"

/* Character classes by hand: those of <ctype.h> depend on the locale. Any byte above 127 is part of a UTF-8
 * letter. */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c > 127;
}
static bool is_word(char c)
{
    return is_letter(c) || is_digit(c) || c == '.';
}
static bool starts_name(const char *p)
{
    return is_letter(*p) || (*p == '.' && !is_digit(p[1]));
}

bool pfx_lex_is_plain_name(const char *name)
{
    if (!starts_name(name) || strcmp(name, "in") == 0) return false;
    for (const char *p = name; *p; p++)
        if (!is_word(*p)) return false;
    return true;
}

pfx_status pfx_lex_fail(const pfx_lexer *lx, const pfx_token *t, pfx_err *err, const char *fmt, ...)
{
    char msg[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    if (t->kind == PFX_TOK_END)
        return pfx_fail(err, PFX_EUSAGE, "%s: the text ends at column %d: %s", lx->what, t->column, msg);
    int n = t->n > 80 ? 80 : (int)t->n;
    return pfx_fail(err, PFX_EUSAGE, "%s: '%.*s' at column %d: %s", lx->what, n, t->at, t->column, msg);
}

static int count_characters(const char *p, size_t n)
{
    int c = 0;
    for (size_t i = 0; i < n; i++) c += ((unsigned char)p[i] & 0xC0) != 0x80;
    return c;
}

/* Length of the number at p, digits with one point and an exponent. */
static size_t number_length(const char *p)
{
    const char *s = p;
    while (is_digit(*s)) s++;
    if (*s == '.') s++;
    while (is_digit(*s)) s++;
    if (*s == 'e' || *s == 'E') {
        const char *e = s + 1;
        if (*e == '+' || *e == '-') e++;
        if (is_digit(*e)) {
            while (is_digit(*e)) e++;
            s = e;
        }
    }
    return (size_t)(s - p);
}

static pfx_status lex_number(const pfx_lexer *lx, pfx_token *t, pfx_err *err)
{
    t->kind = PFX_TOK_NUM;
    t->n = number_length(t->at);
    size_t word = t->n;
    while (is_word(t->at[word])) word++;
    if (word > t->n) {
        t->n = word;
        return pfx_lex_fail(lx, t, err,
                            "neither a number nor a name; names that start with a digit stand in backticks");
    }
    if (!pfx_text_double(t->at, t->n, &t->num) || !isfinite(t->num))
        return pfx_lex_fail(lx, t, err, "not a number that fits");
    return PFX_OK;
}

/* A text in double quotes or a name in backticks. */
static pfx_status lex_quoted(const pfx_lexer *lx, pfx_token *t, pfx_err *err)
{
    char q = t->at[0];
    const char *s = t->at + 1;
    while (*s && *s != q) s += (q == '"' && s[0] == '\\' && s[1]) ? 2 : 1;
    t->n = (size_t)(s - t->at) + (*s ? 1 : 0);
    t->kind = q == '"' ? PFX_TOK_TEXT : PFX_TOK_NAME;
    t->quoted = true;
    if (!*s) return pfx_lex_fail(lx, t, err, "the closing %c is missing", q);
    if (t->n == 2 && q == '`') return pfx_lex_fail(lx, t, err, "an empty name");
    return PFX_OK;
}

static pfx_status lex_operator(const pfx_lexer *lx, pfx_token *t, pfx_err *err)
{
    static const char twos[][3] = {"==", "!=", "<=", ">=", "%%", "&&", "||"};
    t->kind = PFX_TOK_OP;
    for (size_t k = 0; k < sizeof twos / sizeof *twos; k++) {
        if (strncmp(t->at, twos[k], 2) != 0) continue;
        t->n = 2;
        t->op = twos[k][0] == '&' || twos[k][0] == '|' ? twos[k][0] : PFX_OP2(twos[k][0], twos[k][1]);
        return PFX_OK;
    }
    t->n = 1;
    t->op = (unsigned char)t->at[0];
    if (strchr("+-*/^<>&|!(),=~:[]", t->op)) return PFX_OK;
    if (t->op == '\'') return pfx_lex_fail(lx, t, err, "texts stand in double quotes");
    return pfx_lex_fail(lx, t, err, "a character that means nothing here");
}

pfx_status pfx_lex_next(pfx_lexer *lx, pfx_err *err)
{
    while (*lx->p == ' ' || *lx->p == '\t' || *lx->p == '\n' || *lx->p == '\r') {
        lx->p++;
        lx->column++;
    }
    pfx_token *t = &lx->tok;
    *t = (pfx_token){.kind = PFX_TOK_END, .column = lx->column, .at = lx->p};
    if (!*lx->p) return PFX_OK;

    pfx_status st = PFX_OK;
    if (is_digit(*lx->p) || (*lx->p == '.' && is_digit(lx->p[1]))) {
        st = lex_number(lx, t, err);
    } else if (starts_name(lx->p)) {
        t->kind = PFX_TOK_NAME;
        while (is_word(t->at[t->n])) t->n++;
    } else if (*lx->p == '"' || *lx->p == '`') {
        st = lex_quoted(lx, t, err);
    } else {
        st = lex_operator(lx, t, err);
    }
    lx->p += t->n;
    lx->column += count_characters(t->at, t->n);
    return st;
}

pfx_status pfx_lex_begin(pfx_lexer *lx, const char *what, const char *text, pfx_err *err)
{
    *lx = (pfx_lexer){.what = what, .text = text, .p = text, .column = 1};
    if (!pfx_text_is_utf8(text, strlen(text))) return pfx_fail(err, PFX_EUSAGE, "%s: not UTF-8 text", what);
    return pfx_lex_next(lx, err);
}

bool pfx_lex_is(const pfx_lexer *lx, int op)
{
    return lx->tok.kind == PFX_TOK_OP && lx->tok.op == op;
}

bool pfx_lex_is_name(const pfx_lexer *lx, const char *name)
{
    const pfx_token *t = &lx->tok;
    return t->kind == PFX_TOK_NAME && !t->quoted && t->n == strlen(name) && memcmp(t->at, name, t->n) == 0;
}

pfx_status pfx_lex_expect(pfx_lexer *lx, int op, pfx_err *err)
{
    if (!pfx_lex_is(lx, op)) return pfx_lex_fail(lx, &lx->tok, err, "'%c' was expected", op);
    return pfx_lex_next(lx, err);
}

char *pfx_lex_value(const pfx_token *t, pfx_err *err)
{
    if (!t->quoted) return pfx_mem_strndup(t->at, t->n, err);
    char *s = pfx_mem_strndup(t->at + 1, t->n - 2, err);
    if (!s || t->kind != PFX_TOK_TEXT) return s;
    char *to = s;
    for (const char *from = s; *from; from++) {
        if (*from == '\\' && from[1]) from++;
        *to++ = *from;
    }
    *to = '\0';
    return s;
}
