/* Binding: names become columns, texts become level codes, the tree becomes a program in postfix order. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/calendar.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/model/expr_private.h"

/* What an operand is. A category's codes refer to the levels of column `levels_of`. */
typedef struct type {
    bool category;
    int levels_of;
} type;

typedef struct binder {
    const char *what;
    int n_cols;
    const pfx_col_spec *cols;
    const pfx_panel_spec *panel;
    pfx_program *prog;
    pfx_err *err;
} binder;

static pfx_status compile(binder *b, const pfx_expr *e, type *t);

/* Append a step; pops and pushes say what it does to the stack. */
static pfx_status emit(binder *b, pfx_step step, int pops, int pushes)
{
    pfx_program *p = b->prog;
    if (p->n_steps == p->cap_steps) {
        int cap = p->cap_steps ? 2 * p->cap_steps : 8;
        pfx_step *s = pfx_mem_realloc(p->steps, cap, sizeof *s, b->err);
        if (!s) {
            pfx_mem_free(step.table);
            return PFX_ENOMEM;
        }
        p->steps = s;
        p->cap_steps = cap;
    }
    p->steps[p->n_steps++] = step;
    p->height += pushes - pops;
    if (p->height > p->max_height) p->max_height = p->height;
    return PFX_OK;
}

static pfx_status unknown_column(const binder *b, const pfx_expr *e)
{
    const char **names = pfx_mem_alloc(b->n_cols, sizeof *names, b->err);
    if (!names) return PFX_ENOMEM;
    for (int c = 0; c < b->n_cols; c++) names[c] = b->cols[c].name;
    const char *near = pfx_text_nearest(e->text, b->n_cols, names);
    pfx_mem_free(names);
    return pfx_fail(b->err, PFX_EUSAGE, "%s: no column '%s' (at column %d)%s%s%s", b->what, e->text,
                    e->column, near ? ": did you mean '" : "; panelfx info lists the columns",
                    near ? near : "", near ? "'?" : "");
}

static pfx_status compile_name(binder *b, const pfx_expr *e, type *t)
{
    int c = 0;
    while (c < b->n_cols && strcmp(b->cols[c].name, e->text) != 0) c++;
    if (c == b->n_cols) return unknown_column(b, e);
    bool category = b->cols[c].kind == PFX_CATEGORY;
    *t = (type){category, category ? c : -1};
    return emit(b, (pfx_step){.kind = category ? PFX_STEP_CODES : PFX_STEP_COLUMN, .index = c}, 0, 1);
}

static pfx_status text_misplaced(const binder *b, const pfx_expr *e)
{
    return pfx_fail(b->err, PFX_EUSAGE,
                    "%s: the text \"%s\" at column %d: texts can only be compared, by ==, != or in, with "
                    "category columns",
                    b->what, e->text, e->column);
}

/* Compile an operand that must be a number. */
static pfx_status compile_number(binder *b, const pfx_expr *e)
{
    type t;
    if (e->op == PFX_X_TEXT) return text_misplaced(b, e);
    pfx_status st = compile(b, e, &t);
    if (st != PFX_OK || !t.category) return st;
    const char *name = b->cols[t.levels_of].name;
    return pfx_fail(
        b->err, PFX_EUSAGE,
        "%s: '%s' at column %d is a category (text) and a number is needed: compare it as in %s == \"...\"",
        b->what, e->op == PFX_X_NAME ? e->text : name, e->column, name);
}

/* Code of a level, -1 with a warning if there is none of that name: nothing can be equal to it. */
static pfx_status find_level(const binder *b, const pfx_expr *text, int col, double *code)
{
    const pfx_col_spec *c = &b->cols[col];
    if (c->n_levels > 0 && !c->levels)
        return pfx_fail(b->err, PFX_EFORMAT, "%s: the levels of column '%s' are not known", b->what, c->name);
    for (pfx_idx k = 0; k < c->n_levels; k++) {
        *code = (double)k;
        if (strcmp(c->levels[k], text->text) == 0) return PFX_OK;
    }
    *code = -1;
    const char *near = pfx_text_nearest(text->text, c->n_levels, c->levels);
    pfx_warn("%s: column '%s' has no level \"%s\" (at column %d)%s%s%s", b->what, c->name, text->text,
             text->column, near ? "; the nearest is \"" : "", near ? near : "", near ? "\"" : "");
    return PFX_OK;
}

