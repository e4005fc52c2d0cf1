#include "src/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "src/base/mem.h"

/* Room for n more bytes and the NUL. */
static bool reserve(pfx_str *b, size_t n)
{
    if (b->failed) return false;
    if (b->len + n < b->cap) return true;
    size_t cap = b->cap < 64 ? 64 : b->cap;
    while (cap <= b->len + n) cap *= 2;
    char *s = pfx_mem_realloc(b->s, (pfx_idx)cap, 1, NULL);
    if (!s) {
        b->failed = true;
        return false;
    }
    b->s = s;
    b->cap = cap;
    return true;
}

void pfx_str_addn(pfx_str *b, const char *s, size_t n)
{
    if (!reserve(b, n)) return;
    if (n > 0) memcpy(b->s + b->len, s, n);
    b->len += n;
    b->s[b->len] = '\0';
}

void pfx_str_add(pfx_str *b, const char *s)
{
    pfx_str_addn(b, s, strlen(s));
}

void pfx_str_addf(pfx_str *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    /* Into the room that is there; formatted a second time only where it was too small. */
    size_t room = b->s && !b->failed ? b->cap - b->len : 0;
    int n = vsnprintf(room ? b->s + b->len : NULL, room, fmt, ap);
    va_end(ap);
    if (n < 0)
        b->failed = true;
    else if ((size_t)n < room)
        b->len += (size_t)n;
    else if (reserve(b, (size_t)n)) {
        vsnprintf(b->s + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    } else if (room) {
        b->s[b->len] = '\0';
    }
    va_end(again);
}

void pfx_str_clear(pfx_str *b)
{
    b->len = 0;
    b->failed = false;
    if (b->s) b->s[0] = '\0';
}

void pfx_str_free(pfx_str *b)
{
    pfx_mem_free(b->s);
    *b = (pfx_str){0};
}

#define MAX_NAME 256 /* longer names are not typing slips of each other */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int min3(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

/* Edits (insert, delete, replace, swap neighbours) from a to b, without regard to case. */
static int edit_distance(const char *a, int na, const char *b, int nb)
{
    int rows[3][MAX_NAME + 1];
    int *before = rows[0], *last = rows[1], *row = rows[2];
    for (int j = 0; j <= nb; j++) last[j] = j;
    for (int i = 1; i <= na; i++) {
        row[0] = i;
        for (int j = 1; j <= nb; j++) {
            bool same = lower(a[i - 1]) == lower(b[j - 1]);
            row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + !same);
            bool swapped =
                i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]);
            if (swapped && before[j - 2] + 1 < row[j]) row[j] = before[j - 2] + 1;
        }
        int *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[nb];
}

const char *pfx_text_nearest(const char *name, pfx_idx n, const char *const *candidates)
{
    size_t len = strlen(name);
    if (len == 0 || len > MAX_NAME) return NULL;
    int best = (int)len / 3 > 1 ? (int)len / 3 : 1;
    const char *found = NULL;
    for (pfx_idx i = 0; i < n; i++) {
        const char *c = candidates[i];
        size_t k = strlen(c);
        if (k == 0 || k > MAX_NAME || k > len + (size_t)best || len > k + (size_t)best) continue;
        int d = edit_distance(name, (int)len, c, (int)k);
        /* A name of which no letter is left is another name, not a slip. */
        if (d < (int)(len > k ? len : k) && (d < best || (d == best && !found))) {
            best = d;
            found = c;
        }
    }
    return found;
}

size_t pfx_text_item(const char *s)
{
    int depth = 0;
    char quote = 0;
    for (size_t i = 0;; i++) {
        if (!s[i] || (s[i] == ',' && depth <= 0 && !quote)) return i;
        if (quote)
            quote = s[i] == quote ? 0 : quote;
        else if (s[i] == '"' || s[i] == '`')
            quote = s[i];
        else if (strchr("([", s[i]))
            depth++;
        else if (strchr(")]", s[i]))
            depth--;
    }
}
