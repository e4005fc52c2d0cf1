/* Level labels of category columns. In the file they have a fixed length; in memory each takes what it needs.
 */
#include "hdf5_io/panel_private.h"

#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"

/* Append n labels of `size` bytes each, and note where each begins. */
static pfx_status append(pfx_str *text, pfx_idx *start, pfx_idx n, size_t size, const char *block,
                         pfx_err *err)
{
    for (pfx_idx i = 0; i < n; i++) {
        const char *s = block + (size_t)i * size;
        start[i] = (pfx_idx)text->len;
        pfx_str_addn(text, s, strnlen(s, size));
        pfx_str_addn(text, "", 1);
    }
    return text->failed ? pfx_fail(err, PFX_ENOMEM, "out of memory for level labels") : PFX_OK;
}

static pfx_status read_all(pfx_panel *p, int c, const char *where, hid_t ds, hid_t type, pfx_err *err)
{
    pfx_status st = PFX_OK;
    size_t size = H5Tget_size(type);
    pfx_idx n = p->cols[c].n_levels, rows = (pfx_idx)((1 << 20) / size) + 1;
    pfx_idx *start = pfx_mem_alloc(n, sizeof *start, err);
    char *block = pfx_mem_alloc(rows, size, err);
    const char **label = pfx_mem_alloc(n, sizeof *label, err);
    pfx_str text = {0};
    if (!start || !block || !label) {
        st = PFX_ENOMEM;
        goto done;
    }
    for (pfx_idx i = 0; i < n && st == PFX_OK; i += rows) {
        pfx_idx m = n - i < rows ? n - i : rows;
        if ((st = pfx_h5_read_rows(&p->h5, where, ds, type, i, m, block, err)) == PFX_OK)
            st = append(&text, start + i, m, size, block, err);
    }
    if (st == PFX_OK && text.len > 0 && !(p->labels[c].text = pfx_mem_alloc((pfx_idx)text.len, 1, err)))
        st = PFX_ENOMEM;
    if (st != PFX_OK) goto done;
    if (text.len > 0) memcpy(p->labels[c].text, text.s, text.len);
    for (pfx_idx i = 0; i < n; i++) label[i] = p->labels[c].text + start[i];
    p->cols[c].levels = p->labels[c].label = label;
    label = NULL;
done:
    pfx_str_free(&text);
    pfx_mem_free(label);
    pfx_mem_free(block);
    pfx_mem_free(start);
    return st;
}

pfx_status pfx_panel_read_labels(pfx_panel *p, int c, pfx_err *err)
{
    char where[300];
    hid_t ds = H5I_INVALID_HID, type = H5I_INVALID_HID;
    pfx_idx n = 0;
    pfx_status st;
    if (p->cols[c].kind != PFX_CATEGORY || p->cols[c].levels) return PFX_OK;
    snprintf(where, sizeof where, "categories/%s", p->cols[c].name);
    if ((st = pfx_h5_open_rows(&p->h5, where, &ds, &n, err)) != PFX_OK) return st;
    if ((type = H5Dget_type(ds)) < 0)
        st = pfx_h5_fail(err, PFX_EFORMAT, "%s:/%s: damaged", p->h5.path, where);
    else
        st = read_all(p, c, where, ds, type, err);
    if (type >= 0) H5Tclose(type);
    H5Dclose(ds);
    return st;
}

pfx_status pfx_panel_levels(pfx_panel *p, int c, pfx_err *err)
{
    pfx_status st;
    pfx_h5_lock();
    st = pfx_panel_read_labels(p, c, err);
    pfx_h5_unlock();
    return st;
}
