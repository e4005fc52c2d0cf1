/* Literal resampling: rows of drawn clusters with fresh identifiers for each copy, as a design to be fitted.
 */
#ifndef PFX_TESTS_EST_RESAMPLE_H
#define PFX_TESTS_EST_RESAMPLE_H

#include "tests/est/refcase.h"

/* Cluster g of the first cluster variable count[g] times. Levels of effects that are nested in the clusters
 * get fresh identifiers too. Free with ref_design_free. */
pfx_design *resample_design(const pfx_design *d, const uint8_t *count);

#endif
