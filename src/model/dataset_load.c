/* Loading: one pass over the source. Each block is evaluated column by column, then the rows that stay are
 * appended: values to the row-major table, codes, weights and slopes to arrays of their own. */
#include <float.h>
#include <math.h>
#include <string.h>
#include <stdlib.h>
#include "src/base/mem.h"
#include "src/model/dataset_private.h"

typedef pfx_ds_loader loader;

static bool is_finite(double v)
{
    return fabs(v) <= DBL_MAX;
}

/* `at` is the address of a pointer to any type, which is why it is read and written by memcpy. */
static bool resize(void *at, pfx_idx n, size_t size, pfx_err *err)
{
    void *p;
    memcpy(&p, at, sizeof p);
    void *q = pfx_mem_realloc(p, n, size, err);
    if (q) memcpy(at, &q, sizeof q);
    return q != NULL;
}

/* ---- room for rows ---- */

static bool resize_stores(pfx_dataset *ds, pfx_idx cap, pfx_err *err)
{
    if (cap > PTRDIFF_MAX / 16 / (ds->n_values + 1)) {
        (void)pfx_fail(err, PFX_ENOMEM, "out of memory: %lld rows of %d values", (long long)cap,
                       ds->n_values);
        return false;
    }
    bool ok = resize(&ds->table, cap * ds->n_values, sizeof *ds->table, err);
    for (int k = 0; k < ds->n_extras && ok; k++) ok = resize(&ds->extras[k].store, cap, sizeof(double), err);
    for (int k = 0; k < ds->n_factors && ok; k++)
        ok = resize(&ds->factors[k].store, cap, sizeof(int32_t), err);
    if (ok && ds->want_rows) ok = resize(&ds->row, cap, sizeof *ds->row, err);
    if (ok && ds->want_time) ok = resize(&ds->time, cap, sizeof *ds->time, err);
    if (ok) ds->cap = cap;
    return ok;
}

/* Room is asked for once, for all rows of the panel: memory that no row is written to costs nothing, and
 * nothing is ever copied. Only where that much is refused and --where may leave fewer rows does it start
 * small and grow. */
static pfx_status reserve(pfx_dataset *ds, pfx_idx need, pfx_idx n_panel, pfx_err *err)
{
    if (need <= ds->cap) return PFX_OK;
    if (ds->cap == 0 && need <= n_panel) {
        pfx_err refused = {0};
        if (resize_stores(ds, n_panel, ds->where ? &refused : err)) return PFX_OK;
        if (!ds->where) return PFX_ENOMEM;
    }
    pfx_idx cap = need + ds->cap;
    if (cap > n_panel && need <= n_panel) cap = n_panel;
    return resize_stores(ds, cap, err) ? PFX_OK : PFX_ENOMEM;
}

static bool resize_values(int n, pfx_ds_value *v, pfx_idx cap, pfx_idx *scratch, pfx_err *err)
{
    bool ok = true;
    for (int k = 0; k < n && ok; k++) {
        pfx_idx s = pfx_program_scratch(v[k].prog, cap);
        if (pfx_program_plain(v[k].prog) < 0) ok = resize(&v[k].buf, cap, sizeof(double), err);
        if (s > *scratch) *scratch = s;
    }
    return ok;
}

/* Buffers for blocks of n rows. */
static pfx_status resize_buffers(loader *ld, pfx_idx n)
{
    pfx_dataset *ds = ld->ds;
    pfx_err *err = ld->err;
    if (n <= ld->cap) return PFX_OK;
    pfx_idx scratch = ds->where ? pfx_program_scratch(ds->where, n) : 0;
    bool ok = resize(&ld->in, n, 1, err) && resize(&ld->keep, n, 1, err) &&
              resize(&ld->pick, n, sizeof *ld->pick, err) && resize(&ld->by, n, sizeof *ld->by, err) &&
              resize(&ld->pair, n, sizeof *ld->pair, err) && resize(&ld->where, n, sizeof(double), err) &&
              resize(&ld->numbers, n, sizeof(double), err) &&
              resize_values(ds->n_values, ds->values, n, &scratch, err) &&
              resize_values(ds->n_extras, ds->extras, n, &scratch, err);
    for (int k = 0; k < ds->n_factors && ok; k++)
        for (int j = 0; j < ds->factors[k].n_vars && ok; j++) {
            pfx_ds_var *v = &ds->factors[k].vars[j];
            pfx_idx s = pfx_program_scratch(v->prog, n);
            if (pfx_program_plain(v->prog) < 0) ok = resize(&v->buf, n, sizeof(double), err);
            if (s > scratch) scratch = s;
        }
    if (ok) ok = resize(&ld->scratch, scratch, sizeof(double), err);
    if (ok) ld->cap = n;
    return ok ? PFX_OK : PFX_ENOMEM;
}

