/* From the table of an importer to the sink: keys, order, duplicates, final codes. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/data/import_private.h"
#include "src/data/sort.h"

/* Rows handed to the sink at once: a chunk of the store, fewer where there are very many columns. */
enum { MAX_BATCH_ROWS = 65536, MIN_BATCH_ROWS = 512, BATCH_BYTES = 64 << 20 };

/* How a cell of the table becomes a cell of the panel. */
typedef enum cell_mode { CELL_NUMBER, CELL_TEXT, CELL_VALUE_LABEL, CELL_TIME_NUMBER, CELL_TIME_TEXT } cell_mode;

typedef struct out_col {
    int col;                    /* of the table */
    cell_mode mode;
    double *level_time;         /* CELL_TIME_TEXT: [levels] */
} out_col;

/* Rows on their way to the sink. */
typedef struct batch {
    pfx_idx n;
    pfx_cell_ref *ref;          /* [batch_rows] */
    pfx_column *column;         /* [n_out] with room for batch_rows */
} batch;

typedef struct emitter {
    pfx_import_data *d;
    const pfx_import_options *o;
    pfx_row_sink *sink;
    pfx_import_summary *summary;
    pfx_time_plan plan;
    int n_out, unit, time;      /* columns of the panel; -1: none */
    out_col *out;               /* [n_out] */
    pfx_col_spec *spec;         /* [n_out] */
    /* keys */
    bool sorted, repeats;       /* rows in order; some follow one of the same key */
    double unit_min, unit_max, time_min, time_max;
    /* one batch is filled while the one before is written */
    pfx_idx batch_rows, n_put;
    batch batch[2];
    int now;
    pfx_status put_st;
    pfx_err put_err;
} emitter;

/* ---- columns ---- */

static pfx_status plan_time(emitter *e, out_col *out, pfx_err *err)
{
    pfx_import_col *c = &e->d->cols[out->col];
    pfx_import_table *t = &e->d->table;
    pfx_time_scan scan;
    char what[1024], where[1200];
    bool text = t->form[out->col] == PFX_FORM_TEXT;
    pfx_time_scan_init(&scan, text, c->time_code);
    snprintf(what, sizeof what, "%s: column %s", e->d->path, c->name);
    for (pfx_idx l = 0; text && l < c->levels.n; l++)
        if (!pfx_time_scan_text(&scan, c->levels.label[l]))
            return pfx_fail(err, PFX_EDATA, "%s: \"%.60s\" is no time; write years (2019), dates (2019-12-31), quarters (2019q4), months (2019m12 or 2019-12) or whole numbers",
                            pfx_import_where(e->d, c->levels.first[l], out->col, sizeof where, where), c->levels.label[l]);
    for (pfx_idx b = 0; !text && b < t->n_blocks; b++) {
        pfx_status st = pfx_import_table_load(t, b, err);
        if (st != PFX_OK) return st;
        pfx_cells x = pfx_import_table_cells(t, b, out->col);
        for (pfx_idx i = 0; i < t->blocks[b].n_rows; i++) pfx_time_scan_number(&scan, pfx_cells_number(x, i));
        pfx_import_table_release(t, b);
    }
    pfx_status st = pfx_time_decide(&scan, e->o->time_unit, what, &e->plan, err);
    if (st != PFX_OK) return st;
    if (*e->plan.note) pfx_import_note(e->d, "%s: %s", what, e->plan.note);
    out->mode = text ? CELL_TIME_TEXT : CELL_TIME_NUMBER;
    if (!text) return PFX_OK;
    out->level_time = pfx_mem_alloc(c->levels.n, sizeof *out->level_time, err);
    if (!out->level_time) return PFX_ENOMEM;
    for (pfx_idx l = 0; l < c->levels.n; l++) out->level_time[l] = pfx_time_of_text(&e->plan, c->levels.label[l]);
    return PFX_OK;
}

/* Times count in a unit of their own, so that their range is known only now. */
static pfx_dtype time_storage(const emitter *e)
{
    return e->time_min >= -2147483647.0 && e->time_max <= 2147483647.0 ? PFX_I32 : PFX_I64;
}

