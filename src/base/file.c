#include "src/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "src/base/mem.h"

/* Faults for tests. */
static _Atomic pfx_idx fault_countdown;
static atomic_int fault_errno;

void pfx_fault_write_at(pfx_idx k, int e)
{
    atomic_store(&fault_errno, e);
    atomic_store(&fault_countdown, k);
}

int pfx_fault_write(void)
{
    if (atomic_load(&fault_countdown) <= 0 || atomic_fetch_sub(&fault_countdown, 1) != 1) return 0;
    return atomic_load(&fault_errno);
}

/* Temporaries that a signal must remove. A handler may only read, so a fixed table of pointers. */
#define MAX_TEMPORARIES 64
static _Atomic(char *) temporaries[MAX_TEMPORARIES];

static void register_tmp(char *tmp)
{
    for (int i = 0; i < MAX_TEMPORARIES; i++) {
        char *empty = NULL;
        if (atomic_compare_exchange_strong(&temporaries[i], &empty, tmp)) return;
    }
}

static void unregister_tmp(char *tmp)
{
    for (int i = 0; i < MAX_TEMPORARIES; i++) {
        char *mine = tmp;
        if (atomic_compare_exchange_strong(&temporaries[i], &mine, NULL)) return;
    }
}

void pfx_file_remove_temporaries(void)
{
    for (int i = 0; i < MAX_TEMPORARIES; i++) {
        char *tmp = atomic_load(&temporaries[i]);
        if (tmp) unlink(tmp);
    }
}

static void on_signal(int sig)
{
    pfx_file_remove_temporaries();
    signal(sig, SIG_DFL);
    kill(getpid(), sig);
}

void pfx_file_install_cleanup(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGXCPU};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction old, now = {.sa_handler = on_signal};
        sigfillset(&now.sa_mask);
        /* What the parent ignores (nohup) stays ignored. */
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN) continue;
        sigaction(signals[i], &now, NULL);
    }
}

/* Folder part of path, "." if there is none, into dir [PATH_MAX]; false if it is too long. */
static bool folder_of(const char *path, char *dir)
{
    const char *slash = strrchr(path, '/');
    int len = slash ? (int)(slash - path) : 0;
    const char *from = !slash ? "." : len == 0 ? "/" : path;
    return snprintf(dir, PATH_MAX, "%.*s", len > 0 ? len : 1, from) < PATH_MAX;
}

static const char *env_or_zero(const char *name)
{
    const char *v = getenv(name);
    return v && *v && !strchr(v, '/') && strlen(v) < 64 ? v : "0";
}

static char *tmp_name(const char *path, pfx_err *err)
{
    char host[65] = "";
    if (gethostname(host, sizeof host - 1) != 0 || !*host || strchr(host, '/')) strcpy(host, "host");
    size_t size = strlen(path) + 256;
    char *tmp = pfx_mem_alloc((pfx_idx)size, 1, err);
    if (tmp)
        snprintf(tmp, size, "%s.%s.%s.%s.%ld.tmp", path, env_or_zero("SLURM_JOB_ID"),
                 env_or_zero("SLURM_RESTART_COUNT"), host, (long)getpid());
    return tmp;
}

/* Can path be created, or replaced? */
static pfx_status check_target(const char *path, bool force, pfx_err *err)
{
    struct stat sb;
    char dir[PATH_MAX];
    if (!*path) return pfx_fail(err, PFX_EUSAGE, "the output's file name is empty");
    if (stat(path, &sb) == 0) {
        if (S_ISDIR(sb.st_mode)) return pfx_fail(err, PFX_EUSAGE, "%s is a folder; name a file in it", path);
        if (!S_ISREG(sb.st_mode))
            return pfx_fail(err, PFX_EUSAGE, "%s is not a regular file and cannot be replaced by one", path);
        if (!force) return pfx_fail(err, PFX_EUSAGE, "%s exists; give --force to replace it", path);
    }
    if (!folder_of(path, dir)) return pfx_fail(err, PFX_EIO, "%s: the name is too long", path);
    bool ok = stat(dir, &sb) == 0;
    if (ok && !S_ISDIR(sb.st_mode)) {
        errno = ENOTDIR;
        ok = false;
    }
    if (ok) ok = access(dir, W_OK | X_OK) == 0;
    if (!ok) return pfx_fail(err, PFX_EIO, "%s: cannot write in folder %s: %s", path, dir, strerror(errno));
    return PFX_OK;
}

bool pfx_out_is(const char *output, const char *input)
{
    struct stat out, in;
    if (!output || strcmp(output, "-") == 0 || stat(output, &out) != 0 || stat(input, &in) != 0) return false;
    return out.st_dev == in.st_dev && out.st_ino == in.st_ino;
}

pfx_status pfx_out_spare(const char *output, const char *input, pfx_err *err)
{
    if (!pfx_out_is(output, input)) return PFX_OK;
    return pfx_fail(err, PFX_EUSAGE, "-o %s is the file that is read; name another", output);
}

pfx_status pfx_out_begin(pfx_out *o, const char *path, bool force, pfx_err *err)
{
    *o = (pfx_out){0};
    pfx_status st = check_target(path, force, err);
    if (st != PFX_OK) return st;
    /* A link stays a link: what it points to is replaced. */
    char real[PATH_MAX];
    if (realpath(path, real)) path = real;
    o->path = pfx_mem_strdup(path, err);
    o->tmp = o->path ? tmp_name(o->path, err) : NULL;
    if (!o->tmp) {
        pfx_out_abort(o);
        return PFX_ENOMEM;
    }
    pfx_file_remove_stale(o->path);
    register_tmp(o->tmp);
    return PFX_OK;
}

