/* What a fit keeps for each row and each level of an effect. */
#include "src/est/ols_private.h"

#include <stdlib.h>
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

/* Rows of the design in panel order. */
static row_at *panel_order(const pfx_design *d, pfx_err *err)
{
    row_at *order = pfx_mem_alloc(d->n, sizeof *order, err);
    bool sorted = true;
    if (!order) return NULL;
    for (pfx_idx i = 0; i < d->n; i++) {
        order[i] = (row_at){d->row ? d->row[i] : i, i};
        sorted = sorted && (i == 0 || order[i - 1].row < order[i].row);
    }
    if (!sorted) qsort(order, (size_t)d->n, sizeof *order, by_row);
    return order;
}

static pfx_status save_rows(pfx_ols *m, const double *e, pfx_err *err)
{
    const pfx_design *d = m->d;
    pfx_fit *f = m->f;
    row_at *order = panel_order(d, err);
    f->row = pfx_mem_alloc(d->n, sizeof *f->row, err);
    f->resid = pfx_mem_alloc(d->n, sizeof *f->resid, err);
    f->fitted = pfx_mem_alloc(d->n, sizeof *f->fitted, err);
    if (!order || !f->row || !f->resid || !f->fitted) {
        pfx_mem_free(order);
        return PFX_ENOMEM;
    }
    for (pfx_idx i = 0; i < d->n; i++) {
        pfx_idx at = order[i].at;
        f->row[i] = order[i].row;
        f->resid[i] = e[at];
        f->fitted[i] = d->Z[at * m->p + m->p - 1] - e[at];
    }
    pfx_mem_free(order);
    return PFX_OK;
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

static pfx_status save_effects(pfx_ols *m, double *r, pfx_err *err)
{
    const pfx_design *d = m->d;
    int n_effects = m->info->n_effects;
    double **alpha = pfx_mem_calloc(n_effects, sizeof *alpha, err);
    m->f->saved = pfx_mem_calloc(n_effects, sizeof *m->f->saved, err);
    pfx_status st = alpha && m->f->saved ? allocate_effects(m, alpha, err) : PFX_ENOMEM;
    if (st == PFX_OK) {
        for (pfx_idx i = 0; i < d->n; i++) {
            const double *z = d->Z + i * m->p;
            r[i] = z[m->p - 1];
            for (int j = 0; j < m->s->k; j++) r[i] -= z[m->s->keep[j]] * m->s->b[j];
        }
        st = pfx_absorber_effects(m->a, r, alpha, err);
    }
    pfx_mem_free(alpha);
    return st;
}

pfx_status pfx_ols_save(pfx_ols *m, pfx_err *err)
{
    double *e = pfx_mem_alloc(m->d->n, sizeof *e, err);
    if (!e) return PFX_ENOMEM;
    pfx_scores sc = {.d = m->d,
                     .a = m->a,
                     .c = m->c,
                     .nth = m->o->nth,
                     .isa = m->o->isa,
                     .gradient = m->gradient,
                     .ssr = &m->ssr,
                     .resid = e};
    pfx_ols_combination(m);
    pfx_status st = pfx_scores_run(&sc, err);
    if (st == PFX_OK) st = save_rows(m, e, err);
    if (st == PFX_OK && m->info->n_effects > 0) st = save_effects(m, e, err);
    pfx_mem_free(e);
    return st;
}
