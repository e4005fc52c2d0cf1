/* Times as whole steps of a unit, and as text. Years are year numbers; halves, quarters, months, weeks and
 * days count from the start of 1970. */
#ifndef PFX_BASE_CALENDAR_H
#define PFX_BASE_CALENDAR_H

#include <stdbool.h>
#include <stddef.h>
#include "src/base/frame.h"

/* Days since 1970-01-01 of a proleptic Gregorian date, and back. */
int64_t pfx_time_days(int year, int month, int day);
void pfx_time_civil(int64_t days, int *year, int *month, int *day);
/* Days of a month 1..12. */
int pfx_time_month_days(int year, int month);
/* Whether a date exists, in the years 1 to 9999. */
bool pfx_time_is_date(int year, int month, int day);

/* A time as written: a unit, and steps of it; a year as the number of years that stand there. */
typedef struct pfx_moment {
    pfx_time_unit unit;
    int64_t step;
} pfx_moment;

/* Read 2019, 2019h1, 2019q3, 2019m12, 2019-12, 2019w5, 2019-12-31, 20191231, 31dec2019 and the like; a plain
 * number of other than four digits is an index. False: the text is no time. */
bool pfx_moment_read(const char *text, pfx_moment *out);
/* Whether steps of `from` have a meaning in `to`. */
bool pfx_time_can_become(pfx_time_unit from, pfx_time_unit to);
/* Steps of `to` at a moment whose unit can become it. */
double pfx_moment_in(pfx_moment t, pfx_time_unit to);

/* How a time is written: "2019", "2019h1", "2019q3", "2019m12", "2019-12-31", a week or an index as a number.
 */
void pfx_time_write(pfx_time_unit unit, double t, size_t n, char *buf);

#endif