static pfx_status plan_column(emitter *e, int k, int col, pfx_err *err)
{
    pfx_import_col *c = &e->d->cols[col];
    out_col *out = &e->out[k];
    pfx_col_spec *spec = &e->spec[k];
    out->col = col;
    spec->name = c->name;
    spec->label = c->label ? c->label : "";
    if (col == e->d->time) {
        spec->kind = PFX_TIME;
        pfx_status st = plan_time(e, out, err);
        if (st != PFX_OK) return st;
    } else if (e->d->table.form[col] == PFX_FORM_TEXT) {
        out->mode = CELL_TEXT;
        spec->kind = PFX_CATEGORY;
        spec->n_levels = c->levels.n;
        spec->levels = c->levels.label;
    } else if (c->n_values) {
        out->mode = CELL_VALUE_LABEL;
        spec->kind = PFX_CATEGORY;
        spec->n_levels = c->n_values;
        spec->levels = (const char *const *)c->value_label;
    } else {
        out->mode = CELL_NUMBER;
        spec->kind = PFX_NUMERIC;
        spec->dtype = pfx_type_storage(&c->stats, c->wish);
    }
    if (spec->kind == PFX_CATEGORY) spec->dtype = PFX_I32;
    return PFX_OK;
}

static pfx_status make_batch(emitter *e, batch *b, pfx_err *err)
{
    b->ref = pfx_mem_alloc(e->batch_rows, sizeof *b->ref, err);
    b->column = pfx_mem_calloc(e->n_out, sizeof *b->column, err);
    if (!b->ref || !b->column) return PFX_ENOMEM;
    for (int k = 0; k < e->n_out; k++) {
        pfx_column *c = &b->column[k];
        c->spec = e->spec[k];
        if (c->spec.kind == PFX_CATEGORY) c->code = pfx_mem_alloc(e->batch_rows, sizeof *c->code, err);
        else c->num = pfx_mem_alloc(e->batch_rows, sizeof *c->num, err);
        if (!c->code && !c->num) return PFX_ENOMEM;
    }
    return PFX_OK;
}

static void batch_free(batch *b, int n_out)
{
    for (int k = 0; b->column && k < n_out; k++) {
        pfx_mem_free(b->column[k].num);
        pfx_mem_free(b->column[k].code);
    }
    pfx_mem_free(b->column);
    pfx_mem_free(b->ref);
}

static pfx_status plan_columns(emitter *e, pfx_err *err)
{
    const pfx_import_table *t = &e->d->table;
    e->out = pfx_mem_calloc(t->n_cols, sizeof *e->out, err);
    e->spec = pfx_mem_calloc(t->n_cols, sizeof *e->spec, err);
    if (!e->out || !e->spec) return PFX_ENOMEM;
    e->unit = e->time = -1;
    for (int c = 0; c < t->n_cols; c++) {
        if (t->form[c] == PFX_FORM_SKIP) continue;
        if (c == e->d->unit) e->unit = e->n_out;
        if (c == e->d->time) e->time = e->n_out;
        pfx_status st = plan_column(e, e->n_out++, c, err);
        if (st != PFX_OK) return st;
    }
    e->batch_rows = BATCH_BYTES / (pfx_idx)sizeof(double) / e->n_out;
    if (e->batch_rows > MAX_BATCH_ROWS) e->batch_rows = MAX_BATCH_ROWS;
    if (e->batch_rows < MIN_BATCH_ROWS) e->batch_rows = MIN_BATCH_ROWS;
    return PFX_OK;
}

/* ---- cells ---- */

static int32_t value_code(const pfx_import_col *c, double v)
{
    if (v != v) return PFX_NA_CODE;
    pfx_idx lo = 0, hi = c->n_values - 1;
    while (lo < hi) {
        pfx_idx mid = lo + (hi - lo) / 2;
        if (c->value[mid] < v) lo = mid + 1;
        else hi = mid;
    }
    return (int32_t)lo;
}

