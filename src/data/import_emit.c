/* From the table of an importer to the sink: keys, order, duplicates. */
#include <math.h>
#include <stdio.h>
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/data/import_emit_private.h"
#include "src/data/sort.h"

/* ---- keys ---- */

static pfx_status check_key(pfx_emitter *e, int k, double v, pfx_cell_ref ref, pfx_err *err)
{
    char where[1200];
    const char *option = k == e->unit ? "--unit" : "--time";
    if (v != v)
        return pfx_fail(err, PFX_EDATA,
                        "%s: missing, but %s needs a value in every row; fill it in, or drop the row",
                        pfx_import_where(e->d, ref, e->out[k].col, sizeof where, where), option);
    if (v != rint(v) || fabs(v) > 0x1p53)
        return pfx_fail(err, PFX_EDATA,
                        "%s: %.17g is no whole number, but the unit of a panel is a text or a whole number; "
                        "say --types %s=category to take it as text",
                        pfx_import_where(e->d, ref, e->out[k].col, sizeof where, where), v,
                        e->d->cols[e->out[k].col].name);
    return PFX_OK;
}

/* "firm 000003, year 2012" */
static const char *write_key(const pfx_emitter *e, pfx_cell_ref ref, size_t n, char *buf)
{
    char time[40] = "";
    double u = pfx_emit_value_at(e, e->unit, ref);
    const pfx_col_spec *unit = &e->spec[e->unit];
    if (e->time >= 0) pfx_time_write(e->plan.unit, pfx_emit_value_at(e, e->time, ref), sizeof time, time);
    if (unit->kind == PFX_CATEGORY)
        snprintf(buf, n, "%s %.80s%s%s %s", unit->name, unit->levels[(pfx_idx)u], e->time >= 0 ? ", " : "",
                 e->time >= 0 ? e->spec[e->time].name : "", time);
    else
        snprintf(buf, n, "%s %.17g%s%s %s", unit->name, u, e->time >= 0 ? ", " : "",
                 e->time >= 0 ? e->spec[e->time].name : "", time);
    return buf;
}

static pfx_status duplicate(pfx_emitter *e, pfx_cell_ref a, pfx_cell_ref b, pfx_err *err)
{
    char key[512];
    pfx_idx row_a, row_b;
    pfx_status st;
    pfx_import_table *t = &e->d->table;
    if ((st = pfx_import_table_row(t, a, &row_a, err)) != PFX_OK ||
        (st = pfx_import_table_row(t, b, &row_b, err)) != PFX_OK ||
        (st = pfx_import_table_load(t, a >> 32, err)) != PFX_OK)
        return st;
    return pfx_fail(err, PFX_EDATA,
                    "%s: %ss %lld and %lld have the same %s; a panel has one row for each unit and time: "
                    "mend the file, or say --drop-duplicates first",
                    e->d->path, e->d->row_word, (long long)row_a, (long long)row_b,
                    write_key(e, a, sizeof key, key));
}

/* One pass over the key columns: missing keys, ranges, order. */
static pfx_status scan_keys(pfx_emitter *e, pfx_err *err)
{
    pfx_import_table *t = &e->d->table;
    double u0 = -INFINITY, t0 = -INFINITY;
    e->sorted = true;
    e->unit_min = e->time_min = INFINITY;
    e->unit_max = e->time_max = -INFINITY;
    for (pfx_idx b = 0; e->unit >= 0 && b < t->n_blocks; b++) {
        pfx_status st = pfx_import_table_load(t, b, err);
        if (st != PFX_OK) return st;
        pfx_cells uc = pfx_import_table_cells(t, b, e->out[e->unit].col), tc = {0};
        if (e->time >= 0) tc = pfx_import_table_cells(t, b, e->out[e->time].col);
        for (pfx_idx i = 0; i < t->blocks[b].n_rows; i++) {
            double u = pfx_emit_value(e, e->unit, uc, t->blocks[b].dict, i);
            double tm = e->time >= 0 ? pfx_emit_value(e, e->time, tc, t->blocks[b].dict, i) : 0;
            if (u != rint(u) || tm != rint(tm) || fabs(u) > 0x1p53) {
                pfx_cell_ref ref = pfx_cell_ref_make(b, i);
                if ((st = check_key(e, e->unit, u, ref, err)) != PFX_OK) return st;
                if ((st = check_key(e, e->time, tm, ref, err)) != PFX_OK) return st;
            }
            e->sorted &= u > u0 || (u == u0 && tm >= t0);
            e->repeats |= u == u0 && tm == t0;
            u0 = u, t0 = tm;
            e->unit_min = u < e->unit_min ? u : e->unit_min;
            e->unit_max = u > e->unit_max ? u : e->unit_max;
            e->time_min = tm < e->time_min ? tm : e->time_min;
            e->time_max = tm > e->time_max ? tm : e->time_max;
        }
        pfx_import_table_release(t, b);
    }
    return PFX_OK;
}

