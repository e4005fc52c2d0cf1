/* Draw sink: a draws file from draws as they come. Kept in memory: a buffer of each field. */
#include "hdf5_io/draws_private.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "hdf5_io/panel.h"
#include "src/base/cpu.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/base/version.h"

/* Values of a field that are buffered before they are written, and that a chunk holds. */
enum { BUFFER_VALUES = 16384, CHUNK_VALUES = 65536 };

const char *const pfx_draw_field_names[PFX_DRAW_FIELDS] = {"estimate", "std_error", "statistic"};

typedef struct sink_field {
    char *where;
    hid_t ds;
    hid_t mem; /* memory type, not owned */
    pfx_idx columns;
    void *buf; /* [cap x columns] of 8 bytes */
} sink_field;

typedef struct sink {
    pfx_out out;
    char *part; /* name of a checkpoint */
    pfx_h5 h5;
    int n_fields; /* replicate, then the draw's */
    sink_field *field;
    pfx_idx n_terms, first, last;
    pfx_idx cap, n_buf, n_done;
} sink;

/* A dataset that grows, [0 x columns] or [0]; chunks as long as the file will be, if that is less. */
static pfx_status create_field(sink *s, sink_field *f, hid_t type, pfx_err *err)
{
    static const double fill = NAN;
    pfx_idx rows = CHUNK_VALUES / f->columns, all = s->last - s->first;
    if (rows < 1) rows = 1;
    if (all > 0 && all < rows) rows = all;
    int rank = f->columns > 1 ? 2 : 1;
    hsize_t dims[2] = {0, (hsize_t)f->columns}, max[2] = {H5S_UNLIMITED, (hsize_t)f->columns};
    hsize_t chunk[2] = {(hsize_t)rows, (hsize_t)f->columns};
    size_t bytes = (size_t)(rows * f->columns) * 8;
    hid_t sp = H5Screate_simple(rank, dims, max), dcpl = H5Pcreate(H5P_DATASET_CREATE);
    hid_t dapl = H5Pcreate(H5P_DATASET_ACCESS);
    pfx_status st = PFX_OK;
    if (sp < 0 || dcpl < 0 || dapl < 0 || H5Pset_chunk(dcpl, rank, chunk) < 0 ||
        H5Pset_fletcher32(dcpl) < 0 || H5Pset_obj_track_times(dcpl, false) < 0 ||
        (type == H5T_IEEE_F64LE && H5Pset_fill_value(dcpl, H5T_NATIVE_DOUBLE, &fill) < 0) ||
        H5Pset_chunk_cache(dapl, 521, 2 * bytes, 1.0) < 0 ||
        (f->ds = H5Dcreate2(s->h5.id, f->where, type, sp, H5P_DEFAULT, dcpl, dapl)) < 0)
        st = pfx_h5_fail(err, PFX_EIO, "%s:/%s: cannot create", s->h5.path, f->where);
    if (sp >= 0) H5Sclose(sp);
    if (dcpl >= 0) H5Pclose(dcpl);
    if (dapl >= 0) H5Pclose(dapl);
    return st == PFX_OK ? pfx_h5_written(&s->h5, err) : st;
}

static pfx_status add_field(sink *s, const char *name, pfx_idx columns, hid_t type, hid_t mem, pfx_err *err)
{
    sink_field *f = &s->field[s->n_fields++];
    char where[300];
    snprintf(where, sizeof where, "draws/%s", name);
    *f = (sink_field){.ds = H5I_INVALID_HID, .mem = mem, .columns = columns};
    if (!(f->where = pfx_mem_strdup(where, err)) || !(f->buf = pfx_mem_alloc(s->cap * columns, 8, err)))
        return PFX_ENOMEM;
    return create_field(s, f, type, err);
}

/* Text of a fixed length, n of them, in one chunk under a checksum. */
static pfx_status put_texts(sink *s, const char *where, int n, const char *const *text, pfx_err *err)
{
    size_t width = 1;
    hsize_t dims = (hsize_t)n;
    pfx_status st = PFX_OK;
    for (int i = 0; i < n; i++)
        if (strlen(text[i]) > width) width = strlen(text[i]);
    char *cells = pfx_mem_calloc(n, width, err);
    if (!cells) return PFX_ENOMEM;
    for (int i = 0; i < n; i++) memcpy(cells + (size_t)i * width, text[i], strlen(text[i]));
    hid_t t = pfx_h5_text_type(width), sp = H5Screate_simple(1, &dims, NULL),
          dcpl = H5Pcreate(H5P_DATASET_CREATE);
    hid_t ds = H5I_INVALID_HID;
    if (t < 0 || sp < 0 || dcpl < 0 || H5Pset_chunk(dcpl, 1, &dims) < 0 || H5Pset_fletcher32(dcpl) < 0 ||
        H5Pset_obj_track_times(dcpl, false) < 0 ||
        (ds = H5Dcreate2(s->h5.id, where, t, sp, H5P_DEFAULT, dcpl, H5P_DEFAULT)) < 0 ||
        H5Dwrite(ds, t, H5S_ALL, H5S_ALL, H5P_DEFAULT, cells) < 0)
        st = pfx_h5_fail(err, PFX_EIO, "%s:/%s: cannot write", s->h5.path, where);
    if (ds >= 0 && H5Dclose(ds) < 0 && st == PFX_OK)
        st = pfx_h5_fail(err, PFX_EIO, "%s:/%s: cannot write", s->h5.path, where);
    if (t >= 0) H5Tclose(t);
    if (sp >= 0) H5Sclose(sp);
    if (dcpl >= 0) H5Pclose(dcpl);
    pfx_mem_free(cells);
    return st == PFX_OK ? pfx_h5_written(&s->h5, err) : st;
}

