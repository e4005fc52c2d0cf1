/* Parser of linear hypotheses: recursive descent over forms, a form being [k] coefficients and a constant. */
#include "src/est/wald.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"

enum { MAX_DEPTH = 64 };

typedef struct parser {
    const char *text, *at;
    int k;
    const char *const *terms;
    int n_dropped;
    const char *const *dropped;
    int depth;
    pfx_err *err;
} parser;

static pfx_status parse_sum(parser *p, double *form);

static void blanks(parser *p)
{
    while (isspace((unsigned char)*p->at)) p->at++;
}

static int column(const parser *p, const char *at)
{
    int c = 1; /* in characters, as a reader counts: continuation bytes of UTF-8 do not */
    for (const char *s = p->text; s < at; s++) c += ((unsigned char)*s & 0xC0) != 0x80;
    return c;
}

static bool in_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == ':' || (unsigned char)c >= 0x80;
}

/* Take the longest term that starts here, as written; -1: none. */
static int take_term(parser *p)
{
    int best = -1;
    size_t best_len = 0;
    for (int i = 0; i < p->k; i++) {
        size_t len = strlen(p->terms[i]);
        if (len <= best_len || strncmp(p->at, p->terms[i], len) != 0) continue;
        if (in_name(p->at[len - 1]) && in_name(p->at[len])) continue; /* x1 in x12 */
        best = i;
        best_len = len;
    }
    p->at += best_len;
    return best;
}

/* The name that stands here, for a message: letters, digits and whole brackets after them. */
static size_t name_length(const char *s)
{
    size_t n = 0;
    while (in_name(s[n])) n++;
    if (n > 0 && s[n] == '(') {
        const char *close = strchr(s + n, ')');
        if (close) n = (size_t)(close - s) + 1;
    }
    return n ? n : 1;
}

static pfx_status unknown_term(parser *p, const char *name, size_t n)
{
    char *copy = pfx_mem_strndup(name, n, p->err);
    if (!copy) return PFX_ENOMEM;
    pfx_status st = PFX_OK;
    for (int i = 0; i < p->n_dropped && st == PFX_OK; i++)
        if (strcmp(copy, p->dropped[i]) == 0)
            st = pfx_fail(p->err, PFX_EUSAGE,
                          "--test '%s': %s (column %d) was dropped as collinear; leave it out", p->text, copy,
                          column(p, name));
    if (st == PFX_OK) {
        const char *near = pfx_text_nearest(copy, p->k, p->terms);
        st = pfx_fail(p->err, PFX_EUSAGE, "--test '%s': no term '%s' (column %d)%s%s%s", p->text, copy,
                      column(p, name),
                      near ? "; did you mean '" : "; the terms are those of the coefficient table",
                      near ? near : "", near ? "'?" : "");
    }
    pfx_mem_free(copy);
    return st;
}

static pfx_status parse_backticks(parser *p, double *form)
{
    const char *name = p->at + 1, *end = strchr(name, '`');
    if (!end)
        return pfx_fail(p->err, PFX_EUSAGE, "--test '%s': the backtick at column %d is not closed", p->text,
                        column(p, p->at));
    size_t n = (size_t)(end - name);
    for (int i = 0; i < p->k; i++)
        if (strlen(p->terms[i]) == n && strncmp(p->terms[i], name, n) == 0) {
            form[i] = 1;
            p->at = end + 1;
            return PFX_OK;
        }
    return unknown_term(p, name, n);
}

static pfx_status parse_number(parser *p, double *form)
{
    /* strtod alone would also take "inf", "nan" and hexadecimal: the caller has seen a digit or a dot. */
    size_t n = strspn(p->at, "0123456789.");
    if (p->at[n] == 'e' || p->at[n] == 'E') {
        size_t sign = p->at[n + 1] == '+' || p->at[n + 1] == '-',
               digits = strspn(p->at + n + 1 + sign, "0123456789");
        if (digits) n += 1 + sign + digits;
    }
    if (!pfx_text_double(p->at, n, &form[p->k]) || !isfinite(form[p->k]) || in_name(p->at[n]))
        return pfx_fail(p->err, PFX_EUSAGE, "--test '%s': no number at column %d", p->text, column(p, p->at));
    p->at += n;
    return PFX_OK;
}

