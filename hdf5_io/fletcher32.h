/* Private to hdf5_io: the checksum that HDF5's Fletcher-32 filter stores behind a chunk. */
#ifndef PFX_HDF5_IO_FLETCHER32_H
#define PFX_HDF5_IO_FLETCHER32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "src/base/cpu.h"

/* Checksum of n bytes at any alignment: words of 16 bits, the first byte the high one; a last odd byte is the
 * high byte of a word. The filter keeps it behind the bytes, little-endian. Threads: any. Source: J. Fletcher
 * (1982), "An arithmetic checksum for serial transmissions"; HDF5 File Format Specification. */
uint32_t pfx_fletcher32(pfx_isa isa, size_t n, const void *bytes);

/* The same in pieces: the sums of bytes so far, {0} of none. */
typedef struct pfx_fletcher {
    uint64_t s1, s2; /* below 65535 */
    bool nonzero;
} pfx_fletcher;
/* n more bytes, an even number of them but for the last. */
void pfx_fletcher_add(pfx_isa isa, pfx_fletcher *to, size_t n, const void *bytes);
/* n bytes, an even number, whose sums are `more`, behind those of `to`. */
void pfx_fletcher_join(pfx_fletcher *to, const pfx_fletcher *more, size_t n);
uint32_t pfx_fletcher_value(const pfx_fletcher *s);

#endif