/* The cell's number, or level code as a number (NaN: missing), of a block in memory. */
static double cell_value(const emitter *e, int k, pfx_cells cells, int dict, pfx_idx i)
{
    const out_col *out = &e->out[k];
    const pfx_import_col *c = &e->d->cols[out->col];
    switch (out->mode) {
    case CELL_NUMBER: break;
    case CELL_TIME_NUMBER: return pfx_time_of_number(&e->plan, pfx_cells_number(cells, i));
    case CELL_TEXT: return cells.i32[i] == PFX_NA_CODE ? NAN : c->levels.map[dict][cells.i32[i]];
    case CELL_TIME_TEXT: return cells.i32[i] == PFX_NA_CODE ? NAN : out->level_time[c->levels.map[dict][cells.i32[i]]];
    case CELL_VALUE_LABEL: {
        int32_t code = value_code(c, pfx_cells_number(cells, i));
        return code == PFX_NA_CODE ? NAN : code;
    }
    }
    return pfx_cells_number(cells, i);
}

static double value_at(const emitter *e, int k, pfx_cell_ref ref)
{
    const pfx_import_table *t = &e->d->table;
    pfx_idx b = ref >> 32;
    return cell_value(e, k, pfx_import_table_cells(t, b, e->out[k].col), t->blocks[b].dict, ref & UINT32_MAX);
}

/* ---- keys ---- */

static pfx_status check_key(emitter *e, int k, double v, pfx_cell_ref ref, pfx_err *err)
{
    char where[1200];
    const char *option = k == e->unit ? "--unit" : "--time";
    if (v != v)
        return pfx_fail(err, PFX_EDATA, "%s: missing, but %s needs a value in every row; fill it in, or drop the row",
                        pfx_import_where(e->d, ref, e->out[k].col, sizeof where, where), option);
    if (v != rint(v) || fabs(v) > 0x1p53)
        return pfx_fail(err, PFX_EDATA, "%s: %.17g is no whole number, but the unit of a panel is a text or a whole number; say --types %s=category to take it as text",
                        pfx_import_where(e->d, ref, e->out[k].col, sizeof where, where), v, e->d->cols[e->out[k].col].name);
    return PFX_OK;
}

/* "firm 000003, year 2012" */
static const char *write_key(const emitter *e, pfx_cell_ref ref, size_t n, char *buf)
{
    char time[40] = "";
    double u = value_at(e, e->unit, ref);
    const pfx_col_spec *unit = &e->spec[e->unit];
    if (e->time >= 0) pfx_time_write(e->plan.unit, value_at(e, e->time, ref), sizeof time, time);
    if (unit->kind == PFX_CATEGORY)
        snprintf(buf, n, "%s %.80s%s%s %s", unit->name, unit->levels[(pfx_idx)u], e->time >= 0 ? ", " : "", e->time >= 0 ? e->spec[e->time].name : "", time);
    else
        snprintf(buf, n, "%s %.17g%s%s %s", unit->name, u, e->time >= 0 ? ", " : "", e->time >= 0 ? e->spec[e->time].name : "", time);
    return buf;
}

static pfx_status duplicate(emitter *e, pfx_cell_ref a, pfx_cell_ref b, pfx_err *err)
{
    char key[512];
    pfx_idx row_a, row_b;
    pfx_status st;
    pfx_import_table *t = &e->d->table;
    if ((st = pfx_import_table_row(t, a, &row_a, err)) != PFX_OK || (st = pfx_import_table_row(t, b, &row_b, err)) != PFX_OK ||
        (st = pfx_import_table_load(t, a >> 32, err)) != PFX_OK)
        return st;
    return pfx_fail(err, PFX_EDATA, "%s: %ss %lld and %lld have the same %s; a panel has one row for each unit and time: mend the file, or say --drop-duplicates first",
                    e->d->path, e->d->row_word, (long long)row_a, (long long)row_b, write_key(e, a, sizeof key, key));
}

/* One pass over the key columns: missing keys, ranges, order. */
static pfx_status scan_keys(emitter *e, pfx_err *err)
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
            double u = cell_value(e, e->unit, uc, t->blocks[b].dict, i);
            double tm = e->time >= 0 ? cell_value(e, e->time, tc, t->blocks[b].dict, i) : 0;
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

