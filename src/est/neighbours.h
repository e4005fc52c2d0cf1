/* Nearest neighbours on a score: which controls each treated row is matched with.
 *
 * The tie rule, part of a result's definition: of controls at the same distance the one of the lowest row
 * comes first; so do they of equal scores. Without replacement, treated rows choose in rounds, one neighbour
 * a round, from the highest score down, equal scores by row. Source: Rosenbaum and Rubin (1985); Stuart
 * (2010). */
#ifndef PFX_EST_NEIGHBOURS_H
#define PFX_EST_NEIGHBOURS_H

#include <stdbool.h>
#include <stdint.h>
#include "src/base/status.h"

typedef struct pfx_match_in {
    pfx_idx n;
    const double *score;    /* [n] finite */
    const uint8_t *treated; /* [n] 0 or 1 */
    const int32_t *stratum; /* [n] 0 .. n_strata - 1, matched within; NULL: one */
    pfx_idx n_strata;
    int k;          /* neighbours of a treated row, >= 1 */
    bool replace;   /* a control may serve several treated rows */
    bool support;   /* leave out treated rows beyond the range of the controls' scores in their stratum */
    double tie;     /* >= 0: scores, and distances, that differ by less are equal. Rows that are alike but for
                     * rounding     must not be told apart by it: a small share of the scores' spread. */
    double caliper; /* greatest distance, in units of the score; INFINITY: none */
    int nth;        /* threads, a stratum each; nothing depends on it but time */
} pfx_match_in;

typedef struct pfx_match {
    pfx_idx n_treated, n_control;
    pfx_idx n_off_support; /* treated rows left out by `support` */
    pfx_idx n_matched;     /* treated rows with a neighbour at least */
    pfx_idx n_short;       /* of these, with fewer than k */
    pfx_idx n_used;        /* controls used */
    pfx_idx *row;          /* [n_treated] the treated rows, ascending */
    pfx_idx *pair;         /* [n_treated x k] row of each neighbour in the order found, -1: none */
    double *weight; /* [n] 1 for a matched treated row; for a control the sum of 1 / neighbours over the
                     * treated rows that it serves: controls weigh as much as treated rows, together and in
                     * each stratum */
    int32_t *uses;  /* [n] neighbours of a treated row; treated rows that a control serves */
} pfx_match;

/* O(n log n). NOMEM. */
pfx_status pfx_match_run(const pfx_match_in *in, pfx_match **out, pfx_err *err) PFX_MUST;
void pfx_match_free(pfx_match *m);

#endif
