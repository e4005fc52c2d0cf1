/* Groups of clusters exchanged at random: a regression is fitted in each group alone, and the groups'
 * coefficients are compared. Equal to permuting the groups' labels between the clusters and fitting each
 * group again: a group is a draw of the pairs bootstrap (pairs.h) that takes its clusters once and the others
 * not at all. Source: Fisher (1935); for the p-value Phipson and Smyth (2010). */
#ifndef PFX_REP_PERMUTE_H
#define PFX_REP_PERMUTE_H

#include <stdint.h>
#include "src/base/cpu.h"
#include "src/rep/driver.h"

struct pfx_clusterstat;

typedef struct pfx_permute pfx_permute;

/* group [s->G]: of each cluster, 0 .. n_groups - 1; 2 <= n_groups <= PFX_PERMUTE_GROUPS. Both must outlive
 * the result. NOMEM. */
enum { PFX_PERMUTE_GROUPS = 96 };
pfx_status pfx_permute_create(const struct pfx_clusterstat *s, int n_groups, const int32_t *group,
                              pfx_isa isa, pfx_permute **out, pfx_err *err) PFX_MUST;
void pfx_permute_free(pfx_permute *p);

/* A draw's estimate is, for each tested term, the second group's coefficient less the first's; with more
 * groups the sum of squares about the mean of the groups' coefficients. NaN where a group does not identify
 * it. No standard error. */
const pfx_rep_method *pfx_permute_method(const pfx_permute *p);
/* The data's own groups by the same way, value [n_terms]. NOMEM. */
pfx_status pfx_permute_own(const pfx_permute *p, double *value, pfx_err *err) PFX_MUST;
/* Labels of a replicate, label [G]: a permutation of the data's own by Fisher and Yates, with the stream
 * (seed, PFX_RNG_PLACEBO, replicate). work [G]. */
void pfx_permute_labels(const pfx_permute *p, uint64_t seed, pfx_idx replicate, pfx_idx *work,
                        int32_t *label);

#endif
