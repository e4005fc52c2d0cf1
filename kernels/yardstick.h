/* What the machine's memory allows: the loops that benchmarks measure themselves against. */
#ifndef PFX_KERNELS_YARDSTICK_H
#define PFX_KERNELS_YARDSTICK_H

#include "src/base/status.h"

/* a[i] = b[i] + s c[i], i < n: 24 bytes a step as the field counts them. No overlap. Threads: any, over disjoint
 * parts. Source: the triad of McCalpin's STREAM (1995). */
void pfx_k_triad(pfx_idx n, double s, const double *b, const double *c, double *a);

/* Sum of x [n], n >= 0: reads every value once and does as little else as can be. 32 lanes, added in a fixed tree.
 * Threads: any. */
double pfx_k_sum(pfx_idx n, const double *x);

#endif