typedef struct level_ref {
    const char *label;
    pfx_idx code;
} level_ref;
static int by_label(const void *a, const void *b)
{
    return strcmp(((const level_ref *)a)->label, ((const level_ref *)b)->label);
}

/* The top of the stack holds codes of column `from`: make them codes of column `to`, by label. */
static pfx_status emit_recode(binder *b, int from, int to)
{
    const pfx_col_spec *cf = &b->cols[from], *ct = &b->cols[to];
    if ((cf->n_levels && !cf->levels) || (ct->n_levels && !ct->levels))
        return pfx_fail(b->err, PFX_EFORMAT, "%s: the levels of columns '%s' and '%s' are not known", b->what,
                        cf->name, ct->name);
    level_ref *ref = pfx_mem_alloc(ct->n_levels, sizeof *ref, b->err);
    double *table = ref ? pfx_mem_alloc(cf->n_levels, sizeof *table, b->err) : NULL;
    if (!table) {
        pfx_mem_free(ref);
        return PFX_ENOMEM;
    }
    for (pfx_idx k = 0; k < ct->n_levels; k++) ref[k] = (level_ref){ct->levels[k], k};
    if (ct->n_levels) qsort(ref, (size_t)ct->n_levels, sizeof *ref, by_label);
    for (pfx_idx k = 0; k < cf->n_levels; k++) {
        level_ref key = {cf->levels[k], 0};
        const level_ref *hit =
            ct->n_levels ? bsearch(&key, ref, (size_t)ct->n_levels, sizeof *ref, by_label) : NULL;
        table[k] = hit ? (double)hit->code : -1;
    }
    pfx_mem_free(ref);
    return emit(b, (pfx_step){.kind = PFX_STEP_RECODE, .table = table}, 1, 1);
}

static pfx_status not_comparable(const binder *b, const pfx_expr *at, int category)
{
    return pfx_fail(b->err, PFX_EUSAGE,
                    "%s: column '%s' is a category (text) and is compared with a number at column %d: write "
                    "the level in double quotes",
                    b->what, b->cols[category].name, at->column);
}

/* A text that a time column is compared with, as "2019q3": its steps. */
static pfx_status time_of_text(const binder *b, const pfx_expr *text, double *step)
{
    static const char *const example[] = {"1", "2019", "2019h2", "2019q3", "2019m12", "2019w5", "2019-12-31"};
    pfx_time_unit unit = b->panel->time_unit;
    pfx_moment m;
    if (!pfx_moment_read(text->text, &m) || !pfx_time_can_become(m.unit, unit))
        return pfx_fail(b->err, PFX_EUSAGE,
                        "%s: the text \"%s\" at column %d is compared with a time: write it as \"%s\"",
                        b->what, text->text, text->column, example[unit]);
    *step = pfx_moment_in(m, unit);
    return PFX_OK;
}

static bool is_time(const binder *b, const pfx_expr *e)
{
    if (!b->panel || e->op != PFX_X_NAME) return false;
    for (int c = 0; c < b->n_cols; c++)
        if (strcmp(b->cols[c].name, e->text) == 0) return b->cols[c].kind == PFX_TIME;
    return false;
}

/* A comparison of the time column with a text. */
static bool compares_time(const binder *b, const pfx_expr *e)
{
    bool compares = e->op == PFX_X_EQ || e->op == PFX_X_NE || e->op == PFX_X_LT || e->op == PFX_X_LE ||
                    e->op == PFX_X_GT || e->op == PFX_X_GE;
    if (!compares) return false;
    const pfx_expr *x = e->args[0], *y = e->args[1];
    return (is_time(b, x) && y->op == PFX_X_TEXT) || (is_time(b, y) && x->op == PFX_X_TEXT);
}

static pfx_status compile_time_comparison(binder *b, const pfx_expr *e)
{
    pfx_status st = PFX_OK;
    for (int i = 0; i < 2 && st == PFX_OK; i++) {
        double step = 0;
        type t;
        if (e->args[i]->op != PFX_X_TEXT)
            st = compile(b, e->args[i], &t);
        else if ((st = time_of_text(b, e->args[i], &step)) == PFX_OK)
            st = emit(b, (pfx_step){.kind = PFX_STEP_CONST, .num = step}, 0, 1);
    }
    return st == PFX_OK ? emit(b, (pfx_step){.kind = PFX_STEP_BINARY, .op = e->op}, 2, 1) : st;
}

