#include "src/base/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGN_SMALL 64         /* a cache line, and the widest vector register */
#define ALIGN_LARGE (2u << 20) /* a huge page on x86-64 and on arm64 with 4 KiB pages */
/* A fault on a page of 4 KiB costs 18 us in a virtual machine, one on a huge page, cleared and all, 150. Below two huge
 * pages the heap serves better: tables of 2.6 MB that come and go by the hundred took twice the time when each asked for a
 * page anew (worker and firm effects, one thread beside an idle one). */
#define LARGE_FROM (4u << 20)
/* The last huge page is taken whole, instead of hundreds of small ones, where that adds no more than an eighth. Below
 * some huge pages, as windows of rows are, what is planned for would be passed. */
#define PADDED_FROM (8u << 20)
#define MOST_PADDING 8

static atomic_size_t bytes_now, bytes_peak;
static _Atomic pfx_idx fail_countdown;

static void account_add(size_t bytes)
{
    size_t now = atomic_fetch_add(&bytes_now, bytes) + bytes;
    size_t peak = atomic_load(&bytes_peak);
    while (now > peak && !atomic_compare_exchange_weak(&bytes_peak, &peak, now)) {
    }
}

static bool fault(void)
{
    return atomic_load(&fail_countdown) > 0 && atomic_fetch_sub(&fail_countdown, 1) == 1;
}

/* n x size in *bytes, at least 1; false with a message on overflow or a fault asked for by a test. */
static bool wanted(pfx_idx n, size_t size, size_t *bytes, pfx_err *err)
{
    if (n < 0 || (size > 0 && (uint64_t)n > (uint64_t)PTRDIFF_MAX / size)) {
        pfx_fail(err, PFX_ENOMEM, "out of memory: %lld x %zu bytes wanted, more than can be addressed",
                 (long long)n, size);
        return false;
    }
    *bytes = (size_t)n * size;
    if (*bytes == 0) *bytes = 1;
    return true;
}

static void *out_of_memory(size_t bytes, pfx_err *err)
{
    pfx_fail(err, PFX_ENOMEM,
             "out of memory: %zu bytes wanted (%.1f MiB), %.1f MiB in use; use a smaller panel "
             "or fewer columns, or a machine with more memory",
             bytes, (double)bytes / 1048576.0, (double)pfx_mem_now() / 1048576.0);
    return NULL;
}

static void *get(size_t bytes)
{
    void *p = NULL;
    bool large = bytes >= LARGE_FROM;
    size_t tail = bytes % ALIGN_LARGE, padding = tail > 0 ? ALIGN_LARGE - tail : 0;
    if (bytes >= PADDED_FROM && padding <= bytes / MOST_PADDING && padding <= SIZE_MAX - bytes) bytes += padding;
    if (fault() || posix_memalign(&p, large ? ALIGN_LARGE : ALIGN_SMALL, bytes) != 0) return NULL;
    if (large) (void)madvise(p, bytes & ~(size_t)(ALIGN_LARGE - 1), MADV_HUGEPAGE); /* advice only */
    account_add(malloc_usable_size(p));
    return p;
}

void *pfx_mem_alloc(pfx_idx n, size_t size, pfx_err *err)
{
    size_t bytes;
    if (!wanted(n, size, &bytes, err)) return NULL;
    void *p = get(bytes);
    return p ? p : out_of_memory(bytes, err);
}

void *pfx_mem_calloc(pfx_idx n, size_t size, pfx_err *err)
{
    size_t bytes;
    if (!wanted(n, size, &bytes, err)) return NULL;
    void *p = get(bytes);
    if (!p) return out_of_memory(bytes, err);
    return memset(p, 0, bytes);
}

/* realloc() does not keep an alignment, so a block moves unless the new size fits it without wasting half. */
void *pfx_mem_realloc(void *p, pfx_idx n, size_t size, pfx_err *err)
{
    if (!p) return pfx_mem_alloc(n, size, err);
    size_t bytes, have = malloc_usable_size(p);
    if (!wanted(n, size, &bytes, err)) return NULL;
    if (bytes <= have && bytes >= have / 2) return fault() ? out_of_memory(bytes, err) : p;
    void *q = get(bytes);
    if (!q) return out_of_memory(bytes, err);
    memcpy(q, p, have < bytes ? have : bytes);
    pfx_mem_free(p);
    return q;
}

char *pfx_mem_strndup(const char *s, size_t n, pfx_err *err)
{
    if (!s) return NULL;
    size_t len = strnlen(s, n);
    char *t = pfx_mem_alloc((pfx_idx)len + 1, 1, err);
    if (!t) return NULL;
    memcpy(t, s, len);
    t[len] = '\0';
    return t;
}

char *pfx_mem_strdup(const char *s, pfx_err *err)
{
    return s ? pfx_mem_strndup(s, strlen(s), err) : NULL;
}

void pfx_mem_free(void *p)
{
    if (!p) return;
    atomic_fetch_sub(&bytes_now, malloc_usable_size(p));
    free(p);
}

size_t pfx_mem_now(void)
{
    return atomic_load(&bytes_now);
}

size_t pfx_mem_peak(void)
{
    return atomic_load(&bytes_peak);
}

void pfx_mem_fail_at(pfx_idx k)
{
    atomic_store(&fail_countdown, k);
}
