/* Which effect is eliminated, and rows in its order. */
#include <string.h>
#include "src/base/mem.h"
#include "src/est/absorb_internal.h"
#include "src/est/codes.h"
#include "src/model/design.h"

/* Slopes are eliminated only where every level fits a block of this many rows; else they join the other effects. */
#define LONG_BASIS_ROWS 65536

static bool same_factor(const pfx_factor *a, const pfx_factor *b, pfx_idx n)
{
    if (a->n_levels != b->n_levels) return false;
    return a->code == b->code || memcmp(a->code, b->code, (size_t)n * sizeof *a->code) == 0;
}

/* Element i of the new order is element perm[i] of the old one: cycle by cycle, in place. done: [n] cleared. */
static void permute(pfx_idx n, const pfx_idx *perm, size_t size, void *base, unsigned char *done, void *spare)
{
    char *x = base;

    memset(done, 0, (size_t)n);
    for (pfx_idx i = 0; i < n; i++) {
        if (done[i] || perm[i] == i) continue;
        memcpy(spare, x + (size_t)i * size, size);
        pfx_idx j = i;
        for (; perm[j] != i; j = perm[j]) {
            memcpy(x + (size_t)j * size, x + (size_t)perm[j] * size, size);
            done[j] = 1;
        }
        memcpy(x + (size_t)j * size, spare, size);
        done[j] = 1;
    }
}

static void permute_design(pfx_design *d, const pfx_idx *perm, unsigned char *done, void *spare)
{
    pfx_idx n = d->n;

    permute(n, perm, (size_t)d->p * sizeof *d->Z, d->Z, done, spare);
    if (d->w) permute(n, perm, sizeof *d->w, d->w, done, spare);
    if (d->row) permute(n, perm, sizeof *d->row, d->row, done, spare);
    if (d->time) permute(n, perm, sizeof *d->time, d->time, done, spare);
    for (int e = 0; e < d->n_absorbed; e++) {
        bool shared = false;
        for (int f = 0; f < e; f++) shared |= d->absorbed[f].factor.code == d->absorbed[e].factor.code;
        if (!shared) permute(n, perm, sizeof(int32_t), d->absorbed[e].factor.code, done, spare);
        for (int k = 0; k < d->absorbed[e].n_slopes; k++)
            permute(n, perm, sizeof(double), d->absorbed[e].slope[k], done, spare);
    }
    for (int c = 0; c < d->n_clusters; c++) {
        bool shared = false;
        for (int e = 0; e < d->n_absorbed; e++) shared |= d->absorbed[e].factor.code == d->clusters[c].code;
        for (int e = 0; e < c; e++) shared |= d->clusters[e].code == d->clusters[c].code;
        if (!shared) permute(n, perm, sizeof(int32_t), d->clusters[c].code, done, spare);
    }
}

/* Do the rows lie by the factor's level already? Then a->start is filled, and how the levels lie in the clusters is
 * known from the same reading. */
static pfx_status scan_rows(pfx_absorber *a, const pfx_factor *f, bool *sorted, pfx_err *err)
{
    const pfx_design *d = a->d;
    const int32_t **code = pfx_mem_alloc(d->n_clusters, sizeof *code, err);
    pfx_codes_order *order = pfx_mem_alloc(d->n_clusters, sizeof *order, err);

    if (code && order) {
        for (int c = 0; c < d->n_clusters; c++) code[c] = d->clusters[c].code;
        *sorted = pfx_codes_scan(d->n, f->code, f->n_levels, d->n_clusters, code, a->opt.nth, a->start, order);
        if (*sorted) a->cluster_order = order, order = NULL;
    }
    pfx_status st = code && (order || a->cluster_order) ? PFX_OK : PFX_ENOMEM;
    pfx_mem_free(code), pfx_mem_free(order);
    return st;
}

/* Rows of the design by the factor's level, stably, unless they are already. Fills a->start [n_levels + 1]. */
static pfx_status sort_rows(pfx_absorber *a, const pfx_factor *f, pfx_err *err)
{
    bool sorted = false;
    pfx_status st = scan_rows(a, f, &sorted, err);
    pfx_design *d = a->d;
    pfx_idx n = d->n, *perm = NULL, *start = a->start;
    unsigned char *done = NULL;
    double *spare = NULL;

    if (st != PFX_OK || sorted) return st;
    st = PFX_ENOMEM;
    memset(start, 0, (size_t)(f->n_levels + 1) * sizeof *start);
    for (pfx_idx i = 0; i < n; i++) start[f->code[i] + 1]++;
    for (pfx_idx g = 0; g < f->n_levels; g++) start[g + 1] += start[g];
    if (!(perm = pfx_mem_alloc(n, sizeof *perm, err)) || !(done = pfx_mem_alloc(n, 1, err)) ||
        !(spare = pfx_mem_alloc(d->p > 1 ? d->p : 1, sizeof *spare, err)))
        goto done;
    for (pfx_idx i = 0; i < n; i++) perm[start[f->code[i]]++] = i;
    for (pfx_idx g = f->n_levels; g > 0; g--) start[g] = start[g - 1];
    start[0] = 0;
    permute_design(d, perm, done, spare);
    st = PFX_OK;
done:
    pfx_mem_free(perm), pfx_mem_free(done), pfx_mem_free(spare);
    return st;
}

static pfx_idx longest(const pfx_idx *start, pfx_idx n_levels)
{
    pfx_idx m = 0;
    for (pfx_idx g = 0; g < n_levels; g++) m = start[g + 1] - start[g] > m ? start[g + 1] - start[g] : m;
    return m;
}

