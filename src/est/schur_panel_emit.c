/* Finished rows of panels to one matrix in compressed rows. */
#include <string.h>
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/est/schur_panel.h"

#define STORE                                                                                                \
    350000 /* entries of a piece of a store at most: just above 4 MiB, which comes in huge pages             \
            */

/* Rounding leaves about 1e-16 of B'WB where a column lies in the span of what was eliminated. */
static double inverse(double s, double diag)
{
    return s > 1e-12 * diag ? 1.0 / s : 0.0;
}

/* Room for n entries in the thread's store. */
static bool reserve(const pfx_panels *a, pfx_panel_work *k, pfx_idx n)
{
    pfx_idx q = a->s->spec.q, size = q * q < STORE ? q * q : STORE;

    if (k->store && k->store->used + n <= k->store->size) return true;
    if (size < n) size = n;
    pfx_panel_store *fresh =
        pfx_mem_alloc(1, sizeof *fresh + (size_t)size * (sizeof(double) + sizeof(int32_t)), NULL);
    if (!fresh) return false;
    *fresh = (pfx_panel_store){.next = k->store, .size = size, .col = (int32_t *)(fresh->val + size)};
    k->store = fresh;
    return true;
}

void pfx_panel_store_free(pfx_panel_store *s)
{
    while (s) {
        pfx_panel_store *next = s->next;
        pfx_mem_free(s);
        s = next;
    }
}

/* Columns that the panel met, ascending, and where they lie in its row 0; returns how many. */
static pfx_idx columns_met(const pfx_panels *a, const pfx_k_incidence_target *t, pfx_panel_work *k)
{
    pfx_idx n = 0, q = a->s->spec.q;

    for (int32_t i = 0; i < t->n_met; i++)
        for (int j = 0; j < PFX_PANEL_LANES; j++) {
            int32_t c = a->column[t->met[i] * PFX_PANEL_LANES + j];
            if (c >= 0) k->where[c] = 1 + t->at[t->met[i]] + j;
        }
    for (pfx_idx c = 0; c < q; c++)
        if (k->where[c] > 0) k->col_met[n] = (int32_t)c, k->where_met[n++] = k->where[c] - 1, k->where[c] = 0;
    return n;
}

/* The narrow columns' part of the rows to the matrix of its own; zeros again. */
static void clear(pfx_panels *a, const pfx_k_incidence_target *t)
{
    for (pfx_idx i = t->slot0; i < t->slot1; i++) {
        double *row = t->S + (i - t->slot0) * t->ld;
        if (a->n_few > 0) memcpy(a->s->coupling.N + i * a->n_few, row, (size_t)a->n_few * sizeof *row);
        memset(row, 0, (size_t)t->next_at * sizeof *row);
    }
    for (int32_t i = 0; i < t->n_met; i++) t->at[t->met[i]] = -1;
}

/* The columns of a row that are not zero, but column c always, to col and val; returns their number. */
static inline pfx_idx compress(const double *row, const pfx_panel_work *k, pfx_idx n_cols, int32_t c,
                               int32_t *col, double *val)
{
    pfx_idx n = 0;
    for (pfx_idx j = 0; j < n_cols; j++) {
        union {
            double value;
            uint64_t bits;
        } x = {row[k->where_met[j]]};
        col[n] = k->col_met[j], val[n] = x.value;
        n += x.bits << 1 != 0 || (c >= 0 && k->col_met[j] == c);
    }
    return n;
}

/* What is not zero in row i of the panel, and its diagonal, to the store. Returns the number of entries. */
static pfx_idx emit_row(pfx_panels *a, const pfx_k_incidence_target *t, pfx_idx i, const pfx_panel_work *k,
                        pfx_idx n_cols)
{
    const int32_t c = a->column[t->slot0 + i], at = t->at[(t->slot0 + i) / PFX_PANEL_LANES];
    const double *row = t->S + i * t->ld, own = at >= 0 ? row[at + (t->slot0 + i) % PFX_PANEL_LANES] : 0.0;
    double *val = k->store->val + k->store->used;
    int32_t *col = k->store->col + k->store->used;
    pfx_idx n = own != 0.0 ? compress(row, k, n_cols, -1, col, val) : compress(row, k, n_cols, c, col, val);

    if (at < 0) col[n] = c, val[n++] = 0.0; /* no level touches the panel's tile: it is alone in its row */
    a->s->csr.inv[c] = inverse(own, t->diag[i]);
    return a->length[c] = n;
}

void pfx_panel_emit(pfx_panels *a, pfx_idx panel, const pfx_k_incidence_target *t, pfx_panel_work *k)
{
    pfx_panel_rows *out = &a->out[panel];
    pfx_idx n_cols = columns_met(a, t, k);

    out->failed = !reserve(a, k, (t->slot1 - t->slot0) * (n_cols + 1));
    if (!out->failed) out->val = k->store->val + k->store->used, out->col = k->store->col + k->store->used;
    for (pfx_idx i = 0; i < t->slot1 - t->slot0 && !out->failed; i++)
        if (a->column[t->slot0 + i] >= 0) k->store->used += emit_row(a, t, i, k, n_cols);
    clear(a, t);
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
    if (pfx_schur_csr_alloc(m, q, nnz, err) != PFX_OK) return PFX_ENOMEM;
    m->ptr[0] = 0;
    for (pfx_idx c = 0; c < q; c++) m->ptr[c + 1] = m->ptr[c] + a->length[c];
    pfx_par_for(a->n_panels, a->s->spec.nth, copy_panel, a);
    if (a->n_few > 0) narrow_rows(a, true);
    return PFX_OK;
}
