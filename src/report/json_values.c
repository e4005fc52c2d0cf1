#include "src/report/json_values.h"

#include <math.h>
#include "src/base/log.h"

json_t *pfx_json_real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

void pfx_json_set(json_t *object, const char *key, json_t *value, bool *failed)
{
    if (json_object_set_new(object, key, value)) *failed = true;
}

void pfx_json_append(json_t *array, json_t *value, bool *failed)
{
    if (json_array_append_new(array, value)) *failed = true;
}

json_t *pfx_json_warnings(bool *failed)
{
    json_t *a = json_array();
    for (int i = 0; pfx_warning(i); i++) pfx_json_append(a, json_string(pfx_warning(i)), failed);
    return a;
}

static int append(const char *piece, size_t n, void *out)
{
    pfx_str_addn(out, piece, n);
    return ((pfx_str *)out)->failed ? -1 : 0;
}

static pfx_status dump(json_t *root, bool failed, size_t layout, const char *what, pfx_str *out, pfx_err *err)
{
    pfx_status st = PFX_OK;
    if (failed || json_dump_callback(root, append, out, layout | JSON_REAL_PRECISION(17)))
        st = pfx_fail(err, PFX_ENOMEM, "the JSON of %s: out of memory, or a text is not UTF-8", what);
    json_decref(root);
    return st;
}

pfx_status pfx_json_dump(json_t *root, bool failed, const char *what, pfx_str *out, pfx_err *err)
{
    pfx_status st = dump(root, failed, JSON_INDENT(1), what, out, err);
    pfx_str_add(out, "\n");
    return st;
}

pfx_status pfx_json_line(json_t *root, bool failed, const char *what, pfx_str *out, pfx_err *err)
{
    return dump(root, failed, JSON_COMPACT, what, out, err);
}
