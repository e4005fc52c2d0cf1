/* Moments in two passes over a block (mean, then squares about it), blocks merged pairwise in order: Chan,
 * Golub and LeVeque (1983). */
#include "src/report/summary_moments.h"

#include <math.h>
#include "src/base/mem.h"

static void merge(summary_moments *into, const summary_moments *x)
{
    if (x->n == 0) return;
    if (into->n == 0) {
        *into = *x;
        return;
    }
    const double n = (double)into->n, m = (double)x->n, d = x->mean - into->mean;
    into->mean += d * (m / (n + m));
    into->m2 += x->m2 + d * d * (n * m / (n + m));
    into->n += x->n;
    if (x->min < into->min) into->min = x->min;
    if (x->max > into->max) into->max = x->max;
}

static void add_one(summary_moments *into, double x)
{
    const summary_moments one = {1, x, 0, x, x};
    merge(into, &one);
}

pfx_status summary_acc_reserve(summary_acc *a, pfx_idx n, pfx_err *err)
{
    if (n <= a->cap) return PFX_OK;
    pfx_idx cap = 2 * a->cap > n ? 2 * a->cap : n;
    summary_group *group = pfx_mem_realloc(a->group, cap, sizeof *group, err);
    if (!group) return PFX_ENOMEM;
    a->group = group;
    summary_moments *part = pfx_mem_realloc(a->part, cap, sizeof *part, err);
    if (!part) return PFX_ENOMEM;
    a->part = part;
    int32_t *touched = pfx_mem_realloc(a->touched, cap, sizeof *touched, err);
    if (!touched) return PFX_ENOMEM;
    a->touched = touched;
    for (pfx_idx i = a->cap; i < cap; i++) {
        a->group[i] = (summary_group){.within_min = INFINITY, .within_max = -INFINITY};
        a->part[i] = (summary_moments){0};
    }
    a->cap = cap;
    return PFX_OK;
}

void summary_acc_free(summary_acc *a)
{
    pfx_mem_free(a->group);
    pfx_mem_free(a->part);
    pfx_mem_free(a->touched);
    *a = (summary_acc){0};
}

/* Fill part[] from some rows: sums, then mean. Returns the number of groups touched. */
static int32_t part_means(summary_acc *a, pfx_idx n, const double *x, const int32_t *g)
{
    int32_t n_touched = 0;
    for (pfx_idx i = 0; i < n; i++) {
        if (g[i] < 0 || !isfinite(x[i])) continue;
        summary_moments *p = &a->part[g[i]];
        if (p->n == 0) {
            summary_group *s = &a->group[g[i]];
            if (!s->started) s->started = true, s->shift = x[i];
            *p = (summary_moments){0, 0, 0, x[i], x[i]};
            a->touched[n_touched++] = g[i];
        }
        p->n++;
        p->mean += x[i] - a->group[g[i]].shift;
        if (x[i] < p->min) p->min = x[i];
        if (x[i] > p->max) p->max = x[i];
    }
    for (int32_t k = 0; k < n_touched; k++) a->part[a->touched[k]].mean /= (double)a->part[a->touched[k]].n;
    return n_touched;
}

void summary_acc_rows(summary_acc *a, pfx_idx n, const double *x, const int32_t *g)
{
    const int32_t n_touched = part_means(a, n, x, g);
    for (pfx_idx i = 0; i < n; i++) {
        if (g[i] < 0) continue;
        if (!isfinite(x[i])) {
            a->group[g[i]].missing++;
            continue;
        }
        const double d = x[i] - a->group[g[i]].shift - a->part[g[i]].mean;
        a->part[g[i]].m2 += d * d;
    }
    for (int32_t k = 0; k < n_touched; k++) {
        const int32_t j = a->touched[k];
        merge(&a->group[j].all, &a->part[j]);
        a->part[j].n = 0;
    }
}

void summary_acc_units(summary_acc *a, const double *x, const int32_t *g, pfx_idx n_units,
                       const pfx_idx *start)
{
    for (pfx_idx u = 0; u < n_units; u++) {
        const pfx_idx from = start[u], n = start[u + 1] - from;
        const int32_t n_touched = part_means(a, n, x + from, g + from);
        for (pfx_idx i = from; i < from + n; i++) {
            if (g[i] < 0 || !isfinite(x[i])) continue;
            summary_group *s = &a->group[g[i]];
            const double d = x[i] - s->shift - a->part[g[i]].mean;
            s->within_m2 += d * d;
            if (d < s->within_min) s->within_min = d;
            if (d > s->within_max) s->within_max = d;
        }
        for (int32_t k = 0; k < n_touched; k++) {
            const int32_t j = a->touched[k];
            add_one(&a->group[j].unit, a->part[j].mean);
            a->part[j].n = 0;
        }
    }
}

static double sd(double m2, pfx_idx n)
{
    return n > 1 ? sqrt(m2 / (double)(n - 1)) : NAN;
}

void summary_acc_finish(const summary_group *g, bool panel, pfx_summary_cell *c)
{
    const bool any = g->all.n > 0;
    *c = (pfx_summary_cell){.n = g->all.n,
                            .missing = g->missing,
                            .min = any ? g->all.min : NAN,
                            .max = any ? g->all.max : NAN,
                            .mean = any ? g->shift + g->all.mean : NAN,
                            .sd = sd(g->all.m2, g->all.n)};
    c->min_between = c->max_between = c->min_within = c->max_within = c->t_bar = NAN;
    c->sd_between = c->sd_within = NAN;
    if (!panel || !any) return;
    c->units = g->unit.n;
    c->min_between = g->shift + g->unit.min;
    c->max_between = g->shift + g->unit.max;
    c->sd_between = sd(g->unit.m2, g->unit.n);
    c->min_within = c->mean + g->within_min;
    c->max_within = c->mean + g->within_max;
    c->sd_within = sd(g->within_m2, g->all.n);
    c->t_bar = (double)g->all.n / (double)g->unit.n;
}
