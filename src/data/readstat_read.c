/* Stata, SPSS and SAS files into the importer's table, through ReadStat. Two passes: the first takes names,
 * labels and formats (a .dta keeps its value labels behind the data), the second the values, row by row. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <readstat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/data/import_private.h"
#include "src/data/readstat_labels.h"

/* A block's cells before packing, as a chunk of text has. */
enum { BLOCK_BYTES = 4 << 20, MIN_ROWS = 64, MAX_ROWS = 65536 };

typedef struct stat_var {
    char *name, *label, *label_set;
    pfx_time_code time_code;
    bool text, is_float;
    pfx_value_set *values; /* labels of its numbers, NULL: none */
} stat_var;

typedef struct stat_reader {
    pfx_import_data *d;
    const pfx_import_options *o;
    pfx_label_sets sets;
    stat_var *var; /* [n_vars] */
    int n_vars, cap_vars;
    char format[12]; /* "dta", "sav", "sas7bdat" */
    pfx_missing missing;
    void **cells;              /* [n_vars] */
    pfx_idx cap, row0, n_rows; /* rows of a block; its first; filled so far */
    pfx_idx expected;          /* rows that the file announces, -1: it does not */
    pfx_status st;
    pfx_err *err;
} stat_reader;

static int stop(stat_reader *r, pfx_status st)
{
    r->st = st;
    return READSTAT_HANDLER_ABORT;
}

/* ---- the first pass ---- */

static int on_metadata(readstat_metadata_t *m, void *ctx)
{
    stat_reader *r = ctx;
    r->expected = readstat_get_row_count(m);
    const char *e = readstat_get_file_encoding(m);
    snprintf(r->d->encoding, sizeof r->d->encoding, "%s", r->o->encoding ? r->o->encoding : e ? e : "");
    return READSTAT_HANDLER_OK;
}

static int on_variable(int index, readstat_variable_t *v, const char *label_set, void *ctx)
{
    stat_reader *r = ctx;
    (void)index;
    if (r->n_vars == r->cap_vars) {
        int cap = r->cap_vars ? r->cap_vars * 2 : 32;
        stat_var *var = pfx_mem_realloc(r->var, cap, sizeof *var, r->err);
        if (!var) return stop(r, PFX_ENOMEM);
        r->var = var;
        r->cap_vars = cap;
    }
    const char *label = readstat_variable_get_label(v);
    stat_var *x = &r->var[r->n_vars];
    *x = (stat_var){.text = readstat_variable_get_type_class(v) == READSTAT_TYPE_CLASS_STRING,
                    .is_float = readstat_variable_get_type(v) == READSTAT_TYPE_FLOAT,
                    .time_code = pfx_stat_time_code(r->format, readstat_variable_get_format(v))};
    x->name = pfx_mem_strdup(readstat_variable_get_name(v), r->err);
    x->label = pfx_mem_strdup(label ? label : "", r->err);
    x->label_set = label_set && *label_set ? pfx_mem_strdup(label_set, r->err) : NULL;
    r->n_vars++;
    return x->name && x->label && (x->label_set || !label_set || !*label_set) ? READSTAT_HANDLER_OK
                                                                              : stop(r, PFX_ENOMEM);
}

static int on_value_label(const char *set, readstat_value_t value, const char *label, void *ctx)
{
    stat_reader *r = ctx;
    if (readstat_value_type_class(value) != READSTAT_TYPE_CLASS_NUMERIC ||
        readstat_value_is_tagged_missing(value) || readstat_value_is_system_missing(value) || !label)
        return READSTAT_HANDLER_OK;
    pfx_status st = pfx_label_sets_add(&r->sets, set, readstat_double_value(value), label, r->err);
    return st == PFX_OK ? READSTAT_HANDLER_OK : stop(r, st);
}

/* ---- the second pass ---- */

/* ReadStat 1.1.8 knows the variables of a value only where this handler is set. */
static int on_variable_again(int index, readstat_variable_t *v, const char *label_set, void *ctx)
{
    (void)index, (void)v, (void)label_set, (void)ctx;
    return READSTAT_HANDLER_OK;
}

