#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/est/components.h"
#include "src/est/schur_internal.h"

#define WAVE 64             /* groups whose partial sums are kept at a time: more than threads */
#define MAXQ PFX_SCHUR_DENSE

typedef pfx_mask_count mask_count;
typedef pfx_mask_table mask_table;

typedef struct build {
    pfx_schur *s;
    pfx_idx group0;         /* first group of the wave */
    double *part;           /* [WAVE][q x q + q] what masks do not cover; B'WB */
} build;

static pfx_idx mask_find(const mask_table *t, uint64_t mask)
{
    uint64_t i = (mask * 0x9E3779B97F4A7C15ull) >> 32;
    for (;; i++) {
        const mask_count *c = &t->slot[i & (uint64_t)(t->cap - 1)];
        if (c->mask == mask || c->mask == 0) return (pfx_idx)(i & (uint64_t)(t->cap - 1));
    }
}

static void mask_add(mask_table *t, uint64_t mask, pfx_idx n)
{
    if (2 * t->used >= t->cap) {
        mask_table wider = {NULL, t->cap ? 2 * t->cap : 256, t->used, t->failed};
        wider.slot = pfx_mem_calloc(wider.cap, sizeof *wider.slot, NULL);
        if (!wider.slot) {
            t->failed = true;
            return;
        }
        for (pfx_idx i = 0; i < t->cap; i++)
            if (t->slot[i].mask) wider.slot[mask_find(&wider, t->slot[i].mask)] = t->slot[i];
        pfx_mem_free(t->slot);
        *t = wider;
    }
    mask_count *c = &t->slot[mask_find(t, mask)];
    if (c->mask == 0) t->used++, c->mask = mask;
    c->n += n;
}

/* Rows r0..r1-1: B'WB into S [q x q]. */
static void add_rows(const pfx_schur_spec *p, pfx_idx r0, pfx_idx r1, double *S, double *diag)
{
    for (pfx_idx r = r0; r < r1; r++)
        for (int e = 0; e < p->n_blocks; e++) {
            const pfx_schur_block *a = &p->block[e];
            double f = (p->w ? p->w[r] : 1.0) * (a->value ? a->value[r] : 1.0);
            double *row = S + (a->col0 + a->code[r]) * p->q;
            diag[a->col0 + a->code[r]] += f * (a->value ? a->value[r] : 1.0);
            for (int h = 0; h < p->n_blocks; h++) {
                const pfx_schur_block *b = &p->block[h];
                row[b->col0 + b->code[r]] += f * (b->value ? b->value[r] : 1.0);
            }
        }
}

/* One level's projection u u' / c off S, u = B'W v over its rows, v = 1 or a basis vector. */
static void subtract_level(const pfx_schur_spec *p, pfx_idx r0, pfx_idx r1, const double *v, double *S)
{
    double u[MAXQ] = {0}, total = 0.0;
    int list[MAXQ], n = 0;
    bool seen[MAXQ] = {false};

    for (pfx_idx r = r0; r < r1; r++) {
        double f = (p->w ? p->w[r] : 1.0) * (v ? v[r] : 1.0);
        total += f;
        for (int e = 0; e < p->n_blocks; e++) {
            const pfx_schur_block *a = &p->block[e];
            int c = (int)(a->col0 + a->code[r]);
            if (!seen[c]) seen[c] = true, list[n++] = c;
            u[c] += f * (a->value ? a->value[r] : 1.0);
        }
    }
    double inv = v ? 1.0 : 1.0 / total;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) S[list[i] * p->q + list[j]] -= u[list[i]] * u[list[j]] * inv;
}

/* The set of columns that a level's rows lie in, 0 where a column repeats or masks do not apply. */
static uint64_t level_mask(const pfx_schur_spec *p, pfx_idx r0, pfx_idx r1)
{
    uint64_t mask = 0;
    for (pfx_idx r = r0; r < r1; r++) mask |= 1ull << p->block[0].code[r];
    return __builtin_popcountll(mask) == r1 - r0 ? mask : 0;
}

bool pfx_schur_countable(const pfx_schur_spec *p)
{
    return p->q <= MAXQ && !p->w && p->mean && p->n_basis == 0 && p->n_blocks == 1 && !p->block[0].value;
}

bool pfx_schur_count(pfx_schur *s, int thread, pfx_idx n, const uint64_t *mask)
{
    bool all = true;
    for (pfx_idx i = 0; i < n; i++) {
        all &= mask[i] != 0;
        if (mask[i] == 0) continue;
        if (s->direct) s->direct[((pfx_idx)thread << s->spec.q) + (pfx_idx)mask[i]]++;
        else mask_add(&s->masks[thread], mask[i], 1);
    }
    return all;
}

