/* Sums of demeaned rows over the levels of effects with many columns. */
#ifndef PFX_EST_ABSORB_SCATTER_H
#define PFX_EST_ABSORB_SCATTER_H

#include <stdbool.h>
#include "src/base/cpu.h"
#include "src/base/status.h"

typedef struct pfx_absorb_scatter pfx_absorb_scatter;

/* Room for n_groups tables of at most q columns of ld sums each (ld a multiple of 8), used as far as they fill.
 * max_rows: of one call of add. NOMEM. */
pfx_status pfx_absorb_scatter_create(pfx_idx q, pfx_idx ld, pfx_idx n_groups, pfx_idx max_rows, int nth,
                                     pfx_isa isa, pfx_absorb_scatter **out, pfx_err *err) PFX_MUST;
void pfx_absorb_scatter_free(pfx_absorb_scatter *s);

/* A group's table is empty: before its first rows. */
void pfx_absorb_scatter_begin(pfx_absorb_scatter *s, pfx_idx group);

/* Rows 0..n-1 of X [n x ld], its padding columns zero, times value[r] w[r] (either NULL: ones) to column col0 + code[r] of the group's
 * table. One thread to a group at a time, with a number of its own. Failure is kept for flush. */
void pfx_absorb_scatter_add(pfx_absorb_scatter *s, pfx_idx group, int thread, pfx_idx n, const int32_t *code,
                            pfx_idx col0, const double *value, const double *w, const double *X);

/* C [q x ld] += the tables of groups 0..n_groups-1, in their order; these are then empty. NOMEM: an add had
 * no room. */
pfx_status pfx_absorb_scatter_flush(pfx_absorb_scatter *s, pfx_idx n_groups, double *C,
                                    pfx_err *err) PFX_MUST;

#endif