static pfx_status parse_factor(parser *p, double *form)
{
    blanks(p);
    memset(form, 0, (size_t)(p->k + 1) * sizeof *form);
    if (*p->at == '`') return parse_backticks(p, form);
    int term = take_term(p);
    if (term >= 0) {
        form[term] = 1;
        return PFX_OK;
    }
    if (*p->at == '-' || *p->at == '+') {
        double sign = *p->at++ == '-' ? -1 : 1;
        if (++p->depth > MAX_DEPTH)
            return pfx_fail(p->err, PFX_EUSAGE, "--test '%s': nested too deeply", p->text);
        pfx_status st = parse_factor(p, form);
        p->depth--;
        for (int i = 0; i <= p->k; i++) form[i] *= sign;
        return st;
    }
    if (*p->at == '(') {
        const char *open = p->at++;
        if (++p->depth > MAX_DEPTH)
            return pfx_fail(p->err, PFX_EUSAGE, "--test '%s': nested too deeply", p->text);
        pfx_status st = parse_sum(p, form);
        p->depth--;
        if (st != PFX_OK) return st;
        blanks(p);
        if (*p->at != ')')
            return pfx_fail(p->err, PFX_EUSAGE, "--test '%s': the bracket at column %d is not closed",
                            p->text, column(p, open));
        p->at++;
        return PFX_OK;
    }
    if (isdigit((unsigned char)*p->at) || *p->at == '.') return parse_number(p, form);
    if (*p->at == '\0')
        return pfx_fail(p->err, PFX_EUSAGE, "--test '%s': ends where a term or a number is wanted", p->text);
    if (in_name(*p->at)) return unknown_term(p, p->at, name_length(p->at));
    return pfx_fail(p->err, PFX_EUSAGE, "--test '%s': '%c' at column %d, a term or a number is wanted",
                    p->text, *p->at, column(p, p->at));
}

static bool is_constant(const parser *p, const double *form)
{
    for (int i = 0; i < p->k; i++)
        if (form[i] != 0) return false;
    return true;
}

static pfx_status parse_product(parser *p, double *form)
{
    pfx_status st = parse_factor(p, form);
    if (st != PFX_OK) return st;
    double *right = pfx_mem_alloc(p->k + 1, sizeof *right, p->err);
    if (!right) return PFX_ENOMEM;
    for (blanks(p); st == PFX_OK && (*p->at == '*' || *p->at == '/'); blanks(p)) {
        const char *op = p->at++;
        if ((st = parse_factor(p, right)) != PFX_OK) break;
        bool divide = *op == '/', linear = is_constant(p, right) || (!divide && is_constant(p, form));
        if (!linear || (divide && right[p->k] == 0)) {
            st = pfx_fail(p->err, PFX_EUSAGE, "--test '%s': '%c' at column %d: %s", p->text, *op,
                          column(p, op),
                          linear ? "division by zero" : "a hypothesis must be linear in the terms");
            break;
        }
        if (!is_constant(p, right)) /* number times form: turn round */
            for (int i = 0; i <= p->k; i++) {
                double t = form[i];
                form[i] = right[i];
                right[i] = t;
            }
        double by = divide ? 1 / right[p->k] : right[p->k];
        for (int i = 0; i <= p->k; i++) form[i] *= by;
    }
    pfx_mem_free(right);
    return st;
}

static pfx_status parse_sum(parser *p, double *form)
{
    pfx_status st = parse_product(p, form);
    if (st != PFX_OK) return st;
    double *right = pfx_mem_alloc(p->k + 1, sizeof *right, p->err);
    if (!right) return PFX_ENOMEM;
    for (blanks(p); st == PFX_OK && (*p->at == '+' || *p->at == '-'); blanks(p)) {
        double sign = *p->at++ == '-' ? -1 : 1;
        if ((st = parse_product(p, right)) != PFX_OK) break;
        for (int i = 0; i <= p->k; i++) form[i] += sign * right[i];
    }
    pfx_mem_free(right);
    return st;
}

/* One equation: its forms go to rows [*q ...] of w, each less the last. Rows hold k coefficients and a
 * constant until all is read. */
