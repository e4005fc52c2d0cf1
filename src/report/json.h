/* JSON of fit: fitted models as the object that scripts read. */
#ifndef PFX_REPORT_JSON_H
#define PFX_REPORT_JSON_H

#include <stdbool.h>
#include "src/base/status.h"
#include "src/base/text.h"

struct pfx_fit;

/* What the object says about the run, beside the models. */
typedef struct pfx_json_run {
    const char *command; /* "fit" */
    const char *panel;   /* path, or NULL */
    bool synthetic;      /* the panel was simulated */
    double read_s, compute_s, total_s;
    bool streamed; /* the rows stayed in the panel */
    int passes;    /* over the panel's rows, all models together */
    int n_comparisons;
    struct pfx_comparison *const *comparisons; /* [n_comparisons] of --compare */
    int threads;
    pfx_idx peak_memory_bytes;
} pfx_json_run;

/* Append the object and a newline to out. Reals carry 17 significant digits; NaN and infinities are null.
 * NOMEM. */
pfx_status pfx_json_fits(int n, struct pfx_fit *const *fits, const pfx_json_run *run, pfx_str *out,
                         pfx_err *err) PFX_MUST;

#endif
