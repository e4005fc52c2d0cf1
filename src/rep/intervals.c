#include "src/rep/intervals.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include "src/base/ascending.h"
#include "src/base/mem.h"
#include "src/base/rng.h"

const char *const pfx_ci_names[PFX_CI_KINDS + 1] = {"percentile", "basic", "normal", "bca", "t", NULL};

/* A draw as extreme as the estimate up to rounding is as extreme. */
static const double TIE = 1e-9;

static double quantile(pfx_idx n, const double *sorted, double p)
{
    double h = (double)(n + 1) * p;
    pfx_idx i = (pfx_idx)floor(h);
    if (!(h >= 1)) return sorted[0];
    if (i >= n) return sorted[n - 1];
    return sorted[i - 1] + (h - (double)i) * (sorted[i] - sorted[i - 1]);
}

static double normal_cdf(double z)
{
    return 0.5 * erfc(-z / sqrt(2.0));
}

/* Valid values of a field, sorted. */
static pfx_idx collect(pfx_idx reps, int stride, const double *v, double *to)
{
    pfx_idx n = 0;
    for (pfx_idx r = 0; r < reps; r++)
        if (isfinite(v[r * stride])) to[n++] = v[r * stride];
    qsort(to, (size_t)n, sizeof *to, pfx_ascending);
    return n;
}

static double deviation(pfx_idx n, const double *v)
{
    double mean = 0, sum = 0;
    for (pfx_idx i = 0; i < n; i++) mean += v[i] - v[0];
    mean = v[0] + mean / (double)n;
    for (pfx_idx i = 0; i < n; i++) sum += (v[i] - mean) * (v[i] - mean);
    return sqrt(sum / (double)(n - 1));
}

/* Bias-corrected and accelerated: percentiles at shifted levels. */
static void bca(const pfx_boot_in *in, pfx_idx n, const double *sorted, double tail, pfx_boot_out *out)
{
    double below = 0;
    for (pfx_idx i = 0; i < n; i++)
        below += sorted[i] < in->estimate ? 1 : sorted[i] == in->estimate ? 0.5 : 0;
    if (!(below > 0) || !(below < (double)n)) return;
    double z0 = pfx_normal_quantile(below / (double)n), z = pfx_normal_quantile(tail), a = in->acceleration;
    double low = normal_cdf(z0 + (z0 + z) / (1 - a * (z0 + z)));
    double high = normal_cdf(z0 + (z0 - z) / (1 - a * (z0 - z)));
    out->low[PFX_CI_BCA] = quantile(n, sorted, low);
    out->high[PFX_CI_BCA] = quantile(n, sorted, high);
}

static double scale_of(const pfx_boot_in *in)
{
    return in->scale > 0 ? in->scale : 1;
}

/* Of the valid draws; one without a t is not beyond; where the estimate has none there is nothing to compare
 * with. */
static void count_extreme(const pfx_boot_in *in, pfx_boot_out *out)
{
    bool by_t = in->t != NULL;
    if (!isfinite(out->statistic)) return;
    double edge = fabs(by_t ? out->statistic : in->estimate - in->null) * (1 - TIE);
    for (pfx_idx r = 0; r < in->reps; r++) {
        double b = in->b[r * in->stride];
        double x = by_t ? in->t[r * in->stride] : scale_of(in) * (b - in->estimate);
        if (!isfinite(b) || !isfinite(x)) continue;
        out->count += fabs(x) >= edge;
    }
    out->p_value = (double)(1 + out->count) / (double)(1 + out->valid);
    pfx_share_interval((double)out->count, (double)out->valid, in->level, &out->p_low, &out->p_high);
}

pfx_status pfx_boot_summarise(const pfx_boot_in *in, pfx_boot_out *out, pfx_err *err)
{
    double *v = pfx_mem_alloc(in->reps, sizeof *v, err), tail = (1 - in->level) / 2;
    if (!v) return PFX_ENOMEM;
    *out = (pfx_boot_out){.std_error = NAN, .statistic = NAN, .p_value = NAN, .p_low = NAN, .p_high = NAN};
    for (int k = 0; k < PFX_CI_KINDS; k++) out->low[k] = out->high[k] = NAN;
    pfx_idx n = out->valid = collect(in->reps, in->stride, in->b, v);
    for (pfx_idx i = 0; i < n && scale_of(in) != 1; i++)
        v[i] = in->estimate + scale_of(in) * (v[i] - in->estimate);
    if (n >= 2) {
        double z = -pfx_normal_quantile(tail), lo = quantile(n, v, tail), hi = quantile(n, v, 1 - tail);
        out->std_error = deviation(n, v);
        out->statistic = (in->estimate - in->null) / (in->t ? in->std_error : out->std_error);
        out->low[PFX_CI_PERCENTILE] = lo;
        out->high[PFX_CI_PERCENTILE] = hi;
        out->low[PFX_CI_BASIC] = 2 * in->estimate - hi;
        out->high[PFX_CI_BASIC] = 2 * in->estimate - lo;
        out->low[PFX_CI_NORMAL] = in->estimate - z * out->std_error;
        out->high[PFX_CI_NORMAL] = in->estimate + z * out->std_error;
        bca(in, n, v, tail, out);
        count_extreme(in, out);
    }
    pfx_idx nt = in->t ? collect(in->reps, in->stride, in->t, v) : 0;
    if (nt >= 2) {
        out->low[PFX_CI_T] = in->estimate - quantile(nt, v, 1 - tail) * in->std_error;
        out->high[PFX_CI_T] = in->estimate - quantile(nt, v, tail) * in->std_error;
    }
    pfx_mem_free(v);
    return PFX_OK;
}

/* Where the distribution function of the beta falls to tail, or its complement does: by halving, which the
 * closed inverses of large counts need. */
static double beta_point(double tail, double a, double b, bool upper)
{
    double low = 0, high = 1;
    for (int i = 0; i < 100 && high - low > 1e-15 * high; i++) {
        double x = 0.5 * (low + high);
        bool right = upper ? gsl_cdf_beta_Q(x, a, b) > tail : gsl_cdf_beta_P(x, a, b) < tail;
        if (right)
            low = x;
        else
            high = x;
    }
    return 0.5 * (low + high);
}

void pfx_share_interval(double x, double n, double level, double *low, double *high)
{
    double tail = (1 - level) / 2;
    *low = x > 0 ? beta_point(tail, x, n - x + 1, false) : 0;
    *high = x < n ? beta_point(tail, x + 1, n - x, true) : 1;
}
