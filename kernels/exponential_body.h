/* Body of pfx_k_exponentials, compiled once for each ISA. */
#include "kernels/exponential.h"
#include "kernels/log.h"

/* -log of (k + 1/2) 2^-52, k the upper 52 bits. */
PFX_INLINE v8 exponential_of(u8x bits)
{
    const v8 one_to_two = u8x_as_v8(u8x_add(u8x_right(bits, 12), u8x_set1(UINT64_C(0x3ff0000000000000))));
    const v8 u = v8_add(v8_sub(one_to_two, v8_set1(1.0)), v8_set1(0x1p-53)); /* exact, both */
    return v8_sub(v8_zero(), v8_log(u));
}

void PFX_K(pfx_k_exponentials)(uint64_t seed, uint32_t purpose, uint64_t index, pfx_idx c, double *out)
{
    u8x w[4];
    double a[8], b[8];
    pfx_philox8(seed, purpose, index, (uint32_t)(8 * c), w);
    v8_store(a, exponential_of(u8x_pair(u8x_low(w[0]), w[1])));
    v8_store(b, exponential_of(u8x_pair(u8x_low(w[2]), w[3])));
    PFX_UNROLL
    for (int l = 0; l < 8; l++) {
        out[2 * l] = a[l];
        out[2 * l + 1] = b[l];
    }
}
