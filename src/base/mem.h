/* Memory: overflow-checked, 64-byte aligned, accounted. The only allocator of the project. */
#ifndef PFX_BASE_MEM_H
#define PFX_BASE_MEM_H

#include <stddef.h>
#include "src/base/status.h"

/* n x size bytes, uninitialised, 64-byte aligned (from 4 MiB on 2 MiB aligned, with transparent huge pages
 * asked for and pages left untouched, so that the computing thread touches them first; from 8 MiB on, in whole huge
 * pages where that adds no more than an eighth).
 * n >= 0; n = 0 gives a pointer that can be freed. NULL with ENOMEM in err: overflow, or out of memory; the
 * message says how many bytes were wanted. Threads: any. */
void *pfx_mem_alloc(pfx_idx n, size_t size, pfx_err *err) PFX_MUST;

/* The same, zeroed. */
void *pfx_mem_calloc(pfx_idx n, size_t size, pfx_err *err) PFX_MUST;

/* Grow or shrink to n x size bytes, keeping what fits. NULL on failure, and p stays valid. p may be NULL. */
void *pfx_mem_realloc(void *p, pfx_idx n, size_t size, pfx_err *err) PFX_MUST;

/* Copy of a string, or of its first n bytes. NULL on failure. s == NULL gives NULL without an error. */
char *pfx_mem_strdup(const char *s, pfx_err *err) PFX_MUST;
char *pfx_mem_strndup(const char *s, size_t n, pfx_err *err) PFX_MUST;

/* Free what the functions above gave. NULL is accepted. */
void pfx_mem_free(void *p);

/* Bytes now allocated, and the highest value so far, through this allocator. */
size_t pfx_mem_now(void);
size_t pfx_mem_peak(void);

/* For tests: make the k-th allocation from now on fail (k >= 1); 0 switches off. */
void pfx_mem_fail_at(pfx_idx k);

#endif
