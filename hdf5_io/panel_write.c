/* Row sink: a panel file from rows as they come. Kept in memory: one chunk of each column and of the index,
 * the last row's unit and time, and the distinct times. */
#include "hdf5_io/panel_sink.h"

#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/base/version.h"

/* ---- begin ---- */

static pfx_status check_name(const char *name, pfx_err *err)
{
    size_t n = strlen(name);
    if (n == 0) return pfx_fail(err, PFX_EDATA, "a column has no name; give it one");
    if (n > 255)
        return pfx_fail(err, PFX_EDATA, "column \"%.40s...\": the name is longer than 255 bytes; shorten it",
                        name);
    if (!strcmp(name, ".") || strchr(name, '/'))
        return pfx_fail(err, PFX_EDATA, "column \"%s\": a panel file takes no \"/\" in a name; rename it",
                        name);
    if (!pfx_text_is_utf8(name, n))
        return pfx_fail(err, PFX_EDATA, "column \"%s\": the name is not UTF-8; convert it", name);
    return PFX_OK;
}

static pfx_status take_column(sink *s, int c, const pfx_col_spec *spec, pfx_err *err)
{
    sink_col *col = &s->cols[c];
    pfx_status st = check_name(spec->name, err);
    if (st != PFX_OK) return st;
    for (int i = 0; i < c; i++)
        if (!strcmp(s->cols[i].spec.name, spec->name))
            return pfx_fail(err, PFX_EDATA, "two columns are named \"%s\"; rename one", spec->name);
    if (spec->label && !pfx_text_is_utf8(spec->label, strlen(spec->label)))
        return pfx_fail(err, PFX_EDATA, "column \"%s\": its label is not UTF-8; convert it", spec->name);
    if (spec->kind == PFX_CATEGORY && spec->dtype != PFX_I32)
        return pfx_fail(err, PFX_EDATA, "column \"%s\": a category is stored as int32", spec->name);
    col->spec = *spec;
    col->max_code = -1;
    col->spec.label = NULL;
    if (!(col->spec.name = pfx_mem_strdup(spec->name, err)) ||
        !(col->spec.label = pfx_mem_strdup(spec->label ? spec->label : "", err)))
        return PFX_ENOMEM;
    return PFX_OK;
}

static int find(const sink *s, const char *name)
{
    for (int c = 0; c < s->n_cols; c++)
        if (!strcmp(s->cols[c].spec.name, name)) return c;
    return -1;
}

static pfx_status take_structure(sink *s, const pfx_panel_spec *panel, pfx_err *err)
{
    s->spec.time_unit = panel->time_unit;
    if (!(s->spec.unit = pfx_mem_strdup(panel->unit ? panel->unit : "", err)) ||
        !(s->spec.time = pfx_mem_strdup(panel->time ? panel->time : "", err)))
        return PFX_ENOMEM;
    s->unit_col = s->spec.unit[0] ? find(s, s->spec.unit) : -1;
    s->time_col = s->spec.time[0] ? find(s, s->spec.time) : -1;
    if (s->spec.unit[0] && s->unit_col < 0)
        return pfx_fail(err, PFX_EUSAGE, "no column \"%s\" for the unit", s->spec.unit);
    if (s->spec.time[0] && s->time_col < 0)
        return pfx_fail(err, PFX_EUSAGE, "no column \"%s\" for the time", s->spec.time);
    if (s->spec.time[0] && !s->spec.unit[0])
        return pfx_fail(err, PFX_EUSAGE, "a panel with a time needs a unit");
    if (s->time_col >= 0 &&
        (s->cols[s->time_col].spec.kind != PFX_TIME || s->cols[s->time_col].spec.dtype < PFX_I32))
        return pfx_fail(err, PFX_EDATA,
                        "column \"%s\" is no time: the panel's time is stored as whole numbers of kind time",
                        s->spec.time);
    if (s->unit_col >= 0) s->order.unit = &s->cols[s->unit_col].spec;
    if (s->time_col >= 0) s->order.time = &s->cols[s->time_col].spec;
    return PFX_OK;
}