/* == and !=, the comparisons that categories have. */
static pfx_status compile_equality(binder *b, const pfx_expr *e)
{
    const pfx_expr *x = e->args[0], *y = e->args[1];
    type tx, ty;
    double code;
    if (x->op == PFX_X_TEXT) { /* the text to the right */
        const pfx_expr *swap = x;
        x = y;
        y = swap;
    }
    if (x->op == PFX_X_TEXT) return text_misplaced(b, x);
    pfx_status st = compile(b, x, &tx);
    if (st != PFX_OK) return st;
    if (y->op == PFX_X_TEXT) {
        if (!tx.category) return text_misplaced(b, y);
        if ((st = find_level(b, y, tx.levels_of, &code)) == PFX_OK)
            st = emit(b, (pfx_step){.kind = PFX_STEP_CONST, .num = code}, 0, 1);
    } else {
        if ((st = compile(b, y, &ty)) != PFX_OK) return st;
        if (tx.category != ty.category)
            return not_comparable(b, e, tx.category ? tx.levels_of : ty.levels_of);
        if (tx.category && tx.levels_of != ty.levels_of) st = emit_recode(b, ty.levels_of, tx.levels_of);
    }
    return st == PFX_OK ? emit(b, (pfx_step){.kind = PFX_STEP_BINARY, .op = e->op}, 2, 1) : st;
}

static pfx_status in_value(binder *b, const pfx_expr *list, const pfx_expr *v, type t, double *out)
{
    if (v->op == PFX_X_TEXT && is_time(b, list->args[0])) return time_of_text(b, v, out);
    if (v->op == PFX_X_TEXT) return t.category ? find_level(b, v, t.levels_of, out) : text_misplaced(b, v);
    bool minus = v->op == PFX_X_NEG && v->args[0]->op == PFX_X_NUM;
    if (v->op != PFX_X_NUM && !minus)
        return pfx_fail(b->err, PFX_EUSAGE,
                        "%s: at column %d: the list of in (..) holds only numbers or texts", b->what,
                        v->column);
    if (t.category) return not_comparable(b, v, t.levels_of);
    *out = minus ? -v->args[0]->num : v->num;
    return PFX_OK;
}

static pfx_status compile_in(binder *b, const pfx_expr *e)
{
    type t;
    if (e->args[0]->op == PFX_X_TEXT) return text_misplaced(b, e->args[0]);
    pfx_status st = compile(b, e->args[0], &t);
    if (st != PFX_OK) return st;
    int n = e->n_args - 1;
    double *table = pfx_mem_alloc(n, sizeof *table, b->err);
    if (!table) return PFX_ENOMEM;
    for (int i = 0; i < n && st == PFX_OK; i++) st = in_value(b, e, e->args[i + 1], t, &table[i]);
    if (st != PFX_OK) {
        pfx_mem_free(table);
        return st;
    }
    return emit(b, (pfx_step){.kind = PFX_STEP_ONE_OF, .index = n, .table = table}, 1, 1);
}

static pfx_status compile_shift(binder *b, const pfx_expr *e, type *t)
{
    if (!b->panel || !b->panel->time || !b->panel->time[0])
        return pfx_fail(b->err, PFX_EUSAGE,
                        "%s: lags (at column %d) need a panel with time: import the data with --time",
                        b->what, e->column);
    if (e->args[0]->op == PFX_X_TEXT) return text_misplaced(b, e->args[0]);
    pfx_status st = PFX_OK;
    if (e->op == PFX_X_ROLL_MEAN || e->op == PFX_X_ROLL_SD) {
        st = compile_number(b, e->args[0]);
        return st ? st : emit(b, (pfx_step){.kind = PFX_STEP_ROLL, .op = e->op, .num = e->num}, 1, 1);
    }
    if (e->op == PFX_X_DIFF) {
        st = compile_number(b, e->args[0]);
        if (st == PFX_OK) st = emit(b, (pfx_step){.kind = PFX_STEP_COPY}, 0, 1);
    } else {
        st = compile(b, e->args[0], t);
    }
    double k = e->op == PFX_X_LEAD ? -e->num : e->num;
    if (st == PFX_OK) st = emit(b, (pfx_step){.kind = PFX_STEP_SHIFT, .num = k}, 1, 1);
    if (st == PFX_OK && e->op == PFX_X_DIFF)
        st = emit(b, (pfx_step){.kind = PFX_STEP_BINARY, .op = PFX_X_SUB}, 2, 1);
    return st;
}

