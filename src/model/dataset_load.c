/* Loading: one pass over the source. Each block is evaluated column by column, then the rows that stay are
 * appended: values to the row-major table, codes, weights and slopes to arrays of their own. */
#include <math.h>
#include <string.h>
#include <stdlib.h>
#include "src/base/calendar.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/model/dataset_private.h"

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
    bool ok = ds->no_values || resize(&ds->table, cap * ds->n_values, sizeof *ds->table, err);
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

/* ---- buffers ---- */

/* The expression becomes a job of every block unless it is a column as it lies. */
static bool add_job(pfx_ds_loader *ld, const pfx_program *prog, double **buf, pfx_idx n)
{
    pfx_idx s = pfx_program_scratch(prog, n);
    if (pfx_program_plain(prog) >= 0) return true;
    if (s > ld->n_scratch) ld->n_scratch = s;
    if (!resize(buf, n, sizeof **buf, ld->err)) return false;
    ld->jobs[ld->n_jobs++] = (pfx_eval_job){.prog = prog, .out = *buf};
    return true;
}

static bool add_jobs(pfx_ds_loader *ld, pfx_idx n)
{
    pfx_dataset *ds = ld->ds;
    bool ok = true;
    int most = 1 + ds->n_values + ds->n_extras;
    for (int k = 0; k < ds->n_factors; k++) most += ds->factors[k].n_vars;
    if (!resize(&ld->jobs, most, sizeof *ld->jobs, ld->err)) return false;
    ld->n_jobs = 0;
    ld->n_scratch = 0;
    if (ds->where) {
        ok = resize(&ld->where, n, sizeof(double), ld->err);
        ld->n_scratch = pfx_program_scratch(ds->where, n);
        ld->jobs[ld->n_jobs++] = (pfx_eval_job){.prog = ds->where, .out = ld->where};
    }
    for (int k = 0; k < ds->n_values && ok; k++) ok = add_job(ld, ds->values[k].prog, &ds->values[k].buf, n);
    for (int k = 0; k < ds->n_extras && ok; k++) ok = add_job(ld, ds->extras[k].prog, &ds->extras[k].buf, n);
    for (int k = 0; k < ds->n_factors && ok; k++)
        for (int j = 0; j < ds->factors[k].n_vars && ok; j++)
            ok = add_job(ld, ds->factors[k].vars[j].prog, &ds->factors[k].vars[j].buf, n);
    return ok;
}

/* A row of counters for each thread. */
static pfx_status make_counters(pfx_ds_loader *ld)
{
    const pfx_dataset *ds = ld->ds;
    if (!(ld->missing = pfx_mem_calloc(ld->nth, sizeof *ld->missing, ld->err))) return PFX_ENOMEM;
    for (int t = 0; t < ld->nth; t++) {
        ld->missing[t] =
            pfx_mem_calloc(ds->n_values + ds->n_extras + ds->n_factors, sizeof **ld->missing, ld->err);
        if (!ld->missing[t]) return PFX_ENOMEM;
    }
    return PFX_OK;
}

/* Buffers for blocks of n rows. */
static pfx_status resize_buffers(pfx_ds_loader *ld, pfx_idx n)
{
    const pfx_dataset *ds = ld->ds;
    pfx_err *err = ld->err;
    if (n <= ld->cap) return PFX_OK;
    if (ld->nth < 1) ld->nth = 1;
    if (!ld->missing && make_counters(ld) != PFX_OK) return PFX_ENOMEM;
    n += n / 8; /* blocks differ by a few rows */
    bool ok = resize(&ld->in, n, 1, err) && resize(&ld->keep, n, 1, err) &&
              resize(&ld->pick, n, sizeof *ld->pick, err) &&
              resize(&ld->range_n, n / PFX_DATASET_RANGE + 1, sizeof *ld->range_n, err) &&
              resize(&ld->coded, ds->n_factors * (n / PFX_DATASET_RANGE + 1), sizeof *ld->coded, err) &&
              resize(&ld->by, n, sizeof *ld->by, err) &&
              resize(&ld->pair, ld->nth * n, sizeof *ld->pair, err) &&
              resize(&ld->numbers, ld->nth * n, sizeof *ld->numbers, err) &&
              resize(&ld->factor_st, ds->n_factors, sizeof *ld->factor_st, err) &&
              resize(&ld->factor_err, ds->n_factors, sizeof *ld->factor_err, err) && add_jobs(ld, n) &&
              resize(&ld->scratch, ld->nth * ld->n_scratch, sizeof *ld->scratch, err);
    if (ok) ld->cap = n;
    return ok ? PFX_OK : PFX_ENOMEM;
}

/* ---- evaluation ---- */

static void eval_one(void *ctx, pfx_idx k, int thread)
{
    const pfx_ds_loader *ld = ctx;
    pfx_eval_job *job = &ld->jobs[k];
    pfx_err_clear(&job->err);
    job->st = pfx_program_eval(job->prog, ld->f, ld->scratch + thread * ld->n_scratch, job->out, &job->err);
}

static void point_at_values(const pfx_frame *f, int n, pfx_ds_value *v)
{
    for (int k = 0; k < n; k++) {
        int col = pfx_program_plain(v[k].prog);
        v[k].x = col >= 0 ? f->cols[col].num : v[k].buf;
    }
}

static void point_at_factor(const pfx_frame *frame, pfx_ds_factor *f)
{
    for (int k = 0; k < f->n_vars; k++) {
        pfx_ds_var *v = &f->vars[k];
        int col = pfx_program_plain(v->prog);
        v->code = col >= 0 && v->category ? frame->cols[col].code : NULL;
        v->x = col >= 0 ? frame->cols[col].num : v->buf;
    }
}