/* ---- the batch ---- */

static void gather_column(pfx_emitter *e, int k)
{
    pfx_emit_batch *b = &e->batch[e->now];
    for (pfx_idx i = 0, j; i < b->n; i = j) {
        for (j = i + 1; j < b->n && b->ref[j] == b->ref[j - 1] + 1;) j++;
        pfx_emit_gather_run(e, k, b->ref[i], j - i, &b->column[k], i);
    }
}

static pfx_status put_batch(pfx_emitter *e, pfx_emit_batch *b, pfx_err *err)
{
    pfx_frame f = {.row0 = e->n_put, .n_rows = b->n, .n_cols = e->n_out, .cols = b->column};
    if (b->n == 0) return PFX_OK;
    pfx_status st = e->sink->put(e->sink->ctx, &f, err);
    e->n_put += b->n;
    b->n = 0;
    pfx_progress_set((double)e->n_put);
    return st;
}

/* Task 0 writes the batch before, task i gathers column i - 1 of this one. */
static void batch_task(void *ctx, pfx_idx i, int thread)
{
    pfx_emitter *e = ctx;
    (void)thread;
    if (i > 0)
        gather_column(e, (int)i - 1);
    else if (e->put_st == PFX_OK)
        e->put_st = put_batch(e, &e->batch[!e->now], &e->put_err);
}

static pfx_status flush_refs(pfx_emitter *e, pfx_err *err)
{
    pfx_par_for(e->n_out + 1, e->o->threads, batch_task, e);
    e->now = !e->now;
    return e->put_st == PFX_OK ? PFX_OK : pfx_fail(err, e->put_st, "%s", e->put_err.msg);
}

/* What was gathered last still waits to be written. */
static pfx_status flush_all(pfx_emitter *e, pfx_err *err)
{
    pfx_status st = flush_refs(e, err);
    return st == PFX_OK ? put_batch(e, &e->batch[!e->now], err) : st;
}

static pfx_status put_ref(pfx_emitter *e, pfx_cell_ref ref, pfx_err *err)
{
    pfx_emit_batch *b = &e->batch[e->now];
    b->ref[b->n++] = ref;
    return b->n == e->batch_rows ? flush_refs(e, err) : PFX_OK;
}

/* ---- three ways through the rows ---- */

static pfx_status emit_in_order(pfx_emitter *e, pfx_err *err)
{
    pfx_import_table *t = &e->d->table;
    pfx_cell_ref kept = -1;
    double u0 = NAN, t0 = NAN;
    pfx_status st = PFX_OK;
    for (pfx_idx b = 0; b < t->n_blocks && st == PFX_OK; b++) {
        if ((st = pfx_import_table_load(t, b, err)) != PFX_OK) break;
        for (pfx_idx i = 0; i < t->blocks[b].n_rows && st == PFX_OK; i++) {
            pfx_cell_ref ref = pfx_cell_ref_make(b, i);
            if (e->time >= 0 && e->repeats) { /* rows of equal keys follow each other; the first stays */
                double u = pfx_emit_value_at(e, e->unit, ref), tm = pfx_emit_value_at(e, e->time, ref);
                if (u == u0 && tm == t0) {
                    e->summary->n_dropped++;
                    if (!e->o->drop_duplicates) st = duplicate(e, kept, ref, err);
                    continue;
                }
                u0 = u, t0 = tm, kept = ref;
            }
            st = put_ref(e, ref, err);
        }
        if (st == PFX_OK && !pfx_import_table_in_memory(t)) st = flush_refs(e, err);
        pfx_import_table_release(t, b);
    }
    return st == PFX_OK ? flush_all(e, err) : st;
}

static int bits(double range)
{
    int b = 0;
    while (b < 64 && range >= ldexp(1, b)) b++;
    return b;
}

/* Keys of all rows, unit and time in one word where they fit; else by time first and then, stably, by unit.
 */
