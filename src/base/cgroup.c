#include "src/base/cgroup.h"

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* First line of root + dir + "/" + name, without its end; false if there is no such file. */
static bool read_line(const char *dir, const char *name, char *line, int size)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path) return false;
    FILE *f = fopen(path, "re");
    if (!f) return false;
    bool ok = fgets(line, size, f) != NULL;
    fclose(f);
    if (ok) line[strcspn(line, "\n")] = '\0';
    return ok;
}

/* Limit that the group in dir sets, 0 if none. */
typedef double (*limit_fn)(const char *dir);

static double number(const char *s)
{
    char *end;
    double v = strtod(s, &end);
    return end != s && v > 0 ? v : 0;
}

static double cpu_v2(const char *dir)
{
    char line[128];
    if (!read_line(dir, "cpu.max", line, sizeof line)) return 0;
    double quota = number(line), period = 100000; /* "max 100000": no limit */
    const char *second = strchr(line, ' ');
    if (second && number(second) > 0) period = number(second);
    return quota / period;
}

static double cpu_v1(const char *dir)
{
    char quota[128], period[128];
    if (!read_line(dir, "cpu.cfs_quota_us", quota, sizeof quota)) return 0;
    if (!read_line(dir, "cpu.cfs_period_us", period, sizeof period) || number(period) <= 0) return 0;
    return number(quota) / number(period); /* -1: no limit */
}

static double tighter(double a, double b)
{
    if (a <= 0) return b;
    return b > 0 && b < a ? b : a;
}

static double memory_v2(const char *dir)
{
    char max[128] = "", high[128] = "";
    (void)read_line(dir, "memory.max", max, sizeof max);
    (void)read_line(dir, "memory.high", high, sizeof high);
    return tighter(number(max), number(high));
}

static double memory_v1(const char *dir)
{
    char line[128];
    if (!read_line(dir, "memory.limit_in_bytes", line, sizeof line)) return 0;
    double v = number(line);
    return v < 4e18 ? v : 0; /* without a limit the file holds 2^63 less a page */
}

/* The tightest limit of mount + path and all its parents. Inside a container the path may name groups that
 * are not visible; what is visible still counts. */
static double walk(const char *mount, const char *path, limit_fn limit)
{
    char dir[PATH_MAX];
    if (snprintf(dir, sizeof dir, "%s%s", mount, path) >= (int)sizeof dir) return 0;
    size_t floor = strlen(mount);
    double best = 0;
    for (;;) {
        best = tighter(best, limit(dir));
        char *slash = strrchr(dir, '/');
        if (!slash || (size_t)(slash - dir) < floor || strlen(dir) <= floor) return best;
        *slash = '\0';
    }
}

static bool in_list(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *s = list; s && *s; s = strchr(s, ','), s = s ? s + 1 : NULL)
        if (strncmp(s, word, len) == 0 && (s[len] == ',' || s[len] == '\0')) return true;
    return false;
}

/* Go through /proc/self/cgroup: lines "id:controllers:path", controllers empty for version 2. */
static double tightest(const char *root, const char *controller, limit_fn v1, limit_fn v2)
{
    char path[PATH_MAX], line[PATH_MAX];
    double best = 0;
    if (snprintf(path, sizeof path, "%s/proc/self/cgroup", root) >= (int)sizeof path) return 0;
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        char *list = strchr(line, ':'), *group = list ? strchr(list + 1, ':') : NULL;
        if (!group) continue;
        list++;
        *group++ = '\0';
        char mount[PATH_MAX];
        if (*list == '\0') {
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup", root);
            best = tighter(best, walk(mount, group, v2));
        } else if (in_list(list, controller)) {
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/%s", root, controller);
            best = tighter(best, walk(mount, group, v1));
        }
    }
    fclose(f);
    return best;
}

int pfx_cgroup_cpus(const char *root)
{
    double cpus = ceil(tightest(root, "cpu", cpu_v1, cpu_v2) - 1e-9);
    return cpus > 0 ? (cpus < INT_MAX ? (int)cpus : INT_MAX) : 0;
}

int64_t pfx_cgroup_memory(const char *root)
{
    return (int64_t)tightest(root, "memory", memory_v1, memory_v2);
}
