#include "hdf5_io/panel_private.h"

#include <assert.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"

/* ---- what kind of file it is ---- */

static pfx_status read_format(const pfx_h5 *f, char **format, pfx_err *err)
{
    htri_t there = H5Aexists(f->id, "format");
    if (there < 0) return pfx_h5_fail(err, PFX_EFORMAT, "%s: damaged: cannot read its attributes", f->path);
    if (there) return pfx_h5_get_text(f, f->id, "", "format", format, err);
    return pfx_fail(err, PFX_EFORMAT,
                    "%s: an HDF5 file, but not one of panelfx (no attribute \"format\"); export it to "
                    "CSV and run panelfx import",
                    f->path);
}

pfx_status pfx_h5_format(const char *path, char **format, pfx_err *err)
{
    pfx_h5 f;
    pfx_status st;
    *format = NULL;
    pfx_h5_lock();
    st = pfx_h5_open_read(path, &f, err);
    if (st == PFX_OK) st = read_format(&f, format, err);
    pfx_h5_close(&f);
    pfx_h5_unlock();
    return st;
}

static pfx_status check_format(const pfx_h5 *f, pfx_idx *version, pfx_err *err)
{
    char *format = NULL;
    pfx_status st = read_format(f, &format, err);
    if (st != PFX_OK) goto done;
    assert(format);
    if (!strcmp(format, "panelfx-draws"))
        st = pfx_fail(err, PFX_EFORMAT, "%s: holds draws, not a panel; panelfx inference reads it", f->path);
    else if (strcmp(format, PFX_PANEL_FORMAT) != 0)
        st = pfx_fail(err, PFX_EFORMAT, "%s: not a panel, its format is \"%.64s\"", f->path, format);
    else if ((st = pfx_h5_get_int(f, f->id, "", "version", version, err)) == PFX_OK &&
             *version > PFX_PANEL_VERSION)
        st = pfx_fail(err, PFX_EFORMAT,
                      "%s: panel version %lld is newer than this panelfx knows (%d); update panelfx", f->path,
                      (long long)*version, PFX_PANEL_VERSION);
    else if (st == PFX_OK && *version < 1)
        st = pfx_fail(err, PFX_EFORMAT, "%s: damaged: panel version %lld", f->path, (long long)*version);
done:
    pfx_mem_free(format);
    return st;
}

static pfx_status read_count(const pfx_panel *p, const char *name, pfx_idx max, pfx_idx *out, pfx_err *err)
{
    pfx_status st = pfx_h5_get_int(&p->h5, p->h5.id, "", name, out, err);
    if (st == PFX_OK && (*out < 0 || *out > max))
        st = pfx_fail(err, PFX_EFORMAT, "%s: damaged: %s is %lld", p->h5.path, name, (long long)*out);
    return st;
}

static pfx_status read_structure(pfx_panel *p, pfx_err *err)
{
    pfx_status st;
    char *unit = NULL;
    if ((st = pfx_h5_get_text(&p->h5, p->h5.id, "", "unit", &p->unit, err)) != PFX_OK ||
        (st = pfx_h5_get_text(&p->h5, p->h5.id, "", "time", &p->time, err)) != PFX_OK ||
        (st = pfx_h5_get_text(&p->h5, p->h5.id, "", "time_unit", &unit, err)) != PFX_OK ||
        (st = read_count(p, "n_rows", INT64_MAX / 16, &p->n_rows, err)) != PFX_OK ||
        (st = read_count(p, "n_units", p->n_rows, &p->n_units, err)) != PFX_OK ||
        (st = read_count(p, "n_periods", p->n_rows, &p->n_periods, err)) != PFX_OK)
        goto done;
    if (!pfx_time_unit_parse(unit, &p->spec.time_unit))
        st = pfx_fail(err, PFX_EFORMAT, "%s: unknown time_unit \"%.32s\"", p->h5.path, unit);
    p->spec.unit = p->unit;
    p->spec.time = p->time;
done:
    pfx_mem_free(unit);
    return st;
}

/* ---- columns ---- */

static bool parse_dtype(hid_t ds, pfx_dtype *out)
{
    hid_t t = H5Dget_type(ds);
    bool known = false;
    if (t < 0) return false;
    for (int d = PFX_F64; d <= PFX_I64 && !known; d++) {
        hid_t want = pfx_h5_file_type((pfx_dtype)d);
        known = H5Tget_class(t) == H5Tget_class(want) && H5Tget_size(t) == H5Tget_size(want) &&
                (H5Tget_class(t) == H5T_FLOAT || H5Tget_sign(t) == H5T_SGN_2);
        if (known) *out = (pfx_dtype)d;
    }
    H5Tclose(t);
    return known;
}

