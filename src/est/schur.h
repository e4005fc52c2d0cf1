/* The effects that are not eliminated: their Schur complement S = B'WMB, where B holds their columns and M projects
 * off the eliminated effect, and solutions of S G = C for many right-hand sides. Consistent singular systems are the
 * rule. Source: methods.md sections 1 and 6. */
#ifndef PFX_EST_SCHUR_H
#define PFX_EST_SCHUR_H

#include <stdbool.h>
#include "src/base/cpu.h"
#include "src/base/status.h"

/* Columns col0 .. col0 + n_levels - 1 of B: row r holds value[r] (or 1) in column col0 + code[r]. */
typedef struct pfx_schur_block {
    const int32_t *code;    /* [n] */
    const double *value;    /* [n] or NULL for ones */
    pfx_idx n_levels, col0;
} pfx_schur_block;

/* S up to this many columns is a dense matrix of its own and factored exactly: a year-presence mask is one word,
 * and the factorisation (q^3 / 3, 0.1 Mflop) costs less than reading a thousand rows. */
#define PFX_SCHUR_DENSE 64

typedef struct pfx_schur_spec {
    pfx_idx n;
    const double *w;            /* [n] > 0, or NULL */
    pfx_idx n_levels;           /* of the eliminated effect; 0: none, then M is the identity */
    const pfx_idx *start;       /* [n_levels + 1] */
    const int32_t *level;       /* [n] level of each row; may be NULL where n_levels <= 1 */
    bool mean;                  /* the eliminated effect has level means */
    int n_basis;                /* and this many vectors, orthonormal with the weights within each level and */
    double *const *basis;       /* [n_basis][n] orthogonal to the means, if any */
    pfx_idx n_groups;           /* fixed pieces of the levels, or of the rows where n_levels is 0; sums are taken */
    const pfx_idx *group;       /* [n_groups + 1] piece by piece */
    const bool *left;           /* [n_groups] pieces with levels that pfx_schur_count did not take; NULL: it took none */
    int n_blocks;
    const pfx_schur_block *block;
    pfx_idx q;                  /* columns of all blocks */
    double tol;                 /* of the iterative routes, relative residual */
    int maxiter, nth;
    pfx_isa isa;
    const char *effects;        /* for messages: "firm, industry^year" */
} pfx_schur_spec;

typedef struct pfx_schur pfx_schur;

/* An S of no rows. add gives it all rows at once, or, with at most PFX_SCHUR_DENSE columns, window by window: the
 * spec's arrays, n, n_levels and groups are then those of the window. q may be more than the columns that will occur:
 * finish is told their number (with one block, where it may differ). The last spec's arrays must outlive S unless it
 * is dense. NOMEM. */
pfx_status pfx_schur_create(const pfx_schur_spec *spec, pfx_schur **out, pfx_err *err) PFX_MUST;
pfx_status pfx_schur_add(pfx_schur *s, const pfx_schur_spec *spec, pfx_err *err) PFX_MUST;
pfx_status pfx_schur_finish(pfx_schur *s, pfx_idx q, pfx_err *err) PFX_MUST;
/* Levels may be counted before add, by the sets of columns that their rows lie in, where that says all: one block
 * without values, at most PFX_SCHUR_DENSE columns, no weights, no basis. mask [n]: 0 where two rows of the level share a
 * column, which is left to add. thread < nth, each at once. Returns whether none was left. */
bool pfx_schur_countable(const pfx_schur_spec *spec);
bool pfx_schur_count(pfx_schur *s, int thread, pfx_idx n, const uint64_t *mask);
void pfx_schur_free(pfx_schur *s);

/* Solve S G = C.
 * m      right-hand sides; ld >= m, a multiple of 8; padding columns of C are zero
 * C      [q x ld] right-hand sides
 * floor  [ld] squared residual norms that count as zero: rounding noise of each column's own size
 * G      [q x ld] overwritten
 * R      [q x ld] the residual C - S G that was reached
 * NOMEM; NOCONV: names the effects and the residual. */
pfx_status pfx_schur_solve(pfx_schur *s, int m, pfx_idx ld, const double *C, const double *floor, double *G, double *R,
                           pfx_err *err) PFX_MUST;

const char *pfx_schur_route(const pfx_schur *s);    /* "two-way", "schur-cholesky", "schur-pcg", after a solve */
int pfx_schur_iterations(const pfx_schur *s);       /* of the last solve; 0: direct */
pfx_idx pfx_schur_rank(const pfx_schur *s);         /* of S, exact, or -1 */
/* Connected components that block b forms with the eliminated effect. */
pfx_idx pfx_schur_components(const pfx_schur *s, int b);

#endif
