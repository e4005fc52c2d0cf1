#include "tests/test.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>
#include "src/base/frame.h"
#include "src/base/log.h"

static void wait_s(double s)
{
    struct timespec t = {.tv_sec = (time_t)s, .tv_nsec = (long)(1e9 * (s - floor(s)))};
    nanosleep(&t, NULL);
}

/* Run fn in a child whose stderr is fd, and give what it wrote there, read from read_fd. */
static const char *stderr_of(void (*fn)(void), int fd, int read_fd)
{
    static char text[65536];
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(fd, STDERR_FILENO);
        close(fd);
        close(read_fd);
        fn();
        fflush(stderr);
        _exit(0);
    }
    close(fd);
    size_t n = 0;
    ssize_t k; /* a terminal whose other side has closed gives EIO */
    while (n < sizeof text - 1 && (k = read(read_fd, text + n, sizeof text - 1 - n)) > 0) n += (size_t)k;
    text[n] = '\0';
    close(read_fd);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    return text;
}

static const char *in_batch(void (*fn)(void))
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    return stderr_of(fn, ends[1], ends[0]);
}

static const char *on_terminal(void (*fn)(void))
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) {
        printf("SKIP %s: no pseudo-terminal here\n", __func__);
        skip();
    }
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    return stderr_of(fn, slave, master);
}

static void warn_and_note(void)
{
    pfx_warn("%d clusters are few", 9);
    pfx_note("read %s", "a.h5");
    pfx_log_setup(true, PFX_PROGRESS_AUTO);
    pfx_warn("not silenced");
    pfx_note("silenced");
    pfx_log_closing("1.2.3", "fit");
}

static void lines_and_quiet(void **state)
{
    (void)state;
    assert_string_equal(in_batch(warn_and_note), "panelfx: warning: 9 clusters are few\npanelfx: read a.h5\n"
                                                 "panelfx: warning: not silenced\n");
}

static void keep_warnings(void)
{
    for (int i = 0; i < 300; i++) pfx_warn("number %d", i);
    fprintf(stderr, "%s|%s|%d", pfx_warning(0), pfx_warning(255),
            pfx_warning(256) == NULL && pfx_warning(-1) == NULL);
}

static void warnings_are_kept(void **state)
{
    (void)state;
    const char *text = in_batch(keep_warnings);
    assert_string_equal(strrchr(text, '\n') + 1, "number 0|number 255|1");
}

static void close_run(void)
{
    pfx_log_closing("1.2.3", "fit");
}

static void closing_line(void **state)
{
    (void)state;
    double wall, cpu, peak;
    char end;
    int n = sscanf(in_batch(close_run), "panelfx 1.2.3: fit: wall %lf s, cpu %lf s, peak %lf MiB%c", &wall,
                   &cpu, &peak, &end);
    assert_int_equal(n, 4);
    assert_int_equal(end, '\n');
    assert_true(wall >= 0 && wall < 100 && cpu >= 0 && peak > 0.5 && peak < 10000);
}

static double step_s = 0.25;

static void work(void)
{
    pfx_progress_begin("import", "rows", 1000);
    for (int i = 0; i <= 1000; i += 250) {
        pfx_progress_set(i);
        wait_s(step_s);
    }
    pfx_warn("in between");
    pfx_progress_end();
}

static void work_always(void)
{
    pfx_log_setup(true, PFX_PROGRESS_ALWAYS);
    work();
}

static void work_quiet(void)
{
    step_s = 0;
    pfx_log_setup(true, PFX_PROGRESS_AUTO);
    work();
}

static void work_never(void)
{
    step_s = 0;
    pfx_log_setup(false, PFX_PROGRESS_NEVER);
    work();
}

static void work_unknown(void)
{
    pfx_log_setup(false, PFX_PROGRESS_ALWAYS);
    pfx_progress_begin("simulate", "rows", -1);
    pfx_progress_set(2.5e6);
    pfx_progress_end();
}

static void progress_in_a_batch_log(void **state)
{
    (void)state;
    static const char warning[] = "panelfx: warning: in between\n";
    assert_string_equal(in_batch(work), warning); /* shorter than a minute: no line */
    assert_string_equal(in_batch(work_never), warning);
    const char *text = in_batch(work_always);
    assert_non_null(strstr(text, "panelfx: import: 1k of 1k rows, 100 %, "));
    assert_non_null(strstr(text, "rows/s, 0:01 gone, 0:00 to go\n"));
    assert_null(strchr(text, '\r'));
    text = in_batch(work_unknown);
    assert_non_null(strstr(text, "panelfx: simulate: 2.5M rows, "));
    assert_null(strstr(text, "to go"));
}

static void progress_on_a_terminal(void **state)
{
    (void)state;
    const char *text = on_terminal(work);
    assert_non_null(strstr(text, "\r\033[Kimport [#####...............] 250 of 1k rows, 25 %"));
    /* The warning stands on a line of its own, and no bar is left behind. */
    assert_non_null(strstr(text, "\r\033[Kpanelfx: warning: in between\r\n"));
    assert_string_equal(text + strlen(text) - 2, "\r\n");
    text = on_terminal(work_quiet);
    assert_string_equal(text, "panelfx: warning: in between\r\n");
    assert_string_equal(on_terminal(work_never), "panelfx: warning: in between\r\n");
}

static void clocks_and_memory(void **state)
{
    (void)state;
    double wall = pfx_wall_s(), cpu = pfx_cpu_s();
    wait_s(0.05);
    assert_true(pfx_wall_s() - wall >= 0.05);
    assert_true(pfx_cpu_s() - cpu < 0.05);
    pfx_idx before = pfx_peak_rss();
    size_t bytes = 64u << 20;
    volatile char *p = malloc(bytes);
    for (size_t i = 0; i < bytes; i += 1024) p[i] = 1;
    assert_true(pfx_peak_rss() >= before + (pfx_idx)bytes / 2);
    free((void *)p);
}

static void columns_by_name(void **state)
{
    (void)state;
    pfx_column cols[] = {{.spec.name = "firm"}, {.spec.name = "year"}, {.spec.name = "Year"}};
    pfx_frame f = {.n_cols = 3, .cols = cols};
    assert_int_equal(pfx_frame_find(&f, "firm"), 0);
    assert_int_equal(pfx_frame_find(&f, "Year"), 2);
    assert_int_equal(pfx_frame_find(&f, "yea"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_and_quiet),        cmocka_unit_test(warnings_are_kept),
        cmocka_unit_test(closing_line),           cmocka_unit_test(progress_in_a_batch_log),
        cmocka_unit_test(progress_on_a_terminal), cmocka_unit_test(clocks_and_memory),
        cmocka_unit_test(columns_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
