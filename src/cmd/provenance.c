#include "src/cmd/provenance.h"

#include <string.h>
#include "src/base/text.h"

const char *pfx_provenance_get(const pfx_panel *p, const char *want)
{
    const char *key, *value, *found = NULL;
    for (int i = 0; pfx_panel_provenance(p, i, &key, &value); i++)
        if (strcmp(key, want) == 0) found = value;
    return found;
}

bool pfx_is_synthetic(const pfx_panel *p)
{
    const char *value = pfx_provenance_get(p, "synthetic");
    return value && strcmp(value, "no") != 0;
}

pfx_status pfx_provenance_derived(const pfx_panel *from, int argc, char **argv, pfx_row_sink *sink,
                                  pfx_err *err)
{
    /* Facts of the file and of the program that wrote it are not those of the new one. */
    static const char *const own[] = {"panelfx",       "hdf5",         "source",
                                      "source_sha256", "source_bytes", "source_rows"};
    const char *key, *value;
    pfx_status st = PFX_OK;
    pfx_str line = {0};
    for (int i = 0; st == PFX_OK && pfx_panel_provenance(from, i, &key, &value); i++) {
        bool skip = false;
        for (size_t j = 0; j < sizeof own / sizeof *own; j++) skip |= strcmp(key, own[j]) == 0;
        if (!skip)
            st = sink->provenance(sink->ctx, strcmp(key, "command") ? key : "source_command", value, err);
    }
    pfx_str_add(&line, "panelfx");
    for (int i = 0; i < argc; i++) pfx_str_addf(&line, " %s", argv[i]);
    if (line.failed) st = pfx_fail(err, PFX_ENOMEM, "out of memory for the command line");
    if (st == PFX_OK) st = sink->provenance(sink->ctx, "command", line.s, err);
    if (st == PFX_OK) st = sink->provenance(sink->ctx, "source", pfx_panel_path(from), err);
    pfx_str_free(&line);
    return st;
}
