#include "hdf5_io/widen.h"

#include <math.h>

static inline __attribute__((always_inline)) void widen(pfx_dtype t, pfx_idx n, const void *raw,
                                                        double *restrict out)
{
    const float *f = raw;
    const int32_t *i = raw;
    const int64_t *l = raw;
    switch (t) {
    case PFX_F32:
        for (pfx_idx r = 0; r < n; r++) out[r] = f[r];
        break;
    case PFX_I32:
        for (pfx_idx r = 0; r < n; r++) out[r] = i[r] == INT32_MIN ? NAN : (double)i[r]; /* NAN is a float */
        break;
    default:
        for (pfx_idx r = 0; r < n; r++) out[r] = l[r] == INT64_MIN ? NAN : (double)l[r];
    }
}

/* The same numbers, in registers of each width. */
typedef void widen_fn(pfx_dtype t, pfx_idx n, const void *raw, double *out);
static void widen_portable(pfx_dtype t, pfx_idx n, const void *raw, double *out)
{
    widen(t, n, raw, out);
}
#if defined(__x86_64__) && !defined(PFX_NO_X86)
__attribute__((target("avx2"))) static void widen_v3(pfx_dtype t, pfx_idx n, const void *raw, double *out)
{
    widen(t, n, raw, out);
}
__attribute__((target("avx512f,avx512dq,avx512vl"))) static void widen_v4(pfx_dtype t, pfx_idx n,
                                                                          const void *raw, double *out)
{
    widen(t, n, raw, out);
}
static widen_fn *const variant[] = {widen_portable, widen_v3, widen_v4};
#else
static widen_fn *const variant[] = {widen_portable, widen_portable, widen_portable};
#endif

void pfx_widen(pfx_isa isa, pfx_dtype t, pfx_idx n, const void *raw, double *out)
{
    variant[isa](t, n, raw, out);
}
