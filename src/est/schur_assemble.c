/* The sparse Schur complement, row by row: row i collects, over the data rows r that lie in column i, the columns of
 * r itself and, less, the merged columns of r's eliminated level. Each row of S is one chain of additions in the
 * order of the data, so threads share nothing. Levels whose rows all lie in the same columns (firms that never move)
 * cancel exactly and are skipped. */
#include <stdlib.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/est/components.h"
#include "src/est/schur_internal.h"

#define CHUNKS 256      /* fixed pieces of levels, and of rows of S, for threads to take */

/* Growing list of columns with k values each. */
typedef struct entry_list { pfx_idx n, cap; int k; int32_t *col; double *val; bool failed; } entry_list;

typedef struct assembly {
    pfx_schur *s;
    int k;                      /* vectors that span a level: mean and basis */
    entry_list level[CHUNKS];   /* merged columns u = B'W v of the levels of each chunk */
    pfx_idx *first, *last;      /* [n_levels] entries of a level within its chunk's list; none: skipped */
    double *inv_weight;         /* [n_levels] 1 / total weight */
    pfx_idx *row_ptr;           /* [q + 1] */
    int32_t *row;               /* rows of the data in column i, skipped levels left out */
    entry_list part[CHUNKS];    /* rows of S */
    pfx_idx *length;            /* [q] entries in each row of S */
    double *inv;                /* [q] */
    int32_t **mark;             /* [nth][q] */
    double **sum;               /* [nth][q] */
} assembly;

static pfx_idx chunk_start(pfx_idx n, pfx_idx c) { return n * c / CHUNKS; }
/* Chunk that element i of n lies in. */
static pfx_idx chunk_of(pfx_idx n, pfx_idx i)
{
    pfx_idx c = i * CHUNKS / n;
    while (chunk_start(n, c + 1) <= i) c++;
    return c;
}

static bool reserve(entry_list *l, pfx_idx extra)
{
    if (l->failed) return false;
    if (l->n + extra <= l->cap) return true;
    pfx_idx cap = 2 * l->cap > l->n + extra ? 2 * l->cap : l->n + extra + 256;
    int32_t *col = pfx_mem_realloc(l->col, cap, sizeof *col, NULL);
    if (col) l->col = col;
    double *val = pfx_mem_realloc(l->val, cap * (l->k > 0 ? l->k : 1), sizeof *val, NULL);
    if (val) l->val = val;
    l->failed = !col || !val;
    if (!l->failed) l->cap = cap;
    return !l->failed;
}

static double weight(const pfx_schur_spec *p, pfx_idx r) { return p->w ? p->w[r] : 1.0; }
static double value(const pfx_schur_block *b, pfx_idx r) { return b->value ? b->value[r] : 1.0; }

/* Whether a level adds nothing: its means span all its columns. */
static bool is_constant(const pfx_schur_spec *p, pfx_idx r0, pfx_idx r1)
{
    if (!p->mean) return false;
    if (r1 - r0 == 1) return true;
    for (int e = 0; e < p->n_blocks; e++) {
        if (p->block[e].value) return false;
        for (pfx_idx r = r0 + 1; r < r1; r++)
            if (p->block[e].code[r] != p->block[e].code[r0]) return false;
    }
    return true;
}

/* Merge the columns of one level's rows: u_k[col] += w v_k B. mark holds the entry's place, -1 elsewhere. */
static void merge_level(const assembly *a, pfx_idx r0, pfx_idx r1, int32_t *mark, entry_list *l)
{
    const pfx_schur_spec *p = &a->s->spec;
    pfx_idx n0 = l->n;

    if (!reserve(l, (r1 - r0) * p->n_blocks)) return;
    for (pfx_idx r = r0; r < r1; r++)
        for (int e = 0; e < p->n_blocks; e++) {
            int32_t c = (int32_t)(p->block[e].col0 + p->block[e].code[r]);
            if (mark[c] < 0) {
                mark[c] = (int32_t)(l->n - n0);
                memset(l->val + l->n * a->k, 0, (size_t)a->k * sizeof *l->val);
                l->col[l->n++] = c;
            }
            double f = weight(p, r) * value(&p->block[e], r), *u = l->val + (n0 + mark[c]) * a->k;
            int k = 0;
            if (p->mean) u[k++] += f;
            for (int b = 0; b < p->n_basis; b++) u[k++] += f * p->basis[b][r];
        }
    for (pfx_idx i = n0; i < l->n; i++) mark[l->col[i]] = -1;
}

static void merge_chunk(void *ctx, pfx_idx c, int thread)
{
    assembly *a = ctx;
    const pfx_schur_spec *p = &a->s->spec;
    entry_list *l = &a->level[c];

    l->k = a->k;
    for (pfx_idx g = chunk_start(p->n_levels, c); g < chunk_start(p->n_levels, c + 1); g++) {
        pfx_idx r0 = p->start[g], r1 = p->start[g + 1];
        double total = 0.0;
        a->first[g] = l->n;
        if (!is_constant(p, r0, r1)) merge_level(a, r0, r1, a->mark[thread], l);
        a->last[g] = l->n;
        for (pfx_idx r = r0; r < r1; r++) total += weight(p, r);
        a->inv_weight[g] = 1.0 / total;
    }
}

