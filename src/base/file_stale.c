/* Temporaries that a process left behind because nothing could tell it to go: SIGKILL, a lost node. */
#include "src/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "src/base/text.h"

/* A temporary of another host that nobody holds is thrown away when nothing was written to it for so long:
 * its writer may have no locks to hold. */
static const double OTHER_HOST_S = 3600;

void pfx_file_hold(int fd)
{
    const char *off = getenv("HDF5_USE_FILE_LOCKING");
    if (!off || strcmp(off, "FALSE") != 0) (void)!flock(fd, LOCK_EX | LOCK_NB);
}

/* Host and process of "JOB.RESTART.HOST.PID.tmp". */
static bool parse_writer(const char *name, char *host, size_t room, pfx_idx *pid)
{
    size_t n = strlen(name);
    const char *from = name, *end = name + n - 4, *at = end;
    if (n < 4 || strcmp(end, ".tmp") != 0) return false;
    for (int i = 0; i < 2; i++) {
        size_t digits = strspn(from, "0123456789");
        if (digits == 0 || from[digits] != '.') return false;
        from += digits + 1;
    }
    while (at > from && at[-1] != '.') at--;
    if (at < from + 2 || !pfx_text_idx(at, (size_t)(end - at), pid) || *pid < 1) return false;
    return snprintf(host, room, "%.*s", (int)(at - 1 - from), from) < (int)room;
}

/* Has its writer died? What cannot be told is taken for alive. */
static bool is_abandoned(int folder, const char *name, const char *writer)
{
    char host[256], here[256] = "";
    pfx_idx pid = 0;
    struct stat sb;
    if (!parse_writer(writer, host, sizeof host, &pid)) return false;
    bool same = gethostname(here, sizeof here - 1) == 0 && strcmp(host, here) == 0;
    /* This process has none yet of this name. */
    if (same && pid != getpid() && (kill((pid_t)pid, 0) == 0 || errno != ESRCH)) return false;
    if (fstatat(folder, name, &sb, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(sb.st_mode)) return false;
    if (!same && difftime(time(NULL), sb.st_mtime) < OTHER_HOST_S) return false;
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return false;
    bool free = flock(fd, LOCK_SH | LOCK_NB) == 0;
    if (!free && errno != EWOULDBLOCK) free = same; /* no locks here: the process number has told */
    close(fd);
    return free;
}

void pfx_file_remove_stale(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    char dir[PATH_MAX];
    size_t n = strlen(base);
    if (snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".") >=
        (int)sizeof dir)
        return;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strncmp(e->d_name, base, n) != 0 || e->d_name[n] != '.') continue;
        if (is_abandoned(dirfd(d), e->d_name, e->d_name + n + 1)) (void)unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d) closedir(d);
}
