#include "src/base/sha256.h"

#include <nettle/sha2.h>
#include <stdio.h>
#include "src/base/mem.h"

struct pfx_sha256 {
    struct sha256_ctx ctx;
};

pfx_sha256 *pfx_sha256_new(void)
{
    pfx_sha256 *h = pfx_mem_alloc(1, sizeof *h, NULL);
    if (h) sha256_init(&h->ctx);
    return h;
}

void pfx_sha256_add(pfx_sha256 *h, size_t n, const void *bytes)
{
    sha256_update(&h->ctx, n, bytes);
}

void pfx_sha256_hex(pfx_sha256 *h, char out[PFX_SHA256_HEX])
{
    unsigned char digest[SHA256_DIGEST_SIZE];
    sha256_digest(&h->ctx, sizeof digest, digest);
    for (int i = 0; i < SHA256_DIGEST_SIZE; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

void pfx_sha256_free(pfx_sha256 *h)
{
    pfx_mem_free(h);
}