static pfx_status put_attributes(sink *s, const pfx_draw_spec *d, pfx_err *err)
{
    pfx_str terms = {0};
    for (int t = 0; t < d->n_terms; t++) pfx_str_addf(&terms, "%s%s", t ? ", " : "", d->terms[t]);
    const struct {
        const char *name, *text;
    } texts[] = {{"format", PFX_DRAWS_FORMAT},
                 {"command", d->command},
                 {"method", d->method},
                 {"term", terms.s},
                 {"options", d->options},
                 {"spec_digest", d->spec_digest},
                 {"panel_digest", d->panel_digest},
                 {"panelfx", PFX_VERSION},
                 {"cpu", pfx_cpu_model()},
                 {"blas", d->blas},
                 {"hdf5", pfx_h5_version()},
                 {"numerics", d->numerics}};
    const struct {
        const char *name;
        pfx_idx value;
    } counts[] = {{"version", PFX_DRAWS_VERSION},
                  {"seed", (pfx_idx)d->seed},
                  {"reps", d->reps},
                  {"first", d->first + 1},
                  {"last", d->last},
                  {"shard", d->shard},
                  {"shards", d->n_shards},
                  {"complete", 0}};
    pfx_status st = terms.failed ? pfx_fail(err, PFX_ENOMEM, "out of memory for the names of terms") : PFX_OK;
    for (size_t i = 0; i < sizeof texts / sizeof *texts && st == PFX_OK; i++)
        st = pfx_h5_put_text(&s->h5, s->h5.id, texts[i].name, texts[i].text ? texts[i].text : "", err);
    for (size_t i = 0; i < sizeof counts / sizeof *counts && st == PFX_OK; i++)
        st = pfx_h5_put_int(&s->h5, s->h5.id, counts[i].name, counts[i].value, err);
    pfx_str_free(&terms);
    return st;
}

static pfx_status make_group(sink *s, pfx_err *err)
{
    hid_t gcpl = H5Pcreate(H5P_GROUP_CREATE), g = H5I_INVALID_HID;
    pfx_status st = PFX_OK;
    if (gcpl < 0 || H5Pset_obj_track_times(gcpl, false) < 0 ||
        H5Pset_link_creation_order(gcpl, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED) < 0 ||
        (g = H5Gcreate2(s->h5.id, "draws", H5P_DEFAULT, gcpl, H5P_DEFAULT)) < 0)
        st = pfx_h5_fail(err, PFX_EIO, "%s:/draws: cannot create", s->h5.path);
    if (g >= 0) H5Gclose(g);
    if (gcpl >= 0) H5Pclose(gcpl);
    return st == PFX_OK ? pfx_h5_written(&s->h5, err) : st;
}

static pfx_status begin_locked(sink *s, const pfx_draw_spec *d, pfx_err *err)
{
    pfx_status st = pfx_h5_create(s->out.path, s->out.tmp, &s->h5, err);
    if (st == PFX_OK) st = put_attributes(s, d, err);
    if (st == PFX_OK) st = make_group(s, err);
    if (st == PFX_OK) st = add_field(s, "replicate", 1, H5T_STD_I64LE, H5T_NATIVE_INT64, err);
    for (int f = 0; f < PFX_DRAW_FIELDS + d->n_extra && st == PFX_OK; f++)
        st = add_field(s, f < PFX_DRAW_FIELDS ? pfx_draw_field_names[f] : d->extra[f - PFX_DRAW_FIELDS],
                       d->n_terms, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, err);
    if (st == PFX_OK && d->n_terms > 1) st = put_texts(s, PFX_DRAWS_TERMS, d->n_terms, d->terms, err);
    return st;
}

static void free_fields(sink *s)
{
    for (int f = 0; f < s->n_fields; f++) {
        pfx_mem_free(s->field[f].where);
        pfx_mem_free(s->field[f].buf);
    }
    pfx_mem_free(s->field);
    s->field = NULL;
    s->n_fields = 0;
}