/* Cells of rows that follow each other in one block: plain numbers go fast. */
static void gather_run(const emitter *e, int k, pfx_cell_ref first, pfx_idx n, pfx_column *to, pfx_idx at)
{
    const pfx_import_table *t = &e->d->table;
    pfx_idx b = first >> 32, row = first & UINT32_MAX;
    pfx_cells cells = pfx_import_table_cells(t, b, e->out[k].col);
    int dict = t->blocks[b].dict;
    if (e->out[k].mode == CELL_NUMBER && cells.f64) {
        memcpy(to->num + at, cells.f64 + row, (size_t)n * sizeof *to->num);
    } else if (e->out[k].mode == CELL_NUMBER) {
        for (pfx_idx i = 0; i < n; i++) to->num[at + i] = cells.i32[row + i] == PFX_NA_CODE ? NAN : cells.i32[row + i];
    } else if (e->out[k].mode == CELL_TEXT) {
        const int32_t *map = e->d->cols[e->out[k].col].levels.map[dict];
        for (pfx_idx i = 0; i < n; i++) to->code[at + i] = cells.i32[row + i] == PFX_NA_CODE ? PFX_NA_CODE : map[cells.i32[row + i]];
    } else {
        for (pfx_idx i = 0; i < n; i++) {
            double v = cell_value(e, k, cells, dict, row + i);
            if (to->code) to->code[at + i] = v != v ? PFX_NA_CODE : (int32_t)v;
            else to->num[at + i] = v;
        }
    }
}

static void gather_column(emitter *e, int k)
{
    batch *b = &e->batch[e->now];
    for (pfx_idx i = 0, j; i < b->n; i = j) {
        for (j = i + 1; j < b->n && b->ref[j] == b->ref[j - 1] + 1;) j++;
        gather_run(e, k, b->ref[i], j - i, &b->column[k], i);
    }
}

static pfx_status put_batch(emitter *e, batch *b, pfx_err *err)
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
    emitter *e = ctx;
    (void)thread;
    if (i > 0) gather_column(e, (int)i - 1);
    else if (e->put_st == PFX_OK) e->put_st = put_batch(e, &e->batch[!e->now], &e->put_err);
}

static pfx_status flush_refs(emitter *e, pfx_err *err)
{
    pfx_par_for(e->n_out + 1, e->o->threads, batch_task, e);
    e->now = !e->now;
    return e->put_st == PFX_OK ? PFX_OK : pfx_fail(err, e->put_st, "%s", e->put_err.msg);
}

/* What was gathered last still waits to be written. */
static pfx_status flush_all(emitter *e, pfx_err *err)
{
    pfx_status st = flush_refs(e, err);
    return st == PFX_OK ? put_batch(e, &e->batch[!e->now], err) : st;
}

static pfx_status put_ref(emitter *e, pfx_cell_ref ref, pfx_err *err)
{
    batch *b = &e->batch[e->now];
    b->ref[b->n++] = ref;
    return b->n == e->batch_rows ? flush_refs(e, err) : PFX_OK;
}

/* ---- three ways through the rows ---- */

static pfx_status emit_in_order(emitter *e, pfx_err *err)
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
                double u = value_at(e, e->unit, ref), tm = value_at(e, e->time, ref);
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

/* Keys of all rows, unit and time in one word where they fit; else by time first and then, stably, by unit. */
static pfx_status sort_refs(emitter *e, pfx_sort_pair *p, pfx_err *err)
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
            uint64_t tm = e->time < 0 ? 0 : (uint64_t)(value_at(e, e->time, ref) - e->time_min);
            uint64_t u = packed ? (uint64_t)(value_at(e, e->unit, ref) - e->unit_min) << time_bits : 0;
            p[k++] = (pfx_sort_pair){u | tm, ref};
        }
    pfx_sort_pairs(k, p, tmp);
    if (!packed) {
        for (pfx_idx i = 0; i < k; i++) p[i].key = (uint64_t)(value_at(e, e->unit, p[i].value) - e->unit_min);
        pfx_sort_pairs(k, p, tmp);
    }
    pfx_mem_free(tmp);
    return PFX_OK;
}

