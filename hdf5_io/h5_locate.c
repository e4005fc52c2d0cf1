/* Where the chunks of a dataset lie in its file. HDF5 tells that in steps that grow with the number of chunks
 * (H5Dget_chunk_info_by_coord walks over all of them), but finds a chunk to read in its index at once. So the
 * file is opened a second time, through a driver that reads what HDF5 needs to find its way, and where a
 * chunk itself should be read, notes the place instead. */
#include "hdf5_io/h5_private.h"

#include <sys/stat.h>
#include "src/base/mem.h"

typedef struct place {
    bool wanted; /* raw data are to be found, not read */
    int n;       /* pieces asked for since */
    haddr_t at;
    size_t bytes;
} place;

/* The file as the driver sees it. HDF5 frees nothing of it: it belongs to the locator. */
typedef struct located_file {
    H5FD_t head; /* HDF5's; must come first */
    int fd;      /* of the file as it is open already */
    haddr_t eoa, eof;
    place found;
} located_file;

struct pfx_h5_locator {
    located_file file;
    hid_t id;
};

typedef struct driver_info {
    located_file *file;
} driver_info;

static located_file *of(H5FD_t *f)
{
    return (located_file *)(void *)f;
}

static const located_file *of_const(const H5FD_t *f)
{
    return (const located_file *)(const void *)f;
}

static H5FD_t *driver_open(const char *name, unsigned flags, hid_t fapl, haddr_t maxaddr)
{
    const driver_info *info = H5Pget_driver_info(fapl);
    (void)name, (void)flags, (void)maxaddr;
    return info ? &info->file->head : NULL;
}

static herr_t driver_close(H5FD_t *file)
{
    (void)file;
    return 0;
}

static herr_t driver_query(const H5FD_t *file, unsigned long *flags)
{
    (void)file;
    *flags = H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
    return 0;
}

static haddr_t driver_get_eoa(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return of_const(file)->eoa;
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
    return of_const(file)->eof;
}

static herr_t driver_read(H5FD_t *file, H5FD_mem_t type, hid_t dxpl, haddr_t addr, size_t size, void *buffer)
{
    located_file *f = of(file);
    (void)dxpl;
    if (type == H5FD_MEM_DRAW && f->found.wanted) {
        f->found.n++;
        f->found.at = addr;
        f->found.bytes = size;
        return 0;
    }
    return pfx_h5_read_bytes(f->fd, (int64_t)addr, size, buffer) ? 0 : -1;
}

static herr_t driver_write(H5FD_t *file, H5FD_mem_t type, hid_t dxpl, haddr_t addr, size_t size,
                           const void *buffer)
{
    (void)file, (void)type, (void)dxpl, (void)addr, (void)size, (void)buffer;
    return -1;
}

static const H5FD_class_t driver = {
#ifdef H5FD_CLASS_VERSION /* since 1.14 */
    .version = H5FD_CLASS_VERSION,
    .value = 514, /* 512 .. 65535 are free for drivers that are not registered */
#endif
    .name = "panelfx_locate",
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
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

/* The descriptor of a file that HDF5's own driver has open, or -1. */
static int descriptor(const pfx_h5 *f)
{
    void *handle = NULL;
    hid_t fapl = H5Fget_access_plist(f->id);
    int fd = -1;
    if (fapl >= 0 && H5Pget_driver(fapl) == H5FD_SEC2 &&
        H5Fget_vfd_handle(f->id, H5P_DEFAULT, &handle) >= 0 && handle)
        fd = *(const int *)handle;
    if (fapl >= 0) H5Pclose(fapl);
    return fd;
}

pfx_h5_locator *pfx_h5_locator_open(const pfx_h5 *f)
{
    static hid_t driver_id = H5I_INVALID_HID; /* once for the process; the caller holds the lock */
    pfx_err unsaid = {0};
    struct stat sb;
    int fd = descriptor(f);
    hid_t fapl = H5I_INVALID_HID;
    pfx_h5_locator *l = fd >= 0 && fstat(fd, &sb) == 0 ? pfx_mem_calloc(1, sizeof *l, &unsaid) : NULL;
    if (!l) goto done;
    l->file.fd = fd;
    l->file.eof = (haddr_t)sb.st_size;
    l->id = H5I_INVALID_HID;
    if (driver_id < 0) driver_id = H5FDregister(&driver);
    const driver_info info = {&l->file};
    if (driver_id >= 0 && (fapl = H5Pcreate(H5P_FILE_ACCESS)) >= 0 &&
        H5Pset_driver(fapl, driver_id, &info) >= 0 && H5Pset_fclose_degree(fapl, H5F_CLOSE_STRONG) >= 0)
        l->id = H5Fopen(f->path, H5F_ACC_RDONLY, fapl);
    if (l->id < 0) {
        pfx_mem_free(l);
        l = NULL;
    }
done:
    if (fapl >= 0) H5Pclose(fapl);
    H5Eclear2(H5E_DEFAULT);
    return l;
}

int pfx_h5_locator_fd(const pfx_h5_locator *l)
{
    return l->file.fd;
}

hid_t pfx_h5_locator_dataset(const pfx_h5_locator *l, const char *where)
{
    hid_t ds = H5Dopen2(l->id, where, H5P_DEFAULT);
    H5Eclear2(H5E_DEFAULT);
    return ds;
}

bool pfx_h5_locate(pfx_h5_locator *l, hid_t ds, const pfx_h5_layout *layout, pfx_idx row0, void *buf,
                   int64_t *at)
{
    const hsize_t offset = (hsize_t)row0;
    hsize_t stored = 0;
    uint32_t left_out = 0;
    place *p = &l->file.found;
    bool found = false;
    if (H5Dget_chunk_storage_size(ds, &offset, &stored) >= 0 && stored == pfx_h5_chunk_bytes(layout)) {
        *p = (place){.wanted = true};
        found = H5Dread_chunk(ds, H5P_DEFAULT, &offset, &left_out, buf) >= 0 && !left_out && p->n == 1 &&
                p->bytes == stored;
        p->wanted = false;
        *at = (int64_t)p->at;
    }
    if (!found) H5Eclear2(H5E_DEFAULT);
    return found;
}

void pfx_h5_locator_close(pfx_h5_locator *l)
{
    if (!l) return;
    H5Fclose(l->id);
    pfx_mem_free(l);
}
