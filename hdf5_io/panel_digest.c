/* The digest of some columns of a panel, from the checksums that their datasets carry. */
#include "hdf5_io/panel_private.h"

#include <stdio.h>
#include <string.h>
#include "src/base/sha256.h"

static pfx_status add_dataset(const pfx_panel *p, pfx_sha256 *h, const char *folder, const char *name,
                              pfx_err *err)
{
    char where[300], sum[65];
    snprintf(where, sizeof where, "%s/%.255s", folder, name);
    pfx_status st = pfx_h5_checksum(&p->h5, where, sum, err);
    if (st != PFX_OK) return st;
    pfx_sha256_add(h, strlen(where) + 1, where);
    pfx_sha256_add(h, sizeof sum, sum);
    return PFX_OK;
}

static pfx_status add_column(const pfx_panel *p, pfx_sha256 *h, const char *name, pfx_err *err)
{
    int c = pfx_panel_find(p, name);
    if (c < 0) return pfx_fail(err, PFX_EUSAGE, "%s: no column %s", p->h5.path, name);
    pfx_status st = add_dataset(p, h, "columns", name, err);
    if (st == PFX_OK && p->cols[c].kind == PFX_CATEGORY) st = add_dataset(p, h, "categories", name, err);
    return st;
}

pfx_status pfx_panel_digest(pfx_panel *p, int n, const char *const *names, char out[65], pfx_err *err)
{
    pfx_sha256 *h = pfx_sha256_new();
    if (!h) return pfx_fail(err, PFX_ENOMEM, "out of memory for a checksum");
    pfx_sha256_add(h, strlen(p->spec.unit) + 1, p->spec.unit);
    pfx_sha256_add(h, strlen(p->spec.time) + 1, p->spec.time);
    pfx_h5_lock();
    pfx_status st = add_dataset(p, h, "index", "unit_start", err);
    for (int i = 0; i < n && st == PFX_OK; i++) st = add_column(p, h, names[i], err);
    pfx_h5_unlock();
    if (st == PFX_OK) pfx_sha256_hex(h, out);
    pfx_sha256_free(h);
    return st;
}
