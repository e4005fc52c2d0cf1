/* How this program was built; records of benchmarks carry it. */
#ifndef PFX_BASE_BUILD_H
#define PFX_BASE_BUILD_H

const char *
pfx_build_commit(void); /* "3c8cf11", "-dirty" behind it where sources differ; "unknown" outside git */
const char *pfx_build_flags(void);    /* the compiler's flags that results or speed depend on */
const char *pfx_build_compiler(void); /* "gcc 12.2.0", "clang 14.0.6" */

#endif
