/* SHA-256 of a stream of bytes, for the checksum of a source file. */
#ifndef PFX_BASE_SHA256_H
#define PFX_BASE_SHA256_H

#include <stddef.h>

enum { PFX_SHA256_HEX = 65 }; /* 64 hexadecimal digits and the NUL */

typedef struct pfx_sha256 pfx_sha256;

/* NULL: out of memory. */
pfx_sha256 *pfx_sha256_new(void);
void pfx_sha256_add(pfx_sha256 *h, size_t n, const void *bytes);
/* Digest of all bytes added, in lower-case hexadecimal; the state starts anew. */
void pfx_sha256_hex(pfx_sha256 *h, char out[PFX_SHA256_HEX]);
void pfx_sha256_free(pfx_sha256 *h);

#endif