static pfx_status sink_begin(void *ctx, const pfx_draw_spec *d, pfx_err *err)
{
    sink *s = ctx;
    pfx_status st;
    s->n_buf = s->n_done = 0;
    s->n_terms = d->n_terms;
    s->first = d->first;
    s->last = d->last;
    s->cap = BUFFER_VALUES / d->n_terms > 0 ? BUFFER_VALUES / d->n_terms : 1;
    if (!(s->field = pfx_mem_calloc(1 + PFX_DRAW_FIELDS + d->n_extra, sizeof *s->field, err)))
        return PFX_ENOMEM;
    pfx_h5_lock();
    st = begin_locked(s, d, err);
    pfx_h5_unlock();
    return st;
}

static pfx_status flush_field(const sink *s, const sink_field *f, pfx_err *err)
{
    int rank = f->columns > 1 ? 2 : 1;
    hsize_t start[2] = {(hsize_t)s->n_done, 0}, count[2] = {(hsize_t)s->n_buf, (hsize_t)f->columns};
    hsize_t size[2] = {start[0] + count[0], (hsize_t)f->columns};
    hid_t fsp = H5I_INVALID_HID, msp = H5I_INVALID_HID;
    pfx_status st = PFX_OK;
    if (H5Dset_extent(f->ds, size) < 0 || (fsp = H5Dget_space(f->ds)) < 0 ||
        (msp = H5Screate_simple(rank, count, NULL)) < 0 ||
        H5Sselect_hyperslab(fsp, H5S_SELECT_SET, start, NULL, count, NULL) < 0 ||
        H5Dwrite(f->ds, f->mem, msp, fsp, H5P_DEFAULT, f->buf) < 0)
        st = pfx_h5_fail(err, PFX_EIO, "%s:/%s: cannot write draws %lld to %lld", s->h5.path, f->where,
                         (long long)start[0] + 1, (long long)size[0]);
    if (msp >= 0) H5Sclose(msp);
    if (fsp >= 0) H5Sclose(fsp);
    return st == PFX_OK ? pfx_h5_written(&s->h5, err) : st;
}

static pfx_status flush(sink *s, pfx_err *err)
{
    pfx_status st = PFX_OK;
    if (s->n_buf == 0) return PFX_OK;
    pfx_h5_lock();
    for (int f = 0; f < s->n_fields && st == PFX_OK; f++) st = flush_field(s, &s->field[f], err);
    pfx_h5_unlock();
    s->n_done += s->n_buf;
    s->n_buf = 0;
    return st;
}

static pfx_status sink_put(void *ctx, pfx_idx first, pfx_idx n, const double *const *field, pfx_err *err)
{
    sink *s = ctx;
    for (pfx_idx i = 0; i < n;) {
        pfx_idx take = n - i < s->cap - s->n_buf ? n - i : s->cap - s->n_buf;
        int64_t *number = (int64_t *)s->field[0].buf + s->n_buf;
        for (pfx_idx r = 0; r < take; r++) number[r] = first + i + r + 1;
        for (int f = 1; f < s->n_fields; f++)
            memcpy((double *)s->field[f].buf + s->n_buf * s->n_terms, field[f - 1] + i * s->n_terms,
                   (size_t)(take * s->n_terms) * sizeof(double));
        s->n_buf += take;
        i += take;
        if (s->n_buf < s->cap) continue;
        pfx_status st = flush(s, err);
        if (st != PFX_OK) return st;
    }
    return PFX_OK;
}

static pfx_status sink_result(void *ctx, const char *json, pfx_err *err)
{
    pfx_h5_lock();
    pfx_status st = put_texts(ctx, "fit", 1, &json, err);
    pfx_h5_unlock();
    return st;
}

static pfx_status close_file(sink *s, pfx_err *err)
{
    pfx_status st = PFX_OK;
    for (int f = 0; f < s->n_fields && st == PFX_OK; f++) {
        hid_t ds = s->field[f].ds;
        s->field[f].ds = H5I_INVALID_HID;
        if (H5Dclose(ds) < 0)
            st = pfx_h5_fail(err, PFX_EIO, "%s:/%s: cannot write", s->h5.path, s->field[f].where);
    }
    if (st == PFX_OK) st = pfx_h5_written(&s->h5, err);
    return st == PFX_OK ? pfx_h5_close_write(&s->h5, err) : st;
}

