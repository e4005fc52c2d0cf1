/* Stats file: attributes, and the arrays of a bag as datasets under /arrays. */
#include "hdf5_io/stats.h"

#include <stdio.h>
#include <string.h>
#include "hdf5_io/fletcher32.h"
#include "hdf5_io/h5_private.h"
#include "hdf5_io/panel.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/version.h"

#define STATS_FORMAT "panelfx-stats"
enum { STATS_VERSION = 1 };

enum { FORMAT, COMMAND, METHOD, OPTIONS, SPEC, PANEL, NUMERICS, ENGINE, TEXTS };
static const char *const text_names[TEXTS] = {"format",      "command",      "method",   "options",
                                              "spec_digest", "panel_digest", "numerics", "panelfx"};

static hid_t memory_type(pfx_bag_type t)
{
    switch (t) {
    case PFX_BAG_U8:
        return H5T_NATIVE_UINT8;
    case PFX_BAG_I32:
        return H5T_NATIVE_INT32;
    case PFX_BAG_I64:
        return H5T_NATIVE_INT64;
    default:
        return H5T_NATIVE_DOUBLE;
    }
}

static hid_t file_type(pfx_bag_type t)
{
    switch (t) {
    case PFX_BAG_U8:
        return H5T_STD_U8LE;
    case PFX_BAG_I32:
        return H5T_STD_I32LE;
    case PFX_BAG_I64:
        return H5T_STD_I64LE;
    default:
        return H5T_IEEE_F64LE;
    }
}

/* ---- writing ---- */

static pfx_status write_array(const pfx_h5 *f, const pfx_bag_array *a, pfx_err *err)
{
    char where[200];
    size_t size = pfx_bag_size(a->type);
    pfx_h5_writer w;
    pfx_idx chunk = a->n < 1 ? 1 : a->n < PFX_H5_CHUNK_ROWS ? a->n : PFX_H5_CHUNK_ROWS;
    snprintf(where, sizeof where, "arrays/%s", a->name);
    pfx_status st =
        pfx_h5_writer_init(&w, f, where, file_type(a->type), memory_type(a->type), NULL, chunk, 0, err);
    if (st != PFX_OK) return st;
    for (pfx_idx at = 0; at < a->n && st == PFX_OK; at += w.n_done - at) {
        w.n_buf = a->n - at < chunk ? a->n - at : chunk;
        memcpy(w.buf, (const char *)a->data + (size_t)at * size, (size_t)w.n_buf * size);
        st = pfx_h5_writer_flush(&w, err);
    }
    if (st == PFX_OK) st = pfx_h5_writer_finish(&w, err);
    pfx_h5_writer_free(&w);
    return st;
}

static pfx_status make_group(const pfx_h5 *f, pfx_err *err)
{
    hid_t gcpl = H5Pcreate(H5P_GROUP_CREATE), g = H5I_INVALID_HID;
    pfx_status st = PFX_OK;
    if (gcpl < 0 || H5Pset_obj_track_times(gcpl, false) < 0 ||
        H5Pset_link_creation_order(gcpl, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED) < 0 ||
        (g = H5Gcreate2(f->id, "arrays", H5P_DEFAULT, gcpl, H5P_DEFAULT)) < 0)
        st = pfx_h5_fail(err, PFX_EIO, "%s:/arrays: cannot create", f->path);
    if (g >= 0) H5Gclose(g);
    if (gcpl >= 0) H5Pclose(gcpl);
    return st == PFX_OK ? pfx_h5_written(f, err) : st;
}