/* fsync of a file or folder; 0 or errno. */
static int sync_path(const char *path, int flags)
{
    int e = pfx_fault_write();
    if (e) return e;
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) return errno;
    /* Some file systems cannot sync a folder; then there is nothing more to do. */
    if (fsync(fd) != 0 && !(errno == EINVAL && (flags & O_DIRECTORY))) e = errno;
    if (close(fd) != 0 && e == 0) e = errno;
    return e;
}

static int rename_whole(const char *from, const char *to)
{
    int e = pfx_fault_write();
    if (e) return e;
    return rename(from, to) == 0 ? 0 : errno;
}

/* The temporary, whole on the disk, under name, and the name there too; 0 or errno. */
static int publish(const char *tmp, const char *name)
{
    char dir[PATH_MAX];
    int e = sync_path(tmp, O_RDONLY);
    if (e == 0) e = rename_whole(tmp, name);
    if (e == 0 && folder_of(name, dir)) e = sync_path(dir, O_RDONLY | O_DIRECTORY);
    return e;
}

pfx_status pfx_out_commit(pfx_out *o, pfx_err *err)
{
    int e = publish(o->tmp, o->path);
    if (e != 0) pfx_fail(err, PFX_EIO, "%s: cannot write: %s", o->path, strerror(e));
    pfx_out_abort(o); /* after the rename there is nothing left to remove */
    return e == 0 ? PFX_OK : PFX_EIO;
}

pfx_status pfx_out_keep_as(pfx_out *o, const char *name, pfx_err *err)
{
    int e = publish(o->tmp, name);
    if (e == 0) return PFX_OK;
    (void)unlink(o->tmp);
    return pfx_fail(err, PFX_EIO, "%s: cannot write: %s", name, strerror(e));
}

void pfx_out_abort(pfx_out *o)
{
    if (o->tmp) {
        (void)unlink(o->tmp);
        unregister_tmp(o->tmp);
    }
    pfx_mem_free(o->tmp);
    pfx_mem_free(o->path);
    *o = (pfx_out){0};
}

/* Write everything to fd; 0 or errno. */
static int write_all(int fd, const char *text, size_t n)
{
    for (size_t at = 0; at < n;) {
        int e = pfx_fault_write();
        if (e) return e;
        ssize_t k = write(fd, text + at, n - at);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return errno;
        at += (size_t)k;
    }
    return 0;
}

pfx_status pfx_file_write_text(const char *path, const char *text, size_t n, bool force, pfx_err *err)
{
    if (!path || strcmp(path, "-") == 0) {
        int e = fflush(stdout) == 0 ? write_all(STDOUT_FILENO, text, n) : errno;
        return e == 0 ? PFX_OK : pfx_fail(err, PFX_EIO, "standard output: cannot write: %s", strerror(e));
    }
    pfx_out o;
    pfx_status st = pfx_out_begin(&o, path, force, err);
    if (st != PFX_OK) return st;
    int fd = open(o.tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd >= 0) pfx_file_hold(fd);
    int e = fd < 0 ? errno : write_all(fd, text, n);
    if (fd >= 0 && close(fd) != 0 && e == 0) e = errno;
    if (e == 0) return pfx_out_commit(&o, err);
    st = pfx_fail(err, PFX_EIO, "%s: cannot write: %s", path, strerror(e));
    pfx_out_abort(&o);
    return st;
}

/* Read fd into a buffer of max + 1 bytes at most, growing as needed. */
static pfx_status read_all(int fd, const char *path, size_t max, char **out, size_t *n, pfx_err *err)
{
    size_t cap = max < 65536 ? max + 1 : 65536, len = 0;
    char *buf = pfx_mem_alloc((pfx_idx)cap + 1, 1, err);
    while (buf) {
        ssize_t k = read(fd, buf + len, cap - len);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) {
            pfx_fail(err, PFX_EIO, "%s: cannot read: %s", path, strerror(errno));
            break;
        }
        len += (size_t)k;
        if (len > max) {
            pfx_fail(err, PFX_EDATA, "%s: larger than %zu bytes; is it the file you meant?", path, max);
            break;
        }
        if (k == 0) {
            buf[len] = '\0';
            *out = buf;
            if (n) *n = len;
            return PFX_OK;
        }
        if (len < cap) continue;
        cap = cap > max / 2 ? max + 1 : 2 * cap;
        char *bigger = pfx_mem_realloc(buf, (pfx_idx)cap + 1, 1, err);
        if (!bigger) break;
        buf = bigger;
    }
    pfx_mem_free(buf);
    return pfx_fail(err, PFX_ENOMEM, "%s: out of memory", path);
}

pfx_status pfx_file_read_text(const char *path, size_t max, char **out, size_t *n, pfx_err *err)
{
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return pfx_fail(err, PFX_EIO, "%s: cannot open: %s", path, strerror(errno));
    pfx_err local = {0};
    pfx_status st = read_all(fd, path, max, out, n, err ? err : &local);
    close(fd);
    return st;
}
