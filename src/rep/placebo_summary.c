#include "src/rep/placebo_summary.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include "src/base/ascending.h"
#include "src/base/mem.h"
#include "src/rep/intervals.h"

/* A draw as extreme as the estimate up to rounding is as extreme. */
static const double TIE = 1e-9;

static bool valid(const pfx_placebo_draws *d, pfx_idx r)
{
    return isfinite(d->b[r]) && (!d->by_t || isfinite(d->t[r]));
}

static double p_of(const pfx_placebo_draws *d, pfx_idx count, pfx_idx n)
{
    return d->all ? (double)count / (double)n : (double)(count + 1) / (double)(n + 1);
}

static void count_extreme(const pfx_placebo_draws *d, pfx_placebo_result *out)
{
    double x0 = d->by_t ? d->statistic : d->estimate - d->null, slack = TIE * fabs(x0);
    pfx_idx left = 0, right = 0;
    for (pfx_idx r = 0; r < d->reps; r++) {
        if (!valid(d, r)) continue;
        double x = d->by_t ? d->t[r] : d->b[r] - (d->null != 0 ? d->null * d->slope[r] : 0);
        out->valid++;
        out->count += fabs(x) >= fabs(x0) - slack;
        left += x <= x0 + slack;
        right += x >= x0 - slack;
    }
    out->p_value = p_of(d, out->count, out->valid);
    out->p_left = p_of(d, left, out->valid);
    out->p_right = p_of(d, right, out->valid);
    if (d->all) return;
    if (out->valid > 0)
        pfx_share_interval((double)out->count, (double)out->valid, d->level, &out->p_low, &out->p_high);
}

static void describe(const pfx_placebo_draws *d, pfx_placebo_result *out)
{
    static const double levels[3] = {0.10, 0.05, 0.01};
    double critical[3], sum = 0, squares = 0, n = (double)out->valid;
    pfx_idx rejected[3] = {0};
    for (int k = 0; k < 3; k++) critical[k] = gsl_cdf_tdist_Qinv(levels[k] / 2, d->df_t);
    out->switchers = 0;
    for (pfx_idx r = 0; r < d->reps; r++) {
        if (!valid(d, r)) continue;
        sum += d->b[r];
        if (d->switchers) out->switchers += d->switchers[r];
        for (int k = 0; k < 3 && d->t; k++) rejected[k] += fabs(d->t[r]) > critical[k];
    }
    out->mean = sum / n;
    out->switchers /= n;
    for (pfx_idx r = 0; r < d->reps; r++)
        if (valid(d, r)) squares += (d->b[r] - out->mean) * (d->b[r] - out->mean);
    out->sd = sqrt(squares / (n - 1));
    for (int k = 0; k < 3; k++) out->significant[k] = d->t ? (double)rejected[k] / n : NAN;
}

/* A draw is at least as extreme under H where (b_r - H s)^2 >= (b - H)^2: for |s| < 1 between the two roots,
 * which enclose b; else on both sides of them, and then it is counted as extreme everywhere, which can only
 * widen the interval. So the count falls from b to both sides, and an end is an order statistic of the roots.
 */
static pfx_status invert(const pfx_placebo_draws *d, pfx_placebo_result *out, pfx_err *err)
{
    pfx_idx n = 0;
    double *low = pfx_mem_alloc(d->reps, sizeof *low, err), *high = pfx_mem_alloc(d->reps, sizeof *high, err);
    if (low && high) {
        for (pfx_idx r = 0; r < d->reps; r++) {
            if (!valid(d, r)) continue;
            double s = d->slope[r], b = d->estimate, x = (b - d->b[r]) / (1 - s), y = (b + d->b[r]) / (1 + s);
            bool inside = fabs(s) < 1 - TIE;
            low[n] = inside ? fmin(fmin(x, y), b) : -INFINITY;
            high[n++] = inside ? fmax(fmax(x, y), b) : INFINITY;
        }
        /* H is not rejected while p > 1 - level: at least `need` draws are as extreme. */
        double alpha = 1 - d->level;
        pfx_idx need = d->all ? (pfx_idx)floor(alpha * (double)n * (1 + TIE)) + 1
                              : (pfx_idx)floor(alpha * (double)(n + 1) * (1 + TIE));
        qsort(low, (size_t)n, sizeof *low, pfx_ascending);
        qsort(high, (size_t)n, sizeof *high, pfx_ascending);
        out->conf_low = need < 1 || n == 0 ? -INFINITY : low[need - 1];
        out->conf_high = need < 1 || n == 0 ? INFINITY : high[n - need];
    }
    pfx_mem_free(low);
    pfx_mem_free(high);
    return low && high ? PFX_OK : PFX_ENOMEM;
}

pfx_status pfx_placebo_summarise(const pfx_placebo_draws *d, pfx_placebo_result *out, pfx_err *err)
{
    *out = (pfx_placebo_result){.p_low = NAN, .p_high = NAN, .conf_low = NAN, .conf_high = NAN};
    count_extreme(d, out);
    describe(d, out);
    return d->slope ? invert(d, out, err) : PFX_OK;
}
