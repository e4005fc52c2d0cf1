/* Rows of a block to the dataset's arrays, on several threads. Each range of rows goes to the place it has if
 * no row before it is dropped; where some were, the gaps are closed afterwards, in order. So where a row ends
 * up does not depend on the threads. Levels are coded in the order of the rows: one thread for each factor; but those
 * that were met before, in a block that loses no row, with their range.
 */
#include <float.h>
#include <math.h>
#include <string.h>
#include "kernels/columns.h"
#include "src/base/cpu.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/model/dataset_private.h"

/* Rows of a block are marked and stored in ranges: a range's part of a dozen columns fits the second-level
 * cache. */
enum { RANGE_ROWS = PFX_DATASET_RANGE };

/* ---- which rows stay ---- */

static bool is_finite(double v)
{
    return fabs(v) <= DBL_MAX;
}

static bool all_coded(pfx_idx n, const int32_t *code)
{
    int missing = 0;
    for (pfx_idx i = 0; i < n; i++) missing |= code[i] == PFX_NA_CODE;
    return !missing;
}

/* A variable over rows i0 .. i0+n-1 of the block: x or, where that is NULL, code. all: rows without it go. */
static pfx_idx mark(const pfx_ds_loader *ld, pfx_idx i0, pfx_idx n, const double *x, const int32_t *code,
                    bool all)
{
    pfx_idx missing = 0;
    if (x ? pfx_k_finite(pfx_cpu_best(), n, x + i0) : all_coded(n, code + i0)) return 0;
    for (pfx_idx i = i0; i < i0 + n; i++) {
        unsigned char ok = x ? is_finite(x[i]) : code[i] != PFX_NA_CODE;
        missing += ld->in[i] & !ok;
        ld->keep[i] &= ok | !all;
    }
    return missing;
}

static void mark_range(const pfx_ds_loader *ld, pfx_idx i0, pfx_idx n, pfx_idx *missing)
{
    const pfx_dataset *ds = ld->ds;
    memcpy(ld->keep + i0, ld->in + i0, (size_t)n);
    for (int k = 0; k < ds->n_values; k++)
        *missing++ += mark(ld, i0, n, ds->values[k].x, NULL, ds->values[k].all);
    for (int k = 0; k < ds->n_extras; k++)
        *missing++ += mark(ld, i0, n, ds->extras[k].x, NULL, ds->extras[k].all);
    for (int k = 0; k < ds->n_factors; k++, missing++) {
        const pfx_ds_factor *f = &ds->factors[k];
        if (k == ds->by) continue;
        for (int j = 0; j < f->n_vars; j++)
            *missing += mark(ld, i0, n, f->vars[j].code ? NULL : f->vars[j].x, f->vars[j].code, f->all);
    }
}

static bool *coded_of(const pfx_ds_loader *ld, int factor, pfx_idx range)
{
    return &ld->coded[factor * (ld->cap / RANGE_ROWS + 1) + range];
}

/* ---- storing a range ---- */

/* Rows of the block that were picked, to the table, a tile of rows at a time. */
static void store_picked(const pfx_ds_loader *ld, pfx_idx n, const pfx_idx *pick, double *table)
{
    enum { TILE = 64 };
    const pfx_dataset *ds = ld->ds;
    pfx_idx p = ds->n_values;
    for (pfx_idx t = 0; t < n; t += TILE) {
        pfx_idx m = n - t < TILE ? n - t : TILE;
        double *row = table + t * p;
        for (pfx_idx j = 0; j < p; j++)
            for (pfx_idx i = 0; i < m; i++) row[i * p + j] = ds->values[j].x[pick[t + i]];
    }
}

static void gather(pfx_idx i0, pfx_idx n, const pfx_idx *pick, const double *x, double *out)
{
    if (!pick)
        memcpy(out, x + i0, (size_t)n * sizeof *out);
    else
        for (pfx_idx i = 0; i < n; i++) out[i] = x[pick[i]];
}

/* Codes of rows i0 .. i0+n-1 as far as they are known, to the place of row i0 on; which factors have theirs. */
static void code_range(const pfx_ds_loader *ld, pfx_idx i0, pfx_idx n)
{
    const pfx_dataset *ds = ld->ds;
    for (int k = 0; k < ds->n_factors; k++) {
        const pfx_ds_factor *f = &ds->factors[k];
        const pfx_ds_var *v = &f->vars[0];
        int32_t *to = f->store + ds->n + i0;
        bool all = f->n_vars == 1 && !f->running;
        if (all && v->code) memcpy(to, v->code + i0, (size_t)n * sizeof *to);
        else all = all && !v->category && pfx_coder_known(&v->coder, n, v->x + i0, to) == n;
        *coded_of(ld, k, i0 / RANGE_ROWS) = all;
    }
}

/* All rows i0 .. i0+n-1 as they are, to the place of row i0 on. False where some value is missing, and they have to be
 * looked at one by one. */
