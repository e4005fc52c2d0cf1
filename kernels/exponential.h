/* Exponential random numbers: the weights of the Bayesian bootstrap. */
#ifndef PFX_KERNELS_EXPONENTIAL_H
#define PFX_KERNELS_EXPONENTIAL_H

#include "src/base/cpu.h"
#include "src/base/status.h"

enum { PFX_EXPONENTIALS = 16 }; /* that eight blocks of the stream give */

/* Numbers 16 c .. 16 c + 15 of the stream (seed, purpose, index): of number j, -log of the uniform of words
 * 2j and 2j + 1, as pfx_rng_uniform gives it. The same bits on every ISA, whatever its log is. Threads: any.
 */
void pfx_k_exponentials(pfx_isa isa, uint64_t seed, uint32_t purpose, uint64_t index, pfx_idx c,
                        double out[PFX_EXPONENTIALS]);

typedef void pfx_k_exponentials_fn(uint64_t seed, uint32_t purpose, uint64_t index, pfx_idx c, double *out);
pfx_k_exponentials_fn pfx_k_exponentials_portable, pfx_k_exponentials_v3, pfx_k_exponentials_v4;

#endif
