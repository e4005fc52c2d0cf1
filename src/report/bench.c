#include "src/report/bench.h"

#include <cblas.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/base/build.h"
#include "src/base/cpu.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/base/version.h"

static const char *const check_names[] = {"PASS", "FAIL", "SKIP", ""};

pfx_bench_line pfx_bench_line_of(const char *name, pfx_idx rows, int columns, int threads)
{
    pfx_bench_line l = {.rows = rows,
                        .columns = columns,
                        .threads = threads,
                        .seconds = NAN,
                        .rate = NAN,
                        .unit = "",
                        .limit_rate = NAN,
                        .digits = NAN,
                        .faults = -1,
                        .peak_bytes = -1,
                        .check = PFX_BENCH_NONE};
    snprintf(l.name, sizeof l.name, "%s", name);
    return l;
}

void pfx_bench_verdict(pfx_bench_line *l, pfx_bench_check check, const char *fmt, ...)
{
    va_list args;
    l->check = check;
    va_start(args, fmt);
    vsnprintf(l->note, sizeof l->note, fmt, args);
    va_end(args);
}

pfx_status pfx_bench_best(int least, double budget_s, pfx_bench_fn fn, void *ctx, double *best_s,
                          pfx_err *err)
{
    enum { MOST = 50 };
    double begin = pfx_wall_s(), now = begin;
    *best_s = INFINITY;
    for (int i = 0; i < least || (i < MOST && now - begin < budget_s); i++) {
        double t = pfx_wall_s();
        pfx_status st = fn(ctx, err);
        if (st) return st;
        now = pfx_wall_s();
        *best_s = fmin(*best_s, now - t);
    }
    return PFX_OK;
}

pfx_status pfx_bench_add(pfx_bench_report *r, const pfx_bench_line *l, pfx_err *err)
{
    if (r->n == r->cap) {
        int cap = r->cap ? 2 * r->cap : 64;
        pfx_bench_line *line = pfx_mem_realloc(r->line, cap, sizeof *line, err);
        if (!line) return PFX_ENOMEM;
        r->line = line;
        r->cap = cap;
    }
    r->line[r->n++] = *l;
    return PFX_OK;
}

void pfx_bench_report_free(pfx_bench_report *r)
{
    pfx_mem_free(r->line);
    *r = (pfx_bench_report){0};
}

int pfx_bench_failures(const pfx_bench_report *r)
{
    int n = 0;
    for (int i = 0; i < r->n; i++) n += r->line[i].check == PFX_BENCH_FAIL;
    return n;
}

static double share(const pfx_bench_line *l)
{
    return l->rate / l->limit_rate;
}

static const char *const columns[] = {"case",   "rows",   "columns",  "threads", "seconds",
                                      "rate",   "unit",   "share",    "limit",   "limit_rate",
                                      "digits", "faults", "peak_MiB", "check",   "note"};
enum { N_COLUMNS = sizeof columns / sizeof *columns, COL_COLUMNS = 2, COL_LIMIT_RATE = 9 };

/* A report for the eye leaves out what its reader can do without. */
static bool shown(int c, bool program)
{
    return program || (c != COL_COLUMNS && c != COL_LIMIT_RATE);
}

static void text_or_empty(pfx_table *t, const char *s)
{
    if (s && *s)
        pfx_table_text(t, s);
    else
        pfx_table_empty(t);
}

static void num_or_empty(pfx_table *t, double x, int decimals)
{
    if (isnan(x))
        pfx_table_empty(t);
    else
        pfx_table_num(t, x, decimals);
}

static void int_or_empty(pfx_table *t, pfx_idx n)
{
    if (n < 0)
        pfx_table_empty(t);
    else
        pfx_table_int(t, n);
}

static void row(pfx_table *t, const pfx_bench_line *l, bool program)
{
    pfx_table_row(t);
    pfx_table_text(t, l->name);
    int_or_empty(t, l->rows);
    if (shown(COL_COLUMNS, program)) int_or_empty(t, l->columns);
    pfx_table_int(t, l->threads);
    num_or_empty(t, l->seconds, 4);
    num_or_empty(t, l->rate, 2);
    text_or_empty(t, l->unit);
    num_or_empty(t, share(l), 2);
    text_or_empty(t, l->limit);
    if (shown(COL_LIMIT_RATE, program)) num_or_empty(t, l->limit_rate, 2);
    num_or_empty(t, l->digits, 1);
    int_or_empty(t, l->faults);
    num_or_empty(t, l->peak_bytes < 0 ? NAN : (double)l->peak_bytes / 1048576, 0);
    text_or_empty(t, check_names[l->check]);
    text_or_empty(t, l->note);
}

/* Processes that wanted to run over the last minute, this one among them; 0: not known. */
static double load_average(void)
{
    double load = 0;
    return getloadavg(&load, 1) == 1 ? load : 0;
}