static pfx_status only_in_recipes(const binder *b, const pfx_expr *e)
{
    return pfx_fail(b->err, PFX_EUSAGE,
                    "%s: %s(..) at column %d is over a group of rows, which needs a pass of its own: make the column "
                    "with panelfx transform first",
                    b->what, pfx_function_by_op(e->op)->name, e->column);
}

static pfx_status compile_missing(binder *b, const pfx_expr *e)
{
    type t;
    if (e->args[0]->op == PFX_X_TEXT) return text_misplaced(b, e->args[0]);
    pfx_status st = compile(b, e->args[0], &t);
    return st == PFX_OK ? emit(b, (pfx_step){.kind = PFX_STEP_UNARY, .op = PFX_X_MISSING}, 1, 1) : st;
}

/* Operators and functions of numbers. A list is folded from the left. */
static pfx_status compile_numeric(binder *b, const pfx_expr *e)
{
    pfx_status st = compile_number(b, e->args[0]);
    if (e->op == PFX_X_IF) {
        for (int i = 1; i < 3 && st == PFX_OK; i++) st = compile_number(b, e->args[i]);
        return st == PFX_OK ? emit(b, (pfx_step){.kind = PFX_STEP_CHOOSE}, 3, 1) : st;
    }
    bool folds = e->op == PFX_X_MIN || e->op == PFX_X_MAX;
    if (e->n_args == 1 && !folds && st == PFX_OK)
        return emit(b, (pfx_step){.kind = PFX_STEP_UNARY, .op = e->op}, 1, 1);
    for (int i = 1; i < e->n_args && st == PFX_OK; i++) {
        st = compile_number(b, e->args[i]);
        if (st == PFX_OK) st = emit(b, (pfx_step){.kind = PFX_STEP_BINARY, .op = e->op}, 2, 1);
    }
    return st;
}

static pfx_status compile(binder *b, const pfx_expr *e, type *t)
{
    *t = (type){false, -1};
    if (compares_time(b, e)) return compile_time_comparison(b, e);
    switch (e->op) {
    case PFX_X_NUM:
        return emit(b, (pfx_step){.kind = PFX_STEP_CONST, .num = e->num}, 0, 1);
    case PFX_X_TEXT:
        return text_misplaced(b, e);
    case PFX_X_NAME:
        return compile_name(b, e, t);
    case PFX_X_EQ:
    case PFX_X_NE:
        return compile_equality(b, e);
    case PFX_X_IN:
        return compile_in(b, e);
    case PFX_X_MISSING:
        return compile_missing(b, e);
    case PFX_X_LAG:
    case PFX_X_LEAD:
    case PFX_X_DIFF:
    case PFX_X_ROLL_MEAN:
    case PFX_X_ROLL_SD:
        return compile_shift(b, e, t);
    default:
        return pfx_expr_is_group(e->op) ? only_in_recipes(b, e) : compile_numeric(b, e);
    }
}

pfx_status pfx_expr_bind(const pfx_expr *e, const char *what, int n_cols, const pfx_col_spec *cols,
                         const pfx_panel_spec *panel, pfx_program **out, pfx_err *err)
{
    type t = {false, -1};
    *out = NULL;
    binder b = {what, n_cols, cols, panel, pfx_mem_calloc(1, sizeof *b.prog, err), err};
    if (!b.prog) return PFX_ENOMEM;
    pfx_status st = compile(&b, e, &t);
    if (st != PFX_OK) {
        pfx_program_free(b.prog);
        return st;
    }
    const pfx_step *first = b.prog->steps;
    bool one = b.prog->n_steps == 1 && (first->kind == PFX_STEP_COLUMN || first->kind == PFX_STEP_CODES);
    b.prog->plain = one ? first->index : -1;
    b.prog->levels_of = t.category ? t.levels_of : -1;
    *out = b.prog;
    return PFX_OK;
}

void pfx_program_free(pfx_program *p)
{
    if (!p) return;
    for (int i = 0; i < p->n_steps; i++) pfx_mem_free(p->steps[i].table);
    pfx_mem_free(p->steps);
    pfx_mem_free(p);
}

int pfx_program_plain(const pfx_program *p)
{
    return p->plain;
}
int pfx_program_levels_of(const pfx_program *p)
{
    return p->levels_of;
}
