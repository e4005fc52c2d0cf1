/* Status codes and the one error message of a run. Every layer includes this. */
#ifndef PFX_BASE_STATUS_H
#define PFX_BASE_STATUS_H

#include <stdint.h>

/* Counts and indices of rows, levels, clusters, replicates: signed, 64 bits. */
typedef int64_t pfx_idx;

/* A missing level code or integer cell. A missing float is NaN. */
#define PFX_NA_CODE INT32_MIN

#define PFX_MUST __attribute__((warn_unused_result))
#define PFX_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

typedef enum pfx_status {
    PFX_OK = 0,
    PFX_EIO,     /* cannot open, read, write, rename: exit 1 */
    PFX_ENOMEM,  /* out of memory or of --memory: exit 1 */
    PFX_EUSAGE,  /* options, formula, expression: exit 2 */
    PFX_EDATA,   /* values that make no panel or no regression: exit 3 */
    PFX_EFORMAT, /* a file that is not what it should be: exit 3 */
    PFX_ENOCONV, /* no convergence: exit 4 */
    PFX_EIDENT,  /* not identified: exit 4 */
    PFX_EINTR    /* interrupted with a checkpoint kept: exit 75 */
} pfx_status;

/* A message says what, where (file, dataset, row, column), and what to do. One line, no newline. */
typedef struct pfx_err {
    pfx_status status;
    char msg[1024];
} pfx_err;

/* Record a failure and return its status. The deepest message is kept: if err already holds one, it stays
 * and its status is returned. err may be NULL. */
pfx_status pfx_fail(pfx_err *err, pfx_status status, const char *fmt, ...) PFX_PRINTF(3, 4);

/* Forget the message, so that err can be used again. */
void pfx_err_clear(pfx_err *err);

/* The process exit code of interface.md for a status: 0, 1, 2, 3, 4 or 75. */
int pfx_status_exit_code(pfx_status status);

#endif
