#include "hdf5_io/h5_private.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hdf5_io/panel.h"

/* HDF5 without thread safety keeps its state in globals, so the lock that guards it is one too. */
static pthread_mutex_t h5_mutex = PTHREAD_MUTEX_INITIALIZER;

void pfx_h5_lock(void)
{
    pthread_mutex_lock(&h5_mutex);
    /* A thread-safe build has an error stack for each thread, and each starts out printing. */
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void pfx_h5_unlock(void)
{
    pthread_mutex_unlock(&h5_mutex);
}

pfx_status pfx_h5_init(pfx_err *err)
{
    unsigned major = 0, minor = 0, release = 0;
    pfx_status st = PFX_OK;
    /* A file whose close failed (disk full) stays in the library's tables, and its exit handler would close
     * it again and crash. Files here are closed by their owners, so the handler is not missed. It has to be
     * asked before anything else; a second call of this function finds it done. */
    (void)H5dont_atexit();
    pfx_h5_lock();
    /* H5check_version would abort on a difference; a different minor version is a different ABI. */
    if (H5get_libversion(&major, &minor, &release) < 0 || major != H5_VERS_MAJOR || minor != H5_VERS_MINOR)
        st = pfx_fail(
            err, PFX_EIO,
            "HDF5 %u.%u.%u is loaded, but this program was built for %d.%d: set LD_LIBRARY_PATH to that "
            "version, or build again",
            major, minor, release, H5_VERS_MAJOR, H5_VERS_MINOR);
    pfx_h5_unlock();
    return st;
}

const char *pfx_h5_version(void)
{
    static char text[32];
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
    snprintf(text, sizeof text, "%u.%u.%u", major, minor, release);
    return text;
}

typedef struct reason {
    char text[200]; /* innermost description */
    int os_error;   /* errno that HDF5 met, or 0 */
    bool checksum;
} reason;

static herr_t take_reason(unsigned n, const H5E_error2_t *e, void *ctx)
{
    reason *r = ctx;
    const char *d = e->desc ? e->desc : "", *p;
    if (n == 0) snprintf(r->text, sizeof r->text, "%s", d);
    if (!r->os_error && (p = strstr(d, "errno = "))) r->os_error = atoi(p + 8);
    /* From 1.14 on the checksum's own message is not on the stack, only that a filter failed on its bytes. */
    if (strstr(d, "checksum") || strstr(d, "filter returned failure during read")) r->checksum = true;
    return 0;
}

pfx_status pfx_h5_fail(pfx_err *err, pfx_status status, const char *fmt, ...)
{
    char what[600];
    reason r = {{0}, 0, false};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_reason, &r);
    H5Eclear2(H5E_DEFAULT);
    if (r.os_error) return pfx_fail(err, PFX_EIO, "%s: %s", what, strerror(r.os_error));
    if (r.checksum)
        return pfx_fail(err, PFX_EFORMAT,
                        "%s: checksum wrong, the file is damaged; restore it from a copy or import again",
                        what);
    if (r.text[0]) return pfx_fail(err, status, "%s (HDF5: %s)", what, r.text);
    return pfx_fail(err, status, "%s", what);
}

pfx_status pfx_h5_written(const pfx_h5 *f, pfx_err *err)
{
    int e = pfx_h5_output_error(f->output);
    if (e) return pfx_fail(err, PFX_EIO, "%s: cannot write: %s", f->path, strerror(e));
    return PFX_OK;
}