static void add_group(void *ctx, pfx_idx g, int thread)
{
    build *b = ctx;
    const pfx_schur_spec *p = &b->s->spec;
    pfx_idx qq = p->q * p->q, i0 = p->group[b->group0 + g], i1 = p->group[b->group0 + g + 1];
    double *S = b->part + g * (qq + p->q), *diag = S + qq;
    bool masks = pfx_schur_countable(p);

    memset(S, 0, (size_t)(qq + p->q) * sizeof *S);
    if (p->left && !p->left[b->group0 + g]) return;
    if (p->n_levels == 0) {
        add_rows(p, i0, i1, S, diag);
        return;
    }
    for (pfx_idx l = i0; l < i1; l++) {
        pfx_idx r0 = p->start[l], r1 = p->start[l + 1];
        uint64_t mask = masks && r1 - r0 <= MAXQ ? level_mask(p, r0, r1) : 0;
        if (mask) {
            if (!p->left) pfx_schur_count(b->s, thread, 1, &mask);
            continue;
        }
        add_rows(p, r0, r1, S, diag);
        if (p->mean) subtract_level(p, r0, r1, NULL, S);
        for (int k = 0; k < p->n_basis; k++) subtract_level(p, r0, r1, p->basis[k], S);
    }
}

static int by_mask(const void *a, const void *b)
{
    uint64_t x = ((const mask_count *)a)->mask, y = ((const mask_count *)b)->mask;
    return (x > y) - (x < y);
}

/* S += n (diag(m) - m m' / |m|). */
static void add_mask(pfx_idx q, const mask_count *c, double *S, double *diag)
{
    int list[MAXQ], k = 0;
    for (uint64_t m = c->mask; m; m &= m - 1) list[k++] = __builtin_ctzll(m);
    double off = (double)c->n / k;
    for (int i = 0; i < k; i++) {
        diag[list[i]] += (double)c->n;
        S[list[i] * q + list[i]] += (double)c->n;
        for (int j = 0; j < k; j++) S[list[i] * q + list[j]] -= off;
    }
}

/* Counts are integers, so tables can be joined in any order; their sum is taken in the order of the masks. */
static pfx_status add_tables(pfx_schur *s, pfx_err *err)
{
    mask_table *all = &s->masks[0];
    bool failed = all->failed;
    for (int t = 0; s->direct && t < s->spec.nth; t++)
        for (pfx_idx m = 1; m < (pfx_idx)1 << s->spec.q; m++) {
            pfx_idx n = s->direct[((pfx_idx)t << s->spec.q) + m];
            if (n > 0) mask_add(all, (uint64_t)m, n);
        }
    for (int t = 1; t < s->spec.nth; t++) {
        failed |= s->masks[t].failed;
        for (pfx_idx i = 0; i < s->masks[t].cap; i++)
            if (s->masks[t].slot[i].mask) mask_add(all, s->masks[t].slot[i].mask, s->masks[t].slot[i].n);
    }
    if (failed || all->failed) return pfx_fail(err, PFX_ENOMEM, "out of memory for the effects' patterns");
    pfx_idx n = 0;
    for (pfx_idx i = 0; i < all->cap; i++)
        if (all->slot[i].mask) all->slot[n++] = all->slot[i];
    if (n > 0) qsort(all->slot, (size_t)n, sizeof *all->slot, by_mask);
    for (pfx_idx i = 0; i < n; i++) add_mask(s->spec.q, &all->slot[i], s->dense, s->diag);
    return PFX_OK;
}

/* Lower Cholesky factor of S in place of L, columns dropped where told or where the pivot vanishes beside D. */
static void factor(pfx_idx q, const double *S, const double *D, bool told, double *L, bool *dropped)
{
    memcpy(L, S, (size_t)(q * q) * sizeof *L);
    for (pfx_idx j = 0; j < q; j++) {
        double *lj = L + j * q;
        for (pfx_idx k = 0; k < j; k++) lj[j] -= lj[k] * lj[k];
        /* Rounding leaves about q eps D where the exact pivot is zero. */
        if (!told) dropped[j] = !(lj[j] > 1e-13 * (double)q * D[j]);
        double d = dropped[j] ? 0.0 : sqrt(lj[j]);
        lj[j] = d;
        if (dropped[j]) memset(lj, 0, (size_t)j * sizeof *lj);
        for (pfx_idx i = j + 1; i < q; i++) {
            double *li = L + i * q, sum = li[j];
            for (pfx_idx k = 0; k < j; k++) sum -= li[k] * lj[k];
            li[j] = d > 0.0 ? sum / d : 0.0;
        }
    }
}

static pfx_status finish(pfx_schur *s, pfx_err *err)
{
    const pfx_schur_spec *p = &s->spec;
    pfx_idx q = p->q;
    const double *D = s->diag;
    bool two_way = p->n_blocks == 1 && !p->block[0].value && p->n_basis == 0 && p->mean;

    if (!(s->chol = pfx_mem_alloc(q * q, sizeof *s->chol, err)) ||
        !(s->dropped = pfx_mem_calloc(q, sizeof *s->dropped, err)) ||
        !(s->components = pfx_mem_calloc(p->n_blocks, sizeof *s->components, err)))
        return PFX_ENOMEM;
    for (int e = 0; e < p->n_blocks; e++) {
        pfx_idx c0 = p->block[e].col0, L = p->n_blocks == 1 ? q : p->block[e].n_levels, root[MAXQ];
        pfx_components_init(L, root);
        for (pfx_idx i = 0; i < L; i++)
            for (pfx_idx j = 0; j < i; j++)
                if (s->dense[(c0 + i) * q + c0 + j] != 0.0) pfx_components_join(root, i, j);
        s->components[e] = pfx_components_count(L, root);
        for (pfx_idx i = 0; two_way && i < L; i++) s->dropped[i] = pfx_components_find(root, i) == i;
    }
    factor(q, s->dense, D, two_way, s->chol, s->dropped);
    s->rank = q;
    for (pfx_idx j = 0; j < q; j++) s->rank -= s->dropped[j];
    s->route = two_way ? "two-way" : "schur-cholesky";
    return PFX_OK;
}