/* A group whose links or attributes come back in the order of writing. */
static pfx_status make_group(const sink *s, const char *name, bool links, hid_t *out, pfx_err *err)
{
    const unsigned order = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED;
    hid_t gcpl = H5Pcreate(H5P_GROUP_CREATE);
    pfx_status st = PFX_OK;
    if (gcpl < 0 || H5Pset_obj_track_times(gcpl, false) < 0 ||
        (links ? H5Pset_link_creation_order(gcpl, order) : H5Pset_attr_creation_order(gcpl, order)) < 0 ||
        (*out = H5Gcreate2(s->h5.id, name, H5P_DEFAULT, gcpl, H5P_DEFAULT)) < 0)
        st = pfx_h5_fail(err, PFX_EIO, "%s:/%s: cannot create", s->h5.path, name);
    if (gcpl >= 0) H5Pclose(gcpl);
    return st == PFX_OK ? pfx_h5_written(&s->h5, err) : st;
}

static pfx_status make_groups(sink *s, pfx_err *err)
{
    static const char *const names[] = {"columns", "categories", "index"};
    pfx_status st = PFX_OK;
    for (int i = 0; i < 3 && st == PFX_OK; i++) {
        hid_t g = H5I_INVALID_HID;
        st = make_group(s, names[i], true, &g, err);
        if (g >= 0) H5Gclose(g);
    }
    return st == PFX_OK ? make_group(s, "provenance", false, &s->provenance, err) : st;
}

static const void *missing_value(pfx_dtype t)
{
    static const double f64 = NAN;
    static const float f32 = NAN;
    static const int32_t i32 = INT32_MIN;
    static const int64_t i64 = INT64_MIN;
    switch (t) {
    case PFX_F64:
        return &f64;
    case PFX_F32:
        return &f32;
    case PFX_I32:
        return &i32;
    default:
        return &i64;
    }
}

static pfx_status make_writers(sink *s, pfx_err *err)
{
    pfx_status st = PFX_OK;
    for (int c = 0; c < s->n_cols && st == PFX_OK; c++) {
        pfx_dtype t = s->cols[c].spec.dtype;
        char where[300];
        snprintf(where, sizeof where, "columns/%s", s->cols[c].spec.name);
        st = pfx_h5_writer_init(&s->cols[c].w, &s->h5, where, pfx_h5_file_type(t), pfx_h5_memory_type(t),
                                missing_value(t), PFX_H5_CHUNK_ROWS, s->options.deflate, err);
    }
    if (st == PFX_OK)
        st = pfx_h5_writer_init(&s->index, &s->h5, PFX_PANEL_INDEX, H5T_STD_I64LE, H5T_NATIVE_INT64, NULL,
                                PFX_H5_CHUNK_ROWS, s->options.deflate, err);
    return st;
}

static pfx_status sink_begin(void *ctx, const pfx_panel_spec *panel, int n_cols, const pfx_col_spec *cols,
                             pfx_err *err)
{
    sink *s = ctx;
    pfx_status st;
    if (!(s->cols = pfx_mem_calloc(n_cols, sizeof *s->cols, err)) ||
        !(s->first = pfx_mem_alloc(PFX_H5_CHUNK_ROWS, sizeof *s->first, err)))
        return PFX_ENOMEM;
    for (int c = 0; c < n_cols; c++) s->cols[c].w.ds = H5I_INVALID_HID;
    for (s->n_cols = 0; s->n_cols < n_cols; s->n_cols++)
        if ((st = take_column(s, s->n_cols, &cols[s->n_cols], err)) != PFX_OK) {
            s->n_cols++; /* half taken, to be freed */
            return st;
        }
    if ((st = take_structure(s, panel, err)) != PFX_OK) return st;
    pfx_h5_lock();
    if ((st = pfx_h5_create(s->out.path, s->out.tmp, &s->h5, err)) == PFX_OK &&
        (st = make_groups(s, err)) == PFX_OK)
        st = make_writers(s, err);
    pfx_h5_unlock();
    return st;
}

/* ---- rows ---- */

