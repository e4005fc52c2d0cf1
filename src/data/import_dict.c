#include "src/data/import_dict.h"

#include <stdlib.h>
#include <string.h>
#include "src/base/mem.h"

/* Eight bytes at a time, multiply and fold: labels are short, and the table compares texts anyway. */
static uint32_t hash_text(const char *s, size_t n)
{
    uint64_t h = n * UINT64_C(0x9E3779B97F4A7C15), w;
    while (n >= 8) {
        memcpy(&w, s, 8);
        h = (h ^ w) * UINT64_C(0xD6E8FEB86659FD93);
        h ^= h >> 32;
        s += 8, n -= 8;
    }
    w = 0;
    memcpy(&w, s, n);
    h = (h ^ w) * UINT64_C(0xD6E8FEB86659FD93);
    h ^= h >> 32;
    return (uint32_t)(h * UINT64_C(0x9E3779B97F4A7C15) >> 32);
}

static pfx_status grow_slots(pfx_dict *d, pfx_err *err)
{
    uint32_t n = d->n_slots ? d->n_slots * 2 : 64;
    if (n > UINT32_C(1) << 31)
        return pfx_fail(err, PFX_ENOMEM, "a text column has more than 2^30 different texts");
    int32_t *slots = pfx_mem_alloc(n, sizeof *slots, err);
    if (!slots) return PFX_ENOMEM;
    memset(slots, 0xff, (size_t)n * sizeof *slots);
    for (int32_t c = 0; c < d->n; c++) {
        uint32_t i = d->entries[c].hash & (n - 1);
        while (slots[i] >= 0) i = (i + 1) & (n - 1);
        slots[i] = c;
    }
    pfx_mem_free(d->slots);
    d->slots = slots;
    d->n_slots = n;
    return PFX_OK;
}

static pfx_status reserve(pfx_dict *d, size_t bytes, pfx_err *err)
{
    if (d->arena_len + bytes > d->arena_cap) {
        size_t cap = d->arena_cap ? d->arena_cap + d->arena_cap / 2 : 256;
        if (cap < d->arena_len + bytes) cap = d->arena_len + bytes;
        char *arena = pfx_mem_realloc(d->arena, (pfx_idx)cap, 1, err);
        if (!arena) return PFX_ENOMEM;
        d->arena = arena;
        d->arena_cap = cap;
    }
    if (d->n == d->cap) {
        int32_t cap = d->cap ? d->cap + d->cap / 2 : 32;
        pfx_dict_entry *entries = pfx_mem_realloc(d->entries, cap, sizeof *entries, err);
        if (!entries) return PFX_ENOMEM;
        d->entries = entries;
        d->cap = cap;
    }
    if ((uint32_t)d->n * 2 >= d->n_slots) return grow_slots(d, err);
    return PFX_OK;
}

static int32_t add_entry(pfx_dict *d, const char *s, size_t n, uint32_t hash, pfx_cell_ref cell, pfx_err *err)
{
    if (n > UINT32_MAX - 1) {
        pfx_fail(err, PFX_ENOMEM, "a text is longer than 4 GiB");
        return -1;
    }
    if (reserve(d, n + 1, err) != PFX_OK) return -1;
    uint32_t i = hash & (d->n_slots - 1);
    while (d->slots[i] >= 0) i = (i + 1) & (d->n_slots - 1);
    int32_t code = d->n++;
    d->slots[i] = code;
    d->entries[code] = (pfx_dict_entry){d->arena_len, (uint32_t)n, hash, 1, cell};
    memcpy(d->arena + d->arena_len, s, n);
    d->arena[d->arena_len + n] = '\0';
    d->arena_len += n + 1;
    return code;
}

int32_t pfx_dict_code(pfx_dict *d, const char *s, size_t n, pfx_cell_ref cell, pfx_err *err)
{
    if (d->n) {
        pfx_dict_entry *e = &d->entries[d->last];
        if (e->length == n && !memcmp(d->arena + e->offset, s, n)) {
            e->count++;
            return d->last;
        }
    }
    uint32_t hash = hash_text(s, n);
    if (d->n_slots) {
        for (uint32_t i = hash & (d->n_slots - 1); d->slots[i] >= 0; i = (i + 1) & (d->n_slots - 1)) {
            pfx_dict_entry *e = &d->entries[d->slots[i]];
            if (e->hash == hash && e->length == n && !memcmp(d->arena + e->offset, s, n)) {
                e->count++;
                return d->last = d->slots[i];
            }
        }
    }
    int32_t code = add_entry(d, s, n, hash, cell, err);
    if (code >= 0) d->last = code;
    return code;
}

