#include "src/data/import.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <csv.h>
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/version.h"
#include "src/data/import_private.h"

/* What the program needs beside the blocks: libraries, parse and write buffers. */
enum { OVERHEAD = 96 << 20, LEAST_BUDGET = 4 << 20 };

size_t pfx_import_budget(size_t memory)
{
    /* Half of the rest: sorting needs keys beside the blocks, texts their dictionaries. */
    size_t rest = memory > OVERHEAD ? (memory - OVERHEAD) / 2 : 0;
    return rest > LEAST_BUDGET ? rest : LEAST_BUDGET;
}

void pfx_import_note(pfx_import_data *d, const char *fmt, ...)
{
    char line[1400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    pfx_str_addf(&d->notes, "%s\n", line);
}

static void say_notes(pfx_import_data *d)
{
    for (const char *p = d->notes.s; p && *p;) {
        size_t n = strcspn(p, "\n");
        pfx_note("%.*s", (int)n, p);
        p += n + 1;
    }
}

const char *pfx_import_where(pfx_import_data *d, pfx_cell_ref ref, int col, size_t n, char *buf)
{
    pfx_idx row = 0;
    if (pfx_import_table_row(&d->table, ref, &row, NULL) != PFX_OK) row = 0;
    snprintf(buf, n, "%s: %s %lld%s%s", d->path, d->row_word, (long long)row, col >= 0 ? ", column " : "",
             col >= 0 ? d->cols[col].name : "");
    return buf;
}

/* ---- columns ---- */

static int find_col(const pfx_import_data *d, const char *name, size_t n)
{
    for (int c = 0; c < d->table.n_cols; c++)
        if (strlen(d->cols[c].name) == n && !memcmp(d->cols[c].name, name, n)) return c;
    return -1;
}

/* Column by name, or USAGE with the nearest one. */
static pfx_status want_col(const pfx_import_data *d, const char *option, const char *name, size_t n, int *out,
                           pfx_err *err)
{
    *out = find_col(d, name, n);
    if (*out >= 0) return PFX_OK;
    const char **names = pfx_mem_alloc(d->table.n_cols, sizeof *names, err);
    char *wanted = pfx_mem_strndup(name, n, err);
    if (names && wanted) {
        for (int c = 0; c < d->table.n_cols; c++) names[c] = d->cols[c].name;
        const char *near = pfx_text_nearest(wanted, d->table.n_cols, names);
        pfx_fail(err, PFX_EUSAGE,
                 near ? "%s %s: %s has no such column; did you mean %s?"
                      : "%s %s: %s has no such column; its first row names the columns",
                 option, wanted, d->path, near);
    }
    pfx_status st = names && wanted ? PFX_EUSAGE : PFX_ENOMEM;
    pfx_mem_free(names);
    pfx_mem_free(wanted);
    return st;
}

static pfx_status apply_types(pfx_import_data *d, const pfx_import_options *o, pfx_err *err)
{
    for (int i = 0; i < o->n_types; i++) {
        const char *eq = strrchr(o->types[i], '=');
        int c;
        if (!eq)
            return pfx_fail(err, PFX_EUSAGE,
                            "--types %s: want NAME=KIND, KIND one of numeric, float32, category",
                            o->types[i]);
        pfx_status st = want_col(d, "--types", o->types[i], (size_t)(eq - o->types[i]), &c, err);
        if (st != PFX_OK) return st;
        if (!pfx_wish_parse(eq + 1, &d->cols[c].wish))
            return pfx_fail(err, PFX_EUSAGE, "--types %s: unknown kind %s; want numeric, float32 or category",
                            o->types[i], eq + 1);
    }
    return PFX_OK;
}

static pfx_status apply_keys(pfx_import_data *d, const pfx_import_options *o, pfx_err *err)
{
    pfx_status st = PFX_OK;
    d->unit = d->time = -1;
    if (o->unit) st = want_col(d, "--unit", o->unit, strlen(o->unit), &d->unit, err);
    if (st == PFX_OK && o->time) st = want_col(d, "--time", o->time, strlen(o->time), &d->time, err);
    if (st == PFX_OK && d->unit >= 0 && d->unit == d->time)
        st = pfx_fail(err, PFX_EUSAGE, "--unit and --time name the same column %s", o->unit);
    if (st == PFX_OK && d->time >= 0 && d->unit < 0)
        st = pfx_fail(err, PFX_EUSAGE,
                      "--time %s without --unit: name the column that tells the units apart with --unit",
                      o->time);
    for (int c = 0; c < d->table.n_cols; c++)
        d->table.form[c] = o->n_columns ? PFX_FORM_SKIP : PFX_FORM_NUMBER;
    for (int i = 0; i < o->n_columns && st == PFX_OK; i++) {
        int c;
        st = want_col(d, "--columns", o->columns[i], strlen(o->columns[i]), &c, err);
        if (st == PFX_OK) d->table.form[c] = PFX_FORM_NUMBER;
    }
    if (st == PFX_OK && d->unit >= 0) d->table.form[d->unit] = PFX_FORM_NUMBER;
    if (st == PFX_OK && d->time >= 0) d->table.form[d->time] = PFX_FORM_NUMBER;
    return st;
}

/* A name is kept as it is, but for what the store cannot hold: an empty one, or one with a slash. */
static pfx_status mend_name(pfx_import_data *d, int col, pfx_err *err)
{
    char text[40], **name = &d->cols[col].name;
    if (**name == '\0') {
        snprintf(text, sizeof text, "v%d", col + 1);
        pfx_mem_free(*name);
        if (!(*name = pfx_mem_strdup(text, err))) return PFX_ENOMEM;
        pfx_import_note(d, "%s: column %d has no name; it is called %s", d->path, col + 1, text);
    }
    if (strchr(*name, '/') || !strcmp(*name, ".") || !strcmp(*name, "..")) {
        pfx_str old = {0};
        pfx_str_add(&old, *name);
        for (char *p = *name; *p; p++)
            if (*p == '/' || !strcmp(*name, ".") || !strcmp(*name, "..")) *p = '_';
        pfx_import_note(d, "%s: column %s is called %s: HDF5 names have no slash", d->path,
                        old.s ? old.s : "", *name);
        pfx_str_free(&old);
    }
    return PFX_OK;
}

static pfx_status check_names(const pfx_import_data *d, pfx_err *err)
{
    pfx_dict seen = {0};
    pfx_status st = PFX_OK;
    for (int c = 0; c < d->table.n_cols && st == PFX_OK; c++) {
        int32_t code = pfx_dict_code(&seen, d->cols[c].name, strlen(d->cols[c].name), c, err);
        if (code < 0)
            st = PFX_ENOMEM;
        else if (seen.entries[code].count > 1)
            st =
                pfx_fail(err, PFX_EDATA, "%s: columns %lld and %d are both called %s; give each its own name",
                         d->path, (long long)seen.entries[code].first + 1, c + 1, d->cols[c].name);
    }
    pfx_dict_free(&seen);
    return st;
}

pfx_status pfx_import_columns(pfx_import_data *d, const pfx_import_options *o, int n, char **names,
                              int n_sets, pfx_err *err)
{
    pfx_status st = pfx_import_table_init(&d->table, n, n_sets, pfx_import_budget(o->memory), o->tmpdir, err);
    d->cols = st == PFX_OK ? pfx_mem_calloc(n, sizeof *d->cols, err) : NULL;
    if (!d->cols) {
        for (int c = 0; c < n; c++) pfx_mem_free(names[c]);
        return PFX_ENOMEM;
    }
    for (int c = 0; c < n; c++) {
        d->cols[c].name = names[c];
        pfx_cell_stats_init(&d->cols[c].stats);
    }
    for (int c = 0; c < n && st == PFX_OK; c++) st = mend_name(d, c, err);
    if (st == PFX_OK) st = check_names(d, err);
    if (st == PFX_OK) st = apply_keys(d, o, err);
    if (st == PFX_OK) st = apply_types(d, o, err);
    return st;
}

void pfx_import_data_free(pfx_import_data *d)
{
    for (int c = 0; d->cols && c < d->table.n_cols; c++) {
        pfx_import_col *k = &d->cols[c];
        for (pfx_idx i = 0; k->value_label && i < k->n_values; i++) pfx_mem_free(k->value_label[i]);
        pfx_mem_free(k->value_label);
        pfx_mem_free(k->value);
        pfx_mem_free(k->name);
        pfx_mem_free(k->label);
        pfx_levels_free(&k->levels);
    }
    pfx_mem_free(d->cols);
    d->cols = NULL;
    pfx_str_free(&d->notes);
    pfx_import_table_free(&d->table);
}

/* ---- the whole ---- */

static pfx_status put_provenance(const pfx_import_data *d, const pfx_import_options *o, pfx_row_sink *sink,
                                 const pfx_import_summary *s, pfx_err *err)
{
    char bytes[32], rows[32], dropped[32], csv[32];
    snprintf(bytes, sizeof bytes, "%lld", (long long)d->bytes);
    snprintf(rows, sizeof rows, "%lld", (long long)(s->n_rows + s->n_dropped));
    snprintf(dropped, sizeof dropped, "%lld", (long long)s->n_dropped);
    snprintf(csv, sizeof csv, "%d.%d.%d", CSV_MAJOR, CSV_MINOR, CSV_RELEASE);
    const char *const lines[][2] = {{"command", o->command},
                                    {"source", o->path},
                                    {"source_sha256", d->sha256},
                                    {"source_bytes", bytes},
                                    {"source_rows", rows},
                                    {"source_format", d->format},
                                    {"duplicates_dropped", dropped},
                                    {"encoding", d->encoding},
                                    {"delimiter", d->delimiter},
                                    {"panelfx", PFX_VERSION},
                                    {"libcsv", *d->delimiter ? csv : ""}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (!lines[i][1] || !*lines[i][1]) continue;
        pfx_status st = sink->provenance(sink->ctx, lines[i][0], lines[i][1], err);
        if (st != PFX_OK) return st;
    }
    return PFX_OK;
}

static bool is_stat_file(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && (!strcasecmp(dot, ".dta") || !strcasecmp(dot, ".sav") || !strcasecmp(dot, ".zsav") ||
                   !strcasecmp(dot, ".sas7bdat"));
}

pfx_status pfx_import_run(const pfx_import_options *o, pfx_row_sink *sink, pfx_import_summary *summary,
                          pfx_err *err)
{
    pfx_import_data d = {.path = o->path, .unit = -1, .time = -1, .table.fd = -1};
    *summary = (pfx_import_summary){0};
    pfx_status st = is_stat_file(o->path) ? pfx_readstat_read(&d, o, err) : pfx_csv_read(&d, o, err);
    summary->source_bytes = d.bytes;
    if (st == PFX_OK) st = pfx_import_emit(&d, o, sink, summary, err);
    if (st == PFX_OK) st = put_provenance(&d, o, sink, summary, err);
    if (st == PFX_OK) st = sink->commit(sink->ctx, err);
    if (st == PFX_OK) say_notes(&d);
    sink->abort(sink->ctx);
    pfx_import_data_free(&d);
    return st;
}