static bool store_whole(const pfx_ds_loader *ld, pfx_idx i0, pfx_idx n)
{
    const pfx_dataset *ds = ld->ds;
    const pfx_isa isa = pfx_cpu_best();
    const pfx_idx at = ds->n + i0;
    const double *x[ds->n_values];
    for (int k = 0; k < ds->n_values; k++) x[k] = ds->values[k].x + i0;
    for (int k = 0; ds->no_values && k < ds->n_values; k++)
        if (!pfx_k_finite(isa, n, x[k])) return false;
    if (!ds->no_values && !pfx_k_interleave(isa, n, ds->n_values, x, ds->n_values, ds->table + at * ds->n_values)) return false;
    for (int k = 0; k < ds->n_extras; k++)
        if (!pfx_k_finite(isa, n, ds->extras[k].x + i0)) return false;
    for (int k = 0; k < ds->n_factors; k++) {
        const pfx_ds_factor *f = &ds->factors[k];
        for (int j = 0; j < f->n_vars && k != ds->by; j++)
            if (f->vars[j].code ? !all_coded(n, f->vars[j].code + i0) : !pfx_k_finite(isa, n, f->vars[j].x + i0)) return false;
    }
    for (int k = 0; k < ds->n_extras; k++) gather(i0, n, NULL, ds->extras[k].x, ds->extras[k].store + at);
    if (ds->want_time) gather(i0, n, NULL, ld->f->time, ds->time + at);
    for (pfx_idx i = 0; ds->want_rows && i < n; i++) ds->row[at + i] = ld->f->row0 + i0 + i;
    memset(ld->keep + i0, 1, (size_t)n);
    return true;
}

/* Rows that stay of rows i0 .. i0+n-1, to the place of row i0 on. Returns how many. */
static pfx_idx store_range(const pfx_ds_loader *ld, pfx_idx i0, pfx_idx n)
{
    const pfx_dataset *ds = ld->ds;
    const pfx_idx at = ds->n + i0;
    pfx_idx kept = 0, *pick = ld->pick + i0;
    for (pfx_idx i = i0; i < i0 + n; i++) {
        pick[kept] = i;
        kept += ld->keep[i];
    }
    if (!ds->no_values) store_picked(ld, kept, pick, ds->table + at * ds->n_values);
    for (int k = 0; k < ds->n_extras; k++) gather(i0, kept, pick, ds->extras[k].x, ds->extras[k].store + at);
    if (ds->want_time) gather(i0, kept, pick, ld->f->time, ds->time + at);
    for (pfx_idx i = 0; ds->want_rows && i < kept; i++) ds->row[at + i] = ld->f->row0 + pick[i];
    return kept;
}

/* --where and --by keep all of the rows. */
static bool all_in(const pfx_ds_loader *ld, pfx_idx i0, pfx_idx n)
{
    return (!ld->ds->where && ld->ds->by < 0) || !memchr(ld->in + i0, 0, (size_t)n);
}

static pfx_idx n_ranges(const pfx_ds_loader *ld)
{
    return (ld->f->n_rows + RANGE_ROWS - 1) / RANGE_ROWS;
}

static void store_one(void *ctx, pfx_idx r, int thread)
{
    const pfx_ds_loader *ld = ctx;
    pfx_idx i0 = r * RANGE_ROWS, left = ld->f->n_rows - i0;
    pfx_idx rows = left < RANGE_ROWS ? left : RANGE_ROWS;
    code_range(ld, i0, rows);
    if (all_in(ld, i0, rows) && store_whole(ld, i0, rows)) {
        ld->range_n[r] = rows;
        return;
    }
    mark_range(ld, i0, rows, ld->missing[thread]);
    ld->range_n[r] = store_range(ld, i0, rows);
}

/* ---- closing the gaps ---- */

static void move(void *base, size_t size, pfx_idx to, pfx_idx from, pfx_idx n)
{
    char *b = base;
    if (b) memmove(b + (size_t)to * size, b + (size_t)from * size, (size_t)n * size);
}

static void move_rows(pfx_dataset *ds, pfx_idx to, pfx_idx from, pfx_idx n)
{
    move(ds->table, sizeof *ds->table * (size_t)ds->n_values, to, from, n);
    for (int k = 0; k < ds->n_extras; k++)
        move(ds->extras[k].store, sizeof *ds->extras[k].store, to, from, n);
    if (ds->want_rows) move(ds->row, sizeof *ds->row, to, from, n);
    if (ds->want_time) move(ds->time, sizeof *ds->time, to, from, n);
}