/* All filters of a dataset must be in this build of HDF5. */
static pfx_status check_filters(const pfx_panel *p, const char *where, hid_t ds, pfx_err *err)
{
    pfx_status st = PFX_OK;
    hid_t dcpl = H5Dget_create_plist(ds);
    int n = dcpl < 0 ? 0 : H5Pget_nfilters(dcpl);
    for (int i = 0; i < n && st == PFX_OK; i++) {
        size_t n_values = 0;
        unsigned flags = 0, config = 0;
        char name[64] = "";
        H5Z_filter_t id =
            H5Pget_filter2(dcpl, (unsigned)i, &flags, &n_values, NULL, sizeof name, name, &config);
        if (id < 0 || H5Zfilter_avail(id) <= 0)
            st = pfx_fail(err, PFX_EFORMAT, "%s:/%s: needs HDF5 filter %d (%s), which this HDF5 lacks",
                          p->h5.path, where, (int)id, name);
    }
    if (dcpl >= 0) H5Pclose(dcpl);
    return st;
}

/* Rows of /categories/NAME, and that they are text. */
static pfx_status count_levels(const pfx_panel *p, const char *name, pfx_idx *n_levels, pfx_err *err)
{
    char where[300];
    hid_t ds = H5I_INVALID_HID, t = H5I_INVALID_HID;
    pfx_status st;
    snprintf(where, sizeof where, "categories/%s", name);
    if ((st = pfx_h5_open_rows(&p->h5, where, &ds, n_levels, err)) != PFX_OK) return st;
    t = H5Dget_type(ds);
    if (t < 0 || H5Tget_class(t) != H5T_STRING || H5Tis_variable_str(t) != 0)
        st = pfx_fail(err, PFX_EFORMAT, "%s:/%s: not text of fixed length", p->h5.path, where);
    else if (*n_levels > INT32_MAX)
        st = pfx_fail(err, PFX_EFORMAT, "%s:/%s: too many levels", p->h5.path, where);
    else
        st = check_filters(p, where, ds, err);
    if (t >= 0) H5Tclose(t);
    H5Dclose(ds);
    return st;
}

static pfx_status read_column(pfx_panel *p, const char *name, pfx_col_spec *col, pfx_err *err)
{
    char where[300];
    char *label = NULL, *kind = NULL;
    hid_t ds = H5I_INVALID_HID;
    pfx_idx n = 0;
    pfx_status st;

    snprintf(where, sizeof where, "columns/%s", name);
    if (!(col->name = pfx_mem_strdup(name, err))) return PFX_ENOMEM;
    if ((st = pfx_h5_open_rows(&p->h5, where, &ds, &n, err)) != PFX_OK) return st;
    if (n != p->n_rows) {
        st = pfx_fail(err, PFX_EFORMAT, "%s:/%s: %lld rows where the panel has %lld", p->h5.path, where,
                      (long long)n, (long long)p->n_rows);
        goto done;
    }
    if (!parse_dtype(ds, &col->dtype)) {
        st = pfx_fail(err, PFX_EFORMAT, "%s:/%s: its type is none of float64, float32, int32, int64",
                      p->h5.path, where);
        goto done;
    }
    if ((st = check_filters(p, where, ds, err)) != PFX_OK ||
        (st = pfx_h5_get_text(&p->h5, ds, where, "label", &label, err)) != PFX_OK)
        goto done;
    col->label = label;
    if ((st = pfx_h5_get_text(&p->h5, ds, where, "kind", &kind, err)) != PFX_OK) goto done;
    if (!pfx_kind_parse(kind, &col->kind))
        st = pfx_fail(err, PFX_EFORMAT, "%s:/%s: unknown kind \"%.32s\"", p->h5.path, where, kind);
    else if (col->kind == PFX_CATEGORY && col->dtype != PFX_I32)
        st = pfx_fail(err, PFX_EFORMAT, "%s:/%s: a category is int32, this is %s", p->h5.path, where,
                      pfx_dtype_name(col->dtype));
    else if (col->kind == PFX_CATEGORY)
        st = count_levels(p, name, &col->n_levels, err);
done:
    pfx_mem_free(kind);
    H5Dclose(ds);
    return st;
}

