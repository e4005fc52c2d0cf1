/* What each cell of an importer's table becomes in the panel. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/data/import_emit_private.h"

/* Rows handed to the sink at once: a chunk of the store, fewer where there are very many columns. */
enum { MAX_BATCH_ROWS = 65536, MIN_BATCH_ROWS = 512, BATCH_BYTES = 64 << 20 };

/* ---- columns ---- */

static pfx_status plan_time(pfx_emitter *e, pfx_out_col *out, pfx_err *err)
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
            return pfx_fail(err, PFX_EDATA,
                            "%s: \"%.60s\" is no time; write years (2019), dates (2019-12-31), quarters "
                            "(2019q4), months (2019m12 or 2019-12) or whole numbers",
                            pfx_import_where(e->d, c->levels.first[l], out->col, sizeof where, where),
                            c->levels.label[l]);
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
    for (pfx_idx l = 0; l < c->levels.n; l++)
        out->level_time[l] = pfx_time_of_text(&e->plan, c->levels.label[l]);
    return PFX_OK;
}

static pfx_status plan_column(pfx_emitter *e, int k, int col, pfx_err *err)
{
    pfx_import_col *c = &e->d->cols[col];
    pfx_out_col *out = &e->out[k];
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

static pfx_status make_batch(pfx_emitter *e, pfx_emit_batch *b, pfx_err *err)
{
    b->ref = pfx_mem_alloc(e->batch_rows, sizeof *b->ref, err);
    b->column = pfx_mem_calloc(e->n_out, sizeof *b->column, err);
    if (!b->ref || !b->column) return PFX_ENOMEM;
    for (int k = 0; k < e->n_out; k++) {
        pfx_column *c = &b->column[k];
        c->spec = e->spec[k];
        if (c->spec.kind == PFX_CATEGORY)
            c->code = pfx_mem_alloc(e->batch_rows, sizeof *c->code, err);
        else
            c->num = pfx_mem_alloc(e->batch_rows, sizeof *c->num, err);
        if (!c->code && !c->num) return PFX_ENOMEM;
    }
    return PFX_OK;
}

static void batch_free(pfx_emit_batch *b, int n_out)
{
    for (int k = 0; b->column && k < n_out; k++) {
        pfx_mem_free(b->column[k].num);
        pfx_mem_free(b->column[k].code);
    }
    pfx_mem_free(b->column);
    pfx_mem_free(b->ref);
}

pfx_status pfx_emit_plan(pfx_emitter *e, pfx_err *err)
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
        if (c->value[mid] < v)
            lo = mid + 1;
        else
            hi = mid;
    }
    return (int32_t)lo;
}

/* The cell's number, or level code as a number (NaN: missing), of a block in memory. */
double pfx_emit_value(const pfx_emitter *e, int k, pfx_cells cells, int dict, pfx_idx i)
{
    const pfx_out_col *out = &e->out[k];
    const pfx_import_col *c = &e->d->cols[out->col];
    switch (out->mode) {
    case CELL_NUMBER:
        break;
    case CELL_TIME_NUMBER:
        return pfx_time_of_number(&e->plan, pfx_cells_number(cells, i));
    case CELL_TEXT:
        return cells.i32[i] == PFX_NA_CODE ? NAN : c->levels.map[dict][cells.i32[i]];
    case CELL_TIME_TEXT:
        return cells.i32[i] == PFX_NA_CODE ? NAN : out->level_time[c->levels.map[dict][cells.i32[i]]];
    case CELL_VALUE_LABEL: {
        int32_t code = value_code(c, pfx_cells_number(cells, i));
        return code == PFX_NA_CODE ? NAN : code;
    }
    }
    return pfx_cells_number(cells, i);
}

double pfx_emit_value_at(const pfx_emitter *e, int k, pfx_cell_ref ref)
{
    const pfx_import_table *t = &e->d->table;
    pfx_idx b = ref >> 32;
    return pfx_emit_value(e, k, pfx_import_table_cells(t, b, e->out[k].col), t->blocks[b].dict,
                          ref & UINT32_MAX);
}

/* Cells of rows that follow each other in one block: plain numbers go fast. */
void pfx_emit_gather_run(const pfx_emitter *e, int k, pfx_cell_ref first, pfx_idx n, pfx_column *to,
                         pfx_idx at)
{
    const pfx_import_table *t = &e->d->table;
    pfx_idx b = first >> 32, row = first & UINT32_MAX;
    pfx_cells cells = pfx_import_table_cells(t, b, e->out[k].col);
    int dict = t->blocks[b].dict;
    if (e->out[k].mode == CELL_NUMBER && cells.f64) {
        memcpy(to->num + at, cells.f64 + row, (size_t)n * sizeof *to->num);
    } else if (e->out[k].mode == CELL_NUMBER) {
        for (pfx_idx i = 0; i < n; i++)
            to->num[at + i] = cells.i32[row + i] == PFX_NA_CODE ? NAN : cells.i32[row + i];
    } else if (e->out[k].mode == CELL_TEXT) {
        const int32_t *map = e->d->cols[e->out[k].col].levels.map[dict];
        for (pfx_idx i = 0; i < n; i++)
            to->code[at + i] = cells.i32[row + i] == PFX_NA_CODE ? PFX_NA_CODE : map[cells.i32[row + i]];
    } else {
        for (pfx_idx i = 0; i < n; i++) {
            double v = pfx_emit_value(e, k, cells, dict, row + i);
            if (to->code)
                to->code[at + i] = v != v ? PFX_NA_CODE : (int32_t)v;
            else
                to->num[at + i] = v;
        }
    }
}

pfx_status pfx_emit_make_batches(pfx_emitter *e, pfx_err *err)
{
    pfx_status st = make_batch(e, &e->batch[0], err);
    return st == PFX_OK ? make_batch(e, &e->batch[1], err) : st;
}

void pfx_emit_free(pfx_emitter *e)
{
    for (int k = 0; e->out && k < e->n_out; k++) pfx_mem_free(e->out[k].level_time);
    for (int i = 0; i < 2; i++) batch_free(&e->batch[i], e->n_out);
    pfx_mem_free(e->out);
    pfx_mem_free(e->spec);
}