static pfx_status flush(stat_reader *r)
{
    pfx_block b = {0};
    pfx_import_table *t = &r->d->table;
    if (r->n_rows == 0) return PFX_OK;
    for (int c = 0; c < t->n_cols; c++)
        if (t->form[c] == PFX_FORM_NUMBER)
            pfx_cell_stats_numbers(&r->d->cols[c].stats, r->n_rows, r->cells[c],
                                   pfx_cell_ref_make(t->n_blocks, 0));
    pfx_status st = pfx_block_pack(t, r->n_rows, (const void *const *)r->cells, NULL, &b, r->err);
    b.first_row = r->row0 + 1;
    if (st == PFX_OK) st = pfx_import_table_add(t, &b, r->err);
    pfx_mem_free(b.slab);
    r->row0 += r->n_rows;
    r->n_rows = 0;
    return st;
}

static bool is_users_missing(const pfx_import_options *o, const char *s)
{
    for (int i = 0; i < o->n_missing; i++)
        if (!strcmp(o->missing[i], s)) return true;
    return false;
}

static int put_text(stat_reader *r, int c, pfx_idx row, const char *s)
{
    int32_t code = PFX_NA_CODE;
    if (s && *s && !is_users_missing(r->o, s)) {
        code = pfx_dict_code(pfx_import_table_dict(&r->d->table, 0, c), s, strlen(s),
                             pfx_cell_ref_make(r->d->table.n_blocks, row), r->err);
        if (code < 0) return stop(r, PFX_ENOMEM);
    }
    ((int32_t *)r->cells[c])[row] = code;
    return READSTAT_HANDLER_OK;
}

/* A text in a column that --types makes numeric. */
static double number_of_text(stat_reader *r, int c, pfx_idx row, const char *s)
{
    double v = NAN;
    size_t n = s ? strlen(s) : 0;
    if (n == 0 || pfx_missing_text(&r->missing, s, n)) return NAN;
    pfx_cell_class cls = pfx_csv_number(s, n, &v);
    if (pfx_cell_is_number(cls)) return v;
    pfx_cell_stats_note(&r->d->cols[c].stats, pfx_csv_formatted(s, n), s, n, 1,
                        pfx_cell_ref_make(r->d->table.n_blocks, row));
    return NAN;
}

static int put_value(stat_reader *r, int c, pfx_idx row, readstat_variable_t *variable,
                     readstat_value_t value)
{
    const stat_var *x = &r->var[c];
    bool text_cell = readstat_value_type_class(value) == READSTAT_TYPE_CLASS_STRING;
    bool missing = readstat_value_is_missing(value, variable);
    double v = missing || text_cell ? NAN : readstat_double_value(value);
    if (!text_cell && pfx_missing_number(&r->missing, v)) v = NAN;
    if (r->d->table.form[c] == PFX_FORM_TEXT) {
        char text[32];
        const char *s = text_cell ? (missing ? NULL : readstat_string_value(value)) : NULL;
        if (!text_cell && v == v) {
            s = x->values ? pfx_value_set_label(x->values, v) : NULL;
            if (!s) snprintf(text, sizeof text, "%.15g", v), s = text;
        }
        return put_text(r, c, row, s);
    }
    if (text_cell && !missing) v = number_of_text(r, c, row, readstat_string_value(value));
    if (x->values && v == v) pfx_value_set_mark(x->values, v);
    ((double *)r->cells[c])[row] = v;
    return READSTAT_HANDLER_OK;
}

static int on_value(int obs, readstat_variable_t *variable, readstat_value_t value, void *ctx)
{
    stat_reader *r = ctx;
    int c = readstat_variable_get_index(variable);
    if (c >= r->n_vars || r->d->table.form[c] == PFX_FORM_SKIP) return READSTAT_HANDLER_OK;
    pfx_idx row = obs - r->row0;
    if (row == r->cap) {
        pfx_status st = flush(r);
        if (st != PFX_OK) return stop(r, st);
        pfx_progress_set((double)obs);
        row = 0;
    }
    r->n_rows = row + 1;
    return put_value(r, c, row, variable, value);
}

/* ---- running ReadStat ---- */

