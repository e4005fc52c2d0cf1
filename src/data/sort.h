/* Stable sorting: keys in memory, and records that do not fit it. */
#ifndef PFX_DATA_SORT_H
#define PFX_DATA_SORT_H

#include <stddef.h>
#include "src/base/status.h"

typedef struct pfx_sort_pair {
    uint64_t key;
    int64_t value;
} pfx_sort_pair;

/* Sort p [n] by key, stably: radix sort, least byte first, bytes that all keys share left out. tmp [n] is
 * scratch. */
void pfx_sort_pairs(pfx_idx n, pfx_sort_pair *p, pfx_sort_pair *tmp);

/* External merge sort of records of one size. Each begins with two keys, uint64_t hi and lo; the order is by
 * (hi, lo), equal ones as they were added. Runs go to one unnamed file in tmpdir, which is gone however the
 * program ends. */
typedef struct pfx_sort_external pfx_sort_external;

/* memory: bytes for records, sorting and merging, at least about 256 KiB. ENOMEM, IO. */
pfx_status pfx_sort_external_new(size_t record_bytes, size_t memory, const char *tmpdir,
                                 pfx_sort_external **out, pfx_err *err) PFX_MUST;
/* Room for the next record, to be filled before the next call. IO: the folder is full. */
pfx_status pfx_sort_external_add(pfx_sort_external *s, void **record, pfx_err *err) PFX_MUST;
/* All added: sort and begin to merge. */
pfx_status pfx_sort_external_finish(pfx_sort_external *s, pfx_err *err) PFX_MUST;
/* The next record in order, valid until the next call; NULL at the end. */
pfx_status pfx_sort_external_next(pfx_sort_external *s, const void **record, pfx_err *err) PFX_MUST;
void pfx_sort_external_free(pfx_sort_external *s);

#endif
