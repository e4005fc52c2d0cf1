/* What a column is: from what the user says, else from all its cells. */
#ifndef PFX_DATA_IMPORT_TYPES_H
#define PFX_DATA_IMPORT_TYPES_H

#include <stdbool.h>
#include "src/base/frame.h"
#include "src/data/csv_number.h"
#include "src/data/import_table.h"

/* ---- missing values ---- */

enum { PFX_MAX_MISSING = 128 };

/* Texts that mean "no value". Besides the user's: empty or blank, ".", ".a" to ".z" (Stata), "NA" (R), "NaN",
 * "nan", "N/A", "#N/A" (Excel), "NULL", "null". A token that is a number also stands for every cell of that
 * value. */
typedef struct pfx_missing {
    int n_text, n_number;
    const char *text[PFX_MAX_MISSING];
    double number[PFX_MAX_MISSING];
    bool first[256]; /* bytes that a token begins with */
} pfx_missing;

/* tokens must outlive m. USAGE: too many. */
pfx_status pfx_missing_init(pfx_missing *m, int n, const char *const *tokens, pfx_err *err) PFX_MUST;
bool pfx_missing_text(const pfx_missing *m, const char *s, size_t n);
static inline bool pfx_missing_number(const pfx_missing *m, double v)
{
    for (int i = 0; i < m->n_number; i++)
        if (m->number[i] == v) return true;
    return false;
}

/* ---- what the cells of a column look like ---- */

enum { PFX_SAMPLE_TEXT = 48 };

typedef struct pfx_cell_stats {
    pfx_idx n_value;                       /* cells that are not missing */
    pfx_idx n_text;                        /* of those, not a number */
    pfx_idx n_class[PFX_CELL_TEXT + 1];    /* of those, by class */
    pfx_cell_ref first_value;              /* -1: none */
    pfx_cell_ref first[PFX_CELL_TEXT + 1]; /* first cell of a class, -1: none; not kept for NUMBER */
    char sample[PFX_CELL_TEXT + 1][PFX_SAMPLE_TEXT]; /* its text, cut */
    bool fractions;                                  /* some number is not whole */
    size_t shortest, longest;                        /* bytes of a value's text; shortest > longest: none */
    double min, max;                                 /* of the numbers; min > max: none */
} pfx_cell_stats;

void pfx_cell_stats_init(pfx_cell_stats *s);
/* The length of a value's text. */
static inline void pfx_cell_stats_length(pfx_cell_stats *s, size_t n)
{
    s->shortest = n < s->shortest ? n : s->shortest;
    s->longest = n > s->longest ? n : s->longest;
}
/* One or more cells of a class other than NUMBER: what the text is, where it first stands. */
void pfx_cell_stats_note(pfx_cell_stats *s, pfx_cell_class cls, const char *text, size_t n, pfx_idx count,
                         pfx_cell_ref first);
/* Numbers x [n], NaN where missing or no number: count and range. row0: cell of x[0]. */
void pfx_cell_stats_numbers(pfx_cell_stats *s, pfx_idx n, const double *x, pfx_cell_ref row0);
/* Add b to a; the order of calls does not matter. */
void pfx_cell_stats_merge(pfx_cell_stats *a, const pfx_cell_stats *b);
/* Of a column that was read as text. */
void pfx_cell_stats_of_levels(pfx_cell_stats *s, const pfx_levels *l);

/* ---- the decision ---- */

/* What --types asks for. */
typedef enum pfx_wish { PFX_WISH_NONE, PFX_WISH_NUMERIC, PFX_WISH_FLOAT32, PFX_WISH_CATEGORY } pfx_wish;
bool pfx_wish_parse(const char *s, pfx_wish *out);

typedef struct pfx_type_choice {
    pfx_form form;     /* NUMBER or TEXT */
    const char *why;   /* a note for the user, NULL: nothing special; speaks of `at` */
    pfx_cell_class at; /* class whose first cell the note or the fault is about */
    bool fault;        /* the column is neither: an error names the first cell of class `at` */
} pfx_type_choice;

/* The rule, in this order:
 * 1. --types decides; with numeric, any cell that is no number is a fault.
 * 2. A number with a leading zero (000001) makes the column text.
 * 3. Numbers alone are numeric; whole numbers of which some exceed 2^53 are text (identifiers).
 * 4. If all cells that are no numbers are formatted numbers (1,234 or 3,14 or 5%), that is a fault.
 * 5. The column is text if its first value is no number, or if at least two values and more than one in ten
 * are none.
 * 6. Whole numbers and other texts, all of one length of five characters or more (112920, 11211X), are text.
 * 7. What remains, numbers with rare other cells, is a fault. */
pfx_type_choice pfx_type_decide(const pfx_cell_stats *s, pfx_wish wish);

/* The smallest of int32, int64, float64 that holds all numbers exactly (float32 where wished). */
pfx_dtype pfx_type_storage(const pfx_cell_stats *s, pfx_wish wish);

/* One line for a fault: `what` names file, row and column. */
pfx_status pfx_type_fail(const pfx_cell_stats *s, pfx_cell_class at, const char *what, const char *column,
                         pfx_err *err);

#endif
