#include "src/est/hac.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/model/design.h"

/* Clustered meats of one pass over the rows. */
enum { TOGETHER = 2 };

typedef struct moment {
    double time;
    int32_t level;
} moment;

static int by_time(const void *a, const void *b)
{
    const moment *x = a, *y = b;
    return (x->time > y->time) - (x->time < y->time);
}

static pfx_status rank_periods(const pfx_design *d, pfx_hac *h, pfx_err *err)
{
    pfx_idx T = h->n_periods;
    moment *at = pfx_mem_alloc(T, sizeof *at, err);
    h->rank = pfx_mem_alloc(T, sizeof *h->rank, err);
    if (!at || !h->rank) {
        pfx_mem_free(at);
        return PFX_ENOMEM;
    }
    for (pfx_idx i = 0; i < d->n; i++) at[h->period->code[i]] = (moment){d->time[i], h->period->code[i]};
    qsort(at, (size_t)T, sizeof *at, by_time);
    for (pfx_idx t = 0; t < T; t++) h->rank[at[t].level] = (int32_t)t;
    pfx_mem_free(at);
    return PFX_OK;
}

static pfx_status check_pairs(const pfx_hac *h, pfx_err *err)
{
    pfx_factor cells = {0};
    if (!h->unit) return PFX_OK;
    pfx_status st = pfx_cluster_intersect(h->n, h->unit, h->period, &cells, err);
    if (st == PFX_OK && cells.n_levels < h->n)
        st = pfx_fail(err, PFX_EDATA,
                      "--vcov nw: some %s has several rows in one %s (%lld rows, %lld pairs); take --vcov "
                      "dk, or leave rows "
                      "out with --where",
                      h->unit->name, h->period->name, (long long)h->n, (long long)cells.n_levels);
    pfx_factor_clear(&cells);
    return st;
}

pfx_status pfx_hac_create(const pfx_design *d, pfx_vcov_type type, pfx_idx lag, pfx_hac *out, pfx_err *err)
{
    int want = pfx_vcov_n_clusters(type);
    *out = (pfx_hac){.n = d->n};
    if (!d->time || d->n_clusters < want)
        return pfx_fail(err, PFX_EUSAGE, "--vcov %s needs the panel's unit and time", pfx_vcov_name(type));
    out->unit = type == PFX_VCOV_NW ? &d->clusters[0] : NULL;
    out->period = &d->clusters[want - 1];
    out->n_periods = out->period->n_levels;
    while (lag < 0 && (out->lag + 1) * (out->lag + 1) * (out->lag + 1) * (out->lag + 1) <= out->n_periods)
        out->lag++;
    if (lag >= 0) out->lag = lag;
    if (out->lag >= out->n_periods)
        return pfx_fail(err, PFX_EDATA,
                        "--vcov %s(%lld): the rows used have %lld periods of %s; the lag is at most %lld",
                        pfx_vcov_name(type), (long long)lag, (long long)out->n_periods, out->period->name,
                        (long long)out->n_periods - 1);
    pfx_status st = rank_periods(d, out, err);
    return st == PFX_OK ? check_pairs(out, err) : st;
}

void pfx_hac_clear(pfx_hac *h)
{
    pfx_mem_free(h->rank);
    *h = (pfx_hac){0};
}

/* Clusters: windows of lag + 1 periods, the first one cut by `offset`; within units where there are any. */
static pfx_status make_windows(const pfx_hac *h, pfx_idx offset, pfx_factor *out, pfx_err *err)
{
    pfx_status st = PFX_OK;
    pfx_factor window = {.n_levels = (h->n_periods - 1 + offset) / (h->lag + 1) + 1,
                         .code = pfx_mem_alloc(h->n, sizeof *window.code, err)};
    *out = (pfx_factor){0};
    if (!window.code) return PFX_ENOMEM;
    for (pfx_idx i = 0; i < h->n; i++)
        window.code[i] = (int32_t)((h->rank[h->period->code[i]] + offset) / (h->lag + 1));
    if (!h->unit) {
        *out = window;
        return PFX_OK;
    }
    st = pfx_cluster_intersect(h->n, h->unit, &window, out, err);
    pfx_factor_clear(&window);
    return st;
}

pfx_status pfx_hac_meat(const pfx_hac *h, pfx_scores *s, double *M, double *work, pfx_err *err)
{
    pfx_status st = PFX_OK;
    pfx_idx q = (s->map ? s->map->width : s->d->p) + 1, qq = q * q;
    memset(M, 0, (size_t)qq * sizeof *M);
    for (pfx_idx offset = 0; offset <= h->lag && st == PFX_OK; offset += TOGETHER) {
        pfx_factor f[TOGETHER] = {{0}};
        s->n_meats = 0;
        for (pfx_idx o = offset; o <= h->lag && o < offset + TOGETHER && st == PFX_OK; o++) {
            int m = s->n_meats++;
            st = make_windows(h, o, &f[m], err);
            s->meat[m] = (pfx_meat){&f[m], work + m * qq};
        }
        if (st == PFX_OK) st = pfx_scores_run(s, err);
        for (int m = 0; m < s->n_meats && st == PFX_OK; m++)
            for (pfx_idx i = 0; i < qq; i++) M[i] += s->meat[m].M[i];
        for (int m = 0; m < TOGETHER; m++) pfx_factor_clear(&f[m]);
    }
    s->n_meats = 0;
    for (pfx_idx i = 0; i < qq; i++) M[i] /= (double)(h->lag + 1);
    return st;
}
