/* Stopping a Monte-Carlo test as soon as it is decided on which side of alpha its p-value lies.
 *
 * Two boundaries for the count of extreme draws, S_n, are crossed under p = alpha with probability at most
 * eps_n = EPS n / (n + K) each, so that the decision "p > alpha" or "p <= alpha" is wrong with probability
 * at most EPS = 1/1000 whatever p is, and is reached with probability one unless p = alpha. The boundaries
 * are exact, from the distribution of S_n among the paths that have not crossed; they grow like the square
 * root of n, and with them the work of a draw. Source: Gandy (2009), "Sequential Implementation of Monte
 * Carlo Tests With Uniformly Bounded Resampling Risk", JASA 104, section 2 and 3 (default spending sequence:
 * K = 1000). */
#ifndef PFX_REP_DECIDE_H
#define PFX_REP_DECIDE_H

#include <stdbool.h>
#include "src/base/status.h"

typedef struct pfx_decide {
    double alpha;
    pfx_idx n, count;    /* draws so far, and the extreme ones of them */
    pfx_idx low, high;   /* the count decides at <= low or >= high */
    double below, above; /* probability spent on each side */
    double *prob;        /* [room] of counts first, first + 1 .. on paths not decided */
    pfx_idx first, live, room;
    int decided; /* 0 not yet, -1: p <= alpha, 1: p > alpha */
} pfx_decide;

/* 0 < alpha < 1. NOMEM. Free with pfx_decide_free, also after a failure. */
pfx_status pfx_decide_init(pfx_decide *d, double alpha, pfx_err *err) PFX_MUST;
void pfx_decide_free(pfx_decide *d);
/* The next draw, in the order of replicates. After the decision nothing changes any more. NOMEM. */
pfx_status pfx_decide_add(pfx_decide *d, bool extreme, pfx_err *err) PFX_MUST;

#endif
