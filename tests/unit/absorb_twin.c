#include "tests/unit/absorb_twin.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *get(pfx_idx n, size_t size)
{
    void *p = calloc((size_t)n + 1, size);
    if (!p) abort();
    return p;
}

double toy_uniform(uint64_t *s)
{
    uint64_t z = (*s += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* Number the levels in the order of their first row, as the design promises. */
static void renumber(pfx_factor *f, pfx_idx n)
{
    int32_t top = 0, *to;
    for (pfx_idx i = 0; i < n; i++) top = f->code[i] > top ? f->code[i] : top;
    to = get(top + 1, sizeof *to);
    f->n_levels = 0;
    for (pfx_idx i = 0; i < n; i++) {
        if (!to[f->code[i]]) to[f->code[i]] = (int32_t)++f->n_levels;
        f->code[i] = to[f->code[i]] - 1;
    }
    free(to);
}

static void draw_codes(const toy *t, int e, pfx_design *d, uint64_t *seed)
{
    const toy_effect *x = &t->effect[e];
    int32_t *code = d->absorbed[e].factor.code;

    for (pfx_idx i = 0; i < t->n; i++) switch (x->how) {
        case TOY_RUNS:
            code[i] = (int32_t)(i * x->levels / t->n);
            break;
        case TOY_NESTED:
            code[i] = (int32_t)(d->absorbed[0].factor.code[i] % x->levels);
            break;
        case TOY_SPLIT: /* two halves that share no level */
            code[i] = (int32_t)((double)(x->levels / 2) * toy_uniform(seed)) * 2 + (i >= t->n / 2);
            break;
        case TOY_CYCLE:
            code[i] = (int32_t)((i + (i * 7 + 3) / 11) % x->levels);
            break;
        default:
            code[i] = (int32_t)((double)x->levels * toy_uniform(seed));
            break;
        }
    if (x->how == TOY_RUNS) /* uneven, with levels of one row */
        for (pfx_idx i = 1; i < t->n; i++)
            if (toy_uniform(seed) < 0.3) code[i] = code[i - 1];
    if (x->how == TOY_RUNS)
        for (pfx_idx i = 1; i < t->n; i++)
            if (code[i] < code[i - 1]) code[i] = code[i - 1];
    renumber(&d->absorbed[e].factor, t->n);
}

pfx_design *toy_design(const toy *t)
{
    pfx_design *d = get(1, sizeof *d);
    uint64_t seed = t->seed;

    d->n = t->n, d->p = t->p, d->intercept = t->intercept;
    d->Z = get(t->n * t->p, sizeof *d->Z);
    d->name = get(t->p, sizeof *d->name);
    d->role = get(t->p, sizeof *d->role);
    for (int k = 0; k < t->p; k++) d->role[k] = k == t->p - 1 ? PFX_OUTCOME : PFX_REGRESSOR;
    d->row = get(t->n, sizeof *d->row);
    d->n_absorbed = t->n_effects;
    d->absorbed = get(t->n_effects, sizeof *d->absorbed);
    for (int e = 0; e < t->n_effects; e++) {
        pfx_absorbed *a = &d->absorbed[e];
        char name[16];
        snprintf(name, sizeof name, "f%d", e);
        a->factor.name = strdup(name);
        a->factor.code = get(t->n, sizeof *a->factor.code);
        draw_codes(t, e, d, &seed);
        a->intercept = t->effect[e].intercept;
        a->n_slopes = t->effect[e].n_slopes;
        a->slope = get(a->n_slopes, sizeof *a->slope);
        a->slope_name = get(a->n_slopes, sizeof *a->slope_name);
        for (int k = 0; k < a->n_slopes; k++) {
            a->slope[k] = get(t->n, sizeof **a->slope);
            a->slope_name[k] = strdup("x");
            for (pfx_idx i = 0; i < t->n; i++) {
                double u = toy_uniform(&seed);
                bool flat = a->factor.code[i] < t->effect[e].flat * (double)a->factor.n_levels;
                a->slope[k][i] = flat ? 2.5 : 3.0 + u;
            }
        }
    }
    for (pfx_idx i = 0; i < t->n; i++) {
        d->row[i] = i;
        for (int k = 0; k < t->p; k++) {
            double x = t->offset + toy_uniform(&seed);
            for (int e = 0; e < t->n_effects; e++)
                x += t->tilt * sin((double)(d->absorbed[e].factor.code[i] * (k + 1)));
            d->Z[i * t->p + k] = x;
        }
    }
    if (t->weights) {
        d->w = get(t->n, sizeof *d->w);
        for (pfx_idx i = 0; i < t->n; i++) d->w[i] = 0.2 + 3.0 * toy_uniform(&seed);
        d->weights_kind = PFX_W_ANALYTIC;
    }
    return d;
}

void toy_free(pfx_design *d)
{
    for (int e = 0; e < d->n_absorbed; e++) {
        for (int k = 0; k < d->absorbed[e].n_slopes; k++)
            free(d->absorbed[e].slope[k]), free(d->absorbed[e].slope_name[k]);
        free(d->absorbed[e].slope), free(d->absorbed[e].slope_name);
        free(d->absorbed[e].factor.name), free(d->absorbed[e].factor.code);
    }
    free(d->absorbed), free(d->Z), free(d->name), free(d->role), free(d->row), free(d->w), free(d);
}

/* Off the first m columns of Q [m][n], twice; the norms before and after. */
static long double off(pfx_idx n, pfx_idx m, const long double *Q, long double *x, long double *before)
{
    long double s = 0;
    for (pfx_idx i = 0; i < n; i++) s += x[i] * x[i];
    *before = sqrtl(s);
    for (int pass = 0; pass < 2; pass++)
        for (pfx_idx j = 0; j < m; j++) {
            const long double *q = Q + j * n;
            s = 0;
            for (pfx_idx i = 0; i < n; i++) s += q[i] * x[i];
            for (pfx_idx i = 0; i < n; i++) x[i] -= s * q[i];
        }
    s = 0;
    for (pfx_idx i = 0; i < n; i++) s += x[i] * x[i];
    return sqrtl(s);
}

/* Add sqrt(w) v restricted to level l of code as a column, unless it brings nothing new. */
static void add_column(const pfx_design *d, const int32_t *code, pfx_idx l, const double *v, twin *t)
{
    long double *x = t->effects + t->rank * d->n, before, left;
    for (pfx_idx i = 0; i < d->n; i++) {
        bool in = !code || code[i] == l;
        x[i] = in ? sqrtl(d->w ? d->w[i] : 1.0L) * (v ? v[i] : 1.0L) : 0.0L;
    }
    left = off(d->n, t->rank, t->effects, x, &before);
    if (left <= 1e-13L * before) return;
    for (pfx_idx i = 0; i < d->n; i++) x[i] /= left;
    t->rank++;
}

twin twin_project(const pfx_design *d, int p, const double *x)
{
    twin t = {0};
    pfx_idx K = 1;
    bool any = false;

    for (int e = 0; e < d->n_absorbed; e++)
        K += d->absorbed[e].factor.n_levels * (1 + d->absorbed[e].n_slopes);
    t.effects = get(K * d->n, sizeof *t.effects);
    t.resid = get(d->n * p, sizeof *t.resid);
    for (int e = 0; e < d->n_absorbed; e++) any |= d->absorbed[e].intercept;
    if (!any && d->intercept) add_column(d, NULL, 0, NULL, &t);
    for (int e = 0; e < d->n_absorbed; e++)
        for (pfx_idx l = 0; l < d->absorbed[e].factor.n_levels; l++) {
            if (d->absorbed[e].intercept) add_column(d, d->absorbed[e].factor.code, l, NULL, &t);
            for (int k = 0; k < d->absorbed[e].n_slopes; k++)
                add_column(d, d->absorbed[e].factor.code, l, d->absorbed[e].slope[k], &t);
        }
    long double *col = get(d->n, sizeof *col), before;
    for (int k = 0; k < p; k++) {
        for (pfx_idx i = 0; i < d->n; i++) col[i] = sqrtl(d->w ? d->w[i] : 1.0L) * x[i * p + k];
        off(d->n, t.rank, t.effects, col, &before);
        for (pfx_idx i = 0; i < d->n; i++) t.resid[i * p + k] = col[i] / sqrtl(d->w ? d->w[i] : 1.0L);
    }
    free(col);
    return t;
}

void twin_free(twin *t)
{
    free(t->resid), free(t->effects);
}
