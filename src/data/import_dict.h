/* The distinct texts of one column, numbered as they are met. */
#ifndef PFX_DATA_IMPORT_DICT_H
#define PFX_DATA_IMPORT_DICT_H

#include <stddef.h>
#include "src/base/status.h"

/* A cell of the table that an importer fills: block number and row within the block. Ordered as the file. */
typedef int64_t pfx_cell_ref;
static inline pfx_cell_ref pfx_cell_ref_make(pfx_idx block, pfx_idx row)
{
    return block << 32 | row;
}

typedef struct pfx_dict_entry {
    uint64_t offset; /* of the text, NUL-terminated, in the arena */
    uint32_t length;
    uint32_t hash;
    pfx_idx count;      /* cells that hold it */
    pfx_cell_ref first; /* its first cell */
} pfx_dict_entry;

/* Start from {0}. */
typedef struct pfx_dict {
    char *arena;
    size_t arena_len, arena_cap;
    pfx_dict_entry *entries; /* [n] by code */
    int32_t n, cap;
    int32_t *slots; /* [n_slots] open addressing, -1 free */
    uint32_t n_slots;
    int32_t last; /* code met last: neighbouring rows often repeat */
} pfx_dict;

/* Code of the text, new or known; counts the cell. -1 with ENOMEM in err: out of memory, or 2^31 texts. */
int32_t pfx_dict_code(pfx_dict *d, const char *s, size_t n, pfx_cell_ref cell, pfx_err *err);
static inline const char *pfx_dict_text(const pfx_dict *d, int32_t code)
{
    return d->arena + d->entries[code].offset;
}
void pfx_dict_free(pfx_dict *d);

/* Levels of n_dicts dictionaries together, in byte order of their labels. */
typedef struct pfx_levels {
    pfx_idx n;
    const char **label;  /* [n] point into the dictionaries */
    pfx_idx *count;      /* [n] */
    pfx_cell_ref *first; /* [n] */
    int32_t **map;       /* [n_dicts] code of dictionary d -> level */
    int n_dicts;
} pfx_levels;
/* The result does not depend on how the cells were spread over the dictionaries. ENOMEM. */
pfx_status pfx_levels_merge(int n_dicts, const pfx_dict *const *dicts, pfx_levels *out,
                            pfx_err *err) PFX_MUST;
void pfx_levels_free(pfx_levels *l);

#endif
