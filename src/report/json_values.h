/* Small steps that every JSON report takes. */
#ifndef PFX_REPORT_JSON_VALUES_H
#define PFX_REPORT_JSON_VALUES_H

#include <jansson.h>
#include <stdbool.h>
#include "src/base/status.h"
#include "src/base/text.h"

/* A number; NaN and infinities are null. */
json_t *pfx_json_real(double x);
/* Set key to value, which is taken over; a failed allocation, of the value too, sets *failed. */
void pfx_json_set(json_t *object, const char *key, json_t *value, bool *failed);
void pfx_json_append(json_t *array, json_t *value, bool *failed);
/* The warnings of this run, as an array. */
json_t *pfx_json_warnings(bool *failed);
/* Append root, which is freed, and a newline to out, reals with 17 significant digits. what: "match", for the
 * message. NOMEM, also where failed is set. */
pfx_status pfx_json_dump(json_t *root, bool failed, const char *what, pfx_str *out, pfx_err *err) PFX_MUST;
/* The same on one line, without its end. */
pfx_status pfx_json_line(json_t *root, bool failed, const char *what, pfx_str *out, pfx_err *err) PFX_MUST;

#endif
