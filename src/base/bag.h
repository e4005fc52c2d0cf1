/* A bag of named arrays: what a prepared state is made of, on its way to a file and back. One function walks
 * a struct in both directions: it names each member once, and the bag, as it was begun, takes the member's
 * value in or gives it out. Counts come before the arrays that they are the lengths of. */
#ifndef PFX_BASE_BAG_H
#define PFX_BASE_BAG_H

#include <stdbool.h>
#include <stddef.h>
#include "src/base/status.h"

typedef struct pfx_bag pfx_bag;
typedef enum pfx_bag_type { PFX_BAG_U8, PFX_BAG_I32, PFX_BAG_I64, PFX_BAG_F64, PFX_BAG_TYPES } pfx_bag_type;

/* Empty, to be filled. what: of messages, the file's name; kept. NOMEM: NULL. */
pfx_bag *pfx_bag_new(const char *what, pfx_err *err) PFX_MUST;
void pfx_bag_free(pfx_bag *b);
/* From now on it gives out what is in it. */
void pfx_bag_turn(pfx_bag *b);
bool pfx_bag_gives(const pfx_bag *b);
/* Put before the names that follow, "" for none; at most 31 bytes. */
void pfx_bag_prefix(pfx_bag *b, const char *prefix);

/* Taking in: *array [n] is borrowed, and must stay until the bag is freed. Giving out: *array is a new array,
 * freed by the caller, of exactly n values. FORMAT: it has none of the name, the type and the length. NOMEM.
 */
pfx_status pfx_bag_f64(pfx_bag *b, const char *name, pfx_idx n, double **array, pfx_err *err) PFX_MUST;
pfx_status pfx_bag_i64(pfx_bag *b, const char *name, pfx_idx n, pfx_idx **array, pfx_err *err) PFX_MUST;
pfx_status pfx_bag_i32(pfx_bag *b, const char *name, pfx_idx n, int32_t **array, pfx_err *err) PFX_MUST;
/* Single values, and text; a flag is 0 or 1. Giving out, text is new. FORMAT also: out of range. */
pfx_status pfx_bag_idx(pfx_bag *b, const char *name, pfx_idx *x, pfx_err *err) PFX_MUST;
pfx_status pfx_bag_int(pfx_bag *b, const char *name, int *x, pfx_err *err) PFX_MUST;
pfx_status pfx_bag_flag(pfx_bag *b, const char *name, bool *x, pfx_err *err) PFX_MUST;
pfx_status pfx_bag_real(pfx_bag *b, const char *name, double *x, pfx_err *err) PFX_MUST;
pfx_status pfx_bag_text(pfx_bag *b, const char *name, char **s, pfx_err *err) PFX_MUST;

/* For storage: the arrays in the order in which they came, and one more, which then belongs to the bag. */
typedef struct pfx_bag_array {
    const char *name;
    pfx_bag_type type;
    pfx_idx n;
    const void *data;
} pfx_bag_array;
int pfx_bag_n(const pfx_bag *b);
pfx_bag_array pfx_bag_at(const pfx_bag *b, int i);
size_t pfx_bag_size(pfx_bag_type t); /* bytes of a value */
/* data is freed with the bag, also where this fails. NOMEM. */
pfx_status pfx_bag_add(pfx_bag *b, const char *name, pfx_bag_type type, pfx_idx n, void *data,
                       pfx_err *err) PFX_MUST;

#endif
