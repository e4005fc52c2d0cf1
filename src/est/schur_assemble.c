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
/* Rows of one column lie all over the data: their levels are asked for this many rows ahead, a few lines of 64 bytes
 * each, so that about twenty memory accesses are under way. */
#define AHEAD 6
#define LINES 4

/* An eliminated level: a head (1 / weight, number of columns, first row), then for each merged column its number and k
 * sums, then, with several blocks, for each row its columns. All that one row of S needs of it lies together. */
typedef union cell { double d; int64_t i; int32_t c[2]; } cell;
enum { HEAD = 3 };

typedef struct cell_list { pfx_idx n, most; cell *at; } cell_list;
/* Columns and values of some rows of S. */
typedef struct entry_list { pfx_idx n, cap; int32_t *col; double *val; bool failed; } entry_list;
/* A row of the data in one of its columns, and its level. */
typedef struct occurrence { const cell *level; pfx_idx row; /* within its level */ } occurrence;

typedef struct assembly {
    pfx_schur *s;
    int k;                      /* vectors that span a level: mean and basis */
    cell *cells;                /* of all chunks */
    cell_list level[CHUNKS];    /* merged columns u = B'W v of the levels of each chunk */
    pfx_idx *first;             /* [n_levels] where a level begins in its chunk's list; -1: skipped */
    pfx_idx *row_ptr;           /* [q + 1] */
    occurrence *row;            /* rows of the data in column i, skipped levels left out */
    entry_list part[CHUNKS];    /* rows of S */
    pfx_idx *length;            /* [q] entries in each row of S */
    double *inv;                /* [q] */
    int32_t **mark;             /* [nth][q] */
    double **sum;               /* [nth][q] */
} assembly;

static pfx_idx chunk_start(pfx_idx n, pfx_idx c) { return n * c / CHUNKS; }

