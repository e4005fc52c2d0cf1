#include "hdf5_io/panel_order.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/mem.h"

/* ---- messages ---- */

/* "firm 000001, year 2018", or with codes where the labels are not known yet. */
static const char *row_name(const panel_order *o, double unit, double time, char *buf, size_t n)
{
    const pfx_col_spec *u = o->unit;
    size_t at;
    if (u->kind == PFX_CATEGORY && u->levels && unit < (double)u->n_levels)
        snprintf(buf, n, "%s %.60s", u->name, u->levels[(pfx_idx)unit]);
    else
        snprintf(buf, n, "%s %s%.15g", u->name, u->kind == PFX_CATEGORY ? "code " : "", unit);
    at = strlen(buf);
    if (o->time && at < n) snprintf(buf + at, n - at, ", %s %.15g", o->time->name, time);
    return buf;
}

static pfx_status missing(const char *where, const char *column, pfx_idx row, pfx_err *err)
{
    return pfx_fail(err, PFX_EDATA, "%s: row %lld: %s is missing; give it a value or drop the row", where,
                    (long long)row + 1, column);
}

static pfx_status misplaced(const panel_order *o, const char *where, pfx_idx row, double unit, double time,
                            pfx_err *err)
{
    char here[160], before[160];
    row_name(o, unit, time, here, sizeof here);
    row_name(o, o->last_unit, o->last_time, before, sizeof before);
    if (unit == o->last_unit) /* and time is the same: the caller looked */
        if (time == o->last_time)
            return pfx_fail(err, PFX_EDATA, "%s: rows %lld and %lld are both %s; drop one of them", where,
                            (long long)row, (long long)row + 1, here);
    return pfx_fail(err, PFX_EDATA, "%s: row %lld (%s) comes after %s; sort the rows by %s%s%s", where,
                    (long long)row + 1, here, before, o->unit->name, o->time ? " and " : "",
                    o->time ? o->time->name : "");
}

/* ---- distinct times ---- */

static pfx_idx slot_of(const double *seen, pfx_idx cap, double t)
{
    uint64_t bits;
    pfx_idx i;
    t += 0.0; /* -0 and 0 are one time */
    memcpy(&bits, &t, sizeof bits);
    bits ^= bits >> 32; /* a small whole number has its bits at the top, and only there */
    bits *=
        UINT64_C(0x9E3779B97F4A7C15); /* 2^64 / golden ratio: multiplicative hashing (Knuth, vol. 3, 6.4) */
    for (i = (pfx_idx)(bits >> 32) & (cap - 1); !isnan(seen[i]) && seen[i] != t; i = (i + 1) & (cap - 1)) {
    }
    return i;
}

static pfx_status grow(panel_order *o, pfx_err *err)
{
    pfx_idx cap = o->cap_seen ? 2 * o->cap_seen : 256;
    double *seen = pfx_mem_alloc(cap, sizeof *seen, err);
    if (!seen) return PFX_ENOMEM;
    for (pfx_idx i = 0; i < cap; i++) seen[i] = NAN;
    for (pfx_idx i = 0; i < o->cap_seen; i++)
        if (!isnan(o->seen[i])) seen[slot_of(seen, cap, o->seen[i])] = o->seen[i];
    pfx_mem_free(o->seen);
    o->seen = seen;
    o->cap_seen = cap;
    return PFX_OK;
}

static pfx_status note_time(panel_order *o, double t, pfx_err *err)
{
    pfx_idx i;
    if (2 * o->n_seen >= o->cap_seen) {
        pfx_status st = grow(o, err);
        if (st != PFX_OK) return st;
    }
    i = slot_of(o->seen, o->cap_seen, t);
    if (isnan(o->seen[i])) {
        o->seen[i] = t + 0.0;
        o->n_seen++;
    }
    return PFX_OK;
}

/* ---- rows ---- */

pfx_status panel_order_take(panel_order *o, const char *where, pfx_idx n, const double *unit_num,
                            const int32_t *unit_code, const double *time, bool *first, pfx_err *err)
{
    pfx_status st;
    if (!o->unit) { /* every row its own unit */
        for (pfx_idx r = 0; r < n; r++) first[r] = true;
        o->n_rows += n;
        o->n_units += n;
        return PFX_OK;
    }
    for (pfx_idx r = 0; r < n; r++, o->n_rows++) {
        double u = unit_code ? (unit_code[r] == PFX_NA_CODE ? NAN : (double)unit_code[r]) : unit_num[r];
        double t = time ? time[r] : 0;
        if (!isfinite(u)) return missing(where, o->unit->name, o->n_rows, err);
        if (!isfinite(t)) return missing(where, o->time->name, o->n_rows, err);
        first[r] = o->n_rows == 0 || u != o->last_unit;
        if (o->n_rows > 0 && (u < o->last_unit || (u == o->last_unit && time && t <= o->last_time)))
            return misplaced(o, where, o->n_rows, u, t, err);
        o->n_units += first[r];
        o->last_unit = u;
        o->last_time = t;
        if (time && (st = note_time(o, t, err)) != PFX_OK) return st;
    }
    return PFX_OK;
}

void panel_order_free(panel_order *o)
{
    pfx_mem_free(o->seen);
    *o = (panel_order){0};
}