/* A unit begins at row `start`. */
static pfx_status put_index(sink *s, pfx_idx start, pfx_err *err)
{
    pfx_status st = PFX_OK;
    ((int64_t *)(void *)s->index.buf)[s->index.n_buf++] = start;
    if (s->index.n_buf == s->index.chunk_rows) {
        pfx_h5_lock();
        st = pfx_h5_writer_flush(&s->index, err);
        pfx_h5_unlock();
    }
    return st;
}

static pfx_status flush_columns(sink *s, pfx_err *err)
{
    pfx_status st = PFX_OK;
    pfx_h5_lock();
    for (int c = 0; c < s->n_cols && st == PFX_OK; c++) st = pfx_h5_writer_flush(&s->cols[c].w, err);
    pfx_h5_unlock();
    return st;
}

/* Rows at .. at+n-1 of the frame; they fit into the chunk that is being filled. */
static pfx_status put_piece(sink *s, const pfx_frame *f, pfx_idx at, pfx_idx n, pfx_err *err)
{
    const pfx_column *unit = s->unit_col >= 0 ? &f->cols[s->unit_col] : NULL;
    const pfx_column *time = s->time_col >= 0 ? &f->cols[s->time_col] : NULL;
    pfx_idx row = s->order.n_rows;
    pfx_status st = PFX_OK;
    for (int c = 0; c < s->n_cols; c++)
        if ((st = pfx_sink_put_column(s, &s->cols[c], row, n, &f->cols[c], at, err)) != PFX_OK) return st;
    if ((st = panel_order_take(&s->order, s->out.path, n, unit && unit->num ? unit->num + at : NULL,
                               unit && unit->code ? unit->code + at : NULL, time ? time->num + at : NULL,
                               s->first, err)) != PFX_OK)
        return st;
    for (pfx_idx r = 0; r < n && st == PFX_OK; r++)
        if (s->first[r]) st = put_index(s, row + r, err);
    return st == PFX_OK && s->order.n_rows % PFX_H5_CHUNK_ROWS == 0 ? flush_columns(s, err) : st;
}

static pfx_status sink_put(void *ctx, const pfx_frame *rows, pfx_err *err)
{
    sink *s = ctx;
    pfx_status st = PFX_OK;
    if (rows->n_cols != s->n_cols)
        return pfx_fail(err, PFX_EDATA, "%s: %d columns in a block where %d were announced", s->out.path,
                        rows->n_cols, s->n_cols);
    for (pfx_idx at = 0; at < rows->n_rows && st == PFX_OK;) {
        pfx_idx room = PFX_H5_CHUNK_ROWS - s->order.n_rows % PFX_H5_CHUNK_ROWS;
        pfx_idx n = rows->n_rows - at < room ? rows->n_rows - at : room;
        st = put_piece(s, rows, at, n, err);
        at += n;
    }
    return st;
}

/* ---- labels and provenance ---- */

static pfx_status check_labels(const sink *s, const sink_col *col, pfx_idx n, const char *const *labels,
                               size_t *size, pfx_err *err)
{
    *size = 1;
    if (col->max_code >= n)
        return pfx_fail(err, PFX_EDATA, "%s: column \"%s\", row %lld: code %d, but there are %lld labels",
                        s->out.path, col->spec.name, (long long)col->max_code_row + 1, col->max_code,
                        (long long)n);
    for (pfx_idx i = 0; i < n; i++) {
        size_t len = strlen(labels[i]);
        if (!pfx_text_is_utf8(labels[i], len))
            return pfx_fail(err, PFX_EDATA,
                            "%s: column \"%s\": the label of level %lld is not UTF-8; give --encoding",
                            s->out.path, col->spec.name, (long long)i);
        if (len > *size) *size = len;
    }
    return PFX_OK;
}

