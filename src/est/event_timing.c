/* When each unit is first treated. */
#include "src/est/event.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/ascending.h"
#include "src/base/mem.h"
#include "src/base/text.h"

enum { MAX_NAMED = 5 };

typedef struct reader {
    pfx_event_timing *t;
    const char *variable, *unit_name, *time_name;
    bool is_cohort, allow_reversal;
    int col, unit_col; /* of the frame */
    pfx_str named;     /* units whose treatment switches off */
    pfx_err *err;
} reader;

static void add_unit(pfx_str *out, const reader *r, const pfx_frame *f, pfx_idx row)
{
    const pfx_column *c = &f->cols[r->unit_col];
    pfx_str_addf(out, "%s ", r->unit_name);
    if (c->code)
        pfx_str_add(out, c->spec.levels && c->code[row] >= 0 ? c->spec.levels[c->code[row]] : "?");
    else
        pfx_str_addf(out, "%.15g", c->num[row]);
}

static pfx_status bad_value(reader *r, const pfx_frame *f, pfx_idx row, const char *why)
{
    pfx_str where = {0};
    add_unit(&where, r, f, row);
    pfx_status st = where.failed
                        ? pfx_fail(r->err, PFX_ENOMEM, "out of memory for a message")
                        : pfx_fail(r->err, PFX_EDATA, "%s is %.15g for %s in %s %.15g: %s", r->variable,
                                   f->cols[r->col].num[row], where.s, r->time_name, f->time[row], why);
    pfx_str_free(&where);
    return st;
}

static pfx_status read_treatment(reader *r, const pfx_frame *f, pfx_idx from, pfx_idx to, double *cohort)
{
    const double *x = f->cols[r->col].num;
    bool any = false, off = false;
    *cohort = INFINITY;
    for (pfx_idx i = from; i < to; i++) {
        if (isnan(x[i])) continue;
        any = true;
        if (x[i] != 0 && x[i] != 1)
            return bad_value(
                r, f, i, "a treatment is 0 or 1; a column of first treated periods is given with --cohort");
        if (x[i] == 1 && *cohort == INFINITY) *cohort = i == from || isnan(x[i - 1]) ? NAN : f->time[i];
        if (x[i] == 0 && *cohort != INFINITY) off = true;
    }
    if (!any) *cohort = NAN;
    if (!off) return PFX_OK;
    if (r->t->n_reversed++ < MAX_NAMED) {
        if (r->t->n_reversed > 1) pfx_str_add(&r->named, ", ");
        add_unit(&r->named, r, f, from);
    }
    return PFX_OK;
}

static pfx_status read_cohort(reader *r, const pfx_frame *f, pfx_idx from, pfx_idx to, double *cohort)
{
    const double *x = f->cols[r->col].num;
    for (pfx_idx i = from; i < to; i++) {
        if (x[i] != x[from] && !(isnan(x[i]) && isnan(x[from])))
            return bad_value(
                r, f, i, "a cohort does not change within a unit; a 0/1 treatment is given with --treatment");
        if (isfinite(x[i]) && x[i] != floor(x[i]))
            return bad_value(r, f, i, "a cohort is a period, a whole number");
    }
    *cohort = isfinite(x[from]) ? x[from] : INFINITY;
    return PFX_OK;
}

static pfx_status read_block(reader *r, const pfx_frame *f)
{
    pfx_event_timing *t = r->t;
    for (pfx_idx u = 0; u < f->n_units; u++) {
        pfx_idx from = f->unit_start[u], to = f->unit_start[u + 1];
        double *cohort = &t->cohort[f->unit0 + u];
        pfx_status st =
            r->is_cohort ? read_cohort(r, f, from, to, cohort) : read_treatment(r, f, from, to, cohort);
        if (st != PFX_OK) return st;
        t->start[f->unit0 + u] = f->row0 + from;
        if (from < to) {
            t->first = fmin(t->first, f->time[from]);
            t->last = fmax(t->last, f->time[to - 1]);
        }
    }
    return PFX_OK;
}

/* Which cohorts there are, now that the panel's periods are known. */
static pfx_status sort_cohorts(reader *r)
{
    pfx_event_timing *t = r->t;
    double *all = pfx_mem_alloc(t->n_units + 1, sizeof *all, r->err);
    if (!all) return PFX_ENOMEM;
    for (pfx_idx u = 0; u < t->n_units; u++) {
        double *c = &t->cohort[u];
        if (*c > t->last || (r->is_cohort && *c == 0 && t->first > 0)) *c = INFINITY;
        if (*c <= t->first) *c = NAN;
        if (isnan(*c)) {
            t->n_censored++;
            t->n_censored_rows += t->start[u + 1] - t->start[u];
        } else if (isinf(*c))
            t->n_never++;
        else
            all[t->n_treated++] = *c;
    }
    qsort(all, (size_t)t->n_treated, sizeof *all, pfx_ascending);
    for (pfx_idx i = 0; i < t->n_treated; i++) t->n_cohorts += i == 0 || all[i] != all[i - 1];
    t->cohorts = pfx_mem_alloc(t->n_cohorts + 1, sizeof *t->cohorts, r->err);
    t->cohort_units = pfx_mem_calloc(t->n_cohorts + 1, sizeof *t->cohort_units, r->err);
    int g = -1;
    for (pfx_idx i = 0; i < t->n_treated && t->cohorts && t->cohort_units; i++) {
        if (i == 0 || all[i] != all[i - 1]) t->cohorts[++g] = all[i];
        t->cohort_units[g]++;
    }
    pfx_mem_free(all);
    return t->cohorts && t->cohort_units ? PFX_OK : PFX_ENOMEM;
}

