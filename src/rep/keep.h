/* A draw sink that keeps the draws in memory, for what needs all of them at once. */
#ifndef PFX_REP_KEEP_H
#define PFX_REP_KEEP_H

#include "src/base/stream.h"

typedef struct pfx_draw_keep {
    int n_terms;
    pfx_idx first, n;
    double *field[PFX_DRAW_FIELDS]; /* [n x n_terms] */
} pfx_draw_keep;

/* Room for n draws from replicate `first` on. NOMEM. Free with pfx_draw_keep_free, also after a failure. */
pfx_status pfx_draw_keep_init(pfx_draw_keep *k, int n_terms, pfx_idx first, pfx_idx n, pfx_err *err) PFX_MUST;
void pfx_draw_keep_free(pfx_draw_keep *k);
/* The sink: put alone is set; k must outlive it. */
pfx_draw_sink pfx_draw_keep_sink(pfx_draw_keep *k);

#endif
