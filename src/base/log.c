#include "src/base/log.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BAR_EVERY_S 0.2    /* five times a second */
#define LINE_EVERY_S 60.0  /* in a batch log */
#define ALWAYS_EVERY_S 1.0 /* --progress always without a terminal */
#define MAX_WARNINGS 256

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool quiet_run;
static pfx_progress_mode progress_mode;
static double process_start_s;
static int n_warnings;
static char warnings[MAX_WARNINGS][512];

static struct {
    bool active, bar, drawn; /* drawn: a bar stands on the terminal's current line */
    const char *what, *unit;
    double total, done, start_s, last_s, every_s;
} job;

static double clock_s(clockid_t id)
{
    struct timespec t;
    return clock_gettime(id, &t) == 0 ? (double)t.tv_sec + 1e-9 * (double)t.tv_nsec : 0;
}

double pfx_wall_s(void)
{
    return clock_s(CLOCK_MONOTONIC);
}

double pfx_cpu_s(void)
{
    return clock_s(CLOCK_PROCESS_CPUTIME_ID);
}

__attribute__((constructor)) static void note_start(void)
{
    process_start_s = pfx_wall_s();
}

double pfx_run_s(void)
{
    return pfx_wall_s() - process_start_s;
}

/* VmHWM, since ru_maxrss also counts what the parent held before exec. */
pfx_idx pfx_peak_rss(void)
{
    char line[256];
    long long kib = 0;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %lld", &kib) == 1) break;
    if (f) fclose(f);
    struct rusage u;
    if (kib == 0 && getrusage(RUSAGE_SELF, &u) == 0) kib = u.ru_maxrss;
    return (pfx_idx)kib * 1024;
}

void pfx_log_setup(bool quiet, pfx_progress_mode mode)
{
    quiet_run = quiet;
    progress_mode = mode;
}

/* Take the bar off the line before something else is written there. Call with the lock held. */
static void clear_bar(void)
{
    if (job.drawn) fputs("\r\033[K", stderr);
    job.drawn = false;
}

static void say(const char *prefix, const char *text)
{
    pthread_mutex_lock(&lock);
    clear_bar();
    fprintf(stderr, "%s%s\n", prefix, text);
    fflush(stderr);
    pthread_mutex_unlock(&lock);
}

void pfx_warn(const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    pthread_mutex_lock(&lock);
    if (n_warnings < MAX_WARNINGS) snprintf(warnings[n_warnings++], sizeof *warnings, "%.511s", text);
    pthread_mutex_unlock(&lock);
    say("panelfx: warning: ", text);
}

const char *pfx_warning(int i)
{
    return i >= 0 && i < n_warnings ? warnings[i] : NULL;
}

void pfx_note(const char *fmt, ...)
{
    if (quiet_run) return;
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    say("panelfx: ", text);
}

/* 1234567 as "1.23M": four characters of a count or rate. */
static const char *short_number(double v, char buf[16])
{
    static const char suffix[] = " kMGT";
    int i = 0;
    while (v >= 999.5 && suffix[i + 1]) {
        v /= 1000;
        i++;
    }
    snprintf(buf, 16, "%.3g%.*s", v, i > 0, suffix + i);
    return buf;
}

static const char *duration(double s, char buf[32])
{
    long long t = s < 0 || !isfinite(s) || s > 1e9 ? -1 : (long long)(s + 0.5);
    if (t < 0)
        snprintf(buf, 32, "?");
    else if (t >= 3600)
        snprintf(buf, 32, "%lld:%02lld:%02lld", t / 3600, t / 60 % 60, t % 60);
    else
        snprintf(buf, 32, "%lld:%02lld", t / 60, t % 60);
    return buf;
}

/* "12.3M of 100M rows, 12 %, 1.2M rows/s, 0:10 gone, 1:13 to go" */
static void describe(double now_s, char *text, size_t size)
{
    char done[16], total[16], rate_text[16], gone[32], left[32];
    double elapsed = now_s - job.start_s, rate = elapsed > 0 ? job.done / elapsed : 0;
    short_number(job.done, done);
    short_number(rate, rate_text);
    duration(elapsed, gone);
    if (job.total < 0) {
        snprintf(text, size, "%s %s, %s %s/s, %s gone", done, job.unit, rate_text, job.unit, gone);
        return;
    }
    double share = job.total > 0 ? job.done / job.total : 1;
    short_number(job.total, total);
    duration(rate > 0 ? (job.total - job.done) / rate : INFINITY, left);
    snprintf(text, size, "%s of %s %s, %.0f %%, %s %s/s, %s gone, %s to go", done, total, job.unit,
             100 * share, rate_text, job.unit, gone, left);
}

static int terminal_columns(void)
{
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

static void draw_bar(const char *text)
{
    char cells[21] = "";
    double share = job.total > 0 ? job.done / job.total : 0;
    int full = share >= 1 ? 20 : share > 0 ? (int)(20 * share) : 0;
    for (int i = 0; i < 20; i++) cells[i] = i < full ? '#' : '.';
    char line[512];
    if (job.total > 0)
        snprintf(line, sizeof line, "%s [%s] %s", job.what, cells, text);
    else
        snprintf(line, sizeof line, "%s: %s", job.what, text);
    fprintf(stderr, "\r\033[K%.*s", terminal_columns() - 1, line);
    job.drawn = true;
}

void pfx_progress_begin(const char *what, const char *unit, double total)
{
    bool terminal = isatty(STDERR_FILENO);
    job.active = progress_mode == PFX_PROGRESS_ALWAYS || (progress_mode == PFX_PROGRESS_AUTO && !quiet_run);
    job.bar = terminal;
    job.drawn = false;
    job.what = what;
    job.unit = unit;
    job.total = total;
    job.done = 0;
    job.start_s = job.last_s = pfx_wall_s();
    job.every_s = progress_mode == PFX_PROGRESS_ALWAYS ? ALWAYS_EVERY_S : LINE_EVERY_S;
    if (terminal) job.every_s = BAR_EVERY_S;
}

static void show(double now_s)
{
    char text[256];
    pthread_mutex_lock(&lock);
    describe(now_s, text, sizeof text);
    if (job.bar)
        draw_bar(text);
    else
        fprintf(stderr, "panelfx: %s: %s\n", job.what, text);
    fflush(stderr);
    job.last_s = now_s;
    pthread_mutex_unlock(&lock);
}

void pfx_progress_set(double done)
{
    if (!job.active) return;
    job.done = done;
    double now_s = pfx_wall_s();
    if (now_s - job.last_s >= job.every_s) show(now_s);
}

void pfx_progress_end(void)
{
    if (!job.active) return;
    if (!job.bar && progress_mode == PFX_PROGRESS_ALWAYS) show(pfx_wall_s());
    pthread_mutex_lock(&lock);
    clear_bar();
    fflush(stderr);
    job.active = false;
    pthread_mutex_unlock(&lock);
}

void pfx_log_closing(const char *version, const char *command)
{
    if (quiet_run) return;
    pfx_progress_end();
    fprintf(stderr, "panelfx %s: %s: wall %.2f s, cpu %.2f s, peak %.1f MiB\n", version, command, pfx_run_s(),
            pfx_cpu_s(), (double)pfx_peak_rss() / 1048576.0);
}
