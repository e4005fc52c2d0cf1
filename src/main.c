/* panelfx: starts the libraries, finds the command, reports its error or its closing line. */
#include <errno.h>
#include <fcntl.h>
#include <gsl/gsl_errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hdf5_io/panel.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/base/version.h"
#include "src/cmd/commands.h"
#include "src/rep/driver.h"

/* Where descriptor 0, 1 or 2 is closed, the next file opened would take its number, and what is printed would
 * land in that file. A read-only /dev/null in its place makes the print fail instead. */
static void hold_standard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) < 0) return;
}

/* PANELFX_FAULT="alloc:K" or "write:K[:ERRNO]" makes the K-th allocation or write step fail, "slow:S" every batch of
 * replicates take S seconds more; for tests. */
static pfx_status arm_faults(pfx_err *err)
{
    const char *spec = getenv("PANELFX_FAULT");
    long k = 0;
    int e = ENOSPC;

    if (!spec || !spec[0]) return PFX_OK;
    if (sscanf(spec, "alloc:%ld", &k) == 1 && k > 0) {
        pfx_mem_fail_at(k);
        return PFX_OK;
    }
    if (sscanf(spec, "write:%ld:%d", &k, &e) >= 1 && k > 0) {
        pfx_fault_write_at(k, e);
        return PFX_OK;
    }
    double slow = 0;
    if (sscanf(spec, "slow:%lf", &slow) == 1 && slow > 0) {
        pfx_rep_slow_down(slow);
        return PFX_OK;
    }
    return pfx_fail(err, PFX_EUSAGE, "PANELFX_FAULT=%s: want alloc:K, write:K[:ERRNO] or slow:S", spec);
}

static pfx_status start(pfx_err *err)
{
    pfx_status st;
    hold_standard_descriptors();
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is then a write error like any other, */
    signal(SIGXFSZ, SIG_IGN); /* and so is a file that may not grow further */
    gsl_set_error_handler_off();
    if ((st = pfx_h5_init(err))) return st;
    if ((st = pfx_par_single_thread_blas(err))) return st;
    pfx_file_install_cleanup();
    return arm_faults(err);
}

static pfx_status unknown_command(const char *name, pfx_err *err)
{
    const char *names[64];
    int n = 0;
    while (n < 64 && pfx_commands[n]) {
        names[n] = pfx_commands[n]->name;
        n++;
    }
    const char *near = pfx_text_nearest(name, n, names);
    if (near) return pfx_fail(err, PFX_EUSAGE, "unknown command %s; did you mean %s?", name, near);
    return pfx_fail(err, PFX_EUSAGE, "unknown command %s; panelfx help lists them", name);
}

/* `panelfx`, `panelfx --help` and `panelfx --version` are other spellings of two commands. */
static const pfx_command *command_of(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) return &pfx_cmd_help;
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) return &pfx_cmd_version;
    return pfx_command_find(argv[1]);
}

/* What is still in the buffer of standard output must reach it: a full disk or a closed pipe is an error. */
static pfx_status finish_stdout(pfx_err *err)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout) && fclose(stdout) == 0) return PFX_OK;
    return pfx_fail(err, PFX_EIO, "standard output: cannot write: %s", strerror(errno ? errno : EIO));
}

int main(int argc, char **argv)
{
    pfx_err err = {0};
    const pfx_command *c = command_of(argc, argv);
    char *none[] = {(char *)"", NULL};
    pfx_status st = start(&err);

    if (st == PFX_OK)
        st = c ? c->run(argc > 1 ? argc - 1 : 1, argc > 1 ? argv + 1 : none, &err)
               : unknown_command(argv[1], &err);
    pfx_mem_fail_at(0);
    pfx_status flushed = finish_stdout(&err);
    if (st == PFX_OK) st = flushed;
    pfx_progress_end();
    if (st)
        fprintf(stderr, "panelfx%s%s: %s\n", c ? " " : "", c ? c->name : "", err.msg);
    else if (c)
        pfx_log_closing(PFX_VERSION, c->name);
    pfx_opt_cleanup();
    return pfx_status_exit_code(st);
}