static void close_gaps(pfx_ds_loader *ld)
{
    pfx_idx n = n_ranges(ld), kept = 0, to = 0;
    for (pfx_idx r = 0; r < n; r++) kept += ld->range_n[r];
    ld->n_pick = kept;
    if (kept == ld->f->n_rows) return;
    for (pfx_idx r = 0; r < n; r++) {
        pfx_idx i0 = r * RANGE_ROWS, m = ld->range_n[r];
        bool whole = m == (ld->f->n_rows - i0 < RANGE_ROWS ? ld->f->n_rows - i0 : RANGE_ROWS);
        for (pfx_idx i = 0; whole && i < m; i++) ld->pick[i0 + i] = i0 + i;
        move(ld->pick, sizeof *ld->pick, to, i0, m);
        if (to != i0) move_rows(ld->ds, ld->ds->n + to, ld->ds->n + i0, m);
        to += m;
    }
}

/* Add up what the threads counted. */
static void count_missing(pfx_ds_loader *ld)
{
    pfx_dataset *ds = ld->ds;
    int all = ds->n_values + ds->n_extras + ds->n_factors;
    for (int t = 0; t < ld->nth; t++) {
        const pfx_idx *m = ld->missing[t];
        for (int k = 0; k < ds->n_values; k++) ds->values[k].n_missing += *m++;
        for (int k = 0; k < ds->n_extras; k++) ds->extras[k].n_missing += *m++;
        for (int k = 0; k < ds->n_factors; k++) ds->factors[k].n_missing += *m++;
        memset(ld->missing[t], 0, (size_t)all * sizeof *m);
    }
}

/* ---- levels ---- */

static pfx_status code_var(const pfx_ds_loader *ld, pfx_ds_var *v, pfx_idx n, const pfx_idx *pick, int thread,
                           int32_t *out, pfx_err *err)
{
    double *numbers = ld->numbers + thread * ld->cap;
    const double *x = v->x;
    if (v->code) {
        if (!pick)
            memcpy(out, v->code, (size_t)n * sizeof *out);
        else
            for (pfx_idx i = 0; i < n; i++) out[i] = v->code[pick[i]];
        return PFX_OK;
    }
    if (pick) {
        for (pfx_idx i = 0; i < n; i++) numbers[i] = x[pick[i]];
        x = numbers;
    }
    if (!v->category) return pfx_coder_numbers(&v->coder, n, x, out, err);
    for (pfx_idx i = 0; i < n; i++) out[i] = is_finite(x[i]) ? (int32_t)x[i] : PFX_NA_CODE;
    return PFX_OK;
}

pfx_status pfx_dataset_code_factor(pfx_ds_loader *ld, pfx_ds_factor *f, pfx_idx n, const pfx_idx *pick,
                                   int thread, int32_t *out, pfx_err *err)
{
    int32_t *pair = ld->pair + thread * ld->cap;
    pfx_status st = code_var(ld, &f->vars[0], n, pick, thread, out, err);
    for (int k = 1; k < f->n_vars && st == PFX_OK; k++) {
        st = code_var(ld, &f->vars[k], n, pick, thread, pair, err);
        if (st == PFX_OK) st = pfx_coder_pairs(&f->pairs[k - 1], n, out, pair, err);
    }
    return st;
}

/* No row of the block was dropped, and each range knew its codes. */
static bool is_coded(const pfx_ds_loader *ld, int factor)
{
    bool all = ld->n_pick == ld->f->n_rows;
    for (pfx_idx r = 0; r < n_ranges(ld) && all; r++) all = *coded_of(ld, factor, r);
    return all;
}

static void code_one(void *ctx, pfx_idx k, int thread)
{
    pfx_ds_loader *ld = ctx;
    pfx_ds_factor *f = &ld->ds->factors[k];
    const pfx_idx *pick = ld->n_pick == ld->f->n_rows ? NULL : ld->pick;
    pfx_err_clear(&ld->factor_err[k]);
    ld->factor_st[k] = PFX_OK;
    if (f->running || is_coded(ld, (int)k)) return;
    ld->factor_st[k] =
        pfx_dataset_code_factor(ld, f, ld->n_pick, pick, thread, f->store + ld->ds->n, &ld->factor_err[k]);
}

pfx_status pfx_dataset_store(pfx_ds_loader *ld)
{
    pfx_dataset *ds = ld->ds;
    if (ds->want_time && !ld->f->time) return pfx_fail(ld->err, PFX_EFORMAT, "these rows have no time");
    pfx_par_for(n_ranges(ld), ld->nth, store_one, ld);
    close_gaps(ld);
    count_missing(ld);
    bool coded = true;
    for (int k = 0; k < ds->n_factors; k++) {
        ld->factor_st[k] = PFX_OK;
        coded &= ds->factors[k].running || is_coded(ld, k);
    }
    if (!coded) pfx_par_for(ds->n_factors, ld->nth, code_one, ld);
    for (int k = 0; k < ds->n_factors; k++)
        if (ld->factor_st[k] != PFX_OK)
            return pfx_fail(ld->err, ld->factor_st[k], "%s", ld->factor_err[k].msg);
    return PFX_OK;
}
