#include "src/est/event_bacon.h"

#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/model/design.h"

const char *const pfx_bacon_type_names[PFX_BACON_TYPES + 1] = {
    "treated vs never treated", "earlier vs later treated", "later vs earlier treated",
    "treated vs always treated", NULL};

/* Groups of units by the number of periods before their treatment: 0 always, T never treated. */
typedef struct groups {
    int T;
    double *period; /* [T] */
    pfx_idx *n;     /* [T + 1] units */
    double *mean;   /* [T + 1][T] of the outcome */
    pfx_idx units;
} groups;

static void groups_free(groups *g)
{
    pfx_mem_free(g->period);
    pfx_mem_free(g->n);
    pfx_mem_free(g->mean);
}

/* One unit's rows from `from` on; returns the row after them. */
static pfx_idx add_unit(const pfx_design *d, groups *g, pfx_idx from)
{
    int before = 0;
    pfx_idx to = from + g->T;
    for (pfx_idx i = from; i < to; i++) before += d->Z[i * 2] == 0;
    /* From the first row's outcome: differences do not see it, and a large common level costs no digits. */
    for (pfx_idx i = from; i < to; i++) g->mean[(pfx_idx)before * g->T + (i - from)] += d->Z[i * 2 + 1] - d->Z[1];
    g->n[before]++;
    g->units++;
    return to;
}

/* Every unit has the periods of the whole sample: with as many rows as there are periods each, in ascending
 * order, it is so. */
static pfx_status check_balanced(const pfx_design *d, pfx_err *err)
{
    const pfx_factor *unit = &d->absorbed[0].factor, *time = &d->absorbed[1].factor;
    pfx_idx rows = 0, less = 0, units = unit->n_levels;
    for (pfx_idx i = 0; i < d->n; i++) {
        rows++;
        if (i + 1 < d->n && unit->code[i + 1] == unit->code[i]) continue;
        less += rows < time->n_levels;
        rows = 0;
    }
    if (less == 0) return PFX_OK;
    return pfx_fail(err, PFX_EDATA,
                    "the panel is not balanced: %lld of %lld units are not seen in all %lld periods of the "
                    "sample, and the decomposition holds for balanced panels alone; leave them out with "
                    "--balanced, or use --method twfe, which gives the weights of any panel",
                    (long long)less, (long long)units, (long long)time->n_levels);
}

/* Codes of the rows that stay, numbered anew in the order of first rows. */
static pfx_status keep_codes(pfx_idx n, const unsigned char *keep, pfx_factor *f, pfx_err *err)
{
    pfx_idx to = 0, levels = 0;
    int32_t *map = pfx_mem_alloc(f->n_levels + 1, sizeof *map, err);
    if (!map) return PFX_ENOMEM;
    memset(map, 0xff, (size_t)f->n_levels * sizeof *map);
    for (pfx_idx i = 0; i < n; i++) {
        if (!keep[i]) continue;
        int32_t *l = &map[f->code[i]];
        if (*l < 0) *l = (int32_t)levels++;
        f->code[to++] = *l;
    }
    f->n_levels = levels;
    pfx_mem_free(map);
    return PFX_OK;
}

/* Once for each array of codes, which effects and clusters may share. */
static pfx_status keep_factors(pfx_design *d, const unsigned char *keep, pfx_err *err)
{
    pfx_factor *f[2 + d->n_clusters];
    int n = 0;
    for (int e = 0; e < 2; e++) f[n++] = &d->absorbed[e].factor;
    for (int c = 0; c < d->n_clusters; c++) f[n++] = &d->clusters[c];
    for (int i = 0; i < n; i++) {
        int like = 0;
        while (f[like]->code != f[i]->code) like++;
        pfx_status st = like == i ? keep_codes(d->n, keep, f[i], err) : PFX_OK;
        if (st != PFX_OK) return st;
        f[i]->n_levels = f[like]->n_levels;
    }
    return PFX_OK;
}

