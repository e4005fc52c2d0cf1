#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include "src/base/file.h"
#include "src/base/mem.h"

/* A new folder for one test. */
static const char *folder(const char *name)
{
    const char *path = test_tmp(name);
    assert_int_equal(mkdir(path, 0777), 0);
    return path;
}

static const char *in(const char *dir, const char *name)
{
    char *path = test_buffer();
    snprintf(path, 4096, "%.3000s/%.1000s", dir, name);
    return path;
}

static void assert_text(const char *path, const char *want)
{
    pfx_err err = {0};
    char *text;
    size_t n;
    assert_ok(pfx_file_read_text(path, 1 << 20, &text, &n, &err));
    assert_int_equal(n, strlen(want));
    assert_string_equal(text, want);
    pfx_mem_free(text);
}

static void write_and_read(void **state)
{
    (void)state;
    pfx_err err = {0};
    const char *dir = folder("write"), *path = in(dir, "a.txt");
    assert_ok(pfx_file_write_text(path, "one\n", 4, false, &err));
    assert_text(path, "one\n");
    assert_fails(pfx_file_write_text(path, "two\n", 4, false, &err), PFX_EUSAGE, "--force");
    assert_text(path, "one\n");
    assert_ok(pfx_file_write_text(path, "two\n", 4, true, &err));
    assert_text(path, "two\n");
    assert_ok(pfx_file_write_text(in(dir, "empty"), "", 0, false, &err));
    assert_text(in(dir, "empty"), "");
    assert_int_equal(test_count_files(dir), 2);
}

/* A temporary of `path` as another process names it; `age` seconds since it was written to. */
static const char *leave_temporary(const char *path, const char *host, long pid, int age)
{
    char *name = test_buffer();
    const struct timeval when[2] = {{time(NULL) - age, 0}, {time(NULL) - age, 0}};
    snprintf(name, 4096, "%.3000s.7.1.%s.%ld.tmp", path, host, pid);
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(utimes(name, when), 0);
    return name;
}

/* What a process that was killed has left is removed by the next of the same output; what another one may
 * still be writing is not. */
static void stale_temporaries(void **state)
{
    (void)state;
    pfx_err err = {0};
    const char *dir = folder("stale"), *path = in(dir, "d.h5");
    char here[256];
    int up[2], down[2];
    assert_int_equal(gethostname(here, sizeof here), 0);
    pid_t dead = fork();
    if (dead == 0) _exit(0);
    assert_int_equal(waitpid(dead, NULL, 0), dead);
    const char *held = leave_temporary(path, "other.host", 5, 0);
    assert_int_equal(pipe(up) | pipe(down), 0);
    pid_t alive = fork();
    if (alive == 0) { /* holds one under another host's name until it is told to end */
        char c = 0;
        int fd = open(held, O_RDWR);
        pfx_file_hold(fd);
        close(down[1]);
        c = (char)write(up[1], &c, 1);
        (void)!read(down[0], &c, 1);
        _exit(0);
    }
    char c;
    assert_int_equal(read(up[0], &c, 1), 1);
    const struct timeval old[2] = {{time(NULL) - 9999, 0}, {time(NULL) - 9999, 0}};
    assert_int_equal(utimes(held, old), 0);
    const char *gone[] = {leave_temporary(path, here, dead, 0), leave_temporary(path, here, getpid(), 0),
                          leave_temporary(path, "n1.cluster", dead, 7200)};
    const char *kept[] = {
        held, leave_temporary(path, here, alive, 9999), leave_temporary(path, "n1.cluster", 77, 60),
        leave_temporary(in(dir, "d"), here, dead, 0), leave_temporary(in(dir, "d.h5.x"), here, dead, 0)};
    assert_ok(pfx_file_write_text(path, "one\n", 4, false, &err));
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) assert_int_equal(access(gone[i], F_OK), -1);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) assert_int_equal(access(kept[i], F_OK), 0);
    close(down[1]);
    assert_int_equal(waitpid(alive, NULL, 0), alive);
    assert_ok(pfx_file_write_text(path, "two\n", 4, true, &err)); /* its writer has ended */
    assert_int_equal(access(held, F_OK), -1);
    assert_int_equal(access(kept[1], F_OK), -1);
}

