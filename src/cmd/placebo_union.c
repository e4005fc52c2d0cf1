/* The assignment of a family of placebos: one for all specifications, made of the rows that any of them has,
 * so that replicate r of each is the same assignment. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/ascending.h"
#include "src/base/mem.h"
#include "src/cmd/placebo.h"
#include "src/model/design.h"

static pfx_status allocate(placebo_state *s, pfx_idx n, pfx_idx own, pfx_err *err)
{
    pfx_mem_free(s->time);
    s->union_at = pfx_mem_alloc(n, sizeof *s->union_at, err);
    s->union_treatment = pfx_mem_alloc(n, sizeof *s->union_treatment, err);
    s->union_unit = pfx_mem_alloc(n, sizeof *s->union_unit, err);
    s->union_period = pfx_mem_calloc(n, sizeof *s->union_period, err);
    s->union_stratum = pfx_mem_calloc(n, sizeof *s->union_stratum, err);
    s->own_unit = pfx_mem_alloc(own, sizeof *s->own_unit, err);
    s->time = pfx_mem_calloc(n, sizeof *s->time, err);
    return s->union_at && s->union_treatment && s->union_unit && s->union_period && s->union_stratum &&
                   s->own_unit && s->time
               ? PFX_OK
               : PFX_ENOMEM;
}

/* Periods over all rows, and of the specification's own by the same numbers. */
static pfx_status number_periods(rep_run *r, const pfx_design *d, pfx_idx n, pfx_err *err)
{
    placebo_state *s = r->state;
    const char *name = pfx_panel_structure(r->panel)->time;
    double *time = NULL;
    s->n_periods = 1;
    if (!d->time) return PFX_OK;
    pfx_status st = placebo_column(r->panel, name, &time, err);
    if (st != PFX_OK) return st;
    for (pfx_idx i = 0; i < n; i++) s->time[i] = time[s->union_at[i]];
    qsort(s->time, (size_t)n, sizeof *s->time, pfx_ascending);
    for (pfx_idx i = 1; i < n; i++)
        if (s->time[i] != s->time[s->n_periods - 1]) s->time[s->n_periods++] = s->time[i];
    for (pfx_idx i = 0; i < n; i++) {
        const double *at =
            bsearch(&time[s->union_at[i]], s->time, (size_t)s->n_periods, sizeof *s->time, pfx_ascending);
        s->union_period[i] = (int32_t)(at - s->time);
    }
    for (pfx_idx i = 0; i < d->n && st == PFX_OK; i++) {
        const double *at =
            bsearch(&d->time[i], s->time, (size_t)s->n_periods, sizeof *s->time, pfx_ascending);
        if (at)
            s->period[i] = (int32_t)(at - s->time);
        else
            st = pfx_fail(err, PFX_EDATA, "%s: the time of row %lld is not that of its column", name,
                          (long long)d->row[i] + 1);
    }
    pfx_mem_free(time);
    return st;
}

static pfx_status take_treatment(rep_run *r, pfx_idx n, pfx_err *err)
{
    placebo_state *s = r->state;
    double *column = NULL;
    pfx_status st = placebo_column(r->panel, s->o->treatment, &column, err);
    for (pfx_idx i = 0; i < n && st == PFX_OK; i++) {
        s->union_treatment[i] = column[s->union_at[i]];
        if (!isfinite(s->union_treatment[i]))
            st = pfx_fail(err, PFX_EDATA,
                          "--treatment %s is missing at row %lld of the panel, which a specification of the "
                          "family uses",
                          s->o->treatment, (long long)s->union_at[i] + 1);
    }
    pfx_mem_free(column);
    return st;
}

pfx_status placebo_union(rep_run *r, const pfx_design *d, pfx_err *err)
{
    placebo_state *s = r->state;
    pfx_idx n = 0, rows = pfx_panel_n_rows(r->panel);
    for (pfx_idx k = 0; k < rows; k++) n += r->union_row[k] >= 0;
    pfx_status st = allocate(s, n, d->n, err);
    if (st != PFX_OK) return st;
    n = 0;
    for (pfx_idx k = 0; k < rows; k++) {
        if (r->union_row[k] < 0) continue;
        s->union_at[n] = k;
        s->union_unit[n] = r->union_row[k];
        if (r->also_row) s->union_stratum[n] = r->also_row[k];
        n++;
    }
    for (pfx_idx i = 0; i < d->n; i++) s->own_unit[i] = r->union_row[d->row[i]];
    if ((st = take_treatment(r, n, err)) == PFX_OK) st = number_periods(r, d, n, err);
    s->own = (pfx_assign_in){.scheme = s->in.scheme,
                             .n = d->n,
                             .treatment = s->treatment,
                             .n_units = r->all.n,
                             .unit = s->own_unit,
                             .n_periods = s->n_periods,
                             .period = s->period};
    s->in.n = n;
    s->in.treatment = s->union_treatment;
    s->in.n_units = r->all.n;
    s->in.unit = s->union_unit;
    s->in.n_periods = s->n_periods;
    s->in.period = s->union_period;
    s->in.stratum = r->also_row ? s->union_stratum : NULL;
    s->in.row = s->union_at;
    return st;
}