/* The rows of units that are seen in every period. */
static pfx_status keep_balanced(pfx_design *d, pfx_idx *n_dropped, pfx_err *err)
{
    const int32_t *unit = d->absorbed[0].factor.code;
    pfx_idx periods = d->absorbed[1].factor.n_levels, to = 0;
    unsigned char *keep = pfx_mem_calloc(d->n + 1, 1, err);
    if (!keep) return PFX_ENOMEM;
    for (pfx_idx i = 0, from = 0; i < d->n; i++) {
        if (i + 1 < d->n && unit[i + 1] == unit[i]) continue;
        bool whole = i + 1 - from == periods;
        memset(keep + from, whole, (size_t)(i + 1 - from));
        *n_dropped += !whole;
        from = i + 1;
    }
    pfx_status st = keep_factors(d, keep, err);
    for (pfx_idx i = 0; i < d->n && st == PFX_OK; i++) {
        if (!keep[i]) continue;
        memmove(d->Z + to * 2, d->Z + i * 2, 2 * sizeof *d->Z);
        d->time[to] = d->time[i];
        if (d->row) d->row[to] = d->row[i];
        to++;
    }
    if (st == PFX_OK) d->n = to;
    pfx_mem_free(keep);
    if (st == PFX_OK && to == 0)
        st =
            pfx_fail(err, PFX_EDATA, "no unit is seen in all %lld periods of the sample", (long long)periods);
    return st;
}

static pfx_status gather(const pfx_design *d, groups *g, pfx_err *err)
{
    pfx_status st = check_balanced(d, err);
    if (st != PFX_OK) return st;
    g->T = (int)d->absorbed[1].factor.n_levels;
    g->period = pfx_mem_alloc(g->T, sizeof *g->period, err);
    g->n = pfx_mem_calloc(g->T + 1, sizeof *g->n, err);
    g->mean = pfx_mem_calloc((pfx_idx)(g->T + 1) * g->T, sizeof *g->mean, err);
    if (!g->period || !g->n || !g->mean) return PFX_ENOMEM;
    for (int t = 0; t < g->T; t++) g->period[t] = d->time[t];
    for (pfx_idx i = 0; i < d->n;) i = add_unit(d, g, i);
    for (int k = 0; k <= g->T; k++)
        for (int t = 0; t < g->T && g->n[k]; t++) g->mean[k * g->T + t] /= (double)g->n[k];
    return PFX_OK;
}

/* Mean of group k's outcome over periods a .. b - 1. */
static double span(const groups *g, int k, int a, int b)
{
    double sum = 0;
    for (int t = a; t < b; t++) sum += g->mean[k * g->T + t];
    return sum / (b - a);
}

/* Group k, treated from period k on, against group c over the periods a .. b - 1. */
static double difference(const groups *g, int k, int c, int a, int b)
{
    return span(g, k, k, b) - span(g, k, a, k) - (span(g, c, k, b) - span(g, c, a, k));
}

/* Mean square of the treatment less its means by unit and period. */
static double variance(const groups *g)
{
    double sum = 0;
    for (int t = 0; t < g->T; t++) {
        double by_time = 0, all = 0;
        for (int k = 0; k <= g->T; k++) {
            by_time += (double)g->n[k] * (t >= k);
            all += (double)g->n[k] * (g->T - k) / g->T;
        }
        for (int k = 0; k <= g->T; k++) {
            double x = (t >= k) - (double)(g->T - k) / g->T - (by_time - all) / (double)g->units;
            sum += (double)g->n[k] * x * x;
        }
    }
    return sum / ((double)g->units * g->T);
}

/* Groups k < c by their numbers of periods before treatment, k's share of the time in treatment above c's.
 * which: the earlier one is treated and the later, or never treated, the control; or the other way round. */
