/* The yardstick of the reading routes: how long HDF5 alone takes for columns of a panel. */
#ifndef PFX_HDF5_IO_YARDSTICK_H
#define PFX_HDF5_IO_YARDSTICK_H

#include "hdf5_io/panel.h"

typedef enum pfx_yardstick {
    PFX_YARDSTICK_REUSED,   /* T_read: H5Dread by blocks of 65,536 rows into one buffer, checksums compared */
    PFX_YARDSTICK_FRESH,    /* the same into memory that was never touched, a buffer for each column */
    PFX_YARDSTICK_UNCHECKED /* into one buffer, checksums not compared */
} pfx_yardstick;

/* Wall seconds to read the named columns once, one after the other, in the types that the file has: no
 * conversion. One thread; opens the datasets anew, with HDF5's defaults. Whether the file lies in the page
 * cache is the caller's matter: read twice. USAGE: unknown column. NOMEM, IO, FORMAT. */
pfx_status pfx_panel_yardstick(pfx_panel *p, int n, const char *const *names, pfx_yardstick kind,
                               double *wall_s, pfx_err *err) PFX_MUST;

#endif