static pfx_status sort_refs(pfx_emitter *e, pfx_sort_pair *p, pfx_err *err)
{
    const pfx_import_table *t = &e->d->table;
    pfx_sort_pair *tmp = pfx_mem_alloc(t->n_rows, sizeof *tmp, err);
    if (!tmp) return PFX_ENOMEM;
    int time_bits = e->time < 0 ? 0 : bits(e->time_max - e->time_min);
    bool packed = bits(e->unit_max - e->unit_min) + time_bits <= 64 && time_bits < 64;
    pfx_idx k = 0;
    for (pfx_idx b = 0; b < t->n_blocks; b++)
        for (pfx_idx i = 0; i < t->blocks[b].n_rows; i++) {
            pfx_cell_ref ref = pfx_cell_ref_make(b, i);
            uint64_t tm = e->time < 0 ? 0 : (uint64_t)(pfx_emit_value_at(e, e->time, ref) - e->time_min);
            uint64_t u =
                packed ? (uint64_t)(pfx_emit_value_at(e, e->unit, ref) - e->unit_min) << time_bits : 0;
            p[k++] = (pfx_sort_pair){u | tm, ref};
        }
    pfx_sort_pairs(k, p, tmp);
    if (!packed) {
        for (pfx_idx i = 0; i < k; i++)
            p[i].key = (uint64_t)(pfx_emit_value_at(e, e->unit, p[i].value) - e->unit_min);
        pfx_sort_pairs(k, p, tmp);
    }
    pfx_mem_free(tmp);
    return PFX_OK;
}

static pfx_status emit_sorted_in_memory(pfx_emitter *e, pfx_err *err)
{
    const pfx_import_table *t = &e->d->table;
    pfx_sort_pair *p = pfx_mem_alloc(t->n_rows, sizeof *p, err);
    if (!p) return PFX_ENOMEM;
    pfx_idx kept = 0;
    pfx_status st = sort_refs(e, p, err);
    for (pfx_idx i = 0; i < t->n_rows && st == PFX_OK; i++) {
        if (i && e->time >= 0 && p[i].key == p[kept].key &&
            pfx_emit_value_at(e, e->time, p[i].value) == pfx_emit_value_at(e, e->time, p[kept].value)) {
            e->summary->n_dropped++;
            if (!e->o->drop_duplicates) st = duplicate(e, p[kept].value, p[i].value, err);
            continue;
        }
        kept = i;
        st = put_ref(e, p[i].value, err);
    }
    if (st == PFX_OK) st = flush_all(e, err);
    pfx_mem_free(p);
    return st;
}

/* A row on its way through the external sort. */
typedef struct record {
    uint64_t unit, time;
    pfx_cell_ref ref;
    double cell[];
} record;

static pfx_status fill_sorter(pfx_emitter *e, pfx_sort_external *s, pfx_err *err)
{
    pfx_import_table *t = &e->d->table;
    pfx_status st = PFX_OK;
    for (pfx_idx b = 0; b < t->n_blocks && st == PFX_OK; b++) {
        if ((st = pfx_import_table_load(t, b, err)) != PFX_OK) break;
        for (pfx_idx i = 0; i < t->blocks[b].n_rows && st == PFX_OK; i++) {
            void *room;
            if ((st = pfx_sort_external_add(s, &room, err)) != PFX_OK) break;
            record *r = room;
            r->ref = pfx_cell_ref_make(b, i);
            for (int k = 0; k < e->n_out; k++) r->cell[k] = pfx_emit_value_at(e, k, r->ref);
            r->unit = (uint64_t)(r->cell[e->unit] - e->unit_min);
            r->time = e->time < 0 ? 0 : (uint64_t)(r->cell[e->time] - e->time_min);
        }
        pfx_import_table_release(t, b);
    }
    return st;
}

static pfx_status put_record(pfx_emitter *e, const record *r, pfx_err *err)
{
    pfx_emit_batch *b = &e->batch[0];
    pfx_idx i = b->n++;
    for (int k = 0; k < e->n_out; k++) {
        double v = r->cell[k];
        if (b->column[k].code)
            b->column[k].code[i] = v != v ? PFX_NA_CODE : (int32_t)v;
        else
            b->column[k].num[i] = v;
    }
    return b->n == e->batch_rows ? put_batch(e, b, err) : PFX_OK;
}

