/* What a match did: the propensity score, who was matched, and the balance before and after. */
#ifndef PFX_REPORT_MATCH_H
#define PFX_REPORT_MATCH_H

#include <stdbool.h>
#include "src/report/table.h"

struct pfx_binary;
struct pfx_match;

/* Balance of one covariate. Standardised differences divide by the standard deviation of the treated before
 * matching, so that they do not shrink because the spread did. */
typedef struct pfx_balance {
    const char *name;
    double mean[2][2]; /* [after][treated] */
    double sd;         /* of the treated, before */
    double diff[2];    /* [after] (mean of the treated - mean of the controls) / sd */
    double ratio[2];   /* [after] variance of the treated / of the controls */
} pfx_balance;

/* X [n x ld] row-major, its column j; weight [n] after matching. */
void pfx_balance_of(pfx_idx n, const double *X, int ld, int j, const unsigned char *treated,
                    const double *weight, pfx_balance *out);

typedef struct pfx_match_effect {
    const char *outcome;
    double estimate;   /* mean of the matched treated minus weighted mean of their controls */
    pfx_idx n_missing; /* matched rows without the outcome */
} pfx_match_effect;

typedef struct pfx_match_report {
    const char *formula, *link, *score, *exact; /* exact NULL: none */
    int k;
    bool replace, support;
    double caliper, caliper_score; /* in standard deviations, 0: none; in units of the score */
    pfx_idx n_missing, n_strata;
    const struct pfx_binary *fit;
    const struct pfx_match *match;
    int n_balance;
    const pfx_balance *balance; /* [n_balance] */
    int n_effects;
    const pfx_match_effect *effect; /* [n_effects] */
    const char *output;             /* the panel written */
    pfx_idx n_written;              /* its rows */
    bool synthetic;
    double read_s, compute_s, total_s;
    int threads;
    pfx_idx peak_memory_bytes;
} pfx_match_report;

/* Append the report in a format. width as pfx_table_render. NOMEM. */
pfx_status pfx_match_render(const pfx_match_report *r, pfx_format format, int width, pfx_str *out,
                            pfx_err *err) PFX_MUST;

/* What a plot of the balance takes of it, as one line of JSON: formula, synthetic, n_treated, n_matched, and
 * in balance each variable with std_diff and std_diff_matched. NOMEM. */
pfx_status pfx_match_balance_line(const pfx_match_report *r, pfx_str *out, pfx_err *err) PFX_MUST;

#endif
