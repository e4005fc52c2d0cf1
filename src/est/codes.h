/* Codes of rows compared side by side, on threads. */
#ifndef PFX_EST_CODES_H
#define PFX_EST_CODES_H

#include <stdbool.h>
#include "src/base/status.h"

typedef struct pfx_codes_order {
    bool f_falls, g_falls;  /* somewhere a code is below the row's before it */
    bool splits;            /* somewhere g changes where f does not: with f ascending, f is not nested in g */
} pfx_codes_order;

/* f, g [n], may be the same. Once f falls the rest may be left unread where until_f_falls. */
pfx_codes_order pfx_codes_compare(pfx_idx n, const int32_t *f, const int32_t *g, bool until_f_falls, int nth);

/* First row of each level, start [n_levels + 1], of ascending codes that take every value below n_levels. */
void pfx_codes_starts(pfx_idx n, const int32_t *code, pfx_idx n_levels, int nth, pfx_idx *start);

#endif
