/* The info command: what is in a panel file or a draws file. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "hdf5_io/draws.h"
#include "hdf5_io/panel.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/base/version.h"
#include "src/cmd/commands.h"
#include "src/cmd/provenance.h"
#include "src/report/table.h"

enum { LABELS_SHOWN = 3, LABELS_READ = 1000 }; /* of a category; with more levels than that none is read */

typedef struct info_options {
    pfx_common common;
    bool check;
    int format;
    const char *output;
} info_options;

static const char *const formats[] = {"text", "json", NULL};

#define AT(field) offsetof(info_options, field)
static const pfx_opt info_table[] = {
    {"check", 0, PFX_OPT_FLAG, AT(check), NULL,
     "read everything once: checksums, index, order of the rows, level codes", NULL, "Checks"},
    {"format", 0, PFX_OPT_CHOICE, AT(format), "FORMAT", "text or json (default: text)", formats, "Output"},
    {"output", 'o', PFX_OPT_TEXT, AT(output), "FILE", "write to FILE instead of standard output", NULL, NULL},
    {0},
};

static pfx_idx file_bytes(const char *path)
{
    struct stat sb;
    return stat(path, &sb) == 0 ? (pfx_idx)sb.st_size : -1;
}

/* Labels of categories with few levels. */
static pfx_status read_labels(pfx_panel *p, pfx_err *err)
{
    pfx_status st = PFX_OK;
    for (int c = 0; c < pfx_panel_n_cols(p) && st == PFX_OK; c++)
        if (pfx_panel_cols(p)[c].n_levels <= LABELS_READ) st = pfx_panel_levels(p, c, err);
    return st;
}

/* ---- text ---- */

static const char *bytes_text(pfx_idx n, char *buf, size_t size)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double x = (double)n;
    int u = 0;
    while (x >= 1024 && u < 4) {
        x /= 1024;
        u++;
    }
    snprintf(buf, size, u ? "%.1f %s" : "%.0f %s", x, units[u]);
    return buf;
}

static void add_count(pfx_str *out, const char *name, pfx_idx n, const char *column)
{
    char digits[32], grouped[48];
    size_t len, g = 0;
    snprintf(digits, sizeof digits, "%lld", (long long)n);
    len = strlen(digits);
    for (size_t i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0) grouped[g++] = ',';
        grouped[g++] = digits[i];
    }
    grouped[g] = 0;
    pfx_str_addf(out, "%-10s %s%s%s%s\n", name, grouped, column ? " (" : "", column ? column : "",
                 column ? ")" : "");
}

static void add_head(const pfx_panel *p, bool checked, pfx_str *out)
{
    const pfx_panel_spec *s = pfx_panel_structure(p);
    char time[320], size[32];
    pfx_str_addf(out, "%s: a panel, format version %lld\n\n", pfx_panel_path(p),
                 (long long)pfx_panel_version(p));
    if (pfx_is_synthetic(p)) pfx_str_add(out, "SYNTHETIC  simulated data, no measurements\n");
    add_count(out, "rows", pfx_panel_n_rows(p), NULL);
    add_count(out, "units", pfx_panel_n_units(p), s->unit[0] ? s->unit : "no unit: each row is one");
    if (s->time[0]) {
        bool index = s->time_unit == PFX_TIME_INDEX;
        snprintf(time, sizeof time, "%s%s%s", s->time, index ? "" : ", in steps of one ",
                 index ? "" : pfx_time_unit_name(s->time_unit));
        add_count(out, "periods", pfx_panel_n_periods(p), time);
    } else {
        pfx_str_addf(out, "%-10s none\n", "time");
    }
    add_count(out, "columns", pfx_panel_n_cols(p), NULL);
    pfx_str_addf(out, "%-10s %s\n", "size", bytes_text(file_bytes(pfx_panel_path(p)), size, sizeof size));
    if (checked)
        pfx_str_addf(out, "%-10s every checksum, the index, the order of the rows and the codes are right\n",
                     "checked");
    pfx_str_add(out, "\n");
}

/* "31: Anhui, Beijing, Fujian, ..." */
static void add_levels(pfx_table *t, const pfx_col_spec *c)
{
    pfx_str s = {0};
    if (c->kind == PFX_CATEGORY) {
        pfx_str_addf(&s, "%lld", (long long)c->n_levels);
        for (pfx_idx i = 0; c->levels && i < c->n_levels && i < LABELS_SHOWN; i++)
            pfx_str_addf(&s, "%s%.24s", i ? ", " : ": ", c->levels[i][0] ? c->levels[i] : "\"\"");
        if (c->levels && c->n_levels > LABELS_SHOWN) pfx_str_add(&s, ", ...");
    }
    pfx_table_text(t, s.s && !s.failed ? s.s : "");
    pfx_str_free(&s);
}

