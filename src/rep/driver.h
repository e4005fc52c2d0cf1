/* The replication driver: one loop for every method. A method gives what one batch of replicates computes and
 * what a draw is (a pfx_rep_method, filled by the method's own create function); the driver owns batches,
 * threads, progress, stop conditions, ranges and the sinks that take the draws.
 *
 * A draw's bits depend on (seed, replicate) alone. Batches have the method's fixed width and start at
 * multiples of it; one that crosses a bound of the range is computed whole, and the part within is kept. */
#ifndef PFX_REP_DRIVER_H
#define PFX_REP_DRIVER_H

#include <stdbool.h>
#include "src/base/stream.h"

typedef struct pfx_rep_method {
    const char *name;         /* "pairs" */
    int width;                /* replicates in a batch, >= 1, a constant of the method */
    int n_terms;              /* values of each field in a draw */
    int n_extra;              /* fields beyond the three of every draw, */
    const char *const *extra; /* [n_extra] and their names */
    pfx_idx scratch;          /* bytes that a thread needs, aligned to 64 */
    const void *ctx;
    /* Compute replicates first .. first + width - 1 (counted from 0) into field [PFX_DRAW_FIELDS + n_extra],
     * each [width x n_terms]. Random numbers come from src/base/rng.h, or kernels that agree with it, keyed
     * by (seed, the method's purpose, replicate). Cannot fail: a draw that is not identified is NaN. Threads:
     * any, with a scratch each. */
    void (*batch)(const void *ctx, uint64_t seed, pfx_idx first, void *scratch, double *const *field);
} pfx_rep_method;

/* Looked at after each batch, in the order of replicates whatever the threads do, so that where it stops is
 * part of the result: n draws from replicate `first` on, as for a sink. *stop true: these are the last. */
typedef pfx_status (*pfx_rep_stop)(void *ctx, pfx_idx first, pfx_idx n, const double *const *field,
                                   bool *stop, pfx_err *err);

typedef struct pfx_rep_run {
    uint64_t seed;
    pfx_idx first, last; /* replicates first .. last - 1, counted from 0 */
    int nth;             /* threads; nothing depends on it but time */
    const char *what;    /* of the progress bar; NULL: none */
    int n_sinks;
    const pfx_draw_sink *sinks; /* [n_sinks] begun; put is called in the order of replicates */
    pfx_rep_stop stop;          /* or NULL */
    void *stop_ctx;
    /* True: the process is to end. Threads look at it before each batch and leave out those not begun. NULL:
     * never. */
    bool (*interrupted)(void *ctx);
    /* Between rounds, when no batch is computed and the sinks have what was: the place of checkpoints. What
     * it fails with ends the run; it fails where `interrupted` is true. NULL: nothing to do. */
    pfx_status (*between)(void *ctx, pfx_err *err);
    /* on: the sinks are left alone while batches are computed, and pfx_rep_salvage may be called from another
     * thread; off: not any more. NULL: never. */
    void (*idle)(void *ctx, bool on);
    void *between_ctx;         /* of these three */
    struct pfx_rep_loop *loop; /* the driver's own */
    pfx_idx done;              /* out: draws that the sinks were given */
    bool stopped;              /* out: by stop, before the last */
} pfx_rep_run;

/* Run. NOMEM, and whatever a sink fails with. */
pfx_status pfx_rep_run_method(const pfx_rep_method *m, pfx_rep_run *run, pfx_err *err) PFX_MUST;

/* Where batches are computed that would take too long to wait for: hand those that are whole on to the sinks,
 * from another thread, while `idle` is on and is kept so. The run must not go on after it. What a sink fails
 * with. */
pfx_status pfx_rep_salvage(pfx_rep_run *run, pfx_err *err) PFX_MUST;

/* For tests: every batch takes so many seconds more. */
void pfx_rep_slow_down(double seconds);

/* Seconds that a replicate takes with nth threads, from computing a batch for each, and bytes that the loop
 * needs besides the method's own. NOMEM. */
pfx_status pfx_rep_measure(const pfx_rep_method *m, int nth, double *seconds, pfx_err *err) PFX_MUST;
double pfx_rep_bytes(const pfx_rep_method *m, int nth);

#endif
