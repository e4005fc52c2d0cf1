/* Names of clusters for readers. */
#ifndef PFX_CMD_REPLICATE_LABELS_H
#define PFX_CMD_REPLICATE_LABELS_H

#include "src/cmd/replicate.h"

/* What the first cluster variable says in panel rows row[n]: the label, the number, or "row N" where the
 * variable is a combination of columns or missing. label [n], each a new string, freed with rep_free_labels.
 * Reads the column once. IO, FORMAT, NOMEM. */
pfx_status rep_cluster_labels(const rep_run *r, pfx_idx n, const pfx_idx *row, char **label,
                              pfx_err *err) PFX_MUST;
void rep_free_labels(pfx_idx n, char **label);

/* Warn where fewer than PFX_FEW_SWITCHING clusters identify the term; *n as pfx_switching_clusters. NOMEM. */
pfx_status rep_warn_switching(const rep_run *r, const struct pfx_design *d, const char *term, pfx_idx *n,
                              pfx_err *err) PFX_MUST;

#endif
