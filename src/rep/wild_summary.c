#include "src/rep/wild_summary.h"

#include <math.h>
#include "kernels/wild.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/rep/intervals.h"

const char *const pfx_wild_p_names[] = {"symmetric", "equal-tailed", "left", "right", NULL};

/* Draws are drawn from few values where clusters are few: closer than this, relatively, is equal. */
static const double TIE = 1e-9;
enum { BLOCK = 16384 /* draws */, ABOVE = 0, RIGHT = 1, LEFT = 2, ALL = 3 };
/* The grid, in standard errors: step, reach, and where the search ends. */
static const double STEP = 0.25, REACH = 8, END = 1000, PRECISION = 1e-9, COARSE = 1e-6;

typedef struct curve {
    const pfx_wild_in *in;
    double *poly[5]; /* [reps] each */
    double alpha;
    double *count; /* [blocks x 4] */
    double x;
    pfx_k_wild_bounds bounds;
    pfx_status st; /* of p_at: after a failure nothing is rejected any more */
    pfx_err *err;
} curve;

static pfx_k_wild_bounds bounds_of(double t, double tie)
{
    double above = fabs(t) * (1 + tie), slack = fabs(t) * tie;
    return (pfx_k_wild_bounds){.above = above * above, .right = t + slack, .left = t - slack};
}

int pfx_wild_beyond(double draw, double t, pfx_wild_p kind)
{
    pfx_k_wild_bounds b = bounds_of(t, TIE);
    if (kind == PFX_P_LEFT) return draw < b.left;
    if (kind == PFX_P_RIGHT) return draw > b.right;
    return draw * draw > b.above;
}

double pfx_wild_t(double n0, double n1, double d0, double d1, double d2, double x)
{
    double var = d0 + x * (d1 + x * d2);
    return var > 0 ? (n0 + x * n1) / sqrt(var) : NAN;
}

static void p_values(const double count[4], double p[PFX_P_KINDS])
{
    double n = count[ALL];
    p[PFX_P_SYMMETRIC] = count[ABOVE] / n;
    p[PFX_P_LEFT] = count[LEFT] / n;
    p[PFX_P_RIGHT] = count[RIGHT] / n;
    p[PFX_P_EQUAL_TAILED] = fmin(1, 2 * fmin(p[PFX_P_LEFT], p[PFX_P_RIGHT]));
}

static void count_block(void *ctx, pfx_idx b, int thread)
{
    curve *c = ctx;
    (void)thread;
    pfx_idx from = b * BLOCK, n = c->in->reps - from < BLOCK ? c->in->reps - from : BLOCK;
    const double *poly[5];
    for (int i = 0; i < 5; i++) poly[i] = c->poly[i] + from;
    for (int i = 0; i < 4; i++) c->count[4 * b + i] = 0;
    pfx_k_wild_count(c->in->isa, n, poly, c->x, &c->bounds, c->count + 4 * b);
}

/* Is the null estimate + x se rejected? */
static bool rejected(curve *c, double x_se)
{
    double total[4] = {0}, p[PFX_P_KINDS];
    pfx_idx blocks = (c->in->reps + BLOCK - 1) / BLOCK;
    if (c->in->p_at) {
        double at = 0;
        if (c->st == PFX_OK)
            c->st = c->in->p_at(c->in->p_ctx, c->in->estimate + x_se * c->in->std_error, &at, c->err);
        return c->st == PFX_OK && !(at >= c->alpha * (1 - TIE));
    }
    c->x = x_se * c->in->std_error;
    c->bounds = bounds_of(-x_se, TIE);
    pfx_par_for(blocks, c->in->nth, count_block, c);
    for (pfx_idx b = 0; b < blocks; b++)
        for (int i = 0; i < 4; i++) total[i] += c->count[4 * b + i];
    p_values(total, p);
    return !(p[c->in->kind] >= c->alpha * (1 - TIE));
}

/* Where acceptance changes between two points, in standard errors. */
static double edge(curve *c, double a, double b, bool rejected_a)
{
    while (b - a > (c->in->p_at ? COARSE : PRECISION)) {
        double m = 0.5 * (a + b);
        if (rejected(c, m) == rejected_a)
            a = m;
        else
            b = m;
    }
    return 0.5 * (a + b);
}

