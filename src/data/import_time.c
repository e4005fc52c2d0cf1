#include "src/data/import_time.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const unit_names[] = {"index", "year", "half", "quarter", "month", "week", "day"};

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

static int month_days(int y, int m)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return m == 2 && is_leap(y) ? 29 : days[m - 1];
}

static bool is_date(int y, int m, int d)
{
    return y >= 1 && y <= 9999 && m >= 1 && m <= 12 && d >= 1 && d <= month_days(y, m);
}

/* ---- a time as written: a unit, and steps of it ---- */

typedef struct moment {
    pfx_time_unit unit;
    int64_t step;
} moment;

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
static bool read_month_name(const char *p, int day, moment *out)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    if (*p == '-' || *p == ' ' || *p == '/') p++;
    int m = 0, y;
    while (m < 12 && strncasecmp(p, names + 3 * m, 3)) m++;
    if (m == 12) return false;
    p += 3;
    if (*p == '-' || *p == ' ' || *p == '/') p++;
    if (read_int(&p, 4, &y) != 4 || !is_date(y, m + 1, day) || !is_clock_zero(p)) return false;
    *out = (moment){PFX_TIME_DAY, pfx_time_days(y, m + 1, day)};
    return true;
}

/* What follows the year: q1, m3, h2, w5, with an optional blank, hyphen or colon before the letter. */
static bool read_period(const char *p, int y, moment *out)
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
        *out = (moment){kinds[i].unit, (int64_t)(y - 1970) * kinds[i].per_year + k - 1};
        return true;
    }
    return false;
}

static bool read_moment(const char *p, moment *out)
{
    int y, m, d;
    while (*p == ' ') p++;
    const char *start = p;
    int k = read_int(&p, 8, &y);
    if ((k == 1 || k == 2) && *p) return read_month_name(p, y, out);
    if (k == 8 && *p == '\0' && is_date(y / 10000, y / 100 % 100, y % 100)) {
        *out = (moment){PFX_TIME_DAY, pfx_time_days(y / 10000, y / 100 % 100, y % 100)};
        return true;
    }
    if (k && *p == '\0') { /* a plain number among texts */
        *out = (moment){k == 4 && *start != '0' ? PFX_TIME_YEAR : PFX_TIME_INDEX, y};
        return true;
    }
    if (k != 4) return false;
    if (*p != '-' && *p != '/' && *p != '.') return read_period(p, y, out);
    if (!isdigit((unsigned char)p[1])) return read_period(p, y, out);
    char mark = *p++;
    if (!read_int(&p, 2, &m) || m < 1 || m > 12) return false;
    if (*p == '\0') {
        *out = (moment){PFX_TIME_MONTH, (int64_t)(y - 1970) * 12 + m - 1};
        return true;
    }
    if (*p++ != mark || !read_int(&p, 2, &d) || !is_date(y, m, d) || !is_clock_zero(p)) return false;
    *out = (moment){PFX_TIME_DAY, pfx_time_days(y, m, d)};
    return true;
}

/* ---- scan ---- */

void pfx_time_scan_init(pfx_time_scan *s, bool text, pfx_time_code code)
{
    *s = (pfx_time_scan){.text = text,
                         .code = code,
                         .whole = true,
                         .all_ymd = true,
                         .all_ym = true,
                         .min = INFINITY,
                         .max = -INFINITY,
                         .same_day = true,
                         .same_month = true,
                         .all_first = true,
                         .all_last = true};
}

static void scan_date(pfx_time_scan *s, int64_t days)
{
    int y, m, d;
    pfx_time_civil(days, &y, &m, &d);
    if (s->n_dates++ == 0) s->first_date = days, s->month = m, s->day = d;
    s->several |= days != s->first_date;
    s->same_month &= m == s->month;
    s->same_day &= m == s->month && d == s->day;
    s->all_first &= d == 1;
    s->all_last &= d == month_days(y, m);
    s->months |= 1u << m;
}