/* ---- evaluation ---- */

static pfx_status eval_values(loader *ld, int n, pfx_ds_value *v)
{
    pfx_status st = PFX_OK;
    for (int k = 0; k < n && st == PFX_OK; k++) {
        int col = pfx_program_plain(v[k].prog);
        v[k].x = col >= 0 ? ld->f->cols[col].num : v[k].buf;
        if (col < 0) st = pfx_program_eval(v[k].prog, ld->f, ld->scratch, v[k].buf, ld->err);
    }
    return st;
}

static pfx_status eval_factor(loader *ld, pfx_ds_factor *f)
{
    pfx_status st = PFX_OK;
    for (int k = 0; k < f->n_vars && st == PFX_OK; k++) {
        pfx_ds_var *v = &f->vars[k];
        int col = pfx_program_plain(v->prog);
        v->code = col >= 0 && v->category ? ld->f->cols[col].code : NULL;
        v->x = col >= 0 ? ld->f->cols[col].num : v->buf;
        if (col < 0) st = pfx_program_eval(v->prog, ld->f, ld->scratch, v->buf, ld->err);
    }
    return st;
}

static pfx_status eval_block(loader *ld)
{
    pfx_dataset *ds = ld->ds;
    pfx_status st = PFX_OK;
    if (ds->where) st = pfx_program_eval(ds->where, ld->f, ld->scratch, ld->where, ld->err);
    if (st == PFX_OK) st = eval_values(ld, ds->n_values, ds->values);
    if (st == PFX_OK) st = eval_values(ld, ds->n_extras, ds->extras);
    for (int k = 0; k < ds->n_factors && st == PFX_OK; k++) st = eval_factor(ld, &ds->factors[k]);
    return st;
}

/* Codes of n rows of a factor: those of the block in pick, or the first n. */
static pfx_status code_var(loader *ld, pfx_ds_var *v, pfx_idx n, const pfx_idx *pick, int32_t *out)
{
    if (v->code) {
        for (pfx_idx i = 0; i < n; i++) out[i] = v->code[pick ? pick[i] : i];
        return PFX_OK;
    }
    for (pfx_idx i = 0; i < n; i++) ld->numbers[i] = v->x[pick ? pick[i] : i];
    if (!v->category) return pfx_coder_numbers(&v->coder, n, ld->numbers, out, ld->err);
    for (pfx_idx i = 0; i < n; i++)
        out[i] = is_finite(ld->numbers[i]) ? (int32_t)ld->numbers[i] : PFX_NA_CODE;
    return PFX_OK;
}

static pfx_status code_factor(loader *ld, pfx_ds_factor *f, pfx_idx n, const pfx_idx *pick, int32_t *out)
{
    pfx_status st = code_var(ld, &f->vars[0], n, pick, out);
    for (int k = 1; k < f->n_vars && st == PFX_OK; k++) {
        st = code_var(ld, &f->vars[k], n, pick, ld->pair);
        if (st == PFX_OK) st = pfx_coder_pairs(&f->pairs[k - 1], n, out, ld->pair, ld->err);
    }
    return st;
}

/* ---- which rows stay ---- */

/* in = what --where and --by keep. */
static pfx_status mark_in(loader *ld)
{
    pfx_dataset *ds = ld->ds;
    pfx_idx n = ld->f->n_rows, kept = 0;
    for (pfx_idx i = 0; i < n; i++) {
        ld->in[i] = !ds->where || (ld->where[i] == ld->where[i] && ld->where[i] != 0);
        kept += ld->in[i];
    }
    ds->n_panel += n;
    ds->n_where += kept;
    if (ds->by < 0) return PFX_OK;
    pfx_status st = code_factor(ld, &ds->factors[ds->by], n, NULL, ld->by);
    for (pfx_idx i = 0; i < n && st == PFX_OK; i++) {
        if (ld->by[i] != PFX_NA_CODE) continue;
        ds->n_by_missing += ld->in[i];
        ld->in[i] = 0;
    }
    return st;
}

