/* Least squares with other weights on the clusters beside effects that are neither nested in them nor few:
 * each replicate is a refit. The columns start demeaned within all effects in the full sample, so that only
 * what the weights change of that is left to find: one effect is eliminated by its weighted means, S = B'WMB
 * of the others' columns B is formed anew in the same places, and S G = B'WM Q gives the products Q'WMQ -
 * (B'WMQ)'G of the columns less all effects. An effect that is nested in the clusters has levels of its own
 * in each copy of a cluster, and the weights say just that; the others are shared. Source: methods.md
 * sections 3 and 6. */
#ifndef PFX_REP_REFIT_H
#define PFX_REP_REFIT_H

#include <stdbool.h>
#include "src/base/cpu.h"
#include "src/base/status.h"

struct pfx_design;

typedef struct pfx_refit pfx_refit;

typedef struct pfx_refit_in {
    const struct pfx_design *d; /* its absorbed effects, of which one has levels, its weights, and of its
                                   cluster variables the first; what is of the rows is in its order */
    int p;                      /* columns */
    const double *Q;            /* [n x p] demeaned within the effects, or p 0 */
    int slots;   /* solutions that a thread keeps: replicates whose squares are asked for later */
    int columns; /* of pfx_refit_project at once, at most; 0: that is not used */
    int maxiter; /* where S is solved iteratively */
    pfx_isa isa;
    double max_bytes; /* refuse to need more, in all threads together; 0: no bound */
    int nth;
    int way; /* 0: the cheapest; 1, 2, 3: as pfx_refit_route lists them, for tests */
} pfx_refit_in;

/* Everything is copied. USAGE: no effect with
 * levels, too many effects. NOMEM, also beyond max_bytes. */
pfx_status pfx_refit_create(const pfx_refit_in *in, pfx_refit **out, pfx_err *err) PFX_MUST;
void pfx_refit_free(pfx_refit *f);

/* How S is solved: "cholesky" anew in each replicate, "pcg-cholesky" with the full sample's factor, "pcg". */
const char *pfx_refit_route(const pfx_refit *f);
/* Is the eliminated effect nested in the clusters? Then sums of cluster statistics are products of rows. */
bool pfx_refit_nested(const pfx_refit *f);
pfx_idx pfx_refit_columns(const pfx_refit *f); /* of S */
pfx_idx pfx_refit_scratch(const pfx_refit *f); /* bytes of a thread */

/* Products of the columns less all effects, with weight [clusters].
 * slot  where the solution is kept, < slots
 * A     packed lower triangle with distance `stride`; in, where nested: Q'WQ; out. Row and column of a column
 * that the effects span in this replicate are zero; so is all where S was not solved in maxiter steps: false.
 * Threads: any, each with scratch of its own. The same bits on every ISA. */
bool pfx_refit_products(const pfx_refit *f, int slot, const double *weight, void *scratch, pfx_idx stride,
                        double *A);

/* Sum over clusters of weight times the square of sum over rows of w x e, x = (Q less effects) h, e = (Q less
 * effects)
 * (-b, 1), h and b [p - 1] with distance `stride`, of the replicate that has the slot. */
double pfx_refit_squares(const pfx_refit *f, int slot, const double *weight, pfx_idx stride, const double *h,
                         const double *b, void *scratch);

/* Columns X [n x m] less all effects in the full sample, in place, m = in->columns, in the rows' order of
 * pfx_refit_row. Returns false where S was not solved. */
bool pfx_refit_project(const pfx_refit *f, double *X, void *scratch);
/* Row of the design that stands at each place, [n]. */
const pfx_idx *pfx_refit_row(const pfx_refit *f);

#endif