static pfx_status check(const reader *r)
{
    const pfx_event_timing *t = r->t;
    if (r->named.failed) return pfx_fail(r->err, PFX_ENOMEM, "out of memory for a message");
    if (t->n_reversed && !r->allow_reversal)
        return pfx_fail(
            r->err, PFX_EDATA,
            "%s switches off for %lld unit%s (%s%s): an event study takes a treatment that stays; drop them, "
            "or count from the first switch with --allow-reversal",
            r->variable, (long long)t->n_reversed, t->n_reversed == 1 ? "" : "s", r->named.s,
            t->n_reversed > MAX_NAMED ? ", ..." : "");
    if (t->n_treated == 0)
        return pfx_fail(r->err, PFX_EDATA,
                        "%s: no unit is seen before and after treatment (%lld never treated, %lld treated "
                        "from the start)",
                        r->variable, (long long)t->n_never, (long long)t->n_censored);
    return PFX_OK;
}

static pfx_status find_columns(reader *r, const pfx_row_source *src)
{
    r->unit_name = src->panel.unit;
    r->time_name = src->panel.time;
    if (!r->unit_name || !r->unit_name[0] || !r->time_name || !r->time_name[0])
        return pfx_fail(r->err, PFX_EUSAGE,
                        "an event study needs a panel with a unit and a time: import it with --unit "
                        "and --time");
    r->col = r->unit_col = -1;
    for (int c = 0; c < src->n_cols; c++) {
        if (strcmp(src->cols[c].name, r->variable) == 0) r->col = c;
        if (strcmp(src->cols[c].name, r->unit_name) == 0) r->unit_col = c;
    }
    if (r->col < 0 || r->unit_col < 0)
        return pfx_fail(r->err, PFX_EUSAGE, "%s: the source lacks it, or the unit", r->variable);
    if (src->cols[r->col].kind == PFX_CATEGORY)
        return pfx_fail(r->err, PFX_EUSAGE, "%s is a category: %s is wanted", r->variable,
                        r->is_cohort ? "the first treated period" : "a treatment of 0 and 1");
    return PFX_OK;
}

pfx_status pfx_event_timing_read(pfx_row_source *src, const char *variable, bool is_cohort,
                                 bool allow_reversal, pfx_event_timing *out, pfx_err *err)
{
    reader r = {
        .t = out, .variable = variable, .is_cohort = is_cohort, .allow_reversal = allow_reversal, .err = err};
    *out = (pfx_event_timing){
        .n_rows = src->n_rows, .n_units = src->n_units, .first = INFINITY, .last = -INFINITY};
    pfx_status st = find_columns(&r, src);
    if (st != PFX_OK) return st;
    out->cohort = pfx_mem_alloc(src->n_units + 1, sizeof *out->cohort, err);
    out->start = pfx_mem_alloc(src->n_units + 1, sizeof *out->start, err);
    st = out->cohort && out->start ? src->rewind(src->ctx, err) : PFX_ENOMEM;
    const pfx_frame *f = NULL;
    while (st == PFX_OK && (st = src->next(src->ctx, &f, err)) == PFX_OK && f) st = read_block(&r, f);
    if (st == PFX_OK) {
        out->start[src->n_units] = src->n_rows;
        st = sort_cohorts(&r);
    }
    if (st == PFX_OK) st = check(&r);
    pfx_str_free(&r.named);
    if (st != PFX_OK) pfx_event_timing_clear(out);
    return st;
}

pfx_idx pfx_event_unit(const pfx_event_timing *t, pfx_idx row, pfx_idx from)
{
    while (t->start[from + 1] <= row) from++;
    return from;
}

int pfx_event_cohort(const pfx_event_timing *t, double cohort)
{
    int g = 0;
    while (g < t->n_cohorts && t->cohorts[g] != cohort) g++;
    return g;
}

void pfx_event_timing_clear(pfx_event_timing *t)
{
    pfx_mem_free(t->cohort);
    pfx_mem_free(t->start);
    pfx_mem_free(t->cohorts);
    pfx_mem_free(t->cohort_units);
    *t = (pfx_event_timing){0};
}
