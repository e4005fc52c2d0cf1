/* --save of fit: residuals, fitted values and effects as CSV, keyed by the panel's own unit and time. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/base/calendar.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/cmd/fit_private.h"

pfx_status fit_save_plan(const fit_options *o, fit_save *s, pfx_err *err)
{
    *s = (fit_save){0};
    if (!o->save.n) return PFX_OK;
    for (int i = 0; i < o->save.n; i++) {
        const char *what = o->save.v[i];
        if (strcmp(what, "resid") == 0)
            s->resid = true;
        else if (strcmp(what, "fitted") == 0)
            s->fitted = true;
        else if (strcmp(what, "effects") == 0)
            s->effects = true;
        else
            return pfx_fail(err, PFX_EUSAGE, "--save %s: choose from resid, fitted, effects", what);
    }
    if (!o->output || strcmp(o->output, "-") == 0)
        return pfx_fail(err, PFX_EUSAGE, "--save needs a file for the saved values: -o FILE.csv");
    if (strlen(o->output) + 16 > sizeof s->rows_path)
        return pfx_fail(err, PFX_EUSAGE, "-o %.40s...: the name is too long", o->output);

    if (s->resid || s->fitted) strcpy(s->rows_path, o->output);
    if (s->effects && !s->rows_path[0]) strcpy(s->effects_path, o->output);
    if (s->effects && s->rows_path[0]) {
        size_t n = strlen(o->output);
        if (n > 4 && strcmp(o->output + n - 4, ".csv") == 0) n -= 4;
        snprintf(s->effects_path, sizeof s->effects_path, "%.*s.effects.csv", (int)n, o->output);
    }
    const char *paths[] = {s->rows_path, s->effects_path};
    for (int i = 0; i < 2; i++) {
        pfx_out out;
        if (!paths[i][0]) continue;
        pfx_status st = pfx_out_begin(&out, paths[i], o->common.force, err);
        if (st) return st;
        pfx_out_abort(&out);
    }
    return PFX_OK;
}

/* A CSV file in the making. */
typedef struct csv_file {
    pfx_out out;
    int fd;
    pfx_str text;
} csv_file;

enum { CSV_BUFFER = 1 << 16 };

