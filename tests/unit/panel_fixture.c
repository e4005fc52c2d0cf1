#include "tests/unit/panel_fixture.h"

static const char *const prov_labels[FIX_PROV_LEVELS] = {"Anhui", "\xe5\xae\x89\xe5\xbe\xbd", ""};

static void set_columns(fix_panel *p, pfx_idx n)
{
    static const pfx_col_spec specs[FIX_COLS] = {
        {"firm", "Stock code", PFX_CATEGORY, PFX_I32, 0, NULL},
        {"year", "", PFX_TIME, PFX_I32, 0, NULL},
        {"x64", "A \"label\" \xe4\xbc\x81", PFX_NUMERIC, PFX_F64, 0, NULL},
        {"x32", "", PFX_NUMERIC, PFX_F32, 0, NULL},
        {"i32", "", PFX_NUMERIC, PFX_I32, 0, NULL},
        {"i64", "", PFX_NUMERIC, PFX_I64, 0, NULL},
        {"prov", "Province", PFX_CATEGORY, PFX_I32, FIX_PROV_LEVELS, NULL}};
    memcpy(p->specs, specs, sizeof specs);
    for (int c = 0; c < FIX_COLS; c++) {
        if (specs[c].kind == PFX_CATEGORY)
            p->cols[c].code = calloc((size_t)n + 1, sizeof(int32_t));
        else
            p->cols[c].num = calloc((size_t)n + 1, sizeof(double));
    }
}

static void set_row(fix_panel *p, pfx_idx r, pfx_idx unit, pfx_idx within)
{
    double u = test_uniform(1, (uint64_t)r);
    bool gap = r % 11 == 5;
    p->cols[FIX_FIRM].code[r] = (int32_t)unit;
    p->cols[FIX_YEAR].num[r] = 2000 + (double)within;
    p->cols[FIX_F64].num[r] = gap ? NAN : r % 97 == 3 ? -INFINITY : u;
    p->cols[FIX_F32].num[r] = gap ? NAN : (double)(float)(u * 1e9 - 5e8);
    p->cols[FIX_I32].num[r] = gap ? NAN : floor((u - 0.5) * 4e9);
    p->cols[FIX_I64].num[r] = gap ? NAN : floor((u - 0.5) * 0x1p54);
    p->cols[FIX_PROV].code[r] = gap ? PFX_NA_CODE : (int32_t)(unit % FIX_PROV_LEVELS);
}

fix_panel *fix_make(pfx_idx n, pfx_idx unit_len)
{
    fix_panel *p = calloc(1, sizeof *p);
    pfx_idx unit = 0;
    set_columns(p, n);
    p->unit_start = calloc((size_t)n + 2, sizeof *p->unit_start);
    for (pfx_idx r = 0; r < n; unit++) {
        pfx_idx len = unit_len > 0 ? unit_len : 1 + unit % 7;
        p->unit_start[unit] = r;
        for (pfx_idx k = 0; k < len && r < n; k++, r++) {
            set_row(p, r, unit, k);
            if (k + 1 > p->n_periods) p->n_periods = k + 1;
        }
    }
    p->unit_start[unit] = n;
    p->firm_labels = calloc((size_t)unit + 1, sizeof *p->firm_labels);
    for (pfx_idx u = 0; u < unit; u++) {
        p->firm_labels[u] = malloc(24);
        snprintf(p->firm_labels[u], 24, "%06lld", (long long)u);
    }
    p->spec = (pfx_panel_spec){"firm", "year", PFX_TIME_YEAR};
    p->specs[FIX_FIRM].n_levels = unit;
    for (int c = 0; c < FIX_COLS; c++) p->cols[c].spec = p->specs[c];
    p->frame = (pfx_frame){
        .n_rows = n, .n_cols = FIX_COLS, .cols = p->cols, .n_units = unit, .unit_start = p->unit_start};
    return p;
}

void fix_free(fix_panel *p)
{
    for (int c = 0; c < FIX_COLS; c++) {
        free(p->cols[c].num);
        free(p->cols[c].code);
    }
    for (pfx_idx u = 0; u < p->frame.n_units; u++) free(p->firm_labels[u]);
    free(p->firm_labels);
    free(p->unit_start);
    free(p);
}

static pfx_status put_all(const fix_panel *p, pfx_row_sink *sink, pfx_idx piece, pfx_err *err)
{
    pfx_column cols[FIX_COLS];
    pfx_frame f = p->frame;
    pfx_status st = PFX_OK;
    f.cols = cols;
    for (pfx_idx at = 0; at < p->frame.n_rows && st == PFX_OK; at += piece) {
        memcpy(cols, p->cols, sizeof cols);
        for (int c = 0; c < FIX_COLS; c++) {
            if (cols[c].num) cols[c].num += at;
            if (cols[c].code) cols[c].code += at;
        }
        f.n_rows = p->frame.n_rows - at < piece ? p->frame.n_rows - at : piece;
        st = sink->put(sink->ctx, &f, err);
    }
    return st;
}

