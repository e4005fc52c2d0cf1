/* One-dimensional datasets, read and written in order by blocks of rows. */
#include "hdf5_io/h5_private.h"

#include <string.h>
#include "src/base/mem.h"
#include "src/base/sha256.h"

hid_t pfx_h5_file_type(pfx_dtype t)
{
    switch (t) {
    case PFX_F64:
        return H5T_IEEE_F64LE;
    case PFX_F32:
        return H5T_IEEE_F32LE;
    case PFX_I32:
        return H5T_STD_I32LE;
    default:
        return H5T_STD_I64LE;
    }
}

hid_t pfx_h5_memory_type(pfx_dtype t)
{
    switch (t) {
    case PFX_F64:
        return H5T_NATIVE_DOUBLE;
    case PFX_F32:
        return H5T_NATIVE_FLOAT;
    case PFX_I32:
        return H5T_NATIVE_INT32;
    default:
        return H5T_NATIVE_INT64;
    }
}

size_t pfx_dtype_size(pfx_dtype t)
{
    return t == PFX_F32 || t == PFX_I32 ? 4 : 8;
}

/* Access by blocks in order needs the chunk in hand and the one that a block reaches into; a chunk that was
 * used in full is the first to go (w0 = 1). */
static hid_t access_list(size_t chunk_bytes)
{
    hid_t dapl = H5Pcreate(H5P_DATASET_ACCESS);
    if (dapl >= 0 && H5Pset_chunk_cache(dapl, 101, 2 * chunk_bytes, 1.0) < 0) {
        H5Pclose(dapl);
        dapl = H5I_INVALID_HID;
    }
    return dapl;
}

/* Bytes of a chunk of an open dataset; 0 where it is not chunked. */
static size_t chunk_bytes(hid_t ds)
{
    hsize_t rows = 0;
    hid_t dcpl = H5Dget_create_plist(ds), type = H5Dget_type(ds);
    size_t bytes = 0;
    if (dcpl >= 0 && type >= 0 && H5Pget_layout(dcpl) == H5D_CHUNKED && H5Pget_chunk(dcpl, 1, &rows) == 1)
        bytes = (size_t)rows * H5Tget_size(type);
    if (type >= 0) H5Tclose(type);
    if (dcpl >= 0) H5Pclose(dcpl);
    return bytes;
}

pfx_status pfx_h5_open_rows(const pfx_h5 *f, const char *where, hid_t *ds, pfx_idx *n_rows, pfx_err *err)
{
    pfx_status st = PFX_OK;
    hid_t sp = H5I_INVALID_HID, dapl = H5I_INVALID_HID;
    hsize_t len = 0;
    size_t bytes;

    if ((*ds = H5Dopen2(f->id, where, H5P_DEFAULT)) < 0)
        return pfx_h5_fail(err, PFX_EFORMAT, "%s:/%s: no such dataset, or damaged", f->path, where);
    if ((sp = H5Dget_space(*ds)) < 0 || H5Sget_simple_extent_ndims(sp) != 1 ||
        H5Sget_simple_extent_dims(sp, &len, NULL) < 0 || len > (hsize_t)INT64_MAX / 8) {
        st = pfx_fail(err, PFX_EFORMAT, "%s:/%s: not a one-dimensional dataset", f->path, where);
        goto done;
    }
    *n_rows = (pfx_idx)len;
    if ((bytes = chunk_bytes(*ds)) > 0 &&
        bytes <= ((size_t)64 << 20)) { /* the cache is set at opening only */
        H5Dclose(*ds);
        if ((dapl = access_list(bytes)) < 0 || (*ds = H5Dopen2(f->id, where, dapl)) < 0)
            st = pfx_h5_fail(err, PFX_EFORMAT, "%s:/%s: cannot open", f->path, where);
    }
done:
    if (dapl >= 0) H5Pclose(dapl);
    if (sp >= 0) H5Sclose(sp);
    if (st != PFX_OK && *ds >= 0) {
        H5Dclose(*ds);
        *ds = H5I_INVALID_HID;
    }
    return st;
}

pfx_status pfx_h5_read_rows(const pfx_h5 *f, const char *where, hid_t ds, hid_t mem, pfx_idx row0, pfx_idx n,
                            void *buf, pfx_err *err)
{
    pfx_status st = PFX_OK;
    hsize_t start = (hsize_t)row0, count = (hsize_t)n;
    hid_t fsp = H5I_INVALID_HID, msp = H5I_INVALID_HID;
    if (n == 0) return PFX_OK;
    if ((fsp = H5Dget_space(ds)) < 0 || (msp = H5Screate_simple(1, &count, NULL)) < 0 ||
        H5Sselect_hyperslab(fsp, H5S_SELECT_SET, &start, NULL, &count, NULL) < 0 ||
        H5Dread(ds, mem, msp, fsp, H5P_DEFAULT, buf) < 0)
        st = pfx_h5_fail(err, PFX_EFORMAT, "%s:/%s: cannot read rows %lld to %lld", f->path, where,
                         (long long)row0 + 1, (long long)(row0 + n));
    if (msp >= 0) H5Sclose(msp);
    if (fsp >= 0) H5Sclose(fsp);
    return st;
}