static void add_edge(const curve *c, pfx_wild_out *out, double x, bool opens)
{
    double value = c->in->estimate + x * c->in->std_error;
    if (opens && out->n_sets < PFX_WILD_MAX_SETS) out->low[out->n_sets] = value;
    if (opens) return;
    if (out->n_sets < PFX_WILD_MAX_SETS)
        out->n_sets++; /* more than there is room for are one with the last */
    out->high[out->n_sets - 1] = value;
}

/* Points of the search, ascending: doubling, the grid, doubling. */
static double point_after(double x)
{
    if (x < -REACH) return x / 2 > -REACH ? -REACH : x / 2;
    if (x < REACH) return x + STEP;
    return 2 * x;
}

static void search(curve *c, pfx_wild_out *out)
{
    double x = -REACH;
    while (x > -END) x *= 2;
    bool was = rejected(c, x);
    if (!was) add_edge(c, out, -INFINITY, true);
    while (x < END) {
        double next = point_after(x);
        bool now = rejected(c, next);
        if (now != was) add_edge(c, out, edge(c, x, next, was), was);
        was = now;
        x = next;
    }
    if (!was) add_edge(c, out, INFINITY, false);
}

static pfx_status invert(const pfx_wild_in *in, pfx_wild_out *out, pfx_err *err)
{
    const double *const from[5] = {in->n0, in->n1, in->d0, in->d1, in->d2};
    pfx_status st = PFX_ENOMEM;
    curve c = {.in = in, .alpha = 1 - in->level, .err = err};
    if (in->p_at) {
        search(&c, out);
        return c.st;
    }
    c.count = pfx_mem_alloc(4 * ((in->reps + BLOCK - 1) / BLOCK), sizeof *c.count, err);
    double *own = in->stride > 1 ? pfx_mem_alloc(5 * in->reps, sizeof *own, err) : NULL;
    if (!c.count || (in->stride > 1 && !own)) goto done;
    for (int i = 0; i < 5; i++) {
        c.poly[i] = own ? own + i * in->reps : (double *)from[i];
        for (pfx_idx r = 0; own && r < in->reps; r++) c.poly[i][r] = from[i][r * in->stride];
    }
    search(&c, out);
    st = PFX_OK;
done:
    pfx_mem_free(c.count);
    pfx_mem_free(own);
    return st;
}

static void count_all(const pfx_wild_in *in, double tie, double count[4])
{
    pfx_k_wild_bounds b = bounds_of(in->statistic, tie);
    for (pfx_idx r = 0; r < in->reps; r++) {
        double t = in->t[r * in->stride];
        if (isnan(t)) continue;
        count[ABOVE] += t * t > b.above;
        count[RIGHT] += t > b.right;
        count[LEFT] += t < b.left;
        count[ALL]++;
    }
}

pfx_status pfx_wild_summarise(const pfx_wild_in *in, pfx_wild_out *out, pfx_err *err)
{
    double strict[4] = {0}, loose[4] = {0}, with_ties[PFX_P_KINDS];
    *out = (pfx_wild_out){0};
    count_all(in, TIE, strict);
    count_all(in, -TIE, loose);
    out->valid = (pfx_idx)strict[ALL];
    if (out->valid == 0) return PFX_OK;
    p_values(strict, out->p);
    p_values(loose, with_ties);
    out->p_value = out->p[in->kind];
    out->p_value_ties = with_ties[in->kind];
    int at = in->kind == PFX_P_SYMMETRIC ? ABOVE
             : in->kind == PFX_P_LEFT || (in->kind == PFX_P_EQUAL_TAILED && strict[LEFT] < strict[RIGHT])
                 ? LEFT
                 : RIGHT;
    out->count = (pfx_idx)strict[at];
    out->ties = (pfx_idx)(loose[at] - strict[at]);
    pfx_share_interval(strict[at], strict[ALL], in->level, &out->p_low, &out->p_high);
    if (in->kind == PFX_P_EQUAL_TAILED) {
        out->p_low = fmin(1, 2 * out->p_low);
        out->p_high = fmin(1, 2 * out->p_high);
    }
    return in->n0 || in->p_at ? invert(in, out, err) : PFX_OK;
}
