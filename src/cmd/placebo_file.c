/* The user's own assignments: a CSV with a header. Columns, in any order:
 *     draw      number or name of the draw; its lines stand together
 *     UNIT      the variable that is assigned by (or "unit"): a level as the panel has it
 *     adoption  the time from which the unit is treated in this draw; treated in none where it is not listed
 * or instead of adoption
 *     TIME      the panel's time variable (or "time"), and
 *     VAR       the treatment (or "value") from then on, until the next line of the unit in this draw.
 * In the second form a unit has the first of its values before that. */
#include <csv.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/calendar.h"
#include "src/base/mem.h"
#include "src/cmd/placebo.h"
#include "src/model/design.h"

enum { DRAW, UNIT, ADOPTION, TIME, VALUE, N_COLUMNS };

typedef struct level {
    char *text;
    double number; /* where the column is numeric */
    int32_t code;
} level;

typedef struct reader {
    rep_run *r;
    const pfx_design *d;
    placebo_state *s;
    pfx_err *err;
    pfx_status st;
    pfx_idx line;
    int place[N_COLUMNS], n_fields, field; /* number of each column in a line, -1: none */
    pfx_str cell[N_COLUMNS];
    bool numeric; /* units are numbers */
    pfx_idx n_levels;
    level *levels; /* sorted */
    pfx_idx n_draws, cap_draws, n, cap;
    pfx_str draw;      /* name of the draw that is read */
    pfx_idx *start;    /* [n_draws + 1] */
    uint32_t *unit;    /* [n] */
    double *values;    /* [n x n_periods] */
    pfx_idx *entry_of; /* [units] entry of the unit in this draw, -1 */
} reader;

static pfx_status fault(reader *f, pfx_status st, const char *what, const char *text)
{
    if (f->st == PFX_OK)
        f->st = pfx_fail(f->err, st, "%s:%lld: %s%s%s", f->s->o->assignments, (long long)f->line, what,
                         text ? ": " : "", text ? text : "");
    return f->st;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const level *)a)->text, ((const level *)b)->text);
}

static int by_number(const void *a, const void *b)
{
    double x = ((const level *)a)->number, y = ((const level *)b)->number;
    return (x > y) - (x < y);
}

/* Levels of the assigned units as the panel writes them. */
static pfx_status read_levels(reader *f)
{
    const pfx_factor *unit = &f->d->clusters[f->s->at_unit];
    const char *name = f->s->unit_name;
    pfx_row_source src = {0};
    const pfx_frame *block = NULL;
    const int32_t *all = f->r->union_row; /* of a family */
    f->n_levels = all ? f->r->all.n : unit->n_levels;
    f->levels = pfx_mem_calloc(f->n_levels, sizeof *f->levels, f->err);
    f->entry_of = pfx_mem_alloc(f->n_levels, sizeof *f->entry_of, f->err);
    pfx_idx *row = pfx_mem_alloc(pfx_panel_n_rows(f->r->panel), sizeof *row, f->err);
    if (!f->levels || !f->entry_of || !row) {
        pfx_mem_free(row);
        return PFX_ENOMEM;
    }
    for (pfx_idx u = 0; u < f->n_levels; u++) f->entry_of[u] = -1;
    for (pfx_idx i = 0; i < pfx_panel_n_rows(f->r->panel); i++) row[i] = all ? all[i] : -1;
    for (pfx_idx i = 0; i < f->d->n && !all; i++) row[f->d->row[i]] = unit->code[i];
    pfx_status st = pfx_panel_source(f->r->panel, 1, &name, NULL, &src, f->err);
    if (st == PFX_OK) st = src.rewind(src.ctx, f->err);
    while (st == PFX_OK && (st = src.next(src.ctx, &block, f->err)) == PFX_OK && block) {
        const pfx_column *v = &block->cols[0];
        f->numeric = v->num != NULL;
        for (pfx_idx i = 0; i < block->n_rows && st == PFX_OK; i++) {
            pfx_idx u = row[block->row0 + i];
            if (u < 0 || f->levels[u].text) continue;
            f->levels[u].code = (int32_t)u;
            f->levels[u].number = v->num ? v->num[i] : 0;
            f->levels[u].text = pfx_mem_strdup(v->num ? "" : v->spec.levels[v->code[i]], f->err);
            if (!f->levels[u].text) st = PFX_ENOMEM;
        }
    }
    if (src.close) src.close(src.ctx);
    pfx_mem_free(row);
    if (st == PFX_OK)
        qsort(f->levels, (size_t)f->n_levels, sizeof *f->levels, f->numeric ? by_number : by_text);
    return st;
}

static pfx_idx find_unit(const reader *f)
{
    const pfx_str *c = &f->cell[UNIT];
    level key = {.text = c->s};
    if (!c->len || (f->numeric && !pfx_text_double(c->s, c->len, &key.number))) return -1;
    const level *l =
        bsearch(&key, f->levels, (size_t)f->n_levels, sizeof key, f->numeric ? by_number : by_text);
    return l ? l->code : -1;
}