pfx_status pfx_h5_writer_init(pfx_h5_writer *w, const pfx_h5 *f, const char *where, hid_t file_type,
                              hid_t mem_type, const void *fill, pfx_idx chunk_rows, int deflate, pfx_err *err)
{
    *w = (pfx_h5_writer){.f = f,
                         .file_type = file_type,
                         .mem_type = mem_type,
                         .fill = fill,
                         .size = H5Tget_size(mem_type),
                         .chunk_rows = chunk_rows,
                         .deflate = deflate,
                         .ds = H5I_INVALID_HID};
    w->sum = pfx_sha256_new();
    if (!w->sum || !(w->where = pfx_mem_strdup(where, err)) ||
        !(w->buf = pfx_mem_alloc(chunk_rows, w->size, err))) {
        pfx_h5_writer_free(w);
        return pfx_fail(err, PFX_ENOMEM, "out of memory for %s", where);
    }
    return PFX_OK;
}

static pfx_status create(pfx_h5_writer *w, pfx_err *err)
{
    pfx_status st = PFX_OK;
    hsize_t dims = (hsize_t)w->n_buf, max = H5S_UNLIMITED, chunk = dims > 0 ? dims : 1;
    hid_t dcpl = H5Pcreate(H5P_DATASET_CREATE), dapl = access_list((size_t)chunk * w->size),
          sp = H5Screate_simple(1, &dims, &max);
    /* Fletcher32 comes last, over the bytes that lie on the disk. */
    if (dcpl < 0 || dapl < 0 || sp < 0 || H5Pset_chunk(dcpl, 1, &chunk) < 0 ||
        H5Pset_obj_track_times(dcpl, false) < 0 ||
        (w->fill && H5Pset_fill_value(dcpl, w->mem_type, w->fill) < 0) ||
        (w->deflate && (H5Pset_shuffle(dcpl) < 0 || H5Pset_deflate(dcpl, (unsigned)w->deflate) < 0)) ||
        H5Pset_fletcher32(dcpl) < 0 ||
        (w->ds = H5Dcreate2(w->f->id, w->where, w->file_type, sp, H5P_DEFAULT, dcpl, dapl)) < 0)
        st = pfx_h5_fail(err, PFX_EIO, "%s:/%s: cannot create", w->f->path, w->where);
    if (sp >= 0) H5Sclose(sp);
    if (dapl >= 0) H5Pclose(dapl);
    if (dcpl >= 0) H5Pclose(dcpl);
    return st;
}

pfx_status pfx_h5_writer_flush(pfx_h5_writer *w, pfx_err *err)
{
    pfx_status st = PFX_OK;
    hsize_t start = (hsize_t)w->n_done, count = (hsize_t)w->n_buf, size = start + count;
    hid_t fsp = H5I_INVALID_HID, msp = H5I_INVALID_HID;
    if (w->ds < 0 && (st = create(w, err)) != PFX_OK) return st;
    if (count == 0) return pfx_h5_written(w->f, err);
    if ((start && H5Dset_extent(w->ds, &size) < 0) || (fsp = H5Dget_space(w->ds)) < 0 ||
        (msp = H5Screate_simple(1, &count, NULL)) < 0 ||
        H5Sselect_hyperslab(fsp, H5S_SELECT_SET, &start, NULL, &count, NULL) < 0 ||
        H5Dwrite(w->ds, w->mem_type, msp, fsp, H5P_DEFAULT, w->buf) < 0)
        st = pfx_h5_fail(err, PFX_EIO, "%s:/%s: cannot write rows %lld to %lld", w->f->path, w->where,
                         (long long)start + 1, (long long)size);
    pfx_h5_checksum_add(w->sum, (size_t)w->n_buf * w->size, w->buf);
    w->n_done += w->n_buf;
    w->n_buf = 0;
    if (msp >= 0) H5Sclose(msp);
    if (fsp >= 0) H5Sclose(fsp);
    return st == PFX_OK ? pfx_h5_written(w->f, err) : st;
}

pfx_status pfx_h5_writer_finish(pfx_h5_writer *w, pfx_err *err)
{
    pfx_status st = PFX_OK;
    char checksum[PFX_SHA256_HEX];
    hid_t ds;
    if (w->n_buf > 0 || w->ds < 0) st = pfx_h5_writer_flush(w, err);
    pfx_sha256_hex(w->sum, checksum);
    if (st == PFX_OK) st = pfx_h5_put_text(w->f, w->ds, PFX_H5_CHECKSUM, checksum, err);
    if (st != PFX_OK) return st; /* pfx_h5_close closes the dataset */
    ds = w->ds;
    if (H5Dclose(ds) < 0) return pfx_h5_fail(err, PFX_EIO, "%s:/%s: cannot write", w->f->path, w->where);
    w->ds = H5I_INVALID_HID;
    return pfx_h5_written(w->f, err);
}

void pfx_h5_writer_free(pfx_h5_writer *w)
{
    pfx_sha256_free(w->sum);
    pfx_mem_free(w->where);
    pfx_mem_free(w->buf);
    *w = (pfx_h5_writer){.ds = H5I_INVALID_HID};
}
