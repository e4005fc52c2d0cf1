/* Rows that a sample leaves out beyond missing values. */
#ifndef PFX_MODEL_SAMPLE_H
#define PFX_MODEL_SAMPLE_H

#include "src/base/status.h"

/* Singletons: drop rows whose level in some grouping occurs once, until none is left.
 * keep [n] 0 or 1, updated; code [n_groups] each [n] at rows (rows NULL: 0..n-1) below n_levels[]. *dropped
 * counts. NOMEM. */
pfx_status pfx_sample_singletons(pfx_idx n, const pfx_idx *rows, int n_groups, const int32_t *const *code,
                                 const pfx_idx *n_levels, unsigned char *keep, pfx_idx *dropped,
                                 pfx_err *err) PFX_MUST;

#endif