static pfx_status write_all(const pfx_out *out, const pfx_stats_spec *s, const pfx_bag *b, pfx_err *err)
{
    const char *const text[TEXTS] = {STATS_FORMAT,   s->command,      s->method,   s->options,
                                     s->spec_digest, s->panel_digest, s->numerics, PFX_VERSION};
    pfx_h5 f;
    pfx_status st = pfx_h5_create(out->path, out->tmp, &f, err);
    if (st != PFX_OK) return st;
    for (int i = 0; i < TEXTS && st == PFX_OK; i++)
        st = pfx_h5_put_text(&f, f.id, text_names[i], text[i], err);
    if (st == PFX_OK) st = pfx_h5_put_int(&f, f.id, "version", STATS_VERSION, err);
    if (st == PFX_OK) st = make_group(&f, err);
    for (int i = 0; i < pfx_bag_n(b) && st == PFX_OK; i++) {
        const pfx_bag_array a = pfx_bag_at(b, i);
        st = write_array(&f, &a, err);
    }
    if (st == PFX_OK) return pfx_h5_close_write(&f, err);
    pfx_h5_close(&f);
    return st;
}

pfx_status pfx_stats_write(const char *path, bool force, const pfx_stats_spec *s, const pfx_bag *b,
                           pfx_err *err)
{
    pfx_out out;
    pfx_status st = pfx_out_begin(&out, path, force, err);
    if (st != PFX_OK) return st;
    pfx_h5_lock();
    st = write_all(&out, s, b, err);
    pfx_h5_unlock();
    if (st == PFX_OK) return pfx_out_commit(&out, err);
    pfx_out_abort(&out);
    return st;
}

/* ---- reading ---- */

struct pfx_stats {
    pfx_h5 h5;
    char *text[TEXTS];
    pfx_stats_spec spec;
};

void pfx_stats_close(pfx_stats *s)
{
    if (!s) return;
    pfx_h5_lock();
    pfx_h5_close(&s->h5);
    pfx_h5_unlock();
    for (int i = 0; i < TEXTS; i++) pfx_mem_free(s->text[i]);
    pfx_mem_free(s);
}

static pfx_status open_locked(const char *path, pfx_stats *s, pfx_err *err)
{
    pfx_idx version = 0;
    pfx_status st = pfx_h5_open_read(path, &s->h5, err);
    if (st != PFX_OK) return st;
    st = pfx_h5_get_text(&s->h5, s->h5.id, "", text_names[FORMAT], &s->text[FORMAT], err);
    if (st != PFX_OK || strcmp(s->text[FORMAT], STATS_FORMAT) != 0)
        return pfx_fail(err, PFX_EFORMAT, "%s: not the statistics of a plan", path);
    if ((st = pfx_h5_get_int(&s->h5, s->h5.id, "", "version", &version, err)) != PFX_OK) return st;
    if (version != STATS_VERSION)
        return pfx_fail(err, PFX_EFORMAT,
                        "%s: version %lld of its layout, this panelfx reads %d; make the plan anew", path,
                        (long long)version, (int)STATS_VERSION);
    for (int i = FORMAT + 1; i < TEXTS && st == PFX_OK; i++)
        st = pfx_h5_get_text(&s->h5, s->h5.id, "", text_names[i], &s->text[i], err);
    return st;
}

pfx_status pfx_stats_open(const char *path, pfx_stats **out, pfx_err *err)
{
    pfx_stats *s = pfx_mem_calloc(1, sizeof *s, err);
    if (!s) return PFX_ENOMEM;
    s->h5.id = H5I_INVALID_HID;
    pfx_h5_lock();
    pfx_status st = open_locked(path, s, err);
    pfx_h5_unlock();
    if (st != PFX_OK) {
        pfx_stats_close(s);
        return st;
    }
    s->spec = (pfx_stats_spec){s->text[COMMAND], s->text[METHOD], s->text[OPTIONS],
                               s->text[SPEC],    s->text[PANEL],  s->text[NUMERICS]};
    *out = s;
    return PFX_OK;
}

const pfx_stats_spec *pfx_stats_of(const pfx_stats *s)
{
    return &s->spec;
}

const char *pfx_stats_engine(const pfx_stats *s)
{
    return s->text[ENGINE];
}

