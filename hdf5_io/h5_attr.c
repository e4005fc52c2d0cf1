/* Scalar attributes. Text has a fixed length, so that it lies in the object header, under its checksum. */
#include "hdf5_io/h5_private.h"

#include <string.h>
#include "src/base/mem.h"

static pfx_status put_scalar(const pfx_h5 *f, hid_t obj, const char *name, hid_t file_type, hid_t mem_type,
                             const void *value, pfx_err *err)
{
    pfx_status st = PFX_OK;
    hid_t sp = H5I_INVALID_HID, at = H5I_INVALID_HID;
    if ((sp = H5Screate(H5S_SCALAR)) < 0 ||
        (at = H5Acreate2(obj, name, file_type, sp, H5P_DEFAULT, H5P_DEFAULT)) < 0 ||
        H5Awrite(at, mem_type, value) < 0)
        st = pfx_h5_fail(err, PFX_EIO, "%s: cannot write attribute %s", f->path, name);
    if (at >= 0 && H5Aclose(at) < 0 && st == PFX_OK)
        st = pfx_h5_fail(err, PFX_EIO, "%s: cannot write attribute %s", f->path, name);
    if (sp >= 0) H5Sclose(sp);
    return st == PFX_OK ? pfx_h5_written(f, err) : st;
}

hid_t pfx_h5_text_type(size_t n)
{
    hid_t t = H5Tcopy(H5T_C_S1);
    if (t >= 0 && (H5Tset_size(t, n ? n : 1) < 0 || H5Tset_strpad(t, H5T_STR_NULLPAD) < 0 ||
                   H5Tset_cset(t, H5T_CSET_UTF8) < 0)) {
        H5Tclose(t);
        t = H5I_INVALID_HID;
    }
    return t;
}

pfx_status pfx_h5_put_text(const pfx_h5 *f, hid_t obj, const char *name, const char *value, pfx_err *err)
{
    hid_t t = pfx_h5_text_type(strlen(value));
    pfx_status st;
    if (t < 0) return pfx_h5_fail(err, PFX_EIO, "%s: cannot write attribute %s", f->path, name);
    st = put_scalar(f, obj, name, t, t, value, err);
    H5Tclose(t);
    return st;
}

pfx_status pfx_h5_put_int(const pfx_h5 *f, hid_t obj, const char *name, pfx_idx value, pfx_err *err)
{
    return put_scalar(f, obj, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value, err);
}

pfx_status pfx_h5_set_int(const pfx_h5 *f, hid_t obj, const char *name, pfx_idx value, pfx_err *err)
{
    pfx_status st = PFX_OK;
    hid_t at = H5Aopen(obj, name, H5P_DEFAULT);
    if (at < 0 || H5Awrite(at, H5T_NATIVE_INT64, &value) < 0)
        st = pfx_h5_fail(err, PFX_EIO, "%s: cannot write attribute %s", f->path, name);
    if (at >= 0 && H5Aclose(at) < 0 && st == PFX_OK)
        st = pfx_h5_fail(err, PFX_EIO, "%s: cannot write attribute %s", f->path, name);
    return st == PFX_OK ? pfx_h5_written(f, err) : st;
}

/* Text of variable length, as h5py writes it. */
static pfx_status get_variable(const pfx_h5 *f, hid_t at, hid_t type, const char *where, const char *name,
                               char **out, pfx_err *err)
{
    char *s = NULL;
    pfx_status st = PFX_OK;
    hid_t mem = H5Tcopy(type);
    if (mem < 0 || H5Aread(at, mem, &s) < 0)
        st = pfx_h5_fail(err, PFX_EFORMAT, "%s:/%s: cannot read attribute %s", f->path, where, name);
    else if (!(*out = pfx_mem_strdup(s ? s : "", err)))
        st = PFX_ENOMEM;
    if (s) H5free_memory(s);
    if (mem >= 0) H5Tclose(mem);
    return st;
}

static pfx_status get_fixed(const pfx_h5 *f, hid_t at, hid_t type, const char *where, const char *name,
                            char **out, pfx_err *err)
{
    size_t n = H5Tget_size(type);
    if (!(*out = pfx_mem_calloc((pfx_idx)n + 1, 1, err))) return PFX_ENOMEM;
    if (H5Aread(at, type, *out) >= 0) return PFX_OK;
    pfx_mem_free(*out);
    *out = NULL;
    return pfx_h5_fail(err, PFX_EFORMAT, "%s:/%s: cannot read attribute %s", f->path, where, name);
}

/* Open a scalar attribute of a class. */
static pfx_status open_scalar(const pfx_h5 *f, hid_t obj, const char *where, const char *name,
                              H5T_class_t class, hid_t *at, hid_t *type, pfx_err *err)
{
    hid_t sp = H5I_INVALID_HID;
    bool good;
    *at = *type = H5I_INVALID_HID;
    if ((*at = H5Aopen(obj, name, H5P_DEFAULT)) < 0)
        return pfx_h5_fail(err, PFX_EFORMAT, "%s:/%s: attribute %s is missing", f->path, where, name);
    sp = H5Aget_space(*at);
    *type = H5Aget_type(*at);
    good = sp >= 0 && *type >= 0 && H5Sget_simple_extent_npoints(sp) == 1 && H5Tget_class(*type) == class;
    if (sp >= 0) H5Sclose(sp);
    if (good) return PFX_OK;
    return pfx_fail(err, PFX_EFORMAT, "%s:/%s: attribute %s is not one %s", f->path, where, name,
                    class == H5T_STRING ? "text" : "whole number");
}

pfx_status pfx_h5_get_text(const pfx_h5 *f, hid_t obj, const char *where, const char *name, char **out,
                           pfx_err *err)
{
    hid_t at, type;
    pfx_status st = open_scalar(f, obj, where, name, H5T_STRING, &at, &type, err);
    *out = NULL;
    if (st == PFX_OK)
        st = H5Tis_variable_str(type) > 0 ? get_variable(f, at, type, where, name, out, err)
                                          : get_fixed(f, at, type, where, name, out, err);
    if (type >= 0) H5Tclose(type);
    if (at >= 0) H5Aclose(at);
    return st;
}

pfx_status pfx_h5_get_int(const pfx_h5 *f, hid_t obj, const char *where, const char *name, pfx_idx *out,
                          pfx_err *err)
{
    hid_t at, type;
    pfx_status st = open_scalar(f, obj, where, name, H5T_INTEGER, &at, &type, err);
    if (st == PFX_OK && H5Aread(at, H5T_NATIVE_INT64, out) < 0)
        st = pfx_h5_fail(err, PFX_EFORMAT, "%s:/%s: cannot read attribute %s", f->path, where, name);
    if (type >= 0) H5Tclose(type);
    if (at >= 0) H5Aclose(at);
    return st;
}