static pfx_status add_columns(pfx_panel *p, pfx_str *out, pfx_err *err)
{
    static const char *const heading[] = {"column", "kind", "type", "on disk", "filters", "levels", "label"};
    pfx_table *t = pfx_table_create(7, err);
    pfx_status st = PFX_OK;
    if (!t) return PFX_ENOMEM;
    pfx_table_align(t, "lllrlll");
    pfx_table_heading(t);
    for (int i = 0; i < 7; i++) pfx_table_text(t, heading[i]);
    for (int c = 0; c < pfx_panel_n_cols(p) && st == PFX_OK; c++) {
        const pfx_col_spec *col = &pfx_panel_cols(p)[c];
        pfx_panel_storage at;
        char size[32], filters[32];
        if ((st = pfx_panel_column_storage(p, c, &at, err)) != PFX_OK) break;
        snprintf(filters, sizeof filters, "%s%s%s", at.fletcher32 ? "fletcher32" : "",
                 at.fletcher32 && at.deflate ? ", " : "", at.deflate ? "deflate" : "");
        pfx_table_row(t);
        pfx_table_text(t, col->name);
        pfx_table_text(t, pfx_kind_name(col->kind));
        pfx_table_text(t, pfx_dtype_name(col->dtype));
        pfx_table_text(t, bytes_text(at.bytes_disk, size, sizeof size));
        pfx_table_text(t, filters);
        add_levels(t, col);
        pfx_table_text(t, col->label);
    }
    if (st == PFX_OK) st = pfx_table_render(t, PFX_FORMAT_TEXT, 0, out, err);
    pfx_table_free(t);
    return st;
}

static pfx_status panel_text(pfx_panel *p, bool checked, pfx_str *out, pfx_err *err)
{
    const char *key, *value;
    int width = 0;
    pfx_status st;
    add_head(p, checked, out);
    if ((st = add_columns(p, out, err)) != PFX_OK) return st;
    for (int i = 0; pfx_panel_provenance(p, i, &key, &value); i++)
        if ((int)strlen(key) > width) width = (int)strlen(key);
    pfx_str_add(out, "\nprovenance\n");
    for (int i = 0; pfx_panel_provenance(p, i, &key, &value); i++)
        pfx_str_addf(out, "  %-*s  %s\n", width, key, value);
    return PFX_OK;
}

/* ---- JSON ---- */

/* jansson reports a failed allocation of a value as a NULL, which setting it then reports. */
static void set(json_t *object, const char *key, json_t *value, bool *failed)
{
    if (json_object_set_new(object, key, value)) *failed = true;
}

static json_t *json_labels(const pfx_col_spec *c, bool *failed)
{
    json_t *list = json_array();
    for (pfx_idx i = 0; i < c->n_levels; i++)
        if (json_array_append_new(list, json_string(c->levels[i]))) *failed = true;
    return list;
}

static pfx_status json_column(pfx_panel *p, int i, json_t *list, bool *failed, pfx_err *err)
{
    const pfx_col_spec *c = &pfx_panel_cols(p)[i];
    pfx_panel_storage at;
    json_t *o = json_object();
    pfx_status st = pfx_panel_column_storage(p, i, &at, err);
    if (st == PFX_OK) {
        set(o, "name", json_string(c->name), failed);
        set(o, "label", json_string(c->label), failed);
        set(o, "kind", json_string(pfx_kind_name(c->kind)), failed);
        set(o, "type", json_string(pfx_dtype_name(c->dtype)), failed);
        if (c->kind == PFX_CATEGORY) set(o, "levels", json_integer(c->n_levels), failed);
        if (c->kind == PFX_CATEGORY && c->levels) set(o, "labels", json_labels(c, failed), failed);
        set(o, "bytes", json_integer(at.bytes_raw), failed);
        set(o, "bytes_on_disk", json_integer(at.bytes_disk), failed);
        set(o, "deflate", json_boolean(at.deflate), failed);
        set(o, "fletcher32", json_boolean(at.fletcher32), failed);
    }
    if (json_array_append_new(list, o)) *failed = true;
    return st;
}

static int append(const char *piece, size_t n, void *out)
{
    pfx_str_addn(out, piece, n);
    return ((pfx_str *)out)->failed ? -1 : 0;
}