/* What the values of a dataset are; false: none that a bag holds. */
static bool type_of(hid_t ds, pfx_bag_type *t)
{
    hid_t type = H5Dget_type(ds);
    int i = 0;
    while (i < PFX_BAG_TYPES && (type < 0 || H5Tequal(type, file_type((pfx_bag_type)i)) <= 0)) i++;
    if (type >= 0) H5Tclose(type);
    *t = (pfx_bag_type)i;
    return i < PFX_BAG_TYPES;
}

/* Values at .. of an array, a chunk of them as it lies in the file where that can be, else through HDF5's
 * filters. */
static pfx_status read_chunk(const pfx_stats *s, const char *where, hid_t ds, const pfx_h5_layout *l,
                             pfx_bag_type t, pfx_idx at, pfx_idx n, char *to, pfx_err *err)
{
    uint32_t sum = 0;
    if (l->rows > 0 && pfx_h5_read_chunk(ds, l, at, to, &sum) &&
        (!l->checksum || pfx_fletcher32(pfx_cpu_best(), (size_t)l->rows * l->size, to) == sum))
        return PFX_OK;
    return pfx_h5_read_rows(&s->h5, where, ds, memory_type(t), at, n, to, err);
}

static pfx_status read_array(const pfx_stats *s, const char *name, pfx_bag *b, pfx_err *err)
{
    char where[200], *data = NULL;
    hid_t ds = H5I_INVALID_HID;
    pfx_idx n = 0;
    pfx_bag_type t = PFX_BAG_U8;
    snprintf(where, sizeof where, "arrays/%s", name);
    pfx_status st = pfx_h5_open_rows(&s->h5, where, &ds, &n, err);
    if (st != PFX_OK) return st;
    if (!type_of(ds, &t)) {
        H5Dclose(ds);
        return pfx_fail(err, PFX_EFORMAT, "%s:/%s: of a type that statistics have not", s->h5.path, where);
    }
    pfx_h5_layout l = pfx_h5_chunk_layout(ds, memory_type(t));
    pfx_idx step = l.rows > 0 ? l.rows : PFX_H5_CHUNK_ROWS, chunks = (n + step - 1) / step;
    size_t size = pfx_bag_size(t);
    /* A chunk is read whole, and its checksum behind it. */
    if (!(data = pfx_mem_alloc(chunks * step + 8, size, err))) st = PFX_ENOMEM;
    for (pfx_idx at = 0; at < n && st == PFX_OK; at += step)
        st =
            read_chunk(s, where, ds, &l, t, at, n - at < step ? n - at : step, data + (size_t)at * size, err);
    H5Dclose(ds);
    if (st == PFX_OK) return pfx_bag_add(b, name, t, n, data, err);
    pfx_mem_free(data);
    return st;
}

static pfx_status read_locked(const pfx_stats *s, pfx_bag *b, pfx_err *err)
{
    hid_t g = H5Gopen2(s->h5.id, "arrays", H5P_DEFAULT);
    H5G_info_t info = {0};
    pfx_status st = PFX_OK;
    if (g < 0 || H5Gget_info(g, &info) < 0)
        st = pfx_h5_fail(err, PFX_EFORMAT, "%s:/arrays: missing, or damaged", s->h5.path);
    for (hsize_t i = 0; i < info.nlinks && st == PFX_OK; i++) {
        char name[150];
        if (H5Lget_name_by_idx(g, ".", H5_INDEX_CRT_ORDER, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT) <
            0)
            st = pfx_h5_fail(err, PFX_EFORMAT, "%s:/arrays: damaged", s->h5.path);
        else
            st = read_array(s, name, b, err);
    }
    if (g >= 0) H5Gclose(g);
    return st;
}

pfx_status pfx_stats_read(pfx_stats *s, pfx_bag **out, pfx_err *err)
{
    pfx_bag *b = pfx_bag_new(s->h5.path, err);
    if (!b) return PFX_ENOMEM;
    pfx_h5_lock();
    pfx_status st = read_locked(s, b, err);
    pfx_h5_unlock();
    pfx_bag_turn(b);
    if (st == PFX_OK)
        *out = b;
    else
        pfx_bag_free(b);
    return st;
}
