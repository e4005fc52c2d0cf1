/* Digest of a dataset's elements: SHA-256 over the UMAC-64 (RFC 4418) of each chunk, under a key and a nonce of
 * zeros: SHA-256 of the elements themselves would cost more than writing them. Fletcher-32, which HDF5 keeps beside
 * each chunk, would not do: modulo 65,535 a zero and a minus one of an integer are the same to it. */
#include "hdf5_io/h5_private.h"

#include <string.h>
#include <nettle/umac.h>
#include "src/base/mem.h"
#include "src/base/sha256.h"

void pfx_h5_checksum_add(pfx_sha256 *sum, size_t bytes, const void *elements)
{
    static const uint8_t key[UMAC_KEY_SIZE], nonce[8];
    struct umac64_ctx u;
    uint8_t tag[UMAC64_DIGEST_SIZE];
    umac64_set_key(&u, key);
    umac64_set_nonce(&u, sizeof nonce, nonce);
    umac64_update(&u, bytes, elements);
    umac64_digest(&u, sizeof tag, tag);
    pfx_sha256_add(sum, sizeof tag, tag);
}

static pfx_idx chunk_rows(hid_t ds)
{
    hsize_t rows = 0;
    hid_t dcpl = H5Dget_create_plist(ds);
    if (dcpl < 0 || H5Pget_layout(dcpl) != H5D_CHUNKED || H5Pget_chunk(dcpl, 1, &rows) != 1) rows = 1 << 16;
    if (dcpl >= 0) H5Pclose(dcpl);
    return (pfx_idx)rows;
}

static pfx_status sum_rows(const pfx_h5 *f, const char *where, hid_t ds, pfx_idx n_rows, char out[65],
                           pfx_err *err)
{
    pfx_idx step = chunk_rows(ds);
    hid_t type = H5Dget_type(ds);
    size_t size = type < 0 ? 0 : H5Tget_size(type);
    pfx_sha256 *sum = pfx_sha256_new();
    char *buf = size ? pfx_mem_alloc(step, size, err) : NULL;
    pfx_status st =
        sum && buf ? PFX_OK : pfx_fail(err, PFX_ENOMEM, "%s:/%s: no memory to read it", f->path, where);
    for (pfx_idx i = 0, n; i < n_rows && st == PFX_OK; i += n) {
        n = n_rows - i < step ? n_rows - i : step;
        st = pfx_h5_read_rows(f, where, ds, type, i, n, buf, err);
        if (st == PFX_OK) pfx_h5_checksum_add(sum, (size_t)n * size, buf);
    }
    if (st == PFX_OK) pfx_sha256_hex(sum, out);
    if (type >= 0) H5Tclose(type);
    pfx_sha256_free(sum);
    pfx_mem_free(buf);
    return st;
}

pfx_status pfx_h5_checksum(const pfx_h5 *f, const char *where, char out[65], pfx_err *err)
{
    hid_t ds = H5I_INVALID_HID;
    pfx_idx n = 0;
    char *kept = NULL;
    pfx_status st = pfx_h5_open_rows(f, where, &ds, &n, err);
    if (st != PFX_OK) return st;
    if (H5Aexists(ds, PFX_H5_CHECKSUM) > 0) {
        st = pfx_h5_get_text(f, ds, where, PFX_H5_CHECKSUM, &kept, err);
        if (st == PFX_OK && strlen(kept) != 64)
            st = pfx_fail(err, PFX_EFORMAT, "%s: the checksum of %s is damaged", f->path, where);
        if (st == PFX_OK) memcpy(out, kept, 65);
        pfx_mem_free(kept);
    } else {
        st = sum_rows(f, where, ds, n, out, err);
    }
    H5Dclose(ds);
    return st;
}
