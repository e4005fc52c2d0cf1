/* The regression table: fitted models side by side, as printed in a paper. */
#ifndef PFX_REPORT_REGRESSION_H
#define PFX_REPORT_REGRESSION_H

#include "src/report/table.h"

struct pfx_fit;

typedef enum pfx_brackets { PFX_BRACKETS_T, PFX_BRACKETS_SE } pfx_brackets;

typedef struct pfx_regression_options {
    pfx_brackets brackets; /* what stands below a coefficient */
    int digits;            /* behind the point, >= 0 */
    int width;             /* of the terminal, 0: no limit; text only */
    const char *title;     /* or NULL */
    int n_notes;
    const char *const *notes; /* [n_notes] further lines below the table */
} pfx_regression_options;

/* Append the table of n >= 1 models to out. text, latex, markdown, html: a column a model, a row a term, then
 * fixed effects, sizes, fit and notes. csv: a row for each coefficient of each model, 17 significant digits.
 * json: not here, see src/report/json.h. NOMEM. */
pfx_status pfx_regression_render(int n, struct pfx_fit *const *fits, const pfx_regression_options *o,
                                 pfx_format format, pfx_str *out, pfx_err *err) PFX_MUST;

#endif
