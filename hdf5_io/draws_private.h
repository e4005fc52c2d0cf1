/* What writing and reading of draws files share. */
#ifndef PFX_HDF5_IO_DRAWS_PRIVATE_H
#define PFX_HDF5_IO_DRAWS_PRIVATE_H

#include "hdf5_io/draws.h"
#include "hdf5_io/h5_private.h"

#define PFX_DRAWS_FORMAT "panelfx-draws"
#define PFX_DRAWS_VERSION 1
#define PFX_DRAWS_REPLICATE "draws/replicate"
#define PFX_DRAWS_TERMS "draws/terms"

/* Names of the fields of every draw. */
extern const char *const pfx_draw_field_names[PFX_DRAW_FIELDS];

#endif
