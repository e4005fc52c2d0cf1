/* Numbers from text. */
#include <float.h>
#include <limits.h>
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "src/base/mem.h"
#include "src/base/text.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void trim(const char **s, size_t *n)
{
    while (*n > 0 && is_blank(**s)) {
        ++*s;
        --*n;
    }
    while (*n > 0 && is_blank((*s)[*n - 1])) --*n;
}

/* A decimal number split into sign, digits and power of ten. */
typedef struct decimal {
    bool negative;
    int n_digits;    /* significant digits, leading zeros not counted */
    uint64_t digits; /* value = digits * 10^power if n_digits <= 19 */
    int power;
} decimal;

/* [+-] digits [. digits] [(e|E) [+-] digits], nothing else. */
static bool scan_decimal(const char *s, const char *end, decimal *d)
{
    *d = (decimal){0};
    if (s < end && (*s == '+' || *s == '-')) d->negative = *s++ == '-';
    bool any = false, point = false;
    for (; s < end; s++) {
        if (*s == '.' && !point) {
            point = true;
        } else if (is_digit(*s)) {
            any = true;
            if (d->n_digits > 0 || *s != '0') d->n_digits++;
            if (d->n_digits <= 19) d->digits = 10 * d->digits + (uint64_t)(*s - '0');
            d->power -= point;
        } else {
            break;
        }
    }
    if (!any) return false;
    if (s == end) return true;
    if (*s != 'e' && *s != 'E') return false;
    bool minus = ++s < end && *s == '-';
    if (s < end && (*s == '+' || *s == '-')) s++;
    if (s == end) return false;
    int e = 0;
    for (; s < end && is_digit(*s); s++)
        if (e < 100000) e = 10 * e + (*s - '0');
    d->power += minus ? -e : e;
    return s == end;
}

static const double exact_power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* One correctly rounded operation on exact operands (Clinger 1990): digits below 2^53, 10^|power| exact. */
static bool fast_double(const decimal *d, double *out)
{
    if (d->n_digits > 19 || d->power < -22 || d->power > 22) return false;
    if (d->digits <= (uint64_t)1 << 53) {
        double v = (double)d->digits;
        *out = d->power < 0 ? v / exact_power[-d->power] : v * exact_power[d->power];
        return true;
    }
#if LDBL_MANT_DIG == 64
    /* The same in 64 bits of mantissa, then once more rounded to 53. That is safe unless the 11 bits cut off
     * are exactly one half, where the first rounding may have hidden on which side the number lies. */
    long double v = (long double)d->digits;
    v = d->power < 0 ? v / (long double)exact_power[-d->power] : v * (long double)exact_power[d->power];
    uint64_t mantissa;
    memcpy(&mantissa, &v, sizeof mantissa);
    if ((mantissa & 0x7FF) == 0x400) return false;
    *out = (double)v;
    return true;
#else
    return false;
#endif
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static locale_t c_locale;

static void make_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* strtod needs a NUL after the number, and the C locale's point. */
static bool slow_double(const char *s, size_t n, double *out)
{
    char stack[512], *copy = n < sizeof stack ? stack : pfx_mem_alloc((pfx_idx)n + 1, 1, NULL);
    if (!copy) return false;
    memcpy(copy, s, n);
    copy[n] = '\0';
    pthread_once(&once, make_locale);
    *out = c_locale ? strtod_l(copy, NULL, c_locale) : strtod(copy, NULL);
    if (copy != stack) pfx_mem_free(copy);
    return true;
}

static bool is_infinity(const char *s, size_t n, double *out)
{
    bool negative = n > 0 && *s == '-';
    if (n > 0 && (*s == '+' || *s == '-')) s++, n--;
    if (!(n == 3 && strncasecmp(s, "inf", 3) == 0) && !(n == 8 && strncasecmp(s, "infinity", 8) == 0))
        return false;
    *out = negative ? -__builtin_inf() : __builtin_inf();
    return true;
}

bool pfx_text_double(const char *s, size_t n, double *out)
{
    decimal d;
    double v;
    trim(&s, &n);
    if (n == 0) return false;
    if (!scan_decimal(s, s + n, &d)) return is_infinity(s, n, out);
    if (!fast_double(&d, &v)) return slow_double(s, n, out);
    *out = d.negative ? -v : v;
    return true;
}

bool pfx_text_idx(const char *s, size_t n, pfx_idx *out)
{
    trim(&s, &n);
    const char *end = s + n;
    bool negative = n > 0 && *s == '-';
    if (n > 0 && (*s == '+' || *s == '-')) s++;
    if (s == end) return false;
    uint64_t v = 0, limit = (uint64_t)INT64_MAX + negative;
    for (; s < end; s++) {
        if (!is_digit(*s)) return false;
        uint64_t digit = (uint64_t)(*s - '0');
        if (v > (limit - digit) / 10) return false;
        v = 10 * v + digit;
    }
    *out = negative ? (pfx_idx)(0 - v) : (pfx_idx)v;
    return true;
}

bool pfx_text_size(const char *s, size_t *out)
{
    static const char suffixes[] = "KMGT";
    size_t n = strlen(s);
    trim(&s, &n);
    double scale = 1, v;
    if (n > 1 && (s[n - 1] == 'B' || s[n - 1] == 'b')) {
        n--;
        if (n > 1 && s[n - 1] == 'i') n--;
    }
    const char *at = n > 1 && s[n - 1] ? strchr(suffixes, s[n - 1] & ~0x20) : NULL;
    if (at) {
        for (const char *c = suffixes; c <= at; c++) scale *= 1024;
        n--;
    }
    if (!pfx_text_double(s, n, &v) || !(v >= 0) || v * scale >= 9e18) return false;
    *out = (size_t)(v * scale);
    return true;
}
