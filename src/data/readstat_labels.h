/* Value labels and time formats of Stata, SPSS and SAS files. */
#ifndef PFX_DATA_READSTAT_LABELS_H
#define PFX_DATA_READSTAT_LABELS_H

#include "src/base/status.h"
#include "src/data/import_time.h"

/* Labels of the values of one variable, ascending, and which of them occurred. */
typedef struct pfx_value_set pfx_value_set;

/* All label sets of a file by name; start from {0}. */
typedef struct pfx_label_sets {
    int n, cap;
    struct pfx_label_set *set;
} pfx_label_sets;

pfx_status pfx_label_sets_add(pfx_label_sets *s, const char *set, double value, const char *label,
                              pfx_err *err) PFX_MUST;
/* A new value set with the labels of the named one; NULL if there is none. */
pfx_status pfx_label_sets_take(pfx_label_sets *s, const char *set, pfx_value_set **out,
                               pfx_err *err) PFX_MUST;
void pfx_label_sets_free(pfx_label_sets *s);

/* The value's label, NULL: none. */
const char *pfx_value_set_label(const pfx_value_set *v, double value);
/* The value occurs. */
void pfx_value_set_mark(pfx_value_set *v, double value);
/* If every value that occurred has a label: the values, ascending, and their labels (new, made distinct by
 * adding the value where two are equal). Else *n = 0. */
pfx_status pfx_value_set_used(const pfx_value_set *v, pfx_idx *n, double **value, char ***label,
                              pfx_err *err) PFX_MUST;
void pfx_value_set_free(pfx_value_set *v);

/* What a variable's display format says of its numbers; .known = false: no time. program: "dta", "sav",
 * "sas7bdat". Stata counts from 1960 (%td days, %tc milliseconds, %tw weeks of which a year has 52, %tm, %tq,
 * %th; %ty are years), SAS from 1960 (dates in days, datetimes in seconds), SPSS in seconds from 1582-10-14.
 */
pfx_time_code pfx_stat_time_code(const char *program, const char *format);

#endif