static void mark_value(loader *ld, pfx_ds_value *v)
{
    pfx_idx n = ld->f->n_rows, missing = 0;
    const double *x = v->x;
    unsigned char *keep = ld->keep, *in = ld->in, soft = !v->all;
    for (pfx_idx i = 0; i < n; i++) {
        unsigned char ok = is_finite(x[i]);
        missing += in[i] & !ok;
        keep[i] &= ok | soft;
    }
    v->n_missing += missing;
}

static void mark_factor(loader *ld, pfx_ds_factor *f)
{
    pfx_idx n = ld->f->n_rows;
    unsigned char soft = !f->all;
    for (int k = 0; k < f->n_vars; k++) {
        const pfx_ds_var *v = &f->vars[k];
        for (pfx_idx i = 0; i < n; i++) {
            unsigned char ok = v->code ? v->code[i] != PFX_NA_CODE : is_finite(v->x[i]);
            f->n_missing += ld->in[i] & !ok;
            ld->keep[i] &= ok | soft;
        }
    }
}

static pfx_status check_weights(const loader *ld)
{
    const pfx_dataset *ds = ld->ds;
    if (ds->weights < 0) return PFX_OK;
    const pfx_ds_value *w = &ds->extras[ds->weights];
    for (pfx_idx i = 0; i < ld->f->n_rows; i++)
        if (ld->in[i] && w->x[i] < 0)
            return pfx_fail(
                ld->err, PFX_EDATA,
                "--weights %s: negative weight %g in row %lld of the panel: weights must not be below zero",
                w->text, w->x[i], (long long)(ld->f->row0 + i + 1));
    return PFX_OK;
}

/* Count a row that is in but not kept, at its level of --by. */
static pfx_status count_dropped(loader *ld)
{
    pfx_dataset *ds = ld->ds;
    for (pfx_idx i = 0; i < ld->f->n_rows; i++) {
        if (!ld->in[i] || ld->keep[i]) continue;
        pfx_idx level = ds->by < 0 ? 0 : ld->by[i];
        if (level >= ds->cap_dropped) {
            pfx_idx cap = 2 * level + 1;
            if (!resize(&ds->dropped, cap, sizeof *ds->dropped, ld->err)) return PFX_ENOMEM;
            memset(ds->dropped + ds->cap_dropped, 0, (size_t)(cap - ds->cap_dropped) * sizeof *ds->dropped);
            ds->cap_dropped = cap;
        }
        ds->dropped[level]++;
    }
    return PFX_OK;
}

static pfx_status choose_rows(loader *ld)
{
    pfx_dataset *ds = ld->ds;
    pfx_status st = mark_in(ld);
    if (st == PFX_OK) st = check_weights(ld);
    if (st != PFX_OK) return st;
    memcpy(ld->keep, ld->in, (size_t)ld->f->n_rows);
    for (int k = 0; k < ds->n_values; k++) mark_value(ld, &ds->values[k]);
    for (int k = 0; k < ds->n_extras; k++) mark_value(ld, &ds->extras[k]);
    for (int k = 0; k < ds->n_factors; k++)
        if (k != ds->by) mark_factor(ld, &ds->factors[k]);
    ld->n_pick = 0;
    for (pfx_idx i = 0; i < ld->f->n_rows; i++) {
        ld->pick[ld->n_pick] = i;
        ld->n_pick += ld->keep[i];
    }
    return count_dropped(ld);
}

/* ---- storing ---- */

/* Columns to rows, a tile of rows at a time: the tile's part of the table stays in the first-level cache
 * while each column adds its values. */
static void store_table(const loader *ld)
{
    enum { TILE = 64 };
    const pfx_dataset *ds = ld->ds;
    pfx_idx p = ds->n_values;
    bool all = ld->n_pick == ld->f->n_rows;
    for (pfx_idx i0 = 0; i0 < ld->n_pick; i0 += TILE) {
        pfx_idx n = ld->n_pick - i0 < TILE ? ld->n_pick - i0 : TILE;
        double *row = ds->table + (ds->n + i0) * p;
        for (pfx_idx j = 0; j < p; j++) {
            const double *x = ds->values[j].x;
            if (all)
                for (pfx_idx i = 0; i < n; i++) row[i * p + j] = x[i0 + i];
            else
                for (pfx_idx i = 0; i < n; i++) row[i * p + j] = x[ld->pick[i0 + i]];
        }
    }
}

