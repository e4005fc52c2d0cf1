/* S in one piece, for who orders and factors it. */
#include <string.h>
#include "src/base/mem.h"
#include "src/est/schur_internal.h"

/* Memory of this size comes in huge pages: half as much costs more to be touched first. */
#define HUGE_FROM ((size_t)4 << 20)

pfx_idx pfx_schur_entries(const pfx_schur *s)
{
    const pfx_schur_coupling *c = &s->coupling;
    pfx_idx rows = 0;
    for (pfx_idx i = 0; c->n > 0 && i < s->csr.n; i++) rows += c->row[i] >= 0;
    return s->csr.ptr[s->csr.n] + 2 * rows * c->n;
}

/* Entries of the narrow blocks' columns in row c, which belongs to none of them, at most n. */
static pfx_idx coupled(const pfx_schur_coupling *c, pfx_idx i, int32_t *col, double *val)
{
    const double *row = c->N + c->row[i] * c->n;
    pfx_idx n = 0;
    for (pfx_idx j = 0; j < c->n; j++) {
        if (c->col[j] < 0 || row[j] == 0.0) continue;
        pfx_idx at = n++;
        for (; at > 0 && col[at - 1] > c->col[j]; at--) col[at] = col[at - 1], val[at] = val[at - 1];
        col[at] = c->col[j], val[at] = row[j];
    }
    return n;
}

/* Row i of the compressed rows and n entries more, both ascending, to out. */
static void join_row(const pfx_schur_csr *m, pfx_idx i, pfx_idx n, const int32_t *col, const double *val,
                     pfx_schur_csr *out)
{
    pfx_idx a = m->ptr[i], b = 0, at = out->ptr[i];
    while (a < m->ptr[i + 1] || b < n) {
        bool first = b == n || (a < m->ptr[i + 1] && m->col[a] < col[b]);
        out->col[at] = first ? m->col[a] : col[b];
        out->val[at++] = first ? m->val[a++] : val[b++];
    }
    out->ptr[i + 1] = at;
}

/* The rows of the narrow columns are the transpose: by column of N, in the order of the rows. */
static pfx_idx transposed(const pfx_schur *s, const int32_t *narrow, pfx_idx i, int32_t *col, double *val)
{
    const pfx_schur_coupling *c = &s->coupling;
    pfx_idx n = 0;
    for (pfx_idx r = 0; r < s->csr.n; r++) {
        if (c->row[r] < 0) continue;
        double v = c->N[c->row[r] * c->n + narrow[i]];
        if (v != 0.0) col[n] = (int32_t)r, val[n++] = v;
    }
    return n;
}

pfx_status pfx_schur_merge(const pfx_schur *s, pfx_schur_csr *out, pfx_err *err)
{
    const pfx_schur_coupling *c = &s->coupling;
    pfx_idx q = s->csr.n, most = pfx_schur_entries(s);
    pfx_status st = PFX_ENOMEM;
    int32_t *narrow = pfx_mem_alloc(q, sizeof *narrow, err), *col = pfx_mem_alloc(q + c->n, sizeof *col, err);
    double *val = pfx_mem_alloc(q + c->n, sizeof *val, err);

    *out = (pfx_schur_csr){0};
    if (!narrow || !col || !val || pfx_schur_csr_alloc(out, q, most, err) != PFX_OK ||
        !(out->inv = pfx_mem_alloc(q, sizeof *out->inv, err)))
        goto done;
    out->ptr[0] = 0;
    memcpy(out->inv, s->csr.inv, (size_t)q * sizeof *out->inv);
    for (pfx_idx j = 0; j < c->n; j++)
        if (c->col[j] >= 0) narrow[c->col[j]] = (int32_t)j;
    for (pfx_idx i = 0; i < q; i++) {
        pfx_idx n = c->row[i] >= 0 ? coupled(c, i, col, val) : transposed(s, narrow, i, col, val);
        join_row(&s->csr, i, n, col, val, out);
    }
    st = PFX_OK;
done:
    pfx_mem_free(narrow), pfx_mem_free(col), pfx_mem_free(val);
    if (st != PFX_OK) pfx_schur_csr_free(out);
    return st;
}

/* One piece of memory: large ones come in huge pages. */
pfx_status pfx_schur_csr_alloc(pfx_schur_csr *m, pfx_idx n, pfx_idx entries, pfx_err *err)
{
    size_t bytes = (size_t)entries * (sizeof *m->val + sizeof *m->col) + (size_t)(n + 1) * sizeof *m->ptr;
    if (bytes > HUGE_FROM / 2 && bytes < HUGE_FROM) bytes = HUGE_FROM;
    m->n = n;
    m->val = pfx_mem_alloc(1, bytes, err);
    if (!m->val) return PFX_ENOMEM;
    m->ptr = (pfx_idx *)(m->val + entries);
    m->col = (int32_t *)(m->ptr + n + 1);
    return PFX_OK;
}

void pfx_schur_csr_free(pfx_schur_csr *m)
{
    pfx_mem_free(m->val), pfx_mem_free(m->inv);
    *m = (pfx_schur_csr){0};
}
