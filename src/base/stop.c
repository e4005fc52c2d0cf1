#include "src/base/stop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "src/base/file.h"
#include "src/base/log.h"

static atomic_int requested, deferred;
static char farewell[200], what_runs[64];

/* Only calls that a signal handler may make. */
static void leave(void)
{
    pfx_file_remove_temporaries();
    ssize_t said = write(STDERR_FILENO, farewell, strlen(farewell));
    (void)said;
    _exit(75);
}

static void on_signal(int sig)
{
    atomic_store(&requested, sig);
    if (!atomic_load(&deferred)) leave();
}

void pfx_stop_install(const char *what)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGXCPU, SIGUSR1, SIGUSR2};
    snprintf(what_runs, sizeof what_runs, "%s", what);
    snprintf(farewell, sizeof farewell,
             "%s: stopped by a signal before the first replicate; run again with --resume\n", what);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction old, now = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
        sigfillset(&now.sa_mask);
        /* What the parent ignores (nohup) stays ignored. */
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN) continue;
        sigaction(signals[i], &now, NULL);
    }
}

void pfx_stop_defer(bool on)
{
    atomic_store(&deferred, on);
    if (!on && atomic_load(&requested)) leave();
}

int pfx_stop_requested(void)
{
    return atomic_load(&requested);
}

void pfx_stop_leave(const char *text)
{
    pfx_file_remove_temporaries();
    pfx_progress_end();
    fprintf(stderr, "%s: %s\n", what_runs, text);
    _exit(75);
}

/* ---- the guard ---- */

enum { LOOK_MS = 50 };

static struct {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    bool on, end;
    double after_s;
    void (*fn)(void *ctx);
    void *ctx;
} guard = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void *watch(void *none)
{
    double came = 0;
    (void)none;
    pthread_mutex_lock(&guard.mutex);
    while (!guard.end) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        double now = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
        if (came == 0 && pfx_stop_requested()) came = now;
        if (came > 0 && now - came >= guard.after_s) {
            guard.fn(guard.ctx);
            break;
        }
        t.tv_nsec += LOOK_MS * 1000000L;
        t.tv_sec += t.tv_nsec / 1000000000L;
        t.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&guard.ended, &guard.mutex, &t);
    }
    pthread_mutex_unlock(&guard.mutex);
    return NULL;
}

pfx_status pfx_stop_guard_begin(double after_s, void (*fn)(void *ctx), void *ctx, pfx_err *err)
{
    sigset_t all, before;
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&guard.ended, &clock);
    pthread_condattr_destroy(&clock);
    guard.after_s = after_s;
    guard.fn = fn;
    guard.ctx = ctx;
    guard.end = false;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    guard.on = pthread_create(&guard.thread, NULL, watch, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!guard.on) pthread_cond_destroy(&guard.ended);
    return guard.on ? PFX_OK : pfx_fail(err, PFX_ENOMEM, "cannot start a thread: %s", strerror(errno));
}

void pfx_stop_guard_end(void)
{
    if (!guard.on) return;
    pthread_mutex_lock(&guard.mutex);
    guard.end = true;
    pthread_cond_signal(&guard.ended);
    pthread_mutex_unlock(&guard.mutex);
    pthread_join(guard.thread, NULL);
    pthread_cond_destroy(&guard.ended);
    guard.on = false;
}