static pfx_status fail_readstat(stat_reader *r, readstat_error_t e, pfx_err *err)
{
    const char *path = r->o->path;
    if (r->st != PFX_OK) return r->st;
    switch (e) {
    case READSTAT_ERROR_OPEN:
        return pfx_fail(err, PFX_EIO, "%s: cannot open: %s", path, strerror(errno));
    case READSTAT_ERROR_MALLOC:
        return pfx_fail(err, PFX_ENOMEM, "%s: out of memory in ReadStat", path);
    case READSTAT_ERROR_CONVERT_BAD_STRING:
    case READSTAT_ERROR_CONVERT:
        return pfx_fail(
            err, PFX_EDATA,
            "%s: a text is not valid in the file's encoding; name the right one, for example --encoding GBK",
            path);
    case READSTAT_ERROR_UNSUPPORTED_CHARSET:
        return pfx_fail(err, PFX_EUSAGE, "%s: unknown encoding; name one with --encoding, for example GBK",
                        path);
    default:
        return pfx_fail(
            err, PFX_EFORMAT,
            "%s: cannot be read as a .%s file: %s; write it anew with the program that made it, or as CSV",
            path, r->format, readstat_error_message(e));
    }
}

static pfx_status run(stat_reader *r, bool values, pfx_err *err)
{
    readstat_parser_t *p = readstat_parser_init();
    if (!p) return pfx_fail(err, PFX_ENOMEM, "out of memory for ReadStat");
    if (values) {
        readstat_set_value_handler(p, on_value);
        readstat_set_variable_handler(p, on_variable_again);
    } else {
        readstat_set_metadata_handler(p, on_metadata);
        readstat_set_variable_handler(p, on_variable);
        readstat_set_value_label_handler(p, on_value_label);
    }
    if (r->o->encoding) readstat_set_file_character_encoding(p, r->o->encoding);
    readstat_error_t e = r->format[0] == 'd'              ? readstat_parse_dta(p, r->o->path, r)
                         : !strcmp(r->format, "sas7bdat") ? readstat_parse_sas7bdat(p, r->o->path, r)
                                                          : readstat_parse_sav(p, r->o->path, r);
    readstat_parser_free(p);
    return e == READSTAT_OK && r->st == PFX_OK ? PFX_OK : fail_readstat(r, e, err);
}

/* ---- columns ---- */

static pfx_status make_columns(stat_reader *r, pfx_err *err)
{
    pfx_import_data *d = r->d;
    if (r->n_vars == 0) return pfx_fail(err, PFX_EDATA, "%s: the file has no variables", d->path);
    char **names = pfx_mem_alloc(r->n_vars, sizeof *names, err);
    if (!names) return PFX_ENOMEM;
    for (int c = 0; c < r->n_vars; c++) {
        names[c] = r->var[c].name;
        r->var[c].name = NULL;
    }
    pfx_status st = pfx_import_columns(d, r->o, r->n_vars, names, 1, err);
    pfx_mem_free(names);
    for (int c = 0; c < r->n_vars && st == PFX_OK; c++) {
        pfx_import_col *k = &d->cols[c];
        k->label = r->var[c].label;
        r->var[c].label = NULL;
        if (c == d->time) k->time_code = r->var[c].time_code;
        if (d->table.form[c] == PFX_FORM_SKIP) continue;
        bool text = k->wish == PFX_WISH_CATEGORY || (k->wish == PFX_WISH_NONE && r->var[c].text);
        d->table.form[c] = text ? PFX_FORM_TEXT : PFX_FORM_NUMBER;
        if (r->var[c].label_set && c != d->time && (k->wish == PFX_WISH_NONE || text))
            st = pfx_label_sets_take(&r->sets, r->var[c].label_set, &r->var[c].values, err);
    }
    return st;
}

static pfx_status make_room(stat_reader *r, pfx_err *err)
{
    const pfx_import_table *t = &r->d->table;
    r->cap = BLOCK_BYTES / (pfx_idx)sizeof(double) / t->n_cols;
    r->cap = r->cap < MIN_ROWS ? MIN_ROWS : r->cap > MAX_ROWS ? MAX_ROWS : r->cap;
    if (!(r->cells = pfx_mem_calloc(t->n_cols, sizeof *r->cells, err))) return PFX_ENOMEM;
    for (int c = 0; c < t->n_cols; c++)
        if (t->form[c] != PFX_FORM_SKIP && !(r->cells[c] = pfx_mem_alloc(r->cap, sizeof(double), err)))
            return PFX_ENOMEM;
    return PFX_OK;
}

