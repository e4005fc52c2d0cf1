/* Work that begins or ends in a file: each a process of its own, from its start to its end, as a user runs
 * it. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hdf5_io/panel.h"
#include "hdf5_io/yardstick.h"
#include "src/base/log.h"
#include "src/cmd/bench_private.h"

extern char **environ;

#define REGRESSORS                                                                                           \
    "IDC", "lnEmployee", "lnFirmAge", "ROA", "Assetturn", "Cashflow", "Dual", "Top1", "Occupy", "Mshare",    \
        "TobinQ"
static const char *const names[] = {"firm", "year", "EXPY", REGRESSORS};
static const char formula[] =
    "EXPY ~ IDC + lnEmployee + lnFirmAge + ROA + Assetturn + Cashflow + Dual + Top1 + Occupy + "
    "Mshare + TobinQ | firm + year";
static const char vars[] =
    "EXPY,IDC,lnEmployee,lnFirmAge,ROA,Assetturn,Cashflow,Dual,Top1,Occupy,Mshare,TobinQ";
static const double planted_effect = 0.3061; /* of IDC: the default of simulate */

enum { N_NAMES = sizeof names / sizeof *names, ROW_BYTES = 12 * 8 + 2 * 4, MAX_ARGS = 24 };

pfx_status bench_files_begin(bench_run *r, pfx_err *err)
{
    static const char *const name[BENCH_N_FILES] = {"panel", "imported", "csv", "fit", "message", "plain"};
    pfx_status st = PFX_OK;
    for (int i = 0; i < BENCH_N_FILES && st == PFX_OK; i++) {
        pfx_str path = {0};
        pfx_str_addf(&path, "%s/panelfx-bench-%s", r->common->tmpdir, name[i]);
        st = path.failed ? pfx_fail(err, PFX_ENOMEM, "out of memory for a file name")
                         : pfx_out_begin(&r->file[i], path.s, true, err);
        pfx_str_free(&path);
    }
    return st;
}

void bench_files_end(bench_run *r)
{
    for (int i = 0; i < BENCH_N_FILES; i++) pfx_out_abort(&r->file[i]);
}

/* A run of this program. */
typedef struct child {
    double wall_s;
    pfx_idx faults, peak_bytes;
} child;

/* The peak from the process's own last line: the system's count would hold what its parent had. */
static pfx_idx peak_of(const char *message)
{
    const char *at = message ? strstr(message, "peak ") : NULL;
    return at ? (pfx_idx)(strtod(at + 5, NULL) * 1048576) : -1;
}

static void read_message(const char *file, char *text, size_t size)
{
    FILE *f = fopen(file, "re");
    size_t n = f ? fread(text, 1, size - 1, f) : 0;
    text[n] = '\0';
    if (f) fclose(f);
}

