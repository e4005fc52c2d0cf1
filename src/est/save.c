/* What a fit keeps for each row and each level of an effect. */
#include "src/est/ols_private.h"

#include <stdlib.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/est/vcov.h"
#include "src/model/design.h"

typedef struct row_at {
    pfx_idx row, at;
} row_at;

static int by_row(const void *a, const void *b)
{
    const row_at *x = a, *y = b;
    return (x->row > y->row) - (x->row < y->row);
}

static bool in_panel_order(const pfx_design *d)
{
    bool sorted = true;
    for (pfx_idx i = 1; d->row && i < d->n; i++) sorted &= d->row[i - 1] < d->row[i];
    return sorted;
}

/* Rows, residuals and fitted values in the order of the panel. */
static pfx_status order_rows(const pfx_design *d, pfx_fit *f, pfx_err *err)
{
    row_at *order = pfx_mem_alloc(d->n, sizeof *order, err);
    double *spare = pfx_mem_alloc(d->n, sizeof *spare, err), *const column[2] = {f->resid, f->fitted};
    if (!order || !spare) {
        pfx_mem_free(order), pfx_mem_free(spare);
        return PFX_ENOMEM;
    }
    for (pfx_idx i = 0; i < d->n; i++) order[i] = (row_at){f->row[i], i};
    qsort(order, (size_t)d->n, sizeof *order, by_row);
    for (int k = 0; k < 2; k++) {
        memcpy(spare, column[k], (size_t)d->n * sizeof *spare);
        for (pfx_idx i = 0; i < d->n; i++) column[k][i] = spare[order[i].at];
    }
    for (pfx_idx i = 0; i < d->n; i++) f->row[i] = order[i].row;
    pfx_mem_free(order), pfx_mem_free(spare);
    return PFX_OK;
}

/* y to fitted, and what the regressors leave of it to left, or NULL, window by window. */
static pfx_status gather_outcome(const pfx_ols *m, double *fitted, double *left, pfx_err *err)
{
    const pfx_design *d = m->d;
    bool more = true;
    pfx_status st = pfx_absorber_rewind(m->a, err);
    while (st == PFX_OK && (st = pfx_absorber_next(m->a, &more, err)) == PFX_OK && more) {
        pfx_idx row0 = pfx_absorber_row0(m->a), n = pfx_absorber_n_rows(m->a);
        for (pfx_idx i = 0; i < n; i++) {
            const double *z = d->Z + i * m->p;
            double r = fitted[row0 + i] = z[m->p - 1];
            if (!left) continue;
            for (int j = 0; j < m->s->k; j++) r -= z[m->s->keep[j]] * m->s->b[j];
            left[row0 + i] = r;
        }
    }
    return st;
}

static pfx_status allocate_effects(pfx_ols *m, double **alpha, pfx_err *err)
{
    const pfx_design *d = m->d;
    pfx_fit *f = m->f;
    int e = 0;
    for (int b = 0; b < d->n_absorbed; b++) {
        const pfx_absorbed *ab = &d->absorbed[b];
        for (int i = 0; i < ab->intercept + ab->n_slopes; i++, e++) {
            struct pfx_saved_effect *s = &f->saved[f->n_saved_effects++];
            s->n_levels = ab->factor.n_levels;
            s->name = pfx_mem_strdup(m->info->name[e], err);
            s->alpha = alpha[e] = pfx_mem_calloc(s->n_levels, sizeof *s->alpha, err);
            s->first_row = pfx_mem_alloc(s->n_levels, sizeof *s->first_row, err);
            if (!s->name || !s->alpha || !s->first_row) return PFX_ENOMEM;
            for (pfx_idx l = 0; l < s->n_levels; l++) s->first_row[l] = INT64_MAX;
            for (pfx_idx r = 0; r < d->n; r++) {
                pfx_idx row = d->row ? d->row[r] : r, *at = &s->first_row[ab->factor.code[r]];
                if (row < *at) *at = row;
            }
        }
    }
    return PFX_OK;
}

static pfx_status save_effects(pfx_ols *m, const double *left, pfx_err *err)
{
    int n_effects = m->info->n_effects;
    double **alpha = pfx_mem_calloc(n_effects, sizeof *alpha, err);
    m->f->saved = pfx_mem_calloc(n_effects, sizeof *m->f->saved, err);
    /* A stream shows the codes of all rows after it went back. */
    pfx_status st = alpha && m->f->saved ? pfx_absorber_rewind(m->a, err) : PFX_ENOMEM;
    if (st == PFX_OK) st = allocate_effects(m, alpha, err);
    if (st == PFX_OK) st = pfx_absorber_effects(m->a, left, alpha, err);
    pfx_mem_free(alpha);
    return st;
}

pfx_status pfx_ols_save(pfx_ols *m, pfx_err *err)
{
    const pfx_design *d = m->d;
    pfx_fit *f = m->f;
    double *left = m->info->n_effects > 0 ? pfx_mem_alloc(d->n, sizeof *left, err) : NULL;
    f->row = pfx_mem_alloc(d->n, sizeof *f->row, err);
    f->resid = pfx_mem_alloc(d->n, sizeof *f->resid, err);
    f->fitted = pfx_mem_alloc(d->n, sizeof *f->fitted, err);
    if (!f->row || !f->resid || !f->fitted || (!left && m->info->n_effects > 0)) {
        pfx_mem_free(left);
        return PFX_ENOMEM;
    }
    pfx_scores sc = {.d = d,
                     .a = m->a,
                     .c = m->c,
                     .nth = m->o->nth,
                     .isa = m->o->isa,
                     .gradient = m->gradient,
                     .ssr = &m->ssr,
                     .resid = f->resid};
    pfx_ols_combination(m);
    pfx_status st = pfx_scores_run(&sc, err);
    if (st == PFX_OK) st = gather_outcome(m, f->fitted, left, err);
    for (pfx_idx i = 0; i < d->n && st == PFX_OK; i++) {
        f->row[i] = d->row ? d->row[i] : i;
        f->fitted[i] -= f->resid[i];
    }
    if (st == PFX_OK && !in_panel_order(d)) st = order_rows(d, f, err);
    if (st == PFX_OK && m->info->n_effects > 0) st = save_effects(m, left, err);
    pfx_mem_free(left);
    return st;
}
