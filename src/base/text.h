/* Text: a growing string, numbers from text, the nearest name. */
#ifndef PFX_BASE_TEXT_H
#define PFX_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include "src/base/status.h"

/* A growing string; start from {0}. After a failed append `failed` stays set and further appends do nothing,
 * so that a caller may check once at the end. */
typedef struct pfx_str {
    char *s; /* NUL-terminated, NULL while empty */
    size_t len, cap;
    bool failed; /* out of memory */
} pfx_str;

void pfx_str_add(pfx_str *b, const char *s);
void pfx_str_addn(pfx_str *b, const char *s, size_t n);
void pfx_str_addf(pfx_str *b, const char *fmt, ...) PFX_PRINTF(2, 3);
void pfx_str_clear(pfx_str *b); /* empty, capacity kept */
void pfx_str_free(pfx_str *b);

/* Whole text as a finite or infinite double in the C locale, blanks around it allowed; false: it is not one
 * ("1,234", "12abc", ""). Correctly rounded. */
bool pfx_text_double(const char *s, size_t n, double *out);
/* Whole text as an integer, false also when out of range. */
bool pfx_text_idx(const char *s, size_t n, pfx_idx *out);
/* "512M", "2g", "64K", "1048576": bytes, binary prefixes. */
bool pfx_text_size(const char *s, size_t *out);

/* The candidate with the smallest edit distance to name, if it is near enough to be a typing slip (ignoring
 * case; at most one third of the length, at least 1); NULL otherwise. */
const char *pfx_text_nearest(const char *name, pfx_idx n, const char *const *candidates);

/* The length of the first item of a list: it ends at a comma outside brackets, "texts" and `names`, or with s. */
size_t pfx_text_item(const char *s);

/* Columns a UTF-8 string takes on a terminal (wide East Asian characters count two). */
int pfx_text_width(const char *s);
/* True if the n bytes are well-formed UTF-8. */
bool pfx_text_is_utf8(const char *s, size_t n);

#endif
