/* Private to hdf5_io: elements of the file as doubles. */
#ifndef PFX_HDF5_IO_WIDEN_H
#define PFX_HDF5_IO_WIDEN_H

#include "src/base/cpu.h"
#include "src/base/frame.h"

/* out [n] from n elements of type t (float32, int32 or int64) at raw; the smallest integer becomes NaN. No
 * overlap. */
void pfx_widen(pfx_isa isa, pfx_dtype t, pfx_idx n, const void *raw, double *out);

#endif
