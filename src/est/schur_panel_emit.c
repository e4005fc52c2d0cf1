/* Finished rows of panels to one matrix in compressed rows. */
#include <string.h>
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/est/schur_panel.h"

#define STORE (1 << 18) /* doubles: 2 MiB */

/* Rounding leaves about 1e-16 of B'WB where a column lies in the span of what was eliminated. */
static double inverse(double s, double diag)
{
    return s > 1e-12 * diag ? 1.0 / s : 0.0;
}

/* n doubles of the thread's store, or NULL. */
static double *take(pfx_panel_work *k, pfx_idx n)
{
    if (!k->store || k->store->used + n > k->store->size) {
        pfx_idx size = n > STORE ? n : STORE;
        pfx_panel_store *fresh = pfx_mem_alloc(1, sizeof *fresh + (size_t)size * sizeof(double), NULL);
        if (!fresh) return NULL;
        fresh->next = k->store, fresh->used = 0, fresh->size = size;
        k->store = fresh;
    }
    double *at = k->store->at + k->store->used;
    k->store->used += n;
    return at;
}

void pfx_panel_store_free(pfx_panel_store *s)
{
    while (s) {
        pfx_panel_store *next = s->next;
        pfx_mem_free(s);
        s = next;
    }
}

/* Columns that the panel met, ascending, to col, and where they lie in its row 0; returns how many. */
static pfx_idx columns_met(const pfx_panels *a, pfx_panel_work *k, int32_t *col, int32_t *where)
{
    pfx_idx n = 0, q = a->s->spec.q;

    for (int32_t i = 0; i < k->n_local; i++)
        for (int j = 0; j < PFX_PANEL_LANES; j++) {
            int32_t c = a->column[k->global[i] * PFX_PANEL_LANES + j];
            if (c >= 0) k->at[c] = 1 + i * PFX_PANEL_LANES + j;
        }
    for (pfx_idx c = 0; c < q; c++)
        if (k->at[c] > 0) col[n] = (int32_t)c, where[n++] = k->at[c] - 1, k->at[c] = 0;
    return n;
}

void pfx_panel_emit(pfx_panels *a, pfx_idx panel, pfx_panel_work *k)
{
    pfx_idx slot0 = panel * PFX_PANEL_ROWS, n = 0, q = a->s->spec.q;
    pfx_panel_rows *out = &a->out[panel];
    int32_t *col = k->out_col + PFX_PANEL_ROWS * q, *where = col + q;
    pfx_idx n_cols = columns_met(a, k, col, where);

    for (int i = 0; i < PFX_PANEL_ROWS && slot0 + i < a->n_wide_tiles * PFX_PANEL_LANES; i++) {
        int32_t c = a->column[slot0 + i];
        pfx_idx before = n;
        double own = 0.0;
        if (c < 0) continue;
        bool met = false;
        const double *row = k->panel + i * a->ld;
        for (pfx_idx j = 0; j < n_cols; j++) {
            double v = row[where[j]];
            if (col[j] == c) own = v, met = true;
            k->out_col[n] = col[j], k->out_val[n] = v;
            n += v != 0.0 || col[j] == c;
        }
        if (!met)
            k->out_col[n] = c,
            k->out_val[n++] = 0.0; /* no level touches the panel's tile: it is alone in its row */
        a->s->csr.inv[c] = inverse(own, k->diag[i]);
        a->length[c] = n - before;
    }
    for (int i = 0; i < PFX_PANEL_ROWS; i++)
        memset(k->panel + i * a->ld, 0, (size_t)k->n_local * PFX_PANEL_LANES * sizeof *k->panel);
    for (int32_t i = 0; i < k->n_local; i++) k->local[k->global[i]] = -1;
    k->n_local = 0;
    out->n = n;
    out->val = take(k, n + (n + 1) / 2);
    out->failed = !out->val;
    if (out->failed) return;
    out->col = (int32_t *)(out->val + n);
    memcpy(out->col, k->out_col, (size_t)n * sizeof *out->col);
    memcpy(out->val, k->out_val, (size_t)n * sizeof *out->val);
}

/* Sums of the narrow blocks' pieces, in order, onto the first. */
static void add_few(pfx_panels *a)
{
    pfx_idx n = a->n_few * (a->n_few + 1);
    for (int piece = 1; piece < PFX_PANEL_PIECES; piece++)
        for (pfx_idx i = 0; i < n; i++) a->few[i] += a->few[piece * n + i];
}

/* Entries of the rows of narrow columns, which hold narrow columns alone; with fill, these. */
static void narrow_rows(pfx_panels *a, bool fill)
{
    pfx_schur_csr *m = &a->s->csr;
    pfx_idx q = a->s->spec.q, first = a->n_wide_tiles * PFX_PANEL_LANES, nn = a->n_few;

    for (pfx_idx c = 0; c < q; c++) {
        pfx_idx i = a->slot[c] - first, n = fill ? m->ptr[c] : 0;
        if (i < 0) continue;
        for (pfx_idx b = 0; b < q; b++) {
            pfx_idx j = a->slot[b] - first;
            if (j < 0 || (a->few[i * nn + j] == 0.0 && b != c)) continue;
            if (fill) m->col[n] = (int32_t)b, m->val[n] = a->few[i * nn + j];
            n++;
        }
        if (!fill) a->length[c] = n;
        m->inv[c] = inverse(a->few[i * nn + i], a->few[nn * nn + i]);
    }
}

static void copy_panel(void *ctx, pfx_idx panel, int thread)
{
    const pfx_panels *a = ctx;
    pfx_schur_csr *m = &a->s->csr;
    pfx_idx from = 0;
    (void)thread;

    for (pfx_idx s = panel * PFX_PANEL_ROWS;
         s < (panel + 1) * PFX_PANEL_ROWS && s < a->n_wide_tiles * PFX_PANEL_LANES; s++) {
        pfx_idx c = a->column[s];
        if (c < 0) continue;
        memcpy(m->col + m->ptr[c], a->out[panel].col + from, (size_t)a->length[c] * sizeof *m->col);
        memcpy(m->val + m->ptr[c], a->out[panel].val + from, (size_t)a->length[c] * sizeof *m->val);
        from += a->length[c];
    }
}

pfx_status pfx_panel_join(pfx_panels *a, pfx_err *err)
{
    pfx_schur_csr *m = &a->s->csr;
    pfx_idx q = a->s->spec.q, nnz = 0;

    for (pfx_idx t = 0; t < a->n_panels; t++)
        if (a->out[t].failed)
            return pfx_fail(err, PFX_ENOMEM, "out of memory for the absorbed effects' Schur complement");
    add_few(a);
    if (a->n_few > 0) narrow_rows(a, false);
    for (pfx_idx c = 0; c < q; c++) nnz += a->length[c];
    m->n = q;
    if (!(m->ptr = pfx_mem_alloc(q + 1, sizeof *m->ptr, err)) ||
        !(m->col = pfx_mem_alloc(nnz, sizeof *m->col, err)) ||
        !(m->val = pfx_mem_alloc(nnz, sizeof *m->val, err)))
        return PFX_ENOMEM;
    m->ptr[0] = 0;
    for (pfx_idx c = 0; c < q; c++) m->ptr[c + 1] = m->ptr[c] + a->length[c];
    pfx_par_for(a->n_panels, a->s->spec.nth, copy_panel, a);
    if (a->n_few > 0) narrow_rows(a, true);
    return PFX_OK;
}