static void json_head(const pfx_panel *p, bool checked, json_t *root, bool *failed)
{
    const pfx_panel_spec *s = pfx_panel_structure(p);
    set(root, "panelfx", json_string(PFX_VERSION), failed);
    set(root, "command", json_string("info"), failed);
    set(root, "file", json_string(pfx_panel_path(p)), failed);
    set(root, "format", json_string("panelfx-panel"), failed);
    set(root, "version", json_integer(pfx_panel_version(p)), failed);
    set(root, "synthetic", json_boolean(pfx_is_synthetic(p)), failed);
    set(root, "unit", s->unit[0] ? json_string(s->unit) : json_null(), failed);
    set(root, "time", s->time[0] ? json_string(s->time) : json_null(), failed);
    set(root, "time_unit", s->time[0] ? json_string(pfx_time_unit_name(s->time_unit)) : json_null(), failed);
    set(root, "n_rows", json_integer(pfx_panel_n_rows(p)), failed);
    set(root, "n_units", json_integer(pfx_panel_n_units(p)), failed);
    set(root, "n_periods", json_integer(pfx_panel_n_periods(p)), failed);
    set(root, "bytes", json_integer(file_bytes(pfx_panel_path(p))), failed);
    set(root, "checked", json_boolean(checked), failed);
}

static pfx_status panel_json(pfx_panel *p, bool checked, pfx_str *out, pfx_err *err)
{
    json_t *root = json_object(), *columns = json_array(), *lines = json_object();
    const char *key, *value;
    bool failed = false;
    pfx_status st = PFX_OK;
    json_head(p, checked, root, &failed);
    for (int c = 0; c < pfx_panel_n_cols(p) && st == PFX_OK; c++)
        st = json_column(p, c, columns, &failed, err);
    for (int i = 0; pfx_panel_provenance(p, i, &key, &value); i++)
        set(lines, key, json_string(value), &failed);
    set(root, "columns", columns, &failed);
    set(root, "provenance", lines, &failed);
    if (st == PFX_OK &&
        (failed || json_dump_callback(root, append, out, JSON_INDENT(1) | JSON_REAL_PRECISION(17))))
        st = pfx_fail(err, PFX_ENOMEM, "the JSON of info: out of memory, or a text is not UTF-8");
    pfx_str_add(out, "\n");
    json_decref(root);
    return st;
}

/* ---- the command ---- */

static pfx_status info_panel(const info_options *o, const char *path, pfx_str *out, pfx_err *err)
{
    pfx_panel *p = NULL;
    pfx_status st;
    if ((st = pfx_panel_open(path, &p, err)) != PFX_OK) return st;
    if (o->check) st = pfx_panel_check(p, err);
    if (st == PFX_OK) st = read_labels(p, err);
    if (st == PFX_OK) st = o->format ? panel_json(p, o->check, out, err) : panel_text(p, o->check, out, err);
    pfx_panel_close(p);
    return st;
}

static void draws_text(const pfx_draws *d, bool checked, pfx_str *out)
{
    const pfx_draw_spec *s = pfx_draws_spec(d);
    char size[32];
    pfx_str_addf(out, "%s: draws of %s, format version %lld\n\n", pfx_draws_path(d), s->command,
                 (long long)pfx_draws_version(d));
    pfx_str_addf(out, "%-10s %s\n%-10s", "method", s->method, s->n_terms > 1 ? "terms" : "term");
    for (int t = 0; t < s->n_terms; t++) pfx_str_addf(out, "%s %s", t ? "," : "", s->terms[t]);
    pfx_str_addf(out, "\n%-10s replicates %lld to %lld of %lld, shard %lld of %lld\n", "draws",
                 (long long)s->first + 1, (long long)s->last, (long long)s->reps, (long long)s->shard,
                 (long long)s->n_shards);
    if (!pfx_draws_complete(d))
        pfx_str_addf(out, "%-10s %lld of these %lld; run its command again with --resume\n", "checkpoint",
                     (long long)pfx_draws_n(d), (long long)(s->last - s->first));
    pfx_str_addf(out, "%-10s %llu\n", "seed", (unsigned long long)s->seed);
    pfx_str_addf(out, "%-10s panelfx %s, %s, %s, %s\n", "computed", pfx_draws_engine(d), s->numerics,
                 pfx_draws_cpu(d), s->blas);
    pfx_str_addf(out, "%-10s %s\n%-10s %s\n", "spec", s->spec_digest, "panel", s->panel_digest);
    pfx_str_addf(out, "%-10s %s\n", "size", bytes_text(file_bytes(pfx_draws_path(d)), size, sizeof size));
    if (checked)
        pfx_str_addf(out, "%-10s every checksum and the numbers of the replicates are right\n", "checked");
}

