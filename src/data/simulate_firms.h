/* The firms of the synthetic panel: when they are observed, who and where they are, when they are treated. */
#ifndef PFX_DATA_SIMULATE_FIRMS_H
#define PFX_DATA_SIMULATE_FIRMS_H

#include <stdbool.h>
#include "src/base/status.h"

enum { SIM_N_INDUSTRY = 30, SIM_N_PROVINCE = 31, SIM_CITIES_PER_PROVINCE = 9, SIM_N_OWNERSHIP = 4 };
enum { SIM_N_CITY = SIM_N_PROVINCE * SIM_CITIES_PER_PROVINCE };
enum { SIM_OPEN_NO, SIM_OPEN_YES, SIM_OPEN_UNKNOWN };

typedef struct sim_firm {
    int32_t first, n; /* first observed period, from 0; observed periods, >= 2, without gaps */
    int32_t adopt;    /* first treated period, n_years or more: never treated */
    int32_t city;
    int8_t industry, ownership, open_data;
    bool regulated;
    bool always; /* treated from its first observed year, if treated */
    double u_adopt, u_industry, u_province, u_slot, priority; /* the draws behind the above */
} sim_firm;

typedef struct sim_plan sim_plan;

/* Plan of all firms. Where firms and n_years are the paper's, the panel is exact: 18,599 rows, groups of
 * Tables 7 and 8, and round(share x rows) treated rows, by one pass over all firms (memory O(firms)).
 * Otherwise each firm is drawn by itself and those sizes hold on average. NOMEM. */
pfx_status sim_plan_create(uint64_t seed, pfx_idx firms, int n_years, double treated_share, bool exact,
                           sim_plan **out, pfx_err *err) PFX_MUST;
void sim_plan_free(sim_plan *p);

/* Firm i. Threads: any number at once. */
void sim_plan_firm(const sim_plan *p, pfx_idx i, sim_firm *out);

/* Labels, static storage: [SIM_N_...]. */
extern const char *const sim_industry_labels[SIM_N_INDUSTRY];
extern const char *const sim_province_labels[SIM_N_PROVINCE];
extern const char *const sim_ownership_labels[SIM_N_OWNERSHIP];

#endif
