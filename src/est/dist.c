#include "src/est/dist.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>
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
