/* What the regression table says of instruments. */
#ifndef PFX_REPORT_REGRESSION_PRIVATE_H
#define PFX_REPORT_REGRESSION_PRIVATE_H

#include "src/report/table.h"

struct pfx_fit;

/* Rows of statistics, nothing where no model has instruments. */
void pfx_regression_iv_rows(pfx_table *t, int n, struct pfx_fit *const *fits, int digits);
/* Notes of one model with instruments; who: its number in brackets, or "". */
void pfx_regression_iv_notes(pfx_table *t, const struct pfx_fit *f, const char *who);

#endif
