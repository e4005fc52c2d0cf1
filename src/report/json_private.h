/* How the JSON of models is put together: values that remember a failure. */
#ifndef PFX_REPORT_JSON_PRIVATE_H
#define PFX_REPORT_JSON_PRIVATE_H

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include "src/base/status.h"

struct pfx_fit;

/* An object or array in the making; failed stays set, so that one check at the end is enough. */
typedef struct maker {
    bool failed;
} maker;

static inline json_t *need(maker *k, json_t *v)
{
    if (!v) k->failed = true;
    return v;
}

static inline void set(maker *k, json_t *object, const char *key, json_t *value)
{
    if (!need(k, value) || json_object_set_new(object, key, value) != 0) k->failed = true;
}

static inline void push(maker *k, json_t *array, json_t *value)
{
    if (!need(k, value) || json_array_append_new(array, value) != 0) k->failed = true;
}

static inline json_t *real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}
/* Degrees of freedom: whole numbers without a point. */
static inline json_t *whole(double x)
{
    return fabs(x) < 0x1p53 && x == rint(x) ? json_integer((json_int_t)x) : real(x);
}
static inline json_t *text(const char *s)
{
    return s ? json_string(s) : json_null();
}
static inline json_t *count(pfx_idx n)
{
    return json_integer((json_int_t)n);
}

json_t *pfx_json_coefficients(maker *k, const struct pfx_fit *f);
struct pfx_comparison;
json_t *pfx_json_comparisons(maker *k, int n, struct pfx_comparison *const *all);
/* The block "iv" of a fit that has one. */
json_t *pfx_json_iv(maker *k, const struct pfx_fit *f);

#endif
