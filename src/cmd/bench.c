/* The bench command: this machine's limits, and the engine beside them. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "hdf5_io/panel.h"
#include "src/base/cpu.h"
#include "src/base/log.h"
#include "src/cmd/bench_private.h"
#include "src/cmd/commands.h"

typedef struct bench_options {
    pfx_common common;
    pfx_idx rows;
    pfx_opt_list cases;
    int format;
    const char *output;
} bench_options;

/* clang-format off */
static const char *const formats[] = {"text", "json", "csv", NULL};
#define AT(field) offsetof(bench_options, field)
static const pfx_opt bench_table[] = {
    {"cases", 0, PFX_OPT_NAMES, AT(cases), "LIST", "names of cases or of their groups, separated by commas (default: all)", NULL, "Measure"},
    {"rows", 0, PFX_OPT_INT, AT(rows), "N", "rows of the large panels; the others have a tenth (default: 10000000)", NULL, NULL},
    {"format", 0, PFX_OPT_CHOICE, AT(format), "FORMAT", "text, json or csv (default: text)", formats, "Output"},
    {"output", 'o', PFX_OPT_TEXT, AT(output), "FILE.tsv", "also keep a record, which make bench-compare reads", NULL, NULL},
    {0},
};

/* Memory: 8 bytes a value and 4 a code, 20 % above, and residuals, fitted values for the check. The factors of large
 * Schur complements come on top. */
#define MEM(codes) ((BENCH_COLUMNS * 8 + 4 * (codes)) * 1.2 + 24)
enum { DISK_ROW = BENCH_COLUMNS * 8 + 8, CSV_ROW = 120 };
static const bench_case cases[] = {
    {"gram", "kernels", bench_kernel, false, MEM(2), 0, BENCH_GRAM, 0, false, 0},
    {"demean", "kernels", bench_kernel, false, MEM(2), 0, BENCH_DEMEAN, 0, false, 0},
    {"resid", "kernels", bench_kernel, false, MEM(2), 0, BENCH_RESID, 0, false, 0},
    {"score", "kernels", bench_kernel, false, MEM(2), 0, BENCH_SCORE, 0, false, 0},
    {"none", "memory", bench_fit, false, MEM(1), 0, BENCH_NONE, 0, false, 0},
    {"one-way", "memory", bench_fit, false, MEM(2), 0, BENCH_ONE_WAY, 0, false, 0},
    {"two-way", "memory", bench_fit, false, MEM(3), 0, BENCH_TWO_WAY, 0, false, 0},
    {"two-way-weights", "memory", bench_fit, false, MEM(3) + 8, 0, BENCH_TWO_WAY, 0, true, 0},
    {"two-way-large", "memory", bench_fit, true, MEM(3), 0, BENCH_TWO_WAY, 0, false, 0},
    {"two-way-2sls", "memory", bench_fit_2sls, false, MEM(3), 0, BENCH_TWO_WAY, 0, false, 0},
    {"two-way-2sls-large", "memory", bench_fit_2sls, true, MEM(3), 0, BENCH_TWO_WAY, 0, false, 0},
    {"industry-region", "memory", bench_fit, false, MEM(4), 0, BENCH_INDUSTRY, 0, false, 0},
    {"worker-firm-1", "memory", bench_fit, false, MEM(3) + 200, 0, BENCH_WORKERS, 0.01, false, 0},
    {"worker-firm-5", "memory", bench_fit, false, MEM(3) + 400, 0, BENCH_WORKERS, 0.05, false, 0},
    {"worker-firm-20", "memory", bench_fit, false, MEM(3) + 400, 0, BENCH_WORKERS, 0.20, false, 0},
    {"worker-firm-1-local", "memory", bench_fit, false, MEM(3) + 200, 0, BENCH_LOCAL, 0.01, false, 0},
    {"worker-firm-5-local", "memory", bench_fit, false, MEM(3) + 400, 0, BENCH_LOCAL, 0.05, false, 0},
    {"worker-firm-20-local", "memory", bench_fit, false, MEM(3) + 400, 0, BENCH_LOCAL, 0.20, false, 0},
    {"wild", "memory", bench_wild, false, 0, 0, BENCH_WILD, 0, false, 0},
    {"wild-interval", "memory", bench_wild, false, 0, 0, BENCH_WILD_INTERVAL, 0, false, 0},
    {"wild-webb", "memory", bench_wild, false, 0, 0, BENCH_WILD_WEBB, 0, false, 0},
    {"wild-crossing", "memory", bench_wild, false, 6000, 0, BENCH_WILD_CROSSING, 0.05, false, 24500},
    {"placebo", "memory", bench_placebo, false, 0, 0, BENCH_PLACEBO, 0, false, 0},
    {"placebo-se", "memory", bench_placebo, false, 0, 0, BENCH_PLACEBO_SE, 0, false, 0},
    {"placebo-large-se", "memory", bench_placebo, false, 3500, 0, BENCH_PLACEBO_SE, 0, false, 996200},
    {"pairs", "replications", bench_boot, false, 0, 0, BENCH_PAIRS, 0, false, 18540},
    {"pairs-se", "replications", bench_boot, false, 0, 0, BENCH_PAIRS_SE, 0, false, 18540},
    {"pairs-bayes", "replications", bench_boot, false, 0, 0, BENCH_PAIRS_BAYES, 0, false, 18540},
    {"pairs-large-se", "replications", bench_boot, false, 2500, 0, BENCH_PAIRS_SE, 0, false, 996200},
    {"jackknife", "replications", bench_boot, false, 0, 0, BENCH_JACKKNIFE, 0, false, 18540},
    {"jackknife-large", "replications", bench_boot, false, 1500, 0, BENCH_JACKKNIFE, 0, false, 529900},
    {"import", "files", bench_import, false, 0, DISK_ROW + CSV_ROW, 0, 0, false, 0},
    {"simulate", "files", bench_simulate, true, 0, DISK_ROW, 0, 0, false, 0},
    {"panel-read", "files", bench_panel_read, true, 0, DISK_ROW, 0, 0, false, 0},
    {"panel-fit", "files", bench_panel_fit, true, MEM(3), DISK_ROW, BENCH_IN_MEMORY, 0, false, 0},
    {"panel-stream", "files", bench_panel_fit, true, 0, DISK_ROW, BENCH_STREAMED, 0, false, 0},
};
/* clang-format on */
enum { N_CASES = sizeof cases / sizeof *cases, N_GROUPS = 5 };

