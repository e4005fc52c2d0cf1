/* What a panel says of where it comes from, and what a panel made from it says. */
#ifndef PFX_CMD_PROVENANCE_H
#define PFX_CMD_PROVENANCE_H

#include "hdf5_io/panel.h"

/* The value of a line of /provenance, of the last of that name; NULL: there is none. */
const char *pfx_provenance_get(const pfx_panel *p, const char *key);
bool pfx_is_synthetic(const pfx_panel *p);
/* The lines of a panel made from `from` by this command line: those of `from`, whose command becomes
 * source_command and whose file the source, then the command. */
pfx_status pfx_provenance_derived(const pfx_panel *from, int argc, char **argv, pfx_row_sink *sink,
                                  pfx_err *err) PFX_MUST;

#endif