static bool reserve(entry_list *l, pfx_idx extra)
{
    if (l->failed) return false;
    if (l->n + extra <= l->cap) return true;
    pfx_idx cap = 2 * l->cap > l->n + extra ? 2 * l->cap : l->n + extra + 256;
    int32_t *col = pfx_mem_realloc(l->col, cap, sizeof *col, NULL);
    if (col) l->col = col;
    double *val = pfx_mem_realloc(l->val, cap, sizeof *val, NULL);
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

/* Cells that hold the columns of one row, two to a cell; one block needs none. */
static int cells_of_row(const pfx_schur_spec *p) { return p->n_blocks > 1 ? (p->n_blocks + 1) / 2 : 0; }

/* Merge the columns of one level's rows: u_k[col] += w v_k B. mark holds the entry's place, -1 elsewhere. */
static void merge_level(const assembly *a, pfx_idx r0, pfx_idx r1, int32_t *mark, cell_list *l)
{
    const pfx_schur_spec *p = &a->s->spec;
    int width = 1 + a->k, row_cells = cells_of_row(p);
    double total = 0.0;

    cell *head = l->at + l->n, *entry = head + HEAD;
    int32_t n = 0;
    for (pfx_idx r = r0; r < r1; r++) {
        total += weight(p, r);
        for (int e = 0; e < p->n_blocks; e++) {
            int32_t c = (int32_t)(p->block[e].col0 + p->block[e].code[r]);
            if (mark[c] < 0) {
                mark[c] = n;
                cell *fresh = entry + n++ * width;
                fresh[0].i = c;
                for (int k = 1; k < width; k++) fresh[k].d = 0.0;
            }
            double f = weight(p, r) * value(&p->block[e], r);
            cell *u = entry + mark[c] * width + 1;
            if (p->mean) (u++)->d += f;
            for (int b = 0; b < p->n_basis; b++) u[b].d += f * p->basis[b][r];
        }
    }
    for (int32_t i = 0; i < n; i++) mark[entry[i * width].i] = -1;
    head[0].d = 1.0 / total;
    head[1].i = n;
    head[2].i = r0;
    cell *rows = entry + n * width;
    for (pfx_idx r = r0; row_cells > 0 && r < r1; r++)
        for (int e = 0; e < p->n_blocks; e++)
            rows[(r - r0) * row_cells + e / 2].c[e % 2] = (int32_t)(p->block[e].col0 + p->block[e].code[r]);
    l->n += HEAD + n * width + (r1 - r0) * row_cells;
}

/* Which levels of a chunk are skipped, and room for the others. */
static void count_chunk(void *ctx, pfx_idx c, int thread)
{
    assembly *a = ctx;
    const pfx_schur_spec *p = &a->s->spec;
    (void)thread;

    for (pfx_idx g = chunk_start(p->n_levels, c); g < chunk_start(p->n_levels, c + 1); g++) {
        pfx_idx r0 = p->start[g], r1 = p->start[g + 1];
        a->first[g] = is_constant(p, r0, r1) ? -1 : 0;
        if (a->first[g] == 0) a->level[c].most += HEAD + (r1 - r0) * (p->n_blocks * (1 + a->k) + cells_of_row(p));
    }
}

static void merge_chunk(void *ctx, pfx_idx c, int thread)
{
    assembly *a = ctx;
    const pfx_schur_spec *p = &a->s->spec;
    cell_list *l = &a->level[c];

    for (pfx_idx g = chunk_start(p->n_levels, c); g < chunk_start(p->n_levels, c + 1); g++) {
        if (a->first[g] < 0) continue;
        a->first[g] = l->n;
        merge_level(a, p->start[g], p->start[g + 1], a->mark[thread], l);
    }
}

/* One piece of memory for all chunks: large ones come in huge pages. */
static pfx_status merge_levels(assembly *a, pfx_err *err)
{
    const pfx_schur_spec *p = &a->s->spec;
    pfx_idx most = 0;

    if (p->n_levels == 0) return PFX_OK;
    pfx_par_for(CHUNKS, p->nth, count_chunk, a);
    for (int c = 0; c < CHUNKS; c++) most += a->level[c].most;
    if (!(a->cells = pfx_mem_alloc(most, sizeof *a->cells, err))) return PFX_ENOMEM;
    most = 0;
    for (int c = 0; c < CHUNKS; c++) {
        a->level[c].at = a->cells + most;
        most += a->level[c].most;
    }
    pfx_par_for(CHUNKS, p->nth, merge_chunk, a);
    return PFX_OK;
}

/* Rows of the data by column: a counting sort, one block at a time. Rows come level by level, so that the levels'
 * lists are walked in order. */
static void sort_block(void *ctx, pfx_idx e, int thread)
{
    assembly *a = ctx;
    const pfx_schur_spec *p = &a->s->spec;
    const pfx_schur_block *b = &p->block[e];
    pfx_idx at = e * p->n;          /* each block has n places of its own: they are sorted side by side */
    pfx_idx *next = a->row_ptr + b->col0, *length = a->length + b->col0, levels = p->n_levels;
    (void)thread;

    memset(length, 0, (size_t)b->n_levels * sizeof *length);
    for (pfx_idx g = 0; g < levels; g++)
        for (pfx_idx r = p->start[g]; a->first[g] >= 0 && r < p->start[g + 1]; r++) length[b->code[r]]++;
    for (pfx_idx r = 0; levels == 0 && r < p->n; r++) length[b->code[r]]++;
    for (pfx_idx j = 0; j < b->n_levels; at += length[j++]) next[j] = at;
    for (pfx_idx c = 0; c < CHUNKS; c++)
        for (pfx_idx g = chunk_start(levels, c); g < chunk_start(levels, c + 1); g++) {
            if (a->first[g] < 0) continue;
            const cell *level = a->level[c].at + a->first[g];
            for (pfx_idx r = p->start[g]; r < p->start[g + 1]; r++) 
                a->row[next[b->code[r]]++] = (occurrence){level, r - p->start[g]};
        }
    for (pfx_idx r = 0; levels == 0 && r < p->n; r++) a->row[next[b->code[r]]++] = (occurrence){NULL, r};
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

/* What one data row adds to row i of S: w v_e v_h in its own columns, less its share of the level's projection. */
static void add_level_row(const assembly *a, int e, pfx_idx i, const occurrence *o, row_sum *t, double *diag)
{
    const pfx_schur_spec *p = &a->s->spec;
    const cell *entry = o->level + HEAD;
    int64_t n = o->level[1].i, r = o->level[2].i + o->row;
    int width = 1 + a->k, k = 1, row_cells = cells_of_row(p);
    const cell *row = entry + n * width + o->row * row_cells;
    double f = weight(p, r) * value(&p->block[e], r);

    *diag += f * value(&p->block[e], r);
    if (row_cells == 0) put(t, (int32_t)i, f * value(&p->block[e], r));
    for (int h = 0; row_cells > 0 && h < p->n_blocks; h++) put(t, row[h / 2].c[h % 2], f * value(&p->block[h], r));
    if (p->mean) {
        double c = f * o->level[0].d;
        for (int64_t j = 0; j < n; j++) put(t, (int32_t)entry[j * width].i, -c * entry[j * width + k].d);
        k++;
    }
    for (int b = 0; b < p->n_basis; b++, k++) {
        double c = f * p->basis[b][r];
        for (int64_t j = 0; j < n; j++) put(t, (int32_t)entry[j * width].i, -c * entry[j * width + k].d);
    }
}

/* The same where nothing is eliminated. */
static void add_row(const assembly *a, int e, pfx_idx r, row_sum *t, double *diag)
{
    const pfx_schur_spec *p = &a->s->spec;
    double f = weight(p, r) * value(&p->block[e], r);

    *diag += f * value(&p->block[e], r);
    for (int h = 0; h < p->n_blocks; h++)
        put(t, (int32_t)(p->block[h].col0 + p->block[h].code[r]), f * value(&p->block[h], r));
}

PFX_ALWAYS_INLINE void ask_for(const occurrence *o)
{
    for (int i = 0; o->level && i < LINES; i++) __builtin_prefetch(o->level + 8 * i);
}

/* The columns of a finished row in ascending order. */
static void sort_columns(pfx_idx q, row_sum *t)
{
    if (t->n < q / 32) {    /* n log n comparisons against one look at every column */
        qsort(t->list, (size_t)t->n, sizeof *t->list, by_column);
        return;
    }
    t->n = 0;
    for (pfx_idx c = 0; c < q; c++)
        if (t->mark[c] == t->id) t->list[t->n++] = (int32_t)c;
}

static void sum_chunk(void *ctx, pfx_idx c, int thread)
{
    assembly *a = ctx;
    const pfx_schur_spec *p = &a->s->spec;
    entry_list *out = &a->part[c];
    row_sum t = {a->sum[thread], a->mark[thread], a->mark[thread] + p->q, 0, 0};
    int e = 0;

    for (pfx_idx i = chunk_start(p->q, c); i < chunk_start(p->q, c + 1); i++) {
        double diag = 0.0;
        while (i >= p->block[e].col0 + p->block[e].n_levels) e++;
        t.n = 0, t.id = (int32_t)i;
        put(&t, (int32_t)i, 0.0);
        const occurrence *o = a->row + a->row_ptr[i];
        for (pfx_idx j = 0; j < a->length[i]; j++) {
            if (j + AHEAD < a->length[i]) ask_for(o + j + AHEAD);
            if (o[j].level) add_level_row(a, e, i, o + j, &t, &diag);
            else add_row(a, e, o[j].row, &t, &diag);
        }
        /* Rounding leaves about 1e-16 of B'WB where the column lies in the span of what was eliminated. */
        a->inv[i] = t.sum[i] > 1e-12 * diag ? 1.0 / t.sum[i] : 0.0;
        sort_columns(p->q, &t);
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
    m->inv = a->inv, a->inv = NULL;
    if (pfx_schur_csr_alloc(m, q, nnz, err) != PFX_OK) return PFX_ENOMEM;
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
        pfx_mem_free(a->part[c].col), pfx_mem_free(a->part[c].val);
    }
    for (int t = 0; t < a->s->spec.nth; t++) {
        if (a->mark) pfx_mem_free(a->mark[t]);
        if (a->sum) pfx_mem_free(a->sum[t]);
    }
    pfx_mem_free(a->mark), pfx_mem_free(a->sum);
    pfx_mem_free(a->cells);
    pfx_mem_free(a->first);
    pfx_mem_free(a->row_ptr), pfx_mem_free(a->row), pfx_mem_free(a->length), pfx_mem_free(a->inv);
}

/* Row by row. */
static pfx_status assemble_rows(pfx_schur *s, pfx_err *err)
{
    const pfx_schur_spec *p = &s->spec;
    assembly a = {.s = s, .k = p->mean + p->n_basis};
    pfx_status st = allocate(&a, err);

    if (st == PFX_OK) st = merge_levels(&a, err);
    if (st == PFX_OK) {
        pfx_par_for(p->n_blocks, p->nth, sort_block, &a);
        pfx_par_for(CHUNKS, p->nth, sum_chunk, &a);
        st = join_parts(&a, err);
    }
    release(&a);
    return st;
}

pfx_status pfx_schur_assemble(pfx_schur *s, pfx_err *err)
{
    pfx_status st = pfx_schur_panel_suits(&s->spec) ? pfx_schur_panel(s, err) : assemble_rows(s, err);
    return st == PFX_OK ? count_components(s, err) : st;
}