static void reading_is_bounded(void **state)
{
    (void)state;
    pfx_err err = {0};
    const char *path = in(folder("read"), "big");
    char *big = pfx_mem_calloc(300000, 1, &err), *text;
    size_t n;
    memset(big, 'x', 299999);
    assert_ok(pfx_file_write_text(path, big, 299999, false, &err));
    assert_ok(pfx_file_read_text(path, 299999, &text, &n, &err));
    assert_int_equal(n, 299999);
    assert_int_equal(strlen(text), 299999);
    pfx_mem_free(text);
    assert_fails(pfx_file_read_text(path, 299998, &text, &n, &err), PFX_EDATA, "299998");
    assert_null(text);
    assert_fails(pfx_file_read_text(path, 10, &text, &n, &err), PFX_EDATA, path);
    assert_fails(pfx_file_read_text(in(test_tmpdir(), "none"), 10, &text, &n, &err), PFX_EIO, "none");
    assert_fails(pfx_file_read_text(test_tmpdir(), 10, &text, &n, &err), PFX_EIO, "");
    size_t now = pfx_mem_now();
    for (int k = 1; k <= 3; k++) {
        pfx_mem_fail_at(k);
        if (pfx_file_read_text(path, 299999, &text, &n, &err) == PFX_OK)
            pfx_mem_free(text);
        else
            assert_int_equal(err.status, PFX_ENOMEM);
        pfx_err_clear(&err);
        assert_int_equal(pfx_mem_now(), now);
    }
    pfx_mem_fail_at(0);
    pfx_mem_free(big);
}

static void targets_that_cannot_be(void **state)
{
    (void)state;
    pfx_err err = {0};
    const char *dir = folder("targets");
    pfx_out o;
    assert_fails(pfx_out_begin(&o, "", false, &err), PFX_EUSAGE, "empty");
    assert_fails(pfx_out_begin(&o, dir, true, &err), PFX_EUSAGE, "folder");
    assert_fails(pfx_out_begin(&o, "/dev/null", true, &err), PFX_EUSAGE, "regular");
    assert_fails(pfx_out_begin(&o, in(dir, "no/such/a.h5"), false, &err), PFX_EIO, "no/such");
    assert_ok(pfx_file_write_text(in(dir, "file"), "x", 1, false, &err));
    assert_fails(pfx_out_begin(&o, in(dir, "file/a.h5"), false, &err), PFX_EIO, strerror(ENOTDIR));
    pfx_out_abort(&o); /* a failed begin leaves nothing, and may be aborted */
    assert_int_equal(test_count_files(dir), 1);
}

static void temporary_has_the_job_in_its_name(void **state)
{
    (void)state;
    pfx_err err = {0};
    pfx_out o;
    char host[65] = "", want[4300];
    gethostname(host, sizeof host - 1);
    const char *path = in(folder("job"), "draws.h5");
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_RESTART_COUNT");
    assert_ok(pfx_out_begin(&o, path, false, &err));
    snprintf(want, sizeof want, "%s.0.0.%s.%ld.tmp", path, host, (long)getpid());
    assert_string_equal(o.tmp, want);
    pfx_out_abort(&o);
    setenv("SLURM_JOB_ID", "4711", 1);
    setenv("SLURM_RESTART_COUNT", "2", 1);
    assert_ok(pfx_out_begin(&o, path, false, &err));
    snprintf(want, sizeof want, "%s.4711.2.%s.%ld.tmp", path, host, (long)getpid());
    assert_string_equal(o.tmp, want);
    pfx_out_abort(&o);
    assert_null(o.tmp);
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_RESTART_COUNT");
}

static void links_stay_links(void **state)
{
    (void)state;
    pfx_err err = {0};
    struct stat sb;
    const char *dir = folder("links"), *other = folder("links2");
    assert_ok(pfx_file_write_text(in(other, "real"), "old", 3, false, &err));
    assert_int_equal(symlink(in(other, "real"), in(dir, "link")), 0);
    assert_ok(pfx_file_write_text(in(dir, "link"), "new", 3, true, &err));
    assert_int_equal(lstat(in(dir, "link"), &sb), 0);
    assert_true(S_ISLNK(sb.st_mode));
    assert_text(in(other, "real"), "new");
    /* In the current folder, without a slash. */
    char here[4096];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(dir), 0);
    assert_ok(pfx_file_write_text("plain", "x", 1, false, &err));
    assert_int_equal(chdir(here), 0);
    assert_text(in(dir, "plain"), "x");
}