static void gather(pfx_idx n, const pfx_idx *pick, const double *x, double *out)
{
    for (pfx_idx i = 0; i < n; i++) out[i] = x[pick[i]];
}

static pfx_status store_block(loader *ld)
{
    pfx_dataset *ds = ld->ds;
    pfx_idx n = ld->n_pick;
    store_table(ld);
    for (int k = 0; k < ds->n_extras; k++) gather(n, ld->pick, ds->extras[k].x, ds->extras[k].store + ds->n);
    for (int k = 0; k < ds->n_factors; k++) {
        if (ds->factors[k].running) continue;
        pfx_status st = code_factor(ld, &ds->factors[k], n, ld->pick, ds->factors[k].store + ds->n);
        if (st != PFX_OK) return st;
    }
    if (ds->want_rows)
        for (pfx_idx i = 0; i < n; i++) ds->row[ds->n + i] = ld->f->row0 + ld->pick[i];
    if (ds->want_time) {
        if (!ld->f->time) return pfx_fail(ld->err, PFX_EFORMAT, "these rows have no time");
        gather(n, ld->pick, ld->f->time, ds->time + ds->n);
    }
    ds->n += n;
    return PFX_OK;
}

pfx_status pfx_dataset_append(loader *ld, pfx_idx n_room)
{
    pfx_status st = resize_buffers(ld, ld->f->n_rows);
    if (st == PFX_OK) st = eval_block(ld);
    if (st == PFX_OK) st = choose_rows(ld);
    if (st == PFX_OK) st = reserve(ld->ds, ld->ds->n + ld->n_pick, n_room, ld->err);
    return st == PFX_OK ? store_block(ld) : st;
}

static pfx_status load_rows(pfx_row_source *src, loader *ld)
{
    pfx_status st = src->rewind(src->ctx, ld->err);
    while (st == PFX_OK) {
        if ((st = src->next(src->ctx, &ld->f, ld->err)) != PFX_OK || !ld->f) break;
        st = pfx_dataset_append(ld, src->n_rows);
    }
    return st;
}

/* ---- after the last row ---- */

/* Number of levels and, where asked for, their labels. */
static pfx_status finish_factor(const pfx_row_source *src, pfx_ds_factor *f, pfx_err *err)
{
    const pfx_ds_var *v = &f->vars[0];
    const pfx_col_spec *spec = v->category ? &src->cols[pfx_program_levels_of(v->prog)] : NULL;
    f->n_levels = f->n_vars > 1 ? f->pairs[f->n_vars - 2].n : spec ? spec->n_levels : v->coder.n;
    if (!f->labelled || f->n_vars > 1) return PFX_OK;
    if (!(f->labels = pfx_mem_calloc(f->n_levels, sizeof *f->labels, err))) return PFX_ENOMEM;
    if (!spec && !(f->numbers = pfx_mem_alloc(f->n_levels, sizeof *f->numbers, err))) return PFX_ENOMEM;
    for (pfx_idx k = 0; k < f->n_levels; k++) {
        char number[32];
        if (!spec) pfx_expr_print_number(f->numbers[k] = pfx_coder_number(&v->coder, (int32_t)k), number);
        const char *label = !spec ? number : spec->levels ? spec->levels[k] : "?";
        if (!(f->labels[k] = pfx_mem_strdup(label, err))) return PFX_ENOMEM;
    }
    return PFX_OK;
}

const char *pfx_dataset_label(const pfx_ds_factor *f, pfx_idx code)
{
    return f->labels ? f->labels[code] : "";
}

typedef struct by_level {
    const pfx_ds_factor *f;
    int32_t code;
} by_level;
static int by_order(const void *pa, const void *pb)
{
    const by_level *a = pa, *b = pb;
    if (!a->f->numbers) return strcmp(a->f->labels[a->code], b->f->labels[b->code]);
    double x = a->f->numbers[a->code], y = b->f->numbers[b->code];
    return (x > y) - (x < y);
}

