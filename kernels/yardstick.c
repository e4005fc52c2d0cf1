#include "kernels/yardstick.h"

void pfx_k_triad(pfx_idx n, double s, const double *restrict b, const double *restrict c, double *restrict a)
{
    for (pfx_idx i = 0; i < n; i++) a[i] = b[i] + s * c[i];
}

/* 32 lanes hide the latency of additions; the prefetch reaches as far as those of the engine's kernels. */
double pfx_k_sum(pfx_idx n, const double *x)
{
    enum { LANES = 32, AHEAD = 512 };
    double lane[LANES] = {0}, tail = 0;
    pfx_idx i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int l = 0; l < LANES; l += 8) __builtin_prefetch(x + i + AHEAD + l);
        for (int l = 0; l < LANES; l++) lane[l] += x[i + l];
    }
    for (; i < n; i++) tail += x[i];
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int l = 0; l < width; l++) lane[l] += lane[l + width];
    return lane[0] + tail;
}
