#include "src/base/stop.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "src/base/file.h"

static atomic_int requested, deferred;
static char farewell[200];

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
