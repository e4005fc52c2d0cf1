/* What the files of the boot command share: its options, and its methods. */
#ifndef PFX_CMD_BOOT_H
#define PFX_CMD_BOOT_H

#include "src/cmd/replicate.h"
#include "src/rep/intervals.h"

enum { BOOT_ALL = INT32_MIN };

typedef struct boot_options {
    rep_options rep;
    pfx_opt_list coef;
    int method;      /* index in boot_methods */
    pfx_opt_list ci; /* of each method's own meaning */
    /* pairs */
    int draw;          /* 0 multinomial, 1 bayes */
    pfx_idx subsample; /* clusters in a replicate; BOOT_ALL: as many as there are */
    /* wild */
    int type, weights_type, ptype; /* places in their lists */
    bool unrestricted, joint;
    const char *bootcluster;
} boot_options;

extern const rep_method boot_pairs, boot_wild;

/* What draws of the pairs bootstrap say, for boot and for inference. --ci as flags, ci [PFX_CI_KINDS]: all
 * without names. USAGE. */
pfx_status boot_choose_intervals(const pfx_opt_list *names, bool *ci, pfx_err *err) PFX_MUST;
/* One term, with the intervals chosen; warns of lost draws. IDENT: more than half are lost. */
pfx_status boot_pairs_term(const char *term, const pfx_boot_in *in, const bool *ci, pfx_rep_term *out,
                           pfx_err *err) PFX_MUST;
void boot_pairs_note(const rep_options *o, bool studentised, pfx_str *note);
/* sqrt(M / G), which makes the spread of draws of M of G clusters that of the estimate; 1 where n_drawn is 0.
 */
double boot_pairs_scale(pfx_idx n_drawn, pfx_idx n_clusters);
/* How clusters were drawn, n_drawn of n_clusters (0: all), into values and note of a report. */
void boot_pairs_say_draw(bool bayes, pfx_idx n_drawn, pfx_idx n_clusters, pfx_rep_report *report);

#endif