pfx_status fix_write(const fix_panel *p, const char *path, pfx_idx piece, int deflate, bool force,
                     pfx_err *err)
{
    pfx_panel_write_options o = {.deflate = deflate, .force = force};
    pfx_row_sink sink;
    pfx_status st = pfx_panel_sink(path, &o, &sink, err);
    if (st != PFX_OK) return st;
    if ((st = sink.begin(sink.ctx, &p->spec, FIX_COLS, p->specs, err)) == PFX_OK &&
        (st = put_all(p, &sink, piece, err)) == PFX_OK &&
        (st = sink.levels(sink.ctx, FIX_FIRM, p->frame.n_units, (const char *const *)p->firm_labels, err)) ==
            PFX_OK &&
        (st = sink.levels(sink.ctx, FIX_PROV, FIX_PROV_LEVELS, prov_labels, err)) == PFX_OK &&
        (st = sink.provenance(sink.ctx, "command", "panelfx import x.csv", err)) == PFX_OK &&
        (st = sink.provenance(sink.ctx, "source", "x.csv", err)) == PFX_OK)
        st = sink.commit(sink.ctx, err);
    sink.abort(sink.ctx);
    return st;
}

static void compare_block(const fix_panel *p, const pfx_frame *f)
{
    assert_int_equal(f->n_cols, FIX_COLS);
    for (int c = 0; c < FIX_COLS; c++) {
        if (p->cols[c].code)
            assert_memory_equal(f->cols[c].code, p->cols[c].code + f->row0,
                                (size_t)f->n_rows * sizeof(int32_t));
        else
            for (pfx_idx r = 0; r < f->n_rows; r++) {
                double want = p->cols[c].num[f->row0 + r], got = f->cols[c].num[r];
                if (!(want == got || (isnan(want) && isnan(got))))
                    fail_msg("column %d row %lld: %g != %g", c, (long long)r, got, want);
            }
    }
    for (pfx_idx u = 0; u <= f->n_units; u++)
        assert_int_equal(f->unit_start[u], p->unit_start[f->unit0 + u] - f->row0);
    assert_memory_equal(f->time, p->cols[FIX_YEAR].num + f->row0, (size_t)f->n_rows * sizeof(double));
}

void fix_compare(const fix_panel *p, const char *path, pfx_idx block_rows)
{
    static const char *const names[FIX_COLS] = {"firm", "year", "x64", "x32", "i32", "i64", "prov"};
    pfx_err err = {0};
    pfx_panel *panel;
    pfx_row_source src;
    const pfx_frame *f;
    pfx_idx row = 0, unit = 0, longest = 0, aim = block_rows ? block_rows : 65536;
    for (pfx_idx u = 0; u < p->frame.n_units; u++)
        if (p->unit_start[u + 1] - p->unit_start[u] > longest)
            longest = p->unit_start[u + 1] - p->unit_start[u];
    assert_ok(pfx_panel_open(path, &panel, &err));
    assert_int_equal(pfx_panel_n_rows(panel), p->frame.n_rows);
    assert_int_equal(pfx_panel_n_units(panel), p->frame.n_units);
    assert_int_equal(pfx_panel_n_periods(panel), p->n_periods);
    assert_int_equal(pfx_panel_n_cols(panel), FIX_COLS);
    assert_ok(pfx_panel_source(panel, FIX_COLS, names, &(pfx_panel_source_options){.block_rows = block_rows},
                               &src, &err));
    for (int c = 0; c < FIX_COLS; c++) {
        assert_string_equal(src.cols[c].name, p->specs[c].name);
        assert_string_equal(src.cols[c].label, p->specs[c].label);
        assert_int_equal(src.cols[c].kind, p->specs[c].kind);
        assert_int_equal(src.cols[c].dtype, p->specs[c].dtype);
        assert_int_equal(src.cols[c].n_levels, p->specs[c].n_levels);
    }
    for (pfx_idx u = 0; u < p->frame.n_units; u++)
        assert_string_equal(src.cols[FIX_FIRM].levels[u], p->firm_labels[u]);
    for (int l = 0; l < FIX_PROV_LEVELS; l++)
        assert_string_equal(src.cols[FIX_PROV].levels[l], prov_labels[l]);
    for (int pass = 0; pass < 2; pass++) { /* the second after a rewind */
        row = unit = 0;
        for (;;) {
            assert_ok(src.next(src.ctx, &f, &err));
            if (!f) break;
            assert_int_equal(f->row0, row);
            assert_int_equal(f->unit0, unit);
            assert_true(f->n_rows > 0);
            if (longest < aim) assert_true(f->n_rows < aim + longest);
            if (longest < aim && row + f->n_rows < p->frame.n_rows) assert_true(f->n_rows > aim - longest);
            compare_block(p, f);
            row += f->n_rows;
            unit += f->n_units;
        }
        assert_int_equal(row, p->frame.n_rows);
        assert_int_equal(unit, p->frame.n_units);
        assert_ok(src.next(src.ctx, &f, &err));
        assert_null(f);
        assert_ok(src.rewind(src.ctx, &err));
    }
    src.close(src.ctx);
    pfx_panel_close(panel);
}
