/* Kernels of the wild cluster bootstrap: weights of clusters, and sums over clusters of weight times
 * statistics, by tables of sign patterns (Rademacher) or as matrix products (kernels/replicate.h), and the
 * quadratic forms that variances are made of. Source: methods.md section 4; Arlazarov, Dinic, Kronrod and
 * Faradzev (1970) for the tables. All results have the same bits on every ISA. Threads: any. */
#ifndef PFX_KERNELS_WILD_H
#define PFX_KERNELS_WILD_H

#include "src/base/cpu.h"
#include "src/base/status.h"

enum {
    PFX_WILD_SIGNS = 1024, /* clusters whose signs come from eight blocks of the stream, a bit each */
    PFX_WILD_DIGITS = 256, /* clusters whose digits do, eight to a word */
    PFX_WILD_TABLE = 128   /* rows of a table: patterns of eight signs, up to the sign of all */
};

/* Signs of clusters 1024 c .. 1024 c + 1023: bit i of out[j] for cluster 64 j + i of them; the stream's word
 * g / 32 holds cluster g's in bit g % 32. */
void pfx_k_wild_signs(pfx_isa isa, uint64_t seed, uint32_t purpose, uint64_t replicate, pfx_idx c,
                      uint64_t out[16]);

/* Digits 0..5 of clusters 256 c .. 256 c + 255, exactly uniform. Word w = g / 8 of the stream holds those of
 * eight clusters, the first highest (multiply by 6, take what passes 2^32); one that would favour some is
 * refused (4e-5 of them), and the word in its place of block 2^31 + n 2^24 + w / 4, n = 0, 1, .. is taken
 * instead. */
void pfx_k_wild_digits(pfx_isa isa, uint64_t seed, uint32_t purpose, uint64_t replicate, pfx_idx c,
                       uint8_t *out);

/* Bytes of sign patterns into table codes: the low seven bits the row, the highest whether to subtract it. */
static inline uint64_t pfx_k_wild_code(uint64_t signs)
{
    return signs ^ ((signs >> 7 & UINT64_C(0x0101010101010101)) * 0x7f);
}

/* T[t][c][s] = sum over i < 8 of S[8 t + i][s], minus where bit i of c is 0 (bit 7: always minus).
 * n   tables
 * ld  statistics of a cluster, a multiple of 8
 * S   [8 n x ld]
 * T   [n x 128 x ld] */
void pfx_k_wild_tables(pfx_isa isa, pfx_idx n, pfx_idx ld, const double *S, double *T);

/* acc[r] += the rows of T that the bytes of code[r] name, table t by byte t, in order.
 * n     tables, 1..8
 * reps  replicates
 * code  [reps], as pfx_k_wild_code
 * T     as above; acc [reps x ld] */
void pfx_k_wild_lookup(pfx_isa isa, pfx_idx n, pfx_idx reps, const uint64_t *code, pfx_idx ld,
                       const double *T, double *acc);

/* W[g][l] = value[code[l * ld + g]].
 * n, ld  multiples of 8
 * code   [24 x ld] below 8 */
void pfx_k_wild_pack(pfx_isa isa, pfx_idx n, pfx_idx ld, const uint8_t *code, const double value[8],
                     double *W);

/* out[q][l] += sum over g of W[g][l]^2 Z[g][q].
 * n  a multiple of 4
 * W  [n x 24], Z [n x m], out [m x 24] */
void pfx_k_wild_squares(pfx_isa isa, pfx_idx n, const double *W, int m, const double *Z, double *out);

/* Sums of groups of cells, and what they multiply to: alpha_q = sum of W[boot[x]][l] a[x][q] over the cells x
 * of a group; out[f][l] += weight alpha_q alpha_r over the groups, f counting pairs r <= q. start  [n + 1] of
 * each group in cell; cell [start[n]] boot   [cells] row of W; a [cells x m], m <= PFX_WILD_MAX_ALPHA out [m
 * (m + 1) / 2 x 24] */
