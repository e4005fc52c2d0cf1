#include "src/base/calendar.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- calendar: 400-year cycles of 146,097 days, years that begin in March so that the leap day comes last
 * ---- */

enum { CYCLE = 146097, TO_1970 = 719468 };

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t pfx_time_days(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year, cycle = floor_div(y, 400), in = y - cycle * 400;
    int64_t from_march = (month + 9) % 12;
    int64_t of_year = (153 * from_march + 2) / 5 + day - 1;
    return cycle * CYCLE + in * 365 + in / 4 - in / 100 + of_year - TO_1970;
}

void pfx_time_civil(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + TO_1970, cycle = floor_div(z, CYCLE), d = z - cycle * CYCLE;
    int64_t y = (d - d / 1460 + d / 36524 - d / 146096) / 365;
    int64_t of_year = d - (365 * y + y / 4 - y / 100), from_march = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * from_march + 2) / 5 + 1);
    *month = (int)(from_march < 10 ? from_march + 3 : from_march - 9);
    *year = (int)(y + cycle * 400 + (*month <= 2));
}

static bool is_leap(int y)
{
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

int pfx_time_month_days(int y, int m)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return m == 2 && is_leap(y) ? 29 : days[m - 1];
}

bool pfx_time_is_date(int y, int m, int d)
{
    return y >= 1 && y <= 9999 && m >= 1 && m <= 12 && d >= 1 && d <= pfx_time_month_days(y, m);
}

/* ---- a time as written: a unit, and steps of it ---- */

/* Up to `most` digits at *p; how many there were. */
static int read_int(const char **p, int most, int *out)
{
    int k = 0;
    *out = 0;
    for (; k < most && isdigit((unsigned char)**p); k++) *out = *out * 10 + (*(*p)++ - '0');
    return k;
}

static bool is_clock_zero(const char *p)
{
    if (*p == 'T' || *p == ' ')
        p++;
    else
        return *p == '\0';
    if (!isdigit((unsigned char)*p)) return false;
    while (*p == '0' || *p == ':' || *p == '.') p++;
    return *p == '\0' || (*p == 'Z' && p[1] == '\0');
}

/* 31dec1999, 31-Dec-1999, 31 dec 1999, after the day. */
static bool read_month_name(const char *p, int day, pfx_moment *out)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    if (*p == '-' || *p == ' ' || *p == '/') p++;
    int m = 0, y;
    while (m < 12 && strncasecmp(p, names + 3 * m, 3)) m++;
    if (m == 12) return false;
    p += 3;
    if (*p == '-' || *p == ' ' || *p == '/') p++;
    if (read_int(&p, 4, &y) != 4 || !pfx_time_is_date(y, m + 1, day) || !is_clock_zero(p)) return false;
    *out = (pfx_moment){PFX_TIME_DAY, pfx_time_days(y, m + 1, day)};
    return true;
}

/* What follows the year: q1, m3, h2, w5, with an optional blank, hyphen or colon before the letter. */
static bool read_period(const char *p, int y, pfx_moment *out)
{
    static const struct {
        char letter;
        pfx_time_unit unit;
        int per_year;
    } kinds[] = {{'h', PFX_TIME_HALF, 2},
                 {'s', PFX_TIME_HALF, 2},
                 {'q', PFX_TIME_QUARTER, 4},
                 {'m', PFX_TIME_MONTH, 12},
                 {'w', PFX_TIME_WEEK, 52}};
    if (*p == '-' || *p == ' ' || *p == ':') p++;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (tolower((unsigned char)*p) != kinds[i].letter) continue;
        int k;
        p++;
        if (!read_int(&p, 2, &k) || *p || k < 1 || k > kinds[i].per_year) return false;
        *out = (pfx_moment){kinds[i].unit, (int64_t)(y - 1970) * kinds[i].per_year + k - 1};
        return true;
    }
    return false;
}