pfx_status pfx_schur_dense_create(pfx_schur *s, pfx_err *err)
{
    pfx_idx q = s->spec.q;
    if (!(s->dense = pfx_mem_calloc(q * q, sizeof *s->dense, err)) ||
        !(s->diag = pfx_mem_calloc(q, sizeof *s->diag, err)) ||
        !(s->masks = pfx_mem_calloc(s->spec.nth, sizeof *s->masks, err)))
        return PFX_ENOMEM;
    if (q <= PFX_SCHUR_DIRECT && !(s->direct = pfx_mem_calloc((pfx_idx)s->spec.nth << q, sizeof *s->direct, err)))
        return PFX_ENOMEM;
    return PFX_OK;
}

pfx_status pfx_schur_dense_add(pfx_schur *s, pfx_err *err)
{
    const pfx_schur_spec *p = &s->spec;
    pfx_idx q = p->q, size = q * q + q, n = p->n_groups < WAVE ? p->n_groups : WAVE;
    build b = {.s = s, .part = pfx_mem_alloc(n * size, sizeof *b.part, err)};

    if (!b.part) return PFX_ENOMEM;
    for (; b.group0 < p->n_groups; b.group0 += n) {
        if (p->n_groups - b.group0 < n) n = p->n_groups - b.group0;
        pfx_par_for(n, p->nth, add_group, &b);
        for (pfx_idx g = 0; g < n; g++) {
            const double *part = b.part + g * size;
            for (pfx_idx i = 0; i < q * q; i++) s->dense[i] += part[i];
            for (pfx_idx i = 0; i < q; i++) s->diag[i] += part[q * q + i];
        }
    }
    pfx_mem_free(b.part);
    return PFX_OK;
}

pfx_status pfx_schur_dense_finish(pfx_schur *s, pfx_idx q, pfx_err *err)
{
    pfx_status st = add_tables(s, err);
    if (st != PFX_OK) return st;
    for (pfx_idx i = 0; i < q; i++) memmove(s->dense + i * q, s->dense + i * s->spec.q, (size_t)q * sizeof *s->dense);
    s->spec.q = q;
    return finish(s, err);
}

void pfx_schur_dense_free(pfx_schur *s)
{
    for (int t = 0; s->masks && t < s->spec.nth; t++) pfx_mem_free(s->masks[t].slot);
    pfx_mem_free(s->masks), pfx_mem_free(s->direct), pfx_mem_free(s->diag);
    pfx_mem_free(s->dense), pfx_mem_free(s->chol), pfx_mem_free(s->dropped);
}

/* X [q] = (L L')^- X */
static void solve_one(pfx_idx q, const double *L, const bool *dropped, double *x)
{
    for (pfx_idx i = 0; i < q; i++) {
        if (dropped[i]) {
            x[i] = 0.0;
            continue;
        }
        for (pfx_idx k = 0; k < i; k++) x[i] -= L[i * q + k] * x[k];
        x[i] /= L[i * q + i];
    }
    for (pfx_idx i = q - 1; i >= 0; i--) {
        if (dropped[i]) continue;
        for (pfx_idx k = i + 1; k < q; k++) x[i] -= L[k * q + i] * x[k];
        x[i] /= L[i * q + i];
    }
}

pfx_status pfx_schur_dense_solve(const pfx_schur *s, int m, pfx_idx ld, const double *C, double *G, double *R,
                                 pfx_err *err)
{
    pfx_idx q = s->spec.q;
    double x[MAXQ];
    (void)err;

    memset(G, 0, (size_t)(q * ld) * sizeof *G);
    memcpy(R, C, (size_t)(q * ld) * sizeof *R);
    for (int step = 0; step < 2; step++)    /* the second is one step of iterative refinement */
        for (int k = 0; k < m; k++) {
            for (pfx_idx i = 0; i < q; i++) x[i] = R[i * ld + k];
            solve_one(q, s->chol, s->dropped, x);
            for (pfx_idx i = 0; i < q; i++) G[i * ld + k] += x[i];
            for (pfx_idx i = 0; i < q; i++) {
                double r = C[i * ld + k];
                for (pfx_idx j = 0; j < q; j++) r -= s->dense[i * q + j] * G[j * ld + k];
                R[i * ld + k] = r;
            }
        }
    return PFX_OK;
}