/* Padding to the longest label costs nothing once it is compressed, so labels always are. */
static pfx_status write_labels(sink *s, const sink_col *col, pfx_idx n, const char *const *labels,
                               size_t size, pfx_err *err)
{
    pfx_idx rows = (pfx_idx)((1 << 20) / size) + 1;
    int deflate = s->options.deflate ? s->options.deflate : H5Zfilter_avail(H5Z_FILTER_DEFLATE) > 0;
    char where[300];
    pfx_h5_writer w = {.ds = H5I_INVALID_HID};
    hid_t type = pfx_h5_text_type(size);
    pfx_status st = PFX_OK;
    if (type < 0) return pfx_h5_fail(err, PFX_EIO, "%s: cannot write labels", s->out.path);
    snprintf(where, sizeof where, "categories/%s", col->spec.name);
    if (rows > PFX_H5_CHUNK_ROWS) rows = PFX_H5_CHUNK_ROWS;
    st = pfx_h5_writer_init(&w, &s->h5, where, type, type, NULL, rows, deflate, err);
    for (pfx_idx i = 0; i < n && st == PFX_OK; i++) {
        char *to = w.buf + (size_t)w.n_buf++ * size;
        size_t len = strlen(labels[i]);
        memcpy(to, labels[i], len);
        memset(to + len, 0, size - len);
        if (w.n_buf == rows) st = pfx_h5_writer_flush(&w, err);
    }
    if (st == PFX_OK) st = pfx_h5_writer_finish(&w, err);
    pfx_h5_writer_free(&w);
    H5Tclose(type);
    return st;
}

static pfx_status sink_levels(void *ctx, int c, pfx_idx n_levels, const char *const *labels, pfx_err *err)
{
    sink *s = ctx;
    sink_col *col = &s->cols[c];
    size_t size;
    pfx_status st;
    if (c < 0 || c >= s->n_cols || col->spec.kind != PFX_CATEGORY || col->has_levels)
        return pfx_fail(err, PFX_EDATA, "%s: labels for column %d, which is no category or has them",
                        s->out.path, c);
    if ((st = check_labels(s, col, n_levels, labels, &size, err)) != PFX_OK) return st;
    pfx_h5_lock();
    st = write_labels(s, col, n_levels, labels, size, err);
    pfx_h5_unlock();
    col->has_levels = st == PFX_OK;
    return st;
}

static pfx_status sink_provenance(void *ctx, const char *key, const char *value, pfx_err *err)
{
    sink *s = ctx;
    pfx_status st;
    pfx_h5_lock();
    if (H5Aexists(s->provenance, key) > 0 && H5Adelete(s->provenance, key) < 0)
        st = pfx_h5_fail(err, PFX_EIO, "%s:/provenance: cannot replace %s", s->out.path, key);
    else
        st = pfx_h5_put_text(&s->h5, s->provenance, key, value, err);
    pfx_h5_unlock();
    return st;
}

/* ---- commit ---- */

static pfx_status finish_columns(sink *s, pfx_err *err)
{
    pfx_status st = PFX_OK;
    for (int c = 0; c < s->n_cols && st == PFX_OK; c++) {
        sink_col *col = &s->cols[c];
        if (col->spec.kind == PFX_CATEGORY && !col->has_levels)
            return pfx_fail(err, PFX_EDATA, "%s: column \"%s\": a category without labels", s->out.path,
                            col->spec.name);
        /* A panel smaller than a chunk has its datasets made only now. */
        if (col->w.n_buf > 0 || col->w.ds < 0) st = pfx_h5_writer_flush(&col->w, err);
        if (st == PFX_OK) st = pfx_h5_put_text(&s->h5, col->w.ds, "label", col->spec.label, err);
        if (st == PFX_OK) st = pfx_h5_put_text(&s->h5, col->w.ds, "kind", pfx_kind_name(col->spec.kind), err);
        if (st == PFX_OK) st = pfx_h5_writer_finish(&col->w, err);
    }
    return st;
}

static pfx_status write_attributes(sink *s, pfx_err *err)
{
    const pfx_h5 *f = &s->h5;
    pfx_status st;
    if ((st = pfx_h5_put_text(f, f->id, "format", PFX_PANEL_FORMAT, err)) != PFX_OK ||
        (st = pfx_h5_put_int(f, f->id, "version", PFX_PANEL_VERSION, err)) != PFX_OK ||
        (st = pfx_h5_put_text(f, f->id, "unit", s->spec.unit, err)) != PFX_OK ||
        (st = pfx_h5_put_text(f, f->id, "time", s->spec.time, err)) != PFX_OK ||
        (st = pfx_h5_put_text(f, f->id, "time_unit", pfx_time_unit_name(s->spec.time_unit), err)) != PFX_OK ||
        (st = pfx_h5_put_int(f, f->id, "n_rows", s->order.n_rows, err)) != PFX_OK ||
        (st = pfx_h5_put_int(f, f->id, "n_units", s->order.n_units, err)) != PFX_OK)
        return st;
    return pfx_h5_put_int(f, f->id, "n_periods", s->order.n_seen, err);
}

