/* Constants of the synthetic panel. See simulate_vars.h for where they come from. */
#include "src/data/simulate_vars.h"

#include <math.h>
#include <stddef.h>

#define NUM(name, label)                                                                                     \
    {                                                                                                        \
        name, label, PFX_NUMERIC, PFX_F64, 0, NULL                                                           \
    }
#define INT(name, label)                                                                                     \
    {                                                                                                        \
        name, label, PFX_NUMERIC, PFX_I32, 0, NULL                                                           \
    }
#define CAT(name, label)                                                                                     \
    {                                                                                                        \
        name, label, PFX_CATEGORY, PFX_I32, 0, NULL                                                          \
    }

const pfx_col_spec sim_columns[SIM_N_VARS] = {
    [SIM_FIRM] = INT("firm", "Firm number (synthetic)"),
    [SIM_YEAR] = {"year", "Year", PFX_TIME, PFX_I32, 0, NULL},
    [SIM_EXPY] = NUM("EXPY", "Export technological sophistication, log"),
    [SIM_IDC] = INT("IDC", "Holds a data-centre licence (1 from the first licensed year on)"),
    [SIM_LN_EMPLOYEE] = NUM("lnEmployee", "ln(Employee)"),
    [SIM_LN_FIRM_AGE] = NUM("lnFirmAge", "ln(1 + FirmAge)"),
    [SIM_ROA] = NUM("ROA", "Net profit / total assets"),
    [SIM_ASSETTURN] = NUM("Assetturn", "Revenue / total assets"),
    [SIM_CASHFLOW] = NUM("Cashflow", "Operating cash flow / revenue"),
    [SIM_DUAL] = INT("Dual", "Chair and chief executive are one person"),
    [SIM_TOP1] = NUM("Top1", "Share of the largest shareholder"),
    [SIM_OCCUPY] = NUM("Occupy", "Other receivables / total assets"),
    [SIM_MSHARE] = NUM("Mshare", "Share held by managers"),
    [SIM_TOBINQ] = NUM("TobinQ", "Tobin's Q"),
    [SIM_TS] = NUM("TS", "Share of technical staff"),
    [SIM_MD] = NUM("MD", "Share of staff with a university degree"),
    [SIM_INVEST] = NUM("INVEST", "Long-term institutional holding / its sd over three years"),
    [SIM_IB] = NUM("IB", "Invention patents in fields new to the firm / all invention patents"),
    [SIM_LN_CTI] = NUM("lnCTI", "ln(1 + CTI)"),
    [SIM_LN_DSI] = NUM("lnDSI", "ln(DSI)"),
    [SIM_BULLWHIP] = NUM("Bullwhip", "Volatility of production / volatility of demand"),
    [SIM_EMPLOYEE] = INT("Employee", "Number of employees"),
    [SIM_FIRM_AGE] = INT("FirmAge", "Years since listing, winsorised to 7..36 as Table 2"),
    [SIM_CTI] = INT("CTI", "Patent filings in key technologies"),
    [SIM_DSI] = NUM("DSI", "Days of inventory"),
    [SIM_INDUSTRY] = CAT("industry", "Two-digit manufacturing industry"),
    [SIM_PROVINCE] = CAT("province", "Province (assigned at random)"),
    [SIM_CITY] = CAT("city", "City (invented, numbered within the province)"),
    [SIM_OWNERSHIP] = CAT("ownership", "Ownership"),
    [SIM_REGULATED] = INT("regulated", "Regulated industry (0: competitive)"),
    [SIM_OPEN_DATA] = INT("opendata", "City has an open public data platform (missing: unknown)"),
};

#define ALL SIM_ROWS

/* icc: for a control, what gives about its standard error in Table 3; for a mechanism variable, a standard
 * error of at most half the planted coefficient, so that the effect can be found. */
