#include "src/est/dist.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_roots.h>
#include <math.h>

double pfx_dist_t_p(double t, double df)
{
    if (isnan(t) || !(df > 0)) return NAN;
    /* Through F: GSL's own t tail loses up to six digits in places (t = 8.9 with 49 degrees of freedom). */
    return pfx_dist_f_p(t * t, 1, df);
}

double pfx_dist_t_critical(double level, double df)
{
    if (!(df > 0)) return NAN;
    if (isinf(df)) return gsl_cdf_ugaussian_Qinv((1 - level) / 2);
    double q = (1 - level) / 2, t = gsl_cdf_tdist_Qinv(q, df);
    /* GSL stops its iteration early; two Newton steps bring the quantile to working precision. */
    for (int i = 0; i < 2 && isfinite(t); i++) {
        double step = (pfx_dist_t_p(t, df) / 2 - q) / gsl_ran_tdist_pdf(t, df);
        if (isfinite(step)) t += step;
    }
    return t;
}

double pfx_dist_f_p(double f, double df1, double df2)
{
    if (isnan(f) || !(df1 > 0) || !(df2 > 0)) return NAN;
    if (isinf(f)) return 0;
    if (isinf(df2)) return gsl_cdf_chisq_Q(f * df1, df1);
    return gsl_cdf_fdist_Q(f, df1, df2);
}

double pfx_dist_chi2_p(double x, double df)
{
    if (isnan(x) || !(df > 0)) return NAN;
    if (isinf(x)) return 0;
    return gsl_cdf_chisq_Q(x, df);
}

double pfx_dist_f_critical(double level, double df1, double df2)
{
    if (!(df1 > 0) || !(df2 > 0)) return NAN;
    double q = 1 - level, f = gsl_cdf_fdist_Qinv(q, df1, df2);
    for (int i = 0; i < 2 && isfinite(f); i++) { /* as for t */
        double step = (pfx_dist_f_p(f, df1, df2) - q) / gsl_ran_fdist_pdf(f, df1, df2);
        if (isfinite(step)) f += step;
    }
    return f;
}

/* Standard deviations about the mean beyond which Poisson weights are below rounding. */
static const double POISSON_REACH = 10;
enum { MAX_ROOT_STEPS = 200 };

typedef struct mixture {
    double df, lambda, tail;
} mixture;

static double tail_excess(double x, void *ctx)
{
    const mixture *m = ctx;
    double mean = m->lambda / 2, reach = POISSON_REACH * (sqrt(mean) + 4), sum = 0;
    if (mean == 0) return gsl_cdf_chisq_Q(x, m->df) - m->tail;
    for (unsigned j = (unsigned)fmax(0, floor(mean - reach)), last = (unsigned)(mean + reach); j <= last; j++)
        sum += gsl_ran_poisson_pdf(j, mean) * gsl_cdf_chisq_Q(x, m->df + 2.0 * j);
    return sum - m->tail;
}

double pfx_dist_noncentral_chi2_critical(double level, double df, double lambda)
{
    mixture m = {df, lambda, 1 - level};
    gsl_function f = {tail_excess, &m};
    double x = NAN, lo = 0, hi = df + lambda;
    if (!(df > 0) || !(lambda >= 0) || isinf(df + lambda)) return NAN;
    for (double sd = sqrt(2 * (df + 2 * lambda)); tail_excess(hi, &m) > 0;) lo = hi, hi += 2 * sd + 1;
    gsl_root_fsolver *s = gsl_root_fsolver_alloc(gsl_root_fsolver_brent);
    if (!s) return NAN;
    if (gsl_root_fsolver_set(s, &f, lo, hi) == GSL_SUCCESS)
        for (int i = 0; i < MAX_ROOT_STEPS && gsl_root_fsolver_iterate(s) == GSL_SUCCESS; i++) {
            x = gsl_root_fsolver_root(s);
            if (gsl_root_test_interval(gsl_root_fsolver_x_lower(s), gsl_root_fsolver_x_upper(s), 0, 1e-14) ==
                GSL_SUCCESS)
                break;
        }
    gsl_root_fsolver_free(s);
    return x;
}
