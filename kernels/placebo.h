/* Placebo replicates: drawing assignments, and sums over the few rows of tables that a drawn assignment
 * touches. */
#ifndef PFX_KERNELS_PLACEBO_H
#define PFX_KERNELS_PLACEBO_H

#include <stdint.h>
#include "src/base/cpu.h"
#include "src/base/status.h"

/* A stratum: places first .. first + n - 1 of the order of units, of which m are treated in a draw. */
typedef struct pfx_k_stratum {
    uint32_t first, n, m;
} pfx_k_stratum;

/* The m slots of each stratum in turn: slot j takes one of the `left` = n - j units that those before it did
 * not take, which stand from `place` = first + j on. */
typedef struct pfx_k_slots {
    const uint32_t *left, *place; /* [sum of m] */
    const uint32_t *order;        /* [places] the units in order of strata */
} pfx_k_slots;
void pfx_k_placebo_slots(pfx_idx n_strata, const pfx_k_stratum *stratum, uint32_t *left, uint32_t *place);

/* One replicate: for each stratum in turn m of its n units, without repetition (partial Fisher-Yates), the
 * j-th uniform on those that the first j did not take; with pick, after each of them a uniform number below
 * m. Numbers are those that pfx_rng_below gives on the stream (seed, purpose, index).
 * order  [places] a copy of slots->order; restored before the call ends
 * taken  [sum of m] scratch
 * unit   [sum of m] out: units drawn, in the order of draws
 * pick   [sum of m] out, or NULL
 * The same on every ISA. Threads: any, with an order of their own. */
void pfx_k_placebo_draw(pfx_isa isa, uint64_t seed, uint32_t purpose, uint64_t index, pfx_idx n_strata,
                        const pfx_k_stratum *stratum, const pfx_k_slots *slots, uint32_t *order,
                        uint32_t *taken, uint32_t *unit, uint32_t *pick);

/* sum[l] += sum over j < n of T[at[j]][l], j in order.
 * ld   a multiple of 8
 * T    [.. x ld]; sum [ld]. The same bits on every ISA. Threads: any. */
void pfx_k_placebo_sum(pfx_isa isa, pfx_idx n, const uint32_t *at, pfx_idx ld, const double *T, double *sum);

/* out[j] = T[at[j]] times c, in eight lanes that are added at the end. c [ld], out [n]; the rest as above. */
void pfx_k_placebo_dot(pfx_isa isa, pfx_idx n, const uint32_t *at, pfx_idx ld, const double *T,
                       const double *c, double *out);

typedef void pfx_k_placebo_draw_fn(uint64_t seed, uint32_t purpose, uint64_t index, pfx_idx n_strata,
                                   const pfx_k_stratum *stratum, const pfx_k_slots *slots, uint32_t *order,
                                   uint32_t *taken, uint32_t *unit, uint32_t *pick);
typedef void pfx_k_placebo_sum_fn(pfx_idx n, const uint32_t *at, pfx_idx ld, const double *T, double *sum);
typedef void pfx_k_placebo_dot_fn(pfx_idx n, const uint32_t *at, pfx_idx ld, const double *T, const double *c,
                                  double *out);
pfx_k_placebo_draw_fn pfx_k_placebo_draw_portable, pfx_k_placebo_draw_v3, pfx_k_placebo_draw_v4;
pfx_k_placebo_sum_fn pfx_k_placebo_sum_portable, pfx_k_placebo_sum_v3, pfx_k_placebo_sum_v4;
pfx_k_placebo_dot_fn pfx_k_placebo_dot_portable, pfx_k_placebo_dot_v3, pfx_k_placebo_dot_v4;

#endif