static pfx_status start(char *const *argv, const char *message, pid_t *pid, pfx_err *err)
{
    posix_spawn_file_actions_t io;
    if (posix_spawn_file_actions_init(&io)) return pfx_fail(err, PFX_ENOMEM, "out of memory for a process");
    int e = posix_spawn_file_actions_addopen(&io, 1, "/dev/null", O_WRONLY, 0);
    if (!e) e = posix_spawn_file_actions_addopen(&io, 2, message, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (!e) e = posix_spawn(pid, "/proc/self/exe", &io, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&io);
    return e ? pfx_fail(err, PFX_EIO, "cannot start this program anew: %s", strerror(e)) : PFX_OK;
}

/* `panelfx ARGS...`, ended by NULL, with --threads nth. IO: it did not end well; its own message. */
static pfx_status run(const bench_run *r, int nth, const char *const *args, child *c, pfx_err *err)
{
    char threads[16], text[2000], *argv[MAX_ARGS + 8];
    int n = 0, status = 0;
    pid_t pid;
    struct rusage u;
    const char *message = r->file[BENCH_MESSAGE].tmp;

    snprintf(threads, sizeof threads, "%d", nth);
    argv[n++] = (char *)"panelfx";
    while (*args && n < MAX_ARGS) argv[n++] = (char *)*args++;
    const char *const more[] = {"--threads", threads, "--force", "--progress", "never", NULL};
    for (int i = 0; i < 6; i++) argv[n++] = (char *)more[i];
    double t = pfx_wall_s();
    pfx_status st = start(argv, message, &pid, err);
    if (st) return st;
    while (wait4(pid, &status, 0, &u) < 0)
        if (errno != EINTR) return pfx_fail(err, PFX_EIO, "lost a process: %s", strerror(errno));
    c->wall_s = pfx_wall_s() - t;
    c->faults = (pfx_idx)u.ru_minflt;
    read_message(message, text, sizeof text);
    c->peak_bytes = peak_of(text);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return PFX_OK;
    text[strcspn(text, "\n")] = '\0';
    return pfx_fail(err, PFX_EIO, "%s", text[0] ? text : "the process was killed");
}

/* Best of several; the line has the best one's faults and peak. */
static pfx_status run_best(const bench_run *r, int nth, int least, double budget_s, const char *const *args,
                           pfx_bench_line *l, pfx_err *err)
{
    double begin = pfx_wall_s();
    for (int i = 0; i < least || (i < 5 && pfx_wall_s() - begin < budget_s); i++) {
        child c = {0};
        pfx_status st = run(r, nth, args, &c, err);
        if (st) return st;
        if (l->seconds <= c.wall_s) continue;
        l->seconds = c.wall_s;
        l->faults = c.faults;
        l->peak_bytes = c.peak_bytes;
    }
    return PFX_OK;
}

/* Rows and units of a panel file, every checksum and the order verified. */
static pfx_status check_panel(const char *file, pfx_idx *rows, pfx_idx *units, pfx_err *err)
{
    pfx_panel *p = NULL;
    pfx_status st = pfx_panel_open(file, &p, err);
    if (st) return st;
    *rows = pfx_panel_n_rows(p);
    *units = pfx_panel_n_units(p);
    st = pfx_panel_check(p, err);
    pfx_panel_close(p);
    return st;
}

static pfx_idx firms_of(pfx_idx rows)
{
    return rows * 3500 / 18599 + 1; /* as many rows to a firm as in the default panel */
}

/* The panel of the file cases, once a run; *l has the time it took. */
static pfx_status make_panel(bench_run *r, pfx_bench_line *l, pfx_err *err)
{
    char firms[24];
    const char *panel = r->file[BENCH_PANEL].tmp;
    const char *const args[] = {"simulate", "-o", panel, "--firms", firms, "--vars", vars, NULL};
    snprintf(firms, sizeof firms, "%lld", (long long)firms_of(r->large));
    pfx_status st = run_best(r, r->nth, 1, 0, args, l, err);
    r->has_panel = st == PFX_OK;
    return st;
}

pfx_status bench_simulate(bench_run *r, const bench_case *c, pfx_err *err)
{
    pfx_idx units = 0;
    pfx_bench_line l = pfx_bench_line_of(c->name, r->large, N_NAMES, r->nth);
    pfx_status st = make_panel(r, &l, err);
    if (st == PFX_OK) st = check_panel(r->file[BENCH_PANEL].tmp, &l.rows, &units, err);
    if (st) return st;
    r->panel_rows = l.rows;
    l.rate = (double)l.rows * ROW_BYTES / l.seconds * 1e-6;
    l.unit = "MB/s", l.limit = "file write", l.limit_rate = r->limit.file_write;
    if (units != firms_of(r->large))
        pfx_bench_verdict(&l, PFX_BENCH_FAIL, "%lld firms, want %lld", (long long)units,
                          (long long)firms_of(r->large));
    else
        pfx_bench_verdict(&l, PFX_BENCH_PASS, "%.2f million rows/s", (double)l.rows / l.seconds * 1e-6);
    return pfx_bench_add(&r->report, &l, err);
}

/* Number i of stream s in [0, 1). */
static double uniform(uint64_t s, uint64_t i)
{
    uint64_t z = (i * 64 + s) * 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    return (double)((z ^ (z >> 27)) >> 11) * 0x1p-53;
}

/* As such tables come: codes with leading zeros, 4 to 17 digits, text, empty cells. */
static pfx_status write_csv(const char *file, pfx_idx rows, pfx_err *err)
{
    enum { YEARS = 10 };
    static const char *const provinces[] = {"Anhui", "Beijing",   "Chongqing", "Fujian",
                                            "Gansu", "Guangdong", "Guangxi",   "Hainan"};
    FILE *f = fopen(file, "we");
    if (!f) return pfx_fail(err, PFX_EIO, "%s: cannot write: %s", file, strerror(errno));
    fputs("firm,year,y,x1,x2,x3,lnsize,age,industry,province,treated,w\n", f);
    for (pfx_idx i = 0; i < rows; i++) {
        uint64_t k = (uint64_t)i;
        pfx_idx firm = i / YEARS, year = 2010 + i % YEARS;
        fprintf(f, "%07lld,%lld,", (long long)firm, (long long)year);
        if (uniform(0, k) > 0.02) fprintf(f, "%.10g", uniform(1, k) * 3 - 1);
        fprintf(f, ",%.6f,%.6f,%.17g,%.4f,%d,C%02d,%s,%d,%.3f\n", uniform(2, k) * 10, uniform(3, k) - 0.5,
                uniform(4, k), uniform(5, k) * 20, (int)(uniform(6, k) * 50), (int)(firm % 37),
                provinces[firm % 8], firm % 3 == 0 && year > 2015, uniform(7, k));
    }
    bool bad = ferror(f) != 0;
    return fclose(f) == 0 && !bad ? PFX_OK : pfx_fail(err, PFX_EIO, "%s: cannot write", file);
}

pfx_status bench_import(bench_run *r, const bench_case *c, pfx_err *err)
{
    const char *csv = r->file[BENCH_CSV].tmp, *panel = r->file[BENCH_IMPORTED].tmp;
    const char *const args[] = {"import", csv, "-o", panel, "--unit", "firm", "--time", "year", NULL};
    pfx_idx rows = 0, units = 0;
    pfx_bench_line l = pfx_bench_line_of(c->name, bench_rows(r, c), 12, r->nth);
    pfx_status st = write_csv(csv, l.rows, err);
    if (st == PFX_OK) st = run_best(r, r->nth, 2, 0, args, &l, err);
    if (st == PFX_OK) st = check_panel(panel, &rows, &units, err);
    FILE *f = fopen(csv, "re");
    if (st == PFX_OK && f && fseek(f, 0, SEEK_END) == 0) l.rate = (double)ftell(f) / l.seconds * 1e-6;
    if (f) fclose(f);
    unlink(csv);
    unlink(panel);
    if (st) return st;
    l.unit = "MB/s", l.limit = "file read", l.limit_rate = r->limit.file_read;
    if (rows != l.rows || units != (l.rows + 9) / 10)
        pfx_bench_verdict(&l, PFX_BENCH_FAIL, "%lld rows of %lld units came through", (long long)rows,
                          (long long)units);
    else
        pfx_bench_verdict(&l, PFX_BENCH_PASS, "%.2f million rows/s", (double)rows / l.seconds * 1e-6);
    return pfx_bench_add(&r->report, &l, err);
}

static pfx_status need_panel(bench_run *r, pfx_err *err)
{
    pfx_bench_line unused = pfx_bench_line_of("", 0, 0, 0);
    pfx_panel *p = NULL;
    pfx_status st = r->has_panel ? PFX_OK : make_panel(r, &unused, err);
    if (st == PFX_OK) st = pfx_panel_open(r->file[BENCH_PANEL].tmp, &p, err);
    if (st == PFX_OK) r->panel_rows = pfx_panel_n_rows(p);
    pfx_panel_close(p);
    return st;
}

typedef struct reading {
    pfx_panel *p;
    pfx_yardstick kind;
    double best;
} reading;

static pfx_status read_columns(reading *x, pfx_err *err)
{
    x->best = INFINITY;
    for (int i = 0; i < 5; i++) {
        double s = 0;
        pfx_status st = pfx_panel_yardstick(x->p, N_NAMES, names, x->kind, &s, err);
        if (st) return st;
        x->best = fmin(x->best, s);
    }
    return PFX_OK;
}

/* T_read, what fits from a file are measured against, and the same into memory never touched before. */
static pfx_status measure_read(bench_run *r, bool report, pfx_err *err)
{
    static const struct {
        pfx_yardstick kind;
        const char *name;
    } way[] = {{PFX_YARDSTICK_REUSED, "T_read"},
               {PFX_YARDSTICK_FRESH, "T_read fresh memory"},
               {PFX_YARDSTICK_UNCHECKED, "T_read no checksums"}};
    reading x = {0};
    pfx_status st = pfx_panel_open(r->file[BENCH_PANEL].tmp, &x.p, err);
    for (int i = 0; i < (report ? 3 : 1) && st == PFX_OK; i++) {
        pfx_bench_line l = pfx_bench_line_of(way[i].name, r->panel_rows, N_NAMES, 1);
        x.kind = way[i].kind;
        if ((st = read_columns(&x, err))) break;
        if (i == 0) r->limit.panel_read = x.best;
        l.seconds = x.best;
        l.rate = (double)r->panel_rows * ROW_BYTES / x.best * 1e-6;
        l.unit = "MB/s", l.limit = "file read", l.limit_rate = r->limit.file_read;
        if (report) st = pfx_bench_add(&r->report, &l, err);
    }
    pfx_panel_close(x.p);
    return st;
}

pfx_status bench_panel_read(bench_run *r, const bench_case *c, pfx_err *err)
{
    (void)c;
    pfx_status st = need_panel(r, err);
    return st ? st : measure_read(r, true, err);
}

/* Coefficients, errors and times of the JSON that the fit wrote. */
typedef struct result {
    int k;
    double b[BENCH_COLUMNS], se[BENCH_COLUMNS], read_s, compute_s;
} result;

static pfx_status read_result(const char *file, result *x, pfx_err *err)
{
    json_t *root = json_load_file(file, 0, NULL), *times = json_object_get(root, "time");
    json_t *list = json_object_get(json_array_get(json_object_get(root, "models"), 0), "coefficients");
    x->k = (int)json_array_size(list);
    x->read_s = json_number_value(json_object_get(times, "read_s"));
    x->compute_s = json_number_value(json_object_get(times, "compute_s"));
    for (int k = 0; k < x->k && k < BENCH_COLUMNS; k++) {
        x->b[k] = json_number_value(json_object_get(json_array_get(list, (size_t)k), "estimate"));
        x->se[k] = json_number_value(json_object_get(json_array_get(list, (size_t)k), "std_error"));
    }
    json_decref(root);
    return x->k == N_NAMES - 3 ? PFX_OK : pfx_fail(err, PFX_EDATA, "fit gave %d coefficients", x->k);
}

/* The planted effect is met; the bits are those of the first fit from this file, whatever the threads and the
 * memory. */
static void check_result(bench_run *r, const result *x, size_t bound, pfx_bench_line *l)
{
    if (r->n_estimates == 0) {
        r->n_estimates = x->k;
        memcpy(r->estimate, x->b, sizeof r->estimate);
        memcpy(r->std_error, x->se, sizeof r->std_error);
    }
    bool same = memcmp(r->estimate, x->b, (size_t)x->k * sizeof *x->b) == 0 &&
                memcmp(r->std_error, x->se, (size_t)x->k * sizeof *x->se) == 0;
    if (!(fabs(x->b[0] - planted_effect) < 6 * x->se[0]))
        pfx_bench_verdict(l, PFX_BENCH_FAIL, "IDC %.6g (%.6g), planted %.6g", x->b[0], x->se[0],
                          planted_effect);
    else if (!same)
        pfx_bench_verdict(l, PFX_BENCH_FAIL, "other bits than the first fit of this file");
    else if (bound && l->peak_bytes > (pfx_idx)bound)
        pfx_bench_verdict(l, PFX_BENCH_FAIL, "peak %.0f MiB, --memory %.0f MiB",
                          (double)l->peak_bytes / 1048576, (double)bound / 1048576);
    else
        pfx_bench_verdict(l, PFX_BENCH_PASS, "%.2f x T_read; read_s %.3f, compute_s %.3f",
                          l->seconds / r->limit.panel_read, x->read_s, x->compute_s);
}

pfx_status bench_panel_fit(bench_run *r, const bench_case *c, pfx_err *err)
{
    const size_t stream = c->kind == BENCH_STREAMED ? (size_t)512 << 20 : 0;
    const char *panel = r->file[BENCH_PANEL].tmp, *json = r->file[BENCH_RESULT].tmp;
    int nth[2], k = bench_thread_list(r, nth);
    pfx_status st = need_panel(r, err);
    if (st == PFX_OK && r->limit.panel_read == 0) st = measure_read(r, false, err);
    const char *const args[] = {
        "fit", panel, formula, "-o", json, "--format", "json", stream ? "--memory" : NULL, "512M", NULL};
    for (int i = 0; i < k && st == PFX_OK; i++) {
        pfx_bench_line l = pfx_bench_line_of(c->name, r->panel_rows, N_NAMES, nth[i]);
        result x = {0};
        if ((st = run_best(r, nth[i], 3, 4.0 * r->patience, args, &l, err)) ||
            (st = read_result(json, &x, err)))
            break;
        l.rate = (double)r->panel_rows * ROW_BYTES / l.seconds * 1e-6;
        l.unit = "MB/s", l.limit = "T_read",
        l.limit_rate = (double)r->panel_rows * ROW_BYTES / r->limit.panel_read * 1e-6;
        check_result(r, &x, stream, &l);
        st = pfx_bench_add(&r->report, &l, err);
    }
    return st;
}
