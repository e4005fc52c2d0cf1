/* Chunks as they lie in the file, past HDF5's filters and conversions. */
#include "hdf5_io/h5_private.h"

#include <errno.h>
#include <unistd.h>

enum { CHECKSUM_BYTES = 4 };

/* No filter, or Fletcher-32 alone. */
static bool plain_filters(hid_t dcpl, bool *checksum)
{
    unsigned flags = 0, config = 0;
    size_t n_values = 0;
    int n = H5Pget_nfilters(dcpl);
    *checksum =
        n == 1 && H5Pget_filter2(dcpl, 0, &flags, &n_values, NULL, 0, NULL, &config) == H5Z_FILTER_FLETCHER32;
    return n == 0 || *checksum;
}

pfx_h5_layout pfx_h5_chunk_layout(hid_t ds, hid_t mem)
{
    pfx_h5_layout l = {0};
    hsize_t rows = 0;
    hid_t dcpl = H5Dget_create_plist(ds), type = H5Dget_type(ds);
    if (dcpl >= 0 && type >= 0 && H5Pget_layout(dcpl) == H5D_CHUNKED && H5Pget_chunk(dcpl, 1, &rows) == 1 &&
        H5Tequal(type, mem) > 0 && plain_filters(dcpl, &l.checksum)) {
        l.rows = (pfx_idx)rows;
        l.size = H5Tget_size(mem);
    }
    if (type >= 0) H5Tclose(type);
    if (dcpl >= 0) H5Pclose(dcpl);
    H5Eclear2(H5E_DEFAULT);
    return l;
}

size_t pfx_h5_chunk_bytes(const pfx_h5_layout *l)
{
    return (size_t)l->rows * l->size + (l->checksum ? CHECKSUM_BYTES : 0);
}

static uint32_t checksum_of(const unsigned char tail[CHECKSUM_BYTES])
{
    uint32_t sum = 0;
    for (int i = 0; i < CHECKSUM_BYTES; i++) sum |= (uint32_t)tail[i] << 8 * i;
    return sum;
}

bool pfx_h5_read_chunk(hid_t ds, const pfx_h5_layout *l, pfx_idx row0, void *buf, uint32_t *checksum)
{
    const hsize_t at = (hsize_t)row0;
    hsize_t stored = 0;
    uint32_t left_out = 0;
    if (H5Dget_chunk_storage_size(ds, &at, &stored) < 0 || stored != pfx_h5_chunk_bytes(l) ||
        H5Dread_chunk(ds, H5P_DEFAULT, &at, &left_out, buf) < 0 || left_out) {
        H5Eclear2(H5E_DEFAULT);
        return false;
    }
    *checksum = l->checksum ? checksum_of((const unsigned char *)buf + (size_t)l->rows * l->size) : 0;
    return true;
}

bool pfx_h5_read_bytes(int fd, int64_t at, size_t n, void *buf)
{
    char *to = buf;
    while (n > 0) {
        ssize_t got = pread(fd, to, n, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        to += got, at += got, n -= (size_t)got;
    }
    return true;
}

bool pfx_h5_read_checksum(int fd, int64_t at, const pfx_h5_layout *l, uint32_t *checksum)
{
    unsigned char tail[CHECKSUM_BYTES] = {0};
    if (l->checksum && !pfx_h5_read_bytes(fd, at + l->rows * (int64_t)l->size, sizeof tail, tail))
        return false;
    *checksum = checksum_of(tail);
    return true;
}