static pfx_idx level_of(const pfx_schur_spec *p, pfx_idx r) { return p->level ? p->level[r] : 0; }
static bool in_use(const assembly *a, pfx_idx r)
{
    pfx_idx g = level_of(&a->s->spec, r);
    return a->s->spec.n_levels == 0 || a->first[g] < a->last[g];
}

/* Rows of the data by column: a counting sort, one block at a time. */
static void sort_block(void *ctx, pfx_idx e, int thread)
{
    assembly *a = ctx;
    const pfx_schur_block *b = &a->s->spec.block[e];
    pfx_idx n = a->s->spec.n, at = e * n;   /* each block has n places of its own: they are sorted side by side */
    pfx_idx *next = a->row_ptr + b->col0, *length = a->length + b->col0;
    (void)thread;

    memset(length, 0, (size_t)b->n_levels * sizeof *length);
    for (pfx_idx r = 0; r < n; r++)
        if (in_use(a, r)) length[b->code[r]]++;
    for (pfx_idx j = 0; j < b->n_levels; at += length[j++]) next[j] = at;
    for (pfx_idx r = 0; r < n; r++)
        if (in_use(a, r)) a->row[next[b->code[r]]++] = (int32_t)r;
    for (pfx_idx j = 0; j < b->n_levels; j++) next[j] -= length[j];
}