/* What a reader of the table needs to know, and no machine's name. */
static void notes(pfx_table *t, const pfx_bench_machine *m)
{
    pfx_table_note(t, "%s, %d thread%s, %s; OpenBLAS core type %s; %s; panelfx %s, commit %s.",
                   pfx_cpu_model(), m->threads, m->threads > 1 ? "s" : "", m->isa, openblas_get_corename(),
                   pfx_build_compiler(), PFX_VERSION, pfx_build_commit());
    if (load_average() > 1.5 * m->threads)
        pfx_table_note(
            t, "The machine was busy (load average %.1f): seconds are upper bounds, and shares are rough.",
            load_average());
    pfx_table_note(
        t,
        "share: rate over the limit, measured in this run with as many threads. Fits in memory: two readings "
        "of the data, the least there can be.");
    pfx_table_note(
        t,
        "files: whole processes; faults and peak are theirs. T_read: H5Dread of the fit's columns into one "
        "buffer, checksums compared, one thread.");
}

pfx_status pfx_bench_render(const pfx_bench_report *r, const pfx_bench_machine *m, pfx_format format,
                            int width, pfx_str *out, pfx_err *err)
{
    const bool program = format == PFX_FORMAT_CSV || format == PFX_FORMAT_JSON;
    pfx_table *t = pfx_table_create(program ? N_COLUMNS : N_COLUMNS - 2, err);
    if (!t) return PFX_ENOMEM;
    pfx_table_align(t, program ? "lrrrrrlrlrrrrll" : "lrrrrlrlrrrll");
    pfx_table_title(t, "bench");
    pfx_table_heading(t);
    for (int c = 0; c < N_COLUMNS; c++)
        if (shown(c, program)) pfx_table_text(t, columns[c]);
    for (int i = 0; i < r->n; i++) row(t, &r->line[i], program);
    notes(t, m);
    pfx_status st = pfx_table_render(t, format, width, out, err);
    pfx_table_free(t);
    return st;
}

int pfx_bench_print(pfx_bench_report *r, int threads)
{
    const pfx_bench_machine m = {threads, pfx_isa_name(pfx_cpu_best()), ""};
    pfx_err err = {0};
    pfx_str out = {0};
    int failures = pfx_bench_failures(r);
    pfx_status st = pfx_bench_render(r, &m, PFX_FORMAT_TEXT, pfx_table_terminal_width(), &out, &err);
    if (st == PFX_OK) st = pfx_file_write_text(NULL, out.s, out.len, false, &err);
    pfx_str_free(&out);
    pfx_bench_report_free(r);
    return st || failures > 0;
}

static void head(const pfx_bench_machine *m, pfx_str *out)
{
    char date[32] = "";
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc)) strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    pfx_str_addf(out, "# panelfx-bench\t1\n# date\t%s\n# version\t%s\n# commit\t%s\n", date, PFX_VERSION,
                 pfx_build_commit());
    pfx_str_addf(out, "# compiler\t%s\n# flags\t%s\n", pfx_build_compiler(), pfx_build_flags());
    pfx_str_addf(out, "# cpu\t%s\n# cores\t%d\n# threads\t%d\n# isa\t%s\n", pfx_cpu_model(),
                 pfx_par_threads(0), m->threads, m->isa);
    pfx_str_addf(out, "# openblas\t%s\n# openblas_core\t%s\n# hdf5\t%s\n# load_average\t%.1f\n",
                 openblas_get_config(), openblas_get_corename(), m->hdf5, load_average());
}

static void field(pfx_str *out, double x)
{
    if (!isnan(x)) pfx_str_addf(out, "%.6g", x);
    pfx_str_add(out, "\t");
}

static void count(pfx_str *out, pfx_idx n)
{
    if (n >= 0) pfx_str_addf(out, "%lld", (long long)n);
    pfx_str_add(out, "\t");
}

/* Tabs and line ends separate fields: none may come from a message. */
static void note(pfx_str *out, const char *s)
{
    for (; *s; s++) pfx_str_addn(out, *s == '\t' || *s == '\n' ? " " : s, 1);
    pfx_str_add(out, "\n");
}

pfx_status pfx_bench_record(const pfx_bench_report *r, const pfx_bench_machine *m, pfx_str *out, pfx_err *err)
{
    head(m, out);
    for (int c = 0; c < N_COLUMNS; c++) pfx_str_addf(out, c ? "\t%s" : "%s", columns[c]);
    pfx_str_add(out, "\n");
    for (int i = 0; i < r->n; i++) {
        const pfx_bench_line *l = &r->line[i];
        pfx_str_addf(out, "%s\t", l->name);
        count(out, l->rows);
        count(out, l->columns);
        count(out, l->threads);
        field(out, l->seconds);
        field(out, l->rate);
        pfx_str_addf(out, "%s\t", l->unit);
        field(out, share(l));
        pfx_str_addf(out, "%s\t", l->limit ? l->limit : "");
        field(out, l->limit_rate);
        field(out, l->digits);
        count(out, l->faults);
        field(out, l->peak_bytes < 0 ? NAN : (double)l->peak_bytes / 1048576);
        pfx_str_addf(out, "%s\t", check_names[l->check]);
        note(out, l->note);
    }
    return out->failed ? pfx_fail(err, PFX_ENOMEM, "out of memory for the record") : PFX_OK;
}