static pfx_status draws_json(const pfx_draws *d, bool checked, pfx_str *out, pfx_err *err)
{
    const pfx_draw_spec *s = pfx_draws_spec(d);
    json_t *root = json_object(), *terms = json_array();
    bool failed = false;
    pfx_status st = PFX_OK;
    for (int t = 0; t < s->n_terms; t++)
        if (json_array_append_new(terms, json_string(s->terms[t]))) failed = true;
    set(root, "panelfx", json_string(PFX_VERSION), &failed);
    set(root, "command", json_string("info"), &failed);
    set(root, "file", json_string(pfx_draws_path(d)), &failed);
    set(root, "format", json_string("panelfx-draws"), &failed);
    set(root, "version", json_integer(pfx_draws_version(d)), &failed);
    set(root, "drawn_by", json_string(s->command), &failed);
    set(root, "method", json_string(s->method), &failed);
    set(root, "terms", terms, &failed);
    set(root, "seed", json_integer((json_int_t)s->seed), &failed);
    set(root, "reps", json_integer(s->reps), &failed);
    set(root, "first", json_integer(s->first + 1), &failed);
    set(root, "last", json_integer(s->last), &failed);
    set(root, "shard", json_integer(s->shard), &failed);
    set(root, "shards", json_integer(s->n_shards), &failed);
    set(root, "drawn", json_integer(pfx_draws_n(d)), &failed);
    set(root, "complete", json_boolean(pfx_draws_complete(d)), &failed);
    set(root, "numerics", json_string(s->numerics), &failed);
    set(root, "spec_digest", json_string(s->spec_digest), &failed);
    set(root, "panel_digest", json_string(s->panel_digest), &failed);
    set(root, "bytes", json_integer(file_bytes(pfx_draws_path(d))), &failed);
    set(root, "checked", json_boolean(checked), &failed);
    if (failed || json_dump_callback(root, append, out, JSON_INDENT(1)))
        st = pfx_fail(err, PFX_ENOMEM, "the JSON of info: out of memory, or a text is not UTF-8");
    pfx_str_add(out, "\n");
    json_decref(root);
    return st;
}

static pfx_status info_draws(const info_options *o, const char *path, pfx_str *out, pfx_err *err)
{
    pfx_draws *d = NULL;
    pfx_status st = pfx_draws_open_part(path, &d, err);
    if (st == PFX_OK && o->check) st = pfx_draws_check(d, err);
    if (st == PFX_OK && o->format) st = draws_json(d, o->check, out, err);
    if (st == PFX_OK && !o->format) draws_text(d, o->check, out);
    pfx_draws_close(d);
    return st;
}

/* Formats of files that info describes, by their attribute `format`. */
static const struct {
    const char *format;
    pfx_status (*describe)(const info_options *o, const char *path, pfx_str *out, pfx_err *err);
} describers[] = {
    {"panelfx-panel", info_panel},
    {"panelfx-draws", info_draws},
};

static pfx_status describe(const info_options *o, const char *path, pfx_str *out, pfx_err *err)
{
    char *format = NULL;
    pfx_status st = pfx_h5_format(path, &format, err);
    size_t n = sizeof describers / sizeof *describers, i = 0;
    if (st != PFX_OK) return st;
    while (i < n && strcmp(describers[i].format, format) != 0) i++;
    if (i < n)
        st = describers[i].describe(o, path, out, err);
    else
        st = pfx_fail(err, PFX_EFORMAT, "%s: format \"%.64s\" is not known to info of panelfx %s", path,
                      format, PFX_VERSION);
    pfx_mem_free(format);
    return st;
}

static pfx_status info_run(int argc, char **argv, pfx_err *err)
{
    info_options o = {0};
    const char *pos[1];
    int n_pos = 0;
    pfx_str out = {0};
    pfx_status st = pfx_opt_parse(&pfx_cmd_info, argc, argv, &o, 1, 1, pos, &n_pos, err);
    if (st != PFX_OK || o.common.help) return st;
    if ((st = pfx_out_spare(o.output, pos[0], err))) return st;
    st = describe(&o, pos[0], &out, err);
    if (st == PFX_OK && out.failed) st = pfx_fail(err, PFX_ENOMEM, "out of memory for the output of info");
    if (st == PFX_OK) st = pfx_file_write_text(o.output, out.s, out.len, o.common.force, err);
    pfx_str_free(&out);
    return st;
}

const pfx_command pfx_cmd_info = {
    "info",     "PANEL.h5", "what is in a panel or draws file; --check verifies every checksum",
    info_table, info_run,   NULL};