/* Whatever step fails, the final name holds the old text or the new one, whole, and no temporary is left. */
static void a_failed_write_leaves_no_file(void **state)
{
    (void)state;
    static const int errors[] = {ENOSPC, EDQUOT, EIO};
    const char *dir = folder("faults"), *path = in(dir, "out.txt");
    for (int old = 0; old <= 1; old++) {
        bool done = false;
        int k = 1;
        for (; !done && k < 50; k++) {
            pfx_err err = {0};
            unlink(path);
            if (old) assert_ok(pfx_file_write_text(path, "old", 3, false, &err));
            pfx_fault_write_at(k, errors[k % 3]);
            done = pfx_file_write_text(path, "new text", 8, true, &err) == PFX_OK;
            pfx_fault_write_at(0, 0);
            if (done) break;
            assert_int_equal(err.status, PFX_EIO);
            assert_non_null(strstr(err.msg, path));
            assert_non_null(strstr(err.msg, strerror(errors[k % 3])));
            bool renamed = k == 4; /* write, fsync, rename, then fsync of the folder */
            if (old || renamed) assert_text(path, renamed ? "new text" : "old");
            assert_int_equal(test_count_files(dir), old || renamed);
        }
        assert_int_equal(k, 5);
        assert_text(path, "new text");
    }
}

static void out_of_memory_leaves_no_file(void **state)
{
    (void)state;
    const char *dir = folder("nomem"), *path = in(dir, "out.txt");
    size_t now = pfx_mem_now();
    for (int k = 1; k <= 2; k++) {
        pfx_err err = {0};
        pfx_mem_fail_at(k);
        assert_int_equal(pfx_file_write_text(path, "x", 1, false, &err), PFX_ENOMEM);
        pfx_mem_fail_at(0);
        assert_int_equal(test_count_files(dir), 0);
        assert_int_equal(pfx_mem_now(), now);
    }
}

/* A child that dies by the signal, with its temporary removed. */
static void signal_removes_temporaries(void **state)
{
    (void)state;
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGXCPU};
    const char *dir = folder("signals");
    for (size_t i = 0; i < 4; i++) {
        int ready[2], status;
        char c;
        assert_int_equal(pipe(ready), 0);
        pid_t child = fork();
        if (child == 0) {
            pfx_out a, b;
            pfx_file_install_cleanup();
            if (pfx_out_begin(&a, in(dir, "a"), false, NULL) || pfx_out_begin(&b, in(dir, "b"), false, NULL))
                _exit(1);
            fclose(fopen(a.tmp, "w"));
            fclose(fopen(b.tmp, "w"));
            if (pfx_out_commit(&b, NULL) || write(ready[1], "x", 1) != 1) _exit(2);
            for (;;) pause();
        }
        assert_int_equal(read(ready[0], &c, 1), 1);
        assert_int_equal(test_count_files(dir), 2);
        kill(child, signals[i]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
        assert_int_equal(test_count_files(dir), 1); /* b, whole */
        unlink(in(dir, "b"));
        close(ready[0]);
        close(ready[1]);
    }
}

static void nohup_is_respected(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    if (child == 0) {
        signal(SIGHUP, SIG_IGN);
        pfx_file_install_cleanup();
        raise(SIGHUP);
        _exit(7);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_and_read),
        cmocka_unit_test(stale_temporaries),
        cmocka_unit_test(reading_is_bounded),
        cmocka_unit_test(targets_that_cannot_be),
        cmocka_unit_test(temporary_has_the_job_in_its_name),
        cmocka_unit_test(links_stay_links),
        cmocka_unit_test(a_failed_write_leaves_no_file),
        cmocka_unit_test(out_of_memory_leaves_no_file),
        cmocka_unit_test(signal_removes_temporaries),
        cmocka_unit_test(nohup_is_respected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
