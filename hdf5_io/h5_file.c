#include "hdf5_io/h5_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "hdf5_io/panel.h"
#include "src/base/mem.h"

/* What a file that is not HDF5 looks like, for the message. */
static const char *guess_format(const unsigned char *head, size_t n)
{
    if (n == 0) return "the file is empty";
    if (n >= 2 && head[0] == 0x1f && head[1] == 0x8b) return "it is gzip-compressed";
    if (n >= 11 && !memcmp(head, "<stata_dta>", 11)) return "it is a Stata file: run panelfx import";
    if (n >= 4 && (!memcmp(head, "$FL2", 4) || !memcmp(head, "$FL3", 4)))
        return "it is an SPSS file: run panelfx import";
    if (n >= 4 && head[0] >= 0x69 && head[0] <= 0x73 && (head[1] == 1 || head[1] == 2) && head[2] == 1 &&
        head[3] == 0)
        return "it is an old Stata file: run panelfx import";
    for (size_t i = 0; i < n; i++)
        if (head[i] < 9 || (head[i] > 13 && head[i] < 32)) return "its signature is missing";
    return "it looks like text: run panelfx import on a CSV file";
}

/* An HDF5 file starts with its signature, or has it behind a user block of 512, 1024, 2048, ... bytes. */
static bool has_signature(int fd, off_t size)
{
    static const unsigned char want[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    unsigned char got[8];
    for (off_t at = 0; at + 8 <= size; at = at ? 2 * at : 512)
        if (pread(fd, got, 8, at) == 8 && !memcmp(got, want, 8)) return true;
    return false;
}

/* Tell what the system refuses from what the file lacks, before HDF5 mixes the two. */
static pfx_status probe(const char *path, pfx_err *err)
{
    pfx_status st = PFX_OK;
    unsigned char head[64];
    struct stat sb;
    ssize_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return pfx_fail(err, PFX_EIO, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(fd, &sb) < 0)
        st = pfx_fail(err, PFX_EIO, "%s: cannot read: %s", path, strerror(errno));
    else if (!S_ISREG(sb.st_mode))
        st = pfx_fail(err, PFX_EIO, "%s: is %s, give a panel file", path,
                      S_ISDIR(sb.st_mode) ? "a folder" : "not a regular file");
    else if ((got = pread(fd, head, sizeof head, 0)) < 0)
        st = pfx_fail(err, PFX_EIO, "%s: cannot read: %s", path, strerror(errno));
    else if (!has_signature(fd, sb.st_size))
        st = pfx_fail(err, PFX_EFORMAT, "%s: not an HDF5 file, %s", path, guess_format(head, (size_t)got));
    close(fd);
    return st;
}

typedef struct open_reason {
    bool truncated, lock, version;
    int os_error;
} open_reason;

static herr_t take_open_reason(unsigned n, const H5E_error2_t *e, void *ctx)
{
    open_reason *r = ctx;
    const char *d = e->desc ? e->desc : "", *p;
    (void)n;
    if (strstr(d, "truncated")) r->truncated = true;
    if (strstr(d, "lock")) r->lock = true;
    if (strstr(d, "version")) r->version = true;
    if (!r->os_error && (p = strstr(d, "errno = "))) r->os_error = atoi(p + 8);
    return 0;
}

static pfx_status open_failed(const char *path, pfx_err *err)
{
    open_reason r = {false, false, false, 0};
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_open_reason, &r);
    if (r.lock && r.os_error == EAGAIN)
        return pfx_fail(err, PFX_EIO, "%s: another process is writing it; wait for it to finish", path);
    if (r.lock && r.os_error)
        return pfx_fail(err, PFX_EIO,
                        "%s: this file system has no file locks (%s); set HDF5_USE_FILE_LOCKING=FALSE and "
                        "run again",
                        path, strerror(r.os_error));
    if (r.os_error) return pfx_fail(err, PFX_EIO, "%s: cannot read: %s", path, strerror(r.os_error));
    if (r.truncated)
        return pfx_fail(err, PFX_EFORMAT, "%s: truncated, its end is missing; copy or import it again", path);
    if (r.version)
        return pfx_h5_fail(err, PFX_EFORMAT, "%s: damaged, or written by a newer HDF5 than %s", path,
                           pfx_h5_version());
    return pfx_h5_fail(err, PFX_EFORMAT, "%s: damaged HDF5 file; restore it from a copy or import again",
                       path);
}

pfx_status pfx_h5_open_read(const char *path, pfx_h5 *out, pfx_err *err)
{
    pfx_status st = PFX_OK;
    *out = (pfx_h5){H5I_INVALID_HID, NULL, NULL};
    if ((st = probe(path, err)) != PFX_OK) return st;
    if (!(out->path = pfx_mem_strdup(path, err))) return PFX_ENOMEM;
    if ((out->id = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT)) < 0) {
        st = open_failed(path, err);
        pfx_h5_close(out);
    }
    return st;
}

pfx_status pfx_h5_create(const char *path, const char *tmp, pfx_h5 *out, pfx_err *err)
{
    pfx_status st = PFX_OK;
    hid_t fapl = H5Pcreate(H5P_FILE_ACCESS), fcpl = H5Pcreate(H5P_FILE_CREATE);
    *out = (pfx_h5){H5I_INVALID_HID, NULL, NULL};
    /* The 1.10 formats put a checksum on every piece of metadata, the chunk index included (1.8 has none
     * there); h5py and rhdf5 read them since 2018. Times are left out, so that equal panels are equal files.
     */
    if (fapl < 0 || fcpl < 0 || H5Pset_libver_bounds(fapl, H5F_LIBVER_V110, H5F_LIBVER_V110) < 0 ||
        H5Pset_fclose_degree(fapl, H5F_CLOSE_STRONG) < 0 || H5Pset_obj_track_times(fcpl, false) < 0) {
        st = pfx_h5_fail(err, PFX_EIO, "%s: cannot create", path);
        goto done;
    }
    if ((st = pfx_h5_output_create(fapl, &out->output, err)) != PFX_OK) goto done;
    if (!(out->path = pfx_mem_strdup(path, err))) {
        st = PFX_ENOMEM;
        goto done;
    }
    out->id = H5Fcreate(tmp, H5F_ACC_EXCL, fcpl, fapl);
    if ((st = pfx_h5_written(out, err)) == PFX_OK && out->id < 0)
        st = pfx_h5_fail(err, PFX_EIO, "%s: cannot create", path);
done:
    if (fcpl >= 0) H5Pclose(fcpl);
    if (fapl >= 0) H5Pclose(fapl);
    if (st != PFX_OK) pfx_h5_close(out);
    return st;
}

static void release(pfx_h5 *f)
{
    pfx_mem_free(f->path);
    pfx_mem_free(f->output);
    *f = (pfx_h5){H5I_INVALID_HID, NULL, NULL};
}

void pfx_h5_close(pfx_h5 *f)
{
    if (f->id >= 0) H5Fclose(f->id);
    release(f);
}

pfx_status pfx_h5_close_write(pfx_h5 *f, pfx_err *err)
{
    pfx_status st = PFX_OK;
    if (H5Fclose(f->id) < 0) st = pfx_h5_fail(err, PFX_EIO, "%s: cannot close", f->path);
    if (st == PFX_OK) st = pfx_h5_written(f, err);
    release(f);
    return st;
}