static int by_column(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* A running sum over the columns of one row of S. */
typedef struct row_sum { double *sum; int32_t *mark, *list; int32_t n, id; } row_sum;

static inline void put(row_sum *t, int32_t c, double v)
{
    if (t->mark[c] != t->id) t->mark[c] = t->id, t->sum[c] = 0.0, t->list[t->n++] = c;
    t->sum[c] += v;
}

static void add_row(const assembly *a, int e, pfx_idx r, row_sum *t, double *diag)
{
    const pfx_schur_spec *p = &a->s->spec;
    double f = weight(p, r) * value(&p->block[e], r);

    *diag += f * value(&p->block[e], r);
    for (int h = 0; h < p->n_blocks; h++)
        put(t, (int32_t)(p->block[h].col0 + p->block[h].code[r]), f * value(&p->block[h], r));
    if (p->n_levels == 0) return;
    pfx_idx g = level_of(p, r);
    const entry_list *l = &a->level[chunk_of(p->n_levels, g)];
    int k = 0;
    if (p->mean) {
        double c = f * a->inv_weight[g];
        for (pfx_idx i = a->first[g]; i < a->last[g]; i++) put(t, l->col[i], -c * l->val[i * a->k]);
        k = 1;
    }
    for (int b = 0; b < p->n_basis; b++, k++) {
        double c = f * p->basis[b][r];
        for (pfx_idx i = a->first[g]; i < a->last[g]; i++) put(t, l->col[i], -c * l->val[i * a->k + k]);
    }
}

static void sum_chunk(void *ctx, pfx_idx c, int thread)
{
    assembly *a = ctx;
    const pfx_schur_spec *p = &a->s->spec;
    entry_list *out = &a->part[c];
    row_sum t = {a->sum[thread], a->mark[thread], a->mark[thread] + p->q, 0, 0};
    int e = 0;

    out->k = 1;
    for (pfx_idx i = chunk_start(p->q, c); i < chunk_start(p->q, c + 1); i++) {
        double diag = 0.0;
        while (i >= p->block[e].col0 + p->block[e].n_levels) e++;
        t.n = 0, t.id = (int32_t)i;
        put(&t, (int32_t)i, 0.0);
        for (pfx_idx j = a->row_ptr[i]; j < a->row_ptr[i] + a->length[i]; j++) add_row(a, e, a->row[j], &t, &diag);
        /* Rounding leaves about 1e-16 of B'WB where the column lies in the span of what was eliminated. */
        a->inv[i] = t.sum[i] > 1e-12 * diag ? 1.0 / t.sum[i] : 0.0;
        qsort(t.list, (size_t)t.n, sizeof *t.list, by_column);
        if (!reserve(out, t.n)) return;
        for (int32_t k = 0; k < t.n; k++) {
            out->col[out->n] = t.list[k];
            out->val[out->n++] = t.sum[t.list[k]];
        }
        a->length[i] = t.n;
    }
}

static pfx_status join_parts(assembly *a, pfx_err *err)
{
    pfx_schur_csr *m = &a->s->csr;
    pfx_idx nnz = 0, q = a->s->spec.q;

    for (int c = 0; c < CHUNKS; c++) {
        if (a->part[c].failed) return pfx_fail(err, PFX_ENOMEM, "out of memory for the absorbed effects' Schur complement");
        nnz += a->part[c].n;
    }
    m->n = q;
    m->inv = a->inv, a->inv = NULL;
    if (!(m->ptr = pfx_mem_alloc(q + 1, sizeof *m->ptr, err)) || !(m->col = pfx_mem_alloc(nnz, sizeof *m->col, err)) ||
        !(m->val = pfx_mem_alloc(nnz, sizeof *m->val, err)))
        return PFX_ENOMEM;
    m->ptr[0] = 0;
    for (pfx_idx i = 0; i < q; i++) m->ptr[i + 1] = m->ptr[i] + a->length[i];
    nnz = 0;
    for (int c = 0; c < CHUNKS; c++) {
        const entry_list *l = &a->part[c];
        if (l->n) memcpy(m->col + nnz, l->col, (size_t)l->n * sizeof *l->col);
        if (l->n) memcpy(m->val + nnz, l->val, (size_t)l->n * sizeof *l->val);
        nnz += l->n;
    }
    return PFX_OK;
}

static pfx_status count_components(pfx_schur *s, pfx_err *err)
{
    const pfx_schur_spec *p = &s->spec;
    const pfx_schur_csr *m = &s->csr;

    if (!(s->components = pfx_mem_calloc(p->n_blocks, sizeof *s->components, err))) return PFX_ENOMEM;
    pfx_idx *root = pfx_mem_alloc(p->q, sizeof *root, err);
    if (!root) return PFX_ENOMEM;
    for (int e = 0; e < p->n_blocks; e++) {
        pfx_idx c0 = p->block[e].col0, L = p->block[e].n_levels;
        pfx_components_init(L, root);
        for (pfx_idx i = 0; i < L; i++)
            for (pfx_idx k = m->ptr[c0 + i]; k < m->ptr[c0 + i + 1]; k++)
                if (m->col[k] >= c0 && m->col[k] < c0 + i) pfx_components_join(root, i, m->col[k] - c0);
        s->components[e] = pfx_components_count(L, root);
    }
    pfx_mem_free(root);
    return PFX_OK;
}

static pfx_status allocate(assembly *a, pfx_err *err)
{
    const pfx_schur_spec *p = &a->s->spec;

    if (!(a->first = pfx_mem_alloc(p->n_levels, sizeof *a->first, err)) ||
        !(a->last = pfx_mem_alloc(p->n_levels, sizeof *a->last, err)) ||
        !(a->inv_weight = pfx_mem_alloc(p->n_levels, sizeof *a->inv_weight, err)) ||
        !(a->row_ptr = pfx_mem_alloc(p->q + 1, sizeof *a->row_ptr, err)) ||
        !(a->row = pfx_mem_alloc(p->n * p->n_blocks, sizeof *a->row, err)) ||
        !(a->length = pfx_mem_alloc(p->q, sizeof *a->length, err)) ||
        !(a->inv = pfx_mem_alloc(p->q, sizeof *a->inv, err)) ||
        !(a->mark = pfx_mem_calloc(p->nth, sizeof *a->mark, err)) ||
        !(a->sum = pfx_mem_calloc(p->nth, sizeof *a->sum, err)))
        return PFX_ENOMEM;
    for (int t = 0; t < p->nth; t++) {
        if (!(a->mark[t] = pfx_mem_alloc(2 * p->q, sizeof **a->mark, err)) ||
            !(a->sum[t] = pfx_mem_alloc(p->q, sizeof **a->sum, err)))
            return PFX_ENOMEM;
        memset(a->mark[t], 0xff, (size_t)p->q * sizeof **a->mark);
    }
    return PFX_OK;
}

static void release(assembly *a)
{
    for (int c = 0; c < CHUNKS; c++) {
        pfx_mem_free(a->level[c].col), pfx_mem_free(a->level[c].val);
        pfx_mem_free(a->part[c].col), pfx_mem_free(a->part[c].val);
    }
    for (int t = 0; t < a->s->spec.nth; t++) {
        if (a->mark) pfx_mem_free(a->mark[t]);
        if (a->sum) pfx_mem_free(a->sum[t]);
    }
    pfx_mem_free(a->mark), pfx_mem_free(a->sum);
    pfx_mem_free(a->first), pfx_mem_free(a->last), pfx_mem_free(a->inv_weight);
    pfx_mem_free(a->row_ptr), pfx_mem_free(a->row), pfx_mem_free(a->length), pfx_mem_free(a->inv);
}

pfx_status pfx_schur_assemble(pfx_schur *s, pfx_err *err)
{
    const pfx_schur_spec *p = &s->spec;
    assembly a = {.s = s, .k = p->mean + p->n_basis};
    pfx_status st = allocate(&a, err);

    if (st == PFX_OK && p->n_levels > 0) pfx_par_for(CHUNKS, p->nth, merge_chunk, &a);
    for (int c = 0; c < CHUNKS && st == PFX_OK; c++)
        if (a.level[c].failed) st = pfx_fail(err, PFX_ENOMEM, "out of memory for the columns of the absorbed effects");
    if (st == PFX_OK) {
        pfx_par_for(p->n_blocks, p->nth, sort_block, &a);
        pfx_par_for(CHUNKS, p->nth, sum_chunk, &a);
        st = join_parts(&a, err);
    }
    if (st == PFX_OK) st = count_components(s, err);
    release(&a);
    return st;
}