static pfx_status eval_block(pfx_ds_loader *ld)
{
    pfx_dataset *ds = ld->ds;
    pfx_par_for(ld->n_jobs, ld->nth, eval_one, ld);
    for (int k = 0; k < ld->n_jobs; k++)
        if (ld->jobs[k].st != PFX_OK) return pfx_fail(ld->err, ld->jobs[k].st, "%s", ld->jobs[k].err.msg);
    point_at_values(ld->f, ds->n_values, ds->values);
    point_at_values(ld->f, ds->n_extras, ds->extras);
    for (int k = 0; k < ds->n_factors; k++) point_at_factor(ld->f, &ds->factors[k]);
    return PFX_OK;
}

/* ---- which rows --where and --by keep ---- */

/* in = what --where and --by keep. */
static pfx_status mark_in(pfx_ds_loader *ld)
{
    pfx_dataset *ds = ld->ds;
    pfx_idx n = ld->f->n_rows, kept = 0;
    if (!ds->where) memset(ld->in, 1, (size_t)n), kept = n;
    for (pfx_idx i = 0; i < n && ds->where; i++) {
        ld->in[i] = ld->where[i] == ld->where[i] && ld->where[i] != 0;
        kept += ld->in[i];
    }
    ds->n_panel += n;
    ds->n_where += kept;
    if (ds->by < 0) return PFX_OK;
    pfx_status st = pfx_dataset_code_factor(ld, &ds->factors[ds->by], n, NULL, 0, ld->by, ld->err);
    for (pfx_idx i = 0; i < n && st == PFX_OK; i++) {
        if (ld->by[i] != PFX_NA_CODE) continue;
        ds->n_by_missing += ld->in[i];
        ld->in[i] = 0;
    }
    return st;
}

static pfx_status check_weights(const pfx_ds_loader *ld)
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
static pfx_status count_dropped(pfx_ds_loader *ld)
{
    pfx_dataset *ds = ld->ds;
    for (pfx_idx i = 0; i < ld->f->n_rows && ld->n_pick < ld->f->n_rows; i++) {
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

pfx_status pfx_dataset_append(pfx_ds_loader *ld, pfx_idx n_room)
{
    pfx_dataset *ds = ld->ds;
    pfx_status st = resize_buffers(ld, ld->f->n_rows);
    if (st == PFX_OK) st = eval_block(ld);
    if (st == PFX_OK) st = mark_in(ld);
    if (st == PFX_OK) st = check_weights(ld);
    /* All rows of the block at first: where each goes is not known before they are counted. */
    if (st == PFX_OK) st = reserve(ds, ds->n + ld->f->n_rows, n_room, ld->err);
    if (st == PFX_OK) st = pfx_dataset_store(ld);
    if (st == PFX_OK) st = count_dropped(ld);
    if (st == PFX_OK) ds->n += ld->n_pick;
    return st;
}

static pfx_status load_rows(pfx_row_source *src, pfx_ds_loader *ld)
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
    int plain = pfx_program_plain(v->prog);
    bool time = plain >= 0 && src->cols[plain].kind == PFX_TIME;
    f->n_levels = f->n_vars > 1 ? f->pairs[f->n_vars - 2].n : spec ? spec->n_levels : v->coder.n;
    if (!f->labelled || f->n_vars > 1) return PFX_OK;
    if (!(f->labels = pfx_mem_calloc(f->n_levels, sizeof *f->labels, err))) return PFX_ENOMEM;
    if (!spec && !(f->numbers = pfx_mem_alloc(f->n_levels, sizeof *f->numbers, err))) return PFX_ENOMEM;
    for (pfx_idx k = 0; k < f->n_levels; k++) {
        char number[32];
        if (!spec) pfx_expr_print_number(f->numbers[k] = pfx_coder_number(&v->coder, (int32_t)k), number);
        if (time) pfx_time_write(src->panel.time_unit, f->numbers[k], sizeof number, number);
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

void pfx_dataset_loader_free(pfx_ds_loader *ld)
{
    pfx_mem_free(ld->in);
    pfx_mem_free(ld->keep);
    pfx_mem_free(ld->pick);
    pfx_mem_free(ld->by);
    pfx_mem_free(ld->pair);
    pfx_mem_free(ld->where);
    pfx_mem_free(ld->numbers);
    pfx_mem_free(ld->scratch);
    pfx_mem_free(ld->range_n);
    pfx_mem_free(ld->coded);
    pfx_mem_free(ld->jobs);
    pfx_mem_free(ld->factor_st);
    pfx_mem_free(ld->factor_err);
    for (int t = 0; ld->missing && t < ld->nth; t++) pfx_mem_free(ld->missing[t]);
    pfx_mem_free(ld->missing);
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

static pfx_status load_dataset(pfx_row_source *src, const pfx_formula *f, const pfx_dataset_options *o, bool no_values,
                               pfx_dataset **out, pfx_err *err)
{
    *out = NULL;
    pfx_dataset *ds = pfx_mem_calloc(1, sizeof *ds, err);
    if (!ds) return PFX_ENOMEM;
    ds->no_values = no_values;
    pfx_ds_loader ld = {.ds = ds, .nth = o->nth, .err = err};
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

pfx_status pfx_dataset_load(pfx_row_source *src, const pfx_formula *f, const pfx_dataset_options *o,
                            pfx_dataset **out, pfx_err *err)
{
    return load_dataset(src, f, o, false, out, err);
}

pfx_status pfx_dataset_load_codes(pfx_row_source *src, const pfx_formula *f, const pfx_dataset_options *o,
                                  pfx_dataset **out, pfx_err *err)
{
    return load_dataset(src, f, o, true, out, err);
}

pfx_idx pfx_dataset_n_by(const pfx_dataset *ds)
{
    return ds->n_by;
}
