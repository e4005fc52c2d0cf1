#include "src/base/build.h"

/* The Makefile sets these two for this file alone. */
#ifndef PFX_COMMIT
#define PFX_COMMIT "unknown"
#endif
#ifndef PFX_FLAGS
#define PFX_FLAGS "unknown"
#endif

const char *pfx_build_commit(void)
{
    return PFX_COMMIT;
}

const char *pfx_build_flags(void)
{
    return PFX_FLAGS;
}

const char *pfx_build_compiler(void)
{
#ifdef __clang__
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}
