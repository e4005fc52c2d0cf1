/* Numbers from the text of a cell: exact, fast, and with what the text itself tells (leading zeros, size). */
#ifndef PFX_DATA_CSV_NUMBER_H
#define PFX_DATA_CSV_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

typedef enum pfx_cell_class {
    PFX_CELL_NUMBER,        /* a number */
    PFX_CELL_ZERO_LED,      /* a number whose integer part has a leading zero, "000001", "01.5": rather an
                               identifier */
    PFX_CELL_BIG,           /* an integer of 2^53 or more, which a double may not hold exactly */
    PFX_CELL_THOUSANDS,     /* "1,234", "1,234,567.8" */
    PFX_CELL_DECIMAL_COMMA, /* "3,14" */
    PFX_CELL_CURRENCY,      /* "$5", "12%" */
    PFX_CELL_TEXT           /* anything else */
} pfx_cell_class;

/* Read s[0..n) whole as pfx_text_double does, and say what its digits tell. Returns NUMBER, ZERO_LED or BIG
 * with *out set, otherwise TEXT with *out untouched. n = 0 gives TEXT. */
pfx_cell_class pfx_csv_number(const char *s, size_t n, double *out);

/* Which kind of formatted number a TEXT cell is: THOUSANDS, DECIMAL_COMMA, CURRENCY, else TEXT. */
pfx_cell_class pfx_csv_formatted(const char *s, size_t n);

/* True for the classes that pfx_csv_number gives with a value. */
static inline bool pfx_cell_is_number(pfx_cell_class c)
{
    return c <= PFX_CELL_BIG;
}

#endif