static pfx_status emit_sorted_on_disk(pfx_emitter *e, pfx_err *err)
{
    pfx_sort_external *s = NULL;
    size_t bytes = sizeof(record) + (size_t)e->n_out * sizeof(double);
    pfx_status st = pfx_sort_external_new(bytes, pfx_import_budget(e->o->memory), e->o->tmpdir, &s, err);
    if (st == PFX_OK) st = fill_sorter(e, s, err);
    if (st == PFX_OK) st = pfx_sort_external_finish(s, err);
    uint64_t u0 = 0, t0 = 0;
    pfx_cell_ref kept = -1;
    while (st == PFX_OK) {
        const void *room;
        if ((st = pfx_sort_external_next(s, &room, err)) != PFX_OK || !room) break;
        const record *r = room;
        if (kept >= 0 && e->time >= 0 && r->unit == u0 && r->time == t0) {
            e->summary->n_dropped++;
            if (!e->o->drop_duplicates) st = duplicate(e, kept, r->ref, err);
            continue;
        }
        u0 = r->unit, t0 = r->time, kept = r->ref;
        st = put_record(e, r, err);
    }
    if (st == PFX_OK) st = put_batch(e, &e->batch[0], err);
    pfx_sort_external_free(s);
    return st;
}

/* ---- the whole ---- */

/* Times count in a unit of their own, so that their range is known only now. */
static pfx_dtype time_storage(const pfx_emitter *e)
{
    return e->time_min >= -2147483647.0 && e->time_max <= 2147483647.0 ? PFX_I32 : PFX_I64;
}

static pfx_status begin(pfx_emitter *e, pfx_err *err)
{
    pfx_panel_spec panel = {e->unit >= 0 ? e->spec[e->unit].name : "",
                            e->time >= 0 ? e->spec[e->time].name : "", e->plan.unit};
    if (e->time >= 0) e->spec[e->time].dtype = time_storage(e);
    if (e->unit >= 0 && e->spec[e->unit].dtype == PFX_F32) e->spec[e->unit].dtype = PFX_I64;
    pfx_status st = pfx_emit_make_batches(e, err);
    if (st != PFX_OK) return st;
    return e->sink->begin(e->sink->ctx, &panel, e->n_out, e->spec, err);
}

static pfx_status put_levels(pfx_emitter *e, pfx_err *err)
{
    for (int k = 0; k < e->n_out; k++) {
        const pfx_col_spec *s = &e->spec[k];
        if (s->kind != PFX_CATEGORY) continue;
        pfx_status st = e->sink->levels(e->sink->ctx, k, s->n_levels, s->levels, err);
        if (st != PFX_OK) return st;
    }
    return PFX_OK;
}

/* What a stored time counts from; a panel file names the unit alone. */
static pfx_status put_time_origin(pfx_emitter *e, pfx_err *err)
{
    static const char *const origin[] = {
        [PFX_TIME_INDEX] = "numbers as in the source", [PFX_TIME_YEAR] = "years as numbers",
        [PFX_TIME_HALF] = "halves since 1970h1",       [PFX_TIME_QUARTER] = "quarters since 1970q1",
        [PFX_TIME_MONTH] = "months since 1970m1",      [PFX_TIME_WEEK] = "weeks since the first of 1970",
        [PFX_TIME_DAY] = "days since 1970-01-01"};
    return e->sink->provenance(e->sink->ctx, "time_counts", origin[e->plan.unit], err);
}

pfx_status pfx_import_emit(pfx_import_data *d, const pfx_import_options *o, pfx_row_sink *sink,
                           pfx_import_summary *summary, pfx_err *err)
{
    pfx_emitter e = {.d = d, .o = o, .sink = sink, .summary = summary};
    pfx_status st = pfx_emit_plan(&e, err);
    if (st == PFX_OK) st = scan_keys(&e, err);
    if (st == PFX_OK) st = begin(&e, err);
    if (st == PFX_OK) {
        pfx_progress_begin("write", "rows", (double)d->table.n_rows);
        bool fits = pfx_import_table_in_memory(&d->table) &&
                    (size_t)d->table.n_rows * 2 * sizeof(pfx_sort_pair) <= pfx_import_budget(o->memory);
        st = e.sorted ? emit_in_order(&e, err)
             : fits   ? emit_sorted_in_memory(&e, err)
                      : emit_sorted_on_disk(&e, err);
        summary->spilled = !e.sorted && !fits;
        pfx_progress_end();
    }
    if (st == PFX_OK) st = put_levels(&e, err);
    if (st == PFX_OK && e.time >= 0) st = put_time_origin(&e, err);
    summary->n_rows = e.n_put;
    summary->n_cols = e.n_out;
    summary->was_sorted = e.sorted;
    summary->spilled |= !pfx_import_table_in_memory(&d->table);
    pfx_emit_free(&e);
    return st;
}