void pfx_dict_free(pfx_dict *d)
{
    if (!d) return;
    pfx_mem_free(d->arena);
    pfx_mem_free(d->entries);
    pfx_mem_free(d->slots);
    *d = (pfx_dict){0};
}

/* The first eight bytes as a big-endian number decide most comparisons without touching the text. */
typedef struct sort_item {
    uint64_t prefix;
    const char *text;
    int32_t dict, code;
} sort_item;

static uint64_t text_prefix(const char *s)
{
    uint64_t p = 0;
    int i = 0;
    for (; i < 8 && s[i]; i++) p = p << 8 | (unsigned char)s[i];
    return i == 0 ? 0 : p << 8 * (8 - i);
}

static int by_text(const void *a, const void *b)
{
    const sort_item *x = a, *y = b;
    if (x->prefix != y->prefix) return x->prefix < y->prefix ? -1 : 1;
    return strcmp(x->text, y->text);
}

static pfx_status levels_alloc(pfx_levels *l, int n_dicts, const pfx_dict *const *dicts, pfx_idx total,
                               pfx_err *err)
{
    l->label = pfx_mem_alloc(total, sizeof *l->label, err);
    l->count = pfx_mem_calloc(total, sizeof *l->count, err);
    l->first = pfx_mem_alloc(total, sizeof *l->first, err);
    l->map = pfx_mem_calloc(n_dicts, sizeof *l->map, err);
    if (!l->label || !l->count || !l->first || !l->map) return PFX_ENOMEM;
    l->n_dicts = n_dicts;
    for (int d = 0; d < n_dicts; d++) {
        l->map[d] = pfx_mem_alloc(dicts[d]->n, sizeof **l->map, err);
        if (!l->map[d]) return PFX_ENOMEM;
    }
    return PFX_OK;
}

pfx_status pfx_levels_merge(int n_dicts, const pfx_dict *const *dicts, pfx_levels *out, pfx_err *err)
{
    pfx_idx total = 0, k = 0;
    *out = (pfx_levels){0};
    for (int d = 0; d < n_dicts; d++) total += dicts[d]->n;
    sort_item *item = pfx_mem_alloc(total, sizeof *item, err);
    pfx_status st = item ? levels_alloc(out, n_dicts, dicts, total, err) : PFX_ENOMEM;
    if (st != PFX_OK) goto done;
    for (int d = 0; d < n_dicts; d++)
        for (int32_t c = 0; c < dicts[d]->n; c++) {
            const char *s = pfx_dict_text(dicts[d], c);
            item[k++] = (sort_item){text_prefix(s), s, d, c};
        }
    if (total) qsort(item, (size_t)total, sizeof *item, by_text);
    for (pfx_idx i = 0; i < total; i++) {
        if (i == 0 || by_text(&item[i - 1], &item[i]) != 0) out->label[out->n++] = item[i].text;
        pfx_idx l = out->n - 1;
        const pfx_dict_entry *e = &dicts[item[i].dict]->entries[item[i].code];
        out->first[l] = out->count[l] == 0 || e->first < out->first[l] ? e->first : out->first[l];
        out->count[l] += e->count;
        out->map[item[i].dict][item[i].code] = (int32_t)l;
    }
    if (out->n >= INT32_MAX)
        st = pfx_fail(err, PFX_ENOMEM, "a text column has more than 2^31 different texts");
done:
    pfx_mem_free(item);
    if (st != PFX_OK) pfx_levels_free(out);
    return st;
}

void pfx_levels_free(pfx_levels *l)
{
    if (!l) return;
    for (int d = 0; l->map && d < l->n_dicts; d++) pfx_mem_free(l->map[d]);
    pfx_mem_free(l->map);
    pfx_mem_free(l->label);
    pfx_mem_free(l->count);
    pfx_mem_free(l->first);
    *l = (pfx_levels){0};
}