const sim_latent sim_latents[SIM_N_LATENT] = {
    /* log of Employee: m, s, g from a mean of 3,927, a mean log of 7.55 (which Table 3's constant implies)
     * and about 1 % of rows at the minimum */
    {SIM_EMPLOYEE, SIM_LN_COUNT, ALL, 5.10594547390058, 10.76648397798797, 7.4908903107, 1.1767223491, 0.1,
     0.76, 1, 0, 0},
    {SIM_ROA, SIM_REAL, ALL, -0.289, 0.205, 0.04619734511, 0.06953829984, -0.25, 0.55, 0.05, 0, 0},
    {SIM_ASSETTURN, SIM_REAL, ALL, 0.103, 2.03, 0.5300331347, 0.2827110693, 0.45, 0.80, 0.05, 0, 0},
    {SIM_CASHFLOW, SIM_REAL, ALL, -0.154, 0.239, 0.05143275725, 0.06743819952, 0, 0.45, 0, 0, 0},
    {SIM_DUAL, SIM_BINARY, ALL, 0, 1, 0.32920598430265, 0, 0, 0.80, -0.10, 0, 0},
    {SIM_TOP1, SIM_REAL, ALL, 0.0864, 0.714, 0.3005171049, 0.1344059194, 0.3, 0.70, 0.10, 0, 0},
    {SIM_OCCUPY, SIM_REAL, ALL, 0.0001, 0.129, 0.004007085167, 0.005491337276, 1.5, 0.65, 0, 0, 0},
    {SIM_MSHARE, SIM_REAL, ALL, 0, 0.701, 0.1026930148, 0.2836272181, 0.2, 0.76, -0.15, 0, 0},
    {SIM_TOBINQ, SIM_REAL, ALL, 0.873, 8.633, 1.608277193, 0.7460490017, 0.9, 0.68, -0.15, 0, 0},
    {SIM_TS, SIM_REAL, 15201, 0, 3.584, 0.1499756252, 0.1082469531, 0.5, 0.30, 0, 0.1106, 0.17902},
    {SIM_MD, SIM_REAL, 14836, 0, 11.82, 0.366114993, 0.2009144905, 0.3, 0.94, 0, 0.0160, 0.39771},
    {SIM_INVEST, SIM_REAL, 13792, -9.686, 11.42, 1.558554293, 1.718263994, 0, 0.88, 0.10, 0.1981, 1.55845},
    {SIM_IB, SIM_REAL, 18256, 0, 1, -0.1487759425, 0.7676976215, 0, 0.80, 0, 0.0599, 0.21493},
    /* effect on ln(1 + CTI) */
    {SIM_CTI, SIM_COUNT, 17925, 0, 1812, -1.521335454, 3.078232304, 1.9, 0.50, 0.20, 0.8200, 0.755007},
    /* effect on ln(DSI) */
    {SIM_DSI, SIM_REAL, 16966, 14.8, 831.5, 111.2168656, 93.3126661, 0.8, 0.78, 0, -0.1447, 4.694996},
    {SIM_BULLWHIP, SIM_REAL, 18561, 0.0388, 1.713, 0.5570399018, 0.1814635141, 0.2, 0.30, 0, -0.1323,
     0.57537},
};

const sim_coef sim_coefs[SIM_N_COEF] = {
    {SIM_LN_EMPLOYEE, 0.5686, 7.55}, {SIM_LN_FIRM_AGE, -0.0286, 3.013}, {SIM_ROA, 2.6136, 0.0374},
    {SIM_ASSETTURN, 0.8173, 0.596},  {SIM_CASHFLOW, -0.6577, 0.0514},   {SIM_DUAL, -0.0320, 0.371},
    {SIM_TOP1, -0.3328, 0.320},      {SIM_OCCUPY, 1.7319, 0.0106},      {SIM_MSHARE, -0.4208, 0.181},
    {SIM_TOBINQ, -0.0415, 2.003},
};

const sim_latent *sim_latent_find(sim_var v)
{
    for (int k = 0; k < SIM_N_LATENT; k++)
        if (sim_latents[k].var == v) return &sim_latents[k];
    return NULL;
}

double sim_latent_edge(const sim_latent *v)
{
    return pfx_normal_quantile(1 - 0.75 / (double)v->n);
}

static double clamp(double x, double lo, double hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

double sim_latent_value(const sim_latent *v, double edge, double z)
{
    if (v->form == SIM_BINARY) return z > v->m;
    double x = v->m + v->s * (v->g == 0 ? z : (exp(v->g * z) - 1) / v->g);
    x = z >= edge ? v->hi : z <= -edge ? v->lo : clamp(x, v->lo, v->hi);
    if (v->form == SIM_LN_COUNT) return floor(exp(x) + 0.5);
    return v->form == SIM_COUNT ? floor(x + 0.5) : x;
}

/* From the effect's scale back, for counts to one of the two integers around, so that the mean log is kept.
 */
static double count_of_log1p(double y, double u)
{
    double k = floor(exp(y) - 1), step = log1p(1 / (1 + k));
    return k + (u * step < y - log1p(k));
}

double sim_latent_treat(const sim_latent *v, double x, double u)
{
    double bound = v->effect > 0 ? v->hi : v->lo, y = x;
    if (v->var == SIM_CTI) {
        bound = log1p(bound);
        y = log1p(x);
    } else if (v->var == SIM_DSI) {
        bound = log(bound);
        y = log(x);
    }
    y += v->effect * (bound - y) / (bound - v->mean);
    if (v->var == SIM_CTI) return count_of_log1p(y, u);
    return clamp(v->var == SIM_DSI ? exp(y) : y, v->lo, v->hi); /* exp(log(lo)) may miss lo by a bit */
}
