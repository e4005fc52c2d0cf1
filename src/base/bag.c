#include "src/base/bag.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "src/base/mem.h"

enum { MAX_PREFIX = 32, MAX_NAME = 96 };

typedef struct entry {
    char name[MAX_NAME];
    pfx_bag_type type;
    pfx_idx n;
    void *data; /* NULL: given out */
    bool own;
} entry;

struct pfx_bag {
    const char *what;
    char prefix[MAX_PREFIX];
    bool gives;
    int n, room;
    entry *entry;
};

pfx_bag *pfx_bag_new(const char *what, pfx_err *err)
{
    pfx_bag *b = pfx_mem_calloc(1, sizeof *b, err);
    if (b) b->what = what;
    return b;
}

void pfx_bag_free(pfx_bag *b)
{
    if (!b) return;
    for (int i = 0; i < b->n; i++)
        if (b->entry[i].own) pfx_mem_free(b->entry[i].data);
    pfx_mem_free(b->entry);
    pfx_mem_free(b);
}

void pfx_bag_turn(pfx_bag *b)
{
    b->gives = true;
}

bool pfx_bag_gives(const pfx_bag *b)
{
    return b->gives;
}

void pfx_bag_prefix(pfx_bag *b, const char *prefix)
{
    snprintf(b->prefix, sizeof b->prefix, "%s", prefix);
}

size_t pfx_bag_size(pfx_bag_type t)
{
    static const size_t size[PFX_BAG_TYPES] = {1, 4, 8, 8};
    return size[t];
}

int pfx_bag_n(const pfx_bag *b)
{
    return b->n;
}

pfx_bag_array pfx_bag_at(const pfx_bag *b, int i)
{
    const entry *e = &b->entry[i];
    return (pfx_bag_array){e->name, e->type, e->n, e->data};
}

static pfx_status add(pfx_bag *b, const char *prefix, const char *name, const entry *e, pfx_err *err)
{
    pfx_status st = PFX_OK;
    if (b->n == b->room) {
        int room = b->room ? 2 * b->room : 32;
        entry *more = pfx_mem_realloc(b->entry, room, sizeof *more, err);
        if (more) {
            b->entry = more;
            b->room = room;
        } else
            st = PFX_ENOMEM;
    }
    if (st != PFX_OK) {
        if (e->own) pfx_mem_free(e->data);
        return st;
    }
    entry *to = &b->entry[b->n++];
    *to = *e;
    snprintf(to->name, sizeof to->name, "%s%s", prefix, name);
    return PFX_OK;
}

pfx_status pfx_bag_add(pfx_bag *b, const char *name, pfx_bag_type type, pfx_idx n, void *data, pfx_err *err)
{
    return add(b, "", name, &(entry){.type = type, .n = n, .data = data, .own = true}, err);
}

/* The array of that name and type; n < 0: of any length. NULL: there is none, err says so. */
static entry *find(pfx_bag *b, const char *name, pfx_bag_type type, pfx_idx n, pfx_err *err)
{
    char full[MAX_NAME];
    snprintf(full, sizeof full, "%s%s", b->prefix, name);
    for (int i = 0; i < b->n; i++) {
        entry *e = &b->entry[i];
        if (strcmp(e->name, full) != 0) continue;
        if (e->type == type && (n < 0 || e->n == n) && e->data) return e;
        (void)pfx_fail(err, PFX_EFORMAT, "%s: array %s of %lld values is not what belongs there", b->what,
                       full, (long long)e->n);
        return NULL;
    }
    (void)pfx_fail(err, PFX_EFORMAT, "%s: array %s is missing", b->what, full);
    return NULL;
}

static pfx_status walk(pfx_bag *b, const char *name, pfx_bag_type type, pfx_idx n, void **array, pfx_err *err)
{
    if (!b->gives) return add(b, b->prefix, name, &(entry){.type = type, .n = n, .data = *array}, err);
    entry *e = find(b, name, type, n, err);
    *array = NULL;
    if (!e) return PFX_EFORMAT;
    *array = e->data;
    e->data = NULL;
    return PFX_OK;
}

pfx_status pfx_bag_f64(pfx_bag *b, const char *name, pfx_idx n, double **array, pfx_err *err)
{
    void *p = *array;
    pfx_status st = walk(b, name, PFX_BAG_F64, n, &p, err);
    *array = p;
    return st;
}

pfx_status pfx_bag_i64(pfx_bag *b, const char *name, pfx_idx n, pfx_idx **array, pfx_err *err)
{
    void *p = *array;
    pfx_status st = walk(b, name, PFX_BAG_I64, n, &p, err);
    *array = p;
    return st;
}

pfx_status pfx_bag_i32(pfx_bag *b, const char *name, pfx_idx n, int32_t **array, pfx_err *err)
{
    void *p = *array;
    pfx_status st = walk(b, name, PFX_BAG_I32, n, &p, err);
    *array = p;
    return st;
}

/* One value of 8 bytes. */
static pfx_status value(pfx_bag *b, const char *name, pfx_bag_type type, void *x, pfx_err *err)
{
    if (b->gives) {
        entry *e = find(b, name, type, 1, err);
        if (!e) return PFX_EFORMAT;
        memcpy(x, e->data, 8);
        return PFX_OK;
    }
    void *copy = pfx_mem_alloc(1, 8, err);
    if (!copy) return PFX_ENOMEM;
    memcpy(copy, x, 8);
    return add(b, b->prefix, name, &(entry){.type = type, .n = 1, .data = copy, .own = true}, err);
}

pfx_status pfx_bag_idx(pfx_bag *b, const char *name, pfx_idx *x, pfx_err *err)
{
    return value(b, name, PFX_BAG_I64, x, err);
}

pfx_status pfx_bag_real(pfx_bag *b, const char *name, double *x, pfx_err *err)
{
    return value(b, name, PFX_BAG_F64, x, err);
}

static pfx_status within(pfx_bag *b, const char *name, pfx_idx low, pfx_idx high, pfx_idx *x, pfx_err *err)
{
    pfx_status st = value(b, name, PFX_BAG_I64, x, err);
    if (st == PFX_OK && (*x < low || *x > high))
        st = pfx_fail(err, PFX_EFORMAT, "%s: %s%s is %lld", b->what, b->prefix, name, (long long)*x);
    return st;
}

pfx_status pfx_bag_int(pfx_bag *b, const char *name, int *x, pfx_err *err)
{
    pfx_idx wide = b->gives ? 0 : *x;
    pfx_status st = within(b, name, INT_MIN, INT_MAX, &wide, err);
    if (st == PFX_OK) *x = (int)wide;
    return st;
}

pfx_status pfx_bag_flag(pfx_bag *b, const char *name, bool *x, pfx_err *err)
{
    pfx_idx wide = b->gives ? 0 : *x;
    pfx_status st = within(b, name, 0, 1, &wide, err);
    if (st == PFX_OK) *x = wide != 0;
    return st;
}

pfx_status pfx_bag_text(pfx_bag *b, const char *name, char **s, pfx_err *err)
{
    if (!b->gives) {
        void *p = *s;
        return walk(b, name, PFX_BAG_U8, (pfx_idx)strlen(*s), &p, err);
    }
    entry *e = find(b, name, PFX_BAG_U8, -1, err);
    *s = e ? pfx_mem_strndup(e->data, (size_t)e->n, err) : NULL;
    return *s ? PFX_OK : e ? PFX_ENOMEM : PFX_EFORMAT;
}
