#include "src/data/csv_number.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include "src/base/text.h"

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static void trim(const char **s, size_t *n)
{
    while (*n && isspace((unsigned char)**s)) (*s)++, (*n)--;
    while (*n && isspace((unsigned char)(*s)[*n - 1])) (*n)--;
}

static bool all_digits(const char *p, const char *end)
{
    while (p < end && is_digit(*p)) p++;
    return p == end;
}

pfx_cell_class pfx_csv_number(const char *s, size_t n, double *out)
{
    if (n && (isspace((unsigned char)s[0]) || isspace((unsigned char)s[n - 1]))) trim(&s, &n);
    const char *end = s + n;
    if (n == 0 || (unsigned char)*s >= 'j' || !pfx_text_double(s, n, out)) return PFX_CELL_TEXT;
    if (*s == '-' || *s == '+') s++;
    if (*s == '0' && s + 1 < end && is_digit(s[1])) return PFX_CELL_ZERO_LED;
    return fabs(*out) >= 0x1p53 && all_digits(s, end) ? PFX_CELL_BIG : PFX_CELL_NUMBER;
}

/* 1,234,567.89: groups of three after the first comma, at most one point. */
static bool is_thousands(const char *p, const char *end)
{
    const char *q = p;
    while (q < end && is_digit(*q)) q++;
    if (q == p || q - p > 3 || q == end || *q != ',') return false;
    while (q < end && *q == ',') {
        for (int k = 1; k <= 3; k++)
            if (q + k >= end || !is_digit(q[k])) return false;
        q += 4;
    }
    if (q < end && *q == '.')
        for (q++; q < end && is_digit(*q);) q++;
    return q == end;
}

static bool is_decimal_comma(const char *p, const char *end)
{
    const char *q = p;
    while (q < end && is_digit(*q)) q++;
    if (q == p || q == end || *q != ',') return false;
    const char *f = ++q;
    while (q < end && is_digit(*q)) q++;
    return q > f && q == end;
}

pfx_cell_class pfx_csv_formatted(const char *s, size_t n)
{
    static const char *const signs[] = {"$", "\xe2\x82\xac", "\xc2\xa3", "\xc2\xa5"}; /* $ euro pound yen */
    trim(&s, &n);
    const char *p = s, *end = s + n;
    bool money = false;
    if (p < end && (*p == '+' || *p == '-')) p++;
    for (size_t i = 0; i < sizeof signs / sizeof *signs && !money; i++) {
        size_t k = strlen(signs[i]);
        if ((size_t)(end - p) > k && !memcmp(p, signs[i], k)) p += k, money = true;
    }
    if (end > p && end[-1] == '%') end--, money = true;
    if (is_thousands(p, end)) return PFX_CELL_THOUSANDS;
    if (is_decimal_comma(p, end)) return PFX_CELL_DECIMAL_COMMA;
    double v;
    if (money && pfx_cell_is_number(pfx_csv_number(p, (size_t)(end - p), &v))) return PFX_CELL_CURRENCY;
    return PFX_CELL_TEXT;
}