static pfx_status add_rest(pfx_absorber *a, const int32_t *code, const double *value, pfx_idx levels, int entry,
                           int slope, pfx_err *err)
{
    if (a->n_rest == PFX_ABSORB_MAX_REST)
        return pfx_fail(err, PFX_EUSAGE, "more than %d absorbed effects; absorb fewer", PFX_ABSORB_MAX_REST);
    a->rest[a->n_rest] = (pfx_schur_block){code, value, levels, a->q};
    a->rest_entry[a->n_rest] = entry;
    a->rest_slope[a->n_rest++] = slope;
    a->q += levels;
    return PFX_OK;
}

/* One level: the mean of all rows. */
static pfx_status eliminate_constant(pfx_absorber *a, pfx_err *err)
{
    if (!(a->start = pfx_mem_alloc(2, sizeof *a->start, err))) return PFX_ENOMEM;
    a->start[0] = 0, a->start[1] = a->n;
    a->n_levels = 1;
    a->mean = a->constant = true;
    return PFX_OK;
}

/* The factor with the most levels, and the entries that share it. */
static void choose_first(pfx_absorber *a)
{
    const pfx_design *d = a->d;

    a->first = 0;
    for (int e = 1; e < d->n_absorbed; e++)
        if (d->absorbed[e].factor.n_levels > d->absorbed[a->first].factor.n_levels) a->first = e;
    const pfx_factor *f = &d->absorbed[a->first].factor;
    for (int e = 0; e < d->n_absorbed; e++) {
        a->in_first[e] = same_factor(f, &d->absorbed[e].factor, d->n);
        a->mean |= a->in_first[e] && d->absorbed[e].intercept;
    }
}

/* A stream says what is eliminated. */
static pfx_status assign_stream(pfx_absorber *a, pfx_err *err)
{
    const pfx_design *d = a->d;

    if (d->n_absorbed == 0) {
        a->mean = a->constant = d->intercept;
        a->n_long = d->intercept;
        return PFX_OK;
    }
    if (d->stream->whole) choose_first(a);
    a->first = d->stream->unit;
    a->in_first[a->first] = a->mean = true;
    for (int e = 0; e < d->n_absorbed; e++) {
        const pfx_factor *f = &d->absorbed[e].factor;
        if (a->in_first[e]) continue;
        pfx_status st = add_rest(a, f->code, NULL, d->stream->whole ? f->n_levels : PFX_SCHUR_DENSE, e, -1, err);
        if (st != PFX_OK) return st;
    }
    return PFX_OK;
}

/* Decide what is eliminated; the rest goes to the Schur complement. */
static pfx_status assign(pfx_absorber *a, pfx_err *err)
{
    pfx_design *d = a->d;
    pfx_status st = PFX_OK;
    bool any_levels = false, slopes_fit = true;

    if (d->n_absorbed == 0) return d->intercept ? eliminate_constant(a, err) : PFX_OK;
    choose_first(a);
    const pfx_factor *f = &d->absorbed[a->first].factor;
    if (!(a->start = pfx_mem_alloc(f->n_levels + 1, sizeof *a->start, err))) return PFX_ENOMEM;
    if ((st = sort_rows(a, f, err)) != PFX_OK) return st;
    a->n_levels = f->n_levels;
    a->level = f->code;
    slopes_fit = longest(a->start, a->n_levels) <= LONG_BASIS_ROWS;
    for (int e = 0; e < d->n_absorbed; e++) any_levels |= d->absorbed[e].intercept;

    if (!a->mean && !slopes_fit) {  /* slopes alone, of long levels: nothing is left to eliminate */
        pfx_mem_free(a->start), a->start = NULL, a->n_levels = 0, a->level = NULL;
        if (!any_levels && d->intercept && (st = eliminate_constant(a, err)) != PFX_OK) return st;
    }
    for (int e = 0; e < d->n_absorbed && st == PFX_OK; e++) {
        const pfx_absorbed *x = &d->absorbed[e];
        bool eliminated = a->in_first[e] && a->start != NULL;
        if (x->intercept && !(eliminated && a->mean))
            st = add_rest(a, x->factor.code, NULL, x->factor.n_levels, e, -1, err);
        for (int k = 0; k < x->n_slopes && st == PFX_OK; k++) {
            if (eliminated && slopes_fit) a->n_basis++;
            else st = add_rest(a, x->factor.code, x->slope[k], x->factor.n_levels, e, k, err);
        }
    }
    if (st == PFX_OK && !any_levels && d->intercept && !a->mean) {
        if (!(a->zeros = pfx_mem_calloc(a->n, sizeof *a->zeros, err))) return PFX_ENOMEM;
        st = add_rest(a, a->zeros, NULL, 1, -1, -1, err);
    }
    return st;
}

pfx_status pfx_absorb_layout(pfx_absorber *a, pfx_err *err)
{
    pfx_status st;

    a->n = a->d->n;
    a->p = a->d->p;
    a->ldp = (a->p + 7) / 8 * 8;
    a->first = -1;
    if (!(a->in_first = pfx_mem_calloc(a->d->n_absorbed, sizeof *a->in_first, err))) return PFX_ENOMEM;
    if ((st = a->d->stream ? assign_stream(a, err) : assign(a, err)) != PFX_OK) return st;
    return a->d->stream ? PFX_OK : pfx_absorb_cut(a, err);
}
