/* The run's file, kept by another thread where a signal came and the computing one takes too long to see it:
 * a batch of many clusters, or the summary's own draws. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "src/base/stop.h"
#include "src/cmd/replicate.h"

/* Signal to status 75 is promised within 5 s. The loop has one to see it by itself; a file that is being
 * written has two more to be left alone. */
static const double SEE_S = 1, WAIT_S = 2;

static struct {
    pthread_mutex_t file; /* held by the computing thread, but while it is idle to the file */
    atomic_bool over;     /* the computing thread is through */
    rep_run *r;
    pfx_rep_run *run; /* the loop, while it runs, */
    pfx_idx done;     /* and draws before it, or all */
} guard = {.file = PTHREAD_MUTEX_INITIALIZER};

static bool take_file(void)
{
    const struct timespec wait = {.tv_nsec = 10000000};
    for (double left = WAIT_S; pthread_mutex_trylock(&guard.file) != 0; left -= 0.01) {
        if (atomic_load(&guard.over) || left <= 0) return false;
        nanosleep(&wait, NULL);
    }
    return true;
}

static void rescue(void *none)
{
    pfx_err err = {0};
    char text[sizeof err.msg + 5000]; /* and a file's name */
    const rep_run *r = guard.r;
    (void)none;
    bool mine = take_file();
    if (!mine && atomic_load(&guard.over)) return; /* it saw the signal, and says so */
    pfx_status st = mine && guard.run ? pfx_rep_salvage(guard.run, &err) : PFX_OK;
    if (mine && st == PFX_OK) st = r->file.checkpoint(r->file.ctx, false, &err);
    pfx_idx done = mine ? guard.done + (guard.run ? guard.run->done : 0) : 0;
    if (!mine)
        snprintf(text, sizeof text,
                 "stopped by signal %d; the last checkpoint is kept; run again with --resume",
                 pfx_stop_requested());
    else if (st == PFX_OK)
        snprintf(
            text, sizeof text,
            "stopped by signal %d after %lld of %lld replicates, kept in %s.part; run again with --resume",
            pfx_stop_requested(), (long long)done, (long long)(r->last - r->first), r->output);
    else
        snprintf(text, sizeof text, "stopped by signal %d; the last checkpoint is kept, no new one: %s",
                 pfx_stop_requested(), err.msg);
    pfx_stop_leave(text);
}

pfx_status rep_guard_begin(rep_run *r, pfx_err *err)
{
    pthread_mutex_lock(&guard.file);
    guard.r = r;
    guard.run = NULL;
    guard.done = 0;
    atomic_store(&guard.over, false);
    pfx_status st = pfx_stop_guard_begin(SEE_S, rescue, NULL, err);
    if (st != PFX_OK) rep_guard_end(r);
    return st;
}

void rep_guard_loop(pfx_rep_run *run, pfx_idx done)
{
    guard.run = run;
    guard.done = done;
}

void rep_guard_idle(void *none, bool on)
{
    (void)none;
    if (on)
        pthread_mutex_unlock(&guard.file);
    else
        pthread_mutex_lock(&guard.file);
}

void rep_guard_end(const rep_run *r)
{
    if (guard.r != r || !r) return;
    atomic_store(&guard.over, true);
    pfx_stop_guard_end();
    guard.r = NULL;
    pthread_mutex_unlock(&guard.file);
}
