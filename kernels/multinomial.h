/* Counts of a multinomial draw: how often each cluster is drawn in draws with replacement. */
#ifndef PFX_KERNELS_MULTINOMIAL_H
#define PFX_KERNELS_MULTINOMIAL_H

#include "src/base/cpu.h"
#include "src/base/status.h"

/* count[g], g < G: draws of cluster g in a replicate.
 * G      clusters, 1 <= G <= 2^31
 * draws  1 <= draws <= G; fewer are the first of more
 * count  [G] overwritten. A count of 256 or more, which wraps, has a probability below 1e-500.
 * The words of the Philox stream (seed, purpose, replicate) of src/base/rng.h, in order. For G < 65,536 a
 * word u gives two: x = u G, the first is x's high half; y = (low half of x) G, the second is y's high half;
 * the word is refused if y's low half is below 2^32 mod G^2. Else it gives one, refused if x's low half is
 * below 2^32 mod G. Lemire (2019); Brackett-Rozinsky and Lemire (2024) for the pair. The same on every ISA.
 * Threads: any. */
void pfx_k_multinomial(pfx_isa isa, uint64_t seed, uint32_t purpose, uint64_t replicate, pfx_idx G,
                       pfx_idx draws, uint8_t *count);

typedef void pfx_k_multinomial_fn(uint64_t seed, uint32_t purpose, uint64_t replicate, pfx_idx G,
                                  pfx_idx draws, uint8_t *count);
pfx_k_multinomial_fn pfx_k_multinomial_portable, pfx_k_multinomial_v3, pfx_k_multinomial_v4;

#endif
