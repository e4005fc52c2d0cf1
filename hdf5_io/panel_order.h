/* Private to hdf5_io: the order of a panel's rows, checked as they come, and the index that follows from it.
 */
#ifndef PFX_HDF5_IO_PANEL_ORDER_H
#define PFX_HDF5_IO_PANEL_ORDER_H

#include <stdbool.h>
#include "src/base/frame.h"

typedef struct panel_order {
    const pfx_col_spec *unit, *time; /* NULL: the panel has none; not owned */
    pfx_idx n_rows, n_units;         /* so far */
    double last_unit, last_time;
    /* distinct times: open addressing, NaN = empty */
    double *seen;
    pfx_idx n_seen, cap_seen;
} panel_order;

/* Take n rows (unit codes or numbers, times) and mark in first [n] the ones that begin a unit.
 * unit_num or unit_code, and time, are NULL as the panel has none.
 * DATA: a unit or time is missing, not sorted, duplicate; the message starts with `where` (the file). */
pfx_status panel_order_take(panel_order *o, const char *where, pfx_idx n, const double *unit_num,
                            const int32_t *unit_code, const double *time, bool *first, pfx_err *err) PFX_MUST;
void panel_order_free(panel_order *o);

#endif
