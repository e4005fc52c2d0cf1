/* What the files of the boot command share: its options, and its methods. */
#ifndef PFX_CMD_BOOT_H
#define PFX_CMD_BOOT_H

#include "src/cmd/replicate.h"

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

#endif
