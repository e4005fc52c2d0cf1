/* Private to hdf5_io: the checksum that HDF5's Fletcher-32 filter stores behind a chunk. */
#ifndef PFX_HDF5_IO_FLETCHER32_H
#define PFX_HDF5_IO_FLETCHER32_H

#include <stddef.h>
#include <stdint.h>
#include "src/base/cpu.h"

/* Checksum of n bytes at any alignment: words of 16 bits, the first byte the high one; a last odd byte is the
 * high byte of a word. The filter keeps it behind the bytes, little-endian. Threads: any. Source: J. Fletcher
 * (1982), "An arithmetic checksum for serial transmissions"; HDF5 File Format Specification. */
uint32_t pfx_fletcher32(pfx_isa isa, size_t n, const void *bytes);

#endif
