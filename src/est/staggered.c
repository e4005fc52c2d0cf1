#include "src/est/staggered.h"

#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/est/codes.h"
#include "src/est/fit.h"
#include "src/model/design.h"

enum { CHUNK = 65536 /* rows whose units a thread looks at together */, UNSEEN = 2 };

/* One column: its periods of change, and whether it is no treatment that stays on. */
typedef struct search {
    const pfx_design *d;
    int col;
    const int32_t *unit, *time;
    unsigned char *date; /* [nth x n_periods] */
    pfx_idx n_periods;
    atomic_bool other; /* not 0 or 1, or it falls */
} search;

/* Takes row i, whose unit was `before`; returns what it is now. */
static inline unsigned char take_row(search *s, pfx_idx i, unsigned char before, unsigned char *date)
{
    const double z = s->d->Z[i * s->d->p + s->col];
    const unsigned char x = z == 1;
    if ((z != 0 && z != 1) || (before == 1 && !x))
        atomic_store_explicit(&s->other, true, memory_order_relaxed);
    if (before == 0 && x) date[s->time[i]] = 1;
    return x;
}

/* The units whose first row lies in the chunk, where rows lie by unit. */
static void search_chunk(void *ctx, pfx_idx k, int thread)
{
    search *s = ctx;
    unsigned char *date = s->date + thread * s->n_periods, x = UNSEEN;
    const pfx_idx n = s->d->n, end = (k + 1) * CHUNK < n ? (k + 1) * CHUNK : n;
    pfx_idx i = k * CHUNK;
    while (i > 0 && i < end && s->unit[i] == s->unit[i - 1]) i++;
    const pfx_idx begin = i;
    for (; i < n && !atomic_load_explicit(&s->other, memory_order_relaxed); i++) {
        const bool same = i > begin && s->unit[i] == s->unit[i - 1];
        if (i >= end && !same) break;
        x = take_row(s, i, same ? x : UNSEEN, date);
    }
}

/* Rows in any order of units. last [units]. */
static void search_any(search *s, pfx_idx n_units, unsigned char *last)
{
    memset(last, UNSEEN, (size_t)n_units);
    for (pfx_idx i = 0; i < s->d->n && !s->other; i++)
        last[s->unit[i]] = take_row(s, i, last[s->unit[i]], s->date);
}

pfx_status pfx_staggered_dates(const pfx_design *d, int unit, int time, int col, int nth, pfx_idx *n_dates,
                               pfx_err *err)
{
    const pfx_factor *u = &d->absorbed[unit].factor, *t = &d->absorbed[time].factor;
    search s = {.d = d, .col = col, .unit = u->code, .time = t->code, .n_periods = t->n_levels};
    pfx_status st = PFX_ENOMEM;
    unsigned char *last = NULL;
    *n_dates = 0;
    if (d->n == 0 || (d->Z[col] != 0 && d->Z[col] != 1)) return PFX_OK;
    const bool sorted = !pfx_codes_compare(d->n, u->code, u->code, true, nth).f_falls;
    if (!(s.date = pfx_mem_calloc(nth * s.n_periods, 1, err))) goto done;
    if (!sorted && !(last = pfx_mem_alloc(u->n_levels, 1, err))) goto done;
    if (sorted)
        pfx_par_for((d->n + CHUNK - 1) / CHUNK, nth, search_chunk, &s);
    else
        search_any(&s, u->n_levels, last);
    for (pfx_idx p = 0; p < s.n_periods && !s.other; p++) {
        unsigned char any = 0;
        for (int k = 0; k < nth; k++) any |= s.date[k * s.n_periods + p];
        *n_dates += any;
    }
    st = PFX_OK;
done:
    pfx_mem_free(s.date), pfx_mem_free(last);
    return st;
}

pfx_status pfx_twfe_weights_of(pfx_design *d, const pfx_fit_options *o, pfx_twfe_weights *out, pfx_err *err)
{
    pfx_fit_options with = *o;
    pfx_fit *f = NULL;
    int y = d->p - 1;
    *out = (pfx_twfe_weights){0};
    for (pfx_idx i = 0; i < d->n; i++)
        if (d->Z[i * d->p + y] != 0 && d->Z[i * d->p + y] != 1)
            return pfx_fail(err, PFX_EDATA, "%s is not 0 or 1", d->name[y]);
    with.save = true;
    pfx_status st = pfx_fit_ols(d, &with, &f, err);
    if (st != PFX_OK) return st;
    /* Saved residuals stand in panel order; fitted value plus residual is D again. */
    double sum = 0, largest = 0;
    for (pfx_idx i = 0; i < f->n_rows; i++) largest = fmax(largest, fabs(f->resid[i]));
    double *w = pfx_mem_alloc(f->n_rows + 1, sizeof *w, err);
    if (!w) st = PFX_ENOMEM;
    for (pfx_idx i = 0; st == PFX_OK && i < f->n_rows; i++) {
        bool treated = f->fitted[i] + f->resid[i] > 0.5;
        w[i] = treated && fabs(f->resid[i]) > 1e-9 * largest ? f->resid[i] : 0;
        sum += w[i];
    }
    if (st == PFX_OK && !(largest > 1e-9 && sum > 0))
        st = pfx_fail(err, PFX_EDATA, "nothing of %s is left beside the effects", d->name[y]);
    for (pfx_idx i = 0; st == PFX_OK && i < f->n_rows; i++) {
        out->n_positive += w[i] > 0;
        out->n_negative += w[i] < 0;
        if (w[i] < 0) out->sum_negative += w[i] / sum;
    }
    pfx_mem_free(w);
    pfx_fit_free(f);
    return st;
}
