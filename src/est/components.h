/* Connected components by union-find, roots at the lowest index. */
#ifndef PFX_EST_COMPONENTS_H
#define PFX_EST_COMPONENTS_H

#include "src/base/status.h"

/* Every node its own component: root [n]. */
void pfx_components_init(pfx_idx n, pfx_idx *root);
/* The lowest node of i's component; shortens paths. */
pfx_idx pfx_components_find(pfx_idx *root, pfx_idx i);
void pfx_components_join(pfx_idx *root, pfx_idx i, pfx_idx j);
pfx_idx pfx_components_count(pfx_idx n, const pfx_idx *root);
/* Components of the graph whose edges are the rows: a[r] with na + b[r]. root [na + nb] is filled. nth threads. */
pfx_idx pfx_components_of_pair(pfx_idx n, const int32_t *a, pfx_idx na, const int32_t *b, pfx_idx nb, int nth, pfx_idx *root);

#endif