/* What every run takes: the arrays of the limits, and the program. */
static const double base_memory = 900.0 * 1048576, base_disk = 64.0 * 1048576;

pfx_idx bench_rows(const bench_run *r, const bench_case *c)
{
    if (c->rows) return (pfx_idx)(1e-7 * (double)c->rows * (double)r->large);
    return c->large ? r->large : r->small;
}

int bench_thread_list(const bench_run *r, int nth[2])
{
    nth[0] = 1;
    nth[1] = r->nth;
    return r->nth > 1 ? 2 : 1;
}

static bool named(const bench_case *c, const char *name)
{
    return strcmp(name, c->name) == 0 || strcmp(name, c->group) == 0;
}

static bool wanted(const bench_options *o, const bench_case *c)
{
    if (o->cases.n == 0) return true;
    for (int i = 0; i < o->cases.n; i++)
        if (named(c, o->cases.v[i])) return true;
    return false;
}

/* "limits" measures the machine alone. */
static pfx_status check_options(const bench_options *o, pfx_err *err)
{
    const char *names[N_CASES + N_GROUPS] = {"limits", "kernels", "memory", "replications", "files"};
    for (int c = 0; c < N_CASES; c++) names[c + N_GROUPS] = cases[c].name;
    for (int i = 0; i < o->cases.n; i++) {
        bool known = false;
        for (int c = 0; c < N_CASES + N_GROUPS && !known; c++) known = strcmp(o->cases.v[i], names[c]) == 0;
        if (known) continue;
        const char *near = pfx_text_nearest(o->cases.v[i], N_CASES + N_GROUPS, names);
        return pfx_fail(err, PFX_EUSAGE, "--cases %s: no such case%s%s; man panelfx-bench lists them",
                        o->cases.v[i], near ? "; did you mean " : "", near ? near : "");
    }
    if (o->rows < 1000)
        return pfx_fail(err, PFX_EUSAGE, "--rows %lld: want 1000 or more", (long long)o->rows);
    return PFX_OK;
}

static double memory_of(const bench_run *r, const bench_case *c)
{
    return 64.0 * 1048576 + c->memory_row * (double)bench_rows(r, c);
}

static double disk_of(const bench_run *r, const bench_case *c)
{
    return c->disk_row * (double)bench_rows(r, c);
}

static double disk_free(const char *dir)
{
    struct statvfs v;
    return statvfs(dir, &v) == 0 ? (double)v.f_bavail * (double)v.f_frsize : INFINITY;
}

