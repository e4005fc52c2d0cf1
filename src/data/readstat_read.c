#include "src/data/import_private.h"
pfx_status pfx_readstat_read(pfx_import_data *d, const pfx_import_options *o, pfx_err *err)
{
    (void)d, (void)o;
    return pfx_fail(err, PFX_EFORMAT, "not yet");
}
