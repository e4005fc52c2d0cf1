/* A draw sink that keeps fields of the draws in memory, for what needs all draws at once. */
#ifndef PFX_REP_KEEP_H
#define PFX_REP_KEEP_H

#include "src/base/stream.h"

enum { PFX_KEEP_FIELDS = 16 }; /* fields of a draw that can be kept, a method's own included */

typedef struct pfx_draw_keep {
    int n_terms;
    pfx_idx first, n; /* replicates first .. first + n - 1 */
    pfx_idx room;
    double *field[PFX_KEEP_FIELDS]; /* [n x n_terms]; NULL: not kept */
} pfx_draw_keep;

/* Room for `room` draws from replicate `first` on, of the fields with their bit (1u << PFX_DRAW_ESTIMATE ..)
 * in `fields`. n counts what has come. NOMEM. Free with pfx_draw_keep_free, also after a failure. */
pfx_status pfx_draw_keep_init(pfx_draw_keep *k, int n_terms, unsigned fields, pfx_idx first, pfx_idx room,
                              pfx_err *err) PFX_MUST;
void pfx_draw_keep_free(pfx_draw_keep *k);
/* The sink: put alone is set; k must outlive it. */
pfx_draw_sink pfx_draw_keep_sink(pfx_draw_keep *k);

#endif