static pfx_status parse_equation(parser *p, double *rows, int *q)
{
    int k1 = p->k + 1, first = *q, n = 0;
    const char *start = p->at;
    for (;;) {
        pfx_status st = parse_sum(p, rows + (first + n++) * k1);
        if (st != PFX_OK) return st;
        blanks(p);
        if (*p->at != '=') break;
        p->at += p->at[1] == '=' ? 2 : 1;
    }
    if (n > 1) {
        n--;
        for (int m = 0; m < n; m++)
            for (int i = 0; i < k1; i++) rows[(first + m) * k1 + i] -= rows[(first + n) * k1 + i];
    }
    for (int m = 0; m < n; m++)
        if (is_constant(p, rows + (first + m) * k1))
            return pfx_fail(p->err, PFX_EUSAGE,
                            "--test '%s': the equation at column %d says nothing about a term", p->text,
                            column(p, start));
    *q += n;
    return PFX_OK;
}

/* A restriction that the others imply on its left must agree on its right. work [q x (k + 1)]. */
static bool consistent(const pfx_restrictions *w, double *work)
{
    int k = w->k, rank = 0;
    for (int i = 0; i < w->q; i++) {
        double *v = work + rank * (k + 1), norm = 0, left = 0;
        memcpy(v, w->R + i * k, (size_t)k * sizeof *v);
        v[k] = w->r[i];
        for (int j = 0; j < k; j++) norm += v[j] * v[j];
        double size = sqrt(norm) + fabs(v[k]);
        for (int pass = 0; pass < 2; pass++)
            for (int m = 0; m < rank; m++) {
                const double *u = work + m * (k + 1);
                double dot = 0;
                for (int j = 0; j < k; j++) dot += u[j] * v[j];
                for (int j = 0; j <= k; j++) v[j] -= dot * u[j];
            }
        for (int j = 0; j < k; j++) left += v[j] * v[j];
        if (left <= 1e-24 * norm) {
            if (fabs(v[k]) > 1e-10 * size) return false;
            continue;
        }
        for (int j = 0; j <= k; j++) v[j] /= sqrt(left);
        rank++;
    }
    return true;
}

pfx_status pfx_restrictions_parse(const char *text, int k, const char *const *terms, int n_dropped,
                                  const char *const *dropped, pfx_restrictions *out, pfx_err *err)
{
    pfx_status st = PFX_OK;
    parser p = {.text = text,
                .at = text,
                .k = k,
                .terms = terms,
                .n_dropped = n_dropped,
                .dropped = dropped,
                .err = err};
    int max_rows = 1, q = 0;
    for (const char *s = text; *s; s++) max_rows += *s == ',' || *s == '=';

    *out = (pfx_restrictions){.k = k};
    double *rows = pfx_mem_alloc((pfx_idx)max_rows * (k + 1), sizeof *rows, err);
    out->R = pfx_mem_alloc((pfx_idx)max_rows * k, sizeof *out->R, err);
    out->r = pfx_mem_alloc(max_rows, sizeof *out->r, err);
    if (!rows || !out->R || !out->r) {
        st = PFX_ENOMEM;
        goto done;
    }
    for (;;) {
        if ((st = parse_equation(&p, rows, &q)) != PFX_OK) goto done;
        if (*p.at != ',') break;
        p.at++;
    }
    if (*p.at) {
        st = pfx_fail(err, PFX_EUSAGE, "--test '%s': unexpected '%.*s' at column %d", text,
                      (int)name_length(p.at), p.at, column(&p, p.at));
        goto done;
    }
    for (int m = 0; m < q; m++) {
        memcpy(out->R + m * k, rows + m * (k + 1), (size_t)k * sizeof *rows);
        out->r[m] = -rows[m * (k + 1) + k];
    }
    out->q = q;
    if (!consistent(out, rows))
        st = pfx_fail(err, PFX_EUSAGE, "--test '%s': the equations contradict each other", text);
done:
    pfx_mem_free(rows);
    if (st != PFX_OK) pfx_restrictions_clear(out);
    return st;
}

void pfx_restrictions_clear(pfx_restrictions *w)
{
    pfx_mem_free(w->R);
    pfx_mem_free(w->r);
    *w = (pfx_restrictions){0};
}
