#include "src/est/ssc.h"

/* fixest: every effect with levels beyond the first has one redundant level, slopes have none. */
static double count_fixest(const pfx_ssc_in *in, bool drop_nested)
{
    double sum = 0;
    int q = 0;
    bool any_nested = false;
    for (int e = 0; e < in->n_effects; e++) {
        if (in->is_slope[e]) {
            sum += (double)in->levels[e];
            continue;
        }
        q++;
        any_nested |= in->nested[e];
        /* A nested effect leaves one parameter, the constant it carries. */
        sum += drop_nested && in->nested[e] ? 1 : (double)in->levels[e];
    }
    double count = q > 0 ? sum - (q - 1) : sum;
    return drop_nested && any_nested && count < 1 ? 1 : count;
}

/* reghdfe: redundant levels by pairs; nested effects, slopes too, count nothing, but then the constant
 * counts. */
static double count_reghdfe(const pfx_ssc_in *in, bool drop_nested)
{
    double sum = 0;
    bool any_nested = false;
    for (int e = 0; e < in->n_effects; e++) {
        if (drop_nested && in->nested[e])
            any_nested = true;
        else
            sum += (double)(in->levels[e] - in->redundant[e]);
    }
    return sum + (any_nested ? 1 : 0);
}

static double count(const pfx_ssc_in *in, bool drop_nested)
{
    if (in->rule == PFX_SSC_FIXEST) return count_fixest(in, drop_nested);
    if (in->rule == PFX_SSC_REGHDFE) return count_reghdfe(in, drop_nested);
    /* The mean that stands for effects where there are none is a coefficient, counted among k. */
    if (in->n_effects == 0) return 0;
    return in->rank >= 0 ? (double)in->rank : count_reghdfe(in, false);
}

static double g_factor(pfx_idx G)
{
    return (double)G / (double)(G - 1);
}

void pfx_ssc_count(const pfx_ssc_in *in, pfx_ssc_out *out)
{
    bool clustered = pfx_vcov_n_clusters(in->vcov) > 0;
    bool twoway = in->vcov == PFX_VCOV_TWOWAY;
    pfx_idx gmin = twoway && in->G[1] < in->G[0] ? in->G[1] : in->G[0];
    if (in->vcov == PFX_VCOV_NW) gmin = in->G[1]; /* periods, as fixest */

    out->df_absorbed = count(in, false);
    out->df_residual = in->n - in->k - out->df_absorbed;
    out->k_adj = in->k + (clustered ? count(in, true) : out->df_absorbed);
    out->df_t = clustered ? (double)(gmin - 1) : out->df_residual;
    for (int c = 0; c < 3; c++) out->factor[c] = in->vcov == PFX_VCOV_IID ? 1 / in->n : 1;
    if (in->rule == PFX_SSC_NONE || pfx_vcov_leaves_out(in->vcov)) return;
    if (in->vcov == PFX_VCOV_IID) {
        out->factor[0] = 1 / out->df_residual;
    } else if (!clustered) {
        out->factor[0] = in->n / out->df_residual;
    } else {
        double k = (in->n - 1) / (in->n - out->k_adj);
        for (int c = 0; c < 3; c++)
            /* Stata's cgmreg corrects each component by its own number of clusters, the others by the
             * smaller. */
            out->factor[c] = k * g_factor(in->rule == PFX_SSC_STATA && twoway ? in->G[c] : gmin);
    }
}