static void say_needs(const bench_run *r, const bench_options *o)
{
    double memory = fmin(base_memory, (double)o->common.memory), disk = 0;
    for (int c = 0; c < N_CASES; c++) {
        if (!wanted(o, &cases[c])) continue;
        if (memory_of(r, &cases[c]) <= (double)o->common.memory)
            memory = fmax(memory, memory_of(r, &cases[c]));
        disk = fmax(disk, disk_of(r, &cases[c]));
    }
    pfx_note("bench takes up to %.0f MiB of memory and %.0f MiB of disk in %s", memory / 1048576,
             (disk + base_disk) / 1048576, o->common.tmpdir);
}

/* A case that does not fit is named, not left out silently; one that fails is a line of the report too. */
static pfx_status run_case(bench_run *r, const bench_case *c, pfx_err *err)
{
    pfx_err one = {0};
    pfx_bench_line l = pfx_bench_line_of(c->name, bench_rows(r, c), BENCH_COLUMNS, r->nth);
    if (memory_of(r, c) > (double)r->common->memory) {
        pfx_bench_verdict(&l, PFX_BENCH_SKIP, "needs %.0f MiB of memory, --memory allows %.0f",
                          memory_of(r, c) / 1048576, (double)r->common->memory / 1048576);
    } else if (disk_of(r, c) > disk_free(r->common->tmpdir)) {
        pfx_bench_verdict(&l, PFX_BENCH_SKIP, "needs %.0f MiB in --tmpdir", disk_of(r, c) / 1048576);
    } else {
        pfx_status st = c->run(r, c, &one);
        if (st == PFX_OK) return PFX_OK;
        pfx_bench_verdict(&l, PFX_BENCH_FAIL, "%s", one.msg);
    }
    return pfx_bench_add(&r->report, &l, err);
}

static pfx_status run_cases(bench_run *r, const bench_options *o, pfx_err *err)
{
    pfx_status st = bench_measure_limits(r, err);
    pfx_progress_begin("bench", "cases", N_CASES);
    for (int c = 0; c < N_CASES && st == PFX_OK; c++) {
        if (wanted(o, &cases[c])) st = run_case(r, &cases[c], err);
        pfx_progress_set(c + 1);
    }
    pfx_progress_end();
    return st;
}

static pfx_status report(bench_run *r, const bench_options *o, pfx_err *err)
{
    static const pfx_format format[] = {PFX_FORMAT_TEXT, PFX_FORMAT_JSON, PFX_FORMAT_CSV};
    const pfx_bench_machine machine = {r->nth, pfx_isa_name((pfx_isa)o->common.isa), pfx_h5_version()};
    pfx_str out = {0}, record = {0};
    pfx_status st = PFX_OK;
    if (o->output) {
        st = pfx_bench_record(&r->report, &machine, &record, err);
        if (st == PFX_OK) st = pfx_file_write_text(o->output, record.s, record.len, o->common.force, err);
    }
    if (st == PFX_OK)
        st = pfx_bench_render(&r->report, &machine, format[o->format], pfx_table_terminal_width(), &out, err);
    if (st == PFX_OK) st = pfx_file_write_text(NULL, out.s, out.len, false, err);
    pfx_str_free(&out);
    pfx_str_free(&record);
    return st;
}

/* An output that cannot be written is refused before the work. */
static pfx_status check_output(const bench_options *o, pfx_err *err)
{
    pfx_out out;
    if (!o->output) return PFX_OK;
    pfx_status st = pfx_out_begin(&out, o->output, o->common.force, err);
    if (st == PFX_OK) pfx_out_abort(&out);
    return st;
}

static pfx_status bench_command(int argc, char **argv, pfx_err *err)
{
    bench_options o = {.rows = 10000000};
    bench_run r = {.common = &o.common};
    int n_pos = 0;
    pfx_status st = pfx_opt_parse(&pfx_cmd_bench, argc, argv, &o, 0, 0, NULL, &n_pos, err);
    if (st || o.common.help) return st;
    if ((st = check_options(&o, err)) || (st = check_output(&o, err))) return st;
    r.nth = (int)o.common.threads;
    r.large = o.rows;
    r.small = o.rows / 10;
    r.patience = fmin(1, (double)o.rows / 1e6);
    if ((st = bench_files_begin(&r, err)) == PFX_OK) {
        say_needs(&r, &o);
        if ((st = run_cases(&r, &o, err)) == PFX_OK) st = report(&r, &o, err);
    }
    bench_files_end(&r);
    int failures = pfx_bench_failures(&r.report);
    pfx_bench_report_free(&r.report);
    if (st == PFX_OK && failures)
        st = pfx_fail(err, PFX_EDATA, "%d line%s failed the check; the table names them", failures,
                      failures > 1 ? "s" : "");
    return st;
}

const pfx_command pfx_cmd_bench = {
    "bench", "", "measures this machine and the engine on it", bench_table, bench_command, NULL};