enum { PFX_WILD_MAX_ALPHA = 16 };
void pfx_k_wild_groups(pfx_isa isa, pfx_idx n, const pfx_idx *start, const int32_t *cell, const int32_t *boot,
                       int m, const double *a, double weight, const double *W, double *out);

/* out[l] -= x'ty + y'tx - x'Q y in each of 24 lanes.
 * Q  [k x k] row-major; x, y, tx, ty [k x 24]; out [24] */
void pfx_k_wild_form(pfx_isa isa, int k, const double *Q, const double *x, const double *y, const double *tx,
                     const double *ty, double *out);

/* out[l] = h'x, h [k], x [k x 24]. */
void pfx_k_wild_dot(pfx_isa isa, int k, const double *h, const double *x, double *out);

/* How draws compare with the sample's t at the null b + x: t* = (n0 + n1 x) / sqrt(d0 + d1 x + d2 x^2), one
 * whose variance is not positive in none. Added to count: t*^2 > above; t* > right; t* < left; all. poly  n0
 * n1 d0 d1 d2, [n] each */
typedef struct pfx_k_wild_bounds {
    double above, right, left;
} pfx_k_wild_bounds;
void pfx_k_wild_count(pfx_isa isa, pfx_idx n, const double *const poly[5], double x,
                      const pfx_k_wild_bounds *b, double count[4]);

typedef void pfx_k_wild_signs_fn(uint64_t, uint32_t, uint64_t, pfx_idx, uint64_t *);
typedef void pfx_k_wild_digits_fn(uint64_t, uint32_t, uint64_t, pfx_idx, uint8_t *);
typedef void pfx_k_wild_tables_fn(pfx_idx, pfx_idx, const double *, double *);
typedef void pfx_k_wild_lookup_fn(pfx_idx, pfx_idx, const uint64_t *, pfx_idx, const double *, double *);
typedef void pfx_k_wild_pack_fn(pfx_idx, pfx_idx, const uint8_t *, const double *, double *);
typedef void pfx_k_wild_squares_fn(pfx_idx, const double *, int, const double *, double *);
typedef void pfx_k_wild_groups_fn(pfx_idx, const pfx_idx *, const int32_t *, const int32_t *, int,
                                  const double *, double, const double *, double *);
typedef void pfx_k_wild_form_fn(int, const double *, const double *, const double *, const double *,
                                const double *, double *);
typedef void pfx_k_wild_dot_fn(int, const double *, const double *, double *);
typedef void pfx_k_wild_count_fn(pfx_idx, const double *const *, double, const pfx_k_wild_bounds *, double *);
pfx_k_wild_signs_fn pfx_k_wild_signs_portable, pfx_k_wild_signs_v3, pfx_k_wild_signs_v4;
pfx_k_wild_digits_fn pfx_k_wild_digits_portable, pfx_k_wild_digits_v3, pfx_k_wild_digits_v4;
pfx_k_wild_tables_fn pfx_k_wild_tables_portable, pfx_k_wild_tables_v3, pfx_k_wild_tables_v4;
pfx_k_wild_lookup_fn pfx_k_wild_lookup_portable, pfx_k_wild_lookup_v3, pfx_k_wild_lookup_v4;
pfx_k_wild_pack_fn pfx_k_wild_pack_portable, pfx_k_wild_pack_v3, pfx_k_wild_pack_v4;
pfx_k_wild_squares_fn pfx_k_wild_squares_portable, pfx_k_wild_squares_v3, pfx_k_wild_squares_v4;
pfx_k_wild_groups_fn pfx_k_wild_groups_portable, pfx_k_wild_groups_v3, pfx_k_wild_groups_v4;
pfx_k_wild_form_fn pfx_k_wild_form_portable, pfx_k_wild_form_v3, pfx_k_wild_form_v4;
pfx_k_wild_dot_fn pfx_k_wild_dot_portable, pfx_k_wild_dot_v3, pfx_k_wild_dot_v4;
pfx_k_wild_count_fn pfx_k_wild_count_portable, pfx_k_wild_count_v3, pfx_k_wild_count_v4;

#endif
