/* What the files of the boot command share: its options, and its methods. */
#ifndef PFX_CMD_BOOT_H
#define PFX_CMD_BOOT_H

#include "src/cmd/replicate.h"
#include "src/rep/intervals.h"

typedef struct boot_options {
    rep_options rep;
    pfx_opt_list coef;
    int method;      /* index in boot_methods */
    pfx_opt_list ci; /* of each method's own meaning */
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

#endif
