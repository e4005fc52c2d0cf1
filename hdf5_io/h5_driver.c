/* HDF5's file driver for files that are written: pwrite, and an error that is kept.
 *
 * When a write fails (disk full), HDF5 can neither flush nor close: it holds on to the file, and crashes when
 * the program ends. This driver therefore keeps the first error for pfx_h5_written, drops every later write,
 * and tells HDF5 that all went well; the file is thrown away anyway. The file has a name of its own, and is held, so
 * that nobody takes it for one that was left behind. */
#include "hdf5_io/h5_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "src/base/file.h"
#include "src/base/mem.h"

struct pfx_h5_output {
    H5FD_t head; /* HDF5's; must come first */
    int fd;
    haddr_t eoa, eof; /* end of allocated addresses, of what was written */
    int error;        /* errno of the first failure */
};

/* What HDF5 carries from the access list to open: the struct that the caller has made. */
typedef struct driver_info {
    pfx_h5_output *output;
} driver_info;

static pfx_h5_output *of(H5FD_t *f)
{
    return (pfx_h5_output *)(void *)f;
}

static H5FD_t *driver_open(const char *name, unsigned flags, hid_t fapl, haddr_t maxaddr)
{
    const driver_info *info = H5Pget_driver_info(fapl);
    (void)flags, (void)maxaddr;
    if (!info) return NULL;
    info->output->error = pfx_fault_write();
    if (info->output->error) return NULL;
    info->output->fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (info->output->fd < 0) {
        info->output->error = errno;
        return NULL;
    }
    pfx_file_hold(info->output->fd);
    return &info->output->head;
}

static herr_t driver_close(H5FD_t *file)
{
    pfx_h5_output *o = of(file);
    if (close(o->fd) < 0 && !o->error) o->error = errno;
    o->fd = -1;
    return 0;
}

static herr_t driver_query(const H5FD_t *file, unsigned long *flags)
{
    (void)file;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
    return 0;
}

static haddr_t driver_get_eoa(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const pfx_h5_output *)(const void *)file)->eoa;
}

static herr_t driver_set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t addr)
{
    (void)type;
    of(file)->eoa = addr;
    return 0;
}

static haddr_t driver_get_eof(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const pfx_h5_output *)(const void *)file)->eof;
}

static herr_t driver_read(H5FD_t *file, H5FD_mem_t type, hid_t dxpl, haddr_t addr, size_t size, void *buffer)
{
    pfx_h5_output *o = of(file);
    char *to = buffer;
    (void)type, (void)dxpl;
    while (size > 0) {
        ssize_t got = pread(o->fd, to, size, (off_t)addr);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && !o->error) o->error = errno;
        if (got <= 0) break;
        to += got;
        addr += (haddr_t)got;
        size -= (size_t)got;
    }
    memset(to, 0, size); /* behind the end of the file */
    return 0;
}

static herr_t driver_write(H5FD_t *file, H5FD_mem_t type, hid_t dxpl, haddr_t addr, size_t size,
                           const void *buffer)
{
    pfx_h5_output *o = of(file);
    const char *from = buffer;
    haddr_t end = addr + size;
    (void)type, (void)dxpl;
    if (!o->error) o->error = pfx_fault_write();
    while (size > 0 && !o->error) {
        ssize_t put = pwrite(o->fd, from, size, (off_t)addr);
        if (put < 0 && errno != EINTR) o->error = errno;
        if (put <= 0) continue;
        from += put;
        addr += (haddr_t)put;
        size -= (size_t)put;
    }
    if (end > o->eof) o->eof = end;
    return 0;
}

static herr_t driver_truncate(H5FD_t *file, hid_t dxpl, hbool_t closing)
{
    pfx_h5_output *o = of(file);
    (void)dxpl, (void)closing;
    if (o->eoa == o->eof) return 0;
    if (!o->error) o->error = pfx_fault_write();
    if (!o->error && ftruncate(o->fd, (off_t)o->eoa) < 0) o->error = errno;
    o->eof = o->eoa;
    return 0;
}

static const H5FD_class_t driver = {
#ifdef H5FD_CLASS_VERSION /* since 1.14 */
    .version = H5FD_CLASS_VERSION,
    .value = 513, /* 512 .. 65535 are free for drivers that are not registered */
#endif
    .name = "panelfx_output",
    .maxaddr = (haddr_t)INT64_MAX,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(driver_info),
    .open = driver_open,
    .close = driver_close,
    .query = driver_query,
    .get_eoa = driver_get_eoa,
    .set_eoa = driver_set_eoa,
    .get_eof = driver_get_eof,
    .read = driver_read,
    .write = driver_write,
    .truncate = driver_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

pfx_status pfx_h5_output_create(hid_t fapl, pfx_h5_output **out, pfx_err *err)
{
    static hid_t id = H5I_INVALID_HID; /* once for the process; the caller holds the lock */
    driver_info info;
    if (id < 0) id = H5FDregister(&driver);
    if (!(*out = pfx_mem_calloc(1, sizeof **out, err))) return PFX_ENOMEM;
    (*out)->fd = -1;
    info.output = *out;
    if (id >= 0 && H5Pset_driver(fapl, id, &info) >= 0) return PFX_OK;
    pfx_mem_free(*out);
    *out = NULL;
    return pfx_h5_fail(err, PFX_EIO, "cannot set up HDF5's driver for output");
}

int pfx_h5_output_error(const pfx_h5_output *o)
{
    return o->error;
}