static pfx_status read_columns(pfx_panel *p, pfx_err *err)
{
    pfx_status st = PFX_OK;
    H5G_info_t info;
    unsigned order = 0;
    H5_index_t by = H5_INDEX_NAME;
    hid_t plist = H5I_INVALID_HID, g = H5Gopen2(p->h5.id, "columns", H5P_DEFAULT);
    if (g < 0 || H5Gget_info(g, &info) < 0) {
        st = pfx_h5_fail(err, PFX_EFORMAT, "%s:/columns: no such group", p->h5.path);
        goto done;
    }
    if (info.nlinks > INT32_MAX / 2) {
        st = pfx_fail(err, PFX_EFORMAT, "%s:/columns: too many columns", p->h5.path);
        goto done;
    }
    if ((plist = H5Gget_create_plist(g)) >= 0 && H5Pget_link_creation_order(plist, &order) >= 0 &&
        (order & H5P_CRT_ORDER_TRACKED))
        by = H5_INDEX_CRT_ORDER;
    if (!(p->cols = pfx_mem_calloc((pfx_idx)info.nlinks, sizeof *p->cols, err)) ||
        !(p->labels = pfx_mem_calloc((pfx_idx)info.nlinks, sizeof *p->labels, err))) {
        st = PFX_ENOMEM;
        goto done;
    }
    for (hsize_t i = 0; i < info.nlinks && st == PFX_OK; i++) {
        char name[256];
        ssize_t len = H5Lget_name_by_idx(g, ".", by, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT);
        if (len < 0 || len >= (ssize_t)sizeof name)
            st = pfx_h5_fail(err, PFX_EFORMAT, "%s:/columns: cannot read the name of column %lld", p->h5.path,
                             (long long)i + 1);
        else
            st = read_column(p, name, &p->cols[p->n_cols++], err);
    }
done:
    if (plist >= 0) H5Pclose(plist);
    if (g >= 0) H5Gclose(g);
    return st;
}

/* ---- index, unit and time ---- */

static pfx_status check_structure(const pfx_panel *p, pfx_err *err)
{
    hid_t ds = H5I_INVALID_HID;
    pfx_idx n = 0;
    pfx_dtype t = PFX_F64;
    int time = p->time[0] ? pfx_panel_find(p, p->time) : -1;
    pfx_status st;
    if (p->unit[0] && pfx_panel_find(p, p->unit) < 0)
        return pfx_fail(err, PFX_EFORMAT, "%s: damaged: no column \"%s\", the panel's unit", p->h5.path,
                        p->unit);
    if (p->time[0] && time < 0)
        return pfx_fail(err, PFX_EFORMAT, "%s: damaged: no column \"%s\", the panel's time", p->h5.path,
                        p->time);
    if (time >= 0 && p->cols[time].kind == PFX_CATEGORY)
        return pfx_fail(err, PFX_EFORMAT, "%s: damaged: the time column \"%s\" is a category", p->h5.path,
                        p->time);
    if ((st = pfx_h5_open_rows(&p->h5, PFX_PANEL_INDEX, &ds, &n, err)) != PFX_OK) return st;
    if (!parse_dtype(ds, &t) || t != PFX_I64 || n != p->n_units + 1)
        st = pfx_fail(err, PFX_EFORMAT, "%s:/%s: want int64, %lld rows", p->h5.path, PFX_PANEL_INDEX,
                      (long long)p->n_units + 1);
    else if ((p->n_units == 0) != (p->n_rows == 0))
        st = pfx_fail(err, PFX_EFORMAT, "%s: damaged: %lld rows in %lld units", p->h5.path,
                      (long long)p->n_rows, (long long)p->n_units);
    else
        st = check_filters(p, PFX_PANEL_INDEX, ds, err);
    H5Dclose(ds);
    return st;
}

/* ---- provenance: text attributes of a group, in the order of writing ---- */

static pfx_status read_line(pfx_panel *p, hid_t g, hsize_t i, pfx_err *err)
{
    char name[256];
    ssize_t len =
        H5Aget_name_by_idx(g, ".", H5_INDEX_CRT_ORDER, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT);
    if (len < 0)
        len = H5Aget_name_by_idx(g, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT);
    if (len < 0 || len >= (ssize_t)sizeof name)
        return pfx_h5_fail(err, PFX_EFORMAT, "%s:/provenance: cannot read line %lld", p->h5.path,
                           (long long)i + 1);
    if (!(p->key[p->n_provenance] = pfx_mem_strdup(name, err))) return PFX_ENOMEM;
    return pfx_h5_get_text(&p->h5, g, "provenance", name, &p->value[p->n_provenance++], err);
}

static pfx_status read_provenance(pfx_panel *p, pfx_err *err)
{
    pfx_status st = PFX_OK;
    H5O_info_t info;
    hid_t g = H5Gopen2(p->h5.id, "provenance", H5P_DEFAULT);
    if (g < 0 || H5Oget_info2(g, &info, H5O_INFO_NUM_ATTRS) < 0 || info.num_attrs > 100000) {
        st = pfx_h5_fail(err, PFX_EFORMAT, "%s:/provenance: no such group, or damaged", p->h5.path);
        goto done;
    }
    if (!(p->key = pfx_mem_calloc((pfx_idx)info.num_attrs, sizeof *p->key, err)) ||
        !(p->value = pfx_mem_calloc((pfx_idx)info.num_attrs, sizeof *p->value, err)))
        st = PFX_ENOMEM;
    for (hsize_t i = 0; i < info.num_attrs && st == PFX_OK; i++) st = read_line(p, g, i, err);
done:
    if (g >= 0) H5Gclose(g);
    return st;
}