/* A time of the file in steps of the panel's, NaN: it is none. */
static double read_time(const reader *f, const pfx_str *c)
{
    pfx_time_unit unit = pfx_panel_structure(f->r->panel)->time_unit;
    pfx_moment m;
    double x = NAN;
    if (unit == PFX_TIME_INDEX) return c->len && pfx_text_double(c->s, c->len, &x) ? x : NAN;
    if (!c->len || !pfx_moment_read(c->s, &m) || !pfx_time_can_become(m.unit, unit)) return NAN;
    return pfx_moment_in(m, unit);
}

static void read_header(reader *f)
{
    if (f->place[DRAW] < 0) {
        fault(f, PFX_EFORMAT, "the header has no column draw", NULL);
    } else if (f->place[UNIT] < 0) {
        fault(f, PFX_EFORMAT, "the header has no column for the units", f->s->unit_name);
    } else if (f->place[ADOPTION] < 0 && (f->place[TIME] < 0 || f->place[VALUE] < 0)) {
        fault(f, PFX_EFORMAT, "the header has neither adoption nor a time and the treatment",
              f->s->o->treatment);
    }
}

static pfx_status grow(reader *f)
{
    if (f->n == f->cap) {
        pfx_idx cap = f->cap ? 2 * f->cap : 1024;
        uint32_t *unit = pfx_mem_realloc(f->unit, cap, sizeof *unit, f->err);
        if (!unit) return PFX_ENOMEM;
        f->unit = unit;
        double *values = pfx_mem_realloc(f->values, cap * f->s->n_periods, sizeof *values, f->err);
        if (!values) return PFX_ENOMEM;
        f->values = values;
        f->cap = cap;
    }
    if (f->n_draws + 1 >= f->cap_draws) {
        pfx_idx cap = f->cap_draws ? 2 * f->cap_draws : 1024;
        pfx_idx *start = pfx_mem_realloc(f->start, cap, sizeof *start, f->err);
        if (!start) return PFX_ENOMEM;
        f->start = start;
        f->cap_draws = cap;
    }
    return PFX_OK;
}

/* The next line may begin another draw. */
static void next_draw(reader *f)
{
    if (f->n_draws && f->draw.len == f->cell[DRAW].len &&
        memcmp(f->draw.s, f->cell[DRAW].s, f->draw.len) == 0)
        return;
    for (pfx_idx i = f->n_draws ? f->start[f->n_draws - 1] : 0; i < f->n; i++) f->entry_of[f->unit[i]] = -1;
    f->start[f->n_draws++] = f->n;
    pfx_str_clear(&f->draw);
    pfx_str_addn(&f->draw, f->cell[DRAW].s, f->cell[DRAW].len);
    if (f->draw.failed) f->st = pfx_fail(f->err, PFX_ENOMEM, "out of memory for the assignments");
}

static void put_value(reader *f, double *v)
{
    const placebo_state *s = f->s;
    bool adoption = f->place[ADOPTION] >= 0;
    double time = read_time(f, &f->cell[adoption ? ADOPTION : TIME]), x = 1;
    if (isnan(time)) {
        fault(f, PFX_EFORMAT, "this is no time of the panel", f->cell[adoption ? ADOPTION : TIME].s);
        return;
    }
    if (!adoption && !pfx_text_double(f->cell[VALUE].s ? f->cell[VALUE].s : "", f->cell[VALUE].len, &x)) {
        fault(f, PFX_EFORMAT, "the treatment is no number", f->cell[VALUE].s);
        return;
    }
    for (int t = 0; t < s->n_periods; t++)
        if (adoption)
            v[t] = s->time[t] >= time;
        else if (s->time[t] == time)
            v[t] = x;
}

static void read_line(reader *f)
{
    pfx_idx u = find_unit(f);
    if (!f->cell[DRAW].len) {
        fault(f, PFX_EFORMAT, "a line without a draw", NULL);
        return;
    }
    if (u < 0) {
        fault(f, PFX_EDATA, "no such unit in the rows used", f->cell[UNIT].len ? f->cell[UNIT].s : "(empty)");
        return;
    }
    if (grow(f) != PFX_OK) {
        f->st = PFX_ENOMEM;
        return;
    }
    next_draw(f);
    if (f->entry_of[u] < 0) {
        f->entry_of[u] = f->n;
        f->unit[f->n] = (uint32_t)u;
        for (int t = 0; t < f->s->n_periods; t++) f->values[f->n * f->s->n_periods + t] = NAN;
        f->n++;
    } else if (f->place[ADOPTION] >= 0) {
        fault(f, PFX_EDATA, "the unit adopts twice in this draw", f->cell[UNIT].s);
        return;
    }
    put_value(f, f->values + f->entry_of[u] * f->s->n_periods);
}

static void name_field(reader *f, const char *text, size_t n)
{
    const char *time = pfx_panel_structure(f->r->panel)->time;
    const char *const names[N_COLUMNS][2] = {[DRAW] = {"draw", "draw"},
                                             [UNIT] = {f->s->unit_name, "unit"},
                                             [ADOPTION] = {"adoption", "adoption"},
                                             [TIME] = {time, "time"},
                                             [VALUE] = {f->s->o->treatment, "value"}};
    for (int c = 0; c < N_COLUMNS; c++)
        for (int k = 0; k < 2; k++)
            if (f->place[c] < 0 && strlen(names[c][k]) == n && memcmp(names[c][k], text, n) == 0)
                f->place[c] = f->field;
}

