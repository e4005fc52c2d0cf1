/* Codes of rows compared side by side, on threads. */
#ifndef PFX_EST_CODES_H
#define PFX_EST_CODES_H

#include <stdbool.h>
#include "src/base/status.h"

typedef struct pfx_codes_order {
    bool f_falls, g_falls; /* somewhere a code is below the row's before it */
    bool splits;           /* somewhere g changes where f does not: with f ascending, f is not nested in g */
} pfx_codes_order;

/* f, g [n], may be the same. Once f falls the rest may be left unread where until_f_falls. */
pfx_codes_order pfx_codes_compare(pfx_idx n, const int32_t *f, const int32_t *g, bool until_f_falls, int nth);

/* Do the codes f [n], which take every value below n_levels, ascend? Then start [n_levels + 1] are the first
 * rows of the levels, and order [n_g] compares f with each of g [n_g][n]; all in one reading of the rows. */
bool pfx_codes_scan(pfx_idx n, const int32_t *f, pfx_idx n_levels, int n_g, const int32_t *const *g, int nth,
                    pfx_idx *start, pfx_codes_order *order);

#endif
