/* Values of a column as the panel file stores them. */
#include "hdf5_io/panel_sink.h"

#include <float.h>
#include <math.h>
#include <string.h>

static pfx_status bad_value(const sink *s, const sink_col *col, pfx_idx row, double v, const char *why,
                            pfx_err *err)
{
    return pfx_fail(err, PFX_EDATA, "%s: column \"%s\", row %lld: %.17g %s %s", s->out.path, col->spec.name,
                    (long long)row + 1, v, why, pfx_dtype_name(col->spec.dtype));
}

static const char unfit[] = "does not fit into";

static pfx_status put_f32(const sink *s, const sink_col *col, pfx_idx row, pfx_idx n, const double *v,
                          float *to, pfx_err *err)
{
    for (pfx_idx r = 0; r < n; r++) {
        if (fabs(v[r]) > FLT_MAX && !isinf(v[r])) return bad_value(s, col, row + r, v[r], unfit, err);
        to[r] = (float)v[r];
    }
    return PFX_OK;
}

/* Whole numbers; the smallest one stands for missing. A double is exact up to 2^53. */
static pfx_status put_integer(const sink *s, const sink_col *col, pfx_idx row, pfx_idx n, const double *v,
                              void *to, pfx_err *err)
{
    const bool wide = col->spec.dtype == PFX_I64;
    const double max = wide ? 9007199254740992.0 : INT32_MAX;
    int64_t *l = to;
    int32_t *i = to;
    for (pfx_idx r = 0; r < n; r++) {
        if (!isnan(v[r])) {
            if (!(fabs(v[r]) <= max)) return bad_value(s, col, row + r, v[r], unfit, err);
            if (v[r] != floor(v[r]))
                return bad_value(s, col, row + r, v[r], "is not a whole number, for", err);
        }
        if (wide)
            l[r] = isnan(v[r]) ? INT64_MIN : (int64_t)v[r];
        else
            i[r] = isnan(v[r]) ? INT32_MIN : (int32_t)v[r];
    }
    return PFX_OK;
}

static pfx_status put_codes(const sink *s, sink_col *col, pfx_idx row, pfx_idx n, const int32_t *v,
                            int32_t *to, pfx_err *err)
{
    for (pfx_idx r = 0; r < n; r++) {
        if (v[r] < 0 && v[r] != PFX_NA_CODE)
            return bad_value(s, col, row + r, v[r], "is no level code,", err);
        if (v[r] > col->max_code) {
            col->max_code = v[r];
            col->max_code_row = row + r;
        }
    }
    memcpy(to, v, (size_t)n * sizeof *to);
    return PFX_OK;
}

pfx_status pfx_sink_put_column(const sink *s, sink_col *col, pfx_idx row, pfx_idx n, const pfx_column *from,
                               pfx_idx at, pfx_err *err)
{
    void *to = col->w.buf + (size_t)col->w.n_buf * col->w.size;
    bool category = col->spec.kind == PFX_CATEGORY;
    pfx_status st = PFX_OK;
    if (category ? !from->code : !from->num)
        return pfx_fail(err, PFX_EDATA, "%s: column \"%s\" has no %s", s->out.path, col->spec.name,
                        category ? "codes" : "numbers");
    if (category)
        st = put_codes(s, col, row, n, from->code + at, to, err);
    else if (col->spec.dtype == PFX_F64)
        memcpy(to, from->num + at, (size_t)n * sizeof(double));
    else if (col->spec.dtype == PFX_F32)
        st = put_f32(s, col, row, n, from->num + at, to, err);
    else
        st = put_integer(s, col, row, n, from->num + at, to, err);
    col->w.n_buf += n;
    return st;
}