bool pfx_time_scan_text(pfx_time_scan *s, const char *text)
{
    moment t;
    if (!read_moment(text, &t)) return false;
    s->n++;
    s->has[t.unit] = true;
    if (t.unit == PFX_TIME_DAY) scan_date(s, t.step);
    return true;
}

static double decode(pfx_time_code c, double v)
{
    return floor(v / c.divide + c.shift);
}

void pfx_time_scan_number(pfx_time_scan *s, double v)
{
    if (!(fabs(v) < 0x1p53)) {
        s->whole &= v != v;
        return;
    }
    s->n++;
    s->min = fmin(s->min, v);
    s->max = fmax(s->max, v);
    if (s->code.known) {
        if (s->code.unit == PFX_TIME_DAY) scan_date(s, (int64_t)decode(s->code, v));
        return;
    }
    s->whole &= v == rint(v);
    if (!s->whole) return;
    int64_t k = (int64_t)v;
    s->all_ym = s->all_ym && k >= 100001 && k <= 299912 && k % 100 >= 1 && k % 100 <= 12;
    s->all_ymd = s->all_ymd && k >= 10000101 && k <= 29991231 &&
                 is_date((int)(k / 10000), (int)(k / 100 % 100), (int)(k % 100));
    if (s->all_ymd) scan_date(s, pfx_time_days((int)(k / 10000), (int)(k / 100 % 100), (int)(k % 100)));
}

/* ---- decide ---- */

static pfx_time_unit unit_of_dates(const pfx_time_scan *s)
{
    const unsigned m = s->months;
    enum { ENDS_HALF = 1 << 6 | 1 << 12, ENDS_QUARTER = ENDS_HALF | 1 << 3 | 1 << 9 };
    enum { STARTS_HALF = 1 << 1 | 1 << 7, STARTS_QUARTER = STARTS_HALF | 1 << 4 | 1 << 10 };
    if (!s->several) return PFX_TIME_DAY;
    if (s->same_day || (s->same_month && s->all_last)) return PFX_TIME_YEAR;
    if (!s->all_first && !s->all_last) return PFX_TIME_DAY;
    unsigned half = s->all_last ? ENDS_HALF : STARTS_HALF,
             quarter = s->all_last ? ENDS_QUARTER : STARTS_QUARTER;
    return !(m & ~half) ? PFX_TIME_HALF : !(m & ~quarter) ? PFX_TIME_QUARTER : PFX_TIME_MONTH;
}

/* The unit of the values as they are written, before dates are coarsened. */
static pfx_status written_unit(const pfx_time_scan *s, const char *what, pfx_time_plan *p, pfx_err *err)
{
    if (s->text) {
        int n = 0;
        for (int u = 0; u <= PFX_TIME_DAY; u++)
            if (s->has[u]) p->unit = (pfx_time_unit)u, n++;
        if (n == 2 && s->has[PFX_TIME_INDEX] && s->has[PFX_TIME_YEAR]) p->unit = PFX_TIME_INDEX, n = 1;
        if (n > 1)
            return pfx_fail(err, PFX_EDATA,
                            "%s: times of different kinds (%s and %s among them); write all in one way", what,
                            s->has[PFX_TIME_INDEX]  ? "numbers"
                            : s->has[PFX_TIME_YEAR] ? "years"
                                                    : "periods",
                            unit_names[p->unit]);
        return PFX_OK;
    }
    p->code = s->code;
    if (s->code.known) {
        p->number = PFX_TIME_CODED;
        p->unit = s->code.unit;
        return PFX_OK;
    }
    if (!s->whole)
        return pfx_fail(
            err, PFX_EDATA,
            "%s: a time must be a whole number, a date, a quarter or a month, and some are not whole; "
            "name another column with --time, or leave --time out",
            what);
    p->number = PFX_TIME_AS_IS;
    if (s->n == 0) return PFX_OK;
    if (s->min >= 1000 && s->max <= 2999)
        p->unit = PFX_TIME_YEAR;
    else if (s->all_ym)
        p->number = PFX_TIME_YM, p->unit = PFX_TIME_MONTH;
    else if (s->all_ymd)
        p->number = PFX_TIME_YMD, p->unit = PFX_TIME_DAY;
    return PFX_OK;
}

