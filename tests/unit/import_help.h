/* For the tests of the importer: a text into a file, a file into a panel in memory. */
#ifndef PFX_TESTS_IMPORT_HELP_H
#define PFX_TESTS_IMPORT_HELP_H

#include "src/data/import.h"
#include "tests/test.h"
#include "tests/unit/memory_panel.h"

/* Write n bytes to a file of the test's folder; its path. */
static inline const char *put_file(const char *name, const char *text, size_t n)
{
    const char *path = test_tmp(name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    return path;
}

static inline pfx_import_options import_defaults(const char *path)
{
    return (pfx_import_options){.path = path,
                                .time_unit = -1,
                                .threads = 2,
                                .memory = 1 << 30,
                                .tmpdir = test_tmpdir(),
                                .command = "test"};
}

/* m starts as {0}, and is emptied first. */
static inline pfx_status import_into(memory_panel *m, const pfx_import_options *o, pfx_import_summary *s,
                                     pfx_err *err)
{
    memory_free(m);
    pfx_row_sink sink = memory_sink(m);
    return pfx_import_run(o, &sink, s, err);
}

#endif