static pfx_status emit_sorted_in_memory(emitter *e, pfx_err *err)
{
    const pfx_import_table *t = &e->d->table;
    pfx_sort_pair *p = pfx_mem_alloc(t->n_rows, sizeof *p, err);
    if (!p) return PFX_ENOMEM;
    pfx_idx kept = 0;
    pfx_status st = sort_refs(e, p, err);
    for (pfx_idx i = 0; i < t->n_rows && st == PFX_OK; i++) {
        if (i && e->time >= 0 && p[i].key == p[kept].key &&
            value_at(e, e->time, p[i].value) == value_at(e, e->time, p[kept].value)) {
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

static pfx_status fill_sorter(emitter *e, pfx_sort_external *s, pfx_err *err)
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
            for (int k = 0; k < e->n_out; k++) r->cell[k] = value_at(e, k, r->ref);
            r->unit = (uint64_t)(r->cell[e->unit] - e->unit_min);
            r->time = e->time < 0 ? 0 : (uint64_t)(r->cell[e->time] - e->time_min);
        }
        pfx_import_table_release(t, b);
    }
    return st;
}

static pfx_status put_record(emitter *e, const record *r, pfx_err *err)
{
    batch *b = &e->batch[0];
    pfx_idx i = b->n++;
    for (int k = 0; k < e->n_out; k++) {
        double v = r->cell[k];
        if (b->column[k].code) b->column[k].code[i] = v != v ? PFX_NA_CODE : (int32_t)v;
        else b->column[k].num[i] = v;
    }
    return b->n == e->batch_rows ? put_batch(e, b, err) : PFX_OK;
}

static pfx_status emit_sorted_on_disk(emitter *e, pfx_err *err)
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

static pfx_status begin(emitter *e, pfx_err *err)
{
    pfx_panel_spec panel = {e->unit >= 0 ? e->spec[e->unit].name : "", e->time >= 0 ? e->spec[e->time].name : "", e->plan.unit};
    if (e->time >= 0) e->spec[e->time].dtype = time_storage(e);
    if (e->unit >= 0 && e->spec[e->unit].dtype == PFX_F32) e->spec[e->unit].dtype = PFX_I64;
    for (int i = 0; i < 2; i++) {
        pfx_status st = make_batch(e, &e->batch[i], err);
        if (st != PFX_OK) return st;
    }
    return e->sink->begin(e->sink->ctx, &panel, e->n_out, e->spec, err);
}

static pfx_status put_levels(emitter *e, pfx_err *err)
{
    for (int k = 0; k < e->n_out; k++) {
        const pfx_col_spec *s = &e->spec[k];
        if (s->kind != PFX_CATEGORY) continue;
        pfx_status st = e->sink->levels(e->sink->ctx, k, s->n_levels, s->levels, err);
        if (st != PFX_OK) return st;
    }
    return PFX_OK;
}

static void emitter_free(emitter *e)
{
    for (int k = 0; e->out && k < e->n_out; k++) pfx_mem_free(e->out[k].level_time);
    for (int i = 0; i < 2; i++) batch_free(&e->batch[i], e->n_out);
    pfx_mem_free(e->out);
    pfx_mem_free(e->spec);
}

pfx_status pfx_import_emit(pfx_import_data *d, const pfx_import_options *o, pfx_row_sink *sink,
                           pfx_import_summary *summary, pfx_err *err)
{
    emitter e = {.d = d, .o = o, .sink = sink, .summary = summary};
    pfx_status st = plan_columns(&e, err);
    if (st == PFX_OK) st = scan_keys(&e, err);
    if (st == PFX_OK) st = begin(&e, err);
    if (st == PFX_OK) {
        pfx_progress_begin("write", "rows", (double)d->table.n_rows);
        st = e.sorted                            ? emit_in_order(&e, err)
             : pfx_import_table_in_memory(&d->table)    ? emit_sorted_in_memory(&e, err)
                                                 : emit_sorted_on_disk(&e, err);
        pfx_progress_end();
    }
    if (st == PFX_OK) st = put_levels(&e, err);
    summary->n_rows = e.n_put;
    summary->n_cols = e.n_out;
    summary->was_sorted = e.sorted;
    summary->spilled = !pfx_import_table_in_memory(&d->table);
    emitter_free(&e);
    return st;
}