/* ---- open and close ---- */

pfx_status pfx_panel_open(const char *path, pfx_panel **out, pfx_err *err)
{
    pfx_status st;
    pfx_panel *p = pfx_mem_calloc(1, sizeof *p, err);
    *out = NULL;
    if (!p) return PFX_ENOMEM;
    pfx_h5_lock();
    if ((st = pfx_h5_open_read(path, &p->h5, err)) == PFX_OK &&
        (st = check_format(&p->h5, &p->version, err)) == PFX_OK && (st = read_structure(p, err)) == PFX_OK &&
        (st = read_columns(p, err)) == PFX_OK && (st = check_structure(p, err)) == PFX_OK)
        st = read_provenance(p, err);
    pfx_h5_unlock();
    if (st == PFX_OK)
        *out = p;
    else
        pfx_panel_close(p);
    return st;
}

void pfx_panel_close(pfx_panel *p)
{
    if (!p) return;
    pfx_h5_lock();
    pfx_h5_locator_close(p->locator);
    pfx_h5_close(&p->h5);
    pfx_h5_unlock();
    for (int c = 0; c < p->n_cols; c++) {
        pfx_mem_free((char *)p->cols[c].name);
        pfx_mem_free((char *)p->cols[c].label);
        pfx_mem_free(p->labels[c].text);
        pfx_mem_free(p->labels[c].label);
    }
    for (int i = 0; i < p->n_provenance; i++) {
        pfx_mem_free(p->key[i]);
        pfx_mem_free(p->value[i]);
    }
    pfx_mem_free(p->key);
    pfx_mem_free(p->value);
    pfx_mem_free(p->cols);
    pfx_mem_free(p->labels);
    pfx_mem_free(p->unit);
    pfx_mem_free(p->time);
    pfx_mem_free(p);
}

const char *pfx_panel_path(const pfx_panel *p)
{
    return p->h5.path;
}
pfx_idx pfx_panel_version(const pfx_panel *p)
{
    return p->version;
}
const pfx_panel_spec *pfx_panel_structure(const pfx_panel *p)
{
    return &p->spec;
}
pfx_idx pfx_panel_n_rows(const pfx_panel *p)
{
    return p->n_rows;
}
pfx_idx pfx_panel_n_units(const pfx_panel *p)
{
    return p->n_units;
}
pfx_idx pfx_panel_n_periods(const pfx_panel *p)
{
    return p->n_periods;
}
int pfx_panel_n_cols(const pfx_panel *p)
{
    return p->n_cols;
}
const pfx_col_spec *pfx_panel_cols(const pfx_panel *p)
{
    return p->cols;
}

bool pfx_panel_provenance(const pfx_panel *p, int i, const char **key, const char **value)
{
    if (i < 0 || i >= p->n_provenance) return false;
    *key = p->key[i];
    *value = p->value[i];
    return true;
}

int pfx_panel_find(const pfx_panel *p, const char *name)
{
    for (int c = 0; c < p->n_cols; c++)
        if (!strcmp(p->cols[c].name, name)) return c;
    return -1;
}

pfx_status pfx_panel_column_storage(pfx_panel *p, int c, pfx_panel_storage *out, pfx_err *err)
{
    char where[300];
    hid_t ds = H5I_INVALID_HID, dcpl = H5I_INVALID_HID;
    pfx_idx n = 0;
    pfx_status st;
    *out = (pfx_panel_storage){0, p->n_rows * (pfx_idx)pfx_dtype_size(p->cols[c].dtype), false, false};
    snprintf(where, sizeof where, "columns/%s", p->cols[c].name);
    pfx_h5_lock();
    if ((st = pfx_h5_open_rows(&p->h5, where, &ds, &n, err)) != PFX_OK) goto done;
    if ((dcpl = H5Dget_create_plist(ds)) < 0) {
        st = pfx_h5_fail(err, PFX_EFORMAT, "%s:/%s: damaged", p->h5.path, where);
        goto done;
    }
    out->bytes_disk = (pfx_idx)H5Dget_storage_size(ds);
    for (int i = 0; i < H5Pget_nfilters(dcpl); i++) {
        size_t n_values = 0;
        unsigned flags = 0, config = 0;
        H5Z_filter_t id = H5Pget_filter2(dcpl, (unsigned)i, &flags, &n_values, NULL, 0, NULL, &config);
        if (id == H5Z_FILTER_DEFLATE) out->deflate = true;
        if (id == H5Z_FILTER_FLETCHER32) out->fletcher32 = true;
    }
done:
    if (dcpl >= 0) H5Pclose(dcpl);
    if (ds >= 0) H5Dclose(ds);
    pfx_h5_unlock();
    return st;
}