/* What the whole columns tell: faults of --types, categories from value labels, floats. */
static pfx_status finish_columns(stat_reader *r, pfx_err *err)
{
    pfx_import_data *d = r->d;
    pfx_str labelled = {0};
    pfx_status st = PFX_OK;
    char where[1200];
    for (int c = 0; c < d->table.n_cols && st == PFX_OK; c++) {
        pfx_import_col *k = &d->cols[c];
        const pfx_dict *dict = pfx_import_table_dict(&d->table, 0, c);
        if (d->table.form[c] == PFX_FORM_SKIP) continue;
        if (d->table.form[c] == PFX_FORM_TEXT) {
            st = pfx_levels_merge(1, &dict, &k->levels, err);
            continue;
        }
        if (k->stats.n_text) {
            pfx_type_choice bad = pfx_type_decide(&k->stats, k->wish);
            st = pfx_type_fail(&k->stats, bad.at,
                               pfx_import_where(d, k->stats.first[bad.at], c, sizeof where, where), k->name,
                               err);
            continue;
        }
        if (r->var[c].is_float && k->stats.fractions && k->wish == PFX_WISH_NONE) k->wish = PFX_WISH_FLOAT32;
        if (!r->var[c].values) continue;
        st = pfx_value_set_used(r->var[c].values, &k->n_values, &k->value, &k->value_label, err);
        if (k->n_values) pfx_str_addf(&labelled, "%s%s", labelled.len ? ", " : "", k->name);
    }
    if (st == PFX_OK && labelled.len)
        pfx_import_note(
            d, "%s: categories, because every value has a label: %s (--types NAME=numeric keeps numbers)",
            d->path, labelled.s);
    pfx_str_free(&labelled);
    return st;
}

/* ---- the whole ---- */

static pfx_status hash_file(pfx_import_data *d, pfx_err *err)
{
    enum { PIECE = 1 << 20 };
    int fd = open(d->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return pfx_fail(err, PFX_EIO, "%s: cannot open: %s", d->path, strerror(errno));
    pfx_sha256 *h = pfx_sha256_new();
    char *buf = pfx_mem_alloc(PIECE, 1, err);
    pfx_status st = h && buf ? PFX_OK : pfx_fail(err, PFX_ENOMEM, "out of memory for the checksum");
    for (ssize_t k = 1; st == PFX_OK && k;) {
        k = read(fd, buf, PIECE);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0)
            st = pfx_fail(err, PFX_EIO, "%s: cannot read: %s", d->path, strerror(errno));
        else
            pfx_sha256_add(h, (size_t)k, buf), d->bytes += k;
    }
    if (st == PFX_OK) pfx_sha256_hex(h, d->sha256);
    pfx_sha256_free(h);
    pfx_mem_free(buf);
    close(fd);
    return st;
}

static void reader_free(stat_reader *r)
{
    for (int c = 0; c < r->n_vars; c++) {
        pfx_mem_free(r->var[c].name);
        pfx_mem_free(r->var[c].label);
        pfx_mem_free(r->var[c].label_set);
        pfx_value_set_free(r->var[c].values);
        if (r->cells) pfx_mem_free(r->cells[c]);
    }
    pfx_mem_free(r->cells);
    pfx_mem_free(r->var);
    pfx_label_sets_free(&r->sets);
}

pfx_status pfx_readstat_read(pfx_import_data *d, const pfx_import_options *o, pfx_err *err)
{
    stat_reader r = {.d = d, .o = o, .err = err, .expected = -1};
    const char *dot = strrchr(o->path, '.');
    d->row_word = "observation";
    snprintf(r.format, sizeof r.format, "%s",
             !strcasecmp(dot, ".dta")        ? "dta"
             : !strcasecmp(dot, ".sas7bdat") ? "sas7bdat"
                                             : "sav");
    snprintf(d->format, sizeof d->format, "%s", r.format);
    pfx_status st = hash_file(d, err);
    if (st == PFX_OK) st = pfx_missing_init(&r.missing, o->n_missing, o->missing, err);
    if (st == PFX_OK) st = run(&r, false, err);
    if (st == PFX_OK) st = make_columns(&r, err);
    if (st == PFX_OK) st = make_room(&r, err);
    if (st == PFX_OK) {
        pfx_progress_begin("read", "rows", (double)r.expected);
        st = run(&r, true, err);
        pfx_progress_end();
    }
    if (st == PFX_OK) st = flush(&r);
    if (st == PFX_OK && d->table.n_rows == 0)
        st = pfx_fail(err, PFX_EDATA, "%s: the file has no observations", d->path);
    if (st == PFX_OK) st = finish_columns(&r, err);
    reader_free(&r);
    return st;
}
