/* What boot prints: text for reading, JSON for scripts. */
#ifndef PFX_REPORT_BOOT_H
#define PFX_REPORT_BOOT_H

#include <stdbool.h>
#include "src/base/text.h"
#include "src/rep/intervals.h"

typedef struct pfx_boot_report {
    const char *method, *formula, *outcome, *cluster;
    pfx_idx n_clusters, n_obs, reps;
    uint64_t seed;
    double level, null;
    int n_terms;
    const char *const *term;    /* [n_terms] */
    const double *estimate;     /* [n_terms] */
    const pfx_boot_out *result; /* [n_terms] */
    bool ci[PFX_CI_KINDS];      /* which intervals are shown */
    bool synthetic;
    double read_s, compute_s, total_s;
    int threads;
    pfx_idx peak_memory_bytes;
} pfx_boot_report;

pfx_status pfx_boot_text(const pfx_boot_report *r, pfx_str *out, pfx_err *err) PFX_MUST;
/* As interface: one term at the top level, several in a list "terms". */
pfx_status pfx_boot_json(const pfx_boot_report *r, pfx_str *out, pfx_err *err) PFX_MUST;

#endif
