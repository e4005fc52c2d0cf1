/* Times: from numbers and texts to whole steps of the panel's time unit. Years are year numbers; halves,
 * quarters, months, weeks and days count from the start of 1970. */
#ifndef PFX_DATA_IMPORT_TIME_H
#define PFX_DATA_IMPORT_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include "src/base/calendar.h"

/* How a number stands for a time. */
typedef struct pfx_time_code {
    bool known;         /* the file's format says it */
    pfx_time_unit unit; /* steps that number / divide + shift counts, floored */
    double divide, shift;
} pfx_time_code;

/* What times of a column were met, to choose the unit. */
typedef struct pfx_time_scan {
    bool text; /* texts, else numbers */
    pfx_time_code code;
    pfx_idx n;
    bool has[PFX_TIME_DAY + 1]; /* texts: units as written */
    bool whole;                 /* numbers: all are whole */
    bool all_ymd, all_ym;       /* numbers: all read as 19991231, as 199912 */
    double min, max;
    /* of dates */
    pfx_idx n_dates;
    int month, day; /* of the first date */
    int64_t first_date;
    bool several, same_day, same_month, all_first, all_last;
    unsigned months; /* bit m: month m occurs */
} pfx_time_scan;

void pfx_time_scan_init(pfx_time_scan *s, bool text, pfx_time_code code);
/* False: the text is no time. */
bool pfx_time_scan_text(pfx_time_scan *s, const char *text);
void pfx_time_scan_number(pfx_time_scan *s, double v);

/* What becomes of each value. */
typedef struct pfx_time_plan {
    pfx_time_unit unit; /* of the panel */
    enum { PFX_TIME_AS_IS, PFX_TIME_YMD, PFX_TIME_YM, PFX_TIME_CODED } number;
    pfx_time_code code;
    char note[160]; /* "" or what the user should know */
} pfx_time_plan;

/* Choose. The rule for numbers: all whole; years if all lie in 1000..2999; months if all are like 199912;
 * dates if all are like 19991231; otherwise an index. Dates: one month and day in all years (or the last day
 * of one month): years; all first or all last days of their months: halves if only months 1 and 7 (6 and 12),
 * quarters if only 1, 4, 7, 10 (3, 6, 9, 12), else months; otherwise days. One single date stays a day.
 * override: a pfx_time_unit, -1: none. what: "FILE: column NAME". DATA: times of different kinds, numbers
 * that are not whole. USAGE: an override that the values cannot give. */
pfx_status pfx_time_decide(const pfx_time_scan *s, int override, const char *what, pfx_time_plan *out,
                           pfx_err *err) PFX_MUST;

/* Steps of plan->unit; NaN if the text is no time. */
double pfx_time_of_text(const pfx_time_plan *plan, const char *text);
double pfx_time_of_number(const pfx_time_plan *plan, double v);

#endif