static pfx_status csv_open(csv_file *c, const char *path, bool force, pfx_err *err)
{
    c->fd = -1;
    pfx_status st = pfx_out_begin(&c->out, path, force, err);
    if (st) return st;
    c->fd = open(c->out.tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (c->fd < 0) return pfx_fail(err, PFX_EIO, "%s: cannot create: %s", path, strerror(errno));
    return PFX_OK;
}

static pfx_status csv_flush(csv_file *c, pfx_err *err)
{
    if (c->text.failed) return pfx_fail(err, PFX_ENOMEM, "out of memory for the saved values");
    for (size_t at = 0; at < c->text.len;) {
        int e = pfx_fault_write();
        ssize_t k = e ? -1 : write(c->fd, c->text.s + at, c->text.len - at);
        if (k < 0 && !e) e = errno;
        if (e == EINTR) continue;
        if (e) return pfx_fail(err, PFX_EIO, "%s: cannot write: %s", c->out.path, strerror(e));
        at += (size_t)k;
    }
    pfx_str_clear(&c->text);
    return PFX_OK;
}

/* Flush where enough is gathered. */
static pfx_status csv_end_line(csv_file *c, pfx_err *err)
{
    pfx_str_add(&c->text, "\n");
    return c->text.len >= CSV_BUFFER || c->text.failed ? csv_flush(c, err) : PFX_OK;
}

static pfx_status csv_close(csv_file *c, pfx_err *err)
{
    pfx_status st = csv_flush(c, err);
    if (st) return st;
    int failed = close(c->fd);
    c->fd = -1;
    return failed ? pfx_fail(err, PFX_EIO, "%s: cannot write: %s", c->out.path, strerror(errno)) : PFX_OK;
}

static void csv_abort(csv_file *c)
{
    if (c->fd >= 0) close(c->fd);
    pfx_out_abort(&c->out);
    pfx_str_free(&c->text);
}

static void csv_text(csv_file *c, const char *s)
{
    if (!strpbrk(s, ",\"\r\n")) {
        pfx_str_add(&c->text, s);
        return;
    }
    pfx_str_add(&c->text, "\"");
    for (; *s; s++) pfx_str_addn(&c->text, *s == '"' ? "\"\"" : s, *s == '"' ? 2 : 1);
    pfx_str_add(&c->text, "\"");
}

static void csv_num(csv_file *c, double x)
{
    if (!isnan(x)) pfx_str_addf(&c->text, "%.17g", x);
}

/* A whole column of the panel in memory, for labels. */
typedef struct label_column {
    const pfx_col_spec *spec; /* the panel's own */
    double *num;
    int32_t *code;
} label_column;

typedef struct label_cache {
    pfx_panel *panel;
    pfx_time_unit time_unit;
    int n;
    label_column col[32];
} label_cache;

static void cache_free(label_cache *k)
{
    for (int i = 0; i < k->n; i++) {
        pfx_mem_free(k->col[i].num);
        pfx_mem_free(k->col[i].code);
    }
}

static pfx_status read_column(pfx_panel *panel, label_column *c, pfx_err *err)
{
    pfx_idx n_rows = pfx_panel_n_rows(panel);
    pfx_row_source source = {0};
    const pfx_frame *block = NULL;
    pfx_status st = pfx_panel_source(panel, 1, &c->spec->name, NULL, &source, err);
    if (st) return st;
    if (c->spec->kind == PFX_CATEGORY)
        c->code = pfx_mem_alloc(n_rows, sizeof *c->code, err);
    else
        c->num = pfx_mem_alloc(n_rows, sizeof *c->num, err);
    if (!c->code && !c->num) st = PFX_ENOMEM;
    while (st == PFX_OK && (st = source.next(source.ctx, &block, err)) == PFX_OK && block) {
        size_t n = (size_t)block->n_rows;
        if (c->code)
            memcpy(c->code + block->row0, block->cols[0].code, n * sizeof *c->code);
        else
            memcpy(c->num + block->row0, block->cols[0].num, n * sizeof *c->num);
    }
    source.close(source.ctx);
    return st;
}

/* The named column; *out is NULL where the panel has none of that name. */
static pfx_status cache_column(label_cache *k, const char *name, size_t len, const label_column **out,
                               pfx_err *err)
{
    const pfx_col_spec *cols = pfx_panel_cols(k->panel);
    *out = NULL;
    for (int i = 0; i < k->n; i++)
        if (strlen(k->col[i].spec->name) == len && strncmp(k->col[i].spec->name, name, len) == 0) {
            *out = &k->col[i];
            return PFX_OK;
        }
    for (int c = 0; c < pfx_panel_n_cols(k->panel); c++) {
        if (strlen(cols[c].name) != len || strncmp(cols[c].name, name, len) != 0) continue;
        if (k->n == (int)(sizeof k->col / sizeof k->col[0])) return PFX_OK;
        label_column *slot = &k->col[k->n++];
        *slot = (label_column){.spec = &cols[c]};
        *out = slot;
        return read_column(k->panel, slot, err);
    }
    return PFX_OK;
}

static void put_label(csv_file *f, const label_cache *k, const label_column *c, pfx_idx row)
{
    if (c->num && c->spec->kind == PFX_TIME && !isnan(c->num[row])) {
        char time[32];
        pfx_time_write(k->time_unit, c->num[row], sizeof time, time);
        csv_text(f, time);
    } else if (c->num)
        csv_num(f, c->num[row]);
    else if (c->code[row] != PFX_NA_CODE)
        csv_text(f, c->spec->levels[c->code[row]]);
}

static pfx_status row_order(const pfx_fit *fit, pfx_idx n_rows, pfx_idx *at, pfx_err *err)
{
    for (pfx_idx i = 0; i < n_rows; i++) at[i] = -1;
    for (pfx_idx i = 0; i < fit->n_rows; i++) {
        if (fit->row[i] < 0 || fit->row[i] >= n_rows)
            return pfx_fail(err, PFX_EDATA, "%s: saved row %lld is not in the panel", fit->formula,
                            (long long)fit->row[i]);
        at[fit->row[i]] = i;
    }
    return PFX_OK;
}

static pfx_status write_rows(csv_file *f, const fit_save *s, label_cache *k, int n, pfx_fit *const *fits,
                             pfx_err *err)
{
    const pfx_panel_spec *spec = pfx_panel_structure(k->panel);
    const label_column *unit = NULL, *time = NULL;
    pfx_idx n_rows = pfx_panel_n_rows(k->panel);
    pfx_status st = cache_column(k, spec->unit, strlen(spec->unit), &unit, err);
    if (st == PFX_OK) st = cache_column(k, spec->time, strlen(spec->time), &time, err);
    if (st) return st;
    pfx_idx *at = pfx_mem_alloc(n_rows, sizeof *at, err);
    if (!at) return PFX_ENOMEM;

    pfx_str_add(&f->text, "model,row");
    if (unit) pfx_str_add(&f->text, ","), csv_text(f, unit->spec->name);
    if (time) pfx_str_add(&f->text, ","), csv_text(f, time->spec->name);
    pfx_str_addf(&f->text, "%s%s\n", s->resid ? ",resid" : "", s->fitted ? ",fitted" : "");
    for (int m = 0; m < n && st == PFX_OK; m++) {
        st = row_order(fits[m], n_rows, at, err);
        for (pfx_idx r = 0; r < n_rows && st == PFX_OK; r++) {
            if (at[r] < 0) continue;
            pfx_str_addf(&f->text, "%d,%lld", m + 1, (long long)r + 1);
            if (unit) pfx_str_add(&f->text, ","), put_label(f, k, unit, r);
            if (time) pfx_str_add(&f->text, ","), put_label(f, k, time, r);
            if (s->resid) pfx_str_add(&f->text, ","), csv_num(f, fits[m]->resid[at[r]]);
            if (s->fitted) pfx_str_add(&f->text, ","), csv_num(f, fits[m]->fitted[at[r]]);
            st = csv_end_line(f, err);
        }
    }
    pfx_mem_free(at);
    return st;
}

enum { MAX_PARTS = 8 };

/* Columns that an effect's levels are made of: "industry^year" of two, "firm[x]" of one. n = 0: not plain
 * columns. */
static pfx_status effect_columns(label_cache *k, const char *name, int *n, const label_column **part,
                                 pfx_err *err)
{
    const char *end = name + strcspn(name, "[");
    *n = 0;
    while (name < end) {
        size_t len = strcspn(name, "^[");
        const label_column *c = NULL;
        pfx_status st = *n == MAX_PARTS ? PFX_OK : cache_column(k, name, len, &c, err);
        if (st) return st;
        if (!c) {
            *n = 0;
            return PFX_OK;
        }
        part[(*n)++] = c;
        name += len + (name[len] == '^');
    }
    return PFX_OK;
}

static pfx_status write_effects(csv_file *f, label_cache *k, int n, pfx_fit *const *fits, pfx_err *err)
{
    pfx_status st = PFX_OK;
    pfx_str_add(&f->text, "model,effect,level,first_row,estimate\n");
    for (int m = 0; m < n; m++) {
        for (int e = 0; e < fits[m]->n_saved_effects; e++) {
            const struct pfx_saved_effect *s = &fits[m]->saved[e];
            const label_column *part[MAX_PARTS];
            int n_parts = 0;
            if ((st = effect_columns(k, s->name, &n_parts, part, err))) return st;
            for (pfx_idx l = 0; l < s->n_levels; l++) {
                pfx_str_addf(&f->text, "%d,", m + 1);
                csv_text(f, s->name);
                pfx_str_add(&f->text, ",");
                for (int i = 0; i < n_parts; i++) {
                    if (i) pfx_str_add(&f->text, "^");
                    put_label(f, k, part[i], s->first_row[l]);
                }
                pfx_str_addf(&f->text, ",%lld,", (long long)s->first_row[l] + 1);
                csv_num(f, s->alpha[l]);
                if ((st = csv_end_line(f, err))) return st;
            }
        }
    }
    return st;
}

pfx_status fit_save_write(const fit_save *s, pfx_panel *panel, int n, pfx_fit *const *fits, bool force,
                          pfx_err *err)
{
    csv_file rows = {.fd = -1}, effects = {.fd = -1};
    label_cache cache = {.panel = panel, .time_unit = pfx_panel_structure(panel)->time_unit};
    pfx_status st = PFX_OK;

    if (s->rows_path[0]) {
        if ((st = csv_open(&rows, s->rows_path, force, err))) goto done;
        if ((st = write_rows(&rows, s, &cache, n, fits, err)) || (st = csv_close(&rows, err))) goto done;
    }
    if (s->effects_path[0]) {
        if ((st = csv_open(&effects, s->effects_path, force, err))) goto done;
        if ((st = write_effects(&effects, &cache, n, fits, err)) || (st = csv_close(&effects, err)))
            goto done;
    }
    /* Neither file gets its name before both are written. */
    if (s->rows_path[0] && (st = pfx_out_commit(&rows.out, err))) goto done;
    if (s->effects_path[0] && (st = pfx_out_commit(&effects.out, err))) goto done;
done:
    csv_abort(&rows);
    csv_abort(&effects);
    cache_free(&cache);
    return st;
}