static pfx_status write_versions(sink *s, pfx_err *err)
{
    pfx_status st = PFX_OK;
    if (H5Aexists(s->provenance, "panelfx") <= 0)
        st = pfx_h5_put_text(&s->h5, s->provenance, "panelfx", PFX_VERSION, err);
    if (st == PFX_OK && H5Aexists(s->provenance, "hdf5") <= 0)
        st = pfx_h5_put_text(&s->h5, s->provenance, "hdf5", pfx_h5_version(), err);
    return st;
}

static pfx_status finish_file(sink *s, pfx_err *err)
{
    pfx_status st;
    if ((st = finish_columns(s, err)) != PFX_OK || (st = pfx_h5_writer_finish(&s->index, err)) != PFX_OK ||
        (st = write_versions(s, err)) != PFX_OK || (st = write_attributes(s, err)) != PFX_OK)
        return st;
    if (H5Gclose(s->provenance) < 0)
        return pfx_h5_fail(err, PFX_EIO, "%s:/provenance: cannot write", s->out.path);
    s->provenance = H5I_INVALID_HID;
    return pfx_h5_close_write(&s->h5, err);
}

static pfx_status sink_commit(void *ctx, pfx_err *err)
{
    sink *s = ctx;
    pfx_status st = put_index(s, s->order.n_rows, err); /* where a next unit would begin */
    if (st != PFX_OK) return st;
    pfx_h5_lock();
    st = finish_file(s, err);
    pfx_h5_unlock();
    return st == PFX_OK ? pfx_out_commit(&s->out, err) : st;
}

static void sink_abort(void *ctx)
{
    sink *s = ctx;
    if (!s) return;
    pfx_h5_lock();
    pfx_h5_close(&s->h5);
    pfx_h5_unlock();
    pfx_out_abort(&s->out);
    for (int c = 0; c < s->n_cols; c++) {
        pfx_h5_writer_free(&s->cols[c].w);
        pfx_mem_free((char *)s->cols[c].spec.name);
        pfx_mem_free((char *)s->cols[c].spec.label);
    }
    pfx_h5_writer_free(&s->index);
    panel_order_free(&s->order);
    pfx_mem_free((char *)s->spec.unit);
    pfx_mem_free((char *)s->spec.time);
    pfx_mem_free(s->cols);
    pfx_mem_free(s->first);
    pfx_mem_free(s);
}

pfx_status pfx_panel_sink(const char *path, const pfx_panel_write_options *o, pfx_row_sink *out, pfx_err *err)
{
    pfx_status st;
    bool can_deflate;
    sink *s = pfx_mem_calloc(1, sizeof *s, err);
    if (!s) return PFX_ENOMEM;
    s->options = *o;
    s->h5.id = s->provenance = s->index.ds = H5I_INVALID_HID;
    s->unit_col = s->time_col = -1;
    pfx_h5_lock();
    can_deflate = H5Zfilter_avail(H5Z_FILTER_DEFLATE) > 0;
    pfx_h5_unlock();
    if (o->deflate && !can_deflate)
        st = pfx_fail(err, PFX_EUSAGE, "this HDF5 has no deflate filter; write without compression");
    else
        st = pfx_out_begin(&s->out, path, o->force, err);
    if (st != PFX_OK) {
        sink_abort(s);
        return st;
    }
    *out = (pfx_row_sink){.ctx = s,
                          .begin = sink_begin,
                          .put = sink_put,
                          .levels = sink_levels,
                          .provenance = sink_provenance,
                          .commit = sink_commit,
                          .abort = sink_abort};
    return PFX_OK;
}
