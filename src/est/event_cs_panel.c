/* Rows of a design by unit and period. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/ascending.h"
#include "src/base/mem.h"
#include "src/est/event_cs_private.h"
#include "src/model/design.h"

static int find_period(const cs_panel *p, double time)
{
    int low = 0, high = p->n_periods - 1;
    while (low < high) {
        int mid = (low + high) / 2;
        if (p->period[mid] < time)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static pfx_status list_periods(cs_panel *p, pfx_err *err)
{
    pfx_idx n = p->d->n;
    if (!(p->period = pfx_mem_alloc(n + 1, sizeof *p->period, err))) return PFX_ENOMEM;
    memcpy(p->period, p->d->time, (size_t)n * sizeof *p->period);
    qsort(p->period, (size_t)n, sizeof *p->period, pfx_ascending);
    for (pfx_idx i = 0; i < n; i++)
        if (i == 0 || p->period[i] != p->period[i - 1]) p->period[p->n_periods++] = p->period[i];
    return PFX_OK;
}

/* Cells are told by the rows' units; a cluster must not cut through a unit. */
static pfx_status list_units(cs_panel *p, pfx_err *err)
{
    const pfx_event_timing *t = p->timing;
    const pfx_design *d = p->d;
    pfx_idx u = 0, last = -1, n = 0;
    for (pfx_idx i = 0; i < d->n; i++) {
        u = pfx_event_unit(t, d->row[i], u);
        if (isnan(t->cohort[u])) continue;
        n += u != last;
        last = u;
    }
    p->unit = pfx_mem_alloc(n + 1, sizeof *p->unit, err);
    p->cohort = pfx_mem_alloc(n + 1, sizeof *p->cohort, err);
    p->cluster = pfx_mem_alloc(n + 1, sizeof *p->cluster, err);
    p->row = pfx_mem_alloc(n * p->n_periods + 1, sizeof *p->row, err);
    if (!p->unit || !p->cohort || !p->cluster || !p->row) return PFX_ENOMEM;
    for (pfx_idx k = 0; k < n * p->n_periods; k++) p->row[k] = -1;
    u = 0;
    for (pfx_idx i = 0; i < d->n; i++) {
        u = pfx_event_unit(t, d->row[i], u);
        if (isnan(t->cohort[u])) continue;
        int32_t cluster = d->n_clusters ? d->clusters[0].code[i] : (int32_t)p->n;
        if (p->n == 0 || p->unit[p->n - 1] != u) {
            int g = pfx_event_cohort(t, t->cohort[u]);
            p->unit[p->n] = u;
            p->cohort[p->n] = g < t->n_cohorts ? g : -1;
            p->cluster[p->n++] = cluster;
        } else if (d->n_clusters && p->cluster[p->n - 1] != cluster)
            return pfx_fail(
                err, PFX_EDATA,
                "cluster variable %s varies within a unit (panel row %lld): a unit's changes belong to one "
                "cluster",
                d->clusters[0].name, (long long)d->row[i] + 1);
        p->row[(p->n - 1) * p->n_periods + find_period(p, d->time[i])] = i;
    }
    p->by_unit = !d->n_clusters || d->clusters[0].n_levels == p->n;
    p->n_clusters = p->by_unit ? p->n : d->clusters[0].n_levels;
    return PFX_OK;
}

static pfx_status keep_balanced(cs_panel *p, pfx_err *err)
{
    pfx_idx n = 0, used = 0;
    int32_t *number = pfx_mem_calloc(p->n_clusters, sizeof *number, err); /* of those with a unit left, from 1 */
    if (!number) return PFX_ENOMEM;
    for (pfx_idx i = 0; i < p->n; i++) {
        bool whole = true;
        for (int t = 0; t < p->n_periods; t++) whole &= p->row[i * p->n_periods + t] >= 0;
        if (!whole) continue;
        memmove(p->row + n * p->n_periods, p->row + i * p->n_periods, (size_t)p->n_periods * sizeof *p->row);
        p->unit[n] = p->unit[i];
        p->cohort[n] = p->cohort[i];
        if (!number[p->cluster[i]]) number[p->cluster[i]] = (int32_t)++used;
        p->cluster[n++] = number[p->cluster[i]] - 1;
    }
    p->n_unbalanced = p->n - n;
    p->n = n;
    p->n_clusters = used;
    pfx_mem_free(number);
    return PFX_OK;
}

pfx_status cs_panel_make(const pfx_event_timing *t, const pfx_design *d, bool balanced, cs_panel *out,
                         pfx_err *err)
{
    *out = (cs_panel){.timing = t, .d = d};
    pfx_status st = list_periods(out, err);
    if (st == PFX_OK) st = list_units(out, err);
    if (st == PFX_OK && balanced) st = keep_balanced(out, err);
    if (st == PFX_OK && !(out->size = pfx_mem_calloc(t->n_cohorts + 1, sizeof *out->size, err)))
        st = PFX_ENOMEM;
    for (pfx_idx i = 0; i < out->n && st == PFX_OK; i++)
        if (out->cohort[i] >= 0) out->size[out->cohort[i]]++;
    if (st != PFX_OK) cs_panel_free(out);
    return st;
}

void cs_panel_free(cs_panel *p)
{
    pfx_mem_free(p->period);
    pfx_mem_free(p->unit);
    pfx_mem_free(p->cohort);
    pfx_mem_free(p->cluster);
    pfx_mem_free(p->row);
    pfx_mem_free(p->size);
    *p = (cs_panel){0};
}