static void on_field(void *text, size_t n, void *ctx)
{
    reader *f = ctx;
    if (f->line == 1) name_field(f, text ? text : "", n);
    for (int c = 0; c < N_COLUMNS && f->line > 1; c++) {
        if (f->place[c] != f->field) continue;
        pfx_str_clear(&f->cell[c]);
        pfx_str_addn(&f->cell[c], text ? text : "", n);
    }
    f->field++;
}

static void on_line(int end, void *ctx)
{
    reader *f = ctx;
    (void)end;
    if (f->line == 1)
        f->n_fields = f->field, read_header(f);
    else if (f->field != f->n_fields)
        fault(f, PFX_EFORMAT, "the line has another number of fields than the header", NULL);
    else if (f->st == PFX_OK)
        read_line(f);
    f->field = 0;
    f->line++;
}

pfx_status placebo_file_digest(const char *path, char hex[PFX_SHA256_HEX], pfx_err *err)
{
    char buf[65536];
    size_t n;
    struct stat about;
    pfx_status st = PFX_OK;
    FILE *in = fopen(path, "rb");
    if (!in) return pfx_fail(err, PFX_EIO, "%s: %s", path, strerror(errno));
    pfx_sha256 *h = pfx_sha256_new();
    if (!h)
        st = pfx_fail(err, PFX_ENOMEM, "out of memory for a checksum");
    else if (fstat(fileno(in), &about) != 0 || !S_ISREG(about.st_mode))
        st = pfx_fail(
            err, PFX_EUSAGE,
            "%s is no regular file; it is read twice, for its checksum and its draws: write them to a file",
            path);
    while (st == PFX_OK && (n = fread(buf, 1, sizeof buf, in)) > 0) pfx_sha256_add(h, n, buf);
    if (st == PFX_OK && ferror(in)) st = pfx_fail(err, PFX_EIO, "%s: read failed", path);
    if (st == PFX_OK) pfx_sha256_hex(h, hex);
    pfx_sha256_free(h);
    fclose(in);
    return st;
}

/* The draws must be those that the specification has the checksum of. */
static void check_digest(reader *f)
{
    char now[PFX_SHA256_HEX];
    pfx_status st = placebo_file_digest(f->s->o->assignments, now, f->err);
    if (st == PFX_OK && strcmp(now, f->s->assignments) != 0)
        st = pfx_fail(f->err, PFX_EDATA, "%s was changed while it was read", f->s->o->assignments);
    if (f->st == PFX_OK) f->st = st;
}

static void parse(reader *f)
{
    struct csv_parser p;
    char buf[65536];
    size_t n;
    FILE *in = fopen(f->s->o->assignments, "rb");
    if (!in) {
        f->st = pfx_fail(f->err, PFX_EIO, "%s: %s", f->s->o->assignments, strerror(errno));
        return;
    }
    if (csv_init(&p, CSV_APPEND_NULL) != 0) {
        f->st = pfx_fail(f->err, PFX_ENOMEM, "out of memory for the assignments");
        fclose(in);
        return;
    }
    while (f->st == PFX_OK && (n = fread(buf, 1, sizeof buf, in)) > 0)
        if (csv_parse(&p, buf, n, on_field, on_line, f) != n)
            fault(f, PFX_EFORMAT, csv_strerror(csv_error(&p)), NULL);
    if (f->st == PFX_OK) csv_fini(&p, on_field, on_line, f);
    if (f->st == PFX_OK && ferror(in))
        f->st = pfx_fail(f->err, PFX_EIO, "%s: read failed", f->s->o->assignments);
    csv_free(&p);
    fclose(in);
    if (f->st == PFX_OK) check_digest(f);
    if (f->st == PFX_OK && f->n_draws == 0)
        f->st = pfx_fail(f->err, PFX_EDATA, "%s has no draws", f->s->o->assignments);
}

pfx_status placebo_file(rep_run *r, const pfx_design *d, pfx_err *err)
{
    reader f = {.r = r, .d = d, .s = r->state, .err = err, .line = 1};
    for (int c = 0; c < N_COLUMNS; c++) f.place[c] = -1;
    f.st = read_levels(&f);
    if (f.st == PFX_OK) parse(&f);
    if (f.st == PFX_OK) {
        f.start[f.n_draws] = f.n;
        f.st = pfx_assign_file(f.s->assign, f.n_draws, f.start, f.unit, f.values, err);
    }
    for (pfx_idx u = 0; f.levels && u < f.n_levels; u++) pfx_mem_free(f.levels[u].text);
    for (int c = 0; c < N_COLUMNS; c++) pfx_str_free(&f.cell[c]);
    pfx_str_free(&f.draw);
    pfx_mem_free(f.levels);
    pfx_mem_free(f.entry_of);
    pfx_mem_free(f.start);
    pfx_mem_free(f.unit);
    pfx_mem_free(f.values);
    return f.st;
}