/* Levels of --by among the rows that --where keeps, sorted, and the stored rows of each. */
static pfx_status finish_by(pfx_dataset *ds, pfx_err *err)
{
    ds->n_by = 1;
    if (ds->by < 0) return PFX_OK;
    const pfx_ds_factor *f = &ds->factors[ds->by];
    pfx_status st = PFX_ENOMEM;
    by_level *level = pfx_mem_alloc(f->n_levels, sizeof *level, err);
    pfx_idx *count = pfx_mem_calloc(f->n_levels + 1, sizeof *count, err);
    if (!level || !count) goto done;
    for (pfx_idx i = 0; i < ds->n; i++) count[f->store[i]]++;
    ds->n_by = 0;
    for (pfx_idx k = 0; k < f->n_levels; k++)
        if (count[k] || (k < ds->cap_dropped && ds->dropped[k]))
            level[ds->n_by++] = (by_level){f, (int32_t)k};
    if (ds->n_by) qsort(level, (size_t)ds->n_by, sizeof *level, by_order);
    if (!(ds->by_code = pfx_mem_alloc(ds->n_by, sizeof *ds->by_code, err))) goto done;
    if (!(ds->by_start = pfx_mem_alloc(ds->n_by + 1, sizeof *ds->by_start, err))) goto done;
    if (!(ds->by_rows = pfx_mem_alloc(ds->n, sizeof *ds->by_rows, err))) goto done;
    ds->by_start[0] = 0;
    for (pfx_idx b = 0; b < ds->n_by; b++) {
        ds->by_code[b] = level[b].code;
        ds->by_start[b + 1] = ds->by_start[b] + count[level[b].code];
        count[level[b].code] = ds->by_start[b]; /* from here on: where its next row goes */
    }
    for (pfx_idx i = 0; i < ds->n; i++) ds->by_rows[count[f->store[i]]++] = i;
    st = PFX_OK;
done:
    pfx_mem_free(level);
    pfx_mem_free(count);
    return st;
}

void pfx_dataset_loader_free(loader *ld)
{
    pfx_mem_free(ld->in);
    pfx_mem_free(ld->keep);
    pfx_mem_free(ld->pick);
    pfx_mem_free(ld->by);
    pfx_mem_free(ld->pair);
    pfx_mem_free(ld->where);
    pfx_mem_free(ld->numbers);
    pfx_mem_free(ld->scratch);
    for (int k = 0; k < ld->ds->n_values; k++)
        pfx_mem_free(ld->ds->values[k].buf), ld->ds->values[k].buf = NULL;
    for (int k = 0; k < ld->ds->n_extras; k++)
        pfx_mem_free(ld->ds->extras[k].buf), ld->ds->extras[k].buf = NULL;
}

pfx_status pfx_dataset_check_rows(const pfx_dataset *ds, pfx_err *err)
{
    if (ds->n_panel == 0) return pfx_fail(err, PFX_EDATA, "the panel has no rows");
    if (ds->n_where == 0)
        return pfx_fail(err, PFX_EDATA,
                        "--where '%s' keeps none of the panel's %lld rows: loosen the condition",
                        ds->where_text, (long long)ds->n_panel);
    if (ds->n_by_missing == ds->n_where)
        return pfx_fail(err, PFX_EDATA, "--by %s: it is missing in all %lld rows", ds->factors[ds->by].text,
                        (long long)ds->n_where);
    return PFX_OK;
}

pfx_status pfx_dataset_load(pfx_row_source *src, const pfx_formula *f, const pfx_dataset_options *o,
                            pfx_dataset **out, pfx_err *err)
{
    *out = NULL;
    pfx_dataset *ds = pfx_mem_calloc(1, sizeof *ds, err);
    if (!ds) return PFX_ENOMEM;
    loader ld = {.ds = ds, .err = err};
    pfx_status st = pfx_dataset_plan(src, f, o, ds, err);
    if (st == PFX_OK) st = load_rows(src, &ld);
    if (st == PFX_OK) st = pfx_dataset_check_rows(ds, err);
    pfx_dataset_loader_free(&ld);
    for (int k = 0; k < ds->n_factors && st == PFX_OK; k++) st = finish_factor(src, &ds->factors[k], err);
    if (st == PFX_OK) st = finish_by(ds, err);
    if (st != PFX_OK) {
        pfx_dataset_free(ds);
        return st;
    }
    *out = ds;
    return PFX_OK;
}

pfx_idx pfx_dataset_n_by(const pfx_dataset *ds)
{
    return ds->n_by;
}
