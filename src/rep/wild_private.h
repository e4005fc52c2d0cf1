/* What the files of the wild bootstrap share. */
#ifndef PFX_REP_WILD_PRIVATE_H
#define PFX_REP_WILD_PRIVATE_H

#include "kernels/replicate.h"
#include "src/rep/wild.h"

/* What a test of two-stage least squares has besides (iv_wild.c). */
typedef struct wild_iv {
    int n, l1, n_pairs; /* endogenous variables; excluded instruments; pairs of these */
    double *f;          /* [n] the tested coefficient is f'b, b of y~ */
    double *pi;         /* [l1 x n] */
} wild_iv;

/* One test: everything that is summed over clusters, and the forms of the sums that the variance is.
 *
 * Rows of residuals are u0 + lambda u1 (the null polynomial), or u0 alone: `sets` 2 or 1. Scores of a cell
 * k_s = Q'W u_s, a_is = u_i'k_s with u_i = h_i = A^-1 c_i, or q_i of CV3. The variance of b*_i and b*_j is
 *     sum_c weight_c sum_g (alpha_gi - B_gi'S)(alpha_gj - B_gj'S),  S = sum v k, alpha_g = sum over its cells
 * of v a, so linear in v are S_s and, for each pair f of tests, T_fs = sum v (a_is B_j + a_js B_i) / 2. */
struct wild_dense; /* wild_dense.c */
typedef struct wild_test {
    int q, sets, n_forms; /* restrictions; pairs of them */
    int m, n_sq;          /* q sets values a cell has; pairs of them */
    pfx_idx n_stats,
        ld;         /* values in a row of stat, k (sets + n_forms sets); their distance, in whole lanes */
    double *stat;   /* [rows x ld] S_0 [S_1] T_00 [T_01] T_10 .. of each bootstrap cluster */
    double *sq;     /* [rows x n_sq] of clusterings whose clusters have one weight each */
    double *sq_sum; /* [n_sq] sum of the rows: all that Rademacher weights leave of them */
    double *a;      /* [cells x m] where some clustering crosses bootstrap clusters, else NULL */
    double *h;      /* [q x k] */
    double *form;   /* [n_forms][k x k] sum weight (B_i B_j' + B_j B_i') / 2 */
    double *full;   /* [q + n_forms] what the sample has in place of num and V: b - null, V */
    double b, null; /* q = 1 */
    double step;    /* lambda = -step x for the null b + x */
    struct wild_dense
        *dense; /* where effects cross the clusters, instead of stat, sq, a and form; else NULL */
    /* With instruments (L columns of q) q = sets = n_forms = 1, m = (1 + n) l1: a row of stat is Q'u, Q'v_1
     * .. Q'v_n, then for each pair of instruments the sums of u and of each v; form [n_pairs][L x L]; else
     * NULL. */
    wild_iv *iv;
} wild_test;

struct pfx_wild {
    const struct pfx_clusterstat *s;
    pfx_wild_options o;
    pfx_rep_method method;
    pfx_wild_info info;
    int k, n_tests;
    pfx_idx n_cells, n_boot, rows; /* rows: n_boot in whole tables of the lookup */
    int32_t *own_boot;             /* [cells] bootstrap cluster of each */
    /* Clusterings that cross bootstrap clusters: cells by cluster. start[c] NULL where they do not. */
    pfx_idx *start[PFX_WILD_MAX_ERRORS];
    int32_t *order[PFX_WILD_MAX_ERRORS];
    bool crosses;    /* some do */
    bool tables;     /* sign tables, else products */
    bool by_reps;    /* effects cross the clusters: a column for each replicate, else for each cluster */
    double value[8]; /* of each code of the weights */
    wild_test *test; /* [n_tests] */
    pfx_idx max_ld;
};

/* Fill w->test and w->info. NOMEM, NOCONV. */
pfx_status pfx_wild_prepare(pfx_wild *w, pfx_err *err) PFX_MUST;

/* The same for two-stage least squares (one test, no inversion); USAGE: what it does not do. */
pfx_status pfx_wild_iv_check(const struct pfx_clusterstat *s, const pfx_wild_options *o,
                             pfx_err *err) PFX_MUST;
pfx_status pfx_wild_iv_prepare(pfx_wild *w, pfx_err *err) PFX_MUST;
/* Its draws r0 .. r0 + 23 from sums C [ld x 24] and sums of squares sq [n_sq x 24]; room of so many doubles.
 */
pfx_idx pfx_wild_iv_room(const struct pfx_clusterstat *s);
void pfx_wild_iv_finish(const pfx_wild *w, pfx_idx r0, const double *C, const double *sq, double *room,
                        double *const *field);

/* Cells by cluster of a clustering that has codes, in order: start [n + 2] (the last is spare), order
 * [cells]. NOMEM: the caller frees what was made. */
pfx_status pfx_wild_sort_cells(pfx_idx cells, const pfx_wild_errors *e, pfx_idx **start, int32_t **order,
                               pfx_err *err) PFX_MUST;

/* Where effects that cross the clusters were absorbed: test number t, whose h and full [q] are set, from the
 * rows that the statistics kept. R [k x k] the factor of A, lambda [q]. NOMEM, also beyond the options'
 * max_bytes; NOCONV. */
pfx_status pfx_wild_dense_prepare(pfx_wild *w, int t, const double *R, const double *lambda,
                                  pfx_err *err) PFX_MUST;
void pfx_wild_dense_free(struct wild_dense *d);
/* By replicates? Where the matrix of clusters by bootstrap clusters is more than held_bytes; said. */
bool pfx_wild_dense_choose(const pfx_wild *w);
/* For the method. */
enum { PFX_WILD_DENSE_WIDTH = 8 * PFX_REP_LANES };
pfx_idx pfx_wild_dense_scratch(const pfx_wild *w);
void pfx_wild_dense_batch(const void *ctx, uint64_t seed, pfx_idx first, void *scratch, double *const *field);

/* Draws r0 .. r0 + 23 of test t from their numerators num [q sets], variances V [n_sq] and what these are the
 * rest of, sq [n_sq]: rows 24 apart. */
void pfx_wild_finish(const pfx_wild *w, int t, pfx_idx r0, const double *num, const double *V,
                     const double *sq, double *const *field);

/* Weights of bootstrap clusters first .. first + n - 1 (both multiples of 8, first of 512, n <= 512) in
 * replicates rep0 .. rep0 + 23, W [n x 24]; anything beyond the clusters. code [24 x 1024] scratch. */
void pfx_wild_fill(const pfx_wild *w, uint64_t seed, pfx_idx rep0, pfx_idx first, pfx_idx n, uint8_t *code,
                   double *W);
/* Signs of one replicate, as pfx_k_wild_signs. */
void pfx_wild_signs(const pfx_wild *w, uint64_t seed, pfx_idx replicate, pfx_idx c, uint64_t out[16]);

#endif
