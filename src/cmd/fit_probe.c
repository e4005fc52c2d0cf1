/* How long a fit will take and what memory it needs, from fits of the panel's first rows. */
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/log.h"
#include "src/cmd/fit_private.h"

/* Rows of the two fits: enough chunks of the file that all buffers are in use, far enough apart that their
 * difference says what a row costs, few enough that it is known in a blink. */
enum { FEW = 6 * 65536, MORE = 24 * 65536 };
/* Rows of a panel from which on both are twice as long: more is reckoned from them. */
enum { LONG = 8000000 };
/* Each is run as often, and the best counts: whatever else the machine did meanwhile is not this fit's. */
enum { REPEATS = 4 };
/* One fit in a process of its own: its memory is this fit's alone, and what it warns of is not said twice. */
static bool run_apart(pfx_idx rows, fit_trial *trial, void *ctx, fit_need *got)
{
    int ends[2], status = 0;
    if (pipe(ends) != 0) return false;
    pid_t pid = fork();
    if (pid == 0) {
        pfx_err err = {0};
        int null = open("/dev/null", O_WRONLY);
        if (null >= 0) (void)dup2(null, STDERR_FILENO);
        double t0 = pfx_wall_s();
        pfx_status st = trial(ctx, rows, &err);
        fit_need used = {(double)pfx_peak_rss(), pfx_wall_s() - t0};
        bool told = st == PFX_OK && write(ends[1], &used, sizeof used) == (ssize_t)sizeof used;
        _exit(told ? 0 : 1);
    }
    close(ends[1]);
    bool ok = pid > 0 && read(ends[0], got, sizeof *got) == (ssize_t)sizeof *got;
    close(ends[0]);
    return pid > 0 && waitpid(pid, &status, 0) == pid && ok && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool best_of(pfx_idx rows, fit_trial *trial, void *ctx, fit_need *best)
{
    for (int i = 0; i < REPEATS; i++) {
        fit_need one;
        if (!run_apart(rows, trial, ctx, &one)) return false;
        if (i == 0 || one.seconds < best->seconds) *best = one;
    }
    return true;
}

bool fit_probe(pfx_idx n_rows, fit_trial *trial, void *ctx, fit_need *need)
{
    fit_need few = {0}, more = {0};
    const pfx_idx wide = n_rows > LONG ? 2 : 1, n_few = wide * FEW, n_more = wide * MORE;
    if (n_rows <= n_more) {
        if (!best_of(n_rows, trial, ctx, &few)) return false;
        *need = (fit_need){FIT_PROGRAM_BYTES + few.bytes, FIT_PROCESS_S + few.seconds};
        return true;
    }
    if (!best_of(n_few, trial, ctx, &few) || !best_of(n_more, trial, ctx, &more)) return false;
    double rest = (double)(n_rows - n_more) / (double)(n_more - n_few);
    *need = (fit_need){FIT_PROGRAM_BYTES + more.bytes, FIT_PROCESS_S + more.seconds};
    if (more.bytes > few.bytes) need->bytes += rest * (more.bytes - few.bytes);
    if (more.seconds > few.seconds) need->seconds += rest * (more.seconds - few.seconds);
    return true;
}