/* The checkpoint of these draws that is there has more of them. */
static bool is_behind(const sink *s, const pfx_draws *mine)
{
    pfx_draws *there = NULL;
    pfx_err none = {0};
    bool behind = false;
    if (pfx_draws_open_part(s->part, &there, &none) != PFX_OK) return false;
    const pfx_draw_spec *a = pfx_draws_spec(mine), *b = pfx_draws_spec(there);
    behind = pfx_draws_n(there) > pfx_draws_n(mine) && a->first == b->first && a->last == b->last &&
             a->seed == b->seed && !strcmp(a->spec_digest, b->spec_digest) &&
             !strcmp(a->panel_digest, b->panel_digest) && !strcmp(a->numerics, b->numerics);
    pfx_draws_close(there);
    return behind;
}

/* A new temporary with what the checkpoint holds. */
static pfx_status go_on(sink *s, pfx_draws *from, pfx_err *err)
{
    const pfx_draw_sink self = {.ctx = s, .put = sink_put};
    char *json = NULL;
    free_fields(s);
    pfx_status st = pfx_draws_fit(from, &json, err);
    if (st == PFX_OK) st = sink_begin(s, pfx_draws_spec(from), err);
    if (st == PFX_OK) st = sink_result(s, json, err);
    if (st == PFX_OK) st = pfx_draws_replay(from, 0, pfx_draws_n(from), 1, &self, err);
    pfx_mem_free(json);
    return st;
}

static pfx_status sink_checkpoint(void *ctx, bool more, pfx_err *err)
{
    sink *s = ctx;
    pfx_draws *done = NULL;
    pfx_status st = flush(s, err);
    if (st != PFX_OK) return st;
    pfx_h5_lock();
    st = close_file(s, err);
    pfx_h5_unlock();
    /* Opened before it is renamed: under its new name another process might put its own. */
    if (st == PFX_OK) st = pfx_draws_open_part(s->out.tmp, &done, err);
    if (st == PFX_OK && is_behind(s, done))
        (void)unlink(s->out.tmp);
    else if (st == PFX_OK)
        st = pfx_out_keep_as(&s->out, s->part, err);
    if (st == PFX_OK && more) st = go_on(s, done, err);
    pfx_draws_close(done);
    return st;
}

static pfx_status sink_cut(void *ctx, pfx_err *err)
{
    sink *s = ctx;
    s->last = s->first + s->n_done + s->n_buf;
    pfx_h5_lock();
    pfx_status st = pfx_h5_set_int(&s->h5, s->h5.id, "last", s->last, err);
    pfx_h5_unlock();
    return st;
}

static pfx_status sink_commit(void *ctx, pfx_err *err)
{
    sink *s = ctx;
    pfx_status st = flush(s, err);
    if (st == PFX_OK && s->n_done != s->last - s->first)
        st = pfx_fail(err, PFX_EDATA, "%s: %lld draws came where %lld belong", s->out.path,
                      (long long)s->n_done, (long long)(s->last - s->first));
    if (st != PFX_OK) return st;
    pfx_h5_lock();
    st = pfx_h5_set_int(&s->h5, s->h5.id, "complete", 1, err);
    if (st == PFX_OK) st = close_file(s, err);
    pfx_h5_unlock();
    if (st == PFX_OK) st = pfx_out_commit(&s->out, err);
    if (st == PFX_OK) (void)unlink(s->part);
    return st;
}

static void sink_abort(void *ctx)
{
    sink *s = ctx;
    if (!s) return;
    pfx_h5_lock();
    pfx_h5_close(&s->h5);
    pfx_h5_unlock();
    pfx_out_abort(&s->out);
    free_fields(s);
    pfx_mem_free(s->part);
    pfx_mem_free(s);
}

char *pfx_draws_part_name(const char *path, pfx_err *err)
{
    char real[PATH_MAX];
    pfx_str s = {0};
    /* As pfx_out_begin does: the file that a link points to. */
    pfx_str_addf(&s, "%s.part", realpath(path, real) ? real : path);
    char *name = s.failed ? NULL : pfx_mem_strdup(s.s, err);
    if (s.failed) (void)pfx_fail(err, PFX_ENOMEM, "out of memory for a name");
    pfx_str_free(&s);
    return name;
}

pfx_status pfx_draws_sink(const char *path, bool force, pfx_draw_sink *out, pfx_err *err)
{
    sink *s = pfx_mem_calloc(1, sizeof *s, err);
    if (!s) return PFX_ENOMEM;
    s->h5.id = H5I_INVALID_HID;
    pfx_status st = pfx_out_begin(&s->out, path, force, err);
    if (st == PFX_OK && !(s->part = pfx_draws_part_name(s->out.path, err))) st = PFX_ENOMEM;
    if (st != PFX_OK) {
        sink_abort(s);
        return st;
    }
    *out = (pfx_draw_sink){.ctx = s,
                           .begin = sink_begin,
                           .put = sink_put,
                           .result = sink_result,
                           .checkpoint = sink_checkpoint,
                           .cut = sink_cut,
                           .commit = sink_commit,
                           .abort = sink_abort};
    return PFX_OK;
}