bool pfx_moment_read(const char *p, pfx_moment *out)
{
    int y, m, d;
    while (*p == ' ') p++;
    const char *start = p;
    int k = read_int(&p, 8, &y);
    if ((k == 1 || k == 2) && *p) return read_month_name(p, y, out);
    if (k == 8 && *p == '\0' && pfx_time_is_date(y / 10000, y / 100 % 100, y % 100)) {
        *out = (pfx_moment){PFX_TIME_DAY, pfx_time_days(y / 10000, y / 100 % 100, y % 100)};
        return true;
    }
    if (k && *p == '\0') { /* a plain number among texts */
        *out = (pfx_moment){k == 4 && *start != '0' ? PFX_TIME_YEAR : PFX_TIME_INDEX, y};
        return true;
    }
    if (k != 4) return false;
    if (*p != '-' && *p != '/' && *p != '.') return read_period(p, y, out);
    if (!isdigit((unsigned char)p[1])) return read_period(p, y, out);
    char mark = *p++;
    if (!read_int(&p, 2, &m) || m < 1 || m > 12) return false;
    if (*p == '\0') {
        *out = (pfx_moment){PFX_TIME_MONTH, (int64_t)(y - 1970) * 12 + m - 1};
        return true;
    }
    if (*p++ != mark || !read_int(&p, 2, &d) || !pfx_time_is_date(y, m, d) || !is_clock_zero(p)) return false;
    *out = (pfx_moment){PFX_TIME_DAY, pfx_time_days(y, m, d)};
    return true;
}

/* ---- from one unit to another, and to text ---- */

bool pfx_time_can_become(pfx_time_unit from, pfx_time_unit to)
{
    if (from == to || from == PFX_TIME_DAY || from == PFX_TIME_INDEX)
        return to != PFX_TIME_INDEX || from != PFX_TIME_DAY;
    return from != PFX_TIME_WEEK && from > to && to != PFX_TIME_INDEX;
}

double pfx_moment_in(pfx_moment t, pfx_time_unit to)
{
    const pfx_time_unit from = t.unit;
    const int64_t step = t.step;
    static const int per_year[] = {
        [PFX_TIME_YEAR] = 1, [PFX_TIME_HALF] = 2, [PFX_TIME_QUARTER] = 4, [PFX_TIME_MONTH] = 12};
    if (from == to || from == PFX_TIME_INDEX || to == PFX_TIME_INDEX) return (double)step;
    if (to == PFX_TIME_WEEK) return (double)floor_div(step + 3, 7); /* 1970-01-01 was a Thursday */
    int64_t months;
    if (from == PFX_TIME_DAY) {
        int y, m, d;
        pfx_time_civil(step, &y, &m, &d);
        months = (int64_t)(y - 1970) * 12 + m - 1;
    } else {
        months = step * (12 / per_year[from]);
    }
    int64_t k = floor_div(months, 12 / per_year[to]);
    return (double)(to == PFX_TIME_YEAR ? k + 1970 : k);
}

void pfx_time_write(pfx_time_unit unit, double t, size_t n, char *buf)
{
    int64_t k = (int64_t)t;
    int y, m, d, per_year = unit == PFX_TIME_HALF ? 2 : unit == PFX_TIME_QUARTER ? 4 : 12;
    switch (unit) {
    case PFX_TIME_DAY:
        pfx_time_civil(k, &y, &m, &d);
        snprintf(buf, n, "%04d-%02d-%02d", y, m, d);
        break;
    case PFX_TIME_HALF:
    case PFX_TIME_QUARTER:
    case PFX_TIME_MONTH:
        snprintf(buf, n, "%lld%c%lld", (long long)(1970 + floor_div(k, per_year)),
                 "hqm"[unit - PFX_TIME_HALF], (long long)(k - floor_div(k, per_year) * per_year + 1));
        break;
    default:
        snprintf(buf, n, "%lld", (long long)k);
    }
}
