#include "src/data/import_time.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const unit_names[] = {"index", "year", "half", "quarter", "month", "week", "day"};

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
    s->all_last &= d == pfx_time_month_days(y, m);
    s->months |= 1u << m;
}

bool pfx_time_scan_text(pfx_time_scan *s, const char *text)
{
    pfx_moment t;
    if (!pfx_moment_read(text, &t)) return false;
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
                 pfx_time_is_date((int)(k / 10000), (int)(k / 100 % 100), (int)(k % 100));
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
        if (!pfx_time_can_become(written, (pfx_time_unit) override))
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

double pfx_time_of_text(const pfx_time_plan *plan, const char *text)
{
    pfx_moment t;
    return pfx_moment_read(text, &t) ? pfx_moment_in(t, plan->unit) : NAN;
}

double pfx_time_of_number(const pfx_time_plan *plan, double v)
{
    if (v != v) return v;
    int64_t k = (int64_t)v;
    switch (plan->number) {
    case PFX_TIME_YM:
        return pfx_moment_in((pfx_moment){PFX_TIME_MONTH, (k / 100 - 1970) * 12 + k % 100 - 1}, plan->unit);
    case PFX_TIME_YMD:
        return pfx_moment_in(
            (pfx_moment){PFX_TIME_DAY, pfx_time_days((int)(k / 10000), (int)(k / 100 % 100), (int)(k % 100))},
            plan->unit);
    case PFX_TIME_CODED:
        return pfx_moment_in((pfx_moment){plan->code.unit, (int64_t)decode(plan->code, v)}, plan->unit);
    case PFX_TIME_AS_IS:
        break;
    }
    return v;
}
