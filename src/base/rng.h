/* The one source of random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011), a counter-based
 * generator.
 *
 * A number is a pure function of (seed, purpose, index, position):
 *     key     = seed, 64 bits
 *     counter = { block, index low, index high, purpose }, block = position / 4
 * so nothing depends on threads, batches or the order of calls. `index` counts the units of the job:
 * replicates for bootstrap and placebo, firms for simulate. `purpose` keeps jobs with one seed apart: two
 * purposes never share a stream. A block counter of 32 bits gives each (seed, purpose, index) 2^34 words. */
#ifndef PFX_BASE_RNG_H
#define PFX_BASE_RNG_H

#include <stdint.h>
#include "src/base/status.h"

/* Purposes. A new job takes a new number; numbers are part of the results' definition and never change. */
enum {
    PFX_RNG_PAIRS = 1,        /* index = replicate: multinomial cluster counts */
    PFX_RNG_WILD = 2,         /* index = replicate: cluster weights */
    PFX_RNG_PLACEBO = 3,      /* index = replicate: drawn assignments */
    PFX_RNG_MATCH = 4,        /* index = row: ties among neighbours */
    PFX_RNG_BAYES = 5,        /* index = replicate: exponential cluster weights */
    PFX_RNG_IMPUTE = 6,       /* index = 0: a point of the null space of the untreated rows' effects */
    PFX_RNG_HONEST = 7,       /* index = draw: effects of an event study under the null */
    PFX_RNG_TEST = 15,        /* tests and benchmarks */
    PFX_RNG_SIMULATE = 0x100, /* 0x100 .. 0x1ff, index = firm: see src/data/simulate_vars.h */
};

/* The four words of one block. */
void pfx_rng_block(uint64_t seed, uint32_t purpose, uint64_t index, uint32_t block, uint32_t out[4]);

/* A stream over the words of one (seed, purpose, index), from position 0. One thread uses it. */
typedef struct pfx_rng {
    uint64_t seed, index;
    uint32_t purpose, block; /* block: the next one to compute */
    int left;                /* words of `word` not yet used */
    uint32_t word[4];
} pfx_rng;

void pfx_rng_start(pfx_rng *r, uint64_t seed, uint32_t purpose, uint64_t index);
uint32_t pfx_rng_u32(pfx_rng *r);
/* Two words; the first is the low half. */
uint64_t pfx_rng_u64(pfx_rng *r);
/* Uniform on the open interval (0, 1): (k + 1/2) 2^-52 with k the upper 52 bits of pfx_rng_u64. */
double pfx_rng_uniform(pfx_rng *r);
/* Standard normal: the normal quantile of pfx_rng_uniform, so two words each. */
double pfx_rng_normal(pfx_rng *r);
/* 0 .. n-1 with equal probability, n >= 1 (Lemire 2019, multiply and reject; one word a try for n <= 2^32,
 * else two). */
pfx_idx pfx_rng_below(pfx_rng *r, pfx_idx n);
/* Put a[n] into a random order (Fisher and Yates, from the end). */
void pfx_rng_shuffle(pfx_rng *r, pfx_idx n, pfx_idx *a);

/* out[n]: the first n values that pfx_rng_normal gives on a fresh stream; faster than one by one. n <= 2^33.
 */
void pfx_rng_fill_normal(uint64_t seed, uint32_t purpose, uint64_t index, pfx_idx n, double *out);

/* Quantile of the standard normal, 0 < p < 1, relative error about 1e-16 (Wichura 1988, AS 241, PPND16). */
double pfx_normal_quantile(double p);

#endif