static void add_pair(const groups *g, pfx_bacon_result *r, double V, int k, int c, bool later)
{
    double n_k = (double)g->n[k] / (double)g->units, n_c = (double)g->n[c] / (double)g->units, n = n_k + n_c,
           share = n_k / n;
    double D_k = (double)(g->T - k) / g->T, D_c = (double)(g->T - c) / g->T;
    bool never = c == g->T, always = k == 0;
    if (later ? never : always) return; /* no switch of the treated group */
    pfx_bacon_pair p = {.type = never    ? PFX_BACON_NEVER
                                : !later ? PFX_BACON_EARLIER
                                : always ? PFX_BACON_ALWAYS
                                         : PFX_BACON_LATER};
    double control = later ? (always ? -INFINITY : g->period[k]) : (never ? INFINITY : g->period[c]);
    p.treated = g->period[later ? c : k];
    p.control = control;
    p.n_treated = g->n[later ? c : k];
    p.n_control = g->n[later ? k : c];
    if (later) { /* c switches while k is treated: over the periods k .. T - 1 */
        p.weight = n * n * share * (1 - share) * D_c * (D_k - D_c) / V;
        p.estimate = difference(g, c, k, k, g->T);
    } else { /* k switches while c is not treated: over the periods 0 .. c - 1 */
        p.weight = n * n * share * (1 - share) * (D_k - D_c) * (1 - D_k) / V;
        p.estimate = difference(g, k, c, 0, c);
    }
    r->pair[r->n++] = p;
}

static pfx_status decompose(const groups *g, pfx_bacon_result *r, pfx_err *err)
{
    int K = 0, at = 0;
    for (int k = 0; k <= g->T; k++) K += g->n[k] > 0;
    double V = variance(g);
    if (K < 2 || !(V > 0))
        return pfx_fail(
            err, PFX_EDATA,
            "nothing to compare: all units of the sample are treated in the same periods, or none");
    pfx_bacon_pair *all = pfx_mem_alloc((pfx_idx)K * K, sizeof *all, err);
    r->pair = pfx_mem_alloc((pfx_idx)K * K, sizeof *r->pair, err);
    if (!all || !r->pair) {
        pfx_mem_free(all);
        return PFX_ENOMEM;
    }
    for (int k = 0; k <= g->T; k++)
        for (int c = k + 1; c <= g->T; c++)
            for (int later = 0; later < 2 && g->n[k] && g->n[c]; later++) add_pair(g, r, V, k, c, later);
    memcpy(all, r->pair, (size_t)r->n * sizeof *all);
    for (int type = 0; type < PFX_BACON_TYPES; type++) {
        double weight = 0, sum = 0;
        for (int i = 0; i < r->n; i++) {
            if ((int)all[i].type != type) continue;
            weight += all[i].weight;
            sum += all[i].weight * all[i].estimate;
            r->pair[at++] = all[i];
        }
        r->total[type].weight = weight;
        r->total[type].estimate = weight > 0 ? sum / weight : NAN;
        r->sum += sum;
    }
    pfx_mem_free(all);
    return PFX_OK;
}

pfx_status pfx_bacon_fit(pfx_design *d, bool balanced, const pfx_fit_options *o, pfx_bacon_result *out,
                         pfx_err *err)
{
    groups g = {0};
    *out = (pfx_bacon_result){0};
    pfx_status st = balanced ? keep_balanced(d, &out->n_dropped, err) : PFX_OK;
    if (st == PFX_OK) st = gather(d, &g, err);
    out->n_units = g.units;
    out->n_periods = g.T;
    if (st == PFX_OK) st = decompose(&g, out, err);
    if (st == PFX_OK) st = pfx_fit_ols(d, o, &out->fit, err);
    groups_free(&g);
    if (st != PFX_OK) pfx_bacon_result_clear(out);
    return st;
}

void pfx_bacon_result_clear(pfx_bacon_result *r)
{
    pfx_mem_free(r->pair);
    pfx_fit_free(r->fit);
    *r = (pfx_bacon_result){0};
}
