#include "hdf5_io/yardstick.h"

#include <stdio.h>
#include "hdf5_io/panel_private.h"
#include "src/base/log.h"
#include "src/base/mem.h"

/* The same start in the buffer for each block where it is reused, else one behind the other. */
static pfx_status read_all(const pfx_panel *p, const char *where, hid_t ds, hid_t mem, size_t size,
                           bool fresh, hid_t dxpl, char *buf, pfx_err *err)
{
    pfx_status st = PFX_OK;
    hid_t fsp = H5Dget_space(ds);
    for (pfx_idx at = 0; at < p->n_rows && st == PFX_OK; at += PFX_H5_CHUNK_ROWS) {
        hsize_t start = (hsize_t)at, left = (hsize_t)(p->n_rows - at);
        hsize_t n = left < PFX_H5_CHUNK_ROWS ? left : PFX_H5_CHUNK_ROWS;
        hid_t msp = H5Screate_simple(1, &n, NULL);
        if (fsp < 0 || msp < 0 || H5Sselect_hyperslab(fsp, H5S_SELECT_SET, &start, NULL, &n, NULL) < 0 ||
            H5Dread(ds, mem, msp, fsp, dxpl, fresh ? buf + (size_t)at * size : buf) < 0)
            st = pfx_h5_fail(err, PFX_EFORMAT, "%s:/%s: cannot read rows %lld to %lld", p->h5.path, where,
                             (long long)at + 1, (long long)(start + n));
        if (msp >= 0) H5Sclose(msp);
    }
    if (fsp >= 0) H5Sclose(fsp);
    return st;
}

/* In fresh memory *buf is left to the caller, so that no column gets what another has touched. */
static pfx_status read_column(const pfx_panel *p, int c, pfx_yardstick kind, hid_t dxpl, char **buf,
                              pfx_err *err)
{
    pfx_status st = PFX_OK;
    char where[300];
    pfx_dtype type = p->cols[c].dtype;
    size_t size = pfx_dtype_size(type);
    bool fresh = kind == PFX_YARDSTICK_FRESH;
    if (!*buf && !(*buf = pfx_mem_alloc(fresh ? p->n_rows : PFX_H5_CHUNK_ROWS, fresh ? size : 8, err)))
        return PFX_ENOMEM;
    snprintf(where, sizeof where, "columns/%s", p->cols[c].name);
    hid_t ds = H5Dopen2(p->h5.id, where, H5P_DEFAULT);
    if (ds < 0) return pfx_h5_fail(err, PFX_EFORMAT, "%s:/%s: cannot open", p->h5.path, where);
    st = read_all(p, where, ds, pfx_h5_memory_type(type), size, fresh, dxpl, *buf, err);
    H5Dclose(ds);
    return st;
}

pfx_status pfx_panel_yardstick(pfx_panel *p, int n, const char *const *names, pfx_yardstick kind,
                               double *wall_s, pfx_err *err)
{
    pfx_status st = PFX_OK;
    char **buf = pfx_mem_calloc(n, sizeof *buf, err);
    if (!buf) return PFX_ENOMEM;
    pfx_h5_lock();
    hid_t dxpl = H5Pcreate(H5P_DATASET_XFER);
    if (dxpl < 0 || (kind == PFX_YARDSTICK_UNCHECKED && H5Pset_edc_check(dxpl, H5Z_DISABLE_EDC) < 0))
        st = pfx_h5_fail(err, PFX_EIO, "%s: cannot prepare reading", p->h5.path);
    double t0 = pfx_wall_s();
    for (int i = 0; i < n && st == PFX_OK; i++) {
        int c = pfx_panel_find(p, names[i]);
        if (c < 0)
            st = pfx_fail(err, PFX_EUSAGE, "%s: no column \"%s\"; panelfx info lists them", p->h5.path,
                          names[i]);
        else
            st = read_column(p, c, kind, dxpl, &buf[kind == PFX_YARDSTICK_FRESH ? i : 0], err);
    }
    *wall_s = pfx_wall_s() - t0;
    if (dxpl >= 0) H5Pclose(dxpl);
    pfx_h5_unlock();
    for (int i = 0; i < n; i++) pfx_mem_free(buf[i]);
    pfx_mem_free(buf);
    return st;
}
