/* Families of columns of S, and the inverses of their blocks: a preconditioner for kernels/blockcg.h. */
#ifndef PFX_EST_SCHUR_FAMILIES_H
#define PFX_EST_SCHUR_FAMILIES_H

#include "src/est/schur_internal.h"

/* entries: of S, those beside its compressed rows too. NOMEM. f->n is 0 where S has no families that are
 * worth it: the diagonal does as well. */
pfx_status pfx_families_make(const pfx_schur_csr *S, pfx_idx entries, pfx_families *f, pfx_err *err) PFX_MUST;
void pfx_families_free(pfx_families *f);

#endif