/* Whether steps of `from` have a meaning in `to`. */
static bool can_become(pfx_time_unit from, pfx_time_unit to)
{
    if (from == to || from == PFX_TIME_DAY || from == PFX_TIME_INDEX)
        return to != PFX_TIME_INDEX || from != PFX_TIME_DAY;
    return from != PFX_TIME_WEEK && from > to && to != PFX_TIME_INDEX;
}

pfx_status pfx_time_decide(const pfx_time_scan *s, int override, const char *what, pfx_time_plan *out,
                           pfx_err *err)
{
    *out = (pfx_time_plan){0};
    pfx_status st = written_unit(s, what, out, err);
    if (st != PFX_OK) return st;
    pfx_time_unit written = out->unit;
    if (override >= 0) {
        bool plain = !s->text && out->number != PFX_TIME_CODED;
        if (plain && (out->number == PFX_TIME_AS_IS || override == PFX_TIME_INDEX)) {
            out->number = PFX_TIME_AS_IS;
            out->unit = (pfx_time_unit) override;
            return PFX_OK;
        }
        if (!can_become(written, (pfx_time_unit) override))
            return pfx_fail(err, PFX_EUSAGE,
                            "--time-unit %s: %s holds times in steps of a %s; leave the option out, or "
                            "choose a coarser unit",
                            unit_names[override], what, unit_names[written]);
        out->unit = (pfx_time_unit) override;
        return PFX_OK;
    }
    if (written == PFX_TIME_DAY) out->unit = unit_of_dates(s);
    if (out->unit != written)
        snprintf(out->note, sizeof out->note,
                 "its dates are all %s, so time counts in steps of a %s (--time-unit day keeps days)",
                 out->unit == PFX_TIME_YEAR
                     ? (s->same_day ? "on the same day of the year" : "on the last day of the same month")
                 : s->all_last ? "last days of a month"
                               : "first days of a month",
                 unit_names[out->unit]);
    else if (out->number == PFX_TIME_YM)
        snprintf(out->note, sizeof out->note,
                 "its numbers read as year and month, so time counts in months (--time-unit index keeps the "
                 "numbers)");
    else if (out->number == PFX_TIME_YMD)
        snprintf(out->note, sizeof out->note,
                 "its numbers read as dates, so time counts in days (--time-unit index keeps the numbers)");
    return PFX_OK;
}

/* ---- apply ---- */

/* Steps of a coarser unit. */
static double coarsen(pfx_time_unit from, int64_t step, pfx_time_unit to)
{
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
    int64_t t = floor_div(months, 12 / per_year[to]);
    return (double)(to == PFX_TIME_YEAR ? t + 1970 : t);
}

double pfx_time_of_text(const pfx_time_plan *plan, const char *text)
{
    moment t;
    return read_moment(text, &t) ? coarsen(t.unit, t.step, plan->unit) : NAN;
}

double pfx_time_of_number(const pfx_time_plan *plan, double v)
{
    if (v != v) return v;
    int64_t k = (int64_t)v;
    switch (plan->number) {
    case PFX_TIME_YM:
        return coarsen(PFX_TIME_MONTH, (k / 100 - 1970) * 12 + k % 100 - 1, plan->unit);
    case PFX_TIME_YMD:
        return coarsen(PFX_TIME_DAY, pfx_time_days((int)(k / 10000), (int)(k / 100 % 100), (int)(k % 100)),
                       plan->unit);
    case PFX_TIME_CODED:
        return coarsen(plan->code.unit, (int64_t)decode(plan->code, v), plan->unit);
    case PFX_TIME_AS_IS:
        break;
    }
    return v;
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
