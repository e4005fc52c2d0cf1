/* The synthetic panel's variables: names, labels, and how a standard normal score becomes a value.
 *
 * A continuous variable is a winsorised, shifted lognormal (Tukey's g family): x = clamp(m + s (e^(gz) -
 * 1)/g, lo, hi), z standard normal. lo and hi are Table 2's minimum and maximum, g was chosen for a plausible
 * shape, m and s solve Table 2's mean and sd (two equations, Newton, over the normal scores of Table 2's N).
 * The scores beyond one in N rows are set to lo and hi, so that rare extremes (TS, MD, CTI) exist without a
 * heavy tail. */
#ifndef PFX_DATA_SIMULATE_VARS_H
#define PFX_DATA_SIMULATE_VARS_H

#include <stdbool.h>
#include "src/base/frame.h"
#include "src/base/rng.h"

/* In the order of the file. */
typedef enum sim_var {
    SIM_FIRM,
    SIM_YEAR,
    SIM_EXPY,
    SIM_IDC,
    SIM_LN_EMPLOYEE,
    SIM_LN_FIRM_AGE,
    SIM_ROA,
    SIM_ASSETTURN,
    SIM_CASHFLOW,
    SIM_DUAL,
    SIM_TOP1,
    SIM_OCCUPY,
    SIM_MSHARE,
    SIM_TOBINQ,
    SIM_TS,
    SIM_MD,
    SIM_INVEST,
    SIM_IB,
    SIM_LN_CTI,
    SIM_LN_DSI,
    SIM_BULLWHIP,
    SIM_EMPLOYEE,
    SIM_FIRM_AGE,
    SIM_CTI,
    SIM_DSI,
    SIM_INDUSTRY,
    SIM_PROVINCE,
    SIM_CITY,
    SIM_OWNERSHIP,
    SIM_REGULATED,
    SIM_OPEN_DATA,
    SIM_N_VARS
} sim_var;

/* Name, label, kind, type. Categories have n_levels = 0 here: simulate_firms.h knows the levels. */
extern const pfx_col_spec sim_columns[SIM_N_VARS];

/* Philox purposes of the simulation, all with index = firm unless said. */
enum {
    SIM_RNG_FIRM = PFX_RNG_SIMULATE,          /* the firm's own attributes, a fixed number of uniforms */
    SIM_RNG_ORDER = PFX_RNG_SIMULATE + 1,     /* index = which of the random orders of all firms */
    SIM_RNG_YEAR = PFX_RNG_SIMULATE + 2,      /* index = year: the year effect */
    SIM_RNG_ERROR = PFX_RNG_SIMULATE + 3,     /* firm effect, then errors year by year */
    SIM_RNG_ROUND = PFX_RNG_SIMULATE + 4,     /* rounding of the treated firms' patent counts */
    SIM_RNG_LATENT = PFX_RNG_SIMULATE + 0x40, /* + sim_var: scores of a variable: firm, then year by year */
    SIM_RNG_MISSING =
        PFX_RNG_SIMULATE + 0x80, /* + sim_var: which rows are missing; index 0 in the exact panel */
};

typedef enum sim_form {
    SIM_REAL,     /* the value itself */
    SIM_LN_COUNT, /* m, s, lo, hi are of the log; value rounded to an integer */
    SIM_COUNT,    /* rounded to an integer */
    SIM_BINARY    /* 1 where the score exceeds m */
} sim_form;

/* A variable that is drawn, not derived. */
typedef struct sim_latent {
    sim_var var;
    sim_form form;
    pfx_idx n; /* Table 2's N of 18,599 */
    double lo, hi, m, s, g;
    double icc;    /* share of the score's variance that is the firm's own */
    double size;   /* correlation of the score with that of Employee */
    double effect; /* planted coefficient of IDC (Tables 5 and 6), on the scale of `log1p`/`log`; 0: none */
    double mean;   /* mean without treatment on that scale, which the effect is planted against */
} sim_latent;

enum { SIM_N_LATENT = 16 };
extern const sim_latent sim_latents[SIM_N_LATENT]; /* Employee first: others depend on it */

/* Coefficients that EXPY is built from (Table 3, b_twfe, without IDC). */
typedef struct sim_coef {
    sim_var var;
    double b, mean; /* mean of the regressor, which sets the constant */
} sim_coef;
enum { SIM_N_COEF = 10 };
extern const sim_coef sim_coefs[SIM_N_COEF];

/* Table 2's EXPY. */
#define SIM_EXPY_MIN 7.7290
#define SIM_EXPY_MAX 13.1600
#define SIM_EXPY_MEAN 10.1700

/* Defaults of the panel, and what makes it the paper's. */
enum { SIM_FIRMS = 3500, SIM_YEAR0 = 2017, SIM_YEAR1 = 2023, SIM_ROWS = 18599 };
#define SIM_TREATED_SHARE 0.0179
#define SIM_EFFECT 0.3061

/* Score beyond which a row takes lo or hi: three quarters of a row in n expected on either side. */
double sim_latent_edge(const sim_latent *v);
/* Value at score z of an untreated row; edge from sim_latent_edge. */
double sim_latent_value(const sim_latent *v, double edge, double z);
/* Value x of a treated row: moves towards the bound on the effect's side, by an amount whose mean is the
 * effect: y + effect (bound - y)/(bound - mean) on the effect's scale. It stays within [lo, hi], and a linear
 * regression finds the effect, since x is independent of the treatment. u, uniform, rounds counts without
 * bias. */
double sim_latent_treat(const sim_latent *v, double x, double u);

/* The latent of a variable, or NULL. Derived logs have none. */
const sim_latent *sim_latent_find(sim_var v);

#endif
