/* Finished rows of panels to one matrix in compressed rows. */
#include <string.h>
#include "src/base/mem.h"
#include "src/est/schur_panel.h"

#define STORE (1 << 19) /* doubles: 4 MiB, of which huge pages are made */

/* What is not zero of one row, and its diagonal c, to col and val; returns how many. */
static pfx_idx compress(pfx_idx q, pfx_idx c, const double *row, int32_t *col, double *val)
{
    pfx_idx n = 0, j = 0;
    for (; j + 8 <= q; j += 8) {
        bool any = c >= j && c < j + 8;
        for (int i = 0; i < 8; i++) any |= row[j + i] != 0.0;
        for (int i = 0; any && i < 8; i++) {
            col[n] = (int32_t)(j + i);
            val[n] = row[j + i];
            n += row[j + i] != 0.0 || j + i == c;
        }
    }
    for (; j < q; j++)
        if (row[j] != 0.0 || j == c) col[n] = (int32_t)j, val[n++] = row[j];
    return n;
}

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

/* The panel's rows to out, and the panel back to zero. */
void pfx_panel_emit(pfx_panels *a, const pfx_panel_target *t, pfx_panel_work *k, pfx_panel_rows *out)
{
    pfx_idx q = a->s->spec.q, n = 0;

    for (pfx_idx s = t->slot0; s < t->slot1; s++) {
        pfx_idx c = a->order[s];
        const double *row = t->rows + (s - t->slot0) * q;
        a->s->csr.inv[c] = inverse(row[c], t->diag[s - t->slot0]);
        a->length[c] = compress(q, c, row, k->out_col + n, k->out_val + n);
        n += a->length[c];
    }
    memset(t->rows, 0, (size_t)((t->slot1 - t->slot0) * q) * sizeof *t->rows);
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
    pfx_idx n = a->n_narrow * (a->n_narrow + 1);
    for (int piece = 1; piece < PFX_PANEL_PIECES; piece++)
        for (pfx_idx i = 0; i < n; i++) a->few[i] += a->few[piece * n + i];
}

/* Entries of each row: those of narrow columns with the wide ones are counted where these have them. */
static pfx_idx count_entries(pfx_panels *a)
{
    pfx_idx nnz = 0, q = a->s->spec.q, nn = a->n_narrow;

    for (pfx_idx c = 0; c < q; c++) {
        if (a->narrow[c] < 0) continue;
        const double *row = a->few + a->narrow[c] * nn;
        a->length[c] = 0;
        for (pfx_idx j = 0; j < nn; j++) a->length[c] += row[j] != 0.0 || j == a->narrow[c];
        a->s->csr.inv[c] = inverse(row[a->narrow[c]], a->few[nn * nn + a->narrow[c]]);
    }
    for (pfx_idx t = 0; t < a->n_panels && nn > 0; t++)
        for (pfx_idx i = 0; i < a->out[t].n; i++)
            if (a->narrow[a->out[t].col[i]] >= 0) a->length[a->out[t].col[i]]++;
    for (pfx_idx c = 0; c < q; c++) nnz += a->length[c];
    return nnz;
}

static void copy_wide(const pfx_panels *a, pfx_schur_csr *m)
{
    for (pfx_idx t = 0; t < a->n_panels; t++) {
        pfx_idx from = 0;
        for (pfx_idx s = t * a->rows; s < (t + 1) * a->rows && s < a->n_wide; s++) {
            pfx_idx c = a->order[s], n = a->length[c];
            memcpy(m->col + m->ptr[c], a->out[t].col + from, (size_t)n * sizeof *m->col);
            memcpy(m->val + m->ptr[c], a->out[t].val + from, (size_t)n * sizeof *m->val);
            from += n;
        }
    }
}

/* Rows of narrow columns, in the order of all columns: from the wide rows, and from each other. */
static void fill_narrow(const pfx_panels *a, pfx_schur_csr *m)
{
    pfx_idx q = a->s->spec.q, nn = a->n_narrow;

    for (pfx_idx c = 0; c < q; c++) a->length[c] = m->ptr[c]; /* where the row goes on */
    for (pfx_idx c = 0; c < q; c++) {
        for (pfx_idx i = m->ptr[c]; a->narrow[c] < 0 && i < m->ptr[c + 1]; i++) {
            int32_t b = m->col[i];
            if (a->narrow[b] < 0) continue;
            m->col[a->length[b]] = (int32_t)c;
            m->val[a->length[b]++] = m->val[i];
        }
        for (pfx_idx b = 0; a->narrow[c] >= 0 && b < q; b++) {
            if (a->narrow[b] < 0) continue;
            double v = a->few[a->narrow[b] * nn + a->narrow[c]];
            if (v == 0.0 && b != c) continue;
            m->col[a->length[b]] = (int32_t)c;
            m->val[a->length[b]++] = v;
        }
    }
}

pfx_status pfx_panel_join(pfx_panels *a, pfx_err *err)
{
    pfx_schur_csr *m = &a->s->csr;
    pfx_idx q = a->s->spec.q;

    for (pfx_idx t = 0; t < a->n_panels; t++)
        if (a->out[t].failed)
            return pfx_fail(err, PFX_ENOMEM, "out of memory for the absorbed effects' Schur complement");
    add_few(a);
    pfx_idx nnz = count_entries(a);
    m->n = q;
    if (!(m->ptr = pfx_mem_alloc(q + 1, sizeof *m->ptr, err)) ||
        !(m->col = pfx_mem_alloc(nnz, sizeof *m->col, err)) ||
        !(m->val = pfx_mem_alloc(nnz, sizeof *m->val, err)))
        return PFX_ENOMEM;
    m->ptr[0] = 0;
    for (pfx_idx c = 0; c < q; c++) m->ptr[c + 1] = m->ptr[c] + a->length[c];
    copy_wide(a, m);
    if (a->n_narrow > 0) fill_narrow(a, m);
    return PFX_OK;
}
